//! What stands in a data directory, as far as a new node is concerned.
use crate::context::{Context, Part};
use crate::datadir::{self, Content};
use crate::error::{Error, Result};
use crate::live::Live;
use crate::postgres::Postgres;
use node_files::{Identity, State};

/// What stands there.
pub enum Found {
    /// A node: ours, made by an earlier call. Its server, when it runs.
    Node(Box<State>, Option<Live>),
    /// A cluster that is no node.
    Cluster(Box<Cluster>),
    /// Room for a new one.
    Nothing,
}

/// A cluster of somebody's making.
pub struct Cluster {
    /// Its system identifier.
    pub system_identifier: u64,
    /// Its server, when it runs.
    pub live: Option<Live>,
    /// It does not run, and would be a standby if it did.
    pub stopped_standby: bool,
}

impl Found {
    /// Looks without touching anything. A server that is starting or stopping is waited for.
    pub fn look(context: &Context, postgres: &Postgres) -> Result<Found> {
        let pgdata = context.pgdata()?;
        match datadir::inspect(pgdata)? {
            Content::Missing | Content::Empty => return Ok(Found::Nothing),
            Content::Other => return Err(datadir::not_a_database(pgdata)),
            Content::Cluster => {}
        }
        postgres.check_version(pgdata)?;
        if matches!(context.part(postgres), Ok(Part::Monitor)) {
            return Err(Error::state(format!("\"{}\" holds a monitor", pgdata.display()))
                .hint("a node is a server of its own: give --pgdata another directory"));
        }
        let live = datadir::settled(pgdata)?.as_ref().map(Live::look).transpose()?;
        // A copy of a node's directory carries its mark, and not what stands beside it: it is a node no more than its data are.
        if Identity::read(pgdata)?.is_some() && context.state_dir(postgres)?.state().exists() {
            return Ok(Found::Node(Box::new(context.node_state(postgres)?), live));
        }
        let control = postgres.control(pgdata)?;
        let signal = |name| pgdata.join(name).exists();
        let standby = control.in_recovery || signal("standby.signal") || signal("recovery.signal");
        Ok(Found::Cluster(Box::new(Cluster {
            system_identifier: control.system_identifier,
            stopped_standby: live.is_none() && standby,
            live,
        })))
    }

    /// The server that runs there.
    pub fn live(&self) -> Option<&Live> {
        match self {
            Found::Node(_, live) => live.as_ref(),
            Found::Cluster(cluster) => cluster.live.as_ref(),
            Found::Nothing => None,
        }
    }

    /// Something that is not of our making, whose settings are its own.
    pub fn is_cluster(&self) -> bool {
        matches!(self, Found::Cluster(_))
    }
}
