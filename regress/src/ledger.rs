//! The first oracle: writers that remember each acknowledged row. In the end every one of them must be there. A write
//! that failed is unknown: it may be there or not.
use crate::cluster::Cluster;
use crate::deadlines::{CONNECT, WRITE};
use crate::server::Server;
use crate::session::Session;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};
use tokio_postgres::Config;

/// How an application behaves.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// How many writers there are.
    pub writers: usize,
    /// Between two rows of one writer.
    pub pace: Duration,
    /// Before a writer tries to connect again.
    pub retry: Duration,
    /// After this long without an answer a writer turns to another server, be it while it logs in or while it writes.
    pub patience: Duration,
}

impl Manner {
    /// An ordinary application.
    pub fn usual(writers: usize) -> Manner {
        Manner { writers, pace: Duration::from_millis(10), retry: Duration::from_millis(10), patience: WRITE }
    }
}

/// Writers at work, each with one connection to whichever node takes writes.
pub struct Ledger {
    shared: Arc<Shared>,
    writers: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    next: AtomicI64,
    unknown: AtomicUsize,
    acknowledged: Mutex<Vec<(i64, Instant)>>,
}

impl Ledger {
    /// Starts the writers.
    pub fn start(cluster: &Cluster, manner: Manner) -> Ledger {
        Ledger::start_on(&cluster.any_node(), manner)
    }

    /// Starts writers that know only those servers.
    pub fn start_on(config: &Config, manner: Manner) -> Ledger {
        let shared = Arc::new(Shared::default());
        let writers = (0..manner.writers)
            .map(|_| {
                let (shared, config) = (Arc::clone(&shared), config.clone());
                thread::spawn(move || shared.write(&config, manner))
            })
            .collect();
        Ledger { shared, writers }
    }

    /// How many rows were acknowledged so far.
    pub fn acknowledged(&self) -> usize {
        self.shared.acknowledged().len()
    }

    /// How many writes failed, or got no answer.
    pub fn unknown(&self) -> usize {
        self.shared.unknown.load(Ordering::Relaxed)
    }

    /// When the last row was acknowledged.
    pub fn last_acknowledged(&self) -> Option<SystemTime> {
        let latest = self.shared.acknowledged().iter().map(|(_, at)| *at).max()?;
        SystemTime::now().checked_sub(latest.elapsed())
    }

    /// The longest time between two acknowledged rows since `from`, the time that still runs included.
    pub fn longest_pause(&self, from: Instant) -> Duration {
        let acknowledged = self.shared.acknowledged();
        // One writer may be noted a little before another that was faster.
        let mut moments: Vec<Instant> =
            acknowledged.iter().map(|(_, at)| *at).filter(|at| *at >= from).collect();
        drop(acknowledged);
        moments.push(from);
        moments.push(Instant::now());
        moments.sort();
        moments.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    }

    /// Ends the writers and looks for every acknowledged row on `primary`; the ids of those that are lost.
    pub fn finish(mut self, primary: &Server) -> Vec<i64> {
        self.stop().expect("a writer of the ledger panicked");
        let kept = primary
            .sql("SELECT id FROM ledger")
            .unwrap_or_else(|error| panic!("reading the ledger: {error}"));
        let kept: HashSet<i64> = kept.lines().filter_map(|line| line.parse().ok()).collect();
        let acknowledged = self.shared.acknowledged();
        acknowledged.iter().map(|(id, _)| *id).filter(|id| !kept.contains(id)).collect()
    }
}

impl Ledger {
    fn stop(&mut self) -> thread::Result<()> {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.writers.drain(..).try_for_each(JoinHandle::join)
    }
}

/// A scenario that has failed: its writers must not write into the next one's cluster, which may get the same addresses.
impl Drop for Ledger {
    fn drop(&mut self) {
        drop(self.stop());
    }
}

impl Shared {
    fn acknowledged(&self) -> std::sync::MutexGuard<'_, Vec<(i64, Instant)>> {
        self.acknowledged.lock().expect("no writer panics with the ledger in its hand")
    }

    fn write(&self, config: &Config, manner: Manner) {
        while !self.stop.load(Ordering::Relaxed) {
            match Session::open_within(config, manner.patience.min(CONNECT)) {
                Ok(session) => self.write_until_it_fails(&session, manner),
                Err(_) => thread::sleep(manner.retry),
            }
        }
    }

    fn write_until_it_fails(&self, session: &Session, manner: Manner) {
        while !self.stop.load(Ordering::Relaxed) {
            let id = self.next.fetch_add(1, Ordering::Relaxed);
            match session.write("INSERT INTO ledger (id) VALUES ($1)", &[&id], manner.patience) {
                Ok(_) => self.acknowledged().push((id, Instant::now())),
                Err(_) => {
                    self.unknown.fetch_add(1, Ordering::Relaxed);
                    return;
                }
            }
            thread::sleep(manner.pace);
        }
    }
}
