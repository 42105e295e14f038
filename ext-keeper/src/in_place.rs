//! A restart in place: the postmaster shuts down, becomes the helper, and the helper becomes postgres again. The PID
//! stays the same, so nothing above the server notices.
use crate::{gucs, pg};
use node_files::{Restart, StateDir};
use std::ffi::{CString, OsStr, OsString};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::{env, fs, io};

mod arguments;

/// What the postmaster was started with, without the program's name, in paths that hold from any directory.
static ARGUMENTS: OnceLock<Vec<OsString>> = OnceLock::new();

/// In `_PG_init` of the postmaster. Whether this start is a real one, not `postgres -C`, which must leave no trace.
pub fn prepare() -> bool {
    let given = match fs::read("/proc/self/cmdline") {
        Ok(cmdline) => arguments::split(&cmdline),
        Err(error) => {
            pg::warn(&format!(
                "could not read the server's own arguments: {error}; it cannot restart in place"
            ));
            return true;
        }
    };
    if arguments::only_prints_a_setting(&given) {
        return false;
    }
    let file = |setting| PathBuf::from(pg::setting(setting));
    let places = arguments::Places {
        data: pg::data_dir(),
        config: file(c"config_file"),
        hba: file(c"hba_file"),
        ident: file(c"ident_file"),
    };
    if env::var_os("PGDATA").is_some_and(|pgdata| Path::new(&pgdata).is_relative()) {
        pg::postmaster::set_environment("PGDATA", places.configuration_directory().as_os_str());
    }
    if ARGUMENTS.set(arguments::absolute(given, &places)).is_ok() {
        tell_systemd();
        pg::postmaster::keep_output();
        pg::postmaster::at_exit(restart_if_asked);
    }
    true
}

/// Asks for a restart in place: the request first, then a fast shutdown.
///
/// Whoever calls this has checked the configuration: a life that fails to start is a dead node.
pub fn request(restart: &Restart) -> Result<(), String> {
    let helper = gucs::helper();
    let executable =
        fs::metadata(&helper).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0);
    if !executable {
        return Err(format!(
            "\"{}\" is not a program; set pg_autoctl.helper to where pg_autoctl is",
            helper.display()
        ));
    }
    if ARGUMENTS.get().is_none() {
        return Err("the server's own arguments are not known; restart it by hand".to_owned());
    }
    let dir = StateDir::at(gucs::state_dir());
    restart.ask(&dir).map_err(|error| error.to_string())?;
    pg::signal_postmaster(libc::SIGINT).map_err(|error| {
        // An operator's stop must not become a restart later.
        let _ = Restart::discard(&dir);
        format!("could not ask the postmaster to shut down: {error}")
    })
}

/// The postmaster's last breath. Only a shutdown that the keeper asked for goes on.
fn restart_if_asked() {
    match Restart::take(&StateDir::at(gucs::state_dir())) {
        Ok(Some(restart)) if restart.is_for(pg::postmaster_pid()) => {
            pg::log(&format!("restarting in place: {}", restart.purpose));
            let error = become_helper();
            pg::warn(&format!("could not restart in place: {error}; start the server again by hand"));
        }
        Ok(Some(_)) => pg::log("a request of a restart was meant for another life of the server"),
        Ok(None) => {}
        Err(error) => pg::warn(&format!("could not tell whether a restart was asked for: {error}")),
    }
}

/// Becomes the helper, in this process. Returns only when that failed.
pub fn become_helper() -> io::Error {
    let (helper, pgdata, executable) = (gucs::helper(), pg::data_dir(), pg::executable());
    let state_dir = gucs::state_dir();
    let own: [&OsStr; 10] = [
        helper.as_os_str(),
        OsStr::new("internal"),
        OsStr::new("in-place"),
        OsStr::new("--pgdata"),
        pgdata.as_os_str(),
        OsStr::new("--state-dir"),
        state_dir.as_os_str(),
        OsStr::new("--postgres"),
        executable.as_os_str(),
        OsStr::new("--"),
    ];
    let passed_on = ARGUMENTS.get().map_or(&[][..], Vec::as_slice).iter().map(OsString::as_os_str);
    let arguments: Result<Vec<CString>, _> =
        own.into_iter().chain(passed_on).map(|argument| CString::new(argument.as_bytes())).collect();
    match arguments {
        Ok(arguments) => pg::postmaster::become_program(&helper, &arguments),
        Err(error) => error.into(),
    }
}

/// A unit of Type=notify would take the postmaster's "stopping" at a restart in place for the end, and kill it when its time
/// is up. So we say "ready" once, and the postmaster finds nobody to talk to.
fn tell_systemd() {
    let Some(socket) = env::var_os("NOTIFY_SOCKET") else { return };
    pg::postmaster::forget_environment("NOTIFY_SOCKET");
    let address = match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        path => SocketAddr::from_pathname(OsString::from_vec(path.to_vec())),
    };
    let told = address.and_then(|address| {
        UnixDatagram::unbound()?
            .send_to_addr(b"READY=1\nSTATUS=pg_autoctl is loaded, PostgreSQL starts", &address)
    });
    if let Err(error) = told {
        pg::warn(&format!("could not tell systemd that the server starts: {error}"));
    }
}
