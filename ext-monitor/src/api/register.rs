//! Taking a node in.
use super::heartbeat::check_cluster;
use super::{ask, check_database, state_named};
use crate::board;
use crate::error::Error;
use crate::evaluate::{Scene, evaluate};
use crate::refuse::About;
use crate::store::node::{Member, NodeState};
use crate::store::{formation, group, node};
use fsm::group::Group;
use fsm::monitor::operate;
use fsm::password::Passwords;
use fsm::state::State;
use fsm::units::NodeId;
use pgrx::prelude::*;

/// What `register_node` was asked for.
struct Wish<'a> {
    formation: &'a str,
    host: &'a str,
    port: u16,
    name: &'a str,
    system_identifier: i64,
    id: Option<i64>,
    state: State,
    priority: u8,
    quorum: bool,
    cluster: &'a str,
}

/// Behind `pgautofailover.register_node`; returns the node's id.
#[pg_extern(sql = false)]
#[expect(clippy::too_many_arguments, reason = "they are those of the SQL function")]
fn register(
    formation: &str,
    host: &str,
    port: i32,
    name: &str,
    system_identifier: i64,
    desired_id: i64,
    desired_group: i32,
    initial_state: &str,
    priority: i32,
    quorum: bool,
    cluster: &str,
) -> i64 {
    let about = About { address: Some((host, port)), ..About::formation("register_node", formation) };
    ask(&about, || {
        check_database()?;
        let wish = Wish {
            formation,
            host,
            port: u16::try_from(port).ok().filter(|port| *port > 0).ok_or_else(|| Error::BadArgument {
                message: format!("{port} is not a TCP port"),
                hint: "Ports are 1 to 65535.",
            })?,
            name,
            system_identifier,
            id: Some(desired_id).filter(|id| *id > 0),
            state: state_named(initial_state)?,
            priority: u8::try_from(priority).ok().filter(|priority| *priority <= 100).ok_or_else(|| {
                Error::BadArgument {
                    message: format!("{priority} is not a candidate priority"),
                    hint: "Priorities are 0 (never promoted) to 100.",
                }
            })?,
            quorum,
            cluster,
        };
        check_host(host)?;
        check_name(name)?;
        formation::hold(formation)?;
        let serial = group::of_formation_or_new(formation, desired_group.max(0))?;
        let (id, _) = evaluate(serial, |scene| take_in(scene, &wish))?;
        Ok(id.0)
    })
}

/// Every node of the group writes the host into its pg_hba.conf, so it must not hold anything that has a meaning there.
fn check_host(host: &str) -> Result<(), Error> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._:%-".contains(&byte);
    if board::fits(host) && !host.starts_with('.') && host.bytes().all(plain) {
        return Ok(());
    }
    Err(Error::BadArgument {
        message: format!("{host:?} is neither a host name nor an address"),
        hint: "Give the name or the address, of at most 255 bytes, at which the other nodes reach this one.",
    })
}

/// Names are printed into logs, events and terminals.
fn check_name(name: &str) -> Result<(), Error> {
    const LONGEST: usize = 63;
    if name.len() <= LONGEST && !name.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Error::BadArgument {
        message: format!("{name:?} is not a node name"),
        hint: "Names have at most 63 bytes and no control characters.",
    })
}

fn take_in(scene: &mut Scene, wish: &Wish) -> Result<NodeId, Error> {
    if let Some((formation, id)) = node::holder(wish.formation, wish.name, wish.host, wish.port)? {
        return known(scene, wish, &formation, id);
    }
    if wish.system_identifier != 0 {
        check_cluster(scene, NodeId(wish.id.unwrap_or(0)), wish.system_identifier)?;
    }
    if wish.id.is_some_and(|id| scene.member(NodeId(id)).is_some()) {
        return Err(Error::Taken {
            message: format!("node id {} is taken", wish.id.unwrap_or_default()),
            hint: "Leave desired_node_id out: the monitor gives a free one.",
        });
    }
    let (policy, now) = (scene.policy, scene.now);
    let enter = |id: NodeId, group: &mut Group| {
        operate::register(group, id, wish.priority, wish.quorum, &policy, now).map_err(Error::CannotRegister)
    };
    // Tried first: an id is used up even when the registration is refused.
    let goal = enter(NodeId(0), &mut scene.group.clone())?;
    if wish.state != State::Init && wish.state != goal {
        return Err(Error::CannotStartAs { requested: wish.state.to_string(), granted: goal.as_str() });
    }
    let id = node::new_id(wish.id)?;
    enter(id, &mut scene.group)?;
    let registered = scene.group.node(id).ok_or(Error::UnknownNode(id))?;
    let member = Member {
        id,
        name: if wish.name.is_empty() { format!("node_{id}") } else { wish.name.to_owned() },
        host: wish.host.to_owned(),
        port: wish.port,
        cluster: wish.cluster.to_owned(),
        system_identifier: wish.system_identifier,
        pg_is_running: false,
        rep_state: String::new(),
        boot: 0,
        note: None,
        passwords: Passwords::default(),
        state: NodeState::of(registered),
        lsn: None,
    };
    scene.members.push(member);
    Ok(id)
}

/// Registering again is no mistake when it is the same node: a creation that was interrupted is tried again.
fn known(scene: &Scene, wish: &Wish, formation: &str, id: NodeId) -> Result<NodeId, Error> {
    let taken = |message: String, hint: &'static str| Err(Error::Taken { message, hint });
    let Some(member) = scene.member(id) else {
        return taken(
            format!(
                "{}:{} is node {id} of another group or formation (\"{formation}\") already",
                wish.host, wish.port
            ),
            "Drop that node first, or give this one another address.",
        );
    };
    if (member.host.as_str(), member.port) != (wish.host, wish.port) {
        return taken(
            format!("the name \"{}\" belongs to node {id} at {}:{}", member.name, member.host, member.port),
            "Choose another name, or drop that node first.",
        );
    }
    if wish.system_identifier != 0 && ![0, wish.system_identifier].contains(&member.system_identifier) {
        return Err(Error::OtherCluster {
            node: format!("{}:{}", wish.host, wish.port),
            theirs: wish.system_identifier,
            ours: member.system_identifier,
        });
    }
    if scene.group.node(id).is_some_and(|node| node.goal == State::Dropped) {
        return taken(
            format!("node {id} at this address is being dropped"),
            "Wait until it is gone, then try again.",
        );
    }
    Ok(id)
}
