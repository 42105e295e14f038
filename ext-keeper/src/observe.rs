//! A snapshot of the own server, read once per tick from shared memory. No opinion about it.
use crate::pg;
use crate::shared::{fence, receiver};
use fsm::message::Receiver;
use fsm::units::{Lsn, NodeId, Timeline};
use std::collections::BTreeSet;
use std::time::Duration;

const STARTING: &str = "starting";
const STOPPING: &str = "stopping";
/// Cheap: a few words of shared memory.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The server as it is now.
#[derive(Clone, Debug)]
pub struct Facts {
    /// It is in recovery.
    pub in_recovery: bool,
    /// It begins as a writer and still replays what a crash left: in recovery, but no standby.
    pub starting: bool,
    /// The postmaster was told to stop.
    pub stopping: bool,
    /// The postmaster lets sessions in.
    pub accepting: bool,
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
    let (end, timeline) = if in_recovery { end_in_recovery() } else { pg::flush_lsn_and_timeline() };
    let status = postmaster_status();
    Facts {
        in_recovery,
        starting: in_recovery && !is_standby(),
        stopping: status == STOPPING,
        accepting: status != STARTING,
        end: (end > Lsn(0)).then_some(end),
        timeline,
        checkpoint_timeline,
        receiver: what_the_receiver_does(),
        followers: followers(),
        fenced: fence::is_up(),
    }
}

fn end_in_recovery() -> (Lsn, Timeline) {
    let replayed = pg::replay_lsn_and_timeline();
    receiver::flushed_upto().map_or(replayed, |flushed| flushed.max(replayed))
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

fn followers() -> BTreeSet<NodeId> {
    pg::walsenders()
        .into_iter()
        .filter(|sender| sender.streaming)
        .filter_map(|sender| sender.slot_node)
        .collect()
}

/// Returns when something has come that decisions wait for and that nobody rings for: the server lets sessions in, one of
/// `expected` follows, or a receiver that had to prove itself has brought WAL. Looks only while there is something to wait for.
pub async fn news_since(before: &Facts, expected: &BTreeSet<NodeId>) {
    let missing = !before.in_recovery && !expected.is_subset(&before.followers);
    let unproven = before.receiver == Receiver::Lost && receiver::is_streaming();
    if before.accepting && !missing && !unproven {
        return std::future::pending().await;
    }
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let opened = !before.accepting && is_accepting();
        let fed = unproven && Some(end_in_recovery().0) > before.end;
        if opened || fed || (missing && followers() != before.followers) {
            return;
        }
    }
}

/// Sessions would not be turned away for the server's start. A crash cycle does not show here.
pub fn is_accepting() -> bool {
    postmaster_status() != STARTING
}

/// The postmaster writes its status into its lock file before it acts by it. In a smart shutdown, where workers hear
/// nothing until the last session has left, it is the only sign. Empty when it cannot be told.
fn postmaster_status() -> String {
    const STATUS_LINE: usize = 7;
    let file = std::fs::read_to_string(pg::data_dir().join("postmaster.pid")).unwrap_or_default();
    file.lines().nth(STATUS_LINE).unwrap_or_default().trim().to_owned()
}
