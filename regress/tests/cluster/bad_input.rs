//! What cannot work is refused: one line that names the cause, perhaps one with the next step, the documented exit status, and
//! everything as it was.
use regress::cluster::Cluster;
use regress::server::{Server, text};
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// The documented exit statuses.
const OK: i32 = 0;
const BAD_ARGUMENTS: i32 = 1;
const BAD_CONFIGURATION: i32 = 2;
const BAD_STATE: i32 = 3;
const MONITOR: i32 = 6;

/// A refused command: status, words of the cause that must appear, and nothing changed in `directory` or on the monitor.
#[track_caller]
fn refused(cluster: &Cluster, directory: &Path, command: &mut Command, status: i32, words: &[&str]) {
    let before = (listing(directory), cluster.states().map_err(|error| error.to_string()));
    let output = cluster.run(command);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(status), "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
    let lines = said.lines().filter(|line| !line.trim().is_empty()).count();
    assert!(lines <= 2, "one line for the cause and one for the next step, not {lines}: {said}");
    assert!(!said.contains("panicked"), "{said}");
    let after = (listing(directory), cluster.states().map_err(|error| error.to_string()));
    assert_eq!(before, after, "a refused command leaves everything as it was");
}

/// Every file below and beside a data directory.
fn listing(pgdata: &Path) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    let mut state_dir = pgdata.as_os_str().to_owned();
    state_dir.push(".autoctl");
    for directory in [pgdata, Path::new(&state_dir)] {
        walk(directory, &mut found);
    }
    found.sort();
    found
}

fn walk(directory: &Path, found: &mut Vec<(String, u64)>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        // Only what stays: a running server writes its log and its statistics.
        let length = entry.metadata().map(|metadata| metadata.len()).unwrap_or_default();
        let path = entry.path();
        if path.is_dir() { walk(&path, found) } else { found.push((path.display().to_string(), length)) }
    }
}

/// A cluster of nobody's, made by initdb.
fn initdb(cluster: &Cluster, node: &Server) {
    let output = cluster.run(
        node.account.command(node.install.program("initdb")).args(["--no-sync", "-D"]).arg(&node.pgdata),
    );
    assert!(output.status.success(), "initdb: {}", text(&output));
}

fn with_one_node(name: &str) -> Cluster {
    let mut cluster = Cluster::empty(name);
    cluster.create_monitor();
    cluster.create_node();
    cluster
}

#[test]
fn the_monitor_cannot_be_used() {
    let mut cluster = Cluster::empty("nomonitor");
    cluster.create_monitor();
    let node = cluster.next_node();

    let elsewhere = format!("postgres://autoctl_node@{}:{}/pg_auto_failover", node.host, node.port);
    let mut unreachable = cluster.create_postgres(&node);
    unreachable.args(["--monitor", &elsewhere]);
    refused(&cluster, &node.pgdata, &mut unreachable, MONITOR, &["monitor", &node.host]);

    let mut wrong_password = cluster.create_postgres(&node);
    wrong_password.env("PGPASSWORD", "guessed");
    refused(&cluster, &node.pgdata, &mut wrong_password, MONITOR, &["password"]);
}

#[test]
fn the_place_is_taken() {
    let cluster = with_one_node("taken");
    let node = cluster.next_node();

    let squatter = TcpListener::bind((node.host.as_str(), node.port)).expect("the port is free");
    let port = node.port.to_string();
    refused(&cluster, &node.pgdata, &mut cluster.create_postgres(&node), BAD_CONFIGURATION, &["port", &port]);
    drop(squatter);

    fs::create_dir(&node.pgdata).expect("mkdir");
    fs::write(node.pgdata.join("holiday.jpg"), "precious").expect("writing a file");
    node.account.own(&node.pgdata);
    let pgdata = node.pgdata.to_string_lossy().into_owned();
    refused(&cluster, &node.pgdata, &mut cluster.create_postgres(&node), BAD_STATE, &[&pgdata]);
    fs::remove_dir_all(&node.pgdata).expect("removing it again");

    initdb(&cluster, &node);
    refused(&cluster, &node.pgdata, &mut cluster.create_postgres(&node), BAD_STATE, &[&pgdata]);

    fs::write(node.pgdata.join("PG_VERSION"), "11\n").expect("writing PG_VERSION");
    refused(
        &cluster,
        &node.pgdata,
        &mut cluster.create_postgres(&node),
        BAD_CONFIGURATION,
        &["version", "11"],
    );
}

#[test]
fn the_library_is_not_installed() {
    let cluster = with_one_node("nolibrary");
    let node = cluster.next_node();
    // An installation as it is before `make install`: the same programs, but a library directory without ours.
    let programs = cluster.directory().join("programs");
    fs::create_dir(&programs).expect("mkdir");
    let script = |name: &str, line: String| {
        let path = programs.join(name);
        fs::write(&path, format!("#!/bin/sh\n{line}\n")).expect("writing a script");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("chmod");
    };
    for name in ["initdb", "pg_ctl", "postgres", "pg_basebackup", "pg_controldata"] {
        script(name, format!("exec {} \"$@\"", node.install.program(name).display()));
    }
    script("pg_config", format!("echo {}", programs.display()));

    let mut command = cluster.create_postgres(&node);
    command.arg("--pgctl").arg(programs.join("pg_ctl"));
    refused(&cluster, &node.pgdata, &mut command, BAD_CONFIGURATION, &["pg_autoctl.so", "make install"]);
}

#[test]
fn what_is_there_is_not_made_twice() {
    let cluster = with_one_node("twice");
    let node = cluster.node(1);
    let before = (node.postmaster(), cluster.states().expect("the monitor answers"));
    let output = cluster.run(&mut cluster.create_postgres(node));
    assert_eq!(output.status.code(), Some(OK), "{}", text(&output));
    assert!(text(&output).contains("already"), "{}", text(&output));
    assert_eq!(before, (node.postmaster(), cluster.states().expect("the monitor answers")));

    let pgdata = node.pgdata.to_string_lossy().into_owned();
    for action in [&["get", "pg_autoctl.formatoin"][..], &["set", "pg_autoctl.formatoin", "other"]] {
        let mut command = cluster.pg_autoctl();
        command.arg("config").args(action).args(["--pgdata", &pgdata]);
        let output = cluster.run(&mut command);
        assert_eq!(output.status.code(), Some(BAD_ARGUMENTS), "{}", text(&output));
        assert!(
            text(&output).contains("pg_autoctl.formation"),
            "the right name is offered: {}",
            text(&output)
        );
    }
}

#[test]
fn root_is_told_whom_to_be() {
    let cluster = Cluster::empty("root");
    if !cluster.monitor.account.tests_run_as_root() {
        regress::oracles::tell("not run as root: that pg_autoctl refuses root was not tried");
        return;
    }
    let mut command = cluster.pg_autoctl_as_myself();
    command.args(["create", "monitor", "--pgdata"]).arg(&cluster.monitor.pgdata);
    let output = cluster.run(&mut command);
    assert_eq!(output.status.code(), Some(BAD_ARGUMENTS), "{}", text(&output));
    assert!(text(&output).contains("runuser -u postgres"), "{}", text(&output));
    assert!(!cluster.monitor.pgdata.exists());
}
