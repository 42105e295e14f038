//! Whether commits have to be on members before anybody is told of them (law 1).
//!
//! The keeper binds them when a rule with members is in force, before it has its members flush what was there: what ends
//! before the position is covered by that, so a commit that came too early to wait is not asked for more. It sets
//! them free only on the monitor's word for an empty rule, before the waits are released.
use super::board;
use fsm::units::Lsn;
use std::sync::atomic::Ordering::SeqCst;

pub(super) const FREE: u64 = u64::MAX;

/// From now on commits that end after that position have to be on members.
pub fn bind_after(position: Lsn) {
    // Where a rule takes over from another, what the first bound stays bound. FREE is the greatest number.
    board().bound_after.fetch_min(position.0, SeqCst);
}

/// Commits wait for nobody, by the monitor's word.
pub fn set_free() {
    board().bound_after.store(FREE, SeqCst);
}

/// Some commits have to be on members.
pub fn binds() -> bool {
    board().bound_after.load(SeqCst) != FREE
}

/// A commit that ends there has to be on members.
pub fn binds_at(end: Lsn) -> bool {
    end.0 > board().bound_after.load(SeqCst)
}
