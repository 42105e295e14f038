//! Taking a node in.
use super::arguments::{self, given};
use super::heartbeat::check_cluster;
use super::{ask, check_database};
use crate::error::Error;
use crate::evaluate::{Scene, evaluate};
use crate::refuse::About;
use crate::store::node::{Member, NodeState};
use crate::store::{formation, group, node};
use fsm::group::{Group, Node};
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
    id: Option<NodeId>,
    state: State,
    priority: u8,
    quorum: bool,
    cluster: &'a str,
    /// The formation has secondaries: a group may have more than one node.
    may_follow: bool,
}

/// Behind `pgautofailover.register_node`; returns the node's id.
#[pg_extern(sql = false)]
#[expect(clippy::too_many_arguments, reason = "they are those of the SQL function")]
fn register(
    formation_id: Option<&str>,
    node_host: Option<&str>,
    node_port: Option<i32>,
    dbname: &str,
    name: &str,
    system_identifier: i64,
    desired_id: i64,
    desired_group: i32,
    initial_state: &str,
    kind: &str,
    priority: i32,
    quorum: bool,
    cluster: &str,
) -> i64 {
    let about =
        About { formation: formation_id, address: node_host.zip(node_port), ..About::call("register_node") };
    ask(&about, || {
        check_database()?;
        if kind != "standalone" {
            return Err(Error::BadArgument {
                message: format!("node kind \"{kind}\" is not supported"),
                hint: "The only kind is 'standalone'.",
            });
        }
        let (host, port) = (given(node_host, "node_host")?, given(node_port, "node_port")?);
        let mut wish = Wish {
            formation: given(formation_id, "formation_id")?,
            host: arguments::host(host)?,
            port: arguments::port(port)?,
            name: arguments::name(name)?,
            system_identifier,
            id: (desired_id > 0).then(|| arguments::desired_id(desired_id)).transpose()?,
            state: arguments::state(initial_state)?,
            priority: arguments::priority(priority)?,
            quorum,
            cluster: arguments::name(cluster)?,
            may_follow: true,
        };
        wish.may_follow = formation::hold(wish.formation)?.has_secondaries;
        formation::name_database(wish.formation, dbname, wish.host, wish.port)?;
        let number = match desired_group {
            0.. => desired_group,
            _ => formation::group_for(wish.formation, wish.host, wish.port)?,
        };
        let serial = group::of_formation_or_new(wish.formation, number)?;
        let (id, _) = evaluate(serial, |scene| take_in(scene, &wish))?;
        Ok(id.0)
    })
}

fn take_in(scene: &mut Scene, wish: &Wish) -> Result<NodeId, Error> {
    if let Some((formation, id)) = node::holder(wish.formation, wish.name, wish.host, wish.port, NodeId(0))? {
        return known(scene, wish, &formation, id);
    }
    if wish.system_identifier != 0 {
        check_cluster(scene, wish.id.unwrap_or(NodeId(0)), wish.system_identifier)?;
    }
    if let Some(id) = wish.id {
        node::lock_ids()?;
        if node::is_known(id)? || group::awaiting(id)?.is_some() {
            return Err(Error::Taken {
                message: format!("node id {id} is taken"),
                hint: "Leave desired_node_id out: the monitor gives a free one.",
            });
        }
    }
    if !wish.may_follow && !scene.group.nodes.is_empty() {
        return Err(Error::NoSecondaries(wish.formation.to_owned()));
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
    let id = match wish.id {
        Some(id) => node::take_id(id)?,
        None => node::next_id()?,
    };
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
    let leaves = |node: &Node| node.goal == State::Dropped || node.wish == Some(State::Dropped);
    if scene.group.node(id).is_some_and(leaves) {
        return taken(
            format!("node {id} at this address is being dropped"),
            "Wait until it is gone, then try again.",
        );
    }
    Ok(id)
}
