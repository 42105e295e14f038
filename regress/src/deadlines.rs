//! Every deadline of the tests, by name. They are for broken runs, not for slow machines: none is near what a good run needs.
use std::time::Duration;

/// `pg_autoctl create …`, initdb or base backup included.
pub const CREATE: Duration = Duration::from_secs(90);
/// All commands of a page of documentation.
pub const PAGE: Duration = Duration::from_secs(240);
/// Any other command.
pub const COMMAND: Duration = Duration::from_secs(30);
/// A server answers after `pg_ctl start`.
pub const START: Duration = Duration::from_secs(30);
/// A process is gone after it was killed.
pub const DEATH: Duration = Duration::from_secs(20);
/// Another node writes after the primary was lost.
pub const FAILOVER: Duration = Duration::from_secs(30);
/// A former primary is a secondary again, rewind included.
pub const REJOIN: Duration = Duration::from_secs(60);
/// The same, with a new base backup.
pub const CLONE: Duration = Duration::from_secs(90);
/// One statement.
pub const STATEMENT: Duration = Duration::from_secs(10);
/// One row of a writer that watches for pauses: given up and counted as unknown after this.
pub const WRITE: Duration = Duration::from_secs(2);
/// A connection to a server that may be gone.
pub const CONNECT: Duration = Duration::from_secs(1);

/// `limit` for this machine: REGRESS_PATIENCE multiplies every deadline.
pub fn patient(limit: Duration) -> Duration {
    let patience = std::env::var("REGRESS_PATIENCE").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    limit * patience
}
