//! Does one fault of a schedule, and undoes it when its time is over.
use super::fault::{Disturbance, Fault, Peers, StopMode, Strike, Target, Way};
use super::supervisor::Supervisor;
use crate::cluster::Cluster;
use crate::deadlines::{FAILOVER, WRITE, patient};
use crate::faults::Part;
use crate::image::Image;
use crate::network::Network;
use crate::process::{self, Pid};
use crate::server::{Server, text};
use crate::session::Session;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Between two attempts of an operator to give a node back.
const AGAIN: Duration = Duration::from_millis(500);
/// Bytes of WAL that nobody needs.
const MUCH: u32 = 100_000_000;
/// Room on a small disk, in megabytes.
pub const SMALL_DISK: u32 = 512;

/// Where faults are done.
pub struct Scene<'a> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// Who starts what died.
    pub supervisor: &'a Supervisor,
    /// An image of each node's disk from the time before the faults, where there are any.
    pub images: BTreeMap<String, Image>,
    primary: Mutex<String>,
    of_the_network: Mutex<Vec<(String, Disturbance)>>,
}

/// What became of a fault.
#[derive(Clone, Debug)]
pub enum Struck {
    /// It was done, to this server.
    Done(String),
    /// It could not be done, for this reason.
    Void(String),
}

impl<'a> Scene<'a> {
    /// Before the first fault.
    pub fn new(
        cluster: &'a Cluster,
        supervisor: &'a Supervisor,
        images: BTreeMap<String, Image>,
    ) -> Scene<'a> {
        Scene { cluster, supervisor, images, primary: Mutex::default(), of_the_network: Mutex::default() }
    }

    /// The group is healthy, and this is its primary.
    pub fn note_primary(&self, primary: &Server) {
        self.last_primary().clone_from(&primary.name);
    }

    /// Does a fault, waits while it lasts, undoes it.
    pub fn strike(&self, strike: &Strike) -> Struck {
        let of_the_monitor = strike.fault.is_of_the_monitor();
        let server = if of_the_monitor { &self.cluster.monitor } else { self.resolve(strike.target) };
        match self.strike_at(server, strike) {
            Ok(()) => Struck::Done(server.name.clone()),
            Err(why) => Struck::Void(format!("{}: {why}", server.name)),
        }
    }

    fn strike_at(&self, server: &Server, strike: &Strike) -> Result<(), String> {
        let lasts = strike.lasts;
        match strike.fault {
            Fault::KillTree | Fault::KillMonitor => {
                let postmaster = running(server)?;
                self.supervisor.leave_down(server, Instant::now() + lasts);
                process::kill_tree(postmaster);
                sleep(lasts);
                Ok(())
            }
            Fault::OldImage => self.restore(server, lasts),
            Fault::Kill(Part::Postmaster) => {
                let postmaster = running(server)?;
                self.supervisor.leave_down(server, Instant::now() + lasts);
                process::signal("KILL", &[postmaster]);
                sleep(lasts);
                Ok(())
            }
            Fault::Kill(part) => {
                process::signal("KILL", &[find(server, part)?]);
                Ok(())
            }
            Fault::FreezeNode | Fault::FreezeMonitor => {
                wake_after(lasts, &process::freeze_tree(running(server)?));
                Ok(())
            }
            Fault::Freeze(part) => {
                let pid = find(server, part)?;
                process::signal("STOP", &[pid]);
                wake_after(lasts, &[pid]);
                Ok(())
            }
            Fault::Disturb(disturbance) | Fault::DisturbMonitor(disturbance) => {
                self.disturb(server, disturbance, lasts)
            }
            Fault::Reset => {
                self.network()?;
                server.reset_any_connections()
            }
            Fault::FillDisk => {
                if !server.has_small_wal_disk() {
                    return Err("its WAL is not on a small disk".to_owned());
                }
                server.fill_wal_disk();
                self.write_much();
                sleep(lasts);
                server.free_wal_disk();
                Ok(())
            }
            Fault::Stop(mode) => self.stop(server, mode, lasts),
            Fault::StopMonitor => self.stop(server, StopMode::Fast, lasts),
            Fault::Reload => {
                running(server)?;
                let said = server.pg_ctl(&["reload"]);
                if said.status.success() { Ok(()) } else { Err(text(&said)) }
            }
            Fault::Failover => self.ask("perform_failover(formation_id => 'default', group_id => 0)"),
            Fault::Promotion => self.ask(&format!("perform_promotion('default', '{}')", server.name)),
            Fault::Maintenance => self.maintain(server, lasts),
        }
    }

    /// The server that a target stands for at this moment.
    fn resolve(&self, target: Target) -> &Server {
        let primary = self.look_for_the_primary();
        let nodes = &self.cluster.nodes;
        match target {
            Target::Node(n) => self.cluster.node(n),
            Target::Primary => self.cluster.named(&primary),
            Target::Standby(n) => {
                let standbys: Vec<&Server> = nodes.iter().filter(|node| node.name != primary).collect();
                standbys[n % standbys.len()]
            }
        }
    }

    /// As the monitor says; while it says nothing, the last one that it named.
    fn look_for_the_primary(&self) -> String {
        let writes = |state: &str| ["primary", "wait_primary", "single"].contains(&state);
        let states = self.cluster.states().unwrap_or_default();
        let seen = states.into_iter().find(|seen| writes(&seen.reported) && writes(&seen.assigned));
        let mut last = self.last_primary();
        if let Some(seen) = seen {
            *last = seen.name;
        }
        last.clone()
    }

    fn last_primary(&self) -> MutexGuard<'_, String> {
        self.primary.lock().expect("nobody panics with this in its hand")
    }

    fn restore(&self, server: &Server, down: Duration) -> Result<(), String> {
        let image = self.images.get(&server.name).ok_or("there is no image of it")?;
        // Whatever else is done to it meanwhile: nobody may start it while its files are replaced.
        let held = self.supervisor.hold(server);
        if let Some(postmaster) = *held {
            process::kill_tree(postmaster);
        }
        server.restore(image);
        sleep(down);
        Ok(())
    }

    /// A fault of the network, while it lasts. When it is over all of them are ended, and those of others are done again.
    fn disturb(&self, server: &Server, disturbance: Disturbance, lasts: Duration) -> Result<(), String> {
        let network = self.network()?;
        let this = (server.name.clone(), disturbance);
        {
            let mut present = self.disturbances();
            self.do_to_the_network(network, &this);
            present.push(this.clone());
        }
        sleep(lasts);
        let mut present = self.disturbances();
        let at = present.iter().position(|other| *other == this).expect("it was done");
        present.remove(at);
        network.heal();
        present.iter().for_each(|other| self.do_to_the_network(network, other));
        Ok(())
    }

    fn do_to_the_network(&self, network: &Network, (name, disturbance): &(String, Disturbance)) {
        let monitor = &self.cluster.monitor;
        let server = if *name == monitor.name { monitor } else { self.cluster.named(name) };
        match *disturbance {
            Disturbance::Lose(percent) => network.lose(server, percent),
            Disturbance::SlowDown(kilobits) => network.slow_down(server, kilobits),
            Disturbance::Cut(way, peers) => {
                let others = self.cluster.nodes.iter().filter(|node| node.name != server.name);
                let peers: Vec<&Server> = match peers {
                    Peers::Monitor => vec![monitor],
                    Peers::Nodes => others.collect(),
                    Peers::All => others.chain([monitor]).collect(),
                };
                for peer in peers {
                    match way {
                        Way::Out => network.cut(server, peer),
                        Way::In => network.cut(peer, server),
                        Way::Both => network.separate(server, peer),
                    }
                }
            }
            Disturbance::Unplug => network.unplug(server),
        }
    }

    fn disturbances(&self) -> MutexGuard<'_, Vec<(String, Disturbance)>> {
        self.of_the_network.lock().expect("nobody panics with this in its hand")
    }

    /// More WAL than there is in files that are only used again. It is nobody's, and it may fail.
    fn write_much(&self) {
        let primary = self.cluster.named(&self.look_for_the_primary());
        let sql = format!("SELECT pg_logical_emit_message(true, 'chaos', repeat('x', {MUCH}))");
        if let Ok(session) = Session::open(&primary.app()) {
            drop(session.rows(&sql, WRITE));
        }
    }

    fn stop(&self, server: &Server, mode: StopMode, lasts: Duration) -> Result<(), String> {
        let postmaster = running(server)?;
        let word = match mode {
            StopMode::Smart => "smart",
            StopMode::Fast => "fast",
            StopMode::Immediate => "immediate",
        };
        self.supervisor.leave_down(server, Instant::now() + lasts);
        server.pg_ctl(&["stop", "-W", "-m", word]);
        sleep(lasts);
        // A service manager's patience ends too.
        if mode == StopMode::Smart && process::is_alive(postmaster) {
            server.pg_ctl(&["stop", "-W", "-m", "fast"]);
        }
        Ok(())
    }

    fn maintain(&self, server: &Server, lasts: Duration) -> Result<(), String> {
        let (name, port) = (&server.name, server.port);
        self.ask(&format!("start_maintenance('{name}', {port})"))?;
        sleep(lasts);
        let asked = Instant::now();
        loop {
            match self.ask(&format!("stop_maintenance('{name}', {port})")) {
                Ok(()) => return Ok(()),
                Err(said) if asked.elapsed() > patient(FAILOVER) => {
                    panic!("{name} cannot be given back after maintenance: {said}")
                }
                Err(_) => sleep(AGAIN),
            }
        }
    }

    fn ask(&self, call: &str) -> Result<(), String> {
        let asked = self.cluster.ask_monitor(&format!("SELECT pgautofailover.{call}"));
        asked.map(drop).map_err(|error| error.to_string())
    }

    fn network(&self) -> Result<&Network, String> {
        self.cluster.network.as_ref().ok_or_else(|| "it has no machine of its own".to_owned())
    }
}

fn running(server: &Server) -> Result<Pid, String> {
    server.running().ok_or_else(|| "it is down".to_owned())
}

fn find(server: &Server, part: Part) -> Result<Pid, String> {
    server.find(part).ok_or_else(|| "it has no such process".to_owned())
}

/// Those that were stopped are woken, also when their postmaster has died meanwhile: nobody else would.
fn wake_after(lasts: Duration, pids: &[Pid]) {
    sleep(lasts);
    process::signal("CONT", pids);
}
