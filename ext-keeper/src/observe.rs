//! A snapshot of the own server, read once per tick from shared memory. No opinion about it.
use crate::pg;
use crate::shared::{fence, receiver};
use fsm::message::Receiver;
use fsm::units::{Lsn, NodeId, Timeline};
use std::collections::BTreeSet;

/// The server as it is now.
#[derive(Clone, Debug)]
pub struct Facts {
    /// It is in recovery.
    pub in_recovery: bool,
    /// It begins as a writer and still replays what a crash left: in recovery, but no standby.
    pub starting: bool,
    /// The postmaster was told to stop.
    pub stopping: bool,
    /// The end of its WAL as far as it is known to be flushed here; nothing before the replay has begun.
    pub end: Option<Lsn>,
    /// Its timeline.
    pub timeline: Timeline,
    /// Timeline of the last checkpoint; asked for on writers only.
    pub checkpoint_timeline: Timeline,
    /// What its receiver does.
    pub receiver: Receiver,
    /// Who streams from it.
    pub followers: BTreeSet<NodeId>,
    /// Nothing commits here.
    pub fenced: bool,
}

/// Looks once. The checkpoint's timeline comes from the last time that somebody asked.
pub fn look(checkpoint_timeline: Timeline) -> Facts {
    let in_recovery = pg::in_recovery();
    let (end, timeline) = if in_recovery {
        let replayed = pg::replay_lsn_and_timeline();
        receiver::flushed_upto().map_or(replayed, |flushed| flushed.max(replayed))
    } else {
        pg::flush_lsn_and_timeline()
    };
    Facts {
        in_recovery,
        starting: in_recovery && !is_standby(),
        stopping: is_stopping(),
        end: (end > Lsn(0)).then_some(end),
        timeline,
        checkpoint_timeline,
        receiver: what_the_receiver_does(),
        followers: pg::walsenders()
            .into_iter()
            .filter(|sender| sender.streaming)
            .filter_map(|sender| sender.slot_node)
            .collect(),
        fenced: fence::is_up(),
    }
}

/// The file that the boot guard set, or left alone, for this life.
fn is_standby() -> bool {
    let here = |name| pg::data_dir().join(name).exists();
    here("standby.signal") || here("recovery.signal")
}

fn what_the_receiver_does() -> Receiver {
    if receiver::is_streaming() {
        Receiver::Streaming
    } else if receiver::streamed_in_this_life() {
        Receiver::Lost
    } else {
        Receiver::None
    }
}

/// The postmaster writes this into its lock file before it tells anybody to stop. In a smart shutdown, where workers
/// hear nothing until the last session has left, it is the only sign.
fn is_stopping() -> bool {
    const STATUS_LINE: usize = 7;
    std::fs::read_to_string(pg::data_dir().join("postmaster.pid"))
        .is_ok_and(|text| text.lines().nth(STATUS_LINE).is_some_and(|status| status.trim() == "stopping"))
}
