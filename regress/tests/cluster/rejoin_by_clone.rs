//! A former primary whose WAL does not reach back to the fork any more cannot be rewound: it gets a new copy, and the old
//! directory is kept.
use regress::cluster::Cluster;
use regress::deadlines::{CLONE, FAILOVER};
use regress::oracles::Oracles;
use regress::server::Server;
use std::fs;

#[test]
fn what_cannot_be_rewound_is_copied_anew() {
    let cluster = Cluster::pair("clone");
    let old = cluster.wait_settled();
    let new = cluster.other(old);

    // The old primary writes WAL that the standby never gets (a transaction that is rolled back does, and waits for nobody), then
    // makes a checkpoint behind it: its own recovery needs nothing from before the fork.
    new.freeze();
    for sql in [
        "BEGIN; INSERT INTO ledger SELECT generate_series(-100000, -1); ROLLBACK",
        "SELECT pg_switch_wal()",
        "CHECKPOINT",
    ] {
        old.superuser("postgres", sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    old.kill_tree();
    new.thaw();
    cluster.wait_state(new, "wait_primary", FAILOVER);
    remove_wal_before_checkpoint(old);

    old.start();
    assert_eq!(cluster.wait_settled_within(CLONE).name, new.name);
    let aside = fs::read_dir(old.state_dir().join("aside")).expect("the directory of what was set aside");
    let kept = aside.flatten().any(|entry| entry.path().join("PG_VERSION").exists());
    assert!(kept, "the old directory was not kept below {}", old.state_dir().join("aside").display());
    Oracles::start(&cluster).finish(&cluster);
}

/// What a server without a replication slot would have recycled by now.
fn remove_wal_before_checkpoint(server: &Server) {
    let output =
        server.account.command(server.install.program("pg_controldata")).arg(&server.pgdata).output();
    let text = String::from_utf8_lossy(&output.expect("running pg_controldata").stdout).into_owned();
    let needed = text
        .lines()
        .find_map(|line| line.strip_prefix("Latest checkpoint's REDO WAL file:"))
        .unwrap_or_else(|| panic!("pg_controldata names no WAL file: {text}"))
        .trim();
    let mut removed = 0;
    for entry in fs::read_dir(server.pgdata.join("pg_wal")).expect("reading pg_wal").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.len() == needed.len() && name.as_str() < needed {
            fs::remove_file(entry.path()).expect("removing a segment");
            removed += 1;
        }
    }
    assert!(removed > 0, "nothing lies before {needed}");
}
