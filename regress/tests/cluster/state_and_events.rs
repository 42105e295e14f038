//! The guide's section "Current state, last events": its commands on the monitor, on a node, on a terminal, and without a monitor.
use regress::cluster::Cluster;
use regress::deadlines::{FAILOVER, REJOIN, STATEMENT};
use regress::server::{Server, text};
use regress::terminal::Terminal;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;

/// `pg_autoctl …` as in the guide: PGDATA says of which server.
fn on(cluster: &Cluster, server: &Server, arguments: &[&str]) -> Command {
    let mut command = cluster.pg_autoctl();
    command.args(arguments).env("PGDATA", &server.pgdata);
    command
}

#[track_caller]
fn said(cluster: &Cluster, server: &Server, arguments: &[&str]) -> (String, String) {
    let output = cluster.run(&mut on(cluster, server, arguments));
    assert!(output.status.success(), "pg_autoctl {arguments:?}: {}", text(&output));
    let string = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (string(&output.stdout), string(&output.stderr))
}

#[track_caller]
fn rows(cluster: &Cluster, server: &Server, arguments: &[&str]) -> Vec<Value> {
    let (printed, _) = said(cluster, server, arguments);
    serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{arguments:?} printed {printed}: {error}"))
}

/// Ends a program that does not end by itself.
struct Running(std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A pair in formation `default`, and a node of its own in another formation.
fn two_formations(name: &str) -> Cluster {
    let mut cluster = Cluster::empty(name);
    cluster.create_monitor();
    cluster.create_node();
    cluster.create_node();
    cluster.wait_settled();
    said(&cluster, &cluster.monitor, &["create", "formation", "--formation", "other"]);
    let lonely = cluster.next_node();
    let mut create = cluster.create_postgres(&lonely);
    let output = cluster.run(create.args(["--formation", "other"]));
    assert!(output.status.success(), "{}", text(&output));
    cluster.nodes.push(lonely);
    cluster
}

#[test]
fn the_monitor_shows_everything_and_a_node_its_own_group() {
    let cluster = two_formations("states");
    let (monitor, node, lonely) = (&cluster.monitor, cluster.node(1), cluster.node(3));
    let names = |server| -> Vec<String> {
        let name = |row: &Value| row["nodename"].as_str().expect("a name").to_owned();
        rows(&cluster, server, &["show", "state", "--json"]).iter().map(name).collect()
    };
    assert_eq!(names(monitor), ["node_1", "node_2", "node_3"]);
    assert_eq!(names(node), ["node_1", "node_2"]);
    assert_eq!(names(lonely), ["node_3"]);

    let formations = |server| -> Vec<String> {
        let name = |row: &Value| row["formationid"].as_str().expect("a formation").to_owned();
        let mut found: Vec<String> = rows(&cluster, server, &["show", "events", "--json", "--count", "1000"])
            .iter()
            .map(name)
            .collect();
        found.sort();
        found.dedup();
        found
    };
    assert_eq!(formations(monitor), ["default", "other"]);
    assert_eq!(formations(node), ["default"]);
    assert_eq!(formations(lonely), ["other"]);

    let (table, talk) = said(&cluster, monitor, &["show", "state"]);
    let header: Vec<&str> = table.lines().next().expect("a header").split('|').map(str::trim).collect();
    let expected =
        ["Name", "Node", "Host:Port", "TLI: LSN", "Connection", "Reported State", "Assigned State"];
    assert_eq!(header, expected, "{table}");
    let primary = table.lines().find(|line| line.contains("| primary")).expect("a primary");
    assert!(primary.contains(&format!("{}:{}", node.host, node.port)), "{table}");
    assert!(primary.contains("read-write"), "{table}");
    assert_eq!(table.matches("read-only").count(), 1, "{table}");
    assert!(talk.is_empty() && !table.contains('\u{1b}'), "{talk}{table}");

    let (table, _) = said(&cluster, monitor, &["show", "events", "--count", "3"]);
    let header: Vec<&str> = table.lines().next().expect("a header").split('|').map(str::trim).collect();
    assert_eq!(header, ["Event Time", "Node", "Current State", "Assigned State", "Comment"]);
    assert_eq!(table.lines().count(), 2 + 3, "{table}");
    cluster.check_logs();
}

/// `watch pg_autoctl show state` on the monitor, as the guide says, while a failover is performed; and its own `--watch` beside it.
#[test]
fn a_failover_is_seen_while_it_is_watched() {
    let cluster = Cluster::pair("watch");
    let (monitor, first, second) = (&cluster.monitor, cluster.node(1), cluster.node(2));

    let mut program = monitor.account.command("watch");
    let path = std::env::join_paths([cluster.programs(), "/usr/bin".into(), "/bin".into()]).expect("a path");
    program.args(["-n", "1", "pg_autoctl", "show", "state"]).env("PGDATA", &monitor.pgdata).env("PATH", path);
    let by_hand = Terminal::run(&mut program);
    by_hand.wait_for("read-write", 0, STATEMENT);

    let mut own = Terminal::run(&mut on(&cluster, monitor, &["show", "state", "--watch"]));
    own.wait_for("read-write", 0, STATEMENT);
    assert!(!own.is_as_a_shell_wants_it(), "keys are read one by one");

    let mut lines = Running(
        on(&cluster, monitor, &["watch", "--json"]).stdout(Stdio::piped()).spawn().expect("pg_autoctl watch"),
    );
    let printed = lines.0.stdout.take().expect("a pipe");
    let (sender, changes) = mpsc::channel();
    thread::spawn(move || {
        let mut document = String::new();
        for line in BufReader::new(printed).lines().map_while(Result::ok) {
            document.push_str(&line);
            if let Ok(value) = serde_json::from_str::<Value>(&document) {
                document.clear();
                if sender.send(value).is_err() {
                    return;
                }
            }
        }
    });

    let (before, at) = (by_hand.drawn().len(), own.drawn().len());
    said(&cluster, monitor, &["perform", "failover"]);
    cluster.wait_settled_within(REJOIN);
    let new = format!("{}:{} | ", second.host, second.port);
    own.wait_for(&new, at, FAILOVER);
    by_hand.wait_for("secondary", before, FAILOVER);

    // Each change once, and all of them: from the first primary to the second.
    let mut seen = Vec::new();
    let state_of = |value: &Value, server: &Server| {
        let rows = value.as_array().expect("rows").iter();
        let mut row = rows.filter(|row| row["nodename"] == server.name.as_str());
        row.next().map(|row| row["current_group_state"].as_str().unwrap_or_default().to_owned())
    };
    while state_of(seen.last().unwrap_or(&Value::Array(vec![])), second).as_deref() != Some("primary") {
        seen.push(changes.recv_timeout(FAILOVER).expect("a change is printed"));
    }
    assert_eq!(state_of(&seen[0], first).as_deref(), Some("primary"), "{seen:?}");
    let repeated = seen.windows(2).filter(|pair| {
        let still = |value: &Value| -> Vec<Value> {
            let mut rows = value.as_array().expect("rows").clone();
            rows.iter_mut().for_each(|row| row["reported_lsn"] = Value::Null);
            rows
        };
        still(&pair[0]) == still(&pair[1])
    });
    assert_eq!(repeated.count(), 0, "only changes are printed: {seen:?}");

    own.press("q");
    assert!(own.wait_for_end().success());
    own.wait_for("\u{1b}[?1049l", at, STATEMENT);
    let drawn = own.drawn();
    assert!(own.is_as_a_shell_wants_it(), "the terminal is as it was");
    assert!(drawn.contains("\u{1b}[?1049h"), "its own screen: {drawn:?}");
    assert!(drawn.contains("\u{1b}[?25l") && drawn.contains("\u{1b}[?25h"), "the cursor is hidden, and back");
    assert!(!drawn.contains("\u{1b}[2J"), "the screen is never blank: that would flicker");
    cluster.check_logs();
}

#[test]
fn without_a_monitor_a_node_shows_what_it_knows_of_itself() {
    let mut cluster = Cluster::empty("alone");
    cluster.create_monitor();
    cluster.create_node();
    let node = cluster.node(1).clone();
    cluster.wait_state(&node, "single", FAILOVER);
    cluster.monitor.stop();

    let own_row = |said: &str| {
        let (table, talk) = self::said(&cluster, &node, &["show", "state"]);
        assert!(talk.contains("cannot reach the monitor") && talk.contains("local view"), "{talk}");
        let row = table.lines().find(|line| line.contains("node_1")).expect("its row").to_owned();
        assert!(row.contains(&format!("{}:{}", node.host, node.port)) && row.contains(said), "{table}");
        let rows = rows(&cluster, &node, &["show", "state", "--json"]);
        assert_eq!(rows.len(), 1, "{rows:?}");
        assert_eq!(
            (rows[0]["source"].as_str(), rows[0]["current_group_state"].as_str()),
            (Some("local"), Some("single"))
        );
        rows[0].clone()
    };
    let running = own_row("read-write");
    node.superuser("postgres", "CREATE EXTENSION pg_autoctl").expect("CREATE EXTENSION");
    let by_keeper = own_row("read-write");
    assert_eq!(by_keeper["reported_tli"], running["reported_tli"]);
    assert!(by_keeper["note"].as_str().is_some_and(|note| note.contains("monitor")), "{by_keeper}");

    node.stop();
    let stopped = own_row("none !");
    assert!(stopped["note"].as_str().is_some_and(|note| note.contains("does not run")), "{stopped}");

    let output = cluster.run(&mut on(&cluster, &node, &["show", "events"]));
    assert_eq!(output.status.code(), Some(6), "events are the monitor's: {}", text(&output));
    let output = cluster.run(&mut on(&cluster, &cluster.monitor, &["show", "state"]));
    assert_eq!(output.status.code(), Some(3), "a monitor has no other view: {}", text(&output));
}
