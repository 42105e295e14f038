//! The values of `pg_autoctl.fenced_reads`.
use pgrx::guc::PostgresGucEnum;

/// What becomes of the sessions of a primary that may not commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PostgresGucEnum)]
pub enum FencedReads {
    /// They are ended, and new ones are turned away.
    #[name = c"refuse"]
    Refuse,
    /// They may read.
    #[name = c"allow"]
    Allow,
}
