//! Promotion, fenced; and what was promoted in which term, durably, before it is told.
use super::{Outcome, Trouble, io_trouble};
use crate::pg;
use crate::tick::Keeper;
use fsm::message::{Assignment, Promotion};
use fsm::units::{Lsn, Timeline};
use std::path::Path;
use std::time::Duration;

const LOOK_EVERY: Duration = Duration::from_millis(1);
const LOOKS: u32 = 2000;

/// Leaves recovery, with the fence up.
pub async fn promote(keeper: &mut Keeper, told: &Assignment) -> Result<Outcome, Trouble> {
    if keeper.memory.promotion.is_some_and(|promotion| promotion.term == told.term)
        && !keeper.facts.in_recovery
    {
        return Ok(Outcome::Done);
    }
    // Law 1: the pledge is what makes this node's WAL the one that counts.
    if keeper.memory.pledge != told.term {
        return Err(Trouble::new(format!(
            "asked to promote in term {} without having pledged to it",
            told.term
        )));
    }
    let data_dir = pg::data_dir();
    if pg::in_recovery() {
        // What pg_promote() does, without needing a connection.
        std::fs::write(data_dir.join("promote"), "")
            .map_err(|error| io_trouble("write the promote file", error))?;
        pg::signal_postmaster(libc::SIGUSR1).map_err(|error| io_trouble("ask for the promotion", error))?;
        let mut looks = 0;
        while pg::in_recovery() {
            if looks == LOOKS {
                return Ok(Outcome::Soon("the server is replaying its WAL before it promotes".to_owned()));
            }
            looks += 1;
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
    let (_, timeline) = pg::flush_lsn_and_timeline();
    let switch_lsn = switch_point(&data_dir, timeline)?;
    keeper.memory.keep(|state| {
        state.promotion = Some(Promotion { term: told.term, timeline, switch_lsn });
        state.upstream = None;
    })?;
    Ok(Outcome::Done)
}

/// Where a timeline left the one before: the last line of its history file.
fn switch_point(data_dir: &Path, timeline: Timeline) -> Result<Lsn, Trouble> {
    let path = data_dir.join(format!("pg_wal/{:08X}.history", timeline.0));
    let text =
        std::fs::read_to_string(&path).map_err(|error| io_trouble("read the timeline's history", error))?;
    let last = text.lines().rev().find(|line| !line.trim().is_empty() && !line.starts_with('#'));
    last.and_then(|line| line.split_ascii_whitespace().nth(1)?.parse().ok())
        .ok_or_else(|| Trouble::new(format!("\"{}\" does not say where the timeline begins", path.display())))
}
