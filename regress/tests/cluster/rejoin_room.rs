//! A former primary must be rewound, and there is no room to keep what it alone has: it says so while its server runs, and goes on by
//! itself when there is.
use regress::cluster::Cluster;
use regress::deadlines::{FAILOVER, REJOIN};
use regress::network::Network;
use regress::oracles::Oracles;
use regress::server::{Server, text};
use regress::wait;

/// The disk below `aside`, on the node's machine only. Less than what must stay free.
fn mount_aside(server: &Server, options: &str) {
    let script = format!("mkdir -p \"$0\" && mount -t tmpfs -o {options},mode=777 aside \"$0\"");
    let aside = server.state_dir().join("aside");
    let output =
        server.account.root_command("sh").args(["-c", &script]).arg(&aside).output().expect("running sh");
    assert!(output.status.success(), "{script}: {}", text(&output));
}

#[test]
fn a_rewind_waits_for_room_with_the_server_up() {
    if !Network::is_possible() {
        return;
    }
    let cluster = Cluster::on_machines("room").with_pair();
    let old = cluster.wait_settled();
    let new = cluster.other(old);
    let oracles = Oracles::start(&cluster);
    new.freeze();
    // What is rolled back waits for nobody.
    old.superuser("postgres", "BEGIN; INSERT INTO ledger SELECT generate_series(-100000, -1); ROLLBACK")
        .expect("a transaction");
    old.kill_tree();
    new.thaw();
    cluster.wait_state(new, "wait_primary", FAILOVER);
    mount_aside(old, "size=70m");
    old.start();
    let server = old.postmaster();
    let monitor = cluster.monitor.pgdata.to_str().expect("a plain path");
    wait::until("the node says what it lacks", REJOIN, || {
        let shown = cluster.cli(&["show", "state", "--pgdata", monitor]);
        let says = shown.contains("is to be rewound, and cannot yet: needs") && shown.contains("MB free at");
        if says { Ok(()) } else { Err(shown) }
    });
    assert_eq!(old.postmaster(), server);
    assert_eq!(
        old.superuser("postgres", "SELECT pg_is_in_recovery()").as_deref(),
        Ok("t"),
        "it serves those who read"
    );
    assert!(!old.log().contains("after a rewind"), "{}", old.log_tail());

    mount_aside(old, "remount,size=500m");
    assert_eq!(cluster.wait_settled_within(REJOIN).name, new.name);
    assert!(old.log().contains("after a rewind"), "{}", old.log_tail());
    oracles.finish(&cluster);
}
