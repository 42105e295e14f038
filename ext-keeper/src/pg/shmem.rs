//! The library's shared memory.
use crate::boot_guard;
use crate::shared::{Board, Target, View};
use pgrx::prelude::*;
use pgrx::{PGRXSharedMemory, PgAtomic, PgLwLock, pg_shmem_init};

// SAFETY: atomics only.
unsafe impl PGRXSharedMemory for Board {}
// SAFETY: plain values without pointers.
unsafe impl PGRXSharedMemory for Target {}
// SAFETY: plain values without pointers.
unsafe impl PGRXSharedMemory for View {}

/// What must be read without a lock.
// SAFETY: the name is the library's own.
pub static BOARD: PgAtomic<Board> = unsafe { PgAtomic::new(c"pg_autoctl board") };
/// Whom the receiver may connect to.
// SAFETY: the name is the library's own.
pub static TARGET: PgLwLock<Target> = unsafe { PgLwLock::new(c"pg_autoctl target") };
/// What the keeper shows.
// SAFETY: the name is the library's own.
pub static VIEW: PgLwLock<View> = unsafe { PgLwLock::new(c"pg_autoctl view") };

/// Asks for the memory. It is set up at each boot and in each crash cycle, each time from the most forbidding values;
/// then the boot guard runs, before the startup process looks for signal files.
pub fn request() {
    pg_shmem_init!(TARGET = Target::default());
    pg_shmem_init!(BOARD = Board::default());
    pg_shmem_init!(VIEW = boot_guard::run());
}
