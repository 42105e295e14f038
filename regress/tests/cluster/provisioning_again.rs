//! The guide's trouble-shooting: what stood in the way goes away, the same command is typed again, and it goes on. What is there
//! already is no mistake.
use regress::cluster::{Cluster, MONITOR_PASSWORD};
use regress::deadlines::{COMMAND, START};
use regress::server::{Server, text};
use regress::{process, wait};
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

const MONITOR: i32 = 6;

fn create_monitor(cluster: &Cluster) -> Command {
    let (host, port) = (&cluster.monitor.host, cluster.monitor.port.to_string());
    let mut command = cluster.pg_autoctl();
    command.args(["create", "monitor", "--pgport", &port, "--hostname", host, "--listen", host]);
    command.env("PGDATA", &cluster.monitor.pgdata).env("PGPASSWORD", MONITOR_PASSWORD);
    command
}

#[test]
fn what_stood_in_the_way_is_gone_now() {
    let mut cluster = Cluster::empty("again");
    let first = cluster.next_node();
    // No monitor yet.
    let early = cluster.run(&mut cluster.create_postgres(&first));
    assert_eq!(early.status.code(), Some(MONITOR), "{}", text(&early));
    assert!(!first.pgdata.exists() && !first.state_dir().exists(), "nothing half done");
    cluster.create_monitor();

    // The monitor does not let this machine in yet.
    let rules = cluster.monitor.pgdata.join("pg_hba.conf");
    let open = fs::read_to_string(&rules).expect("the monitor's access rules");
    fs::write(&rules, "local all all peer\n").expect("closing the door");
    reload(&cluster.monitor);
    wait::until("the monitor lets nobody in", START, || {
        cluster.states().map_or(Ok(()), |states| Err(format!("{states:?}")))
    });
    let refused = cluster.run(&mut cluster.create_postgres(&first));
    assert_eq!(refused.status.code(), Some(MONITOR), "{}", text(&refused));
    assert!(text(&refused).contains("pg_hba.conf"), "{}", text(&refused));
    assert!(!first.pgdata.exists() && !first.state_dir().exists(), "nothing half done");
    fs::write(&rules, open).expect("opening it again");
    reload(&cluster.monitor);
    wait::until("the monitor lets us in", START, || cluster.states().map_err(|error| error.to_string()));
    cluster.create_node();

    // The primary does not let the copy begin yet: the command says what it waits for, and goes on by itself.
    first.superuser("postgres", "ALTER ROLE pgautofailover_replicator NOLOGIN").expect("closing the door");
    let second = cluster.next_node();
    let (mut child, waits) = started(cluster.create_postgres(&second), "tries again");
    assert!(waits.contains("pgautofailover_replicator"), "the reason is told: {waits}");
    first.superuser("postgres", "ALTER ROLE pgautofailover_replicator LOGIN").expect("opening it again");
    wait::until("the command has ended", COMMAND, || match child.try_wait().expect("waiting") {
        Some(status) if status.success() => Ok(()),
        other => Err(format!("{other:?}")),
    });
    cluster.nodes.push(second);
    assert_eq!(cluster.wait_settled().name, first.name);
}

/// Starts a command, and reads what it says until the word.
fn started(mut command: Command, word: &str) -> (Child, String) {
    let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("starting it");
    let mut said = BufReader::new(child.stderr.take().expect("piped")).lines();
    let line = said.by_ref().map_while(Result::ok).find(|line| line.contains(word));
    // Nobody reads the rest, and it must not be in the way.
    std::thread::spawn(move || said.for_each(drop));
    (child, line.unwrap_or_else(|| panic!("it ended without {word:?}")))
}

fn reload(server: &Server) {
    process::signal("HUP", &[server.postmaster()]);
}

#[test]
fn what_is_there_already_is_no_mistake() {
    let mut cluster = Cluster::empty("there");
    // A monitor's server that somebody has prepared by hand, database and roles included.
    let monitor = cluster.monitor.clone();
    monitor.initdb("");
    monitor.start_with("");
    let prepared =
        ["CREATE ROLE autoctl_node LOGIN", "CREATE ROLE autoctl", "CREATE DATABASE pg_auto_failover"];
    for statement in prepared {
        monitor.superuser("postgres", statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    monitor.stop();
    for said in ["ready", "already"] {
        let output = cluster.run(&mut create_monitor(&cluster));
        assert!(output.status.success() && text(&output).contains(said), "{}", text(&output));
    }

    // A server with the database, the role and even our own role there.
    let first = cluster.next_node();
    first.initdb("");
    first.start_with("");
    for statement in [
        "CREATE ROLE owner LOGIN",
        "CREATE DATABASE shop OWNER owner",
        "CREATE ROLE pgautofailover_monitor LOGIN",
    ] {
        first.superuser("postgres", statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    let mut command = cluster.pg_autoctl();
    command.args(["create", "postgres", "--hostname", &first.host, "--name", &first.name]);
    command.args(["--dbname", "shop", "--username", "owner"]);
    command.env("PGDATA", &first.pgdata).env("PG_AUTOCTL_MONITOR", cluster.monitor_uri());
    command.env("PGPASSWORD", MONITOR_PASSWORD);
    for _ in 0..2 {
        let output = cluster.run(&mut command);
        assert!(output.status.success(), "{}", text(&output));
    }
    cluster.nodes.push(first.clone());
    cluster.wait_state(&first, "single", START);
}

#[test]
fn it_may_stay_in_the_foreground() {
    let mut cluster = Cluster::empty("run");
    let monitor = in_foreground(create_monitor(&cluster), &cluster.monitor);
    let first = cluster.next_node();
    let mut command = cluster.create_postgres(&first);
    command.args(["--dbname", "shop", "--username", "owner"]);
    let one = in_foreground(command, &first);
    cluster.nodes.push(first.clone());
    cluster.wait_state(&first, "single", START);
    wait::until("the database is there", START, || {
        first.superuser("shop", "SELECT 1").map_err(|error| error.clone())
    });
    let second = cluster.next_node();
    let two = in_foreground(cluster.create_postgres(&second), &second);
    cluster.nodes.push(second);
    assert_eq!(cluster.wait_settled().name, first.name);
    // As a container's manager does: the same command again, which finds the node and runs it.
    cluster.node(2).stop();
    ended(two);
    let again = in_foreground(cluster.create_postgres(cluster.node(2)), cluster.node(2));
    assert_eq!(cluster.wait_settled().name, first.name);
    for (child, server) in [(again, cluster.node(2)), (one, &first), (monitor, &cluster.monitor)] {
        server.stop();
        ended(child);
    }
}

/// Starts `create … --run`, and waits until the command itself has become the server.
fn in_foreground(mut command: Command, server: &Server) -> Child {
    let child = command.arg("--run").stdin(Stdio::null()).spawn().expect("starting it");
    wait::until("the command has become the server", regress::deadlines::CREATE, || match server.running() {
        Some(pid) if pid == child.id() => server.superuser("postgres", "SELECT 1"),
        other => Err(format!("{other:?}, not {}", child.id())),
    });
    child
}

fn ended(mut child: Child) {
    wait::until("the server has ended", COMMAND, || match child.try_wait() {
        Ok(Some(_)) | Err(_) => Ok(()),
        Ok(None) => Err("it runs"),
    });
}
