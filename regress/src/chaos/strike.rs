//! Does one fault of a schedule, and undoes it when its time is over.
use super::fault::{Fault, StopMode, Strike, Target};
use super::supervisor::Supervisor;
use crate::address::Place;
use crate::cluster::Cluster;
use crate::deadlines::{FAILOVER, patient};
use crate::network::Network;
use crate::process::{self, Pid};
use crate::server::{Server, text};
use std::sync::Mutex;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Between two attempts of an operator to give a node back.
const AGAIN: Duration = Duration::from_millis(500);

/// Where faults are done.
pub struct Scene<'a> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// Who starts what died.
    pub supervisor: &'a Supervisor,
    /// The last primary that was known.
    pub primary: Mutex<String>,
}

/// What became of a fault.
#[derive(Clone, Debug)]
pub enum Struck {
    /// It was done, to this server.
    Done(String),
    /// It could not be done, for this reason.
    Void(String),
}

impl Scene<'_> {
    /// Does a fault, waits while it lasts, undoes it.
    pub fn strike(&self, strike: &Strike) -> Struck {
        let server = if strike.fault.is_of_the_monitor() {
            &self.cluster.monitor
        } else {
            self.resolve(strike.target)
        };
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
            }
            Fault::KillKeeper => process::signal("KILL", &[keeper(server)?]),
            Fault::FreezeNode | Fault::FreezeMonitor => freeze(&process::tree(running(server)?), lasts),
            Fault::FreezeKeeper => freeze(&[keeper(server)?], lasts),
            Fault::CutNode | Fault::CutMonitor => {
                let network = self.network()?;
                network.unplug(self.place(server));
                sleep(lasts);
                network.plug(self.place(server));
            }
            Fault::Stop(mode) => self.stop(server, mode, lasts)?,
            Fault::StopMonitor => self.stop(server, StopMode::Fast, lasts)?,
            Fault::Reload => {
                running(server)?;
                let said = server.pg_ctl(&["reload"]);
                if !said.status.success() {
                    return Err(text(&said));
                }
            }
            Fault::Failover => {
                self.ask("perform_failover(formation_id => 'default', group_id => 0)")?;
            }
            Fault::Promotion => {
                self.ask(&format!("perform_promotion('default', '{}')", server.name))?;
            }
            Fault::Maintenance => self.maintain(server, lasts)?,
        }
        Ok(())
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
        let mut last = self.primary.lock().expect("nobody panics with this in its hand");
        let states = self.cluster.states().unwrap_or_default();
        let writes = |state: &str| ["primary", "wait_primary", "single"].contains(&state);
        if let Some(seen) = states.into_iter().find(|seen| writes(&seen.reported) && writes(&seen.assigned)) {
            *last = seen.name;
        }
        last.clone()
    }

    fn stop(&self, server: &Server, mode: StopMode, lasts: Duration) -> Result<(), String> {
        let postmaster = running(server)?;
        let (mode, began) = match mode {
            StopMode::Smart => ("smart", Instant::now()),
            StopMode::Fast => ("fast", Instant::now()),
            StopMode::Immediate => ("immediate", Instant::now()),
        };
        self.supervisor.leave_down(server, began + lasts);
        server.pg_ctl(&["stop", "-W", "-m", mode]);
        sleep(lasts);
        // A service manager's patience ends too: what has not gone down by itself is killed.
        if process::is_alive(postmaster) && server.running() == Some(postmaster) && mode == "smart" {
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
                Ok(_) => return Ok(()),
                Err(said) if asked.elapsed() > patient(FAILOVER) => {
                    panic!("{name} cannot be given back after maintenance: {said}")
                }
                Err(_) => sleep(AGAIN),
            }
        }
    }

    fn ask(&self, call: &str) -> Result<String, String> {
        self.cluster.ask_monitor(&format!("SELECT pgautofailover.{call}")).map_err(|error| error.to_string())
    }

    fn network(&self) -> Result<&Network, String> {
        self.cluster
            .network
            .as_ref()
            .ok_or_else(|| "there are no machines here, only root makes them".to_owned())
    }

    fn place(&self, server: &Server) -> Place {
        match self.cluster.nodes.iter().position(|node| node.name == server.name) {
            Some(index) => Place::Node(u8::try_from(index + 1).expect("few nodes")),
            None => Place::Monitor,
        }
    }
}

fn running(server: &Server) -> Result<Pid, String> {
    server.running().ok_or_else(|| "it is down".to_owned())
}

fn keeper(server: &Server) -> Result<Pid, String> {
    server.keeper().ok_or_else(|| "it has no keeper".to_owned())
}

/// Those that were stopped are woken, also when their postmaster has died meanwhile: nobody else would.
fn freeze(pids: &[Pid], lasts: Duration) {
    process::signal("STOP", pids);
    sleep(lasts);
    process::signal("CONT", pids);
}
