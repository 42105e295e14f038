//! Servers that were there before us become nodes: with their data, their clients, their settings and their slots. And those
//! that cannot are refused, and left as they are.
use regress::cluster::Cluster;
use regress::deadlines::{FAILOVER, REJOIN, START};
use regress::plain::append;
use regress::server::{APP, Server, text};
use regress::wait;
use serde_json::Value;
use std::fs;
use std::process::{Command, Output};

const BAD_ARGUMENTS: i32 = 1;
const BAD_STATE: i32 = 3;

/// A server with a past: data, an application's role, two slots, settings of its own.
fn lived(cluster: &Cluster, configuration: &str) -> Server {
    let server = cluster.next_node();
    server.initdb(configuration);
    server.start_with("-c work_mem=7MB");
    fill(&server);
    server
}

fn fill(server: &Server) {
    let sql = format!(
        "CREATE TABLE past (id int); INSERT INTO past SELECT generate_series(1, 1000);
         CREATE ROLE {APP} LOGIN; GRANT ALL ON past TO {APP};
         SELECT pg_create_physical_replication_slot('somebodys')"
    );
    server.superuser("postgres", &sql).unwrap_or_else(|error| panic!("{error}"));
}

fn ask(server: &Server, sql: &str) -> String {
    server.superuser("postgres", sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// As the guide says it: `export PGDATA=…`, and `pg_autoctl create`.
fn create(cluster: &Cluster, server: &Server, options: &[&str]) -> Command {
    let mut command = cluster.pg_autoctl();
    command.args(["create", "postgres", "--hostname", &server.host, "--name", &server.name]).args(options);
    command.env("PGDATA", &server.pgdata).env("PG_AUTOCTL_MONITOR", cluster.monitor_uri());
    command.env("PGPASSWORD", regress::cluster::MONITOR_PASSWORD);
    command
}

#[track_caller]
fn done(output: &Output) -> String {
    assert!(output.status.success(), "{}", text(output));
    text(output)
}

/// Refused for that reason, and nothing is other than it was.
#[track_caller]
fn refused(cluster: &Cluster, server: &Server, command: &mut Command, status: i32, words: &[&str]) {
    let files = |path: &str| fs::read_to_string(server.pgdata.join(path)).unwrap_or_default();
    let look = || {
        let states = cluster.states().expect("the monitor answers");
        (
            states,
            files("postgresql.conf"),
            files("postgresql.auto.conf"),
            server.running(),
            server.state_dir().exists(),
        )
    };
    let before = look();
    let output = cluster.run(command);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(status), "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
    assert!(before == look(), "a refused command leaves everything as it was: {said}");
}

#[test]
fn a_running_server_becomes_the_first_node() {
    let mut cluster = Cluster::empty("adopt");
    cluster.create_monitor();
    let server = lived(
        &cluster,
        "wal_level = logical\nmax_wal_senders = 20\nwal_keep_size = '256MB'\nlog_min_messages = notice\nmax_connections = 50",
    );
    ask(&server, "ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'");
    ask(&server, "SELECT pg_create_logical_replication_slot('events', 'pgoutput')");
    let before = server.postmaster();

    let port = (server.port + 1).to_string();
    let mut elsewhere = create(&cluster, &server, &["--pgport", &port]);
    refused(&cluster, &server, &mut elsewhere, BAD_ARGUMENTS, &["runs on port"]);

    let said = done(&cluster.run(&mut create(&cluster, &server, &[])));
    assert!(said.contains("restarting the server") && said.contains("disconnected"), "{said}");
    cluster.nodes.push(server.clone());
    cluster.wait_state(&server, "single", START);
    assert_ne!(server.postmaster(), before, "the one restart");
    assert!(!server.log().contains("starting as a standby"), "it comes up writable at once");

    assert_eq!(ask(&server, "SELECT count(*) FROM past"), "1000");
    server.sql("INSERT INTO past VALUES (1001)").expect("its clients go on");
    let settings = [
        ("wal_level", "logical"),
        ("max_wal_senders", "20"),
        ("wal_keep_size", "256MB"),
        ("log_min_messages", "notice"),
        ("work_mem", "7MB"),
        ("shared_preload_libraries", "pg_autoctl, pg_stat_statements"),
        ("listen_addresses", server.host.as_str()),
        ("logging_collector", "off"),
    ];
    for (name, value) in settings {
        assert_eq!(ask(&server, &format!("SHOW {name}")), value, "{name}");
    }
    let conf = fs::read_to_string(server.pgdata.join("postgresql.conf")).expect("its configuration");
    let (_, conf) = conf.rsplit_once("# pg_autoctl begin").expect("our block");
    assert!(conf.trim_end().ends_with("# pg_autoctl end"), "our block stands at the end: {conf}");
    for kept in ["max_wal_senders = '", "wal_keep_size = '", "wal_level = '", "port = '"] {
        assert!(!conf.contains(kept), "{kept} needed no change: {conf}");
    }

    let again = done(&cluster.run(&mut create(&cluster, &server, &[])));
    assert!(again.contains("already"), "{again}");

    // It is a node as any other: a second one joins, and takes over.
    cluster.create_node();
    assert_eq!(cluster.wait_settled().name, server.name);
    let slots = "SELECT string_agg(slot_name, ' ' ORDER BY slot_name) FROM pg_replication_slots WHERE slot_name !~ '^pgauto'";
    assert_eq!(ask(&server, slots), "events somebodys", "slots of others survive");
    let formation = cluster.cli(&[
        "config",
        "get",
        "pg_autoctl.formation",
        "--pgdata",
        server.pgdata.to_str().expect("plain"),
    ]);
    assert_eq!(formation.trim(), "default");
    cluster.ask_monitor("SELECT pgautofailover.perform_failover()").expect("a failover");
    wait::until("the other node is primary", FAILOVER, || match cluster.settled_primary() {
        Ok(primary) if primary.name != server.name => Ok(()),
        other => Err(format!("{:?}", other.map(|primary| primary.name.clone()))),
    });
    assert_eq!(ask(cluster.node(2), "SELECT count(*) FROM past"), "1001");
    cluster.check_logs();
}

#[test]
fn the_operator_may_restart_it_himself() {
    let mut cluster = Cluster::empty("norestart");
    cluster.create_monitor();
    let server = cluster.next_node();
    // With Debian's layout: the configuration is not in PGDATA, and nothing but the start says where.
    server.initdb("max_connections = 150");
    let etc = server.keep_configuration_elsewhere();
    server.start_with(&format!("-c config_file={}/postgresql.conf", etc.display()));
    fill(&server);
    let before = server.postmaster();

    for _ in 0..2 {
        let output = cluster.run(&mut create(&cluster, &server, &["--no-restart", "--json"]));
        done(&output);
        let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(said["needs_restart"], true, "{said}");
        assert!(said["restart_command"].as_str().is_some_and(|c| c.contains("pg_ctl restart")), "{said}");
        assert_eq!(server.postmaster(), before);
        server.sql("INSERT INTO past VALUES (0)").expect("its clients go on");
    }
    let restart = server
        .account
        .command(server.install.program("pg_ctl"))
        .args(["restart", "-w", "-D"])
        .arg(&server.pgdata)
        .arg("-l")
        .arg(etc.join("log"))
        .output();
    done(&restart.expect("running pg_ctl"));
    assert!(fs::read_to_string(etc.join("log")).expect("its log").contains("starting as a writer"));
    wait::until("the monitor has confirmed the writer", START, || {
        server.sql("INSERT INTO past VALUES (0)").map_err(|error| error.to_string())
    });
    let said = done(&cluster.run(&mut create(&cluster, &server, &["--json"])));
    assert!(said.contains("\"state\""), "{said}");
    cluster.nodes.push(server.clone());
    cluster.wait_state(&server, "single", START);
    assert_eq!(ask(&server, "SELECT count(*) FROM past"), "1003");
    assert!(!server.pgdata.join("postgresql.conf").exists(), "the configuration stays where it was");
    assert!(
        fs::read_to_string(etc.join("pg_hba.conf")).expect("its rules").contains("pgautofailover_monitor")
    );

    // A copy of it has a configuration of its own, in which nothing is too low to follow.
    cluster.create_node();
    assert_eq!(ask(cluster.node(2), "SHOW max_connections"), "150");
    assert_eq!(cluster.wait_settled().name, server.name);
    cluster.check_logs();
}

#[test]
fn a_running_standby_needs_no_new_copy() {
    let mut cluster = Cluster::empty("standby");
    cluster.create_monitor();
    // A pair as people make it, with its standby's settings below those that the copy brought.
    let primary = lived(&cluster, "");
    cluster.nodes.push(primary.clone());
    let standby = cluster.next_node();
    standby.basebackup_of(&primary, "standby_by_hand");
    standby.start_with("");
    let mut early = create(&cluster, &standby, &[]);
    refused(&cluster, &standby, &mut early, BAD_STATE, &["has no primary", "register its primary first"]);
    done(&cluster.run(&mut create(&cluster, &primary, &[])));
    fs::write(standby.pgdata.join("not-in-any-copy"), "").expect("a mark in its directory");
    let streams = "SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'";
    wait::until("the standby streams again", START, || {
        match standby.superuser("postgres", streams).as_deref() {
            Ok("1") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });

    let cascaded = Server { name: "node_3".into(), ..standby_of_nobody(&cluster, &standby) };
    refused(
        &cluster,
        &cascaded,
        &mut create(&cluster, &cascaded, &[]),
        BAD_STATE,
        &["primary_conninfo", &primary.name],
    );
    cascaded.stop();

    let said = done(&cluster.run(&mut create(&cluster, &standby, &[])));
    assert!(said.contains("standby_by_hand"), "the slot that nobody uses any more is named: {said}");
    cluster.nodes.push(standby.clone());
    assert_eq!(cluster.wait_settled().name, primary.name);
    assert!(standby.pgdata.join("not-in-any-copy").exists(), "no new base backup");
    assert!(!standby.state_dir().join("aside").exists());
    let slot = "SELECT slot_name FROM pg_replication_slots WHERE active";
    assert_eq!(ask(&primary, slot), "pgautofailover_standby_2");
    primary.sql("INSERT INTO past VALUES (1)").expect("a write with the rule in force");
    primary.kill_tree();
    wait::until("the former standby writes", FAILOVER, || {
        standby.sql("INSERT INTO past VALUES (2)").map_err(|error| error.to_string())
    });
    primary.start();
    assert_eq!(cluster.wait_settled_within(REJOIN).name, standby.name);
    cluster.check_logs();
}

/// A standby that follows another standby, with a directory of its own.
fn standby_of_nobody(cluster: &Cluster, upstream: &Server) -> Server {
    let mut server = cluster.next_node();
    server.pgdata = cluster.directory().join("cascaded");
    let (host, port) = (upstream.host.clone(), cluster.port(regress::address::Place::Node(8)));
    (server.host, server.port) = (host, port);
    server.basebackup_of(upstream, "cascade");
    server.start_with("");
    server
}

#[test]
fn a_group_has_one_primary() {
    let mut cluster = Cluster::empty("second");
    cluster.create_monitor();
    cluster.create_node();
    let stranger = lived(&cluster, "");
    let first = cluster.node(1).name.clone();
    let mut command = create(&cluster, &stranger, &[]);
    refused(
        &cluster,
        &stranger,
        &mut command,
        BAD_STATE,
        &["primary already", &first, "nothing was changed"],
    );
    stranger.sql("INSERT INTO past VALUES (1)").expect("its clients go on");
    // Stopped, it is still not a copy of the group's cluster.
    stranger.stop();
    let mut command = create(&cluster, &stranger, &[]);
    refused(&cluster, &stranger, &mut command, BAD_STATE, &["a cluster of its own", "Nothing was changed"]);
    cluster.check_logs();
}

#[test]
fn a_stopped_directory_of_the_group_joins_as_a_new_copy() {
    let mut cluster = Cluster::empty("rejoins");
    cluster.create_monitor();
    let primary = lived(&cluster, "");
    done(&cluster.run(&mut create(&cluster, &primary, &[])));
    cluster.nodes.push(primary.clone());
    let old = cluster.next_node();
    old.basebackup_of(&primary, "copied");
    append(&old.pgdata.join("postgresql.conf"), "# mine\n");
    fs::write(old.pgdata.join("precious"), "").expect("a mark in its directory");

    let said = done(&cluster.run(&mut create(&cluster, &old, &[])));
    assert!(said.contains("is kept in"), "{said}");
    cluster.nodes.push(old.clone());
    assert_eq!(cluster.wait_settled().name, primary.name);
    assert!(!old.pgdata.join("precious").exists());
    let aside = fs::read_dir(old.state_dir().join("aside")).expect("what was set aside");
    let kept = aside.flatten().any(|entry| entry.path().join("precious").exists());
    assert!(kept, "the old directory is kept");
    cluster.check_logs();
}
