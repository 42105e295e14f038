//! `perform promotion`: a failover to the node that the operator names.
use super::failover;
use super::which::Which;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::settling::Settling;
use crate::view::View;
use serde_json::json;

/// Options of `perform promotion`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    which: Which,
    /// Do not wait until it is done
    #[arg(long)]
    no_wait: bool,
}

/// Asks for it and waits until the node writes.
pub fn run(args: &Args, context: &Context) -> Result<View> {
    let (monitor, node) = args.which.find(context)?;
    let values = [("node_id", json!(node.node_id)), ("nodename", json!(node.nodename))];
    if node.writes() {
        return Ok(View::outcome(format!("{} is the primary already", node.nodename), values));
    }
    let mut group = Settling::of(&monitor, &node.formation, node.group_id)?;
    let old = group.writer().map(|writer| writer.node_id);
    monitor.perform_promotion(&node.formation, &node.nodename)?;
    if args.no_wait {
        return Ok(View::outcome(format!("the failover to {} has begun", node.nodename), values));
    }
    let done = failover::taken_over(&mut group, old)?;
    if group.node(node.node_id).is_some_and(|now| now.writes()) {
        return Ok(done);
    }
    let other = group.writer().map(|writer| writer.nodename.clone());
    Err(Error::state(format!(
        "{} was elected instead of {}",
        other.as_deref().unwrap_or("another node"),
        node.nodename
    ))
    .hint("pg_autoctl show events says why; repeat the command when the node is a settled secondary"))
}
