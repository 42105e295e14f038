//! An init system in small: it starts servers that have died, and does nothing else to them.
use crate::cluster::Cluster;
use crate::oracles::tell;
use crate::process::{self, Pid};
use crate::server::Server;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

const PERIOD: Duration = Duration::from_millis(50);
/// Before a server is started that died by itself, and between two attempts.
const PAUSE: Duration = Duration::from_millis(300);

/// Watches every server of a cluster, a thread each.
pub struct Supervisor {
    stop: AtomicBool,
    starts: AtomicUsize,
    wards: BTreeMap<String, Ward>,
}

/// What is known of one server.
#[derive(Default)]
struct Ward {
    /// Its process, held while something is decided about it. By PID: while a server restarts in place it has no lock file for a
    /// moment, and is the same process.
    postmaster: Mutex<Option<Pid>>,
    /// It was taken down for a while: not to be started before then.
    down: Mutex<Option<Instant>>,
}

impl Supervisor {
    /// For the servers of this cluster.
    pub fn of(cluster: &Cluster) -> Supervisor {
        let names = cluster.nodes.iter().chain([&cluster.monitor]).map(|server| server.name.clone());
        let wards = names.map(|name| (name, Ward::default())).collect();
        Supervisor { stop: AtomicBool::new(false), starts: AtomicUsize::new(0), wards }
    }

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

    /// The server is not to be started before then.
    pub fn leave_down(&self, server: &Server, until: Instant) {
        let mut down = self.ward(server).down.lock().expect(HELD);
        *down = (*down).max(Some(until));
    }

    /// Nothing is done to the server while this is held. Its process.
    pub fn hold(&self, server: &Server) -> MutexGuard<'_, Option<Pid>> {
        self.ward(server).postmaster.lock().expect(HELD)
    }

    /// How many servers were started.
    pub fn starts(&self) -> usize {
        self.starts.load(Ordering::Relaxed)
    }

    fn attend(&self, server: &Server) {
        while !self.stop.load(Ordering::Relaxed) {
            thread::sleep(PERIOD);
            let mut postmaster = self.hold(server);
            let alive =
                |known: &Option<Pid>| server.running().or(known.filter(|pid| process::is_alive(*pid)));
            let died = postmaster.is_some() && alive(&postmaster).is_none();
            *postmaster = alive(&postmaster);
            if died {
                self.leave_down(server, Instant::now() + PAUSE);
            } else if postmaster.is_none() && self.may_start(server) {
                self.start(server);
                *postmaster = server.running();
            }
        }
    }

    fn may_start(&self, server: &Server) -> bool {
        self.ward(server).down.lock().expect(HELD).is_none_or(|until| until <= Instant::now())
    }

    /// A start that fails is tried again, as long as it takes.
    fn start(&self, server: &Server) {
        self.starts.fetch_add(1, Ordering::Relaxed);
        if let Err(said) = server.begin_to_start() {
            tell(&format!(
                "           start of {}: {}",
                server.name,
                said.lines().last().unwrap_or_default()
            ));
            self.leave_down(server, Instant::now() + PAUSE);
        }
    }

    fn ward(&self, server: &Server) -> &Ward {
        &self.wards[&server.name]
    }
}

const HELD: &str = "nobody panics with this in its hand";
