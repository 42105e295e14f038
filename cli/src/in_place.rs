//! `internal in-place`: what runs under the postmaster's own PID between two lives of the server.
//!
//! Mostly there is nothing to do, and the server is down while we do it: so the marker is read before anything else
//! is set up, even a log, and the next life begins a few milliseconds after the last. With a copy to finish, it goes
//! on until the copy is whole, for as long as it takes, and says every few seconds what it does.
//!
//! The postmaster hands its signals over blocked. They stay so: one that comes meanwhile is read from a descriptor,
//! or waits for the next postmaster. A stop therefore ends a copy, and is never lost.
pub mod child;
mod clone;
mod diverged;
mod foreign_slots;
mod rewind;
pub mod room;
mod saved;
mod source;
mod space;
mod swap;
pub mod sync;
mod work;

use crate::error::{Error, Result};
use crate::log;
use node_files::{Copy, Phase, StateDir};
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use tracing::{error, info};
use work::{Interrupted, Work};

pub use clone::{fetch, room};
pub use space::size_of;

/// Refuses a PGDATA that no copy could replace.
pub fn can_replace(pgdata: &Path, state_dir: &StateDir) -> Result<()> {
    swap::check(pgdata, state_dir).map_err(refusal)
}

/// Puts a copy in the place of PGDATA. Where the old one is kept.
pub fn replace(pgdata: &Path, copy: &Path, state_dir: &StateDir) -> Result<PathBuf> {
    swap::swap(pgdata, copy, state_dir).map_err(refusal)
}

fn refusal(interrupted: Interrupted) -> Error {
    match interrupted {
        Interrupted::Failed(why) => Error::config(why),
        Interrupted::Stopped => Error::config("stopped"),
    }
}

/// How the library calls us.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Order {
    pgdata: PathBuf,
    state_dir: StateDir,
    postgres: PathBuf,
    arguments: Vec<OsString>,
}

/// Does what the marker says, then becomes the server. Returns only when it cannot.
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let Some(order) = parse(arguments) else {
        log::for_the_server();
        error!("called with arguments that it does not understand; it is for the library alone");
        return ExitCode::from(1);
    };
    match prepare(&order) {
        Ok(()) => become_server(&order),
        Err(Interrupted::Stopped) => {
            info!("stopped while PGDATA was being copied; the next start goes on with it");
            work::remove_own_lock_file(&order.pgdata);
            ExitCode::SUCCESS
        }
        Err(Interrupted::Failed(why)) => {
            // Not set up yet when it is the marker that cannot be read.
            log::for_the_server();
            error!("the server was not started: {why}");
            work::remove_own_lock_file(&order.pgdata);
            ExitCode::from(1)
        }
    }
}

/// By hand, for `in-place` is the one call that must not wait for anything.
fn parse(mut arguments: impl Iterator<Item = OsString>) -> Option<Order> {
    let (mut pgdata, mut state_dir, mut postgres) = (None, None, None);
    loop {
        let argument = arguments.next()?;
        let slot = match argument.to_str()? {
            "--pgdata" => &mut pgdata,
            "--state-dir" => &mut state_dir,
            "--postgres" => &mut postgres,
            "--" => break,
            _ => return None,
        };
        *slot = Some(PathBuf::from(arguments.next()?));
    }
    let state_dir = StateDir::at(state_dir?);
    Some(Order { pgdata: pgdata?, state_dir, postgres: postgres?, arguments: arguments.collect() })
}

fn prepare(order: &Order) -> std::result::Result<(), Interrupted> {
    let Some(mut phase) = Phase::read(&order.state_dir)? else { return Ok(()) };
    log::for_the_server();
    let mut work = Work::begin(&order.pgdata, &order.state_dir, &order.postgres)?;
    if let Copy::Rewind { upstream } = &phase.copy {
        let upstream = upstream.clone();
        match rewind::rewind(&mut work, &mut phase, &upstream)? {
            rewind::Outcome::Whole => return finish(&work),
            rewind::Outcome::Impossible => {
                phase.copy = Copy::Clone { upstream };
                phase.write(&order.state_dir)?;
            }
        }
    }
    clone::clone(&mut work, &phase)?;
    finish(&work)
}

/// PGDATA is whole. The marker goes first: what was saved is of no use without it, and harmless.
fn finish(work: &Work) -> std::result::Result<(), Interrupted> {
    Phase::clear(&work.state_dir)?;
    saved::forget(&work.state_dir)?;
    // The directory may be another one now, and the server expects to start in a place that exists.
    std::env::set_current_dir(&work.pgdata).map_err(|cause| Interrupted::Failed(cause.to_string()))
}

fn become_server(order: &Order) -> ExitCode {
    let cause = Command::new(&order.postgres).args(&order.arguments).exec();
    log::for_the_server();
    error!("could not start \"{}\": {cause}", order.postgres.display());
    ExitCode::from(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(arguments: &[&str]) -> Option<Order> {
        parse(arguments.iter().map(OsString::from))
    }

    #[test]
    fn the_order_is_taken_apart() {
        let words = "--pgdata /d --state-dir /s --postgres /bin/postgres -- -D /d -p 5433".split(' ');
        let order = order(&words.collect::<Vec<_>>()).unwrap();
        assert_eq!(order.pgdata, PathBuf::from("/d"));
        assert_eq!(order.state_dir.path(), PathBuf::from("/s"));
        assert_eq!(order.arguments, ["-D", "/d", "-p", "5433"].map(OsString::from));
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in [&["--pgdata", "/d", "--"][..], &["--pgdata"], &["--nonsense", "x"], &[]] {
            assert_eq!(order(bad), None, "{bad:?}");
        }
    }
}
