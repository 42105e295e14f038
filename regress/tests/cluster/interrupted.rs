//! `pg_autoctl create …` is killed at each of its steps and repeated: it goes on from there, and in the end says that it is complete.
use regress::cluster::{Cluster, MONITOR_PASSWORD};
use regress::deadlines::START;
use regress::interrupt::cut_everywhere;
use regress::logs;
use regress::oracles::tell;
use regress::server::{Server, text};
use std::process::Command;

fn create(cluster: &Cluster, node: &Server, options: &[&str]) -> Command {
    let mut command = cluster.create_postgres(node);
    command.args(options);
    command
}

/// The pg_ctl of a killed command and that of its repetition may start the server at the same time.
fn check_logs(cluster: &Cluster) {
    for server in std::iter::once(&cluster.monitor).chain(&cluster.nodes) {
        logs::check(&server.name, &server.log(), &["lock file \"postmaster.pid\""]);
    }
}

#[track_caller]
fn is_complete(cluster: &Cluster, command: &mut Command) {
    let output = cluster.run(command);
    let said = text(&output);
    assert!(output.status.success() && said.contains("already"), "a complete one says so: {said}");
}

#[test]
fn creation_is_killed_at_every_step() {
    let mut cluster = Cluster::empty("cut");
    let (pgdata, port) = (cluster.monitor.pgdata.clone(), cluster.monitor.port.to_string());
    let host = cluster.monitor.host.clone();
    let mut monitor = cluster.pg_autoctl();
    monitor.args(["create", "monitor", "--pgdata"]).arg(pgdata);
    monitor.args(["--pgport", &port, "--hostname", &host, "--listen", &host]);
    monitor.env("PGPASSWORD", MONITOR_PASSWORD);
    let mut points = cut_everywhere(&cluster.monitor.account, "create monitor", &monitor);
    is_complete(&cluster, &mut monitor);

    let first = cluster.next_node();
    let mut command = create(&cluster, &first, &["--dbname", "shop", "--username", "owner"]);
    points += cut_everywhere(&cluster.monitor.account, "the first node", &command);
    is_complete(&cluster, &mut command);
    cluster.nodes.push(first.clone());
    let owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'shop'";
    assert_eq!(first.superuser("postgres", owner).as_deref(), Ok("owner"));

    let second = cluster.next_node();
    let mut command = create(&cluster, &second, &[]);
    points += cut_everywhere(&cluster.monitor.account, "a further node", &command);
    is_complete(&cluster, &mut command);
    cluster.nodes.push(second);
    assert_eq!(cluster.wait_settled().name, first.name);
    tell(&format!("killed at {points} points"));
    check_logs(&cluster);
}

#[test]
fn adoption_is_killed_at_every_step() {
    let mut cluster = Cluster::empty("cutadopt");
    cluster.create_monitor();
    let primary = cluster.next_node();
    primary.initdb("");
    primary.start_with("");
    primary.superuser("postgres", "CREATE TABLE past (id int)").expect("a table");
    cluster.nodes.push(primary.clone());
    let standby = cluster.next_node();
    standby.basebackup_of(&primary, "by_hand");
    standby.start_with("");

    let mut adopt = create(&cluster, &primary, &[]);
    let mut points = cut_everywhere(&cluster.monitor.account, "a running server", &adopt);
    is_complete(&cluster, &mut adopt);
    cluster.wait_state(&primary, "single", START);
    primary.superuser("postgres", "INSERT INTO past VALUES (1)").expect("it takes writes");

    let mut adopt = create(&cluster, &standby, &[]);
    points += cut_everywhere(&cluster.monitor.account, "a running standby", &adopt);
    is_complete(&cluster, &mut adopt);
    cluster.nodes.push(standby.clone());
    assert_eq!(cluster.wait_settled().name, primary.name);
    assert!(!standby.state_dir().join("incoming").exists() && !standby.state_dir().join("aside").exists());
    tell(&format!("killed at {points} points"));
    check_logs(&cluster);
}

/// Whatever the last attempt has left, the repetition makes an ordinary server of it, which its keeper does not stop.
#[test]
fn leaving_is_killed_at_every_step() {
    let cluster = Cluster::pair("cutdrop");
    let (primary, secondary) = (cluster.node(1).clone(), cluster.node(2).clone());
    let mut leave = cluster.pg_autoctl();
    leave.args(["drop", "node", "--keep-running"]).env("PGDATA", &secondary.pgdata);
    let points = cut_everywhere(&cluster.monitor.account, "drop node --keep-running", &leave);
    tell(&format!("killed at {points} points"));
    let output = cluster.run(&mut leave);
    assert!(text(&output).contains("holds no node"), "a complete one says so: {}", text(&output));

    if secondary.running().is_none() {
        // The command was killed in the middle of the restart, and cannot know that the server ran.
        secondary.start();
    }
    let configured = "SELECT count(*) FROM pg_file_settings WHERE name LIKE 'pg\\_autoctl.%' OR setting LIKE '%pg_autoctl%'";
    assert_eq!(secondary.superuser("postgres", configured).as_deref(), Ok("0"));
    assert_eq!(secondary.superuser("postgres", "SHOW primary_conninfo").as_deref(), Ok(""));
    assert_eq!(secondary.superuser("postgres", "SELECT pg_is_in_recovery()").as_deref(), Ok("t"));
    primary.sql("INSERT INTO ledger VALUES (-1)").expect("the primary writes alone");
    check_logs(&cluster);
}
