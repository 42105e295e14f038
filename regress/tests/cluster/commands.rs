//! What an operator types in the course of a node's life: each command once as it is meant, once more, and once where it is refused.
use regress::cluster::Cluster;
use regress::deadlines::FAILOVER;
use regress::server::{Server, text};
use regress::wait;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Output;

const OK: i32 = 0;
const ARGUMENTS: i32 = 1;
const CONFIGURATION: i32 = 2;
const STATE: i32 = 3;

fn run(cluster: &Cluster, on: &Server, arguments: &[&str]) -> Output {
    cluster.run(cluster.pg_autoctl().args(arguments).env("PGDATA", &on.pgdata))
}

/// The exit status, and what was said in all.
#[track_caller]
fn expect(status: i32, cluster: &Cluster, on: &Server, arguments: &[&str]) -> String {
    let output = run(cluster, on, arguments);
    assert_eq!(output.status.code(), Some(status), "pg_autoctl {arguments:?}: {}", text(&output));
    text(&output)
}

#[track_caller]
fn printed(cluster: &Cluster, on: &Server, arguments: &[&str]) -> String {
    let output = run(cluster, on, arguments);
    assert!(output.status.success(), "pg_autoctl {arguments:?}: {}", text(&output));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

#[track_caller]
fn json(cluster: &Cluster, on: &Server, arguments: &[&str]) -> Value {
    let said = printed(cluster, on, &[arguments, &["--json"]].concat());
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{arguments:?} printed {said}: {error}"))
}

#[test]
fn maintenance_and_promotion() {
    let cluster = Cluster::pair("cmdmaint");
    let (first, second) = (cluster.node(1), cluster.node(2));
    let said = expect(STATE, &cluster, first, &["enable", "maintenance"]);
    assert!(said.contains("--allow-failover"), "{said}");

    expect(OK, &cluster, second, &["enable", "maintenance"]);
    cluster.wait_state(first, "wait_primary", FAILOVER);
    let again = expect(OK, &cluster, second, &["enable", "maintenance"]);
    assert!(again.contains("already"), "{again}");
    second.stop();
    second.start();
    expect(OK, &cluster, &cluster.monitor, &["disable", "maintenance", "--name", &second.name]);
    cluster.wait_settled();
    let again = expect(OK, &cluster, second, &["disable", "maintenance"]);
    assert!(again.contains("not in maintenance"), "{again}");

    // The primary: another node writes before this one is taken out.
    expect(OK, &cluster, first, &["enable", "maintenance", "--allow-failover"]);
    cluster.wait_state(second, "wait_primary", FAILOVER);
    cluster.wait_state(first, "maintenance", FAILOVER);
    expect(OK, &cluster, first, &["disable", "maintenance"]);
    assert_eq!(cluster.wait_settled().name, second.name);

    expect(OK, &cluster, &cluster.monitor, &["perform", "promotion", "--name", &first.name]);
    assert_eq!(cluster.wait_settled().name, first.name);
    let again = expect(OK, &cluster, first, &["perform", "promotion"]);
    assert!(again.contains("already"), "{again}");
    expect(STATE, &cluster, &cluster.monitor, &["perform", "promotion", "--name", "nobody"]);
    expect(ARGUMENTS, &cluster, &cluster.monitor, &["perform", "promotion"]);
    cluster.check_logs();
}

#[test]
fn settings_and_formations() {
    let cluster = Cluster::pair("cmdset");
    let (monitor, first, second) = (&cluster.monitor, cluster.node(1), cluster.node(2));
    assert_eq!(printed(&cluster, second, &["get", "node", "candidate-priority"]), "100");
    expect(OK, &cluster, second, &["set", "node", "candidate-priority", "50"]);
    expect(OK, &cluster, second, &["set", "node", "candidate-priority", "50"]);
    assert_eq!(
        printed(&cluster, monitor, &["get", "node", "candidate-priority", "--name", &second.name]),
        "50"
    );
    expect(ARGUMENTS, &cluster, second, &["set", "node", "candidate-priority", "101"]);
    assert_eq!(printed(&cluster, second, &["get", "node", "replication-quorum"]), "true");
    let names = printed(&cluster, first, &["show", "standby-names"]);
    assert_eq!(names, "ANY 1 (pgautofailover_standby_2)");
    expect(OK, &cluster, second, &["set", "node", "replication-quorum", "false"]);
    wait::until("commits do not wait for it any more", FAILOVER, || {
        let names = printed(&cluster, first, &["show", "standby-names"]);
        if names.is_empty() { Ok(()) } else { Err(names) }
    });
    expect(OK, &cluster, second, &["set", "node", "replication-quorum", "true"]);
    wait::until("commits wait for it again", FAILOVER, || {
        let names = printed(&cluster, first, &["show", "standby-names"]);
        if names.is_empty() { Err(names) } else { Ok(()) }
    });
    assert_eq!(printed(&cluster, first, &["get", "formation", "number-sync-standbys"]), "0");
    expect(STATE, &cluster, monitor, &["set", "formation", "number-sync-standbys", "1"]);
    expect(OK, &cluster, monitor, &["set", "formation", "number-sync-standbys", "0"]);
    let settings = json(&cluster, monitor, &["show", "settings"]);
    let shown = settings.as_array().expect("rows").iter();
    let of_second = shown.filter(|row| row["nodename"] == second.name.as_str() && row["value"] == "50");
    assert_eq!(of_second.count(), 1, "{settings}");
    assert!(printed(&cluster, monitor, &["show", "settings"]).starts_with(" "), "a table");

    expect(OK, &cluster, monitor, &["create", "formation", "--formation", "other", "--dbname", "shop"]);
    let again =
        expect(OK, &cluster, monitor, &["create", "formation", "--formation", "other", "--dbname", "shop"]);
    assert!(again.contains("already"), "{again}");
    expect(STATE, &cluster, monitor, &["create", "formation", "--formation", "other", "--dbname", "else"]);
    expect(OK, &cluster, monitor, &["disable", "secondary", "--formation", "other"]);
    expect(OK, &cluster, monitor, &["enable", "secondary", "--formation", "other"]);
    expect(STATE, &cluster, monitor, &["disable", "secondary"]);
    let uri = printed(&cluster, monitor, &["show", "uri", "--formation", "default"]);
    assert!(uri.starts_with("postgres://") && uri.lines().count() == 1, "the string alone: {uri}");
    expect(STATE, &cluster, monitor, &["show", "uri", "--formation", "other"]);
    expect(STATE, &cluster, monitor, &["drop", "formation", "--formation", "default"]);
    expect(ARGUMENTS, &cluster, monitor, &["drop", "formation"]);
    expect(OK, &cluster, monitor, &["drop", "formation", "--formation", "other"]);
    expect(OK, &cluster, monitor, &["drop", "formation", "--formation", "other"]);
    cluster.wait_settled();
    cluster.check_logs();
}

#[test]
fn the_server_and_its_check() {
    let mut cluster = Cluster::empty("cmdcheck");
    cluster.create_monitor();
    cluster.create_node();
    let (monitor, node) = (cluster.monitor.clone(), cluster.node(1).clone());
    cluster.wait_state(&node, "single", FAILOVER);
    for server in [&monitor, &node] {
        let said = expect(OK, &cluster, server, &["status"]);
        assert!(said.contains(&server.postmaster().to_string()), "{said}");
        expect(OK, &cluster, server, &["reload"]);
        assert_eq!(expect(OK, &cluster, server, &["config", "check"]), "nothing is wrong");
    }
    // One of each kind, and the next step beside it.
    let secrets = node.state_dir().join("secrets");
    fs::set_permissions(&secrets, fs::Permissions::from_mode(0o644)).expect("chmod");
    let conf = node.pgdata.join("postgresql.conf");
    let whole = fs::read_to_string(&conf).expect("postgresql.conf");
    fs::write(&conf, format!("{whole}\nfsync = off\nmax_wal_senders = 13\nwork_mem = 'much'\n"))
        .expect("writing it");
    expect(OK, &cluster, &node, &["reload"]);
    let found = expect(CONFIGURATION, &cluster, &node, &["config", "check"]);
    assert!(found.contains("work_mem") || found.contains("cannot be read"), "{found}");
    fs::write(
        &conf,
        format!(
            "{whole}\nfsync = off\nmax_wal_senders = 13\npg_autoctl.heartbeat_period = 5s\n\
             shared_preload_libraries = 'pg_stat_statements, pg_autoctl'\n"
        ),
    )
    .expect("writing it");
    expect(OK, &cluster, &node, &["reload"]);
    let told = wait::until("the restart that is needed is told", FAILOVER, || {
        let found = expect(CONFIGURATION, &cluster, &node, &["config", "check"]);
        if found.contains("max_wal_senders") { Ok(found) } else { Err(found) }
    });
    for words in ["chmod 600", "fsync = off", "max_wal_senders", "heartbeat_period", "pg_autoctl first"] {
        assert!(told.contains(words), "{words:?} is not in: {told}");
    }
    assert_eq!(told.lines().count(), 5, "one line each: {told}");
    fs::write(&conf, &whole).expect("writing it");
    fs::set_permissions(&secrets, fs::Permissions::from_mode(0o600)).expect("chmod");

    expect(OK, &cluster, &node, &["stop"]);
    expect(STATE, &cluster, &node, &["status"]);
    expect(STATE, &cluster, &node, &["reload"]);
    let stopped = json_of_failure(&cluster, &node);
    assert_eq!((&stopped["running"], &stopped["state"]), (&Value::Bool(false), &Value::from("single")));
    expect(STATE, &cluster, &node, &["drop", "monitor"]);
    expect(OK, &cluster, &monitor, &["drop", "monitor"]);
    expect(OK, &cluster, &monitor, &["drop", "monitor"]);
    assert!(monitor.running().is_none() && monitor.pgdata.join("PG_VERSION").exists());
}

/// `status --json` of a server that does not run: the answer is printed, and the exit status says it too.
fn json_of_failure(cluster: &Cluster, node: &Server) -> Value {
    let output = run(cluster, node, &["status", "--json"]);
    assert_eq!(output.status.code(), Some(STATE));
    serde_json::from_slice(&output.stdout).expect("JSON")
}
