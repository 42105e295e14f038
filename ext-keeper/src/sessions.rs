//! Who may have a session. A primary that may not commit may have been replaced: what it shows can be out of date, so it serves
//! no clients. A standby does, and a fence that is up for a moment only disturbs nobody.
use crate::commit_fence::{self, Reason};
use crate::pg::authentication::{self, Client, is_walsender};
use crate::shared::{fence, view};
use crate::{gucs, impostors, pg};
use fsm::state::State;
use node_files::hba::PROBE_ROLE;
use node_files::secrets::REPLICATION_ROLE;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use std::time::Duration;

/// The roles of the monitor and of the other nodes.
pub const OURS: [&str; 2] = [PROBE_ROLE, REPLICATION_ROLE];

/// A machine that is slow may let a lease run out for less than this.
const MOMENT: Duration = Duration::from_secs(1);

/// In the postmaster; its children inherit it.
pub fn install() {
    authentication::install(admit);
}

/// Clients are turned away, and those that are there must go.
pub fn are_refused() -> bool {
    // One that was dropped is its operator's to stop; he may have left it running to look at it.
    let is_dropped = || view::read().goal == State::Dropped;
    gucs::refuses_fenced_reads() && fence::has_been_up_for(MOMENT) && !pg::in_recovery() && !is_dropped()
}

fn admit(client: &Client) {
    if is_walsender() {
        impostors::watch();
    } else if are_refused() && !is_exempt(client) {
        refuse();
    }
}

/// The keeper is a superuser on the server's own machine, and so is the operator who has to look.
fn is_exempt(client: &Client) -> bool {
    OURS.contains(&client.user.as_str()) || (client.is_local && authentication::is_superuser(&client.user))
}

/// "Cannot connect now" is what makes libpq go on to the next host of its connection string; any other refusal ends its search.
fn refuse() {
    let Reason { why, detail } = commit_fence::reason();
    ErrorReport::new(
        PgSqlErrorCode::ERRCODE_CANNOT_CONNECT_NOW,
        format!("this node serves no sessions, for it may not commit: {why}"),
        function_name!(),
    )
    .set_detail(detail)
    .set_hint(commit_fence::HINT)
    .report(PgLogLevel::FATAL);
}
