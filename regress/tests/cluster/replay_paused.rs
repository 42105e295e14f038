//! Replay is paused on the standby when the primary dies: what it has acknowledged is flushed there and not replayed yet.
use regress::cluster::Cluster;
use regress::deadlines::{FAILOVER, REJOIN};
use regress::oracles::{Oracles, tell};
use std::time::Instant;

#[test]
fn what_was_flushed_and_not_replayed_is_kept() {
    let cluster = Cluster::pair("paused");
    let old = cluster.wait_settled();
    let new = cluster.other(old);
    let oracles = Oracles::start(&cluster);
    new.superuser("postgres", "SELECT pg_wal_replay_pause()").expect("pausing");
    (0..20).for_each(|_| oracles.wait_for_writes());
    let seen = "SELECT pg_get_wal_replay_pause_state(), pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn()";
    assert_eq!(new.superuser("postgres", seen).as_deref(), Ok("paused|t"));
    let killed = Instant::now();
    old.kill_tree();
    cluster.wait_writer(new, FAILOVER);
    oracles.wait_for_writes();
    tell(&format!("replay paused: longest pause in writes {} ms", oracles.longest_pause(killed).as_millis()));
    old.start();
    assert_eq!(cluster.wait_settled_within(REJOIN).name, new.name);
    oracles.finish(&cluster);
}
