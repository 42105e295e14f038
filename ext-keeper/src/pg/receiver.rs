//! The functions through which the WAL receiver speaks to its upstream, with a gate in front of them.
//!
//! PostgreSQL calls them through one table of pointers, made for the library libpqwalreceiver to fill in. It is
//! loaded early, and the table replaced by a copy in which a few functions are ours.
use pgrx::pg_sys;
use pgrx::pg_sys::ffi::pg_guard_ffi_boundary;
use pgrx::prelude::*;
use std::ffi::{CStr, CString, c_char, c_int};
use std::sync::OnceLock;

/// What is asked of the gate, in the WAL receiver's process only.
pub struct Gate {
    /// May it connect with this connection string? Why not.
    pub may_connect: fn(&str) -> Result<(), String>,
    /// May it start to stream over the connection that it has? Why not.
    pub may_stream: fn() -> Result<(), String>,
    /// May it tell the upstream what it has?
    pub may_reply: fn() -> bool,
    /// It streams now.
    pub started: fn(),
    /// It does not stream any more.
    pub ended: fn(),
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

/// The gate, in the process of the WAL receiver. Logical workers use the same functions and are not our concern.
fn gate() -> Option<&'static Gate> {
    // SAFETY: a plain variable of this process.
    let is_receiver = unsafe { pg_sys::MyBackendType } == pg_sys::BackendType::B_WAL_RECEIVER;
    INSTALLED.get().filter(|_| is_receiver).map(|installed| &installed.gate)
}

/// One of the original functions. All are set: PostgreSQL calls them without looking.
macro_rules! original {
    ($function:ident ( $($argument:expr),* )) => {{
        let function = INSTALLED.get().and_then(|installed| installed.original.$function);
        match function {
            Some(function) => pg_guard_ffi_boundary(|| function($($argument),*)),
            None => error!(concat!("pg_autoctl: libpqwalreceiver has no ", stringify!($function))),
        }
    }};
}

/// Writes the refusal where the caller expects libpq's message. Whether there is one.
unsafe fn refuse(conninfo: *const c_char, err: *mut *mut c_char) -> bool {
    let Some(gate) = gate() else { return false };
    // SAFETY: the caller's string and its place for a message; the copy is made with PostgreSQL's allocator.
    unsafe {
        let Err(why) = (gate.may_connect)(&CStr::from_ptr(conninfo).to_string_lossy()) else { return false };
        *err = pg_sys::pstrdup(CString::new(why).unwrap_or_default().as_ptr());
    }
    true
}

#[cfg(any(feature = "pg14", feature = "pg15"))]
#[pg_guard]
unsafe extern "C-unwind" fn connect(
    conninfo: *const c_char,
    logical: bool,
    appname: *const c_char,
    err: *mut *mut c_char,
) -> *mut pg_sys::WalReceiverConn {
    // SAFETY: the arguments are PostgreSQL's and go on as they came.
    unsafe {
        if refuse(conninfo, err) {
            return std::ptr::null_mut();
        }
        original!(walrcv_connect(conninfo, logical, appname, err))
    }
}

#[cfg(feature = "pg16")]
#[pg_guard]
unsafe extern "C-unwind" fn connect(
    conninfo: *const c_char,
    logical: bool,
    must_use_password: bool,
    appname: *const c_char,
    err: *mut *mut c_char,
) -> *mut pg_sys::WalReceiverConn {
    // SAFETY: the arguments are PostgreSQL's and go on as they came.
    unsafe {
        if refuse(conninfo, err) {
            return std::ptr::null_mut();
        }
        original!(walrcv_connect(conninfo, logical, must_use_password, appname, err))
    }
}

#[cfg(any(feature = "pg17", feature = "pg18"))]
#[pg_guard]
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
        if refuse(conninfo, err) {
            return std::ptr::null_mut();
        }
        original!(walrcv_connect(conninfo, replication, logical, must_use_password, appname, err))
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn start_streaming(
    connection: *mut pg_sys::WalReceiverConn,
    options: *const pg_sys::WalRcvStreamOptions,
) -> bool {
    if let Some(Err(why)) = gate().map(|gate| (gate.may_stream)()) {
        error!("{why}");
    }
    // SAFETY: the arguments are PostgreSQL's and go on as they came.
    let streams = unsafe { original!(walrcv_startstreaming(connection, options)) };
    if let (true, Some(gate)) = (streams, gate()) {
        (gate.started)();
    }
    streams
}

#[pg_guard]
unsafe extern "C-unwind" fn end_streaming(
    connection: *mut pg_sys::WalReceiverConn,
    next: *mut pg_sys::TimeLineID,
) {
    if let Some(gate) = gate() {
        (gate.ended)();
    }
    // SAFETY: the arguments are PostgreSQL's and go on as they came.
    unsafe { original!(walrcv_endstreaming(connection, next)) }
}

#[pg_guard]
unsafe extern "C-unwind" fn send(connection: *mut pg_sys::WalReceiverConn, buffer: *const c_char, bytes: c_int) {
    // What is not sent was never acknowledged. The receiver publishes what it has flushed before it replies, so
    // whoever closes the gate and reads that position afterwards sees everything that was ever acknowledged.
    if gate().is_some_and(|gate| !(gate.may_reply)()) {
        return;
    }
    // SAFETY: the arguments are PostgreSQL's and go on as they came.
    unsafe { original!(walrcv_send(connection, buffer, bytes)) }
}

/// Also called when the receiver's process ends, however it ends, as long as PostgreSQL cleans up after it.
#[pg_guard]
unsafe extern "C-unwind" fn disconnect(connection: *mut pg_sys::WalReceiverConn) {
    if let Some(gate) = gate() {
        (gate.ended)();
    }
    // SAFETY: the arguments are PostgreSQL's and go on as they came.
    unsafe { original!(walrcv_disconnect(connection)) }
}
