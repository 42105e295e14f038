//! What operators ask for.
use super::{ask, check_database};
use crate::error::Error;
use crate::evaluate::evaluate;
use crate::refuse::About;
use crate::store::group;
use crate::tell;
use fsm::monitor::operate::{self, Refusal};
use fsm::units::NodeId;
use pgrx::prelude::*;

/// `pgautofailover.perform_failover`: the primary drains, then an election follows.
#[pg_extern(sql = false)]
fn perform_failover(formation: &str, group_id: i32) {
    ask(&About::group("perform_failover", formation, group_id), || {
        check_database()?;
        evaluate(group::of_formation(formation, group_id)?, |scene| {
            tell::command(scene, None, "perform_failover")?;
            let (policy, now) = (scene.policy, scene.now);
            operate::perform_failover(&mut scene.group, &policy, now)
                .map_err(|why| Error::Refused { what: "a failover", why })
        })?;
        Ok(())
    });
}

/// `pgautofailover.remove_node`: false when there is no such node, so that it can be repeated.
#[pg_extern(sql = false)]
fn remove_node(node_id: i64, force: bool) -> bool {
    ask(&About::node("remove_node", node_id), || {
        check_database()?;
        let id = NodeId(node_id);
        let serial = match group::of_node(id) {
            Err(Error::UnknownNode(_)) => return Ok(false),
            other => other?,
        };
        let (found, _) = evaluate(serial, |scene| {
            tell::command(scene, Some(id), if force { "remove_node by force" } else { "remove_node" })?;
            let (policy, now) = (scene.policy, scene.now);
            match operate::remove(&mut scene.group, id, force, &policy, now) {
                Ok(_) => Ok(true),
                Err(Refusal::NoSuchNode) => Ok(false),
                Err(why) => Err(Error::Refused { what: "removing the node", why }),
            }
        })?;
        Ok(found)
    })
}

/// `pgautofailover.set_node_system_identifier`.
#[pg_extern(sql = false)]
fn set_system_identifier(node_id: i64, system_identifier: i64) {
    ask(&About::node("set_node_system_identifier", node_id), || {
        check_database()?;
        let id = NodeId(node_id);
        evaluate(group::of_node(id)?, |scene| {
            super::heartbeat::check_cluster(scene, id, system_identifier)?;
            let member = scene.member_mut(id).ok_or(Error::UnknownNode(id))?;
            member.system_identifier = system_identifier;
            Ok(())
        })?;
        Ok(())
    });
}
