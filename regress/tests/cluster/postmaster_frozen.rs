//! The primary's postmaster hangs, and its children go on: open sessions commit, the keeper reports, nobody can connect any
//! more. Another node takes over, and the old primary comes back by itself when its postmaster goes on.
use regress::cluster::Cluster;
use regress::deadlines::{FAILOVER, REJOIN};
use regress::oracles::{Oracles, tell};
use regress::{process, wait};
use std::time::Instant;

#[test]
fn a_primary_that_lets_nobody_in_hands_over() {
    let cluster = Cluster::pair("stuck");
    // Ten seconds are the default; the keeper itself needs about that long to be sure.
    for setting in ["stall_timeout = '5s'", "drain_timeout = '5s'"] {
        let sql = format!("ALTER SYSTEM SET pgautofailover.{setting}");
        cluster.monitor.superuser("postgres", &sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    cluster.monitor.superuser("postgres", "SELECT pg_reload_conf()").expect("reload");
    let oracles = Oracles::start(&cluster);
    let (old, new) = (cluster.node(1), cluster.node(2));
    let postmaster = old.postmaster();

    let frozen = Instant::now();
    process::signal("STOP", &[postmaster]);
    cluster.wait_state(new, "wait_primary", FAILOVER);
    oracles.wait_for_writes();
    tell(&format!("frozen postmaster: another primary after {:.1} s", frozen.elapsed().as_secs_f64()));

    process::signal("CONT", &[postmaster]);
    let thawed = Instant::now();
    let primary = wait::until("the old primary is a secondary again", REJOIN, || cluster.settled_primary());
    assert_eq!(primary.name, new.name);
    assert_eq!(old.postmaster(), postmaster, "in place");
    tell(&format!("thawed: secondary after {:.1} s", thawed.elapsed().as_secs_f64()));
    let counts = oracles.finish(&cluster);
    tell(&format!("postmaster frozen: {} rows acknowledged, 0 lost", counts.acknowledged));
}
