//! No lease, no commit (law 3): asked in every backend at the last moment before a commit record is written. And no word of a
//! commit that the members do not have (law 1): asked when the wait for them has ended, however it has ended.
use crate::pg::commit::{self, End, Watch};
use crate::session::KEEPER;
use crate::shared::fence::{self, Fence};
use crate::shared::{clock, first_write, rule, view};
use crate::{gucs, pg};
use fsm::units::Lsn;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Members that flush nothing for so long are not waited for by a session whose own wait is over.
const PATIENCE: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// In the postmaster; its children inherit it.
pub fn install() {
    commit::watch(Watch { before: check, after: ended });
}

/// Two atomic loads and one look at the clock, unless the answer is no.
fn check() {
    if fence::is_up() {
        refuse();
    }
    if rule::binds() && !commit::waits_for_flush() && may_not_ask_for_less() {
        commit::wait_for_flush();
    }
}

fn may_not_ask_for_less() -> bool {
    gucs::minimum_synchronous_commit() && !commit::is_autovacuum()
}

fn ended(end: End) {
    if may_be_acknowledged(end) {
        first_write::note(|| commit::has_client() && pg::application_name() != KEEPER);
    }
}

/// Says nothing of a commit that is not on enough members: whether it stays is unknown, and that is what a client understands
/// whose connection is gone. No ERROR is possible here, for the commit cannot be taken back.
fn may_be_acknowledged(end: End) -> bool {
    let (End::At(position) | End::UpTo(position)) = end;
    let is_covered = || position <= pg::synchronously_flushed();
    if !rule::binds_at(position) || is_covered() {
        return true;
    }
    let waited = commit::waits_for_flush();
    if !waited && !may_not_ask_for_less() {
        return true;
    }
    // Where it has waited for that very position, the wait was broken off. Otherwise the members may need another moment: for
    // what others have written since, or for a commit that came by the check just before it began to raise what is asked for.
    let broken_off = waited && matches!(end, End::At(_));
    if !broken_off && becomes_covered(position, is_covered) {
        return true;
    }
    commit::cut_client();
    pg::log(&format!(
        "a commit is here up to {position}, and not on enough standbys: its client was cut off instead of being told of it"
    ));
    false
}

/// Waits for as long as the members make progress.
fn becomes_covered(position: Lsn, is_covered: impl Fn() -> bool) -> bool {
    let (mut last, mut since) = (pg::synchronously_flushed(), Instant::now());
    commit::flush_up_to(position);
    while !is_covered() {
        if !rule::binds_at(position) {
            return true;
        }
        let now = pg::synchronously_flushed();
        if now > last {
            (last, since) = (now, Instant::now());
        }
        if commit::is_ending() || since.elapsed() > PATIENCE {
            return false;
        }
        sleep(LOOK_EVERY);
    }
    true
}

/// Why nothing commits here, and what is known about it.
pub struct Reason {
    /// Half a sentence.
    pub why: String,
    /// Whole ones.
    pub detail: String,
}

/// What the hint of every refusal says.
pub const HINT: &str = "Find the present primary with \"pg_autoctl show state\" and write there; this node goes on by itself when the monitor confirms it. Its own view is in autoctl.state.";

/// As of now.
pub fn reason() -> Reason {
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
    let primary =
        view.primary().map(|primary| format!(" The present primary is {primary}.")).unwrap_or_default();
    Reason {
        why,
        detail: format!("Its state is {}, its goal is {}. {heard}{primary}", view.state, view.goal),
    }
}

#[cold]
fn refuse() {
    let Reason { why, detail } = reason();
    ErrorReport::new(
        PgSqlErrorCode::ERRCODE_READ_ONLY_SQL_TRANSACTION,
        format!("this node may not commit: {why}"),
        function_name!(),
    )
    .set_detail(detail)
    .set_hint(HINT)
    .report(PgLogLevel::ERROR);
}
