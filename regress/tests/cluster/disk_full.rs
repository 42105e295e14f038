//! The disk of a node's WAL is full: of the primary's, which dies of it, or of the standby's, which can take no more.
use regress::cluster::Cluster;
use regress::deadlines::{FAILOVER, REJOIN};
use regress::network::Network;
use regress::oracles::{Oracles, tell};
use regress::server::Server;
use regress::wait;
use std::time::{Duration, Instant};

/// Room for all that a scenario writes, when nobody else's file is there.
const MEGABYTES: u32 = 384;
/// The unhealthy time-out, several times.
const PATIENCE: Duration = Duration::from_secs(20);

fn prepare(cluster: &mut Cluster) {
    // A server that cannot write its WAL gives up.
    cluster.explained.extend(["No space left on device", "was terminated by signal 6"]);
    let primary = cluster.wait_settled();
    for sql in [
        "ALTER SYSTEM SET max_wal_size = '48MB'",
        "ALTER SYSTEM SET min_wal_size = '32MB'",
        "ALTER SYSTEM SET wal_keep_size = 0",
        "SELECT pg_reload_conf()",
    ] {
        primary.superuser("postgres", sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

/// Segments are switched until the node has used all that it had in reserve.
fn use_up_reserve(primary: &Server) {
    for _ in 0..12 {
        let written = primary
            .superuser("postgres", "SELECT pg_logical_emit_message(true, 'regress', 'fills a segment')")
            .and_then(|_| primary.superuser("postgres", "SELECT pg_switch_wal()"));
        // It fails when the disk is full, which is what it is for.
        if written.is_err() {
            return;
        }
    }
}

#[test]
fn of_the_standby_and_then_of_the_primary() {
    if !Network::is_possible() {
        return;
    }
    let mut cluster = Cluster::on_machines("diskfull").with_pair();
    prepare(&mut cluster);
    let primary = cluster.wait_settled();
    let small = cluster.other(primary);
    small.stop();
    small.move_wal_to_small_disk(MEGABYTES);
    small.start();
    assert_eq!(cluster.wait_settled_within(REJOIN).name, primary.name);

    // It can take no more: it leaves, and the primary goes on alone.
    let oracles = Oracles::start(&cluster);
    let full = Instant::now();
    small.fill_wal_disk();
    use_up_reserve(primary);
    cluster.wait_state(primary, "wait_primary", FAILOVER);
    oracles.wait_for_writes();
    let pause = oracles.longest_pause(full);
    tell(&format!("standby's disk full: longest pause in writes {} ms", pause.as_millis()));
    assert!(pause < PATIENCE, "writes stood still for {pause:?}");
    free(small);
    assert_eq!(cluster.wait_settled_within(REJOIN).name, primary.name);

    // Of the primary it dies, and the other one takes over.
    let promote = format!("SELECT pgautofailover.perform_promotion('default', '{}')", small.name);
    cluster.ask_monitor(&promote).unwrap_or_else(|error| panic!("{promote}: {error}"));
    wait::until("the node with the small disk is primary", REJOIN, || match cluster.settled_primary() {
        Ok(primary) if primary.name == small.name => Ok(()),
        seen => Err(format!("{seen:?}")),
    });
    let full = Instant::now();
    small.fill_wal_disk();
    use_up_reserve(small);
    cluster.wait_writer(primary, FAILOVER);
    oracles.wait_for_writes();
    let pause = oracles.longest_pause(full);
    tell(&format!("primary's disk full: longest pause in writes {} ms", pause.as_millis()));
    free(small);
    assert_eq!(cluster.wait_settled_within(REJOIN).name, primary.name);
    oracles.finish(&cluster);
}

fn free(node: &Server) {
    node.free_wal_disk();
    if node.running().is_none() {
        node.start();
    }
}
