//! For functions written in SQL: their commands and refusals are told as those of the others are.
use super::run;
use crate::refuse::{self, About};
use crate::tell;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

/// `pgautofailover.tell_command`: an operator's command to a formation or one of its groups.
#[pg_extern(sql = false)]
fn tell_command(formation: &str, group: Option<i32>, what: &str) {
    run(|| tell::formation_command(formation, group, what));
}

/// `pgautofailover.refuse`: refuses `what` with an ERROR, and has that told.
#[pg_extern(sql = false)]
fn refuse_call(
    what: &str,
    formation: Option<&str>,
    group: Option<i32>,
    sqlstate: &str,
    message: &str,
    hint: &str,
) {
    let about = About { what, formation, group, ..About::default() };
    refuse::note_as(&about, false, sqlstate, message);
    ErrorReport::new(code(sqlstate), message.to_owned(), "pgautofailover")
        .set_hint(hint)
        .report(PgLogLevel::ERROR);
}

/// `pgautofailover.tell_refusals`: makes events of what was refused since; the worker calls it.
#[pg_extern(sql = false)]
fn tell_refusals() {
    run(|| {
        super::check_database()?;
        refuse::tell_all()
    });
}

/// PostgreSQL packs the five characters six bits each.
fn code(sqlstate: &str) -> PgSqlErrorCode {
    let bits = |byte: u8| i32::from(byte.wrapping_sub(b'0') & 0x3f);
    let packed = sqlstate.bytes().take(5).enumerate().map(|(place, byte)| bits(byte) << (6 * place));
    PgSqlErrorCode::from(packed.sum::<i32>())
}
