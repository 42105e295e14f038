//! Decides how a life of the server begins: as a standby, unless a one-shot token says otherwise (law 5).
//!
//! Runs in the postmaster when shared memory is set up, at each boot and in each crash cycle, before the startup
//! process looks for signal files. `postgres -C` never comes here.
use crate::pg;
use crate::shared::{View, enrolled, fence, gate, rule};
use crate::{gucs, in_place, promoted_by_hand};
use node_files::{Error, Identity, Phase, Restart, State, StateDir, WriterToken, boots, durable, identity};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use std::path::Path;

/// Who this server is, as far as its files tell.
enum Standing {
    /// Neither file: no node of ours.
    NotEnrolled,
    /// Both files, and they agree.
    Node(Box<State>),
    /// One of them cannot be used: a node, but not one that may write. Why.
    Doubtful(String),
}

/// In `_PG_init` of a real boot: an interrupted copy is finished by the helper before anything else starts.
pub fn finish_interrupted_copy() {
    let dir = StateDir::at(gucs::state_dir());
    match Phase::read(&dir) {
        Ok(None) => {}
        Ok(Some(_)) => {
            pg::log("a rewind or a copy of this directory was interrupted; finishing it first");
            let error = in_place::become_helper();
            refuse_to_start(
                &format!("the copy under way cannot be finished: {error}"),
                "Check the setting pg_autoctl.helper, or install pg_autoctl beside the postgres program.",
            );
        }
        Err(error) => refuse_to_start(
            &format!("it is not known whether PGDATA is whole: {error}"),
            "Restore the file, or make this node anew with \"pg_autoctl create postgres\".",
        ),
    }
}

/// In `shmem_startup_hook`. Shared memory has its most forbidding values when it begins. What there is to show of it.
pub fn run() -> View {
    // The checkpointer of this life begins with what the postmaster has read.
    rule::read(gucs::rule_number(), true);
    fence::count_from_now();
    decide().map_or_else(View::default, |doubt| View::default().with_error(Some(&doubt)))
}

/// Decides; what it has found wrong, if the keeper is not to work.
fn decide() -> Option<String> {
    if !pg::postmaster::is_postmaster() || pg::postmaster::is_binary_upgrade() {
        // Single-user mode, pg_rewind's recovery, pg_upgrade: somebody works on the directory by hand.
        stand_aside();
        return None;
    }
    let pgdata = pg::data_dir();
    let dir = StateDir::at(gucs::state_dir());
    let standing = standing(&pgdata, &dir);
    if matches!(standing, Standing::NotEnrolled) {
        stand_aside();
        return None;
    }
    let boot = count_boot(&dir, &pgdata);
    if let Err(error) = Restart::discard(&dir) {
        pg::warn(&format!("an old request of a restart stays behind: {error}"));
    }
    let token = take_token(&dir);
    match standing {
        Standing::Node(state) => {
            let permitted = match (boot, token) {
                (Some(boot), Some(token)) => token.permits(boot, &state.identity),
                (None, _) | (_, None) => false,
            };
            set_signal_file(&pgdata, permitted);
            set_gate(&pgdata, &state, &dir);
            enrolled::set(boot.unwrap_or(0), identity::fresh_number());
            None
        }
        Standing::Doubtful(why) => {
            let doubt = format!(
                "{why}; so this server is a standby and follows nobody. Bring the file back and restart the server, or make the \
                 node anew with \"pg_autoctl create postgres\""
            );
            pg::warn(&doubt);
            set_signal_file(&pgdata, false);
            // Not a node for the keeper either: a pledge counts only from a copy that is known to be the node's (law 7).
            Some(doubt)
        }
        Standing::NotEnrolled => None,
    }
}

fn stand_aside() {
    fence::open_unleased();
    rule::set_free();
    gate::open_to_anybody();
}

fn standing(pgdata: &Path, dir: &StateDir) -> Standing {
    let identity = match Identity::read(pgdata) {
        Ok(identity) => identity,
        Err(error) => return Standing::Doubtful(error.to_string()),
    };
    let state = match &identity {
        Some(identity) => State::read_of(dir, identity),
        None => State::read(dir),
    };
    match (identity, state) {
        (None, Err(Error::Missing { .. })) => Standing::NotEnrolled,
        (Some(_), Ok(state)) => Standing::Node(Box::new(state)),
        (None, Ok(state)) => Standing::Doubtful(format!(
            "\"{}\" is missing, so it is not known whether PGDATA is node {}'s",
            Identity::path(pgdata).display(),
            state.node
        )),
        (_, Err(error)) => Standing::Doubtful(error.to_string()),
    }
}

fn count_boot(dir: &StateDir, pgdata: &Path) -> Option<u64> {
    match boots::advance(dir, pgdata) {
        Ok(boot) => Some(boot),
        Err(error) => {
            pg::warn(&format!("this start could not be counted, so it is a standby's: {error}"));
            None
        }
    }
}

fn take_token(dir: &StateDir) -> Option<WriterToken> {
    match WriterToken::take(dir) {
        Ok(token) => token,
        Err(error) => {
            pg::warn(&format!("the permission to start as a writer does not count: {error}"));
            None
        }
    }
}

fn set_signal_file(pgdata: &Path, may_write: bool) {
    // Point-in-time recovery is an operator's work. It ends fenced, and the keeper sees to the rest.
    if pgdata.join("recovery.signal").exists() {
        pg::log("recovery.signal stands there; the signal files stay as they are");
        return;
    }
    let signal = pgdata.join("standby.signal");
    if may_write {
        match durable::remove(&signal) {
            Ok(_) => pg::log("starting as a writer, with the monitor's permission for this start"),
            Err(error) => pg::warn(&format!("starting as a standby after all: {error}")),
        }
    } else if let Err(error) = durable::touch(&signal) {
        // Going on would be starting as a writer without permission.
        refuse_to_start(
            &format!("this node must start as a standby: {error}"),
            "Make room or repair the directory, then start it again.",
        );
    } else {
        pg::log("starting as a standby");
    }
}

/// After a pledge nobody may be followed before a recorded writer of that term, or of a later one, was named.
fn set_gate(pgdata: &Path, state: &State, dir: &StateDir) {
    // With a copy asked for and not made, the upstream is the one to copy from: the WAL here is not of its history. Nor is that of
    // a timeline of our own, and a receiver compares no more than its number.
    let as_it_is = matches!(Phase::read(dir), Ok(None)) && promoted_by_hand::find(pgdata, state).is_none();
    let upstream = state.upstream.as_ref().filter(|upstream| as_it_is && upstream.term >= state.pledge);
    if let Some(upstream) = upstream {
        gate::open(&upstream.peer.host, upstream.peer.port);
    }
}

fn refuse_to_start(why: &str, next: &str) {
    ErrorReport::new(
        PgSqlErrorCode::ERRCODE_CONFIG_FILE_ERROR,
        format!("pg_autoctl: {why}"),
        function_name!(),
    )
    .set_hint(next)
    .report(PgLogLevel::FATAL);
}
