//! Which node a command is about.
use crate::context::{Context, Part};
use crate::error::{Error, Result};
use crate::monitor::Monitor;
use crate::view::NodeState;

/// The options by which a node is named.
#[derive(Clone, Debug, clap::Args)]
pub struct Which {
    /// Label of the node [default: the node of --pgdata]
    #[arg(long, conflicts_with = "hostname")]
    name: Option<String>,
    /// Host of the node
    #[arg(long)]
    hostname: Option<String>,
    /// Port of the node
    #[arg(long, requires = "hostname", default_value_t = 5432)]
    pgport: u16,
}

impl Which {
    /// It was named; otherwise it is the one of the data directory.
    pub fn is_named(&self) -> bool {
        self.name.is_some() || self.hostname.is_some()
    }

    /// The node, as the monitor knows it now.
    pub fn find(&self, context: &Context) -> Result<(Monitor, NodeState)> {
        let own = if self.is_named() { None } else { Some(own_node(context)?) };
        let (monitor, scope) = context.open_monitor()?;
        if let Some(own) = own {
            let nodes = monitor.states(&own.formation, Some(own.group))?;
            let known = nodes.into_iter().find(|node| node.node_id == own.node.0);
            let unknown = || {
                Error::state(format!("the monitor does not know node {} any more", own.node)).hint(
                    "it was dropped, or belongs to another monitor: see pg_autoctl show state on the monitor",
                )
            };
            return Ok((monitor, known.ok_or_else(unknown)?));
        }
        match self.among(&monitor, &scope.formations(&monitor)?)? {
            Ok(node) => Ok((monitor, node)),
            Err(known) => Err(Error::state("the monitor knows no such node").hint(known)),
        }
    }

    /// The node that was named; else which ones there are, in words.
    pub fn among(
        &self,
        monitor: &Monitor,
        formations: &[String],
    ) -> Result<std::result::Result<NodeState, String>> {
        let wanted = |node: &NodeState| match (&self.name, &self.hostname) {
            (Some(name), _) => node.nodename == *name,
            (None, Some(host)) => node.nodehost == *host && node.nodeport == i32::from(self.pgport),
            (None, None) => false,
        };
        let mut found = Vec::new();
        let mut known = Vec::new();
        for formation in formations {
            for node in monitor.states(formation, None)? {
                known.push(format!("{} ({}:{})", node.nodename, node.nodehost, node.nodeport));
                if wanted(&node) {
                    found.push(node);
                }
            }
        }
        if found.len() > 1 {
            let places: Vec<&str> = found.iter().map(|node| node.formation.as_str()).collect();
            return Err(Error::arguments("several formations have a node of that name")
                .hint(format!("say --formation; they are: {}", places.join(", "))));
        }
        let list = if known.is_empty() { "it knows none".to_owned() } else { known.join(", ") };
        Ok(found.pop().ok_or_else(|| format!("it knows: {list}")))
    }
}

/// What the data directory remembers of its node.
pub fn own_node(context: &Context) -> Result<node_files::State> {
    let postgres = context.postgres()?;
    if context.part(&postgres)? == Part::Monitor {
        return Err(Error::arguments("which node? The data directory is the monitor's")
            .hint("say --name LABEL, or --hostname HOST --pgport PORT"));
    }
    context.node_state(&postgres)
}
