//! The table `event`.
use super::write_and_fetch;
use crate::error::Error;
use crate::store::node::Member;
use fsm::group::{Group, Node};
use pgrx::JsonB;
use serde_json::json;

/// What an event tells.
#[derive(Clone, Copy)]
pub struct Event<'a> {
    /// The formation it happened in; none: a refusal that names none we know.
    pub formation: Option<&'a str>,
    /// The group's number; none: the formation as a whole.
    pub group: Option<i32>,
    /// The node it is about, as it is after the event; none: the group.
    pub node: Option<(&'a Member, &'a Node)>,
    /// One sentence.
    pub description: &'a str,
    /// The rule that fired.
    pub rule: Option<&'a str>,
    /// What the rule saw.
    pub facts: Option<&'a Group>,
}

/// Writes it down; returns its id.
pub fn record(event: &Event) -> Result<i64, Error> {
    let mut row = json!({
        "formationid": event.formation,
        "groupid": event.group,
        "description": event.description,
        "rule": event.rule,
    });
    if let (Some((member, node)), Some(fields)) = (event.node, row.as_object_mut()) {
        let about = json!({
            "nodeid": node.id,
            "nodename": member.name,
            "nodehost": member.host,
            "nodeport": member.port,
            "reportedstate": node.reported,
            "goalstate": node.goal,
            "reportedrepstate": member.rep_state,
            "reportedtli": node.timeline,
            "reportedlsn": node.lsn.unwrap_or_default(),
            "candidatepriority": node.priority,
            "replicationquorum": node.quorum,
        });
        fields.extend(about.as_object().cloned().unwrap_or_default());
    }
    let facts = event.facts.map(serde_json::to_value).transpose()?;
    let id = write_and_fetch(
        "WITH made AS (
           INSERT INTO pgautofailover.event (formationid, nodeid, groupid, nodename, nodehost, nodeport, reportedstate,
                  goalstate, reportedrepstate, reportedtli, reportedlsn, candidatepriority, replicationquorum,
                  description, rule)
           SELECT formationid, nodeid, groupid, nodename, nodehost, nodeport, reportedstate, goalstate,
                  reportedrepstate, reportedtli, reportedlsn, candidatepriority, replicationquorum, description, rule
             FROM pg_catalog.jsonb_populate_record(NULL::pgautofailover.event, $1)
           RETURNING eventid),
         explained AS (INSERT INTO pgautofailover.event_facts SELECT eventid, $2 FROM made WHERE $2 IS NOT NULL)
         SELECT eventid FROM made",
        &[JsonB(row).into(), facts.map(JsonB).into()],
    )?;
    id.ok_or_else(|| Error::Internal("the table pgautofailover.event gave an event no number".into()))
}
