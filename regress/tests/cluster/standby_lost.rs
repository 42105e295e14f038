//! The standby dies: the primary goes on alone, and takes it back.
use regress::cluster::Cluster;
use regress::deadlines::{FAILOVER, REJOIN};
use regress::oracles::{Oracles, tell};
use std::time::Instant;

#[test]
fn the_primary_goes_on_alone() {
    let cluster = Cluster::pair("standby");
    let primary = cluster.wait_settled();
    let standby = cluster.other(primary);
    let oracles = Oracles::start(&cluster);

    let killed = Instant::now();
    standby.kill_tree();
    cluster.wait_state(primary, "wait_primary", FAILOVER);
    oracles.wait_for_writes();
    tell(&format!(
        "standby killed: longest pause in writes {} ms",
        oracles.longest_pause(killed).as_millis()
    ));

    standby.start();
    assert_eq!(cluster.wait_settled_within(REJOIN).name, primary.name);
    oracles.finish(&cluster);
}
