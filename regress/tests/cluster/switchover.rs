//! The operator asks for another primary, under load, again and again: nobody starts or stops anything.
use regress::cluster::Cluster;
use regress::deadlines::REJOIN;
use regress::oracles::{Oracles, tell};
use regress::wait;
use std::time::Instant;

const RUNS: usize = 20;

#[test]
fn twenty_switchovers_in_place() {
    let cluster = Cluster::pair("switch");
    let postmasters: Vec<u32> = cluster.nodes.iter().map(|node| node.postmaster()).collect();
    let oracles = Oracles::start(&cluster);
    for run in 1..=RUNS {
        let primary = cluster.wait_settled_within(REJOIN);
        let standby = cluster.other(primary);
        let asked = Instant::now();
        cluster
            .ask_monitor("SELECT pgautofailover.perform_failover(formation_id => 'default', group_id => 0)")
            .unwrap_or_else(|error| panic!("perform_failover: {error}"));
        wait::until(&format!("{} is primary, {} secondary", standby.name, primary.name), REJOIN, || {
            match cluster.settled_primary() {
                Ok(writer) if writer.name == standby.name => Ok(()),
                Ok(writer) => Err(format!("{} is still primary", writer.name)),
                Err(seen) => Err(seen),
            }
        });
        oracles.wait_for_writes();
        let pause = oracles.longest_pause(asked).as_millis();
        tell(&format!(
            "switchover {run:2}: longest pause in writes {pause} ms, {:.1} s in all",
            asked.elapsed().as_secs_f64()
        ));
        let now: Vec<u32> = cluster.nodes.iter().map(|node| node.postmaster()).collect();
        assert_eq!(now, postmasters, "a role changes within one life of the postmaster");
    }
    let counts = oracles.finish(&cluster);
    tell(&format!(
        "{RUNS} switchovers: {} rows acknowledged, 0 lost, {} unknown",
        counts.acknowledged, counts.unknown
    ));
}
