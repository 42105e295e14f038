//! Following an upstream, and no longer following one.
use super::settings::Key;
use super::{Outcome, Trouble, io_trouble};
use crate::shared::{gate, receiver, rule as bound};
use crate::tick::Keeper;
use crate::{gucs, pg};
use fsm::message::{Peer, Upstream};
use fsm::rule::{Rule, standby_name};
use node_files::conninfo;

/// The application_name of a node that fetches WAL from a standby.
const FETCHES: &str = "pg_autoctl fetch";

/// Streams from the upstream, whose history the own WAL is part of: the caller has made sure. By the own slot on it: writers
/// have one for every peer, standbys have none.
pub async fn follow(keeper: &mut Keeper, upstream: &Upstream, by_slot: bool) -> Result<Outcome, Trouble> {
    keeper.memory.keep(|state| {
        state.upstream = Some(upstream.clone());
        state.history = upstream.term;
        state.promotion = None;
        state.rule = Rule::default();
    })?;
    let permission = gate::number();
    // Open before the reload, or the receiver's first attempt is refused and the next one comes an interval later.
    gate::open(&upstream.peer.host, upstream.peer.port);
    bound::demand(0);
    let [conninfo, slot] = stream_from(keeper, &upstream.peer, by_slot);
    let wanted = [
        conninfo,
        slot,
        // Nothing left to do for a promotion under the empty rule.
        (Key::SynchronousStandbyNames, Some(String::new())),
        (Key::RuleNumber, None),
        (Key::DefaultTransactionReadOnly, None),
    ];
    let changed = keeper.settings.make(&mut keeper.local, &wanted).await?;
    if let Some(receiver) = receiver::mute() {
        // A new one is needed, even to the same upstream.
        pg::worker::end(receiver);
    } else if gate::number() != permission && !changed && !receiver::is_waiting() {
        // Wakes the startup process from its pause between two attempts.
        pg::signal_postmaster(libc::SIGHUP).map_err(|error| io_trouble("wake the replay", error))?;
    }
    Ok(Outcome::Done)
}

/// Has the receiver log in to the peer that promotes. Behind the closed gate it gets no farther (see `receiver_gate`).
pub async fn approach(keeper: &mut Keeper, peer: &Peer) -> Result<(), Trouble> {
    let wanted = stream_from(keeper, peer, true);
    keeper.settings.make(&mut keeper.local, &wanted).await?;
    Ok(())
}

fn stream_from(keeper: &Keeper, peer: &Peer, by_slot: bool) -> [(Key, Option<String>); 2] {
    let me = standby_name(keeper.memory.node);
    // The name goes with the slot, and with it only.
    let name = if by_slot { me.as_str() } else { FETCHES };
    let conninfo = conninfo::of_replication(peer, keeper.memory.dir(), &gucs::ssl(), name);
    [(Key::PrimaryConninfo, Some(conninfo)), (Key::PrimarySlotName, by_slot.then_some(me))]
}

/// The receiver stays cut off: at once by the gate, and at leisure by its settings.
pub async fn cut_off(keeper: &mut Keeper) -> Result<Outcome, Trouble> {
    gate::close();
    if keeper.facts.in_recovery {
        keeper.settings.make(&mut keeper.local, &[(Key::PrimaryConninfo, Some(String::new()))]).await?;
    }
    Ok(Outcome::Done)
}
