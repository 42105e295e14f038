//! `create postgres`
use crate::birth::Wish;
use crate::context::Context;
use crate::datadir;
use crate::enrol::{self, Enrolment};
use crate::error::{Error, Kind, Result};
use crate::found::Found;
use crate::hba::{self, Access};
use crate::install::Place;
use crate::join::{self, Ready, Wanted};
use crate::live;
use crate::monitor::Monitor;
use crate::next_life::{self, Who};
use crate::postgres::Postgres;
use crate::printer::Progress;
use crate::ssl_options::{NoSsl, SslOptions};
use crate::view::{NodeState, View};
use crate::{commands, context::KEEPER_LIBRARY};
use connection::Address;
use fsm::password::Password;
use fsm::units::{NodeId, PasswordNumber};
use node_files::{Secrets, StateDir};
use serde_json::json;
use std::time::{Duration, Instant};
use tracing::info;

/// Options of `create postgres`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Port of the server [default: the one that a cluster in the data directory has, else 5432]
    #[arg(long)]
    pgport: Option<u16>,
    /// Name or address that nodes and clients reach it by [default: the address that reaches the monitor]
    #[arg(long)]
    hostname: Option<String>,
    /// Label of the node [default: node_<id>]
    #[arg(long)]
    name: Option<String>,
    /// Addresses to listen on [default: those that a cluster in the data directory has, else *]
    #[arg(long, value_name = "ADDRESSES")]
    listen: Option<String>,
    /// Database to make on the first node
    #[arg(long, default_value = "postgres", value_name = "NAME")]
    dbname: String,
    /// Role to make on the first node, owner of that database
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    /// Who may connect
    #[command(flatten)]
    access: Access,
    #[command(flatten)]
    ssl: SslOptions,
    #[command(flatten)]
    no_ssl: NoSsl,
    /// How much it is wished as primary; 0: never
    #[arg(long, default_value_t = 100, value_name = "0-100", value_parser = clap::value_parser!(i32).range(0..=100))]
    candidate_priority: i32,
    /// Whether commits may wait for it
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    replication_quorum: bool,
    /// Return once the server is started
    #[arg(long)]
    no_wait: bool,
    /// Leave the restart that makes a node of a running server to its operator
    #[arg(long)]
    no_restart: bool,
    /// Run the server in the foreground then, as `pg_autoctl run` does
    #[arg(long, conflicts_with_all = ["no_wait", "no_restart"])]
    run: bool,
}

const LOOK: Duration = Duration::from_millis(100);
/// Nothing changes for this long: something is wrong, and its log says what.
const PATIENCE: Duration = Duration::from_secs(300);
const DEFAULT_PORT: u16 = 5432;

/// Makes the node, or goes on where an earlier call stopped.
pub fn run(args: &Args, context: &Context) -> Result<View> {
    let made = make(args, context)?;
    let lines = if args.access.skip_pg_hba { Some(lines_for_pg_hba(context)?) } else { None };
    Ok(made.with_pg_hba(lines))
}

/// What the node's own pg_hba.conf has to begin with.
fn lines_for_pg_hba(context: &Context) -> Result<Vec<String>> {
    let postgres = context.postgres()?;
    let own = context.node_state(&postgres)?;
    let nodes = context.open_monitor()?.0.states(&own.formation, Some(own.group))?;
    let peers = nodes.iter().filter(|node| node.node_id != own.node.0).map(|node| node.nodehost.as_str());
    Ok(hba::lines_of_node(&postgres, context.pgdata()?, peers))
}

fn make(args: &Args, context: &Context) -> Result<View> {
    let postgres = context.postgres()?;
    let found = Found::look(context, &postgres)?;
    postgres.check_library(KEEPER_LIBRARY)?;
    let place = place(args, context, &postgres, &found)?;
    let (address, passwords) = monitor_access(&found, &place, context, &postgres)?;
    let monitor = Monitor::open_with(&address, &passwords)?;
    let password = passwords.into_iter().next();
    if let (Found::Node(..), Some(password)) = (&found, &password) {
        keep_password(&place, password)?;
    }
    let ssl = args.no_ssl.or(&args.ssl)?;
    let mut node = Enrolment {
        place: &place,
        postgres: &postgres,
        monitor: &monitor,
        address: &address,
        password,
        formation: context.formation(),
        hostname: String::new(),
        access: args.access,
        ssl: match found {
            Found::Node(..) | Found::Cluster(_) => {
                args.ssl.or_kept(ssl, &place.pgdata, &place.state_dir, &postgres)
            }
            Found::Nothing => ssl,
        },
        asked_for: asked_for(args, &found),
    };
    let wish = Wish { database: args.dbname.clone(), role: args.username.clone() };
    let ready = match &found {
        Found::Node(state, live) => {
            check_same(state, context)?;
            let known = known(&monitor, state, args)?;
            node.formation = &state.formation;
            node.hostname.clone_from(&known.nodehost);
            let ready = join::go_on(&node, &known, live.as_ref())?;
            if ready.is_none() && known.at_rest() {
                if known.writes() {
                    // An earlier call may have been interrupted before this.
                    wish_of(&wish, &place)?.fulfil(&place.pgdata, &place.state_dir)?;
                }
                info!("{} was made already", known.nodename);
                return Ok(outcome(&known, true));
            }
            ready
        }
        Found::Cluster(_) | Found::Nothing => {
            node.hostname = match &args.hostname {
                Some(hostname) => hostname.clone(),
                None => enrol::own_address(&address)?,
            };
            check_place(args, &found, &place, &node.hostname)?;
            let wanted = Wanted {
                group: context.group(),
                name: args.name.as_deref().unwrap_or_default(),
                database: &args.dbname,
                candidate_priority: args.candidate_priority,
                replication_quorum: args.replication_quorum,
            };
            let begin = |first: bool| {
                place.make_state_dir()?;
                if first { wish.keep(&place.state_dir) } else { Ok(()) }
            };
            Some(join::join(&node, &wanted, &found, begin)?.1)
        }
    };
    let state = node_files::State::read(&place.state_dir)?;
    match (ready, found.live()) {
        (Some(Ready::ToRestart(before)), Some(live)) => {
            match next_life::who(&live.running, &place.pgdata, &postgres, args.no_restart) {
                Who::We => {
                    next_life::begin(&live.running, &place.pgdata, &place.state_dir, &postgres, &before)?;
                }
                Who::Operator { command, why } => return Ok(needs_restart(state.node, &command, why)),
            }
        }
        (Some(_), _) if args.run && Wish::kept(&place.state_dir)?.is_none() => {
            return commands::run::run(context);
        }
        (Some(_), _) => postgres.start(&place.pgdata, &place.start_log())?,
        (None, _) => {}
    }
    if args.no_wait {
        let line = format!("the server of node {} is started", state.node);
        return Ok(View::outcome(line, [("node_id", json!(state.node.0)), ("pgdata", json!(place.pgdata))]));
    }
    let reached = wait(&monitor, &state, &place)?;
    if reached.writes() {
        wish_of(&wish, &place)?.fulfil(&place.pgdata, &place.state_dir)?;
    }
    if args.run {
        postgres.stop(&place.pgdata)?;
        return commands::run::run(context);
    }
    Ok(outcome(&reached, false))
}

/// Where the node stands and listens: a cluster that is there keeps what it has, unless something else was asked for.
fn place(args: &Args, context: &Context, postgres: &Postgres, found: &Found) -> Result<Place> {
    let pgdata = context.pgdata()?.to_path_buf();
    let set = |name| postgres.setting(&pgdata, name);
    if let (true, Some(live)) = (args.run, found.live()) {
        return Err(Error::state(format!(
            "the server in \"{}\" runs already, as process {}",
            pgdata.display(),
            live.running.pid
        ))
        .hint("leave --run out, or stop it first: pg_autoctl stop"));
    }
    if let (Some(asked), Some(live)) = (args.pgport, found.live())
        && asked != live.running.port
    {
        return Err(Error::arguments(format!(
            "the server in \"{}\" runs on port {}, not {asked}",
            pgdata.display(),
            live.running.port
        ))
        .hint("leave --pgport out; nothing was changed"));
    }
    let (state_dir, port, listen) = match found {
        Found::Nothing => (StateDir::beside(&pgdata), None, None),
        Found::Node(..) | Found::Cluster(_) => {
            let port = match found.live() {
                Some(live) => Some(live.running.port),
                None => set("port").and_then(|port| port.parse().ok()),
            };
            let listen = found.live().map(|live| live.listen.clone()).or_else(|| set("listen_addresses"));
            (context.state_dir(postgres)?, port, listen)
        }
    };
    Ok(Place {
        state_dir,
        listen: args.listen.clone().or(listen).unwrap_or_else(|| "*".to_owned()),
        port: args.pgport.or(port).unwrap_or(DEFAULT_PORT),
        pgdata,
    })
}

/// What an adopted cluster is to have besides what replication needs, because somebody said so.
fn asked_for(args: &Args, found: &Found) -> Vec<(&'static str, String)> {
    if !found.is_cluster() {
        return Vec::new();
    }
    let listen = args.listen.clone().map(|listen| ("listen_addresses", listen));
    let port = args.pgport.filter(|_| found.live().is_none()).map(|port| ("port", port.to_string()));
    listen.into_iter().chain(port).collect()
}

fn check_place(args: &Args, found: &Found, place: &Place, hostname: &str) -> Result<()> {
    match (found, found.live()) {
        (Found::Cluster(_), Some(_)) => {
            place.check_room()?;
            if args.listen.is_some() { Ok(()) } else { live::check_listens(&place.listen, hostname) }
        }
        (Found::Cluster(_), None) => {
            place.check()?;
            live::check_listens(&place.listen, hostname)
        }
        (Found::Nothing | Found::Node(..), _) => place.check(),
    }
}

/// A repeated command may leave out where the node belongs, and cannot change it.
fn check_same(state: &node_files::State, context: &Context) -> Result<()> {
    let other_group = context.group().is_some_and(|group| group != state.group);
    if !other_group && context.named_formation().is_none_or(|formation| formation == state.formation) {
        return Ok(());
    }
    Err(Error::state(format!(
        "the data directory holds node {} of group {} of formation {} already",
        state.node, state.group, state.formation
    ))
    .hint("give --pgdata another directory, or drop that node first: pg_autoctl drop node"))
}

/// The node as the monitor knows it.
fn known(monitor: &Monitor, state: &node_files::State, args: &Args) -> Result<NodeState> {
    let known = row(monitor, &state.formation, state.group, state.node)?.ok_or_else(|| {
        Error::state(format!("the monitor does not know node {}", state.node))
            .hint("it was dropped, or belongs to another monitor: give --pgdata another directory")
    })?;
    match args.pgport {
        Some(asked) if i32::from(asked) != known.nodeport => Err(Error::state(format!(
            "the data directory holds {} already, whose port is {}",
            known.nodename, known.nodeport
        ))
        .hint("leave --pgport out")),
        Some(_) | None => Ok(known),
    }
}

/// A node that was away while the password was changed learns the new one so; its keeper uses it from its next attempt on.
fn keep_password(place: &Place, password: &str) -> Result<()> {
    let mut secrets = Secrets::read(&place.state_dir)?;
    if secrets.take_monitor_password(Password { number: PasswordNumber(0), text: password.to_owned() }) {
        secrets.write(&place.state_dir)?;
        info!("the node has the password that was given from now on");
    }
    Ok(())
}

/// Where the monitor is, and its passwords: as typed; else as the node has them, when it is one already.
fn monitor_access(
    found: &Found,
    place: &Place,
    context: &Context,
    postgres: &Postgres,
) -> Result<(Address, Vec<String>)> {
    let (address, typed) = match (context.named_monitor(), found) {
        (Some(text), _) => Address::parse(text)?,
        (None, Found::Node(..)) => (context.node_monitor(postgres)?, None),
        (None, Found::Cluster(_) | Found::Nothing) => {
            return Err(Error::arguments("no monitor is given").hint(
                "say --monitor postgres://autoctl_node@HOST:PORT/pg_auto_failover, or set PG_AUTOCTL_MONITOR",
            ));
        }
    };
    let given = typed.or_else(|| address.password_from_environment());
    let passwords = match given {
        Some(password) => vec![password],
        None => Secrets::read(&place.state_dir)?.monitor_passwords().map(str::to_owned).collect(),
    };
    Ok((address, passwords))
}

/// What is asked for now, else what was asked for when the node was begun.
fn wish_of(now: &Wish, place: &Place) -> Result<Wish> {
    let kept = if now.is_something() { None } else { Wish::kept(&place.state_dir)? };
    Ok(kept.unwrap_or_else(|| now.clone()))
}

/// Until the node writes, or may be promoted.
fn wait(monitor: &Monitor, state: &node_files::State, place: &Place) -> Result<NodeState> {
    let mut progress = Progress::start("waits for the server to report");
    let (mut last, mut changed) = (String::new(), Instant::now());
    loop {
        let node = row(monitor, &state.formation, state.group, state.node)?
            .ok_or_else(|| Error::state(format!("node {} was dropped meanwhile", state.node)))?;
        if node.at_rest() {
            return Ok(node);
        }
        let now = format!(
            "{}: {}, assigned {}",
            node.nodename, node.current_group_state, node.assigned_group_state
        );
        if now != last {
            progress.now(&now);
            (last, changed) = (now, Instant::now());
        }
        if datadir::running(&place.pgdata).is_none() {
            return Err(Error::new(
                Kind::PgCtl,
                format!("the server in \"{}\" has stopped", place.pgdata.display()),
            )
            .hint(format!("see its log in \"{}\"", place.state_dir.path().join("log").display())));
        }
        if changed.elapsed() >= PATIENCE {
            return Err(Error::state(format!("nothing has changed for {} s ({last})", PATIENCE.as_secs()))
                .hint(format!("see the log in \"{}\"", place.state_dir.path().join("log").display())));
        }
        std::thread::sleep(LOOK);
    }
}

fn row(monitor: &Monitor, formation: &str, group: i32, node: NodeId) -> Result<Option<NodeState>> {
    let nodes = monitor.states(formation, Some(group))?;
    Ok(nodes.into_iter().find(|other| other.node_id == node.0))
}

fn needs_restart(node: NodeId, command: &str, why: &str) -> View {
    let line = format!(
        "node {node} is prepared and begins with the next start of its server ({why}): {command}; then repeat this command"
    );
    let values =
        [("node_id", json!(node.0)), ("needs_restart", json!(true)), ("restart_command", json!(command))];
    View::outcome(line, values)
}

fn outcome(node: &NodeState, existed: bool) -> View {
    let line =
        format!("{} at {}:{} is {}", node.nodename, node.nodehost, node.nodeport, node.current_group_state);
    let values = [
        ("node_id", json!(node.node_id)),
        ("nodename", json!(node.nodename)),
        ("nodehost", json!(node.nodehost)),
        ("nodeport", json!(node.nodeport)),
        ("state", json!(node.current_group_state)),
        ("existed", json!(existed)),
    ];
    View::outcome(line, values)
}
