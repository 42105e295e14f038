//! The moment in which a client has proved who it is, and nothing has been done for it yet.
use super::process::text;
use pgrx::pg_sys;
use pgrx::prelude::*;
use std::ffi::{CString, c_char, c_int};
use std::sync::OnceLock;

/// Who wants a session.
pub struct Client {
    /// The role.
    pub user: String,
    /// It comes through the Unix socket.
    pub is_local: bool,
}

#[repr(C)]
struct SockAddr {
    address: libc::sockaddr_storage,
    length: libc::socklen_t,
}

/// The beginning of `Port`, which pgrx does not know.
#[repr(C)]
struct Port {
    sock: c_int,
    noblock: bool,
    proto: u32,
    laddr: SockAddr,
    raddr: SockAddr,
    remote_host: *mut c_char,
    remote_hostname: *mut c_char,
    remote_hostname_resolv: c_int,
    remote_hostname_errcode: c_int,
    remote_port: *mut c_char,
    #[cfg(any(feature = "pg14", feature = "pg15", feature = "pg16"))]
    can_accept_connections: c_int,
    #[cfg(feature = "pg18")]
    local_host: [c_char; 64],
    database_name: *mut c_char,
    user_name: *mut c_char,
}

type Hook = Option<unsafe extern "C-unwind" fn(*mut Port, c_int)>;

static ADMIT: OnceLock<fn(&Client)> = OnceLock::new();
static PREVIOUS: OnceLock<Hook> = OnceLock::new();

/// Has `admit` called in every backend whose client is who it says it is. It may raise a FATAL.
pub fn install(admit: fn(&Client)) {
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
    // SAFETY: the arguments are PostgreSQL's and go on as they came; the structure is whole by now.
    let client = unsafe {
        if let Some(previous) = PREVIOUS.get().copied().flatten() {
            previous(port, status);
        }
        Client {
            user: text((*port).user_name),
            is_local: c_int::from((*port).laddr.address.ss_family) == libc::AF_UNIX,
        }
    };
    if let (STATUS_OK, Some(admit)) = (status, ADMIT.get()) {
        admit(&client);
    }
}

/// This process serves a replication connection.
pub fn is_walsender() -> bool {
    // SAFETY: a plain variable of this process, set from the startup packet.
    unsafe { pg_sys::am_walsender }
}

/// The role is a superuser.
pub fn is_superuser(role: &str) -> bool {
    let Ok(role) = CString::new(role) else { return false };
    // SAFETY: authentication runs inside a transaction, and has looked the role up in the same catalog.
    unsafe { pg_sys::superuser_arg(pg_sys::get_role_oid(role.as_ptr(), true)) }
}

unsafe extern "C-unwind" {
    static mut ClientAuthentication_hook: Hook;
}
