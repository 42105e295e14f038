//! From nothing to a pair, and what pg_autoctl says of it.
use regress::cluster::Cluster;
use serde_json::Value;
use std::process::Command;

fn json(cluster: &Cluster, arguments: &[&str]) -> Value {
    let text = cluster.cli(arguments);
    serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("pg_autoctl {arguments:?} printed {text}: {error}"))
}

fn rows(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_else(|| panic!("not a list: {value}"))
}

#[test]
fn a_monitor_and_two_nodes() {
    let mut cluster = Cluster::empty("first");
    cluster.create_monitor();
    let alone = cluster.create_node().clone();
    cluster.wait_state(&alone, "single", regress::deadlines::START);
    cluster.create_node();
    assert_eq!(cluster.wait_settled().name, alone.name);
    cluster.prepare_oracles();

    let standby = cluster.node(2);
    assert!(alone.sql("INSERT INTO ledger VALUES (-1)").is_ok());
    let refused = standby.sql("INSERT INTO ledger VALUES (-2)").expect_err("a standby takes no writes");
    assert!(refused.is_read_only(), "{refused}");

    let monitor = cluster.monitor.pgdata.to_str().expect("a plain path");
    let state = json(&cluster, &["show", "state", "--pgdata", monitor, "--json"]);
    let mut reported: Vec<_> = rows(&state).iter().map(|row| row["current_group_state"].as_str()).collect();
    reported.sort();
    assert_eq!(reported, [Some("primary"), Some("secondary")], "{state}");

    let node = alone.pgdata.to_str().expect("a plain path");
    let own_group = json(&cluster, &["show", "state", "--pgdata", node, "--json"]);
    assert_eq!(rows(&own_group).len(), 2, "a node shows its own group: {own_group}");
    let events = json(&cluster, &["show", "events", "--pgdata", monitor, "--json", "--count", "5"]);
    assert_eq!(rows(&events).len(), 5, "{events}");

    // What `show uri` prints is what an application can use as it is.
    let uri = cluster
        .ask_monitor("SELECT pgautofailover.formation_uri(sslmode => 'require')")
        .expect("formation_uri");
    let shown = cluster.cli(&["show", "uri", "--pgdata", monitor, "--json"]);
    assert!(shown.contains(&uri), "{uri} is not in {shown}");
    let answer = psql(&cluster, &uri);
    assert_eq!(answer, format!("{}|f", alone.port), "the URI leads to the writer");
    cluster.check_logs();
}

fn psql(cluster: &Cluster, uri: &str) -> String {
    let install = regress::install::Install::find();
    let output = cluster.run(
        Command::new(install.program("psql"))
            .args(["-X", "-At", "-c", "SELECT inet_server_port(), pg_is_in_recovery()", uri])
            .env("PGUSER", regress::server::APP)
            .env("PGPASSWORD", regress::server::APP_PASSWORD),
    );
    regress::server::text(&output)
}

#[test]
fn what_the_configuration_says() {
    let mut cluster = Cluster::empty("config");
    cluster.create_monitor();
    let node = cluster.create_node().clone();
    let pgdata = node.pgdata.to_str().expect("a plain path");
    assert_eq!(cluster.cli(&["config", "get", "pg_autoctl.formation", "--pgdata", pgdata]).trim(), "default");
    assert_eq!(cluster.cli(&["config", "get", "pg_autoctl.group", "--pgdata", pgdata]).trim(), "0");
    assert_eq!(node.superuser("postgres", "SHOW pg_autoctl.formation").as_deref(), Ok("default"));
    cluster.check_logs();
}
