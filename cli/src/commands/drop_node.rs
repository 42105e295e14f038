//! `drop node`
use crate::context::{Context, Part};
use crate::datadir;
use crate::error::{Error, Result};
use crate::monitor::Monitor;
use crate::view::{NodeState, View};
use fsm::units::NodeId;
use node_files::{Identity, StateDir, durable};
use serde_json::json;
use tracing::info;

/// Options of `drop node`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Label of the node [default: the node of --pgdata]
    #[arg(long, conflicts_with = "hostname")]
    name: Option<String>,
    /// Host of the node
    #[arg(long)]
    hostname: Option<String>,
    /// Port of the node
    #[arg(long, requires = "hostname", default_value_t = 5432)]
    pgport: u16,
    /// Also when it does not answer, or when fewer standbys are left than asked for
    #[arg(long)]
    force: bool,
}

/// Takes the node out of its group. Its data stays where it is.
pub fn run(args: &Args, context: &Context) -> Result<View> {
    let by_name = args.name.is_some() || args.hostname.is_some();
    let own = if by_name { None } else { Some(own_node(context)?) };
    let (monitor, scope) = context.open_monitor()?;
    let node = match &own {
        Some(own) => own.node,
        None => NodeId(find(args, &monitor, &scope.formations(&monitor)?)?.node_id),
    };
    let was_there = monitor.remove_node(node, args.force)?;
    if !was_there {
        info!("the monitor did not know node {node} any more");
    }
    let mut line = format!("node {node} is dropped");
    if let Some(own) = own {
        let pgdata = context.cluster()?;
        if datadir::running(pgdata).is_some() {
            context.postgres()?.stop(pgdata)?;
        }
        own.forget(pgdata)?;
        line = format!("{line}; its server is stopped, and its data is still in \"{}\"", pgdata.display());
    }
    Ok(View::outcome(line, [("node_id", json!(node.0)), ("existed", json!(was_there))]))
}

/// The node of the data directory.
struct Own {
    node: NodeId,
    state_dir: StateDir,
}

fn own_node(context: &Context) -> Result<Own> {
    let postgres = context.postgres()?;
    if context.part(&postgres)? == Part::Monitor {
        return Err(Error::arguments("which node? The data directory is the monitor's")
            .hint("say --name LABEL, or --hostname HOST --pgport PORT"));
    }
    Ok(Own { node: context.node_state(&postgres)?.node, state_dir: context.state_dir(&postgres)? })
}

impl Own {
    /// What made it a node. What was kept aside, the log and the secrets stay.
    fn forget(&self, pgdata: &std::path::Path) -> Result<()> {
        // The identity first: without it, what is left of the rest makes nothing a node.
        durable::remove(&Identity::path(pgdata))?;
        for file in
            [self.state_dir.state(), self.state_dir.boots(), self.state_dir.writer(), self.state_dir.phase()]
        {
            durable::remove(&file)?;
        }
        Ok(())
    }
}

fn find(args: &Args, monitor: &Monitor, formations: &[String]) -> Result<NodeState> {
    let wanted = |node: &NodeState| match (&args.name, &args.hostname) {
        (Some(name), _) => node.nodename == *name,
        (None, Some(host)) => node.nodehost == *host && node.nodeport == i32::from(args.pgport),
        (None, None) => false,
    };
    let mut known = Vec::new();
    for formation in formations {
        for node in monitor.states(formation, None)? {
            if wanted(&node) {
                return Ok(node);
            }
            known.push(format!("{} ({}:{})", node.nodename, node.nodehost, node.nodeport));
        }
    }
    Err(Error::state("the monitor knows no such node").hint(format!("it knows: {}", known.join(", "))))
}
