//! Promotion, fenced; and what was promoted in which term: durably before it is made, and before it is told.
use super::wal_end::end_after_pledge;
use super::{Outcome, Trouble, io_trouble, rule, slots};
use crate::pg;
use crate::shared::fence;
use crate::tick::{Keeper, UNRECORDED};
use fsm::message::{Assignment, Promotion};
use fsm::units::{Lsn, Timeline};
use std::path::Path;
use std::time::Duration;

const LOOK_EVERY: Duration = Duration::from_millis(1);
const LOOKS: u32 = 2000;

/// Leaves recovery, with the fence up. Once per term: a winner that crashed after it goes on with the timeline that it opened,
/// for a second one would hide where the first left the history that others have.
pub async fn promote(keeper: &mut Keeper, told: &Assignment) -> Result<Outcome, Trouble> {
    let announced = keeper.memory.promotion.filter(|promotion| promotion.term == told.term);
    if announced.is_some_and(|promotion| promotion.switch_lsn > Lsn(0)) {
        return Ok(Outcome::Done);
    }
    // Law 1: the pledge is what makes this node's WAL the one that counts.
    if keeper.memory.pledge != told.term {
        return Err(Trouble::new(format!(
            "asked to promote in term {} without having pledged to it",
            told.term
        )));
    }
    let mut announced = announced.map(|promotion| promotion.timeline);
    let timeline = if pg::in_recovery() {
        let Some((_, present)) = end_after_pledge(keeper).await? else {
            return Ok(Outcome::Soon(
                "the replay has not read all local WAL yet, so its end is not known".to_owned(),
            ));
        };
        let left = *announced.get_or_insert(present);
        if present <= left {
            announce(keeper, told, left)?;
            if !leave_recovery(keeper, told).await? {
                return Ok(Outcome::Soon("the server is replaying its WAL before it promotes".to_owned()));
            }
            pg::flush_lsn_and_timeline().1
        } else {
            // Promoted in a life before this one.
            present
        }
    } else {
        pg::flush_lsn_and_timeline().1
    };
    let switch_lsn = switch_point(&pg::data_dir(), timeline, announced)?;
    keeper.memory.keep(|state| {
        state.promotion = Some(Promotion { term: told.term, timeline, switch_lsn });
        state.upstream = None;
    })?;
    Ok(Outcome::Done)
}

/// A crash in the middle of the promotion must not leave a history that nobody knows of.
fn announce(keeper: &mut Keeper, told: &Assignment, left: Timeline) -> Result<(), Trouble> {
    keeper.memory.keep(|state| {
        // Nobody is elected with a promotion that was not recorded, so an earlier one is history.
        let earlier =
            state.promotion.filter(|earlier| earlier.term != UNRECORDED && earlier.term < told.term);
        state.history = earlier.map_or(state.history, |earlier| state.history.max(earlier.term));
        state.promotion = Some(Promotion { term: told.term, timeline: left, switch_lsn: Lsn(0) });
        // From here on it follows nobody: the next life must not take what it finds for its upstream's.
        state.upstream = None;
    })
}

/// What pg_promote() does, without needing a connection. False: it takes longer. Meanwhile the rule is written, and the slots are made that
/// those who follow the writer come by: nobody has to wait for their fsyncs before or afterwards.
async fn leave_recovery(keeper: &mut Keeper, told: &Assignment) -> Result<bool, Trouble> {
    // It has clients that read, and goes on serving them until it is recorded, unless that takes too long.
    fence::count_from_now();
    std::fs::write(pg::data_dir().join("promote"), "")
        .map_err(|error| io_trouble("write the promote file", error))?;
    pg::signal_postmaster(libc::SIGUSR1).map_err(|error| io_trouble("ask for the promotion", error))?;
    let left = async {
        for _ in 0..LOOKS {
            if !pg::in_recovery() {
                return;
            }
            // The startup process may have taken in the request just before it paused between two attempts to get WAL.
            pg::wake_recovery();
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let beside = async {
        rule::write_ahead(keeper, &told.rule).await?;
        slots::ensure_for_peers(keeper, &told.peers).await
    };
    let ((), made) = tokio::join!(left, beside);
    if let Err(error) = made {
        // Both are done again: the rule before the promotion is told, the slots once it is recorded.
        pg::log(&error.why);
    }
    Ok(!pg::in_recovery())
}

/// Where `timeline` parted from the timeline `left`: its history file has a line for each one that it comes from. Where
/// nothing is known of what was left, the last one.
pub fn switch_point(data_dir: &Path, timeline: Timeline, left: Option<Timeline>) -> Result<Lsn, Trouble> {
    let path = data_dir.join(format!("pg_wal/{:08X}.history", timeline.0));
    let text =
        std::fs::read_to_string(&path).map_err(|error| io_trouble("read the timeline's history", error))?;
    let mut switches = text.lines().filter_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let (parent, lsn): (u32, Lsn) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        left.is_none_or(|left| left == Timeline(parent)).then_some(lsn)
    });
    switches
        .next_back()
        .ok_or_else(|| Trouble::new(format!("\"{}\" does not say where the timeline begins", path.display())))
}
