//! What the worker needs of the process it lives in: signal handlers, the postmaster's pipe, one WAL record.
use crate::shared::wake;
use fsm::units::Lsn;
use pgrx::pg_sys;
use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use tokio::io::unix::AsyncFd;

static TERMINATED: AtomicBool = AtomicBool::new(false);
static RELOADED: AtomicBool = AtomicBool::new(false);
static WAKE: AtomicI32 = AtomicI32::new(-1);

/// Only atomics and one write(): the handler may run in a thread that resolves a name, where nothing of PostgreSQL may be called.
extern "C" fn on_signal(signal: libc::c_int) {
    // SAFETY: errno is the thread's own, the descriptor is an eventfd, and write() may be called in a handler.
    unsafe {
        let errno = *libc::__errno_location();
        match signal {
            libc::SIGTERM => TERMINATED.store(true, Ordering::SeqCst),
            libc::SIGHUP => RELOADED.store(true, Ordering::SeqCst),
            _ => {}
        }
        let one: u64 = 1;
        libc::write(WAKE.load(Ordering::Relaxed), (&raw const one).cast(), size_of::<u64>());
        *libc::__errno_location() = errno;
    }
}

/// Installs the handlers of SIGTERM and SIGHUP, then lets signals in.
pub fn install_signals() -> io::Result<()> {
    let bell = if wake::fd() < 0 { super::event_fd()? } else { wake::fd() };
    WAKE.store(bell, Ordering::SeqCst);
    // SAFETY: the handler has the signature that sigaction asks for, and its descriptor stands already.
    unsafe {
        for signal in [libc::SIGTERM, libc::SIGHUP] {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_signal as *const () as usize;
            action.sa_flags = libc::SA_RESTART;
            libc::sigfillset(&raw mut action.sa_mask);
            libc::sigaction(signal, &raw const action, std::ptr::null_mut());
        }
        pg_sys::BackgroundWorkerUnblockSignals();
    }
    Ok(())
}

/// The worker was told to go.
pub fn terminated() -> bool {
    TERMINATED.load(Ordering::SeqCst)
}

/// The configuration is to be read again; asked once per request.
pub fn reload_asked() -> bool {
    RELOADED.swap(false, Ordering::SeqCst)
}

fn watch(fd: RawFd) -> io::Result<AsyncFd<File>> {
    // SAFETY: both descriptors that come here are open as long as the process lives; a duplicate is watched.
    let owned: OwnedFd = unsafe { BorrowedFd::borrow_raw(fd) }.try_clone_to_owned()?;
    // SAFETY: a File owns its descriptor and gives the same one each time.
    unsafe { AsyncFd::register(File::from(owned)) }.map_err(|error| error.into_parts().1)
}

/// The eventfd that signal handlers, receivers and SQL functions ring.
pub fn wake_fd() -> io::Result<AsyncFd<File>> {
    watch(WAKE.load(Ordering::Relaxed))
}

/// Turns readable when the postmaster is dead.
pub fn postmaster_fd() -> io::Result<AsyncFd<File>> {
    // SAFETY: set by the postmaster before it forked this process, and not changed since.
    watch(unsafe { pg_sys::postmaster_alive_fds[0] })
}

/// Ends the worker. Never with 0, which would unregister it for good.
pub fn leave() -> ! {
    // SAFETY: the runtime is gone, so nothing of ours runs any more; proc_exit does not return.
    unsafe { pg_sys::proc_exit(1) }
}

/// Ends another process of this server, by its PID. Not through SQL, which knows client sessions only.
pub fn end(pid: i32) {
    // SAFETY: kill() has no memory effects.
    unsafe { libc::kill(pid, libc::SIGTERM) };
}

/// Writes a record that means nothing to anybody, has it flushed soon, and says where it ends. Not in recovery.
pub fn write_idle_record() -> Lsn {
    const RM_XLOG_ID: pg_sys::RmgrId = 0;
    const XLOG_NOOP: u8 = 0x20;
    let filler: u64 = 0;
    // SAFETY: on the main thread of a process with shared memory, out of recovery; the data outlives the insertion.
    unsafe {
        pg_sys::XLogBeginInsert();
        pg_sys::XLogRegisterData((&raw const filler).cast_mut().cast(), 8);
        let end = pg_sys::XLogInsert(RM_XLOG_ID, XLOG_NOOP);
        // The WAL writer flushes it: an fsync in this process could hang with the disk.
        pg_sys::XLogSetAsyncXactLSN(end);
        Lsn(end)
    }
}
