//! `perform failover`, and `perform switchover`, which is the same: the old primary hands over when it can.
use crate::context::Context;
use crate::error::{Error, Result};
use crate::printer::Progress;
use crate::view::{NodeState, View};
use serde_json::json;
use std::time::{Duration, Instant};

/// Options of `perform failover`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Do not wait until it is done
    #[arg(long)]
    no_wait: bool,
}

const LOOK: Duration = Duration::from_millis(50);
/// For another node to take writes.
const TAKE_OVER: Duration = Duration::from_secs(60);
/// For the rest of the group to follow it.
const SETTLE: Duration = Duration::from_secs(30);

/// Asks for the failover and waits until another node writes and the group has settled.
pub fn run(args: &Args, context: &Context) -> Result<View> {
    let (monitor, scope) = context.open_monitor()?;
    let formation = scope.formation.unwrap_or_else(|| "default".to_owned());
    let group = scope.group.unwrap_or(0);
    let before = monitor.states(&formation, Some(group))?;
    let old = before.iter().find(|node| node.writes()).map(|node| node.node_id);
    monitor.perform_failover(&formation, group)?;
    if args.no_wait {
        return Ok(View::outcome(
            "the failover has begun",
            [("formation", json!(formation)), ("group", json!(group))],
        ));
    }
    let mut progress = Progress::start("waits for another node to take over");
    let mut seen = before;
    let started = Instant::now();
    let new = loop {
        let now = monitor.states(&formation, Some(group))?;
        tell_changes(&progress, &seen, &now);
        if let Some(new) = now.iter().find(|node| node.writes() && Some(node.node_id) != old) {
            break new.clone();
        }
        if started.elapsed() >= TAKE_OVER {
            return Err(Error::state(format!("no other node took over within {} s", TAKE_OVER.as_secs()))
                .hint("see pg_autoctl show state and pg_autoctl show events; the monitor goes on trying"));
        }
        seen = now;
        std::thread::sleep(LOOK);
    };
    let took = started.elapsed();
    progress.now("waits for the others to follow it");
    while !seen.iter().all(|node| node.at_rest() && !(node.writes() && Some(node.node_id) == old)) {
        if started.elapsed() >= took + SETTLE {
            progress.line("not every node has settled yet; see pg_autoctl show state");
            break;
        }
        std::thread::sleep(LOOK);
        let now = monitor.states(&formation, Some(group))?;
        tell_changes(&progress, &seen, &now);
        seen = now;
    }
    drop(progress);
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

/// One line for each node that has moved.
fn tell_changes(progress: &Progress, before: &[NodeState], now: &[NodeState]) {
    for node in now {
        let same = before.iter().any(|other| {
            other.node_id == node.node_id
                && other.current_group_state == node.current_group_state
                && other.assigned_group_state == node.assigned_group_state
        });
        if !same {
            progress.line(&format!(
                "{}: {}, assigned {}",
                node.nodename, node.current_group_state, node.assigned_group_state
            ));
        }
    }
}
