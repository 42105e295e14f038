//! What each role of ours may do, and what it may not, on a monitor and on a node. Who may log in from where is in `stranger`.
use regress::cluster::Cluster;
use regress::server::{APP, APP_PASSWORD, Server, rows_as_text};
use regress::session::target;
use tokio_postgres::Config;

const DENIED: &str = "42501";

/// Every statement of `may` works, or is refused for another reason than rights; every one of `may_not` is refused for rights.
fn check(who: &str, by: &Config, may: &[&str], may_not: &[&str]) {
    for sql in may {
        if let Err(error) = rows_as_text(by, sql) {
            panic!("{who} may not: {sql}: {error}");
        }
    }
    for sql in may_not {
        match rows_as_text(by, sql) {
            Err(error) if error.code.as_deref() == Some(DENIED) => {}
            other => panic!("{who} may: {sql}: {other:?}"),
        }
    }
}

/// What no role of ours may do on any server.
const NOBODY: &[&str] = &[
    "SELECT rolpassword FROM pg_authid",
    "SELECT pg_read_file('PG_VERSION')",
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "COPY (SELECT 1) TO '/tmp/never'",
    "ALTER SYSTEM SET work_mem = '5MB'",
    "SELECT pg_reload_conf()",
    "CREATE ROLE intruder",
    "CREATE DATABASE intruder",
    "CREATE TABLE public.intruder ()",
    "ALTER ROLE postgres PASSWORD 'x'",
    "SET ROLE postgres",
];

fn attributes(server: &Server, role: &str) -> String {
    let sql = format!(
        "SELECT concat_ws(' ', CASE WHEN rolsuper THEN 'superuser' END, CASE WHEN rolcreaterole THEN 'createrole' END,
                CASE WHEN rolcreatedb THEN 'createdb' END, CASE WHEN rolbypassrls THEN 'bypassrls' END,
                CASE WHEN rolreplication THEN 'replication' END, CASE WHEN rolpassword IS NULL THEN 'no password'
                WHEN rolpassword LIKE 'SCRAM-SHA-256$%' THEN 'scram' ELSE 'other' END,
                (SELECT string_agg('in ' || m.roleid::regrole::text, ' ') FROM pg_auth_members m WHERE m.member = r.oid))
           FROM pg_authid r WHERE rolname = '{role}'"
    );
    server.superuser("postgres", &sql).expect("reading pg_authid")
}

#[test]
fn each_role_has_its_own_and_no_more() {
    let mut cluster = Cluster::empty("rights");
    cluster.create_monitor();
    let node = cluster.create_node().clone();
    // Only peers come in as the replicator.
    cluster.create_node();
    cluster.wait_settled();
    let monitor = &cluster.monitor;
    node.superuser("postgres", "CREATE TABLE secret (id int)").expect("a table of the application's");
    node.superuser("postgres", &format!("CREATE ROLE {APP} LOGIN PASSWORD '{APP_PASSWORD}'"))
        .expect("a client");
    monitor.superuser("postgres", "ALTER ROLE autoctl PASSWORD 'operators'").expect("a password");

    assert_eq!(attributes(monitor, "autoctl_node"), "scram");
    assert_eq!(attributes(monitor, "autoctl"), "scram in autoctl_node");
    assert_eq!(attributes(&node, "pgautofailover_replicator"), "replication scram");
    assert_eq!(attributes(&node, "pgautofailover_monitor"), "no password");

    let password = node.secret("replication_password");
    let by_replicator = target(&node.host, node.port, "pgautofailover_replicator", &password, "postgres");
    let rewind = [
        "SELECT pg_ls_dir('.', false, true)",
        "SELECT pg_stat_file('PG_VERSION', true)",
        "SELECT pg_read_binary_file('PG_VERSION')",
        "SELECT pg_read_binary_file('PG_VERSION', 0, 10, true)",
    ];
    let nobody_on_nodes = [
        "SELECT * FROM secret",
        "SELECT pg_promote()",
        "SELECT pg_switch_wal()",
        "SELECT pg_wal_replay_pause()",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'postgres'",
    ];
    check("pgautofailover_replicator", &by_replicator, &rewind, &[&nobody_on_nodes[..], NOBODY].concat());
    let files = ["SELECT pg_ls_dir('.', false, true)", "SELECT pg_read_binary_file('PG_VERSION')"];
    check("a client", &node.app(), &["SELECT 1"], &[&files[..], &nobody_on_nodes, NOBODY].concat());

    let read = [
        "SELECT * FROM pgautofailover.formation",
        "SELECT * FROM pgautofailover.node",
        "SELECT * FROM pgautofailover.event",
        "SELECT * FROM pgautofailover.current_state()",
        "LISTEN state",
        "LISTEN log",
    ];
    let nobody_there = [
        "SELECT * FROM pgautofailover.group_state",
        "SELECT * FROM pgautofailover.node_password",
        "UPDATE pgautofailover.node_state SET goalstate = 'primary'",
        "DELETE FROM pgautofailover.event",
        "INSERT INTO pgautofailover.formation (formationid) VALUES ('intruder')",
        "SELECT pgautofailover.node_password()",
        "CREATE TABLE pgautofailover.intruder ()",
        "DROP EXTENSION pgautofailover",
    ];
    let rotate = [
        "SELECT * FROM pgautofailover.password_holders()",
        "SELECT pgautofailover.rotate_replication_password()",
        "SELECT pgautofailover.rotate_node_password()",
        "SELECT pgautofailover.finish_node_password_rotation(force => true)",
    ];
    // In this order: once the password of autoctl_node is rotated, the one that we know opens nothing.
    let by_node = cluster.monitor_config();
    check("autoctl_node", &by_node, &read, &[&nobody_there[..], &rotate, NOBODY].concat());
    let by_operator = target(&monitor.host, monitor.port, "autoctl", "operators", "pg_auto_failover");
    check("autoctl", &by_operator, &[&read[..], &rotate].concat(), &[&nobody_there[..], NOBODY].concat());
}
