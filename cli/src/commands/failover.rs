//! `perform failover`, and `perform switchover`, which is the same: the old primary hands over when it can.
use crate::context::Context;
use crate::error::{Error, Result};
use crate::settling::Settling;
use crate::view::{NodeState, View};
use serde_json::json;
use std::time::{Duration, Instant};
use tracing::info;

/// Options of `perform failover`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Do not wait until it is done
    #[arg(long)]
    no_wait: bool,
}

/// For another node to take writes, while nothing moves.
const TAKE_OVER: Duration = Duration::from_secs(60);
/// For the rest of the group to follow it, while nothing moves.
const SETTLE: Duration = Duration::from_secs(30);

/// Asks for the failover and waits until another node writes and the group has settled.
pub fn run(args: &Args, context: &Context) -> Result<View> {
    let (monitor, scope) = context.open_monitor()?;
    let formation = scope.formation.unwrap_or_else(|| "default".to_owned());
    let group = scope.group.unwrap_or(0);
    let mut group_now = Settling::of(&monitor, &formation, group)?;
    let old = group_now.writer().map(|node| node.node_id);
    monitor.perform_failover(&formation, group)?;
    if args.no_wait {
        return Ok(View::outcome(
            "the failover has begun",
            [("formation", json!(formation)), ("group", json!(group))],
        ));
    }
    taken_over(&mut group_now, old)
}

/// Waits until another node than `old` writes and the others follow it.
pub fn taken_over(group: &mut Settling<'_>, old: Option<i64>) -> Result<View> {
    let started = Instant::now();
    let other =
        |nodes: &[NodeState]| nodes.iter().find(|node| node.writes() && Some(node.node_id) != old).cloned();
    let Some(new) = group.until("waits for another node to take over", TAKE_OVER, other)? else {
        return Err(Error::state("no other node takes over")
            .hint("see pg_autoctl show state and pg_autoctl show events; the monitor goes on trying"));
    };
    let took = started.elapsed();
    let settled = |nodes: &[NodeState]| {
        let rests = |node: &NodeState| node.at_rest() && !(node.writes() && Some(node.node_id) == old);
        nodes.iter().all(rests).then_some(())
    };
    if group.until("waits for the others to follow it", SETTLE, settled)?.is_none() {
        info!("not every node has settled yet; see pg_autoctl show state");
    }
    let line = format!(
        "the primary is now {} at {}:{} (after {:.1} s)",
        new.nodename,
        new.nodehost,
        new.nodeport,
        took.as_secs_f32()
    );
    let values = [
        ("node_id", json!(new.node_id)),
        ("nodename", json!(new.nodename)),
        ("nodehost", json!(new.nodehost)),
        ("nodeport", json!(new.nodeport)),
        ("milliseconds", json!(u64::try_from(took.as_millis()).unwrap_or(u64::MAX))),
    ];
    Ok(View::outcome(line, values))
}
