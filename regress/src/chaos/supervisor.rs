//! An init system in small: it starts servers that have died, and does nothing else to them.
use crate::cluster::Cluster;
use crate::process::{self, Pid};
use crate::server::Server;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

const PERIOD: Duration = Duration::from_millis(50);
/// Between two attempts to start a server.
const AGAIN: Duration = Duration::from_secs(1);

/// Watches every server of a cluster, a thread each.
#[derive(Default)]
pub struct Supervisor {
    stop: AtomicBool,
    starts: AtomicUsize,
    /// Servers that were taken down for a while: not to be started before then.
    down: Mutex<BTreeMap<String, Instant>>,
}

impl Supervisor {
    /// Begins to watch; [`Supervisor::stop`] ends it.
    pub fn watch<'s>(&'s self, scope: &'s Scope<'s, '_>, cluster: &'s Cluster) {
        for server in cluster.nodes.iter().chain([&cluster.monitor]) {
            scope.spawn(|| self.attend(server));
        }
    }

    /// Ends the watch.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// The server is not to be started for so long.
    pub fn leave_down(&self, server: &Server, until: Instant) {
        let mut down = self.down();
        let stays = down.entry(server.name.clone()).or_insert(until);
        *stays = until.max(*stays);
    }

    /// How many servers were started.
    pub fn starts(&self) -> usize {
        self.starts.load(Ordering::Relaxed)
    }

    fn attend(&self, server: &Server) {
        // By its PID: while a server restarts in place it has no lock file for a moment, and is the same process.
        let mut known = server.running();
        while !self.stop.load(Ordering::Relaxed) {
            thread::sleep(PERIOD);
            known = server.running().or(known.filter(|pid| process::is_alive(*pid)));
            let may_start = self.down().get(&server.name).is_none_or(|until| *until <= Instant::now());
            if known.is_none() && may_start {
                known = self.start(server);
            }
        }
    }

    /// A start that fails is tried again later, as long as it takes.
    fn start(&self, server: &Server) -> Option<Pid> {
        self.starts.fetch_add(1, Ordering::Relaxed);
        if let Err(said) = server.begin_to_start() {
            thread::sleep(AGAIN);
            crate::oracles::tell(&format!("    start of {}: {said}", server.name));
        }
        server.running()
    }

    fn down(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Instant>> {
        self.down.lock().expect("nobody panics with this in its hand")
    }
}
