//! Replication slots: one for every peer on a writer, none of ours for nodes that are gone.
use super::{Outcome, Trouble};
use crate::local::Local;
use crate::tick::Keeper;
use fsm::message::Peer;
use fsm::rule::{standby_name, standby_of};
use fsm::units::NodeId;
use std::collections::BTreeSet;

/// What was last made so in this life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotsMade(BTreeSet<NodeId>);

/// On a writer.
pub async fn ensure_for_peers(keeper: &mut Keeper, peers: &[Peer]) -> Result<Outcome, Trouble> {
    ensure(keeper, peers.iter().map(|peer| peer.node).collect()).await
}

/// On a standby nobody needs a slot, and one left from a reign would keep WAL for ever.
pub async fn drop_all(keeper: &mut Keeper) -> Result<Outcome, Trouble> {
    ensure(keeper, BTreeSet::new()).await
}

async fn ensure(keeper: &mut Keeper, wanted: BTreeSet<NodeId>) -> Result<Outcome, Trouble> {
    let wanted = SlotsMade(wanted);
    if keeper.slots.as_ref() == Some(&wanted) {
        return Ok(Outcome::Done);
    }
    let there = list(&mut keeper.local).await?;
    for (node, active) in &there {
        // One in use is dropped later, when its node is gone for good.
        if !wanted.0.contains(node) && !active {
            let name = standby_name(*node);
            keeper
                .local
                .ask(async |client| client.execute("SELECT pg_drop_replication_slot($1)", &[&name]).await)
                .await?;
        }
    }
    for node in &wanted.0 {
        if !there.iter().any(|(id, _)| id == node) {
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
    let all_gone = there.iter().all(|(node, active)| wanted.0.contains(node) || !active);
    keeper.slots = all_gone.then_some(wanted);
    Ok(Outcome::Done)
}

async fn list(local: &mut Local) -> Result<Vec<(NodeId, bool)>, Trouble> {
    let rows = local
        .ask(async |client| {
            client
                .query(
                    "SELECT slot_name::text, active FROM pg_replication_slots WHERE slot_type = 'physical'",
                    &[],
                )
                .await
        })
        .await?;
    Ok(rows
        .iter()
        .filter_map(|row| standby_of(row.get::<_, &str>(0)).map(|node| (node, row.get::<_, bool>(1))))
        .collect())
}
