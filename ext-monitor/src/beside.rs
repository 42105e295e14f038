//! What the monitor keeps beside its PGDATA: how far its decisions about each group have come. A PGDATA that was put back from a
//! copy is told by that.
use crate::error::Error;
use crate::pg;
use node_files::StateDir;
use node_files::revision::Revision;
use pgrx::prelude::*;

/// Whether more has been told to the nodes of the group than its rows know.
pub fn is_behind(group: i32, rows: Revision) -> Result<bool, Error> {
    let noted = Revision::read(&directory(), group).map_err(|error| Error::Beside(error.to_string()))?;
    Ok(rows.is_behind(noted))
}

/// Makes room for the note that follows the commit, which must not fail for want of it.
pub fn make_room(group: i32, rows: Revision) -> Result<(), Error> {
    let (dir, failed) = (directory(), |error: node_files::Error| Error::Beside(error.to_string()));
    let noted = Revision::read(&dir, group).map_err(failed)?;
    if noted.is_some_and(|noted| noted.epoch == rows.epoch) {
        return Ok(());
    }
    dir.create().map_err(failed)?;
    Revision { number: 0, ..rows }.write(&dir, group).map_err(failed)
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
