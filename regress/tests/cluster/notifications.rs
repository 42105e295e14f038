//! What the monitor says arrives: each event once in the table, on channel `log` and in the log, in one order; each change of
//! a state on channel `state` too. Heard by a client that LISTENs, over the network, as `autoctl_node`.
use regress::cluster::Cluster;
use regress::deadlines::{COMMAND, FAILOVER, REJOIN, STATEMENT};
use regress::listener::Listener;
use regress::oracles::tell;
use regress::session::Session;
use regress::wait;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::process::Stdio;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Instant;

/// A row of `event`.
#[derive(Clone, Debug)]
struct Event {
    id: i64,
    node: Option<i64>,
    reported: Option<String>,
    goal: Option<String>,
    text: String,
}

fn events(cluster: &Cluster) -> Vec<Event> {
    let sql = "SELECT coalesce(json_agg(to_json(e) ORDER BY eventid), '[]') FROM pgautofailover.event e";
    let rows = cluster.ask_monitor(sql).unwrap_or_else(|error| panic!("reading the events: {error}"));
    let rows: Vec<Value> = serde_json::from_str(&rows).expect("JSON");
    let text = |row: &Value, key: &str| row[key].as_str().map(str::to_owned);
    rows.iter()
        .map(|row| Event {
            id: row["eventid"].as_i64().expect("an id"),
            node: row["nodeid"].as_i64(),
            reported: text(row, "reportedstate"),
            goal: text(row, "goalstate"),
            text: text(row, "description").expect("a description"),
        })
        .collect()
}

/// The sentences that stand in the monitor's log, each with the number of its event.
fn logged(cluster: &Cluster) -> Vec<(i64, String)> {
    let log = cluster.monitor.log();
    let sentence = |line: &str| {
        let (_, said) = line.split_once("LOG:  ")?;
        let (text, number) = said.strip_suffix(')')?.rsplit_once(" (event ")?;
        Some((number.parse().ok()?, text.to_owned()))
    };
    log.lines().filter_map(sentence).collect()
}

/// Holds what was heard against the table and the log. `listener` has listened since before the first event.
#[track_caller]
fn check_all_was_told(cluster: &Cluster, listener: &mut Listener) -> Vec<Event> {
    let events = wait::until("everything was heard", COMMAND, || {
        let events = events(cluster);
        let heard = listener.on("log").len();
        if heard >= events.len() { Ok(events) } else { Err(format!("{heard} of {}", events.len())) }
    });
    let told: Vec<(i64, String)> = events.iter().map(|event| (event.id, event.text.clone())).collect();
    let heard = listener.on("log");
    assert_eq!(heard.len(), events.len(), "none twice");
    for (event, heard) in events.iter().zip(&heard) {
        let with_number = format!("{} (event {})", event.text, event.id);
        assert!(*heard == event.text || *heard == with_number, "{heard:?} is not {event:?}");
    }
    assert_eq!(logged(cluster), told, "the log has each sentence once, in order");

    let states: Vec<Value> =
        listener.on("state").iter().map(|payload| serde_json::from_str(payload).expect("JSON")).collect();
    let ids: Vec<i64> = states.iter().map(|state| state["eventId"].as_i64().expect("an id")).collect();
    assert!(ids.is_sorted_by(|earlier, later| earlier < later), "states come in order, none twice: {ids:?}");
    let by_id: BTreeMap<i64, &Value> = ids.iter().copied().zip(&states).collect();
    let mut last: BTreeMap<i64, (Option<String>, Option<String>)> = BTreeMap::new();
    for event in &events {
        let Some(node) = event.node else { continue };
        let now = (event.reported.clone(), event.goal.clone());
        if let Some(state) = by_id.get(&event.id) {
            let said = |key: &str| state[key].as_str().map(str::to_owned);
            assert_eq!((said("reportedState"), said("goalState")), now, "{event:?}");
            assert_eq!(state["nodeId"].as_i64(), Some(node), "{event:?}");
            for key in ["type", "formation", "groupId", "name", "host", "port", "health"] {
                assert!(!state[key].is_null(), "{key} is missing: {state}");
            }
        } else {
            let gone = event.text.ends_with("has left the group");
            assert!(gone || last.get(&node) == Some(&now), "a change without a notification: {event:?}");
        }
        last.insert(node, now);
    }
    events
}

/// Nobody is convicted for not being there: the nodes are only told about.
fn have_patience(cluster: &Cluster) {
    for setting in ["node_considered_unhealthy_timeout", "stall_timeout"] {
        as_superuser(cluster, &format!("ALTER SYSTEM SET pgautofailover.{setting} = '1h'"));
    }
    as_superuser(cluster, "SELECT pg_reload_conf()");
    wait::until("the time-outs are long", COMMAND, || {
        let seen = cluster.ask_monitor("SHOW pgautofailover.stall_timeout").map_err(|e| e.to_string())?;
        if seen == "1h" { Ok(()) } else { Err(seen) }
    });
}

#[track_caller]
fn as_superuser(cluster: &Cluster, sql: &str) -> String {
    cluster.monitor.superuser("pg_auto_failover", sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

#[track_caller]
fn ask(cluster: &Cluster, sql: &str) -> String {
    cluster.ask_monitor(sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
}

#[track_caller]
fn ask_in_vain(cluster: &Cluster, sql: &str) {
    cluster.ask_monitor(sql).expect_err(sql);
}

/// A monitor, and a group of a writer and `standbys` more, which are nothing but names. Their ids.
fn simulated(cluster: &Cluster, standbys: usize) -> Vec<i64> {
    let register = |n: usize| {
        let sql = format!(
            "SELECT assigned_node_id FROM pgautofailover.register_node('default', '192.0.2.{n}', 5432, 'postgres')"
        );
        ask(cluster, &sql).parse().expect("an id")
    };
    let writer: i64 = register(1);
    ask(cluster, &says(writer, "single"));
    let mut nodes = vec![writer];
    nodes.extend((2..2 + standbys).map(register));
    ask(cluster, &says(writer, "wait_primary"));
    nodes
}

fn says(node: i64, state: &str) -> String {
    format!(
        "SELECT assigned_group_state FROM pgautofailover.node_active('default', {node}, 0, '{state}', true, 1, '0/3000000')"
    )
}

#[test]
fn a_thousand_changes_arrive() {
    const SESSIONS: usize = 4;
    const CHANGES_OF_EACH: usize = 250;
    const STATES: [&str; 2] = ["wait_standby", "catchingup"];
    let mut cluster = Cluster::empty("told");
    cluster.create_monitor();
    have_patience(&cluster);
    let mut listener = Listener::open(&cluster.monitor_config(), &["state", "log"]);
    let nodes = simulated(&cluster, SESSIONS);

    let started = Instant::now();
    thread::scope(|scope| {
        for node in &nodes[1..] {
            let config = cluster.monitor_config();
            scope.spawn(move || {
                let session = Session::open(&config).unwrap_or_else(|error| panic!("connecting: {error}"));
                for n in 0..CHANGES_OF_EACH {
                    let sql = says(*node, STATES[n % STATES.len()]);
                    session.rows(&sql, STATEMENT * 3).unwrap_or_else(|error| panic!("{sql}: {error}"));
                }
            });
        }
    });
    let took = started.elapsed();

    let events = check_all_was_told(&cluster, &mut listener);
    let sent: Vec<&str> = (0..CHANGES_OF_EACH).map(|n| STATES[n % STATES.len()]).collect();
    for node in &nodes[1..] {
        let of_node = events.iter().filter(|event| event.node == Some(*node));
        let mut reported: Vec<&str> = of_node.filter_map(|event| event.reported.as_deref()).collect();
        reported.dedup();
        assert_eq!(reported[0], "init", "as it was registered");
        assert_eq!(reported[1..], sent, "every change that node {node} reported, in order");
    }
    let states = listener.on("state").len();
    tell(&format!(
        "{} reported changes by {SESSIONS} sessions in {:.1} s, {:.0} a second: {} events, {states} states, each told once",
        SESSIONS * CHANGES_OF_EACH,
        took.as_secs_f64(),
        (SESSIONS * CHANGES_OF_EACH) as f64 / took.as_secs_f64(),
        events.len(),
    ));
    cluster.check_logs();
}

#[test]
fn only_what_was_committed_is_told() {
    let mut cluster = Cluster::empty("undone");
    cluster.create_monitor();
    have_patience(&cluster);
    let mut listener = Listener::open(&cluster.monitor_config(), &["state", "log"]);
    let nodes = simulated(&cluster, 1);
    let node = nodes[1];
    ask(&cluster, &says(node, "wait_standby"));
    let before = check_all_was_told(&cluster, &mut listener).len();

    ask(&cluster, &format!("BEGIN; {}; ROLLBACK", says(node, "catchingup")));
    assert_eq!(check_all_was_told(&cluster, &mut listener).len(), before, "what was undone was never said");

    // The same sentences twice in one transaction, and others in the middle that are taken back.
    let there_and_back = format!("{}; {}", says(node, "catchingup"), says(node, "wait_standby"));
    let sql = format!(
        "BEGIN; {there_and_back}; SAVEPOINT here; {}; ROLLBACK TO here; SAVEPOINT there; {there_and_back}; RELEASE there; COMMIT",
        says(node, "unknown")
    );
    ask(&cluster, &sql);
    let events = check_all_was_told(&cluster, &mut listener);
    let mut reported: Vec<&str> = events[before..]
        .iter()
        .filter(|e| e.node == Some(node))
        .filter_map(|e| e.reported.as_deref())
        .collect();
    reported.dedup();
    assert_eq!(reported, ["catchingup", "wait_standby", "catchingup", "wait_standby"], "{events:?}");
    let repeated =
        |event: &&Event| events.iter().any(|other| other.id < event.id && other.text == event.text);
    assert!(events[before..].iter().filter(repeated).count() > 0, "equal sentences were tried: {events:?}");
    cluster.check_logs();
}

#[test]
fn refusals_and_commands_are_events() {
    let mut cluster = Cluster::empty("refused");
    cluster.create_monitor();
    have_patience(&cluster);
    let mut listener = Listener::open(&cluster.monitor_config(), &["state", "log"]);
    let nodes = simulated(&cluster, 1);

    // Each refusal of an operator is one event.
    let refused = |sql: &str, code: &str| {
        let error = cluster.ask_monitor(sql).expect_err(sql);
        assert_eq!(error.code.as_deref(), Some(code), "{error}");
    };
    for _ in 0..2 {
        refused("SELECT pgautofailover.perform_failover()", "55000");
    }
    refused("SELECT pgautofailover.drop_formation('default')", "55000");
    // A sentence has no control characters, and fits into a notification.
    ask_in_vain(&cluster, "SELECT pgautofailover.perform_failover(E'two\\nlines, ' || repeat('ä', 5000), 0)");
    let session = Session::open(&cluster.monitor_config()).expect("connecting");
    // A node that is not known here reports once a second; that is said once.
    for _ in 0..50 {
        let report =
            "SELECT pgautofailover.keeper_report('{\"version\": 1, \"node\": 4711, \"state\": \"single\"}')";
        session.rows(report, STATEMENT).expect_err("an unknown node is refused");
    }
    let count = |events: &[Event], parts: &[&str]| {
        events.iter().filter(|event| parts.iter().all(|part| event.text.contains(part))).count()
    };
    let expected: &[(&[&str], usize)] = &[
        (
            &[
                "perform_failover refused to \"autoctl_node\"",
                "a failover is not possible",
                "(SQLSTATE 55000)",
            ],
            2,
        ),
        (&["perform_failover refused to", "two lines, ää"], 1),
        (&["drop_formation refused to \"autoctl_node\"", "still has nodes", "(SQLSTATE 55000)"], 1),
        (&["keeper_report refused to \"autoctl_node\"", "4711", "(SQLSTATE 42704)"], 1),
    ];
    wait::until("the refusals are events", COMMAND, || {
        let events = events(&cluster);
        let all = expected.iter().all(|(parts, times)| count(&events, parts) == *times);
        if all { Ok(()) } else { Err(events) }
    });

    // A command that is obeyed names who gave it.
    assert_eq!(ask(&cluster, &format!("SELECT pgautofailover.remove_node({})", nodes[1])), "t");
    let told = check_all_was_told(&cluster, &mut listener);
    let command = format!("Node {}", nodes[1]);
    assert_eq!(count(&told, &[&command, "remove_node, asked for by \"autoctl_node\""]), 1, "{told:?}");

    // More at once than the board has room for, while nothing can be written: the surplus is counted.
    as_superuser(
        &cluster,
        "BEGIN; LOCK TABLE pgautofailover.event IN EXCLUSIVE MODE;
         DO $$ BEGIN
             FOR n IN 1..80 LOOP
                 BEGIN PERFORM pgautofailover.perform_failover('nowhere', n); EXCEPTION WHEN undefined_object THEN NULL; END;
             END LOOP;
         END $$; COMMIT",
    );
    let recorded = wait::until("all that were noted are events", COMMAND, || {
        let events = events(&cluster);
        let surplus =
            |event: &Event| event.text.split_once(" refused calls were not recorded")?.0.parse().ok();
        let surplus: Vec<usize> = events.iter().filter_map(surplus).collect();
        let noted = count(&events, &["perform_failover refused", "nowhere"]);
        if noted + surplus.iter().sum::<usize>() >= 80 { Ok(noted) } else { Err((noted, surplus)) }
    });
    let told = check_all_was_told(&cluster, &mut listener);
    assert!((60..80).contains(&recorded), "{recorded} of 80 fit on the board");
    assert_eq!(count(&told, &["keeper_report refused", "4711"]), 1, "repeats are not told one by one");
    tell(&format!("80 refusals at once: {recorded} recorded one by one, the rest counted"));
    cluster.check_logs();
}

#[test]
fn a_real_failover_is_told() {
    let mut cluster = Cluster::empty("heard");
    cluster.create_monitor();
    let mut listener = Listener::open(&cluster.monitor_config(), &["state", "log"]);
    cluster.create_node();
    cluster.create_node();
    let primary = cluster.wait_settled().clone();
    let standby = cluster.other(&primary).clone();
    let told = check_all_was_told(&cluster, &mut listener);
    let (before, first) = (told.len(), told.last().map_or(0, |event| event.id));

    primary.kill_tree();
    cluster.wait_state(&standby, "wait_primary", FAILOVER);
    primary.start();
    assert_eq!(cluster.wait_settled_within(REJOIN).name, standby.name);
    let sql = format!(
        "SELECT n.nodename FROM pgautofailover.node n
          WHERE (SELECT description ~ 'has good health now: it reports' FROM pgautofailover.event e
                  WHERE e.nodeid = n.nodeid AND e.eventid > {first} AND e.description ~ 'health now'
                  ORDER BY eventid DESC LIMIT 1) IS FALSE"
    );
    wait::until("all are told to be well", COMMAND, || {
        let ill = ask(&cluster, &sql);
        if ill.is_empty() { Ok(()) } else { Err(ill) }
    });
    let told = check_all_was_told(&cluster, &mut listener);
    let steps = [
        (&primary, "has bad health now: its session has ended, and its server refuses connections"),
        (&standby, "is prepare_promotion"),
        (&standby, "is wait_primary"),
        (&primary, "has good health now: it reports"),
    ];
    let said = steps.map(|(node, what)| {
        let is_it =
            |event: &Event| event.text.contains(&format!("\"{}\"", node.name)) && event.text.contains(what);
        let place = told[before..].iter().position(is_it);
        place.unwrap_or_else(|| panic!("{}: {what:?} is not in {:#?}", node.name, &told[before..]))
    });
    assert!(said.is_sorted(), "{said:?} is not the order of {:#?}", &told[before..]);
    tell(&format!("a failover and the way back: {} events, each told once", told.len() - before));

    // The monitor's own restart: nobody is said to be ill, and each to be well at most once.
    let last = told.last().map_or(0, |event| event.id);
    drop(listener);
    cluster.monitor.stop();
    cluster.monitor.start();
    wait::until("both nodes report again", FAILOVER, || {
        let well = cluster
            .ask_monitor("SELECT count(*) FROM pgautofailover.node WHERE health = 1")
            .map_err(|error| error.to_string())?;
        if well == "2" { Ok(()) } else { Err(well) }
    });
    cluster.wait_settled();
    let since: Vec<Event> = events(&cluster).into_iter().filter(|event| event.id > last).collect();
    let about = |name: &str, word: &str| {
        let named = since.iter().filter(|event| event.text.contains(&format!("\"{name}\"")));
        named.filter(|event| event.text.contains(&format!("has {word} health"))).count()
    };
    for node in &cluster.nodes {
        assert_eq!((about(&node.name, "bad"), about(&node.name, "good")), (0, 1), "{since:#?}");
    }
    cluster.check_logs();
}

/// "Monitoring pg_auto_failover in Production", with psql, as the guide has it.
#[test]
fn monitoring_in_production() {
    let cluster = Cluster::pair("psql");
    let primary = cluster.wait_settled().name.clone();
    let standby = cluster.other(cluster.named(&primary)).name.clone();
    let account = &cluster.monitor.account;
    let mut psql = account
        .command(cluster.programs().join("psql"))
        .args(["-X", "-At"])
        .arg(cluster.monitor_uri())
        .env("PGPASSWORD", regress::cluster::MONITOR_PASSWORD)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("running psql");
    let mut input = psql.stdin.take().expect("a pipe");
    let mut output = psql.stdout.take().expect("a pipe");
    let (said, hears) = channel();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length) = output.read(&mut buffer) {
            if length == 0 || said.send(String::from_utf8_lossy(&buffer[..length]).into_owned()).is_err() {
                return;
            }
        }
    });
    let mut seen = String::new();
    let mut ask_until = |what: &str, sql: &str, done: &dyn Fn(&str) -> bool| {
        wait::until(what, REJOIN, || {
            // psql shows notifications with the answer to whatever it was asked.
            writeln!(input, "{sql}").expect("psql lives");
            seen.extend(hears.try_iter());
            if done(&seen) { Ok(seen.clone()) } else { Err(seen.clone()) }
        })
    };
    ask_until("psql listens", "LISTEN state; LISTEN log; SELECT 'listening';", &|seen| {
        seen.contains("listening")
    });
    ask(&cluster, "SELECT pgautofailover.perform_failover(formation_id => 'default', group_id => 0)");
    let said = ask_until("the new primary is announced", "SELECT 1;", &|seen| {
        let announced = |line: &str| {
            line.starts_with("Asynchronous notification \"state\"")
                && line.contains(&format!("\"name\":\"{standby}\""))
                && line.contains("\"reportedState\":\"primary\"")
        };
        seen.lines().any(announced)
    });
    for part in [
        "Asynchronous notification \"log\" with payload \"Group 0 of formation default: perform_failover, asked for by",
        "\"goalState\":\"draining\"",
        "\"reportedState\":\"prepare_promotion\"",
    ] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    ask_until(
        "the table has it too",
        "SELECT DISTINCT 'in the table' FROM pgautofailover.event WHERE description LIKE '%perform_failover, asked for by%';",
        &|seen| seen.contains("in the table"),
    );
    drop(input);
    assert!(psql.wait().expect("psql ends").success());
    cluster.check_logs();
}
