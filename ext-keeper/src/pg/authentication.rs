//! The moment in which a client has proved who it is, and nothing has been done for it yet.
use pgrx::pg_sys;
use pgrx::prelude::*;
use std::ffi::{c_int, c_void};
use std::sync::OnceLock;

/// `Port`, which pgrx does not know.
type Port = c_void;
type Hook = Option<unsafe extern "C-unwind" fn(*mut Port, c_int)>;

static ADMIT: OnceLock<fn()> = OnceLock::new();
static PREVIOUS: OnceLock<Hook> = OnceLock::new();

/// Has `admit` called in every backend whose client is who it says it is. It may raise a FATAL.
pub fn install(admit: fn()) {
    if ADMIT.set(admit).is_err() {
        return;
    }
    // SAFETY: called once, in the postmaster; its children inherit the hook.
    unsafe {
        let _ = PREVIOUS.set(ClientAuthentication_hook);
        ClientAuthentication_hook = Some(on_authentication);
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn on_authentication(port: *mut Port, status: c_int) {
    const STATUS_OK: c_int = 0;
    if let Some(previous) = PREVIOUS.get().copied().flatten() {
        // SAFETY: the arguments are PostgreSQL's and go on as they came.
        unsafe { previous(port, status) }
    }
    if let (STATUS_OK, Some(admit)) = (status, ADMIT.get()) {
        admit();
    }
}

/// This process serves a replication connection.
pub fn is_walsender() -> bool {
    // SAFETY: a plain variable of this process, set from the startup packet.
    unsafe { pg_sys::am_walsender }
}

unsafe extern "C-unwind" {
    static mut ClientAuthentication_hook: Hook;
}
