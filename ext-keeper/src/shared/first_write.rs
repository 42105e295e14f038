//! The first commit of a reign that a client was told of: with it a failover is over. Commits after it pay for one look at a
//! word that nobody changes any more.
use super::{board, clock, wake};
use fsm::units::Term;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

const NOT_AWAITED: u64 = 0;
const AWAITED: u64 = u64::MAX;

/// This reign's is awaited from now on. Once a term: repeating it changes nothing.
pub fn await_of(term: Term) {
    if board().first_write_term.swap(term.0, SeqCst) != term.0 {
        board().first_write.store(AWAITED, SeqCst);
    }
}

/// This reign's is still to come.
pub fn is_awaited() -> bool {
    board().first_write.load(SeqCst) == AWAITED
}

/// A commit has ended well, and its client is about to hear of it. The one that was awaited rings for the keeper; `counts` is asked of
/// it alone.
pub fn note(counts: impl FnOnce() -> bool) {
    let word = &board().first_write;
    if word.load(Relaxed) != AWAITED || !counts() {
        return;
    }
    if word.compare_exchange(AWAITED, clock::boottime_ns(), SeqCst, SeqCst).is_ok() {
        wake::ring();
    }
}

/// The term whose first commit the monitor has not heard of yet, and when that was, on CLOCK_BOOTTIME.
pub fn untold() -> Option<(Term, u64)> {
    match board().first_write.load(SeqCst) {
        NOT_AWAITED | AWAITED => None,
        at => Some((Term(board().first_write_term.load(SeqCst)), at)),
    }
}

/// The monitor has heard of it. Only the keeper has one awaited, so it is still the same.
pub fn told() {
    board().first_write.store(NOT_AWAITED, SeqCst);
}
