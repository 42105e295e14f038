//! The guide's section "Trouble-Shooting": what was not there yet when a command failed is there when it is repeated, and what is
//! there already is in nobody's way.
use regress::cluster::Cluster;
use regress::plain::append;
use regress::server::{Server, text};
use std::fs;

const MONITOR: i32 = 6;

fn reload(server: &Server) {
    server.superuser("postgres", "SELECT pg_reload_conf()").expect("reloading");
}

/// The monitor's end of a firewall whose rule is not there yet.
fn shut(monitor: &Server) -> String {
    let rules = monitor.pgdata.join("pg_hba.conf");
    let open = fs::read_to_string(&rules).expect("reading pg_hba.conf");
    fs::write(&rules, format!("host all all all reject\n{open}")).expect("writing pg_hba.conf");
    reload(monitor);
    open
}

/// For a cause at the monitor, which is said, and with nothing half done.
#[track_caller]
fn refused(cluster: &Cluster, node: &Server, words: &[&str]) {
    let output = cluster.run(&mut cluster.create_postgres(node));
    let said = text(&output);
    assert_eq!(output.status.code(), Some(MONITOR), "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
    assert!(!node.pgdata.exists(), "nothing is half done: {said}");
}

#[test]
fn a_node_is_made_once_the_monitor_can_be_reached() {
    let mut cluster = Cluster::empty("notyet");
    let node = cluster.next_node();
    refused(&cluster, &node, &["cannot reach the monitor", "hint: "]);
    cluster.create_monitor();
    let open = shut(&cluster.monitor);
    refused(&cluster, &node, &["pg_hba.conf", "hint: "]);
    fs::write(cluster.monitor.pgdata.join("pg_hba.conf"), open).expect("writing pg_hba.conf");
    reload(&cluster.monitor);

    // The same command, word for word.
    assert_eq!(cluster.create_node().name, node.name);
    let again = cluster.run(&mut cluster.create_postgres(&node));
    assert!(again.status.success() && text(&again).contains("already"), "{}", text(&again));
    cluster.check_logs();
}

#[test]
fn what_is_there_already_is_in_nobodys_way() {
    let mut cluster = Cluster::empty("there");
    let monitor = cluster.monitor.clone();
    monitor.initdb("");
    monitor.start_with("");
    for sql in ["CREATE DATABASE pg_auto_failover", "CREATE ROLE autoctl_node LOGIN", "CREATE ROLE autoctl"] {
        monitor.superuser("postgres", sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    monitor.stop();
    append(&monitor.pgdata.join("postgresql.conf"), "# somebody's own line\n");
    cluster.create_monitor();
    let before = monitor.postmaster();
    cluster.create_monitor();
    assert_eq!(monitor.postmaster(), before, "a complete one is left alone");

    let node = cluster.create_node().clone();
    for sql in ["CREATE DATABASE shop", "CREATE ROLE owner LOGIN"] {
        node.superuser("postgres", sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    let mut command = cluster.create_postgres(&node);
    let output = cluster.run(command.args(["--dbname", "shop", "--username", "owner"]));
    assert!(output.status.success(), "{}", text(&output));
    cluster.check_logs();
}
