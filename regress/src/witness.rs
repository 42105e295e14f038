//! The second oracle: asks every node, all the time and directly, to commit a row, and checks that all who accept
//! share one history.
//!
//! Before each attempt it notes the last row that each node has acknowledged. A node that then commits must hold all of them: if
//! one is missing, two nodes have accepted writes that do not know of each other. This needs no common clock, and taking
//! turns, as failovers do, is no violation.
use crate::cluster::Cluster;
use crate::deadlines::WRITE;
use crate::session::Session;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio_postgres::Config;

const PACE: Duration = Duration::from_millis(15);

/// Commits a row and tells whether the noted ones were there.
const ATTEMPT: &str = "INSERT INTO witness (id, node) SELECT $1, $2
    RETURNING (SELECT count(*) FROM witness WHERE id = ANY ($3)) = cardinality($3)";

/// One thread for each node.
pub struct Witness {
    shared: Arc<Shared>,
    watchers: Vec<JoinHandle<()>>,
}

struct Shared {
    stop: AtomicBool,
    next: AtomicI64,
    /// The last row that each node acknowledged, in the order of the cluster's nodes.
    newest: Mutex<Vec<Option<i64>>>,
    violations: Mutex<Vec<String>>,
}

impl Witness {
    /// Starts watching all nodes that there are.
    pub fn start(cluster: &Cluster) -> Witness {
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            next: AtomicI64::new(0),
            newest: Mutex::new(vec![None; cluster.nodes.len()]),
            violations: Mutex::new(Vec::new()),
        });
        let watchers = cluster
            .nodes
            .iter()
            .enumerate()
            .map(|(index, node)| {
                let (shared, config, name) = (Arc::clone(&shared), node.app(), node.name.clone());
                thread::spawn(move || shared.watch(index, &name, &config))
            })
            .collect();
        Witness { shared, watchers }
    }

    /// Ends the watch; every sign of two writers.
    pub fn finish(mut self) -> Vec<String> {
        self.stop().expect("a watcher panicked");
        std::mem::take(&mut self.shared.violations.lock().expect("no watcher panics with this in its hand"))
    }
}

impl Witness {
    fn stop(&mut self) -> thread::Result<()> {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.watchers.drain(..).try_for_each(JoinHandle::join)
    }
}

/// A scenario that has failed: its watchers must not write into the next one's cluster, which may get the same addresses.
impl Drop for Witness {
    fn drop(&mut self) {
        drop(self.stop());
    }
}

impl Shared {
    fn watch(&self, index: usize, name: &str, config: &Config) {
        while !self.stop.load(Ordering::Relaxed) {
            if let Ok(session) = Session::open(config) {
                self.attempts(&session, index, name);
            }
            thread::sleep(PACE);
        }
    }

    fn attempts(&self, session: &Session, index: usize, name: &str) {
        while !self.stop.load(Ordering::Relaxed) {
            let noted: Vec<i64> = self.newest().iter().flatten().copied().collect();
            let id = self.next.fetch_add(1, Ordering::Relaxed);
            match session.write(ATTEMPT, &[&id, &name, &noted], WRITE) {
                Ok(Some(true)) => self.newest()[index] = Some(id),
                Ok(_) => {
                    let violation = format!("{name} committed row {id} without knowing all of {noted:?}");
                    self.violations.lock().expect("no watcher panics with this in its hand").push(violation);
                    self.newest()[index] = Some(id);
                }
                // A refusal is what every node but one must answer: ask again over the same connection.
                Err(error) if error.is_read_only() => {}
                Err(_) => return,
            }
            thread::sleep(PACE);
        }
    }

    fn newest(&self) -> std::sync::MutexGuard<'_, Vec<Option<i64>>> {
        self.newest.lock().expect("no watcher panics with this in its hand")
    }
}
