//! The block of pg_hba.conf: it follows the nodes and what their names stand for, and it is the operator's when he says so.
use regress::address::Place;
use regress::cluster::Cluster;
use regress::deadlines::{COMMAND, CREATE, REJOIN, START};
use regress::faults::Part;
use regress::install::Install;
use regress::network::Network;
use regress::oracles::tell;
use regress::server::{Server, rows_as_text, text};
use regress::session::target;
use regress::wait;
use serde_json::Value;
use std::fs;
use std::process::Command;
use std::thread;
use std::time::Instant;
use tokio_postgres::Config;

fn hba(server: &Server) -> String {
    fs::read_to_string(server.pgdata.join("pg_hba.conf")).expect("reading pg_hba.conf")
}

/// The lines between the two marks.
fn block(server: &Server) -> Vec<String> {
    let text = hba(server);
    let inside = text.lines().skip_while(|line| !line.starts_with("# pg_autoctl begin")).skip(1);
    inside.take_while(|line| !line.starts_with("# pg_autoctl end")).map(str::to_owned).collect()
}

fn admits(server: &Server, address: &str) -> bool {
    block(server)
        .iter()
        .any(|line| line.contains(&format!("replication pgautofailover_replicator {address}/32 ")))
}

/// Makes a node that the others know by a name.
fn create_named(cluster: &mut Cluster, name: &str) -> Server {
    let node = cluster.next_machine();
    let mut command = node.account.command(Install::find().program("pg_autoctl"));
    command.args([
        "create",
        "postgres",
        "--name",
        &node.name,
        "--hostname",
        name,
        "--listen",
        "*",
        "--pgdata",
    ]);
    command.arg(&node.pgdata).args(["--pgport", &node.port.to_string()]);
    command.env("PG_AUTOCTL_MONITOR", cluster.monitor_uri()).env("PGPASSWORD", &cluster.monitor_password);
    let output = cluster.run(&mut command);
    assert!(output.status.success(), "create {}: {}\n{}", node.name, text(&output), node.log_tail());
    cluster.nodes.push(node.clone());
    node
}

#[test]
fn names_follow_their_addresses() {
    if !Network::is_possible() {
        return;
    }
    let mut cluster = Cluster::on_machines("names");
    let network = cluster.network();
    let (first, second) = (network.host(Place::Node(1)), network.host(Place::Node(2)));
    network.name(&[("one.test", &first), ("two.test", &second)]);
    cluster.create_monitor();
    let primary = create_named(&mut cluster, "one.test");
    let standby = create_named(&mut cluster, "two.test");
    cluster.wait_settled();
    assert!(admits(&primary, &second) && !admits(&primary, &first), "{:?}", block(&primary));
    wait::until("the standby lets the primary in", COMMAND, || {
        if admits(&standby, &first) { Ok(()) } else { Err(block(&standby)) }
    });

    standby.stop();
    let network = cluster.network();
    let moved = network.move_away(Place::Node(2));
    network.name(&[("one.test", &first), ("two.test", &moved)]);
    standby.start();
    let started = Instant::now();
    wait::until("the standby is let in from where it is now", REJOIN, || {
        if admits(&primary, &moved) && !admits(&primary, &second) { Ok(()) } else { Err(block(&primary)) }
    });
    tell(&format!("a standby at another address is let in after {} ms", started.elapsed().as_millis()));
    cluster.wait_settled_within(REJOIN);

    // Nobody can say what the name stands for: it stands for what it stood for, even to a keeper that has just started.
    let before = block(&primary);
    network.name(&[("one.test", &first)]);
    primary.signal("TERM", Part::Keeper);
    wait::until("the keeper has asked for the name in vain", START, || {
        if primary.log().contains("\"two.test\" of another node stands for no address") {
            Ok(())
        } else {
            Err(primary.log_tail())
        }
    });
    assert_eq!(block(&primary), before, "a name that nobody knows keeps its lines");

    network.name(&[("one.test", &first), ("two.test", &moved)]);
    cluster.wait_settled_within(REJOIN);
    standby.stop();
    let monitor = cluster.monitor.pgdata.to_str().expect("a plain path");
    cluster.cli(&["drop", "node", "--pgdata", monitor, "--name", &standby.name, "--force"]);
    wait::until("who has left the group is not let in any more", COMMAND, || {
        if admits(&primary, &moved) { Err(block(&primary)) } else { Ok(()) }
    });
}

/// Puts lines at the top of the file, as an operator would, and has the server read them.
fn write_by_hand(server: &Server, lines: &[&str]) {
    let path = server.pgdata.join("pg_hba.conf");
    let text = format!("{}\n{}", lines.join("\n"), hba(server));
    fs::write(path, text).expect("writing pg_hba.conf");
    server.superuser("postgres", "SELECT pg_reload_conf()").expect("reloading");
}

fn made(cluster: &Cluster, command: &mut Command) -> Value {
    let output = cluster.run(command.args(["--skip-pg-hba", "--json"]));
    assert!(output.status.success(), "{}", text(&output));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{}: {error}", text(&output)))
}

fn lines(made: &Value) -> Vec<&str> {
    let lines = made["pg_hba"].as_array().unwrap_or_else(|| panic!("no lines in {made}"));
    lines.iter().filter_map(Value::as_str).collect()
}

#[test]
fn it_is_the_operators_when_he_says_so() {
    let mut cluster = Cluster::empty("skip");
    let monitor = cluster.monitor.clone();
    let mut create = cluster.pg_autoctl();
    create.args(["create", "monitor", "--hostname", &monitor.host, "--listen", &monitor.host, "--pgdata"]);
    create
        .arg(&monitor.pgdata)
        .args(["--pgport", &monitor.port.to_string()])
        .env("PGPASSWORD", &cluster.monitor_password);
    let told = made(&cluster, &mut create);
    assert!(!hba(&monitor).contains("pg_autoctl"), "{}", hba(&monitor));
    write_by_hand(&monitor, &lines(&told));

    let first = cluster.next_node();
    let told = made(&cluster, &mut cluster.create_postgres(&first));
    assert!(!hba(&first).contains("pg_autoctl"), "{}", hba(&first));
    write_by_hand(&first, &lines(&told));
    cluster.nodes.push(first.clone());

    let second = cluster.next_node();
    let mut create = cluster.create_postgres(&second);
    thread::scope(|scope| {
        let making = scope.spawn(|| made(&cluster, &mut create));
        // The keeper says what to add when there is somebody to let in; until then the new node waits.
        let wanted = format!("replication pgautofailover_replicator {}/32 scram-sha-256", second.host);
        let said = wait::until("the first node says whom to let in", CREATE, || {
            let log = first.log();
            let line = log.lines().find(|line| line.contains(&wanted)).map(str::trim);
            line.map(str::to_owned).ok_or_else(|| first.log_tail())
        });
        let log = first.log();
        let (_, latest) = log.rsplit_once("it has to begin with these lines:").expect("said so");
        let all: Vec<&str> = latest.lines().skip(1).map_while(|line| line.strip_prefix('\t')).collect();
        assert!(all.contains(&said.as_str()), "{latest}");
        write_by_hand(&first, &all);
        let told = making.join().expect("creating the second node");
        assert!(!lines(&told).is_empty());
    });
    cluster.nodes.push(second.clone());
    cluster.wait_settled_within(REJOIN);
    let written = hba(&first);
    assert!(!written.contains("pg_autoctl begin"), "the file was left alone: {written}");
    cluster.check_logs();
}

#[test]
fn trust_is_for_clients_and_never_for_replication() {
    let mut cluster = Cluster::empty("trust");
    cluster.create_monitor();
    let node = cluster.next_node();
    let output = cluster.run(cluster.create_postgres(&node).args(["--auth", "trust"]));
    assert!(output.status.success(), "{}", text(&output));
    cluster.nodes.push(node.clone());
    node.superuser("postgres", "CREATE ROLE app LOGIN").expect("making a role without a password");
    let mut client = Config::new();
    client.host(&node.host).port(node.port).user("app").dbname("postgres");
    rows_as_text(&client, "SELECT 1").expect("a client needs no password");
    let enters = |role: &str, database: &str| {
        rows_as_text(&target(&node.host, node.port, role, "guess", database), "SELECT 1")
            .map_err(|error| error.code)
    };
    for (role, database) in [
        ("pgautofailover_replicator", "postgres"),
        ("pgautofailover_replicator", "template1"),
        ("pgautofailover_monitor", "postgres"),
        ("pgautofailover_monitor", "template1"),
    ] {
        let answer = enters(role, database);
        assert!(
            matches!(&answer, Err(Some(code)) if code.starts_with("28")),
            "{role} in {database}: {answer:?}"
        );
    }
    cluster.check_logs();
}
