//! The pledge: no acknowledgement for an older term leaves this node any more (law 6, design section 7).
use super::wal_end::end_after_pledge;
use super::{Outcome, Trouble, follow};
use crate::shared::gate;
use crate::tick::Keeper;
use fsm::message::{Assignment, Peer};
use tokio::time::Instant;

/// In this order: the pledge on the disk, the gate closed, then the end of WAL.
pub async fn pledge(keeper: &mut Keeper, told: &Assignment) -> Result<Outcome, Trouble> {
    if !keeper.facts.in_recovery {
        return Err(Trouble::new("a server out of recovery cannot pledge"));
    }
    if keeper.memory.pledge < told.term {
        keeper.pledged_end = None;
        keeper.pledged_at = Instant::now();
        keeper.memory.keep(|state| state.pledge = told.term)?;
    }
    match elected(told) {
        Some(peer) => gate::let_approach(&peer.host, peer.port),
        None => gate::close(),
    }
    if end_after_pledge(keeper).await?.is_none() {
        return Ok(Outcome::Soon(
            "the replay has not read all local WAL yet, so its end is not known".to_owned(),
        ));
    }
    if let Some(peer) = elected(told) {
        // A log-in takes longer than all the rest that a follower does before the first write is acknowledged.
        follow::approach(keeper, peer).await?;
    }
    Ok(Outcome::Done)
}

/// The peer that promotes now.
fn elected(told: &Assignment) -> Option<&Peer> {
    told.peers.iter().find(|peer| Some(peer.node) == told.elected)
}
