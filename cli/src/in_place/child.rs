//! `internal child`: the first breath of a program that the helper starts.
//!
//! The helper runs with its signals blocked, and a child inherits that: pg_basebackup could not even stop its own
//! second half. So each child begins as this, unblocks its signals, asks to die with the one who started it, and
//! becomes the program. Dies at once: an initdb that may take its time empties a directory that is somebody else's by then.
use crate::log;
use nix::sys::signal::{SigSet, Signal};
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use tracing::error;

/// Becomes the program that follows `--`.
pub fn main(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let (Some(_), Some(program)) = (arguments.next(), arguments.next()) else { return ExitCode::from(12) };
    let set_up =
        nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).and_then(|()| SigSet::empty().thread_set_mask());
    let cause = match set_up {
        Ok(()) => Command::new(&program).args(arguments).exec().to_string(),
        Err(errno) => errno.to_string(),
    };
    log::for_the_server();
    error!("could not run \"{}\": {cause}", program.display());
    ExitCode::from(12)
}

/// The call that makes `command` start that way.
pub fn wrapped(command: &Command) -> Command {
    // Not our path: the file there may have been replaced since we were started.
    let mut wrapped = Command::new("/proc/self/exe");
    wrapped.args(["internal", "child", "--"]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    wrapped.stdin(std::process::Stdio::null());
    wrapped
}
