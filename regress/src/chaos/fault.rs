//! The faults, by name.
use crate::faults::Part;
use std::fmt;
use std::time::Duration;

/// What may happen to a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL to a node's whole process tree; it may be started again when the time is over.
    KillTree,
    /// SIGKILL to one process of it.
    Kill(Part),
    /// SIGSTOP to every process of a node.
    FreezeNode,
    /// SIGSTOP to one process of it.
    Freeze(Part),
    /// Its network is disturbed.
    Disturb(Disturbance),
    /// Every TCP connection of it is reset, at both ends.
    Reset,
    /// The disk of its WAL is full.
    FillDisk,
    /// It is killed, and started again with what was on its disk at an earlier time.
    OldImage,
    /// `pg_ctl stop`, by somebody who may.
    Stop(StopMode),
    /// The configuration is read again.
    Reload,
    /// The operator asks for another primary.
    Failover,
    /// The operator asks for this node as the primary.
    Promotion,
    /// The operator takes the node out of work, and gives it back.
    Maintenance,
    /// The monitor's processes get SIGSTOP.
    FreezeMonitor,
    /// They get SIGKILL.
    KillMonitor,
    /// The monitor is stopped in an orderly way.
    StopMonitor,
    /// The monitor's network is disturbed.
    DisturbMonitor(Disturbance),
}

/// What is wrong with the network of one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disturbance {
    /// Its cable is pulled.
    Unplug,
    /// Packets between it and others vanish.
    Cut(Way, Peers),
    /// So many of a hundred packets to and from it vanish.
    Lose(u8),
    /// It is behind a line of so many kilobits a second.
    SlowDown(u32),
}

/// Which direction is cut, seen from the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It is not heard.
    Out,
    /// It does not hear.
    In,
    /// Both.
    Both,
}

/// From whom it is cut. Clients reach it all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peers {
    /// The monitor.
    Monitor,
    /// All other nodes.
    Nodes,
    /// Both.
    All,
}

/// How pg_ctl stops a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopMode {
    /// Waits for clients to leave; who waits too long then asks for a fast one.
    Smart,
    /// Ends the sessions first.
    Fast,
    /// Dies on the spot, for a recovery at the next start.
    Immediate,
}

/// Whom a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Whoever is primary when it strikes.
    Primary,
    /// One of the others: this one of them, counted round and round.
    Standby(usize),
    /// This node, whatever it is.
    Node(usize),
}

/// One fault of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strike {
    /// When, from the beginning of its round.
    pub after: Duration,
    /// What.
    pub fault: Fault,
    /// To whom; means nothing where the fault is the monitor's.
    pub target: Target,
    /// Until it is undone, or the server may be started again.
    pub lasts: Duration,
}

impl Fault {
    /// It has no target among the nodes.
    pub fn is_of_the_monitor(self) -> bool {
        matches!(
            self,
            Fault::FreezeMonitor | Fault::KillMonitor | Fault::StopMonitor | Fault::DisturbMonitor(_)
        )
    }

    /// It is over as soon as it has been done.
    pub fn is_momentary(self) -> bool {
        let kills_a_child = matches!(self, Fault::Kill(part) if part != Part::Postmaster);
        kills_a_child || [Fault::Reset, Fault::Reload, Fault::Failover, Fault::Promotion].contains(&self)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::KillTree => f.write_str("kill the tree"),
            Fault::Kill(part) => write!(f, "kill {}", name(*part)),
            Fault::FreezeNode => f.write_str("freeze the node"),
            Fault::Freeze(part) => write!(f, "freeze {}", name(*part)),
            Fault::Disturb(disturbance) => disturbance.fmt(f),
            Fault::Reset => f.write_str("reset every connection"),
            Fault::FillDisk => f.write_str("fill the WAL disk"),
            Fault::OldImage => f.write_str("an old image of the disk"),
            Fault::Stop(StopMode::Smart) => f.write_str("stop, smart"),
            Fault::Stop(StopMode::Fast) => f.write_str("stop, fast"),
            Fault::Stop(StopMode::Immediate) => f.write_str("stop, immediate"),
            Fault::Reload => f.write_str("reload"),
            Fault::Failover => f.write_str("perform failover"),
            Fault::Promotion => f.write_str("perform promotion"),
            Fault::Maintenance => f.write_str("maintenance"),
            Fault::FreezeMonitor => f.write_str("freeze the monitor"),
            Fault::KillMonitor => f.write_str("kill the monitor"),
            Fault::StopMonitor => f.write_str("stop the monitor"),
            Fault::DisturbMonitor(disturbance) => write!(f, "the monitor: {disturbance}"),
        }
    }
}

impl fmt::Display for Disturbance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Disturbance::Unplug => f.write_str("pull the cable"),
            Disturbance::Cut(way, peers) => {
                let way = match way {
                    Way::Out => "not heard by",
                    Way::In => "deaf to",
                    Way::Both => "cut off from",
                };
                let peers = match peers {
                    Peers::Monitor => "the monitor",
                    Peers::Nodes => "the other nodes",
                    Peers::All => "monitor and nodes",
                };
                write!(f, "{way} {peers}")
            }
            Disturbance::Lose(percent) => write!(f, "lose {percent} % of packets"),
            Disturbance::SlowDown(kilobits) => write!(f, "a line of {kilobits} kbit/s"),
        }
    }
}

fn name(part: Part) -> &'static str {
    match part {
        Part::Postmaster => "the postmaster",
        Part::Keeper => "the keeper",
        Part::Startup => "the startup process",
        Part::Checkpointer => "the checkpointer",
        Part::WalReceiver => "a WAL receiver",
        Part::WalSender => "a WAL sender",
        Part::Backend => "a backend",
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Primary => f.write_str("the primary"),
            Target::Standby(n) => write!(f, "standby {n}"),
            Target::Node(n) => write!(f, "node_{n}"),
        }
    }
}

impl fmt::Display for Strike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{} ms {}", self.after.as_millis(), self.fault)?;
        if !self.fault.is_of_the_monitor() {
            write!(f, ": {}", self.target)?;
        }
        if !self.fault.is_momentary() {
            write!(f, ", {} ms", self.lasts.as_millis())?;
        }
        Ok(())
    }
}
