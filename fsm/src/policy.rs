//! Every threshold, with its default.
use crate::units::{Bytes, Millis};
use serde::{Deserialize, Serialize};

/// What the monitor's settings say. `ext-monitor` reads them from PostgreSQL's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// How long a granted lease runs.
    pub lease: Millis,
    /// Silence longer than this is a reason to suspect. Longer than a lease (law 2).
    pub unhealthy: Millis,
    /// A server that answers "starting up" gets this long to recover by itself.
    pub crash_recovery_grace: Millis,
    /// A server that answers while its keeper is silent gets this long.
    pub stall: Millis,
    /// How long a fenced primary may take to hand its last WAL to the members.
    pub drain: Millis,
    /// After the monitor's own start nobody is convicted for this long.
    pub startup_grace: Millis,
    /// A member that was lost for this long leaves a rule that others keep up.
    pub member_timeout: Millis,
    /// Added to every lease before it counts as run out: clocks that drift, answers that are slow to be written.
    pub margin: Millis,
    /// A standby no further behind than this may be brought into the rule.
    pub catchup_lag: Bytes,
    /// A failover by a time-out counts for this long.
    pub flapping_window: Millis,
    /// So many failovers by a time-out within the window are as fast as ever.
    pub flapping_allowance: u32,
    /// The most that a time-out is lengthened to by the failovers beyond that.
    pub flapping_longest_wait: Millis,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            lease: Millis(3_000),
            unhealthy: Millis(4_000),
            crash_recovery_grace: Millis(10_000),
            stall: Millis(10_000),
            drain: Millis(10_000),
            startup_grace: Millis(5_000),
            member_timeout: Millis(30_000),
            margin: Millis(500),
            catchup_lag: Bytes::mib(16),
            flapping_window: Millis(600_000),
            flapping_allowance: 2,
            flapping_longest_wait: Millis(60_000),
        }
    }
}

impl Policy {
    /// What is wrong with these values, in one sentence; nothing when they fit together.
    pub fn check(&self) -> Result<(), String> {
        let after_lease = Millis(self.lease.0.saturating_add(self.margin.0));
        if self.unhealthy < after_lease {
            return Err(format!(
                "node_considered_unhealthy_timeout ({} ms) must be at least the lease plus its margin ({} ms)",
                self.unhealthy, after_lease
            ));
        }
        if self.stall < after_lease {
            return Err(format!(
                "stall_timeout ({} ms) must be at least the lease plus its margin ({} ms)",
                self.stall, after_lease
            ));
        }
        Ok(())
    }
}
