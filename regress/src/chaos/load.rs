//! Load on a cluster: writers of each kind, each with one connection to whichever node takes writes, and a reader on each node.
use super::history::{Final, Kind, Outcome, Reading, Work};
use super::readers;
use super::writers::{self, gid};
use crate::cluster::Cluster;
use crate::deadlines::{FAILOVER, patient};
use crate::server::{APP, Server};
use crate::session::Session;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The writers, by number.
pub const WRITERS: [Kind; 8] = [
    Kind::Plain,
    Kind::Plain,
    Kind::Asynchronous,
    Kind::Several,
    Kind::Prepared,
    Kind::Register,
    Kind::Register,
    Kind::Audit,
];

/// What the load needs of the server that is made first, and what every copy of it takes over.
pub const SETTINGS: [&str; 1] = ["ALTER SYSTEM SET max_prepared_transactions = 64"];

/// Writers and readers at work.
pub struct Load {
    shared: Arc<Shared>,
    writers: Vec<JoinHandle<Work>>,
    readers: Vec<JoinHandle<Vec<Reading>>>,
}

/// What the threads have in common.
#[derive(Default)]
pub struct Shared {
    stop: AtomicBool,
    acknowledged: Mutex<Vec<Instant>>,
}

impl Shared {
    /// The load goes on.
    pub fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    /// An application's plain write was acknowledged just now.
    pub fn note(&self, at: Instant) {
        self.moments().push(at);
    }

    fn moments(&self) -> std::sync::MutexGuard<'_, Vec<Instant>> {
        self.acknowledged.lock().expect("no writer panics with this in its hand")
    }
}

impl Load {
    /// Makes the tables on the primary.
    pub fn prepare(primary: &Server) {
        let registers: Vec<String> = (0..WRITERS.len()).map(|writer| format!("({writer}, 0)")).collect();
        let sql = format!(
            "CREATE TABLE chaos_row (writer int, number bigint, part int, PRIMARY KEY (writer, number, part));
             CREATE TABLE chaos_register (writer int PRIMARY KEY, value bigint NOT NULL);
             CREATE TABLE chaos_mark (number bigint PRIMARY KEY);
             INSERT INTO chaos_register VALUES {};
             GRANT ALL ON chaos_row, chaos_register, chaos_mark TO {APP}",
            registers.join(", ")
        );
        primary.superuser("postgres", &sql).unwrap_or_else(|error| panic!("preparing the tables: {error}"));
    }

    /// Starts everybody.
    pub fn start(cluster: &Cluster) -> Load {
        let shared = Arc::new(Shared::default());
        let config = cluster.any_node();
        let writers = WRITERS.into_iter().enumerate().map(|(writer, kind)| {
            let (shared, config) = (Arc::clone(&shared), config.clone());
            thread::spawn(move || writers::write(&shared, &config, writer, kind))
        });
        let readers = cluster.nodes.iter().map(|node| {
            let (shared, node) = (Arc::clone(&shared), node.clone());
            thread::spawn(move || readers::read(&shared, &node))
        });
        let (writers, readers) = (writers.collect(), readers.collect());
        Load { shared, writers, readers }
    }

    /// The longest time between two acknowledged plain writes from one moment to another.
    pub fn longest_pause(&self, from: Instant, to: Instant) -> Duration {
        let moments = self.shared.moments();
        let begin = moments.partition_point(|at| *at < from);
        let mut within: Vec<Instant> = moments[begin..].iter().copied().filter(|at| *at <= to).collect();
        drop(moments);
        within.extend([from, to]);
        within.sort();
        within.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    }

    /// Whether a plain write was acknowledged since then.
    pub fn writes_since(&self, then: Instant) -> bool {
        self.shared.moments().last().is_some_and(|at| *at > then)
    }

    /// Ends everybody; what they did and saw.
    pub fn finish(self) -> (Vec<Work>, Vec<Reading>) {
        self.shared.stop.store(true, Ordering::Relaxed);
        let writers = self.writers.into_iter().map(|writer| writer.join().expect("a writer panicked"));
        let readers = self.readers.into_iter().flat_map(|reader| reader.join().expect("a reader panicked"));
        (writers.collect(), readers.collect())
    }
}

/// Ends what the writers have left prepared, and reads what is there in the end.
pub fn look_at_the_end(primary: &Server, history: &[Work]) -> Final {
    let session = Session::open(&primary.app()).unwrap_or_else(|error| panic!("the end: {error}"));
    let ask = |sql: &str| {
        let rows = session.rows(sql, patient(FAILOVER)).unwrap_or_else(|error| panic!("{sql}: {error}"));
        rows.into_iter().map(|row| row.into_iter().map(Option::unwrap_or_default).collect::<Vec<String>>())
    };
    let kept: Vec<String> = history
        .iter()
        .filter(|work| work.kind == Kind::Prepared)
        .flat_map(|work| &work.operations)
        .filter(|operation| operation.outcome == Outcome::Acknowledged)
        .map(|operation| gid(operation.writer, operation.number))
        .collect();
    for row in ask("SELECT gid FROM pg_prepared_xacts") {
        let verb = if kept.contains(&row[0]) { "COMMIT" } else { "ROLLBACK" };
        drop(ask(&format!("{verb} PREPARED '{}'", row[0])));
    }
    let number = |text: &String| text.parse::<i64>().expect("a number");
    let index = |text: &String| text.parse::<usize>().expect("a number");
    let rows = ask("SELECT writer, number, count(*) FROM chaos_row GROUP BY 1, 2")
        .map(|row| ((index(&row[0]), number(&row[1])), index(&row[2])))
        .collect();
    let counters: BTreeMap<usize, i64> = ask("SELECT writer, value FROM chaos_register")
        .map(|row| (index(&row[0]), number(&row[1])))
        .collect();
    Final { rows, counters }
}
