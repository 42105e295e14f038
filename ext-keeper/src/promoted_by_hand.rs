//! A standby that somebody promoted while our library was not loaded. PostgreSQL has begun a timeline then, which shows in
//! pg_wal; that whoever it followed has begun none of that number is what tells it from a timeline that was followed (law 9).
use crate::act::switch_point;
use crate::tick::UNRECORDED;
use fsm::message::Promotion;
use fsm::units::{Lsn, Timeline};
use node_files::State;
use std::fs;
use std::path::Path;

/// The promotion, of no term, if the directory of a standby shows one.
pub fn find(pgdata: &Path, state: &State) -> Option<Promotion> {
    let upstream = state.upstream.as_ref().filter(|upstream| {
        // 0: the first writer of a group has not told it yet.
        !state.role.writes() && state.promotion.is_none() && upstream.timeline > Timeline(0)
    })?;
    let names = fs::read_dir(pgdata.join("pg_wal")).ok()?.flatten().map(|entry| entry.file_name());
    let later =
        names.filter_map(|name| timeline_of(name.to_str()?)).filter(|found| *found > upstream.timeline);
    let timeline = later.max()?;
    // Where it cannot be read, the least that says that a promotion was made.
    let switch_lsn = switch_point(pgdata, timeline, None).unwrap_or(Lsn(1));
    Some(Promotion { term: UNRECORDED, timeline, switch_lsn })
}

fn timeline_of(name: &str) -> Option<Timeline> {
    let digits = name.strip_suffix(".history").filter(|digits| digits.len() == 8)?;
    u32::from_str_radix(digits, 16).ok().map(Timeline)
}
