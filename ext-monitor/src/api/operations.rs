//! What operators ask for.
use super::arguments::given;
use super::request::Request;
use super::{ask, check_database};
use crate::error::Error;
use crate::evaluate::evaluate;
use crate::refuse::About;
use crate::store::{group, node};
use crate::tell;
use fsm::monitor::{operate, resume};
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

/// `pgautofailover.forget_failovers`: those that were lengthen no time-out any more.
#[pg_extern(sql = false)]
fn forget_failovers(formation_id: Option<&str>, group_id: Option<i32>) {
    const WHAT: &str = "forget_failovers";
    let about = About { formation: formation_id, group: group_id, ..About::call(WHAT) };
    ask(&about, || {
        check_database()?;
        let (formation, number) = (given(formation_id, "formation_id")?, given(group_id, "group_id")?);
        evaluate(group::of_formation(formation, number)?, |scene| {
            tell::command(scene, None, WHAT)?;
            scene.group.lost_reigns.clear();
            group::forget_failovers(scene.serial)
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

const REMOVE: &str = "remove_node";

/// `pgautofailover.remove_node(bigint, bool)`: false when there is no such node, so that it can be repeated.
#[pg_extern(sql = false)]
fn remove_node(node_id: Option<i64>, force: Option<bool>) -> bool {
    let about = About { node: node_id.map(NodeId), ..About::call(REMOVE) };
    ask(&about, || remove(NodeId(given(node_id, "node_id")?), given(force, "force")?))
}

/// `pgautofailover.remove_node(text, int, bool)`: of the node at an address.
#[pg_extern(sql = false)]
fn remove_node_at(node_host: Option<&str>, node_port: Option<i32>, force: Option<bool>) -> bool {
    let about = About { address: node_host.zip(node_port), ..About::call(REMOVE) };
    ask(&about, || {
        check_database()?;
        let (host, port) = (given(node_host, "node_host")?, given(node_port, "node_port")?);
        let force = given(force, "force")?;
        match node::at(host, port)? {
            Some(id) => remove(id, force),
            None => Ok(false),
        }
    })
}

fn remove(id: NodeId, force: bool) -> Result<bool, Error> {
    check_database()?;
    if force && let Some(serial) = group::awaiting(id)? {
        let (found, _) = evaluate(serial, |scene| {
            tell::command(scene, None, &format!("{REMOVE} by force of node {id}, which is awaited"))?;
            Ok(resume::give_up(&mut scene.group, id))
        })?;
        return Ok(found);
    }
    let function = if force { "remove_node by force" } else { REMOVE };
    let removal = Request { function, what: "removing the node" };
    let done = removal.of(id, |group, policy, now| operate::remove(group, id, force, policy, now))?;
    Ok(done.is_some())
}
