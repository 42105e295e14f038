//! `enable maintenance` and `disable maintenance`.
use super::which::Which;
use crate::context::Context;
use crate::datadir;
use crate::error::{Error, Kind, Result};
use crate::monitor::Monitor;
use crate::settling::Settling;
use crate::view::{NodeState, View};
use fsm::state::State;
use fsm::units::NodeId;
use serde_json::json;
use std::time::{Duration, Instant};
use tracing::info;

/// Options of `enable maintenance`.
#[derive(Debug, clap::Args)]
pub struct EnableArgs {
    #[command(flatten)]
    which: Which,
    /// When the node is the primary, hand its role to a standby first
    #[arg(long)]
    allow_failover: bool,
    /// Do not wait until it is reached
    #[arg(long)]
    no_wait: bool,
}

/// Options of `disable maintenance`.
#[derive(Debug, clap::Args)]
pub struct DisableArgs {
    #[command(flatten)]
    which: Which,
    /// Do not wait until the node is a secondary again
    #[arg(long)]
    no_wait: bool,
}

/// While nothing moves: for the group to settle, or to let the node go.
const PATIENCE: Duration = Duration::from_secs(60);
/// While nothing moves: a new copy of a large node shows no change for long.
const REJOIN: Duration = Duration::from_secs(600);
/// Between two attempts, while a group is still busy with the failover that we asked for.
const AGAIN: Duration = Duration::from_millis(200);

/// Takes the node out of its group's work, and waits until its server may be stopped.
pub fn enable(args: &EnableArgs, context: &Context) -> Result<View> {
    let (monitor, node) = args.which.find(context)?;
    let mut group = Settling::of(&monitor, &node.formation, node.group_id)?;
    if node.reported() == Some(State::Maintenance) && node.settled() {
        return Ok(outcome(&node, "is in maintenance already", true));
    }
    let hands_over = args.allow_failover && !is_at(&node, State::Secondary) && is_primary(&node);
    if hands_over {
        hand_over(&monitor, &mut group, &node)?;
    }
    start(&monitor, &node, hands_over, args.allow_failover)?;
    if args.no_wait {
        return Ok(outcome(&node, "is going into maintenance", false));
    }
    let reached =
        |nodes: &[NodeState]| the(nodes, &node).filter(|now| is_at(now, State::Maintenance)).cloned();
    match group.until("waits until commits do not wait for it any more", PATIENCE, reached)? {
        Some(now) => {
            Ok(outcome(&now, "is in maintenance: its server may be stopped, started and upgraded", false))
        }
        None => Err(Error::state(format!("{} is not in maintenance yet", node.nodename))
            .hint("do not stop its server; see pg_autoctl show state, and repeat this command")),
    }
}

/// Puts the node to work again, and waits until it is a secondary.
pub fn disable(args: &DisableArgs, context: &Context) -> Result<View> {
    let (monitor, node) = args.which.find(context)?;
    let mut group = Settling::of(&monitor, &node.formation, node.group_id)?;
    if node.at_rest() && node.reported() != Some(State::Maintenance) {
        return Ok(outcome(&node, "is not in maintenance", true));
    }
    gone_unless(monitor.stop_maintenance(NodeId(node.node_id))?, &node)?;
    let own = context.named_pgdata().filter(|_| !args.which.is_named());
    if let Some(pgdata) = own.filter(|pgdata| datadir::running(pgdata).is_none()) {
        info!(
            "its server does not run: start it, and it joins by itself: pg_ctl start -D {}",
            pgdata.display()
        );
        return Ok(outcome(&node, "is assigned to join again", false));
    }
    if args.no_wait {
        return Ok(outcome(&node, "is joining again", false));
    }
    let back = |nodes: &[NodeState]| {
        the(nodes, &node).filter(|now| now.at_rest() && !is_at(now, State::Maintenance)).cloned()
    };
    match group.until("waits until it is a secondary again", REJOIN, back)? {
        Some(now) => Ok(outcome(&now, &format!("is {}", now.current_group_state), false)),
        None => Err(Error::state(format!("{} has not joined again yet", node.nodename)).hint(
            "is its server started? See pg_autoctl show state and the server's log; it goes on by itself",
        )),
    }
}

/// A failover, until another node writes and this one follows it.
fn hand_over(monitor: &Monitor, group: &mut Settling<'_>, node: &NodeState) -> Result<()> {
    // It may be on its way already, asked for by an earlier call.
    if node.writes() {
        monitor.perform_failover(&node.formation, node.group_id)?;
    }
    let follows = |nodes: &[NodeState]| {
        let written = nodes.iter().any(|other| other.writes() && other.node_id != node.node_id);
        (written && the(nodes, node).is_some_and(|now| is_at(now, State::Secondary))).then_some(())
    };
    let waiting = "waits until another node writes and this one follows it";
    match group.until(waiting, PATIENCE, follows)? {
        Some(()) => Ok(()),
        None => {
            Err(Error::state(format!("the group has not settled after the failover from {}", node.nodename))
                .hint("see pg_autoctl show state and pg_autoctl show events, and repeat this command"))
        }
    }
}

/// Asks for maintenance. After a failover of ours the group may be busy with it for a moment.
fn start(monitor: &Monitor, node: &NodeState, after_failover: bool, allow_failover: bool) -> Result<()> {
    let started = Instant::now();
    loop {
        match monitor.start_maintenance(NodeId(node.node_id)) {
            Err(busy) if after_failover && busy.kind == Kind::State && started.elapsed() < PATIENCE => {
                std::thread::sleep(AGAIN);
            }
            Err(refused) if is_primary(node) && !allow_failover && refused.kind == Kind::State => {
                return Err(refused.hint(
                    "hand its role over first: pg_autoctl enable maintenance --allow-failover does both",
                ));
            }
            other => return gone_unless(other?, node),
        }
    }
}

fn gone_unless(known: bool, node: &NodeState) -> Result<()> {
    if known {
        return Ok(());
    }
    Err(Error::state(format!("the monitor does not know {} any more", node.nodename))
        .hint("it was dropped: see pg_autoctl show state"))
}

fn the<'a>(nodes: &'a [NodeState], node: &NodeState) -> Option<&'a NodeState> {
    nodes.iter().find(|other| other.node_id == node.node_id)
}

fn is_at(node: &NodeState, state: State) -> bool {
    node.settled() && node.reported() == Some(state)
}

/// It writes, or is on its way down from there.
fn is_primary(node: &NodeState) -> bool {
    let assigned = State::parse(&node.assigned_group_state);
    let down = |state| matches!(state, State::Draining | State::Demoted | State::DemoteTimeout);
    [node.reported(), assigned].into_iter().flatten().any(|state| state.writes() || down(state))
}

fn outcome(node: &NodeState, what: &str, existed: bool) -> View {
    let values = [
        ("node_id", json!(node.node_id)),
        ("nodename", json!(node.nodename)),
        ("state", json!(node.current_group_state)),
        ("assigned", json!(node.assigned_group_state)),
        ("existed", json!(existed)),
    ];
    View::outcome(format!("{} {what}", node.nodename), values)
}
