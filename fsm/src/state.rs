//! The states a node can be in, as it reports them and as the monitor assigns them.
//!
//! Names and order are those of pg_auto_failover 2.0, so that its users' scripts keep working.
use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! states {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)+) => {
        /// One state of a node.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum State { $($(#[$doc])* #[serde(rename = $text)] $name,)+ }
        impl State {
            /// Every state, in the order of the SQL enum `pgautofailover.replication_state`.
            pub const ALL: &'static [State] = &[$(State::$name,)+];
            /// The name used in SQL, in logs and in documents.
            pub const fn as_str(self) -> &'static str { match self { $(State::$name => $text,)+ } }
            /// The state of that name.
            pub fn parse(s: &str) -> Option<State> { State::ALL.iter().copied().find(|x| x.as_str() == s) }
        }
    };
}

states! {
    /// Nothing is known yet.
    Unknown = "unknown",
    /// Enrolled; the monitor was not asked yet.
    Init = "init",
    /// Alone, writable, without a lease.
    Single = "single",
    /// Writable without a lease; no synchronous standby.
    WaitPrimary = "wait_primary",
    /// Writable while its lease runs; commits wait as its rule says.
    Primary = "primary",
    /// A primary on its way down, fenced.
    Draining = "draining",
    /// Fenced by itself or by time. Kept for its name; not assigned.
    DemoteTimeout = "demote_timeout",
    /// No longer primary, read-only, following nobody yet.
    Demoted = "demoted",
    /// Streaming, or on its way to; not promotable.
    CatchingUp = "catchingup",
    /// Streaming, covered by the rule, promotable.
    Secondary = "secondary",
    /// Elected: promotes, fenced, and waits to be recorded as the writer.
    PreparePromotion = "prepare_promotion",
    /// Kept for its name; not assigned.
    StopReplication = "stop_replication",
    /// Registered; waits for the primary to make room for it.
    WaitStandby = "wait_standby",
    /// No rule names it, its server may be stopped; followed and restarted by nobody but its operator.
    Maintenance = "maintenance",
    /// Kept for its name; not assigned.
    JoinPrimary = "join_primary",
    /// Kept for its name; not assigned: a rule's number says it.
    ApplySettings = "apply_settings",
    /// Kept for its name; not assigned: the primary hands over first, as for any failover.
    PrepareMaintenance = "prepare_maintenance",
    /// To be taken down; the primary is to confirm a rule without it first.
    WaitMaintenance = "wait_maintenance",
    /// Cut off from its upstream by its own pledge; has told its end of WAL.
    ReportLsn = "report_lsn",
    /// Elected, but behind: fetches the missing WAL from a peer.
    FastForward = "fast_forward",
    /// Waits for the new primary to be ready to be followed.
    JoinSecondary = "join_secondary",
    /// Told to leave the group.
    Dropped = "dropped",
}

impl State {
    /// Whether the monitor means a node in this state to accept writes.
    pub const fn writes(self) -> bool {
        matches!(self, State::Single | State::WaitPrimary | State::Primary)
    }

    /// Whether a node in this state commits without a lease (law 3).
    pub const fn unleased(self) -> bool {
        matches!(self, State::Single | State::WaitPrimary)
    }

    /// Whether a node in this state follows an upstream, and is brought back to it by a rewind or a new copy if need be.
    pub const fn follows(self) -> bool {
        matches!(self, State::CatchingUp | State::Secondary)
    }

    /// Whether a node in this state is told whom to follow.
    pub const fn has_upstream(self) -> bool {
        self.follows() || matches!(self, State::WaitMaintenance | State::Maintenance)
    }

    /// Whether a node with this goal is on its way out of the rule, or out of it for good.
    pub const fn leaves_the_rule(self) -> bool {
        matches!(self, State::Dropped | State::WaitMaintenance | State::Maintenance)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
