//! The moment in which a walsender has its slot, if it asked for one, and has not begun to stream.
//!
//! What it says then (CopyBothResponse) goes through a table of functions, like all that a backend says to its client. Right
//! after it the walsender compares its name with the rule for the first time.
use super::process::text;
use pgrx::pg_sys;
use pgrx::prelude::*;
use std::ffi::{c_char, c_int};
use std::sync::OnceLock;

/// Who is about to stream.
pub struct Start {
    /// The name that the rule is compared with.
    pub name: String,
    /// The physical slot that it holds.
    pub slot: Option<String>,
}

/// `PQcommMethods`, which pgrx does not know; the same since PostgreSQL 14.
#[repr(C)]
#[derive(Clone, Copy)]
struct Methods {
    comm_reset: Option<unsafe extern "C-unwind" fn()>,
    flush: Option<unsafe extern "C-unwind" fn() -> c_int>,
    flush_if_writable: Option<unsafe extern "C-unwind" fn() -> c_int>,
    is_send_pending: Option<unsafe extern "C-unwind" fn() -> bool>,
    putmessage: Option<unsafe extern "C-unwind" fn(c_char, *const c_char, usize) -> c_int>,
    putmessage_noblock: Option<unsafe extern "C-unwind" fn(c_char, *const c_char, usize)>,
}

struct Watched {
    before: fn(&Start),
    ended: fn(),
    original: Methods,
}

static WATCHED: OnceLock<Watched> = OnceLock::new();

/// In a walsender whose client is who it says it is: has `before` called each time that it is about to stream, and `ended`
/// when the process ends. `before` may raise an ERROR: then it does not stream.
pub fn watch(before: fn(&Start), ended: fn()) {
    // SAFETY: the table that stands there was set when the connection was made; the copy lives as long as the process.
    unsafe {
        let original = *PqCommMethods;
        if WATCHED.set(Watched { before, ended, original }).is_ok() {
            let table = Methods { putmessage: Some(put_message), ..original };
            PqCommMethods = Box::leak(Box::new(table));
            pg_sys::before_shmem_exit(Some(on_end), pg_sys::Datum::from(0));
        }
    }
}

/// Not guarded by pgrx, like every function that PostgreSQL's own errors jump over.
unsafe extern "C-unwind" fn put_message(kind: c_char, body: *const c_char, length: usize) -> c_int {
    const COPY_BOTH_RESPONSE: c_char = b'W' as c_char;
    if kind == COPY_BOTH_RESPONSE {
        // SAFETY: in a walsender.
        unsafe { check_start() }
    }
    match WATCHED.get().and_then(|watched| watched.original.putmessage) {
        // SAFETY: the arguments are PostgreSQL's and go on as they came.
        Some(put_message) => unsafe { put_message(kind, body, length) },
        None => std::process::abort(),
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn on_end(_code: c_int, _argument: pg_sys::Datum) {
    if let Some(watched) = WATCHED.get() {
        (watched.ended)();
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn check_start() {
    // SAFETY: plain variables of this process; nobody changes the name of a slot that it holds.
    let start = unsafe {
        let slot = pg_sys::MyReplicationSlot;
        let is_physical = !slot.is_null() && (*slot).data.database == pg_sys::InvalidOid;
        Start {
            name: text(pg_sys::application_name),
            slot: is_physical.then(|| text((*slot).data.name.data.as_ptr())),
        }
    };
    if let Some(watched) = WATCHED.get() {
        (watched.before)(&start);
    }
}

unsafe extern "C-unwind" {
    static mut PqCommMethods: *const Methods;
}
