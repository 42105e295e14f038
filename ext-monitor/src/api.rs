//! What SQL may call. Each function turns its arguments into values and an [`Error`] into an ERROR; what is only
//! listing is written in SQL (sql/monitor) and is not here.
mod adopt;
mod arguments;
mod candidates;
mod formations;
pub mod heartbeat;
mod identity;
mod maintenance;
mod operations;
mod passwords;
mod register;
mod request;
mod say;
mod upkeep;
mod ways_out;

use crate::error::Error;
use crate::refuse::{self, About};
use crate::{gucs, pg};

/// Runs a function of the SQL surface.
fn run<T>(function: impl FnOnce() -> Result<T, Error>) -> T {
    function().unwrap_or_else(|error| error.raise())
}

/// The same for what somebody asks of a formation: refused, it becomes an event.
fn ask<T>(about: &About, function: impl FnOnce() -> Result<T, Error>) -> T {
    function().unwrap_or_else(|error| {
        refuse::note(about, &error);
        error.raise()
    })
}

/// The board belongs to one database: in another one the ids would be other nodes'.
fn check_database() -> Result<(), Error> {
    thread_local! { static CHECKED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) }; }
    if CHECKED.get() {
        return Ok(());
    }
    pg::board(|_| ())?;
    let (here, monitor) = (pg::database_name(), gucs::database());
    if here != monitor {
        return Err(Error::WrongDatabase { here, monitor });
    }
    CHECKED.set(true);
    Ok(())
}
