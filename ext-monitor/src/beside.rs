//! What the monitor keeps beside its PGDATA: how far its decisions about each group have come. A PGDATA that was put back from a
//! copy is told by that.
use crate::error::Error;
use crate::pg;
use node_files::StateDir;
use node_files::revision::Revision;
use pgrx::prelude::*;

/// How far the decisions about the group had come when they were noted last. Rows that are behind are of a copy.
pub fn noted(group: i32) -> Result<Option<Revision>, Error> {
    Revision::read(&directory(), group).map_err(failed)
}

/// Makes room for the note that follows the commit, which must not fail for want of it.
pub fn make_room(group: i32, rows: Revision) -> Result<(), Error> {
    if noted(group)?.is_some() {
        return Ok(());
    }
    directory().create().map_err(failed)?;
    Revision { number: 0, ..rows }.write(&directory(), group).map_err(failed)
}

/// The transaction has committed, and nobody was told yet.
pub fn note(group: i32, rows: Revision) {
    if let Err(error) = rows.write(&directory(), group) {
        // No reason to hide a decision that is made. A copy of the tables as they were would pass for the present ones.
        warning!("this monitor could not note its last decision: {error}");
    }
}

fn directory() -> StateDir {
    StateDir::beside(&pg::data_dir())
}

fn failed(error: node_files::Error) -> Error {
    Error::Beside(error.to_string())
}
