//! The way of what was found into its group: refused before anything is touched, or registered and prepared for its next life.
use crate::adopt::{self, Before};
use crate::context::KEEPER_LIBRARY;
use crate::enrol::Enrolment;
use crate::error::{Error, Result};
use crate::found::{Cluster, Found};
use crate::live::{Live, Receiver};
use crate::monitor::{Registered, Registration};
use crate::printer::Progress;
use crate::view::NodeState;
use fsm::state::State;
use fsm::units::NodeId;
use std::time::{Duration, Instant};
use tracing::info;

const LOOK: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(300);
/// For a receiver to come back: PostgreSQL lets it try every 5 s.
const RECONNECTS: Duration = Duration::from_secs(12);

/// How far it is.
pub enum Ready {
    /// Made, to be started.
    ToStart,
    /// Its server runs, and becomes a node with one restart.
    ToRestart(Before),
}

/// What the command says of the node.
pub struct Wanted<'a> {
    /// The group; `None`: the monitor chooses.
    pub group: Option<i32>,
    /// Its label; empty: the monitor makes one.
    pub name: &'a str,
    /// The formation's database.
    pub database: &'a str,
    /// 0 to 100.
    pub candidate_priority: i32,
    /// Commits may wait for it.
    pub replication_quorum: bool,
}

/// By which way it comes in.
enum Way<'a> {
    /// As the group's first, with a new cluster.
    New,
    /// As the group's first, with its own cluster, which does not run.
    FirstStopped,
    /// As the group's first, with its own cluster and clients.
    FirstLive,
    /// As a copy of the primary.
    Copy,
    /// As the standby of the primary that it is.
    Standby(&'a Receiver),
}

/// Registers the node and makes it what its first goal says. Repeated after an interruption, it goes on. `begin` is called
/// before anything is written, with whether it is the group's first.
pub fn join(
    node: &Enrolment<'_>,
    wanted: &Wanted<'_>,
    found: &Found,
    begin: impl FnOnce(bool) -> Result<()>,
) -> Result<(NodeId, Ready)> {
    let group = wanted.group.unwrap_or(0);
    let nodes = node.monitor.states(node.formation, Some(group))?;
    let me =
        |other: &&NodeState| other.nodehost == node.hostname && other.nodeport == i32::from(node.place.port);
    if let Some(before) = nodes.iter().find(me) {
        check_not_alive(before, node)?;
    }
    let others: Vec<&NodeState> = nodes.iter().filter(|other| !me(other)).collect();
    let way = way(found, node, group, &others)?;
    let (id, group, goal, name) = register(node, wanted, found, &way)?;
    info!("registered as {name} (node {id}) in group {group} of {}", node.formation);
    begin(matches!(way, Way::New | Way::FirstStopped | Way::FirstLive))?;
    let ready = match (way, goal) {
        (Way::New | Way::Copy, State::Single) if !found.is_cluster() => {
            node.become_first(id, group, &name).map(|()| Ready::ToStart)
        }
        (Way::FirstStopped, State::Single) => node.adopt_first(id, group, &name).map(|_| Ready::ToStart),
        (Way::FirstLive, State::Single) => node.adopt_first(id, group, &name).map(Ready::ToRestart),
        (Way::Standby(receiver), State::WaitStandby | State::CatchingUp) => {
            let ready = node.adopt_standby(id, group, &name, |upstream| still_follows(node, upstream))?;
            tell_of_slot(receiver);
            Ok(Ready::ToRestart(ready))
        }
        (Way::Copy | Way::New, State::WaitStandby | State::CatchingUp) => {
            node.become_standby(id, group, &name).map(|()| Ready::ToStart)
        }
        (_, goal) => Err(Error::state(format!("the monitor assigns {goal} to a node that is not there yet"))
            .hint(format!("drop it and repeat: pg_autoctl drop node --name {name} --force"))),
    };
    Ok((id, ready?))
}

/// The way for what was found, or why there is none.
fn way<'a>(found: &'a Found, node: &Enrolment<'_>, group: i32, others: &[&NodeState]) -> Result<Way<'a>> {
    let cluster: &Cluster = match found {
        Found::Nothing | Found::Node(..) if others.is_empty() => return Ok(Way::New),
        Found::Nothing | Found::Node(..) => return Ok(Way::Copy),
        Found::Cluster(cluster) => cluster,
    };
    let primary = others.iter().find(|other| other.writes());
    let place = node.place.pgdata.display();
    match (&cluster.live, others.is_empty()) {
        (None, true) if cluster.stopped_standby => Err(Error::state(format!(
            "\"{place}\" holds a standby, which is no group's first node"
        ))
        .hint("register its primary first and start this standby; or promote it (pg_ctl promote). Nothing was changed")),
        (None, true) => Ok(Way::FirstStopped),
        (None, false) => Ok(Way::Copy),
        (Some(Live { standby: Some(receiver), .. }), _) => {
            let primary = primary.ok_or_else(|| {
                Error::state(format!(
                    "the server in \"{place}\" is a standby, and group {group} of {} has no primary to follow",
                    node.formation
                ))
                .hint("register its primary first, then repeat; nothing was changed")
            })?;
            wait_until_follows(node, receiver, primary)?;
            Ok(Way::Standby(receiver))
        }
        (Some(Live { standby: None, .. }), true) => Ok(Way::FirstLive),
        (Some(Live { standby: None, .. }), false) => {
            let reason = match primary {
                Some(primary) => format!(
                    "has a primary already: {} at {}:{}",
                    primary.nodename, primary.nodehost, primary.nodeport
                ),
                None => "has nodes already".to_owned(),
            };
            Err(Error::state(format!(
                "the server in \"{place}\" takes writes, and group {group} of {} {reason}",
                node.formation
            ))
            .hint("register it in a group or formation of its own (--group, --formation); nothing was changed"))
        }
    }
}

/// A standby whose primary was restarted a moment ago tries again every few seconds only.
fn wait_until_follows(node: &Enrolment<'_>, seen: &Receiver, primary: &NodeState) -> Result<()> {
    let started = Instant::now();
    let mut follows = seen.check_follows(primary);
    let mut streams = seen.streaming;
    let mut progress = None;
    while !streams && started.elapsed() < RECONNECTS {
        let what = || Progress::start("waits for the running standby to reach its primary");
        progress.get_or_insert_with(what);
        std::thread::sleep(LOOK);
        let running = crate::datadir::require_running(&node.place.pgdata)?;
        if let Some(receiver) = Live::look(&running)?.standby {
            follows = receiver.check_follows(primary);
            streams = receiver.streaming;
        }
    }
    follows
}

/// A node that has lived at this address keeps its data somewhere else.
fn check_not_alive(before: &NodeState, node: &Enrolment<'_>) -> Result<()> {
    let lived = |state: State| !matches!(state, State::Unknown | State::Init | State::WaitStandby);
    if !before.reported().is_some_and(lived) {
        return Ok(());
    }
    Err(Error::state(format!(
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
    )))
}

/// Asks until the group can take a node.
fn register(
    node: &Enrolment<'_>,
    wanted: &Wanted<'_>,
    found: &Found,
    way: &Way<'_>,
) -> Result<(NodeId, i32, State, String)> {
    let registration = Registration {
        formation: node.formation,
        group: wanted.group.unwrap_or(-1),
        host: &node.hostname,
        port: node.place.port,
        name: wanted.name,
        database: wanted.database,
        system_identifier: match found {
            Found::Cluster(cluster) => cluster.system_identifier,
            Found::Nothing | Found::Node(..) => 0,
        },
        candidate_priority: wanted.candidate_priority,
        replication_quorum: wanted.replication_quorum,
        initial: match way {
            // What is there already is taken as what it is, or not at all.
            Way::FirstLive | Way::FirstStopped => State::Single,
            Way::Standby(_) => State::WaitStandby,
            Way::Copy if found.is_cluster() => State::WaitStandby,
            Way::New | Way::Copy => State::Init,
        },
    };
    let started = Instant::now();
    let mut progress = None;
    loop {
        match node.monitor.register(&registration)? {
            Registered::As { node, group, goal, name } => return Ok((node, group, goal, name)),
            Registered::OtherCluster => {
                return Err(Error::state(format!(
                    "\"{}\" holds a cluster of its own, not a copy of the group's",
                    node.place.pgdata.display()
                ))
                .hint(
                    "give --pgdata a new or empty directory: it gets a copy of the group's data; or another --group. Nothing was changed",
                ));
            }
            Registered::NotYet(why) if started.elapsed() >= PATIENCE => {
                return Err(Error::state(format!("the group takes no node now: {why}"))
                    .hint("see pg_autoctl show state on the monitor, and repeat this command"));
            }
            Registered::NotYet(why) => {
                let waiting = format!("waits for the group to take a node: {why}");
                progress.get_or_insert_with(|| Progress::start(&waiting)).now(&waiting);
                std::thread::sleep(LOOK);
            }
        }
    }
}

/// The group may have another primary by now, or the standby another upstream.
fn still_follows(node: &Enrolment<'_>, upstream: &fsm::message::Upstream) -> Result<()> {
    let nodes = node.monitor.states(node.formation, None)?;
    let primary = nodes.iter().find(|other| other.node_id == upstream.peer.node.0);
    let running = crate::datadir::require_running(&node.place.pgdata)?;
    match (primary, Live::look(&running)?.standby) {
        (Some(primary), Some(receiver)) => receiver.check_follows(primary),
        (_, _) => Err(Error::state("the running server has stopped being the primary's standby meanwhile")
            .hint("see pg_autoctl show state, and repeat this command")),
    }
}

fn tell_of_slot(receiver: &Receiver) {
    if let Some(slot) = &receiver.slot {
        info!(
            "the slot \"{slot}\" of the primary is not used by this standby any more and keeps WAL for ever; drop it there after \
             the restart: SELECT pg_drop_replication_slot('{slot}')"
        );
    }
}

/// A node that an earlier call began, stopped or not restarted yet: its configuration is completed.
pub fn go_on(node: &Enrolment<'_>, known: &NodeState, live: Option<&Live>) -> Result<Option<Ready>> {
    match live {
        Some(live) if adopt::names(&live.libraries, KEEPER_LIBRARY) => Ok(None),
        Some(_) => {
            let before = node.configure_adopted(known.group_id, &known.nodename)?;
            Ok(Some(Ready::ToRestart(before)))
        }
        None => {
            if !adopt::loads(node.postgres, &node.place.pgdata, KEEPER_LIBRARY) {
                node.configure_adopted(known.group_id, &known.nodename)?;
            }
            Ok(Some(Ready::ToStart))
        }
    }
}
