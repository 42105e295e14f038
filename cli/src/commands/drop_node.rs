//! `drop node`
use super::which::{self, Which};
use crate::context::{Context, KEEPER_LIBRARY, Part};
use crate::datadir;
use crate::error::{Error, Kind, Result};
use crate::monitor::Monitor;
use crate::ordinary;
use crate::settling::Settling;
use crate::sql::{Failure, Session};
use crate::view::{NodeState, View};
use fsm::units::NodeId;
use node_files::{Identity, StateDir, boots, durable};
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};
use tracing::info;

/// Options of `drop node`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    which: Which,
    /// Also when it never comes back, or when fewer standbys are left than asked for
    #[arg(long)]
    force: bool,
    /// Leave an ordinary server behind, which runs on [default: stop it]
    #[arg(long)]
    keep_running: bool,
}

/// For the group to let a node go, while nothing moves.
const PATIENCE: Duration = Duration::from_secs(60);
/// For a running server to read its configuration.
const RELOAD: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(50);

/// Takes the node out of its group. Its data stays where it is.
pub fn run(args: &Args, context: &Context) -> Result<View> {
    if args.which.is_named() {
        return from_afar(args, context);
    }
    let pgdata = context.cluster()?;
    let part = context.part(&context.postgres()?);
    if Identity::read(pgdata)?.is_none() && !matches!(part, Ok(Part::Monitor)) {
        // Nothing to be asked of a monitor: an earlier call has come this far, or it never was one.
        let postgres = context.postgres()?;
        if args.keep_running && ordinary::is_unfinished(pgdata, &postgres)? {
            make_ordinary(context, &context.state_dir(&postgres)?)?;
        }
        return Ok(outcome(None, false, format!("\"{}\" holds no node", pgdata.display())));
    }
    own(args, context)
}

/// By its name. Its own keeper sees to its server.
fn from_afar(args: &Args, context: &Context) -> Result<View> {
    if args.keep_running {
        return Err(Error::arguments("--keep-running is for the node of --pgdata").hint(
            "run it on that node, without a name; or there, before: pg_autoctl config set pg_autoctl.stop_when_dropped off",
        ));
    }
    let (monitor, scope) = context.open_monitor()?;
    match args.which.among(&monitor, &scope.formations(&monitor)?)? {
        Err(known) => {
            info!("{known}");
            Ok(outcome(None, false, "the monitor knows no such node (any more)".to_owned()))
        }
        Ok(node) => {
            leave(&monitor, &node, args.force)?;
            let line = format!(
                "{} (node {}) is dropped; its server stops when it hears of it, and its data stays",
                node.nodename, node.node_id
            );
            Ok(outcome(Some(NodeId(node.node_id)), true, line))
        }
    }
}

/// The node of the data directory, with its server.
fn own(args: &Args, context: &Context) -> Result<View> {
    let state = which::own_node(context)?;
    let (pgdata, postgres) = (context.cluster()?, context.postgres()?);
    let state_dir = context.state_dir(&postgres)?;
    let (monitor, _) = context.open_monitor()?;
    if args.keep_running {
        keep_it_running(pgdata)?;
    }
    let nodes = monitor.states(&state.formation, Some(state.group))?;
    let known = nodes.into_iter().find(|node| node.node_id == state.node.0);
    match &known {
        Some(node) => leave(&monitor, node, args.force)?,
        // One that was dropped while a rule still named it may be awaited under its id.
        None if monitor.remove_node(state.node, args.force)? => {}
        None => info!("the monitor did not know node {} any more", state.node),
    }
    let line = if args.keep_running {
        // Where others go on with the group's data, this copy of it is written only when the operator says so.
        if !monitor.states(&state.formation, Some(state.group))?.is_empty() {
            durable::touch(&pgdata.join("standby.signal"))?;
        }
        make_ordinary(context, &state_dir)?;
        format!(
            "node {} is dropped; what is left in \"{}\" is an ordinary server",
            state.node,
            pgdata.display()
        )
    } else {
        stop(context)?;
        forget(pgdata, &state_dir)?;
        format!(
            "node {} is dropped; its server is stopped, and its data is still in \"{}\"",
            state.node,
            pgdata.display()
        )
    };
    Ok(outcome(Some(state.node), known.is_some(), line))
}

/// Asks the monitor, and waits until the group does not need the node any more.
fn leave(monitor: &Monitor, node: &NodeState, force: bool) -> Result<()> {
    let mut group = Settling::of(monitor, &node.formation, node.group_id)?;
    monitor.remove_node(NodeId(node.node_id), force)?;
    let gone = |nodes: &[NodeState]| (!nodes.iter().any(|other| other.node_id == node.node_id)).then_some(());
    match group.until("waits until its group does without it", PATIENCE, gone)? {
        Some(()) => Ok(()),
        None => Err(Error::state(format!("the group still needs {}", node.nodename)).hint(
            "see pg_autoctl show state and pg_autoctl show events: the primary is to confirm that commits do not wait for it; \
             then repeat this command",
        )),
    }
}

/// Its keeper would stop the server that is to stay.
fn keep_it_running(pgdata: &Path) -> Result<()> {
    let Some(running) = datadir::running(pgdata) else { return Ok(()) };
    let refused = |failure: Failure| Error::new(Kind::Sql, format!("the server says: {failure}"));
    let session = datadir::connect(&running, "postgres").map_err(refused)?;
    session.run("ALTER SYSTEM SET pg_autoctl.stop_when_dropped = off").map_err(refused)?;
    session.run("SELECT pg_reload_conf()").map_err(refused)?;
    // A new session has the postmaster's settings, and by then the postmaster has woken the keeper.
    let started = Instant::now();
    while started.elapsed() < RELOAD {
        let off = |session: Session| {
            session.one("SELECT current_setting('pg_autoctl.stop_when_dropped') = 'off'", &[], |row| {
                row.try_get(0)
            })
        };
        if datadir::connect(&running, "postgres").and_then(off).map_err(refused)? {
            return Ok(());
        }
        std::thread::sleep(LOOK);
    }
    Err(Error::config("the server does not take over pg_autoctl.stop_when_dropped = off")
        .hint("is it set in postgresql.conf or on the server's command line? Nothing was dropped yet"))
}

/// With the library its keeper goes, which would judge by what is taken away, and set it again.
fn make_ordinary(context: &Context, state_dir: &StateDir) -> Result<()> {
    let (pgdata, postgres) = (context.cluster()?, context.postgres()?);
    // From here on the directory holds no node, and a command that was interrupted begins again with what is left of one.
    forget(pgdata, state_dir)?;
    ordinary::unload(pgdata, &postgres)?;
    restart_without_library(context)?;
    ordinary::make(pgdata, &postgres)?;
    if pgdata.join("standby.signal").exists() {
        info!(
            "it is read-only and follows nobody; to make it writable: pg_ctl promote -D {}",
            pgdata.display()
        );
    }
    Ok(())
}

/// The one restart by which the library goes. A server without it is left alone.
fn restart_without_library(context: &Context) -> Result<()> {
    let (pgdata, postgres) = (context.cluster()?, context.postgres()?);
    let Some(running) = datadir::running(pgdata) else { return Ok(()) };
    if !ordinary::has_library(&running)? {
        return Ok(());
    }
    info!("restarts the server once, to be rid of {KEEPER_LIBRARY}; its sessions end");
    let log = StateDir::beside(pgdata).path().join("log");
    let log = if log.is_dir() { log.join("start.log") } else { pgdata.join("start.log") };
    postgres.restart(&running, pgdata, &log)
}

/// Its keeper may have begun with it already.
fn stop(context: &Context) -> Result<()> {
    let pgdata = context.cluster()?;
    if datadir::running(pgdata).is_none() {
        return Ok(());
    }
    match context.postgres()?.stop(pgdata) {
        Err(error) if datadir::running(pgdata).is_some() => Err(error),
        Err(_) | Ok(()) => Ok(()),
    }
}

/// What made it a node. What was kept aside, the log and the secrets stay.
fn forget(pgdata: &Path, state_dir: &StateDir) -> Result<()> {
    // The identity first: without it, what is left of the rest makes nothing a node.
    durable::remove(&Identity::path(pgdata))?;
    let own = [
        pgdata.join(boots::IN_PGDATA),
        state_dir.state(),
        state_dir.boots(),
        state_dir.writer(),
        state_dir.phase(),
    ];
    for file in own {
        durable::remove(&file)?;
    }
    Ok(())
}

fn outcome(node: Option<NodeId>, existed: bool, line: String) -> View {
    View::outcome(line, [("node_id", json!(node.map(|node| node.0))), ("existed", json!(existed))])
}
