//! Who may be promoted, and whose copies commits wait for.
use super::arguments::{self, given};
use super::request::Request;
use super::{ask, check_database};
use crate::error::Error;
use crate::refuse::About;
use crate::store::node;
use fsm::monitor::operate;
use pgrx::prelude::*;

/// `pgautofailover.set_node_candidate_priority`.
#[pg_extern(sql = false)]
fn set_node_candidate_priority(
    formation_id: Option<&str>,
    node_name: Option<&str>,
    candidate_priority: Option<i32>,
) -> bool {
    let about = About { formation: formation_id, ..About::call("set_node_candidate_priority") };
    ask(&about, || {
        check_database()?;
        let (formation, name) = (given(formation_id, "formation_id")?, given(node_name, "node_name")?);
        let priority = arguments::priority(given(candidate_priority, "candidate_priority")?)?;
        let id = node::called(formation, name)?;
        let request = Request {
            function: &format!("set_node_candidate_priority to {priority}"),
            what: "another candidate priority",
        };
        let done = request.of(id, |group, _, _| operate::set_priority(group, id, priority))?;
        done.map(|()| true).ok_or(Error::UnknownNode(id))
    })
}

/// `pgautofailover.set_node_replication_quorum`.
#[pg_extern(sql = false)]
fn set_node_replication_quorum(
    formation_id: Option<&str>,
    node_name: Option<&str>,
    replication_quorum: Option<bool>,
) -> bool {
    let about = About { formation: formation_id, ..About::call("set_node_replication_quorum") };
    ask(&about, || {
        check_database()?;
        let (formation, name) = (given(formation_id, "formation_id")?, given(node_name, "node_name")?);
        let quorum = given(replication_quorum, "replication_quorum")?;
        let id = node::called(formation, name)?;
        let request = Request {
            function: &format!("set_node_replication_quorum to {quorum}"),
            what: "another replication quorum",
        };
        let done = request.of(id, |group, _, _| operate::set_quorum(group, id, quorum))?;
        done.map(|()| true).ok_or(Error::UnknownNode(id))
    })
}
