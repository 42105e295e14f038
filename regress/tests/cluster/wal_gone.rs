//! A standby was away for so long that its primary has removed WAL that it needs: it is copied anew by itself, and the old
//! directory is kept.
use crate::maintenance::{start_maintenance, stop_maintenance};
use regress::cluster::Cluster;
use regress::deadlines::{CLONE, FAILOVER};
use regress::oracles::{Oracles, tell};
use regress::server::Server;
use regress::wait;
use std::fs;
use std::time::Instant;

fn superuser(server: &Server, sql: &str) -> String {
    server.superuser("postgres", sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// Two segments are kept for a slot, and a standby is at least five behind when this returns.
fn leave_behind(primary: &Server, standby: &Server) {
    for sql in [
        "ALTER SYSTEM SET max_slot_wal_keep_size = '8MB'",
        "ALTER SYSTEM SET wal_keep_size = 0",
        "ALTER SYSTEM SET max_wal_size = '8MB'",
        "ALTER SYSTEM SET min_wal_size = '8MB'",
        "SELECT pg_reload_conf()",
    ] {
        superuser(primary, sql);
    }
    let needed = superuser(primary, "SELECT pg_walfile_name(pg_current_wal_lsn())");
    for _ in 0..5 {
        superuser(primary, "SELECT pg_logical_emit_message(true, 'regress', 'fills a segment')");
        superuser(primary, "SELECT pg_switch_wal()");
    }
    superuser(primary, "CHECKPOINT");
    wait::until("the primary has removed WAL that the standby needs", FAILOVER, || {
        let files = superuser(primary, "SELECT string_agg(name, ' ' ORDER BY name) FROM pg_ls_waldir()");
        if files.contains(&needed) { Err(files) } else { Ok(()) }
    });
    wait::until("its slot is made anew", FAILOVER, || {
        let slot = superuser(primary, "SELECT active, wal_status FROM pg_replication_slots");
        if slot == "f|reserved" || slot == "f|extended" { Ok(()) } else { Err(slot) }
    });
    assert!(standby.running().is_none());
}

/// A copy was made, and what it replaced was kept (law 7).
fn check_copied(standby: &Server, system_identifier: &str) {
    let aside = fs::read_dir(standby.state_dir().join("aside")).expect("the directory of what was set aside");
    let kept = aside.flatten().any(|entry| entry.path().join("PG_VERSION").exists());
    assert!(kept, "the old directory was not kept below {}", standby.state_dir().display());
    assert!(standby.log().contains("any more; this node is copied anew"), "{}", standby.log_tail());
    assert_eq!(superuser(standby, "SELECT system_identifier FROM pg_control_system()"), system_identifier);
}

#[test]
fn a_standby_that_was_lost_for_too_long() {
    let cluster = Cluster::pair("walgone");
    let primary = cluster.wait_settled();
    let standby = cluster.other(primary);
    let identifier = superuser(primary, "SELECT system_identifier FROM pg_control_system()");
    let oracles = Oracles::start(&cluster);
    standby.kill_tree();
    cluster.wait_state(primary, "wait_primary", FAILOVER);
    leave_behind(primary, standby);

    let started = Instant::now();
    standby.start();
    assert_eq!(cluster.wait_settled_within(CLONE).name, primary.name);
    tell(&format!("WAL gone: secondary again {} ms after its start", started.elapsed().as_millis()));
    check_copied(standby, &identifier);
    oracles.finish(&cluster);
}

/// While it is maintained nobody copies anything, however far behind it is.
#[test]
fn a_standby_that_was_maintained_for_too_long() {
    let cluster = Cluster::pair("toolong");
    let primary = cluster.wait_settled();
    let standby = cluster.other(primary);
    let identifier = superuser(primary, "SELECT system_identifier FROM pg_control_system()");
    let oracles = Oracles::start(&cluster);
    start_maintenance(&cluster, &standby.name, standby.port);
    cluster.wait_state(standby, "maintenance", FAILOVER);
    standby.stop();
    leave_behind(primary, standby);
    standby.start();
    wait::until("the standby has asked in vain for WAL", FAILOVER, || {
        let asked = standby.log().matches("could not receive data from WAL stream").count();
        // Two a second: for longer than any other standby would wait.
        if asked >= 20 { Ok(()) } else { Err(asked) }
    });
    cluster.wait_state(standby, "maintenance", FAILOVER);
    assert!(!standby.log().contains("restarting in place"), "{}", standby.log_tail());

    stop_maintenance(&cluster, &standby.name, standby.port);
    assert_eq!(cluster.wait_settled_within(CLONE).name, primary.name);
    check_copied(standby, &identifier);
    let counts = oracles.finish(&cluster);
    assert_eq!(counts.unknown, 0, "no write failed");
}
