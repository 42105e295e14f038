//! Somebody makes a writer of a node by hand, by every way that PostgreSQL has: it stays fenced, and rejoins by itself.
use regress::cluster::Cluster;
use regress::deadlines::{CLONE, FAILOVER, REJOIN};
use regress::oracles::{Oracles, tell};
use regress::server::{Server, text};
use regress::wait;
use std::fs;
use std::time::Instant;

fn wait_promoted(node: &Server, before: usize) {
    wait::until("the node is out of recovery, or was a standby again already", FAILOVER, || {
        if times_promoted(node) > before { Ok(()) } else { Err(node.log_tail()) }
    });
}

fn times_promoted(node: &Server) -> usize {
    node.log().matches("the server was promoted by somebody else").count()
}

fn try_by_hand(cluster: &Cluster, what: &str, promote: impl Fn(&Server)) {
    let primary = cluster.wait_settled_within(REJOIN);
    let standby = cluster.other(primary);
    let (before, promoted_before) = (Instant::now(), times_promoted(standby));
    promote(standby);
    wait_promoted(standby, promoted_before);
    let refused = standby.sql("INSERT INTO ledger VALUES (-1)").expect_err("a node promoted by hand");
    assert!(refused.is_read_only() || refused.code.as_deref() != Some("23505"), "{refused}");
    assert_eq!(cluster.wait_settled_within(CLONE).name, primary.name, "{what}");
    tell(&format!("{what}: a secondary again after {} ms", before.elapsed().as_millis()));
}

#[test]
fn a_standby_is_promoted() {
    let cluster = Cluster::pair("byhand");
    let oracles = Oracles::start(&cluster);
    try_by_hand(&cluster, "pg_promote", |standby| {
        standby.superuser("postgres", "SELECT pg_promote(wait => false)").expect("pg_promote");
    });
    try_by_hand(&cluster, "pg_ctl promote", |standby| {
        let output = standby.pg_ctl(&["promote", "--no-wait"]);
        assert!(output.status.success(), "{}", text(&output));
    });
    oracles.finish(&cluster);
}

/// The file is put back before recovery looks for it.
#[test]
fn the_signal_file_is_removed() {
    let cluster = Cluster::pair("bysignal");
    let primary = cluster.wait_settled();
    let standby = cluster.other(primary);
    let oracles = Oracles::start(&cluster);
    fs::remove_file(standby.pgdata.join("standby.signal")).expect("removing standby.signal");
    standby.stop();
    standby.start();
    let in_recovery = standby.superuser("postgres", "SELECT pg_is_in_recovery()");
    assert_eq!(in_recovery.as_deref(), Ok("t"));
    assert_eq!(cluster.wait_settled_within(REJOIN).name, primary.name);

    // The same after a crash, of the primary: nobody may write because a file is not there.
    primary.kill_tree();
    cluster.wait_writer(standby, FAILOVER);
    assert!(!primary.pgdata.join("standby.signal").exists());
    primary.start();
    assert_eq!(cluster.wait_settled_within(REJOIN).name, standby.name);
    oracles.finish(&cluster);
}
