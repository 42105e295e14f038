//! Replication slots: one for every peer on a writer, none of ours for nodes that are gone.
use super::{Outcome, Trouble};
use crate::local::Local;
use crate::pg;
use crate::tick::Keeper;
use fsm::message::Peer;
use fsm::rule::{standby_name, standby_of};
use fsm::units::NodeId;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;

/// A slot that nobody uses may have been invalidated; it is looked at again after this.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// What was last made so in this life.
#[derive(Clone, Debug)]
pub struct SlotsMade {
    nodes: BTreeSet<NodeId>,
    looked: Instant,
}

/// A slot of ours.
struct Slot {
    node: NodeId,
    active: bool,
    /// PostgreSQL has invalidated it: max_slot_wal_keep_size was not enough for its standby. It keeps no WAL, and lets nobody stream.
    lost: bool,
}

/// On a writer.
pub async fn ensure_for_peers(keeper: &mut Keeper, peers: &[Peer]) -> Result<Outcome, Trouble> {
    ensure(keeper, peers.iter().map(|peer| peer.node).collect()).await
}

/// On a standby nobody needs a slot, and one left from a reign would keep WAL for ever.
pub async fn drop_all(keeper: &mut Keeper) -> Result<Outcome, Trouble> {
    ensure(keeper, BTreeSet::new()).await
}

async fn ensure(keeper: &mut Keeper, wanted: BTreeSet<NodeId>) -> Result<Outcome, Trouble> {
    let all_used = wanted.is_subset(&keeper.facts.followers);
    let is_made = |made: &SlotsMade| made.nodes == wanted && (all_used || made.looked.elapsed() < LOOK_AGAIN);
    if keeper.slots.as_ref().is_some_and(is_made) {
        return Ok(Outcome::Done);
    }
    let there = list(&mut keeper.local).await?;
    for slot in &there {
        // One in use is dropped later, when its node is gone for good.
        if (slot.lost || !wanted.contains(&slot.node)) && !slot.active {
            let name = standby_name(slot.node);
            if slot.lost {
                pg::log(&format!(
                    "the slot of node {} kept more WAL than max_slot_wal_keep_size allows and is made anew; the node is copied \
                     anew if it needs what was removed",
                    slot.node
                ));
            }
            keeper
                .local
                .ask(async |client| client.execute("SELECT pg_drop_replication_slot($1)", &[&name]).await)
                .await?;
        }
    }
    for node in &wanted {
        if !there.iter().any(|slot| slot.node == *node && (slot.active || !slot.lost)) {
            let name = standby_name(*node);
            // Reserving at once keeps the WAL that a former primary needs to come back without a new copy.
            keeper
                .local
                .ask(async |client| {
                    client.execute("SELECT pg_create_physical_replication_slot($1, true)", &[&name]).await
                })
                .await?;
        }
    }
    let all_gone = there.iter().all(|slot| wanted.contains(&slot.node) || !slot.active);
    keeper.slots = all_gone.then(|| SlotsMade { nodes: wanted, looked: Instant::now() });
    Ok(Outcome::Done)
}

async fn list(local: &mut Local) -> Result<Vec<Slot>, Trouble> {
    let rows = local
        .ask(async |client| {
            client
                .query(
                    "SELECT slot_name::text, active, wal_status IS NOT DISTINCT FROM 'lost'
                     FROM pg_replication_slots WHERE slot_type = 'physical'",
                    &[],
                )
                .await
        })
        .await?;
    Ok(rows
        .iter()
        .filter_map(|row| {
            let node = standby_of(row.get::<_, &str>(0))?;
            Some(Slot { node, active: row.get(1), lost: row.get(2) })
        })
        .collect())
}
