//! The rule as the processes of this server know it, and whether commits are bound by it (law 1).
//!
//! The keeper numbers its changes of `synchronous_standby_names`. Each walsender releases commits by its own view of the names, so
//! each that streams to a node tells which number it has read, and so does the checkpointer, which tells the backends whether
//! to wait at all.
//!
//! Commits are bound when a rule with members is in force, before the keeper has its members flush what was there: what ends
//! before the position is covered by that, so a commit that came too early to wait is not asked for more. They are
//! set free only on the monitor's word for an empty rule, before the waits are released.
use super::board;
use fsm::units::Lsn;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicUsize, Ordering::SeqCst};

const FREE: u64 = u64::MAX;
/// More nodes than that do not stream from one server.
pub const READERS: usize = 32;

/// A walsender that streams to a node.
#[derive(Default)]
pub(super) struct Reader {
    pid: AtomicI32,
    number: AtomicU32,
}

/// In a walsender: its place among the readers.
static PLACE: AtomicUsize = AtomicUsize::new(usize::MAX);

fn own() -> Option<&'static Reader> {
    // In this order: the postmaster comes here before there is a board.
    let place = Some(PLACE.load(SeqCst)).filter(|place| *place < READERS)?;
    board().readers.get(place)
}

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

/// A number that no process of this life can have read before, nor anybody who reads the present file.
pub fn next_number(present: u32) -> u32 {
    let last = board().rule_numbers.fetch_max(present, SeqCst).max(present);
    board().rule_numbers.fetch_max(last + 1, SeqCst);
    last + 1
}

/// Who begins to stream to a node from now on must have read that number; 0: none.
pub fn demand(number: u32) {
    board().rule_number.store(number, SeqCst);
}

/// What [`demand`] has set.
pub fn demanded() -> u32 {
    board().rule_number.load(SeqCst)
}

/// This process streams to a node and has read that number. False: there are too many.
pub fn register(number: u32) -> bool {
    let readers = &board().readers;
    if own().is_none() {
        let pid = std::process::id().cast_signed();
        let free =
            readers.iter().position(|reader| reader.pid.compare_exchange(0, pid, SeqCst, SeqCst).is_ok());
        PLACE.store(free.unwrap_or(usize::MAX), SeqCst);
    }
    own().is_some_and(|reader| {
        reader.number.store(number, SeqCst);
        true
    })
}

/// This process ends.
pub fn unregister() {
    if let Some(reader) = own() {
        reader.pid.store(0, SeqCst);
    }
}

/// This process has read that number.
pub fn read(number: u32, is_checkpointer: bool) {
    if is_checkpointer {
        board().checkpointer_number.store(number, SeqCst);
    } else if let Some(reader) = own() {
        reader.number.store(number, SeqCst);
    }
}

/// The checkpointer has read that number.
pub fn is_read_by_checkpointer(number: u32) -> bool {
    board().checkpointer_number.load(SeqCst) == number
}

/// The walsender of that process has read that number.
pub fn is_read_by(pid: i32, number: u32) -> bool {
    board()
        .readers
        .iter()
        .any(|reader| reader.pid.load(SeqCst) == pid && reader.number.load(SeqCst) == number)
}
