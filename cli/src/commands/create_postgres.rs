//! `create postgres`
use crate::context::{Context, KEEPER_LIBRARY, Part};
use crate::datadir::{self, Content};
use crate::enrol::{self, Enrolment};
use crate::error::{Error, Kind, Result};
use crate::hba::{self, Access};
use crate::install::Place;
use crate::monitor::{Monitor, Registered, Registration};
use crate::postgres::Postgres;
use crate::printer::Progress;
use crate::sql::{self, Failure};
use crate::ssl_options::{NoSsl, SslOptions};
use crate::view::{NodeState, View};
use connection::Address;
use fsm::password::Password;
use fsm::state::State;
use fsm::units::{NodeId, PasswordNumber};
use node_files::{Identity, Secrets, StateDir};
use serde_json::json;
use std::time::{Duration, Instant};
use tracing::info;

/// Options of `create postgres`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Port of the server
    #[arg(long, default_value_t = 5432)]
    pgport: u16,
    /// Name or address that nodes and clients reach it by [default: the address that reaches the monitor]
    #[arg(long)]
    hostname: Option<String>,
    /// Label of the node [default: node_<id>]
    #[arg(long)]
    name: Option<String>,
    /// Addresses to listen on
    #[arg(long, default_value = "*", value_name = "ADDRESSES")]
    listen: String,
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
}

const LOOK: Duration = Duration::from_millis(100);
/// Nothing changes for this long: something is wrong, and its log says what.
const PATIENCE: Duration = Duration::from_secs(300);

/// What stands in the data directory, as far as a new node is concerned.
enum Found {
    /// A node: ours, made by an earlier call.
    Node(Box<node_files::State>),
    /// A cluster that is no node, with its system identifier.
    Cluster(u64),
    /// Room for a new one.
    Nothing,
}

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
    let (pgdata, postgres) = (context.pgdata()?.to_path_buf(), context.postgres()?);
    let ssl = args.no_ssl.or(&args.ssl)?;
    let found = look(context, &postgres)?;
    postgres.check_library(KEEPER_LIBRARY)?;
    let state_dir = match found {
        Found::Node(_) | Found::Cluster(_) => context.state_dir(&postgres)?,
        Found::Nothing => StateDir::beside(&pgdata),
    };
    let place = Place { pgdata, state_dir, listen: args.listen.clone(), port: args.pgport };
    let (address, passwords) = monitor_access(&found, &place, context, &postgres)?;
    let monitor = Monitor::open_with(&address, &passwords)?;
    let password = passwords.into_iter().next();
    if let (Found::Node(_), Some(password)) = (&found, &password) {
        keep_password(&place, password)?;
    }

    let node = match found {
        Found::Node(state) => {
            check_same(&state, context)?;
            let known = row(&monitor, &state.formation, state.group, state.node)?.ok_or_else(|| {
                Error::state(format!("the monitor at {} does not know node {}", address.place(), state.node))
                    .hint("it was dropped, or belongs to another monitor: give --pgdata another directory")
            })?;
            let running = datadir::running(&place.pgdata).is_some();
            if running && known.at_rest() {
                if known.writes() {
                    // An earlier call may have been interrupted before this.
                    populate(args, &place)?;
                }
                info!("{} was made already", known.nodename);
                return Ok(outcome(&known, true));
            }
            if !running {
                postgres.start(&place.pgdata, &place.start_log())?;
            }
            state.node
        }
        Found::Cluster(_) | Found::Nothing => {
            let hostname = match &args.hostname {
                Some(hostname) => hostname.clone(),
                None => enrol::own_address(&address)?,
            };
            place.check()?;
            let ssl = match found {
                Found::Cluster(_) => args.ssl.or_kept(ssl, &place.pgdata, &place.state_dir, &postgres),
                Found::Node(_) | Found::Nothing => ssl,
            };
            let node = Enrolment {
                place: &place,
                postgres: &postgres,
                monitor: &monitor,
                address: &address,
                password,
                formation: context.formation(),
                hostname,
                access: args.access,
                ssl: &ssl,
            };
            join(args, context, &node, &found)?
        }
    };
    let state = node_files::State::read(&place.state_dir)?;
    if args.no_wait {
        let line = format!("the server of node {node} is started");
        return Ok(View::outcome(line, [("node_id", json!(node.0)), ("pgdata", json!(place.pgdata))]));
    }
    let reached = wait(&monitor, &state, &place)?;
    if reached.writes() {
        populate(args, &place)?;
    }
    Ok(outcome(&reached, false))
}

fn look(context: &Context, postgres: &Postgres) -> Result<Found> {
    let pgdata = context.pgdata()?;
    match datadir::inspect(pgdata)? {
        Content::Missing | Content::Empty => Ok(Found::Nothing),
        Content::Other => Err(datadir::not_a_database(pgdata)),
        Content::Cluster => {
            postgres.check_version(pgdata)?;
            if matches!(context.part(postgres), Ok(Part::Monitor)) {
                return Err(Error::state(format!("\"{}\" holds a monitor", pgdata.display()))
                    .hint("a node is a server of its own: give --pgdata another directory"));
            }
            if Identity::read(pgdata)?.is_some() {
                return Ok(Found::Node(Box::new(context.node_state(postgres)?)));
            }
            Ok(Found::Cluster(postgres.control(pgdata)?.system_identifier))
        }
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
        (None, Found::Node(_)) => (context.node_monitor(postgres)?, None),
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

/// Registers the node and makes it what its first goal says.
fn join(args: &Args, context: &Context, node: &Enrolment<'_>, found: &Found) -> Result<NodeId> {
    let group = context.group().unwrap_or(0);
    let system_identifier = match found {
        Found::Cluster(system_identifier) => *system_identifier,
        Found::Nothing | Found::Node(_) => 0,
    };
    let nodes = node.monitor.states(node.formation, Some(group))?;
    let me = |other: &&NodeState| other.nodehost == node.hostname && other.nodeport == i32::from(args.pgport);
    let registered_before = nodes.iter().find(me);
    let has_lived = |state: State| !matches!(state, State::Unknown | State::Init | State::WaitStandby);
    if let Some(before) = registered_before
        && before.reported().is_some_and(has_lived)
    {
        return Err(Error::state(format!(
            "{} at {}:{} is a node already ({}), and its data directory is not \"{}\"",
            before.nodename,
            before.nodehost,
            before.nodeport,
            before.current_group_state,
            node.place.pgdata.display()
        ))
        .hint(format!(
            "if its data is lost: pg_autoctl drop node --name {} --force, then repeat",
            before.nodename
        )));
    }
    if let (Found::Cluster(_), true) = (found, nodes.len() > usize::from(registered_before.is_some())) {
        return Err(Error::state(format!(
            "\"{}\" holds a cluster of its own, and group {group} of {} has one already",
            node.place.pgdata.display(),
            node.formation
        ))
        .hint(
            "give --pgdata a new or empty directory: it gets a copy of the group's data; nothing was changed",
        ));
    }
    if let (Found::Cluster(_), Some(running)) = (found, datadir::running(&node.place.pgdata)) {
        return Err(Error::state(format!(
            "a server runs in \"{}\" (process {}), and it must be started with our library",
            node.place.pgdata.display(),
            running.pid
        ))
        .hint("stop it (pg_ctl stop), then repeat this command; nothing was changed"));
    }
    let registration = Registration {
        formation: node.formation,
        group: context.group().unwrap_or(-1),
        host: &node.hostname,
        port: args.pgport,
        name: args.name.as_deref().unwrap_or_default(),
        database: &args.dbname,
        system_identifier,
        candidate_priority: args.candidate_priority,
        replication_quorum: args.replication_quorum,
    };
    let (id, group, goal, name) = register(node.monitor, &registration)?;
    info!("registered as {name} (node {id}) in group {group} of {}", node.formation);
    if goal == State::Single {
        node.become_first(id, group, &name, matches!(found, Found::Cluster(_)))?;
    } else if matches!(goal, State::WaitStandby | State::CatchingUp) {
        node.become_standby(id, group, &name)?;
    } else {
        return Err(Error::state(format!("the monitor assigns {goal} to a node that is not there yet"))
            .hint(format!("drop it and repeat: pg_autoctl drop node --name {name} --force")));
    }
    node.start()?;
    Ok(id)
}

/// Asks until the group can take a node.
fn register(monitor: &Monitor, node: &Registration<'_>) -> Result<(NodeId, i32, State, String)> {
    let started = Instant::now();
    let mut progress = None;
    loop {
        match monitor.register(node)? {
            Registered::As { node, group, goal, name } => return Ok((node, group, goal, name)),
            Registered::NotYet(why) if started.elapsed() >= PATIENCE => {
                return Err(Error::state(format!("the group takes no node now: {why}"))
                    .hint("see pg_autoctl show state on the monitor, and repeat this command"));
            }
            Registered::NotYet(why) => {
                let waiting = format!("waits for the group to take a node: {why}");
                progress.get_or_insert_with(|| Progress::start(&waiting)).now(&waiting);
                std::thread::sleep(LOOK * 5);
            }
        }
    }
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

/// The database and the role that were asked for, on a node that writes.
fn populate(args: &Args, place: &Place) -> Result<()> {
    let refused = |failure: Failure| {
        Error::new(Kind::Sql, format!("the new server says: {failure}"))
            .hint("the node itself is made: repeat the command with another --dbname or --username")
    };
    let session = datadir::connect(&datadir::require_running(&place.pgdata)?, "postgres").map_err(refused)?;
    if let Some(username) = &args.username {
        let exists =
            session.query("SELECT 1 FROM pg_roles WHERE rolname = $1", &[username]).map_err(refused)?;
        if exists.is_empty() {
            session.run(&format!("CREATE ROLE {} LOGIN", sql::name(username))).map_err(refused)?;
            info!("made the role {username}; it has no password yet: psql, then \\password {username}");
        }
    }
    let exists =
        session.query("SELECT 1 FROM pg_database WHERE datname = $1", &[&args.dbname]).map_err(refused)?;
    if exists.is_empty() {
        let owner = args.username.as_ref().map(|username| format!(" OWNER {}", sql::name(username)));
        let statement = format!("CREATE DATABASE {}{}", sql::name(&args.dbname), owner.unwrap_or_default());
        session.run(&statement).map_err(refused)?;
    }
    Ok(())
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
