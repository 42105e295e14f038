//! What is done in the postmaster itself, at its beginning and at its end.
use pgrx::pg_sys;
use pgrx::prelude::*;
use std::ffi::{CString, OsStr, c_int};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, Ordering};

static LAST_BREATH: OnceLock<fn()> = OnceLock::new();
/// Duplicates of the descriptors 1 and 2 that the postmaster was started with.
static OUTPUT: [AtomicI32; 2] = [AtomicI32::new(-1), AtomicI32::new(-1)];

/// This process is a postmaster: neither its child, nor a single-user server, nor a bootstrap.
pub fn is_postmaster() -> bool {
    // SAFETY: plain variables of this process.
    unsafe { pg_sys::IsPostmasterEnvironment && !pg_sys::IsUnderPostmaster }
}

/// The server was started by pg_upgrade.
pub fn is_binary_upgrade() -> bool {
    // SAFETY: a plain variable of this process.
    unsafe { pg_sys::IsBinaryUpgrade }
}

/// Takes a name out of the environment. In the postmaster, which has one thread.
pub fn forget_environment(name: &str) {
    // SAFETY: no other thread reads the environment.
    unsafe { std::env::remove_var(name) }
}

/// Puts a name into the environment. In the postmaster, which has one thread.
pub fn set_environment(name: &str, value: &OsStr) {
    // SAFETY: no other thread reads the environment.
    unsafe { std::env::set_var(name, value) }
}

/// Has `callback` called when the postmaster leaves, while its lock file still stands.
pub fn at_exit(callback: fn()) {
    if LAST_BREATH.set(callback).is_ok() {
        // SAFETY: in the postmaster. Children forget the callbacks that they inherit; the PID is checked all the same.
        unsafe { pg_sys::on_proc_exit(Some(on_exit), pg_sys::Datum::from(0)) }
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn on_exit(_code: c_int, _argument: pg_sys::Datum) {
    // SAFETY: plain variables of this process.
    let is_postmaster = unsafe { libc::getpid() == pg_sys::PostmasterPid };
    if let (true, Some(callback)) = (is_postmaster, LAST_BREATH.get()) {
        callback();
    }
}

/// Remembers where standard output and error went before a logging collector takes them over. Without that every restart
/// in place would leave one more collector behind, held by its own pipe.
pub fn keep_output() {
    const ABOVE_THE_USUAL: c_int = 64;
    for (kept, fd) in OUTPUT.iter().zip([libc::STDOUT_FILENO, libc::STDERR_FILENO]) {
        // SAFETY: makes a descriptor, nothing else.
        kept.store(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, ABOVE_THE_USUAL) }, Ordering::Relaxed);
    }
}

/// Becomes `program`, in the same process. Returns only when that failed.
///
/// Signals stay as they are, blocked: a pending SIGCHLD that came through now would run the postmaster's old handler,
/// which finishes the exit.
pub fn become_program(program: &Path, arguments: &[CString]) -> std::io::Error {
    let Ok(path) = CString::new(program.as_os_str().as_bytes()) else {
        return std::io::ErrorKind::InvalidInput.into();
    };
    let argv: Vec<*const libc::c_char> =
        arguments.iter().map(|argument| argument.as_ptr()).chain([std::ptr::null()]).collect();
    // SAFETY: descriptors are only marked or replaced by ones that we kept; the pointers live until execv returns.
    unsafe {
        for (kept, fd) in OUTPUT.iter().zip([libc::STDOUT_FILENO, libc::STDERR_FILENO]) {
            let kept = kept.load(Ordering::Relaxed);
            if kept >= 0 {
                libc::dup2(kept, fd);
            }
        }
        // Older PostgreSQL opens its files without that mark, and who started it may have left some open, too.
        libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
        libc::execv(path.as_ptr(), argv.as_ptr());
    }
    std::io::Error::last_os_error()
}
