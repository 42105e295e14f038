//! `internal room`: whether a copy could be made, asked by the keeper while the server still runs. What is in its way does not get out
//! of it while the server is down.
use super::work::{Interrupted, programs_beside};
use super::{Order, diverged, parse, size_of, space, swap};
use fsm::units::Lsn;
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

/// It cannot be told.
const UNKNOWN: u8 = 2;

/// Exit status 0: nothing is in its way. 1: something is, in a sentence on stdout.
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let Some(order) = parse(arguments) else { return ExitCode::from(UNKNOWN) };
    let why = match look(&order) {
        None => return ExitCode::from(UNKNOWN),
        Some(Ok(())) => return ExitCode::SUCCESS,
        Some(Err(Interrupted::Failed(why))) => why,
        Some(Err(Interrupted::Stopped)) => "stopped".to_owned(),
    };
    match writeln!(std::io::stdout(), "{why}") {
        Ok(()) => ExitCode::from(1),
        Err(_) => ExitCode::from(UNKNOWN),
    }
}

/// `clone`, or `rewind` and the place of the fork.
fn look(order: &Order) -> Option<Result<(), Interrupted>> {
    let words: Vec<&str> = order.arguments.iter().map(|word| word.to_str()).collect::<Option<_>>()?;
    match words[..] {
        ["clone"] => Some(for_clone(order)),
        ["rewind", fork] => Some(for_rewind(order, fork.parse().ok()?)),
        _ => None,
    }
}

fn for_clone(order: &Order) -> Result<(), Interrupted> {
    // First: what is on another disk has its own room.
    swap::check(&order.pgdata, &order.state_dir)?;
    let needed = size_of(&order.pgdata);
    space::is_enough(&order.state_dir, order.state_dir.path(), needed).map_err(Interrupted::Failed)
}

/// For the WAL that is set aside first. How much pg_rewind fetches shows only while it does.
fn for_rewind(order: &Order, fork: Lsn) -> Result<(), Interrupted> {
    let postgres = programs_beside(&order.postgres)?;
    let needed = diverged::size(&postgres, &order.pgdata, Some(fork))?;
    let aside = order.state_dir.aside();
    std::fs::create_dir_all(&aside).map_err(|cause| super::work::failed("create", &aside, &cause))?;
    space::is_enough(&order.state_dir, &aside, needed).map_err(Interrupted::Failed)
}
