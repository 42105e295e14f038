//! The functions through which the WAL receiver speaks to its upstream, with a gate in front of them.
//!
//! PostgreSQL calls them through one table of pointers, made for the library libpqwalreceiver to fill in. It is
//! loaded early, and the table replaced by a copy in which a few functions are ours. Those are not guarded by pgrx, which
//! would turn PostgreSQL's ERRORs into panics and back: an ERROR jumps over their frames, which have nothing to clean
//! up. What asks the gate is guarded.
use pgrx::pg_sys;
use pgrx::prelude::*;
use std::ffi::{CStr, CString, c_char, c_int};
use std::sync::OnceLock;
use std::time::Duration;

/// What is asked of the gate, in the WAL receiver's process only.
pub struct Gate {
    /// May it connect with this connection string? Why not.
    pub may_connect: fn(&str) -> Result<(), String>,
    /// May it start to stream over the connection that it has? Why not. Asked once, and answered when that is decided.
    pub may_stream: fn(Start) -> Result<(), String>,
    /// May it tell the upstream what it has?
    pub may_reply: fn() -> bool,
    /// It streams now.
    pub started: fn(),
    /// It does not stream any more.
    pub ended: fn(),
}

/// Where a receiver asks for WAL from: the beginning of a segment.
#[derive(Clone, Copy)]
pub struct Start {
    lsn: pg_sys::XLogRecPtr,
    timeline: pg_sys::TimeLineID,
}

impl Start {
    /// Makes the file in which the next timeline begins, ahead of its first WAL (`XLogFileInit`, xlog.c). Filled with zeros, a whole
    /// segment would have to reach the disk while the winner beside it promotes; so its blocks are only reserved. If that
    /// timeline gets another number, the file is like those that PostgreSQL makes in advance: whoever opens that timeline
    /// overwrites it, and it goes with the other segments of its age.
    #[cfg(not(feature = "pg14"))]
    pub fn make_room_for_next_timeline(self) {
        // SAFETY: in the receiver, for which the startup process has let segments be made. The size is fixed since the start.
        unsafe {
            let size = i64::from(pg_sys::wal_segment_size);
            let segment = self.lsn / size as u64;
            let zeros = pg_sys::wal_init_zero;
            pg_sys::wal_init_zero = false;
            let file = pg_sys::XLogFileInit(segment, self.timeline + 1);
            pg_sys::wal_init_zero = zeros;
            let reserved = libc::posix_fallocate(file, 0, size);
            libc::close(file);
            if reserved != 0 {
                let why = std::io::Error::from_raw_os_error(reserved);
                error!("pg_autoctl: no room for the first segment of the next timeline: {why}");
            }
        }
    }

    /// There the function makes segments of the present timeline only.
    #[cfg(feature = "pg14")]
    pub fn make_room_for_next_timeline(self) {}
}

struct Installed {
    gate: Gate,
    original: pg_sys::WalReceiverFunctionsType,
}

// SAFETY: a table of function pointers.
unsafe impl Send for Installed {}
// SAFETY: never changed after it was made.
unsafe impl Sync for Installed {}

static INSTALLED: OnceLock<Installed> = OnceLock::new();

/// Puts the gate in front of the receiver of every life of this postmaster.
pub fn install(gate: Gate) {
    // SAFETY: in the postmaster while libraries are loaded. The library sets the pointer when it is loaded and not
    // again; every child inherits both. The copy lives as long as the process.
    unsafe {
        pg_sys::load_file(c"libpqwalreceiver".as_ptr(), false);
        let original = *pg_sys::WalReceiverFunctions;
        if INSTALLED.set(Installed { gate, original }).is_err() {
            return;
        }
        let mut table = original;
        table.walrcv_connect = Some(connect);
        table.walrcv_startstreaming = Some(start_streaming);
        table.walrcv_endstreaming = Some(end_streaming);
        table.walrcv_send = Some(send);
        table.walrcv_disconnect = Some(disconnect);
        pg_sys::WalReceiverFunctions = Box::leak(Box::new(table));
    }
}

/// In the receiver's process: waits that long. Whether it may go on; if not, it was asked to end.
pub fn pause(time: Duration) -> bool {
    let flags = pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH;
    let milliseconds = time.as_millis() as i64;
    // SAFETY: the latch is this process's own, and has no other waiter. SIGTERM sets it (SignalHandlerForShutdownRequest).
    unsafe {
        pg_sys::WaitLatch(pg_sys::MyLatch, flags as c_int, milliseconds, pg_sys::PG_WAIT_EXTENSION);
        pg_sys::ResetLatch(pg_sys::MyLatch);
        pg_sys::ShutdownRequestPending == 0
    }
}

/// The gate, in the process of the WAL receiver. Logical workers use the same functions and are not our concern.
fn gate() -> Option<&'static Gate> {
    // SAFETY: a plain variable of this process.
    let is_receiver = unsafe { pg_sys::MyBackendType } == pg_sys::BackendType::B_WAL_RECEIVER;
    INSTALLED.get().filter(|_| is_receiver).map(|installed| &installed.gate)
}

/// One of the original functions. All are there: PostgreSQL calls them without looking.
macro_rules! original {
    ($function:ident) => {
        match INSTALLED.get().and_then(|installed| installed.original.$function) {
            Some(function) => function,
            None => std::process::abort(),
        }
    };
}

/// Asks whether it may connect. If not, writes the reason where the caller expects libpq's message.
#[pg_guard]
unsafe extern "C-unwind" fn refuses(conninfo: *const c_char, err: *mut *mut c_char) -> bool {
    let Some(gate) = gate() else { return false };
    forget_libpq_environment();
    // SAFETY: the caller's string and its place for a message; the copy is made with PostgreSQL's allocator.
    unsafe {
        let Err(why) = (gate.may_connect)(&CStr::from_ptr(conninfo).to_string_lossy()) else { return false };
        *err = pg_sys::pstrdup(CString::new(why).unwrap_or_default().as_ptr());
    }
    true
}

/// primary_conninfo alone says how to connect. What stands in the environment of whoever started the server would win over
/// the passfile (PGPASSWORD) or lead elsewhere (PGHOSTADDR, PGSERVICE). PGPORT and the like are left: primary_conninfo has them.
fn forget_libpq_environment() {
    const PREFIXES: [&str; 3] = ["PGSSL", "PGGSS", "PGREQUIRE"];
    const NAMES: [&str; 9] = [
        "PGPASSWORD",
        "PGPASSFILE",
        "PGHOSTADDR",
        "PGSERVICE",
        "PGSERVICEFILE",
        "PGOPTIONS",
        "PGCHANNELBINDING",
        "PGTARGETSESSIONATTRS",
        "PGLOADBALANCEHOSTS",
    ];
    let names: Vec<String> = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect();
    for name in names {
        if NAMES.contains(&name.as_str()) || PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
            // SAFETY: the receiver's process has one thread.
            unsafe { std::env::remove_var(name) };
        }
    }
}

#[pg_guard]
extern "C-unwind" fn check_streaming(lsn: pg_sys::XLogRecPtr, timeline: pg_sys::TimeLineID) {
    let start = Start { lsn, timeline };
    if let Some(Err(why)) = gate().map(|gate| (gate.may_stream)(start)) {
        error!("{why}");
    }
}

#[pg_guard]
extern "C-unwind" fn note_started() {
    if let Some(gate) = gate() {
        (gate.started)();
    }
}

#[pg_guard]
extern "C-unwind" fn note_ended() {
    if let Some(gate) = gate() {
        (gate.ended)();
    }
}

#[pg_guard]
extern "C-unwind" fn may_reply() -> bool {
    gate().is_none_or(|gate| (gate.may_reply)())
}

#[cfg(any(feature = "pg14", feature = "pg15"))]
unsafe extern "C-unwind" fn connect(
    conninfo: *const c_char,
    logical: bool,
    appname: *const c_char,
    err: *mut *mut c_char,
) -> *mut pg_sys::WalReceiverConn {
    // SAFETY: the arguments are PostgreSQL's and go on as they came.
    unsafe {
        if refuses(conninfo, err) {
            return std::ptr::null_mut();
        }
        original!(walrcv_connect)(conninfo, logical, appname, err)
    }
}

#[cfg(feature = "pg16")]
unsafe extern "C-unwind" fn connect(
    conninfo: *const c_char,
    logical: bool,
    must_use_password: bool,
    appname: *const c_char,
    err: *mut *mut c_char,
) -> *mut pg_sys::WalReceiverConn {
    // SAFETY: the arguments are PostgreSQL's and go on as they came.
    unsafe {
        if refuses(conninfo, err) {
            return std::ptr::null_mut();
        }
        original!(walrcv_connect)(conninfo, logical, must_use_password, appname, err)
    }
}

#[cfg(any(feature = "pg17", feature = "pg18"))]
unsafe extern "C-unwind" fn connect(
    conninfo: *const c_char,
    replication: bool,
    logical: bool,
    must_use_password: bool,
    appname: *const c_char,
    err: *mut *mut c_char,
) -> *mut pg_sys::WalReceiverConn {
    // SAFETY: the arguments are PostgreSQL's and go on as they came.
    unsafe {
        if refuses(conninfo, err) {
            return std::ptr::null_mut();
        }
        original!(walrcv_connect)(conninfo, replication, logical, must_use_password, appname, err)
    }
}

unsafe extern "C-unwind" fn start_streaming(
    connection: *mut pg_sys::WalReceiverConn,
    options: *const pg_sys::WalRcvStreamOptions,
) -> bool {
    // SAFETY: the caller's options, of a physical receiver where there is a gate.
    unsafe { check_streaming((*options).startpoint, (*options).proto.physical.startpointTLI) };
    // SAFETY: the arguments are PostgreSQL's and go on as they came.
    let streams = unsafe { original!(walrcv_startstreaming)(connection, options) };
    if streams {
        note_started();
    }
    streams
}

unsafe extern "C-unwind" fn end_streaming(
    connection: *mut pg_sys::WalReceiverConn,
    next: *mut pg_sys::TimeLineID,
) {
    note_ended();
    // SAFETY: the arguments are PostgreSQL's and go on as they came.
    unsafe { original!(walrcv_endstreaming)(connection, next) }
}

unsafe extern "C-unwind" fn send(
    connection: *mut pg_sys::WalReceiverConn,
    buffer: *const c_char,
    bytes: c_int,
) {
    // What is not sent was never acknowledged. The receiver publishes what it has flushed before it replies, so
    // whoever closes the gate and reads that position afterwards sees everything that was ever acknowledged.
    if may_reply() {
        // SAFETY: the arguments are PostgreSQL's and go on as they came.
        unsafe { original!(walrcv_send)(connection, buffer, bytes) }
    }
}

/// Also called when the receiver's process ends, however it ends, as long as PostgreSQL cleans up after it.
unsafe extern "C-unwind" fn disconnect(connection: *mut pg_sys::WalReceiverConn) {
    note_ended();
    // SAFETY: the arguments are PostgreSQL's and go on as they came.
    unsafe { original!(walrcv_disconnect)(connection) }
}
