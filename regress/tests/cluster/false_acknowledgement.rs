//! The only standby is frozen, so no commit is on it. Whatever ends the wait, nobody hears that a commit has succeeded.
use regress::cluster::Cluster;
use regress::deadlines::{FAILOVER, REJOIN, STATEMENT, patient};
use regress::faults::Part;
use regress::oracles::tell;
use regress::process;
use regress::server::Server;
use regress::session::{Canceller, Session, SqlError};
use regress::wait;
use std::thread::{self, JoinHandle};

/// What is committed, and what comes before it while commits still succeed. `@` stands for a number of its own.
const COMMITS: &[(&str, &str, &str)] = &[
    ("a statement", "", "INSERT INTO kept VALUES (@)"),
    ("a COMMIT", "", "BEGIN; INSERT INTO kept VALUES (@); COMMIT"),
    ("a PREPARE", "", "BEGIN; INSERT INTO kept VALUES (@); PREPARE TRANSACTION 'p@'"),
    (
        "a COMMIT PREPARED",
        "BEGIN; INSERT INTO kept VALUES (@); PREPARE TRANSACTION 'q@'",
        "COMMIT PREPARED 'q@'",
    ),
    ("a COMMIT in a procedure", "", "CALL keep(@)"),
];

/// Those ask for no wait, or for less of one, and have to wait all the same.
const ASKING_FOR_LESS: &[(&str, &str, &str)] = &[
    ("off", "SET synchronous_commit = off", "INSERT INTO kept VALUES (@)"),
    ("local", "SET synchronous_commit = local", "BEGIN; INSERT INTO kept VALUES (@); COMMIT"),
    (
        "in the transaction",
        "",
        "BEGIN; SET LOCAL synchronous_commit = off; INSERT INTO kept VALUES (@); COMMIT",
    ),
    (
        "remote_write, prepared",
        "SET synchronous_commit = remote_write",
        "BEGIN; INSERT INTO kept VALUES (@); PREPARE TRANSACTION 'p@'",
    ),
    (
        "off, COMMIT PREPARED",
        "BEGIN; INSERT INTO kept VALUES (@); PREPARE TRANSACTION 'q@'; SET synchronous_commit = off",
        "COMMIT PREPARED 'q@'",
    ),
    ("off, in a procedure", "SET synchronous_commit = off", "CALL keep(@)"),
    (
        "off, with parallel workers",
        "SET synchronous_commit = off; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0",
        "CREATE TABLE copy@ AS SELECT count(*) FROM many",
    ),
];

/// A pair that prepares transactions, settled.
fn pair(name: &str) -> Cluster {
    let mut cluster = Cluster::empty(name);
    cluster.create_monitor();
    let first = cluster.create_node().clone();
    first.superuser("postgres", "ALTER SYSTEM SET max_prepared_transactions = 50").expect("ALTER SYSTEM");
    first.stop();
    first.start();
    cluster.wait_state(&first, "single", FAILOVER);
    cluster.create_node();
    cluster.prepare_oracles();
    let primary = cluster.wait_settled();
    let set_up = "CREATE TABLE kept (id bigint); GRANT ALL ON kept TO app;
         CREATE TABLE many AS SELECT generate_series(1, 100000) AS n; GRANT SELECT ON many TO app;
         CREATE PROCEDURE keep(id bigint) LANGUAGE plpgsql AS 'BEGIN INSERT INTO kept VALUES (id); COMMIT; PERFORM 1; END'";
    primary.superuser("postgres", set_up).expect("making tables");
    hold_on_to_standbys(primary);
    cluster
}

/// The primary does not give up a standby that only stands still.
pub fn hold_on_to_standbys(primary: &Server) {
    primary.superuser("postgres", "ALTER SYSTEM SET wal_sender_timeout = 0").expect("ALTER SYSTEM");
    primary.superuser("postgres", "SELECT pg_reload_conf()").expect("reloading");
}

/// A session whose commit waits for the frozen standby.
pub struct Waiting {
    what: String,
    backend: String,
    canceller: Canceller,
    answer: JoinHandle<Result<(), SqlError>>,
}

impl Waiting {
    /// `session` has done what comes before; `watcher` sees it wait.
    pub fn begin(what: &str, session: Session, commit: String, watcher: &Session) -> Waiting {
        let (backend, canceller) = (session.backend().expect("asking for the backend"), session.canceller());
        let answer = thread::spawn(move || session.rows(&commit, patient(FAILOVER)).map(drop));
        wait::until(&format!("{what} waits for the standby"), STATEMENT, || {
            assert!(!answer.is_finished(), "{what} did not wait for the standby: {:?}", backend);
            let sql = format!("SELECT wait_event FROM pg_stat_activity WHERE pid = {backend}");
            match watcher.rows(&sql, patient(STATEMENT)) {
                Ok(rows) if rows.iter().flatten().flatten().any(|event| event == "SyncRep") => Ok(()),
                seen => Err(seen),
            }
        });
        Waiting { what: what.to_owned(), backend, canceller, answer }
    }

    /// The client has heard something.
    pub fn is_answered(&self) -> bool {
        self.answer.is_finished()
    }

    fn hears_nothing(self, ended_by: &str) {
        match self.answer.join().expect("the client's thread") {
            Ok(()) => panic!("{}, ended by {ended_by}, was acknowledged", self.what),
            Err(SqlError { code: None, .. }) => {}
            Err(error) => panic!("{}, ended by {ended_by}: {error}", self.what),
        }
    }

    pub fn succeeds(self) {
        self.answer
            .join()
            .expect("the client's thread")
            .unwrap_or_else(|error| panic!("{}: {error}", self.what));
    }
}

/// Sessions that have done what comes before their commits, with the commits still to be made.
fn prepared(
    primary: &Server,
    commits: &[(&str, &str, &str)],
    first: usize,
) -> Vec<(String, Session, String)> {
    let numbered = |text: &str, n: usize| text.replace('@', &n.to_string());
    let sessions = commits.iter().zip(first..).map(|((what, before, commit), n)| {
        let session = Session::open(&primary.app()).expect("connecting");
        let before = numbered(before, n);
        // Each by itself: what is sent together is one transaction.
        for statement in
            if before.contains("BEGIN") { vec![before.as_str()] } else { before.split("; ").collect() }
        {
            session.rows(statement, patient(STATEMENT)).unwrap_or_else(|error| panic!("{what}: {error}"));
        }
        ((*what).to_owned(), session, numbered(commit, n))
    });
    sessions.collect()
}

/// Stops the process that receives.
pub fn freeze(standby: &Server) -> process::Pid {
    let receiver = standby.part(Part::WalReceiver);
    process::signal("STOP", &[receiver]);
    receiver
}

#[test]
fn nobody_hears_of_a_commit_that_the_standby_does_not_have() {
    let cluster = pair("acks");
    let primary = cluster.wait_settled();
    let standby = cluster.other(primary);
    let watcher = Session::open(&primary.app()).expect("connecting");
    let ask =
        |sql: String| watcher.rows(&sql, patient(STATEMENT)).unwrap_or_else(|error| panic!("{sql}: {error}"));

    // Whoever has not written has nothing to wait for, and neither have tables that no standby has.
    let reader = Session::open(&primary.app()).expect("connecting");
    reader.rows("CREATE TEMPORARY TABLE scratch (id bigint)", patient(STATEMENT)).expect("a temporary table");

    let by_function = prepared(primary, COMMITS, 100);
    let by_client = prepared(primary, COMMITS, 200);
    let by_end = prepared(primary, COMMITS, 300);
    let asking_for_less = prepared(primary, ASKING_FOR_LESS, 400);
    let patient_ones = prepared(primary, COMMITS, 500);
    let receiver = freeze(standby);
    for (what, session, commit) in by_function {
        let waiting = Waiting::begin(&what, session, commit, &watcher);
        ask(format!("SELECT pg_cancel_backend({})", waiting.backend));
        waiting.hears_nothing("pg_cancel_backend");
    }
    for (what, session, commit) in by_client {
        let waiting = Waiting::begin(&what, session, commit, &watcher);
        waiting.canceller.cancel();
        waiting.hears_nothing("a query cancel");
    }
    for (what, session, commit) in by_end {
        let waiting = Waiting::begin(&what, session, commit, &watcher);
        ask(format!("SELECT pg_terminate_backend({})", waiting.backend));
        waiting.hears_nothing("pg_terminate_backend");
    }
    reader.rows("SELECT count(*) FROM kept", patient(STATEMENT)).expect("reading goes on");
    reader
        .rows("INSERT INTO scratch VALUES (1)", patient(STATEMENT))
        .expect("a temporary table needs no standby");
    let left: Vec<Waiting> = [asking_for_less, patient_ones]
        .into_iter()
        .flatten()
        .map(|(what, session, commit)| Waiting::begin(&what, session, commit, &watcher))
        .collect();
    process::signal("CONT", &[receiver]);
    for waiting in left {
        waiting.succeeds();
    }
    assert_eq!(cluster.wait_settled().name, primary.name, "nobody was replaced for it");
    primary.sql("INSERT INTO kept VALUES (1)").expect("commits succeed again");

    // A shutdown ends the waits of all at once, and the standby takes over.
    let by_shutdown = prepared(primary, COMMITS, 600);
    let receiver = freeze(standby);
    let waiting: Vec<Waiting> = by_shutdown
        .into_iter()
        .map(|(what, session, commit)| Waiting::begin(&what, session, commit, &watcher))
        .collect();
    process::signal("INT", &[primary.postmaster()]);
    for waiting in waiting {
        waiting.hears_nothing("a fast shutdown");
    }
    process::signal("CONT", &[receiver]);
    cluster.wait_state(standby, "wait_primary", FAILOVER);
    primary.start();
    assert_eq!(cluster.wait_settled_within(REJOIN).name, standby.name);
    tell(&format!("{} commits cut short by each of four ways: none was acknowledged", COMMITS.len()));
    cluster.check_logs();
}
