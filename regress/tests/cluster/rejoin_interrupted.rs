//! The helper that makes a former primary a standby again is killed at each of its steps, and started again: in the end the node is
//! a secondary, nothing is lost, and what it alone had is kept.
use regress::cluster::Cluster;
use regress::deadlines::{CLONE, FAILOVER, REJOIN};
use regress::interrupt::cut_everywhere;
use regress::oracles::Oracles;
use regress::server::Server;
use regress::wait;
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// Options of a server that stays down where its helper would begin: what it becomes ends at once.
fn without_helper(cluster: &Cluster) -> String {
    // By a server's name, or nobody buries it.
    let script = cluster.directory().join("postgres");
    let real = cluster.programs().join("pg_autoctl");
    let text = format!("#!/bin/sh\n[ \"$2\" = in-place ] || exec {} \"$@\"\n", real.display());
    fs::write(&script, text).expect("writing a script");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("chmod");
    format!("-c pg_autoctl.helper={}", script.display())
}

fn superuser(server: &Server, sql: &str) -> String {
    server.superuser("postgres", sql).unwrap_or_else(|error| panic!("{}: {sql}: {error}", server.name))
}

/// The server starts without its helper, and has asked for a restart in place before this returns.
fn start_until_it_asks(cluster: &Cluster, server: &Server) {
    server.bury();
    // How pg_ctl likes a server that is down again at once does not matter.
    server.pg_ctl(&["start", "-o", &without_helper(cluster)]);
    wait_until_down(server);
}

fn wait_until_down(server: &Server) {
    let down = || server.running().map_or(Ok(()), Err);
    wait::until("the server is down and its helper did not run", REJOIN, down);
    server.bury();
}

/// Where the marker stands, somebody has asked for a copy.
fn marker(server: &Server) -> Option<String> {
    fs::read_to_string(server.state_dir().join("phase")).ok()
}

/// The old primary writes WAL that its standby never gets, dies, and comes back to a new one.
fn part(cluster: &Cluster, old: &Server, new: &Server) {
    mark(old);
    new.freeze();
    // What is rolled back waits for nobody.
    superuser(old, "BEGIN; INSERT INTO ledger SELECT generate_series(-100000, -1); ROLLBACK");
    superuser(old, "SELECT pg_switch_wal()");
    old.kill_tree();
    new.thaw();
    cluster.wait_state(new, "wait_primary", FAILOVER);
}

/// Runs the helper up to each point once, then to its end.
fn kill_everywhere(cluster: &Cluster, what: &str, server: &Server) -> usize {
    let mut command = cluster.pg_autoctl();
    command.args(["internal", "in-place", "--pgdata"]).arg(&server.pgdata);
    command.arg("--state-dir").arg(server.state_dir());
    // Becomes "postgres -V" when PGDATA is whole.
    command.arg("--postgres").arg(server.install.program("postgres")).args(["--", "-V"]);
    let points = cut_everywhere(&server.account, what, &command);
    assert_eq!(marker(server), None, "PGDATA is whole");
    points
}

/// What a copy of another node does not have.
fn mark(server: &Server) {
    superuser(server, "ALTER SYSTEM SET work_mem = '7MB'");
    superuser(server, "SELECT pg_create_physical_replication_slot('archive', true)");
}

/// Its configuration is its own, other people's slots are there, and what it alone had is kept.
fn has_lost_nothing(server: &Server) {
    assert_eq!(superuser(server, "SHOW work_mem"), "7MB");
    let slots = "SELECT slot_name, restart_lsn IS NOT NULL, active FROM pg_replication_slots";
    assert_eq!(superuser(server, slots), "archive|t|f");
    let aside = fs::read_dir(server.state_dir().join("aside")).expect("the directory of what was set aside");
    let kept: Vec<_> = aside
        .flatten()
        .filter(|entry| fs::read_dir(entry.path()).is_ok_and(|files| files.count() > 0))
        .collect();
    assert!(!kept.is_empty(), "nothing is kept below {}", server.state_dir().display());
}

#[test]
fn a_rewind_is_killed_at_every_step() {
    let cluster = Cluster::pair("cutrewind");
    let old = cluster.wait_settled();
    let new = cluster.other(old);
    let oracles = Oracles::start(&cluster);
    part(&cluster, old, new);
    start_until_it_asks(&cluster, old);
    let asked = marker(old).expect("a rewind was asked for");
    assert!(asked.contains("rewind"), "{asked}");
    let points = kill_everywhere(&cluster, "a rewind", old);
    assert!(points > 20, "only {points} points were found");

    old.start();
    assert_eq!(cluster.wait_settled_within(REJOIN).name, new.name);
    has_lost_nothing(old);
    oracles.finish(&cluster);
}

#[test]
fn a_new_copy_is_killed_at_every_step() {
    let cluster = Cluster::pair("cutclone");
    let primary = cluster.wait_settled();
    let standby = cluster.other(primary);
    mark(standby);
    let oracles = Oracles::start(&cluster);
    // Somebody promotes the standby by hand: its history is recorded nowhere, so only a new copy will do.
    standby.stop();
    let promoted = standby.pg_ctl(&["start", "-w", "-o", &without_helper(&cluster)]);
    assert!(promoted.status.success(), "{}", standby.log_tail());
    superuser(standby, "SELECT pg_promote(wait => false)");
    wait_until_down(standby);
    start_until_it_asks(&cluster, standby);
    let asked = marker(standby).expect("a copy was asked for");
    assert!(asked.contains("clone"), "{asked}");
    let points = kill_everywhere(&cluster, "a new copy", standby);
    assert!(points > 20, "only {points} points were found");

    standby.start();
    assert_eq!(cluster.wait_settled_within(CLONE).name, primary.name);
    has_lost_nothing(standby);
    oracles.finish(&cluster);
}
