//! No lease, no commit (law 3): asked in every backend at the last moment before a commit record is written.
use crate::pg;
use crate::shared::fence::{self, Fence};
use crate::shared::{clock, view};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

/// In the postmaster; its children inherit it.
pub fn install() {
    pg::commit::check_before_commit(refuse_when_up);
}

/// One atomic load and one look at the clock, unless the answer is no.
fn refuse_when_up() {
    if fence::is_up() {
        refuse();
    }
}

#[cold]
fn refuse() {
    let why = match fence::state() {
        Fence::Lapsed => "it holds no lease".to_owned(),
        Fence::LeasedUntil(until) => {
            format!("its lease ran out {} ms ago", clock::boottime_ns().saturating_sub(until) / 1_000_000)
        }
        // It came back between the two looks. This transaction was refused all the same.
        Fence::Unleased => "it held no lease a moment ago".to_owned(),
    };
    let view = view::read();
    let heard = match view.last_contact_ns {
        0 => "The monitor has not answered since the server started.".to_owned(),
        at => format!("The monitor answered {} ms ago.", clock::boottime_ns().saturating_sub(at) / 1_000_000),
    };
    ErrorReport::new(
        PgSqlErrorCode::ERRCODE_READ_ONLY_SQL_TRANSACTION,
        format!("this node may not commit: {why}"),
        function_name!(),
    )
    .set_detail(format!("Its state is {}, its goal is {}. {heard}", view.state, view.goal))
    .set_hint("Find the present primary with \"pg_autoctl show state\" and write there; this node goes on by itself when the monitor confirms it. Its own view is in autoctl.state.")
    .report(PgLogLevel::ERROR);
}
