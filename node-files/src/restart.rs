//! The request of a restart in place: only a shutdown that the keeper asked for becomes one.
use crate::dir::StateDir;
use crate::durable;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;

/// Which life of which process is to be followed by another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restart {
    /// PID of the postmaster.
    pub postmaster: i32,
    /// When that process started, in clock ticks since the machine's boot: a PID alone may come back.
    pub started: u64,
    /// For the log: what the next life is to be.
    pub purpose: String,
}

impl Restart {
    /// A request for the postmaster that runs now under `postmaster`.
    pub fn of(postmaster: i32, purpose: &str) -> Result<Restart> {
        Ok(Restart { postmaster, started: start_time(postmaster)?, purpose: purpose.to_owned() })
    }

    /// Puts the request where the exit callback looks for it.
    pub fn ask(&self, dir: &StateDir) -> Result<()> {
        durable::write_toml(&dir.restart(), self)
    }

    /// The request that stands there, taken away before anybody acts on it.
    pub fn take(dir: &StateDir) -> Result<Option<Restart>> {
        durable::take_toml(&dir.restart())
    }

    /// Removes a request, if there is one: it was withdrawn, or it was left behind by a life that ended otherwise.
    pub fn discard(dir: &StateDir) -> Result<bool> {
        durable::remove(&dir.restart())
    }

    /// Whether it means the process that runs now under `pid`.
    pub fn is_for(&self, pid: i32) -> bool {
        self.postmaster == pid && start_time(pid).is_ok_and(|started| started == self.started)
    }
}

/// When the process started, in clock ticks since boot: field 22 of /proc/PID/stat.
pub fn start_time(pid: i32) -> Result<u64> {
    let path = format!("/proc/{pid}/stat");
    let path = Path::new(&path);
    let stat = fs::read_to_string(path).map_err(Error::io("read", path))?;
    // The second field is the command in parentheses, and may hold spaces and parentheses itself.
    let after_command = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let field = after_command.split_ascii_whitespace().nth(19).and_then(|field| field.parse().ok());
    field.ok_or_else(|| Error::damaged(path, "it has no start time"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_for_one_life_and_taken_once() {
        let directory = tempfile::tempdir().unwrap();
        let dir = StateDir::at(directory.path());
        let me = std::process::id() as i32;
        let request = Restart::of(me, "a standby").unwrap();
        request.ask(&dir).unwrap();
        let taken = Restart::take(&dir).unwrap().unwrap();
        assert_eq!(taken, request);
        assert!(taken.is_for(me));
        assert!(!taken.is_for(1));
        assert!(!Restart { started: request.started + 1, ..request }.is_for(me));
        assert_eq!(Restart::take(&dir).unwrap(), None);
    }
}
