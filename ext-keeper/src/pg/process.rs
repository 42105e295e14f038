//! The server and the process that we are in.
use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};
use pgrx::pg_sys;
use pgrx::prelude::*;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::PathBuf;
use std::sync::OnceLock;

/// A copy of a C string that PostgreSQL owns; empty when there is none.
pub(super) fn text(pointer: *const c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: PostgreSQL's strings end with a zero byte, and this one is copied before it can change.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}

/// The postmaster's PID.
pub fn postmaster_pid() -> i32 {
    // SAFETY: set once, at the postmaster's start.
    unsafe { pg_sys::PostmasterPid }
}

/// PGDATA, absolute.
pub fn data_dir() -> PathBuf {
    // SAFETY: set once, before libraries are loaded.
    PathBuf::from(text(unsafe { pg_sys::DataDir }))
}

/// The program that this server runs, absolute.
pub fn executable() -> PathBuf {
    PathBuf::from(text((&raw const pg_sys::my_exec_path).cast()))
}

/// The first directory with a Unix socket of this server (empty: it has none), and its port.
pub fn socket_dir_and_port() -> (String, u16) {
    // SAFETY: both are set before libraries are loaded and cannot change without a restart.
    let (directories, port) = unsafe { (text(pg_sys::Unix_socket_directories), pg_sys::PostPortNumber) };
    let first = directories.split(',').next().unwrap_or_default().trim().trim_matches('"');
    // Abstract names begin with @; everything else that is relative is relative to PGDATA.
    let directory = if first.is_empty() || first.starts_with('/') || first.starts_with('@') {
        first.to_owned()
    } else {
        data_dir().join(first).to_string_lossy().into_owned()
    };
    (directory, u16::try_from(port).unwrap_or(0))
}

/// The cluster's system identifier.
pub fn system_identifier() -> u64 {
    // SAFETY: the control file was read before shared memory was set up.
    unsafe { pg_sys::GetSystemIdentifier() }
}

/// The server's version as a number, 150004 for 15.4: the running one's, not the headers'.
pub fn server_version() -> u32 {
    setting(c"server_version_num").parse().unwrap_or(pg_sys::PG_VERSION_NUM)
}

/// The value of a setting as SHOW would print it; empty when there is none of that name.
pub fn setting(name: &CStr) -> String {
    // SAFETY: missing_ok, so it does not raise; the text is copied at once.
    text(unsafe { pg_sys::GetConfigOption(name.as_ptr(), true, false) })
}

/// The name that this session's client goes by.
pub fn application_name() -> String {
    // SAFETY: the value of a setting, copied at once.
    text(unsafe { pg_sys::application_name })
}

/// Reads the configuration again, in a worker that was told to.
pub fn reload_config() {
    // SAFETY: on the worker's main thread, between two of its steps.
    unsafe { pg_sys::ProcessConfigFile(pg_sys::GucContext::PGC_SIGHUP) }
}

/// Sends a signal to the postmaster.
pub fn signal_postmaster(signal: i32) -> std::io::Result<()> {
    // SAFETY: kill() has no memory effects.
    match unsafe { libc::kill(postmaster_pid(), signal) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

/// The name of the operating system's user that the server runs as; its number when it has no name.
pub fn os_user() -> String {
    // SAFETY: on the main thread; the entry is copied before the next call.
    unsafe {
        let user = libc::geteuid();
        let entry = libc::getpwuid(user);
        if entry.is_null() { user.to_string() } else { text((*entry).pw_name) }
    }
}

static NUMBER_READ: OnceLock<fn(i32)> = OnceLock::new();

/// Defines a number that configuration files may set. `read` is told of it by every process that reads them, each time, and
/// before that process acts by what it has read. It must not fail.
pub fn define_watched_number(
    name: &'static CStr,
    description: &'static CStr,
    setting: &'static GucSetting<i32>,
    read: fn(i32),
) {
    if NUMBER_READ.set(read).is_err() {
        return;
    }
    // SAFETY: the hook does not panic, and lives as long as the process.
    unsafe {
        GucRegistry::define_int_guc_with_hooks(
            name,
            description,
            c"",
            setting,
            0,
            i32::MAX,
            GucContext::Sighup,
            GucFlags::default(),
            None,
            Some(on_number_read),
            None,
        );
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn on_number_read(number: c_int, _extra: *mut c_void) {
    if let Some(read) = NUMBER_READ.get() {
        read(number);
    }
}

/// This process is the checkpointer.
pub fn is_checkpointer() -> bool {
    // SAFETY: a plain variable of this process.
    unsafe { pg_sys::MyBackendType == pg_sys::BackendType::B_CHECKPOINTER }
}

/// Keeps others from setting names that begin with `pg_autoctl.` and mean nothing.
pub fn reserve_setting_prefix() {
    #[cfg(not(feature = "pg14"))]
    // SAFETY: after the last of our settings was defined.
    unsafe {
        pg_sys::MarkGUCPrefixReserved(c"pg_autoctl".as_ptr());
    }
    #[cfg(feature = "pg14")]
    // SAFETY: as above.
    unsafe {
        pg_sys::EmitWarningsOnPlaceholders(c"pg_autoctl".as_ptr());
    }
}

/// Libraries named in shared_preload_libraries are being loaded.
pub fn is_preloading() -> bool {
    // SAFETY: a plain variable of this process.
    unsafe { pg_sys::process_shared_preload_libraries_in_progress }
}

/// Nanoseconds since the machine's boot, suspended time included.
pub fn boottime_ns() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes to a local variable; this clock exists on every Linux that PostgreSQL runs on.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// An event counter that every child process inherits.
pub fn event_fd() -> std::io::Result<i32> {
    // SAFETY: makes a descriptor, nothing else.
    match unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) } {
        -1 => Err(std::io::Error::last_os_error()),
        fd => Ok(fd),
    }
}

/// Adds one to the counter. A full counter is readable already, so a refusal changes nothing.
pub fn ring(fd: i32) {
    let one: u64 = 1;
    // SAFETY: eight bytes of a local variable.
    unsafe { libc::write(fd, (&raw const one).cast(), size_of::<u64>()) };
}

/// Writes to the server's log.
pub fn log(message: &str) {
    log!("pg_autoctl: {message}");
}

/// Writes a warning to the server's log.
pub fn warn(message: &str) {
    warning!("pg_autoctl: {message}");
}
