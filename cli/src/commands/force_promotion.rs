//! `perform force-promotion`: the way out of a group whose commits may be on nodes that are gone for good.
use super::which::Which;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::settling::Settling;
use crate::view::{NodeState, View};
use serde_json::json;
use std::time::Duration;
use tracing::info;

/// Options of `perform force-promotion`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    which: Which,
    /// Give up the commits that only other nodes have; without it the command says which those may be
    #[arg(long)]
    accept_data_loss: bool,
    /// Do not wait until it is done
    #[arg(long)]
    no_wait: bool,
}

/// For the node to take writes, while nothing moves: the last lease has to run out, and the WAL that is here to be replayed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks for it and waits until the node writes. The others are not waited for: they are away.
pub fn run(args: &Args, context: &Context) -> Result<View> {
    let (monitor, node) = args.which.find(context)?;
    let mut group = Settling::of(&monitor, &node.formation, node.group_id)?;
    let may_lose = monitor.force_promotion(&node.formation, &node.nodename, args.accept_data_loss)?;
    info!("given up: {may_lose}");
    let values =
        [("node_id", json!(node.node_id)), ("nodename", json!(node.nodename)), ("may_lose", json!(may_lose))];
    if args.no_wait {
        return Ok(View::outcome(format!("the promotion of {} has begun", node.nodename), values));
    }
    let writes = |nodes: &[NodeState]| {
        nodes.iter().any(|now| now.node_id == node.node_id && now.writes()).then_some(())
    };
    match group.until(&format!("waits until {} takes writes", node.nodename), PATIENCE, writes)? {
        Some(()) => Ok(View::outcome(format!("the primary is now {}", node.nodename), values)),
        None => Err(Error::state(format!("{} does not take writes yet", node.nodename))
            .hint("pg_autoctl show state says what the group waits for")),
    }
}
