//! Rows of the monitor's tables, and values of `fsm`. Values travel as JSON in both directions, so that their shape
//! is written down once, in the types.
//!
//! Order of locks: a group first ([`crate::pg::lock_group`], held to the end of the transaction), then its rows; a
//! transaction that needs a formation's row takes it before the group. The board's lock is inside all of them, and
//! nothing is asked of the database while it is held.

pub mod event;
pub mod failover;
pub mod formation;
pub mod group;
pub mod node;
pub mod password;

use crate::error::Error;
use crate::pg;
use pgrx::datum::DatumWithOid;
use pgrx::prelude::*;

/// The first column of the first row of a query, read as the database is now.
fn fetch<T: FromDatum + IntoDatum>(query: &str, arguments: &[DatumWithOid]) -> Result<Option<T>, Error> {
    let found = pg::with_fresh_snapshot(|| {
        Spi::connect(|client| {
            let rows = client.select(query, Some(1), arguments)?;
            if rows.is_empty() { Ok(None) } else { rows.first().get_one::<T>() }
        })
    });
    Ok(found?)
}

/// Runs a statement that writes, and makes the transaction a durable one.
fn write(statement: &str, arguments: &[DatumWithOid]) -> Result<(), Error> {
    pg::commit_durably();
    Spi::connect_mut(|client| client.update(statement, None, arguments).map(|_| ()))?;
    Ok(())
}

/// The same for a statement that returns a row: its first column.
fn write_and_fetch<T: FromDatum + IntoDatum>(
    statement: &str,
    arguments: &[DatumWithOid],
) -> Result<Option<T>, Error> {
    pg::commit_durably();
    let found = Spi::connect_mut(|client| client.update(statement, None, arguments)?.first().get_one::<T>())?;
    Ok(found)
}
