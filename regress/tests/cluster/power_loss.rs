//! All servers lose power at the same moment, and are started in every order.
use regress::cluster::Cluster;
use regress::deadlines::{FAILOVER, REJOIN};
use regress::oracles::{Oracles, tell};
use regress::process;
use regress::server::Server;
use regress::wait;
use std::time::Instant;

#[test]
fn everything_comes_back_in_any_order() {
    let cluster = Cluster::pair("power");
    let oracles = Oracles::start(&cluster);
    let all = [&cluster.monitor, cluster.node(1), cluster.node(2)];
    for order in [[0, 1, 2], [1, 2, 0], [2, 0, 1]] {
        let lost = Instant::now();
        let trees: Vec<_> = all.iter().flat_map(|server| process::tree(server.postmaster())).collect();
        process::signal("KILL", &trees);
        wait::until("nothing runs", FAILOVER, || {
            let left: Vec<&str> = all
                .iter()
                .filter(|server| server.running().is_some())
                .map(|server| server.name.as_str())
                .collect();
            if left.is_empty() { Ok(()) } else { Err(left) }
        });
        let started: Vec<&Server> = order.map(|index| all[index]).to_vec();
        started.iter().for_each(|server| server.start());
        let writer = cluster.wait_settled_within(REJOIN);
        oracles.wait_for_writes();
        tell(&format!(
            "power lost, started {:?}: {} writes; pause {} ms",
            started.iter().map(|server| server.name.as_str()).collect::<Vec<_>>(),
            writer.name,
            oracles.longest_pause(lost).as_millis()
        ));
    }
    oracles.finish(&cluster);
}
