//! Many sessions ask one group for everything at once: each call succeeds or is refused for a reason, none hangs, none is
//! lost, and in the end the group comes to rest as it was told to.
use regress::cluster::Cluster;
use regress::deadlines::{FAILOVER, patient};
use regress::oracles::tell;
use regress::session::{Session, SqlError};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

const SESSIONS: usize = 16;
const ROUNDS: usize = 26;

/// What a call may be refused with: the state of the group, no primary that takes a node, a name or address that is taken, a
/// node that is gone, a number of standbys that there are not.
const REASONS: &[&str] = &["55000", "55006", "23505", "42704", "22023"];

/// What one session has done, by its own account.
#[derive(Default)]
struct Account {
    /// Its node was taken in, and not removed since.
    has_node: bool,
    /// The priority that its node was given last.
    priority: Option<i32>,
    /// How many priorities were set.
    priorities: usize,
    /// How often each outcome came; "ok" or a SQLSTATE.
    outcomes: BTreeMap<String, usize>,
}

impl Account {
    /// Runs a call; its answer, unless it was refused.
    fn call(&mut self, session: &Session, sql: &str) -> Option<String> {
        let answer = session.rows(sql, patient(FAILOVER));
        let outcome = match &answer {
            Ok(_) => "ok".to_owned(),
            Err(SqlError { code: Some(code), .. }) if REASONS.contains(&code.as_str()) => code.clone(),
            Err(error) => panic!("{sql}: {error}"),
        };
        *self.outcomes.entry(outcome).or_default() += 1;
        let rows = answer.ok()?;
        Some(rows.into_iter().flatten().flatten().next().unwrap_or_default())
    }
}

fn work(cluster: &Cluster, number: usize, start: &Barrier) -> Account {
    let session = Session::open(&cluster.monitor_config()).expect("the monitor lets us in");
    let (name, host) = (format!("busy_{number}"), format!("198.51.100.{number}"));
    let me = format!("stage.id('{name}')");
    let register = |name: &str, port: u16, priority: i32| {
        format!(
            "SELECT assigned_node_id FROM pgautofailover.register_node('busy', '{host}', {port}, 'postgres', \
             '{name}', candidate_priority => {priority})"
        )
    };
    let mut account = Account::default();
    start.wait();
    for round in 0..ROUNDS {
        match (round + number) % 13 {
            0 | 6 => {
                if account.call(&session, &register(&name, 7000, 10)).is_some() && !account.has_node {
                    account.has_node = true;
                    account.priority = Some(10);
                }
            }
            1 | 7 => {
                account.call(&session, &format!("SELECT stage.obey({me})"));
                account.call(&session, "SELECT stage.obey(nodeid) FROM pgautofailover.node ORDER BY nodeid");
            }
            2 => {
                let priority = i32::try_from(round).expect("few rounds") + 1;
                let sql = format!(
                    "SELECT pgautofailover.set_node_candidate_priority('busy', '{name}', {priority})"
                );
                if account.call(&session, &sql).is_some() {
                    account.priority = Some(priority);
                    account.priorities += 1;
                }
            }
            3 => {
                let quorum = round % 2 == 0;
                let sql =
                    format!("SELECT pgautofailover.set_node_replication_quorum('busy', '{name}', {quorum})");
                account.call(&session, &sql);
            }
            4 => drop(account.call(&session, "SELECT pgautofailover.perform_failover('busy', 0)")),
            5 => {
                let sql = format!("SELECT pgautofailover.start_maintenance('{host}', 7000)");
                account.call(&session, &sql);
            }
            8 => {
                let sql = format!("SELECT pgautofailover.stop_maintenance('{host}', 7000)");
                account.call(&session, &sql);
            }
            9 => {
                let number = round % 2;
                let sql =
                    format!("SELECT pgautofailover.set_formation_number_sync_standbys('busy', {number})");
                account.call(&session, &sql);
            }
            10 => {
                let sql = format!("SELECT pgautofailover.perform_promotion('busy', '{name}')");
                account.call(&session, &sql);
            }
            11 => {
                let removed =
                    account.call(&session, &format!("SELECT pgautofailover.remove_node('{host}', 7000)"));
                if removed.as_deref() == Some("t") {
                    (account.has_node, account.priority) = (false, None);
                }
            }
            // A keeper, with a session of its own; it is never promoted.
            _ => {
                if let Some(id) = account.call(&session, &register(&format!("keeper_{number}"), 7001, 0)) {
                    let report = format!(r#"{{"version": 1, "node": {id}, "state": "wait_standby"}}"#);
                    account.call(&session, &format!("SELECT pgautofailover.keeper_report('{report}')"));
                }
            }
        }
    }
    account
}

#[test]
fn sixteen_sessions_ask_for_everything_at_once() {
    let mut cluster = Cluster::empty("calls");
    cluster.create_monitor_of_told_nodes();
    let superuser = |sql: &str| {
        let answer = cluster.monitor.superuser("pg_auto_failover", sql);
        answer.unwrap_or_else(|error| panic!("{sql}: {error}"))
    };
    superuser("SELECT stage.set('busy', 2)");
    let postmaster = cluster.monitor.postmaster();
    let (started, start) = (Instant::now(), Barrier::new(SESSIONS));
    let accounts: Vec<Account> = thread::scope(|scope| {
        let work = |number| {
            scope.spawn({
                let (cluster, start) = (&cluster, &start);
                move || work(cluster, number, start)
            })
        };
        let threads: Vec<_> = (1..=SESSIONS).map(|number| work(number + 2)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a session panicked")).collect()
    });
    let seconds = started.elapsed().as_secs_f64();
    assert_eq!(cluster.monitor.postmaster(), postmaster);

    // Nobody holds a lock any more, and the group comes to rest. An election that was left open may need any of its nodes.
    superuser("SELECT pgautofailover.set_formation_number_sync_standbys('busy', 0)");
    superuser("SELECT pgautofailover.stop_maintenance(nodeid) FROM pgautofailover.node");
    superuser("SELECT stage.settle('busy')");
    superuser(
        "SELECT pgautofailover.remove_node(nodeid, true) FROM pgautofailover.node WHERE nodename LIKE 'keeper%'",
    );
    superuser("SELECT stage.settle('busy')");
    // One that was to leave is promoted all the same where nobody else could be, and stays. Whoever wants it gone asks again.
    let has_left = |account: &Account| !account.has_node;
    for host in (3..).zip(&accounts).filter(|(_, account)| has_left(account)).map(|(n, _)| n) {
        let node = format!("pgautofailover.node WHERE nodehost = '198.51.100.{host}' AND nodeport = 7000");
        if superuser(&format!("SELECT goalstate FROM {node}")) == "primary" {
            superuser("SELECT pgautofailover.perform_failover('busy', 0)");
            superuser("SELECT stage.settle('busy')");
        }
        superuser(&format!("SELECT pgautofailover.remove_node(nodeid) FROM {node}"));
        superuser("SELECT stage.settle('busy')");
    }
    let states =
        superuser("SELECT DISTINCT assigned FROM stage.nodes('busy') WHERE reported = assigned ORDER BY 1");
    assert!(["primary\nsecondary", "single"].contains(&states.as_str()), "{states}");
    assert_eq!(superuser("SELECT count(*) FROM stage.nodes('busy') WHERE assigned = 'primary'"), "1");

    // What was said to have been done was done.
    let expected: BTreeSet<String> = accounts
        .iter()
        .enumerate()
        .filter_map(|(n, account)| Some(format!("busy_{}|{}", n + 3, account.priority?)))
        .collect();
    let found = superuser(
        "SELECT nodename, candidatepriority FROM pgautofailover.node WHERE nodehost LIKE '198.51.100.%'",
    );
    assert_eq!(found.lines().map(str::to_owned).collect::<BTreeSet<_>>(), expected);
    let told = superuser(
        "SELECT count(*) FROM pgautofailover.event WHERE description LIKE '%: set_node_candidate_priority to %, asked for by %'",
    );
    let priorities: usize = accounts.iter().map(|account| account.priorities).sum();
    assert_eq!(told, priorities.to_string(), "each command is an event");
    let mut outcomes: BTreeMap<&str, usize> = BTreeMap::new();
    for (outcome, count) in accounts.iter().flat_map(|account| &account.outcomes) {
        *outcomes.entry(outcome).or_default() += count;
    }
    let calls: usize = outcomes.values().sum();
    tell(&format!(
        "{SESSIONS} sessions, {calls} calls in {seconds:.1} s: {outcomes:?}; {} nodes stay",
        expected.len()
    ));
    cluster.check_logs();
}
