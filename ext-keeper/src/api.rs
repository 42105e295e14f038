//! The functions behind the view `autoctl.state`.
use crate::shared::fence::{self, Fence};
use crate::shared::{clock, enrolled, receiver, view};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

/// One row: node, role, goal, term, fence, seconds of lease left, seconds since the monitor answered, last error, boot, receiving.
#[pg_extern(sql = false)]
#[expect(clippy::type_complexity, reason = "pgrx reads the columns off this type")]
fn keeper_state() -> TableIterator<
    'static,
    (
        name!(node, Option<i64>),
        name!(role, Option<String>),
        name!(goal, Option<String>),
        name!(term, Option<i64>),
        name!(fence, String),
        name!(lease_left, Option<f64>),
        name!(contact_age, Option<f64>),
        name!(last_error, Option<String>),
        name!(boot, Option<i64>),
        name!(receiving, bool),
    ),
> {
    if !crate::is_preloaded() {
        ErrorReport::new(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            "the keeper does not run in this server",
            function_name!(),
        )
        .set_hint("Add pg_autoctl to shared_preload_libraries and restart the server.")
        .report(PgLogLevel::ERROR);
    }
    let (view, now) = (view::read(), clock::boottime_ns());
    let is_node = enrolled::is();
    let seconds = |nanoseconds: u64| nanoseconds as f64 / 1e9;
    let (fence, lease_left) = match fence::state() {
        Fence::Lapsed => ("lapsed", None),
        Fence::LeasedUntil(until) if until <= now => ("lapsed", Some(0.0)),
        Fence::LeasedUntil(until) => ("leased", Some(seconds(until - now))),
        Fence::Unleased => ("unleased", None),
    };
    TableIterator::once((
        is_node.then_some(view.node.0),
        is_node.then(|| view.state.to_string()),
        is_node.then(|| view.goal.to_string()),
        is_node.then_some(view.term.0 as i64),
        fence.to_owned(),
        lease_left,
        (view.last_contact_ns != 0).then(|| seconds(now.saturating_sub(view.last_contact_ns))),
        view.error(),
        is_node.then(|| enrolled::boot() as i64),
        receiver::is_streaming(),
    ))
}
