//! The whole process tree of the primary gets SIGKILL, under load, again and again, with the roles alternating.
use regress::cluster::Cluster;
use regress::deadlines::{FAILOVER, REJOIN};
use regress::oracles::{Oracles, tell};
use std::time::Instant;

const RUNS: usize = 20;

#[test]
fn twenty_kills_lose_nothing() {
    let cluster = Cluster::pair("kill");
    let oracles = Oracles::start(&cluster);
    for run in 1..=RUNS {
        let primary = cluster.wait_settled_within(REJOIN);
        let standby = cluster.other(primary);
        let killed = Instant::now();
        primary.kill_tree();
        cluster.wait_state(standby, "wait_primary", FAILOVER);
        oracles.wait_for_writes();
        primary.start();
        let writer = cluster.wait_settled_within(REJOIN);
        assert_eq!(writer.name, standby.name, "the one that was promoted stays the writer");
        let pause = oracles.longest_pause(killed).as_millis();
        let whole = killed.elapsed().as_secs_f64();
        tell(&format!(
            "kill {run:2}: longest pause in writes {pause} ms; {} back as a secondary, {whole:.1} s in all",
            primary.name
        ));
    }
    let counts = oracles.finish(&cluster);
    tell(&format!(
        "{RUNS} kills: {} rows acknowledged, 0 lost, {} unknown",
        counts.acknowledged, counts.unknown
    ));
}
