//! The faults, by name.
use std::fmt;
use std::time::Duration;

/// What may happen to a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// SIGKILL to a node's whole process tree; it may be started again when the time is over.
    KillTree,
    /// SIGKILL to its keeper alone: a crash cycle of the server.
    KillKeeper,
    /// SIGSTOP to every process of a node.
    FreezeNode,
    /// SIGSTOP to its keeper alone.
    FreezeKeeper,
    /// Its cable is pulled.
    CutNode,
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
    /// The monitor's cable is pulled.
    CutMonitor,
}

/// How pg_ctl stops a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
        matches!(self, Fault::FreezeMonitor | Fault::KillMonitor | Fault::StopMonitor | Fault::CutMonitor)
    }

    /// It is over as soon as it has been done.
    pub fn is_momentary(self) -> bool {
        matches!(self, Fault::KillKeeper | Fault::Reload | Fault::Failover | Fault::Promotion)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::KillTree => "kill the tree",
            Fault::KillKeeper => "kill the keeper",
            Fault::FreezeNode => "freeze the node",
            Fault::FreezeKeeper => "freeze the keeper",
            Fault::CutNode => "cut off",
            Fault::Stop(StopMode::Smart) => "stop, smart",
            Fault::Stop(StopMode::Fast) => "stop, fast",
            Fault::Stop(StopMode::Immediate) => "stop, immediate",
            Fault::Reload => "reload",
            Fault::Failover => "perform failover",
            Fault::Promotion => "perform promotion",
            Fault::Maintenance => "maintenance",
            Fault::FreezeMonitor => "freeze the monitor",
            Fault::KillMonitor => "kill the monitor",
            Fault::StopMonitor => "stop the monitor",
            Fault::CutMonitor => "cut off the monitor",
        })
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
