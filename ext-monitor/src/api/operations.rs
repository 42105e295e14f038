//! What operators ask for.
use super::arguments::given;
use super::request::Request;
use super::{ask, check_database};
use crate::error::Error;
use crate::evaluate::evaluate;
use crate::refuse::About;
use crate::store::{group, node};
use crate::tell;
use fsm::monitor::operate;
use fsm::units::NodeId;
use pgrx::prelude::*;

/// `pgautofailover.perform_failover`: the primary drains, then an election follows.
#[pg_extern(sql = false)]
fn perform_failover(formation_id: Option<&str>, group_id: Option<i32>) {
    let about = About { formation: formation_id, group: group_id, ..About::call("perform_failover") };
    ask(&about, || {
        check_database()?;
        let (formation, number) = (given(formation_id, "formation_id")?, given(group_id, "group_id")?);
        evaluate(group::of_formation(formation, number)?, |scene| {
            tell::command(scene, None, "perform_failover")?;
            let (policy, now) = (scene.policy, scene.now);
            operate::perform_failover(&mut scene.group, &policy, now)
                .map_err(|why| Error::Refused { what: "a failover", why })
        })?;
        Ok(())
    });
}

/// `pgautofailover.perform_promotion`: the same, with a winner that is named. False: it is the primary already.
#[pg_extern(sql = false)]
fn perform_promotion(formation_id: Option<&str>, node_name: Option<&str>) -> bool {
    let about = About { formation: formation_id, ..About::call("perform_promotion") };
    ask(&about, || {
        check_database()?;
        let (formation, name) = (given(formation_id, "formation_id")?, given(node_name, "node_name")?);
        let id = node::called(formation, name)?;
        let promotion = Request { function: "perform_promotion", what: "a promotion of this node" };
        let done =
            promotion.of(id, |group, policy, now| operate::perform_promotion(group, id, policy, now))?;
        done.ok_or(Error::UnknownNode(id))
    })
}

/// `pgautofailover.remove_node`: false when there is no such node, so that it can be repeated.
#[pg_extern(sql = false)]
fn remove_node(node_id: Option<i64>, force: Option<bool>) -> bool {
    let about = About { node: node_id.map(NodeId), ..About::call("remove_node") };
    ask(&about, || {
        check_database()?;
        let (id, force) = (NodeId(given(node_id, "node_id")?), given(force, "force")?);
        if force && let Some(serial) = group::awaiting(id)? {
            let (found, _) = evaluate(serial, |scene| {
                tell::command(scene, None, &format!("remove_node by force of node {id}, which is awaited"))?;
                Ok(operate::give_up(&mut scene.group, id))
            })?;
            return Ok(found);
        }
        let function = if force { "remove_node by force" } else { "remove_node" };
        let removal = Request { function, what: "removing the node" };
        let done = removal.of(id, |group, policy, now| operate::remove(group, id, force, policy, now))?;
        Ok(done.is_some())
    })
}

/// `pgautofailover.set_node_system_identifier`.
#[pg_extern(sql = false)]
fn set_system_identifier(node_id: Option<i64>, sysid: Option<i64>) {
    let about = About { node: node_id.map(NodeId), ..About::call("set_node_system_identifier") };
    ask(&about, || {
        check_database()?;
        let (id, system_identifier) = (NodeId(given(node_id, "node_id")?), given(sysid, "sysid")?);
        evaluate(group::of_node(id)?, |scene| {
            super::heartbeat::check_cluster(scene, id, system_identifier)?;
            let member = scene.member_mut(id).ok_or(Error::UnknownNode(id))?;
            member.system_identifier = system_identifier;
            Ok(())
        })?;
        Ok(())
    });
}
