//! Becoming a follower again: as it is, after a rewind, or as a new copy.
use super::{Outcome, Trouble, follow, restart, room, slots};
use crate::shared::{gate, receiver};
use crate::tick::Keeper;
use crate::{gucs, pg};
use fsm::keeper::Method;
use fsm::message::{Assignment, Upstream};
use fsm::rule::standby_name;
use fsm::supply::may_be_copied;
use node_files::{Copy, Phase, phase};

/// Follows the assigned upstream, by the gentlest way that its history allows.
pub async fn rejoin(keeper: &mut Keeper, told: &Assignment) -> Result<Outcome, Trouble> {
    let Some(upstream) = &told.upstream else {
        return Ok(Outcome::Later("the monitor has not named the node to follow yet".to_owned()));
    };
    let gone = keeper.upstream_wal.gone_from(&upstream.peer).filter(|_| may_be_copied(told.goal));
    if gone.is_none() && follows_already(keeper, upstream) {
        return follow::follow(keeper, upstream, true).await;
    }
    let end = keeper.wal_end.find(&mut keeper.local).await?;
    let gone = gone.filter(|need| end.is_some_and(|(lsn, _)| lsn == need.end));
    let method = if let Some(need) = gone {
        pg::log(&format!("{need}; this node is copied anew"));
        Method::Clone
    } else {
        fsm::keeper::rejoin(end, keeper.memory.history, upstream)
    };
    let copy = match method {
        Method::Follow => {
            pg::log(&format!("following node {} in term {}", upstream.peer.node, upstream.term));
            slots::drop_all(keeper).await?;
            return follow::follow(keeper, upstream, true).await;
        }
        Method::Wait if end.is_none() => {
            return Ok(Outcome::Soon(
                "the replay has not read all local WAL yet, so its end is not known".to_owned(),
            ));
        }
        Method::Wait => {
            return Ok(Outcome::Later(format!(
                "node {} has not made a checkpoint on its timeline yet, which a rewind needs",
                upstream.peer.node
            )));
        }
        Method::Rewind => Copy::Rewind { upstream: upstream.clone() },
        Method::Clone => Copy::Clone { upstream: upstream.clone() },
    };
    let (purpose, what) = match &copy {
        Copy::Rewind { .. } => ("a standby, after a rewind", "rewound"),
        Copy::Clone { .. } => ("a standby, after a new copy", "copied anew"),
    };
    if let Some(why) = room::in_the_way(keeper, &copy).await? {
        return Ok(Outcome::Later(format!("is to be {what}, and cannot yet: {why}")));
    }
    let slot = standby_name(keeper.memory.node);
    restart::with_copy(keeper, &Phase { step: phase::Step::Asked, slot, copy, ssl: gucs::ssl() }, purpose)
        .await
}

/// Follows the assigned upstream when that needs no more than a setting. The server is its operator's for the moment: whatever else
/// it would take has time until the maintenance is over.
pub async fn follow_as_it_is(keeper: &mut Keeper, told: &Assignment) -> Result<Outcome, Trouble> {
    let Some(upstream) = told.upstream.as_ref().filter(|_| keeper.facts.in_recovery) else {
        return Ok(Outcome::Done);
    };
    let end = keeper.wal_end.find(&mut keeper.local).await?;
    let continues = fsm::keeper::rejoin(end, keeper.memory.history, upstream) == Method::Follow;
    if follows_already(keeper, upstream) || continues {
        follow::follow(keeper, upstream, true).await?;
    }
    Ok(Outcome::Done)
}

/// Fetches WAL from the peer that has most of it, and cuts the receiver off again.
pub async fn fetch_missing(keeper: &mut Keeper, told: &Assignment) -> Result<Outcome, Trouble> {
    let Some(upstream) = &told.upstream else {
        return Ok(Outcome::Later("the monitor has not named the node to fetch WAL from yet".to_owned()));
    };
    let Some(reach) = upstream.reach else {
        return Err(Trouble::new("asked to fetch WAL without being told up to where"));
    };
    let end = keeper.wal_end.find(&mut keeper.local).await?;
    if end.is_some_and(|(lsn, _)| lsn >= reach) {
        keeper.pledged_end = end;
        gate::close();
        return Ok(Outcome::Done);
    }
    if !follows_already(keeper, upstream)
        && fsm::keeper::rejoin(end, keeper.memory.history, upstream) != Method::Follow
    {
        return Err(Trouble::new(format!(
            "the WAL of node {} is not a continuation of this node's",
            upstream.peer.node
        )));
    }
    follow::follow(keeper, upstream, false).await?;
    Ok(Outcome::Soon(format!("fetching WAL up to {reach} from node {}", upstream.peer.node)))
}

/// The same upstream in the same reign as before: nothing to compare.
fn follows_already(keeper: &Keeper, upstream: &Upstream) -> bool {
    let same = keeper.memory.upstream.as_ref().is_some_and(|now| {
        now.peer == upstream.peer && now.term == upstream.term && now.timeline == upstream.timeline
    });
    same && keeper.memory.history == upstream.term && (gate::is_open() || receiver::is_streaming())
}
