//! `show state`, and `watch`, which is `show state --watch`.
use crate::context::{Context, Part, Scope};
use crate::error::{Error, Kind, Result};
use crate::local_view;
use crate::monitor::Monitor;
use crate::view::{NodeState, View};
use crate::watch;
use tracing::info;

/// Options of `show state`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Go on showing it, and every change at once; q or Ctrl-C ends it
    #[arg(long)]
    watch: bool,
}

/// On a monitor every node, on a node its own group. Without an answer of its monitor, a node tells what it knows of itself.
pub fn run(args: &Args, context: &Context) -> Result<View> {
    if args.watch {
        return watch::run(context);
    }
    match context.open_monitor().and_then(|(monitor, scope)| of_monitor(&monitor, &scope)) {
        Ok(nodes) => Ok(View::States(nodes)),
        Err(silent) => {
            let said = silent.to_string();
            let node = of_node_alone(context, silent)?;
            info!("{said}\nso this is the local view: what this node alone knows of itself");
            Ok(View::States(vec![node]))
        }
    }
}

/// Every node in scope, with what it and its group wait for.
pub fn of_monitor(monitor: &Monitor, scope: &Scope) -> Result<Vec<NodeState>> {
    let mut nodes = Vec::new();
    for formation in scope.formations(monitor)? {
        let (mut notes, groups) = (monitor.notes(&formation)?, monitor.explained(&formation)?);
        for mut node in monitor.states(&formation, scope.group)? {
            node.note = notes.remove(&node.node_id);
            let group = groups.get(&node.group_id).cloned().unwrap_or_default();
            (node.group_waits_for, node.group_wait_ends_by) = (group.waits_for, group.ends_by);
            node.group_patience = group.patience;
            nodes.push(node);
        }
    }
    Ok(nodes)
}

/// The local view, when that is what is left to show; else the error as it was.
pub fn of_node_alone(context: &Context, silent: Error) -> Result<NodeState> {
    // A monitor that was named is asked for, not the node.
    if silent.kind != Kind::Monitor || context.named_monitor().is_some() {
        return Err(silent);
    }
    let postgres = context.postgres()?;
    if context.part(&postgres)? != Part::Node {
        return Err(silent);
    }
    local_view::of(context, &postgres)
}
