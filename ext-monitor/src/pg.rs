//! Everything that the compiler cannot check: calls into PostgreSQL and the C library, behind safe functions.
//! The only module of this crate with `unsafe`.
#![allow(unsafe_code)]

use crate::board::Board;
use crate::error::Error;
use crate::transaction;
use fsm::units::Moment;
use pgrx::lwlock::PgLwLock;
use pgrx::prelude::*;
use pgrx::{PGRXSharedMemory, pg_shmem_init, pg_sys};
use std::ffi::{CStr, CString};
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use tokio::io::unix::AsyncFd;

static BOARD: PgLwLock<Board> = unsafe { PgLwLock::new(c"pgautofailover_board") };
static HAS_BOARD: AtomicBool = AtomicBool::new(false);
static DOORBELL: AtomicI32 = AtomicI32::new(-1);
static TERMINATE: AtomicBool = AtomicBool::new(false);
static RELOAD: AtomicBool = AtomicBool::new(false);

// SAFETY: the board holds plain data without pointers, and is only reached under its lock.
unsafe impl PGRXSharedMemory for Board {}

/// Whether the postmaster is loading this library right now.
pub fn preloading() -> bool {
    // SAFETY: a plain variable of this process, written before libraries are loaded.
    unsafe { pg_sys::process_shared_preload_libraries_in_progress && !pg_sys::IsUnderPostmaster }
}

/// Asks for the board's shared memory; PostgreSQL makes it now, and anew after a crash of a backend.
pub fn make_board() {
    HAS_BOARD.store(true, Ordering::Relaxed);
    pg_shmem_init!(BOARD = Board::new(now()));
}

/// The board, for the length of `section`. Keep it short, and raise nothing in it.
pub fn board<R>(section: impl FnOnce(&mut Board) -> R) -> Result<R, Error> {
    if !HAS_BOARD.load(Ordering::Relaxed) {
        return Err(Error::NotPreloaded);
    }
    let mut board = BOARD.exclusive();
    let stood_still = board.look(now());
    let result = section(&mut board);
    drop(board);
    if let Some(time) = stood_still {
        log!(
            "this monitor stood still for {} ms; nobody is suspected for startup_grace_period from now on",
            time.0
        );
    }
    Ok(result)
}

/// The present moment of CLOCK_BOOTTIME, which also counts while the machine sleeps.
pub fn now() -> Moment {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is ours and large enough; the call cannot fail for a clock that Linux has had since 2.6.39.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    Moment((time.tv_sec as u64) * 1_000 + (time.tv_nsec as u64) / 1_000_000)
}

/// The directory of this server's data.
pub fn data_dir() -> PathBuf {
    // SAFETY: set once, long before any of us runs.
    PathBuf::from(unsafe { CStr::from_ptr(pg_sys::DataDir) }.to_string_lossy().into_owned())
}

// ---- transactions

/// Registers what this crate does at the end of a transaction. Every backend inherits it from the postmaster.
pub fn watch_transactions() {
    // SAFETY: called once, in the postmaster; the callbacks live as long as the library.
    unsafe {
        pg_sys::RegisterXactCallback(Some(at_transaction_end), std::ptr::null_mut());
        pg_sys::RegisterSubXactCallback(Some(at_subtransaction_end), std::ptr::null_mut());
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn at_transaction_end(
    event: pg_sys::XactEvent::Type,
    _argument: *mut std::ffi::c_void,
) {
    match event {
        pg_sys::XactEvent::XACT_EVENT_COMMIT => {
            crate::evaluate::at_commit();
            crate::tell::at_commit();
            crate::refuse::at_commit();
            crate::health::at_commit();
        }
        pg_sys::XactEvent::XACT_EVENT_ABORT => {
            crate::evaluate::at_abort();
            transaction::each(|left| left.clear());
        }
        pg_sys::XactEvent::XACT_EVENT_PRE_PREPARE => crate::evaluate::at_prepare(),
        _ => {}
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn at_subtransaction_end(
    event: pg_sys::SubXactEvent::Type,
    own: pg_sys::SubTransactionId,
    parent: pg_sys::SubTransactionId,
    _argument: *mut std::ffi::c_void,
) {
    match event {
        pg_sys::SubXactEvent::SUBXACT_EVENT_COMMIT_SUB => {
            transaction::each(|left| left.hand_on(own, parent));
        }
        pg_sys::SubXactEvent::SUBXACT_EVENT_ABORT_SUB => {
            crate::evaluate::at_rollback();
            transaction::each(|left| left.forget(own));
        }
        _ => {}
    }
}

/// The number of the subtransaction that we are in.
pub fn subtransaction() -> u32 {
    // SAFETY: we are in a transaction.
    unsafe { pg_sys::GetCurrentSubTransactionId() }
}

/// Whom this session logged in as, whatever rights it runs with at this moment.
pub fn session_user() -> String {
    // SAFETY: in a transaction; returns a palloc'ed string, or NULL when the role was dropped meanwhile.
    unsafe {
        let name = pg_sys::GetUserNameFromId(pg_sys::GetSessionUserId(), true);
        if name.is_null() { String::new() } else { CStr::from_ptr(name).to_string_lossy().into_owned() }
    }
}

/// The five characters of a SQLSTATE, which PostgreSQL packs six bits each.
pub fn sqlstate_text(code: i32) -> String {
    let character = |place: u32| char::from(b'0' + ((code >> (6 * place)) & 0x3f) as u8);
    (0..5).map(character).collect()
}

/// Waits until this transaction alone evaluates `group`, and holds that until the transaction has ended, its
/// callbacks included. A lock of our own kind, so that nobody can take it by `pg_advisory_lock`.
pub fn lock_group(table: pg_sys::Oid, group: i32) {
    let group = pg_sys::Oid::from(group.cast_unsigned());
    // SAFETY: any pair of numbers may be locked; the lock belongs to the transaction.
    unsafe { pg_sys::LockDatabaseObject(table, group, 0, pg_sys::AccessExclusiveLock as pg_sys::LOCKMODE) };
}

/// Runs `read` on a snapshot taken now. PostgreSQL would otherwise read by the caller's, which is older than our lock.
pub fn with_fresh_snapshot<R>(read: impl FnOnce() -> R) -> R {
    // SAFETY: we are in a transaction; an ERROR on the way is cleaned up by its abort.
    unsafe { pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot()) };
    let result = read();
    // SAFETY: pops what was pushed above.
    unsafe { pg_sys::PopActiveSnapshot() };
    result
}

/// Whether each statement sees what others have committed.
pub fn is_read_committed() -> bool {
    // SAFETY: a plain variable of this process.
    unsafe { pg_sys::XactIsoLevel <= pg_sys::XACT_READ_COMMITTED as i32 }
}

/// This transaction is on disk before its client hears of it, whatever synchronous_commit says.
pub fn commit_durably() {
    // SAFETY: we are in a transaction.
    unsafe { pg_sys::ForceSyncCommit() };
}

/// The name of the database that this backend is connected to.
pub fn database_name() -> String {
    // SAFETY: returns a palloc'ed string, or NULL when the database was dropped meanwhile.
    unsafe {
        let name = pg_sys::get_database_name(pg_sys::MyDatabaseId);
        if name.is_null() { String::new() } else { CStr::from_ptr(name).to_string_lossy().into_owned() }
    }
}

/// Calls [`crate::session::at_exit`] when this backend ends, however it ends.
pub fn watch_exit() {
    // SAFETY: registered once a backend; the callback lives as long as the library.
    unsafe { pg_sys::before_shmem_exit(Some(at_backend_exit), pg_sys::Datum::from(0_usize)) };
}

#[pg_guard]
unsafe extern "C-unwind" fn at_backend_exit(_code: i32, _arg: pg_sys::Datum) {
    crate::session::at_exit();
}

/// Random bytes fit for a secret.
pub fn strong_random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0_u8; N];
    // SAFETY: the buffer is as long as we say.
    let filled = unsafe { pg_sys::pg_strong_random(bytes.as_mut_ptr().cast(), N) };
    if filled { Ok(bytes) } else { Err(Error::Internal("the operating system gave no random bytes".into())) }
}

// ---- the doorbell of the worker

/// Makes the eventfd that wakes the worker. Made in the postmaster, so that every backend has it.
pub fn make_doorbell() {
    // SAFETY: no memory involved. Close-on-exec, for nothing that is executed from here needs it.
    let bell = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
    DOORBELL.store(bell, Ordering::Relaxed);
}

/// Wakes the worker. Callable from a signal handler.
pub fn ring() {
    let one = 1_u64;
    // SAFETY: writes eight bytes of ours; a full or missing eventfd only fails.
    unsafe { libc::write(DOORBELL.load(Ordering::Relaxed), (&raw const one).cast(), 8) };
}

/// Takes note of every ring so far.
pub fn silence_doorbell() {
    let mut count = 0_u64;
    // SAFETY: reads eight bytes into ours; non-blocking.
    unsafe { libc::read(DOORBELL.load(Ordering::Relaxed), (&raw mut count).cast(), 8) };
}

/// Readable once the doorbell was rung.
pub fn doorbell() -> std::io::Result<AsyncFd<OwnedFd>> {
    watched(DOORBELL.load(Ordering::Relaxed))
}

/// Turns readable when the postmaster is gone.
pub fn postmaster_alive() -> std::io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: set by the postmaster before it forked us.
    watched(unsafe { pg_sys::postmaster_alive_fds[0] })
}

/// A copy of a descriptor that belongs to this process as a whole, watched by the runtime that we run in.
fn watched(fd: RawFd) -> std::io::Result<AsyncFd<OwnedFd>> {
    if fd < 0 {
        return Err(std::io::Error::other("the postmaster made no such descriptor"));
    }
    // SAFETY: it is open for as long as this process lives.
    let copy = unsafe { BorrowedFd::borrow_raw(fd) }.try_clone_to_owned()?;
    // SAFETY: the copy is closed by the AsyncFd alone, after its registration.
    Ok(unsafe { AsyncFd::register(copy) }?)
}

// ---- the worker's process

extern "C" fn on_signal(signal: libc::c_int) {
    // SAFETY: errno is this thread's own.
    let errno = unsafe { *libc::__errno_location() };
    match signal {
        libc::SIGTERM => TERMINATE.store(true, Ordering::SeqCst),
        libc::SIGHUP => RELOAD.store(true, Ordering::SeqCst),
        _ => {}
    }
    ring();
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
}

/// Installs handlers that only set a flag and ring, then lets signals in.
pub fn take_signals() {
    for signal in [libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: a zeroed sigaction is valid, and the handler only does what a handler may.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_signal as *const () as usize;
            action.sa_flags = libc::SA_RESTART;
            libc::sigfillset(&raw mut action.sa_mask);
            libc::sigaction(signal, &raw const action, std::ptr::null_mut());
        }
    }
    // SAFETY: we are a background worker whose handlers stand.
    unsafe { pg_sys::BackgroundWorkerUnblockSignals() };
}

/// The postmaster wants us to end.
pub fn told_to_stop() -> bool {
    TERMINATE.load(Ordering::SeqCst)
}

/// The configuration is to be read again; true once a SIGHUP.
pub fn told_to_reload() -> bool {
    RELOAD.swap(false, Ordering::SeqCst)
}

/// Reads the configuration again.
pub fn reload_configuration() {
    // SAFETY: main thread of a background worker, outside of any transaction.
    unsafe { pg_sys::ProcessConfigFile(pg_sys::GucContext::PGC_SIGHUP) };
}

/// For threads that resolve names: PostgreSQL's signals belong to the main thread.
pub fn block_signals_here() {
    // SAFETY: changes the mask of the calling thread only.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, std::ptr::null_mut());
    }
}

/// Ends the worker so that the postmaster starts another one: exit code 0 would unregister it for good.
pub fn leave() -> ! {
    // SAFETY: the ordinary way out of a PostgreSQL process.
    unsafe { pg_sys::proc_exit(1) }
}

/// The first directory of this server's Unix sockets, and its port.
pub fn own_address() -> (Option<String>, u16) {
    // SAFETY: variables of this process; the string is set by the configuration.
    unsafe {
        let directories = pg_sys::Unix_socket_directories;
        let first =
            (!directories.is_null()).then(|| CStr::from_ptr(directories).to_string_lossy().into_owned());
        let first = first.and_then(|all| all.split(',').next().map(|one| one.trim().to_owned()));
        (first.filter(|path| !path.is_empty()), u16::try_from(pg_sys::PostPortNumber).unwrap_or(0))
    }
}

/// The name of the operating system's user that runs this server.
pub fn os_user() -> Option<String> {
    let mut buffer = vec![0_u8; 4096];
    let mut found: *mut libc::passwd = std::ptr::null_mut();
    // SAFETY: a zeroed passwd is only written to; buffer and length belong together; the name points into the buffer.
    unsafe {
        let mut entry: libc::passwd = std::mem::zeroed();
        let uid = libc::geteuid();
        libc::getpwuid_r(uid, &raw mut entry, buffer.as_mut_ptr().cast(), buffer.len(), &raw mut found);
        if found.is_null() {
            return None;
        }
        CString::from(CStr::from_ptr(entry.pw_name)).into_string().ok()
    }
}
