//! The table `node_state`.
use super::{fetch, group, write};
use crate::board::NodeSlot;
use crate::error::Error;
use crate::pg;
use fsm::boots::{Boots, OldImage};
use fsm::group::{Group, Node, Probe, Session};
use fsm::message::{Promotion, Receiver};
use fsm::password::Passwords;
use fsm::rule::Rule;
use fsm::state::State;
use fsm::units::{Lsn, Moment, NodeId, RuleNumber, Term, Timeline};
use pgrx::JsonB;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A node as it is stored: who it is, and its state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// Its id.
    pub id: NodeId,
    /// Its label.
    pub name: String,
    /// Where its server listens.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The data centre or the like.
    pub cluster: String,
    /// Of its cluster; 0: not known yet.
    pub system_identifier: i64,
    /// As reported.
    pub pg_is_running: bool,
    /// As reported: what the primary sees of its replication.
    pub rep_state: String,
    /// What it waits for, or what went wrong last.
    pub note: Option<String>,
    /// The passwords that it holds.
    pub passwords: Passwords,
    /// What decisions look at.
    pub state: NodeState,
    /// The end of its WAL when the row was written last; the board knows better.
    pub lsn: Option<Lsn>,
}

/// The durable part of [`Node`]; each field is the one of the same name there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeState {
    pub priority: u8,
    pub quorum: bool,
    pub goal: State,
    pub wish: Option<State>,
    pub reported: State,
    pub term: Term,
    pub pledge: Term,
    pub history: Term,
    pub timeline: Timeline,
    pub promotion: Option<Promotion>,
    pub rule: RuleNumber,
    pub in_force: Rule,
    pub checkpoint_timeline: Timeline,
    pub in_recovery: bool,
    pub fenced: bool,
    pub leaving: bool,
    pub stuck: bool,
    pub receiver: Receiver,
    pub followers: BTreeSet<NodeId>,
    pub boots: Boots,
    pub old_image: Option<OldImage>,
}

impl NodeState {
    /// What of `node` is stored.
    pub fn of(node: &Node) -> NodeState {
        NodeState {
            priority: node.priority,
            quorum: node.quorum,
            goal: node.goal,
            wish: node.wish,
            reported: node.reported,
            term: node.term,
            pledge: node.pledge,
            history: node.history,
            timeline: node.timeline,
            promotion: node.promotion,
            rule: node.rule,
            in_force: node.in_force.clone(),
            checkpoint_timeline: node.checkpoint_timeline,
            in_recovery: node.in_recovery,
            fenced: node.fenced,
            leaving: node.leaving,
            stuck: node.stuck,
            receiver: node.receiver,
            followers: node.followers.clone(),
            boots: node.boots,
            old_image: node.old_image,
        }
    }
}

impl Member {
    /// The node as a value, with what the board knows of the moment. `unknown_since` stands for moments nobody saw.
    pub fn node(&self, slot: Option<&NodeSlot>, unknown_since: Moment) -> Node {
        let state = &self.state;
        Node {
            id: self.id,
            priority: state.priority,
            quorum: state.quorum,
            goal: state.goal,
            wish: state.wish,
            reported: state.reported,
            term: state.term,
            pledge: state.pledge,
            history: state.history,
            timeline: state.timeline,
            lsn: slot.and_then(|slot| slot.heard.and(Some(slot.lsn))).unwrap_or(self.lsn),
            promotion: state.promotion,
            rule: state.rule,
            in_force: state.in_force.clone(),
            checkpoint_timeline: state.checkpoint_timeline,
            in_recovery: state.in_recovery,
            fenced: state.fenced,
            leaving: state.leaving,
            stuck: state.stuck,
            receiver: state.receiver,
            followers: state.followers.clone(),
            boots: state.boots,
            old_image: state.old_image,
            receiver_since: slot.map_or(unknown_since, |slot| slot.receiver_since),
            heard: slot.and_then(|slot| slot.heard),
            session: slot.map_or(Session::Never, |slot| slot.session),
            session_since: slot.map_or(unknown_since, |slot| slot.session_since),
            probe: slot.map_or(Probe::Unknown, |slot| slot.probe),
            probe_since: slot.map_or(unknown_since, |slot| slot.probe_since),
            goal_since: slot.map_or(unknown_since, |slot| slot.goal_since),
        }
    }
}

/// Waits until nobody else takes node ids. Held to the end of the transaction.
pub fn lock_ids() -> Result<(), Error> {
    const NODE_IDS: i32 = -1;
    pg::lock_group(group::table()?, NODE_IDS);
    Ok(())
}

/// The next node id.
pub fn next_id() -> Result<NodeId, Error> {
    lock_ids()?;
    let given: Option<i64> = fetch("SELECT pg_catalog.nextval('pgautofailover.node_nodeid_seq')", &[])?;
    given.map(NodeId).ok_or_else(|| Error::Internal("the sequence of node ids gave nothing".into()))
}

/// This id, after which every one given by itself is larger.
pub fn take_id(id: NodeId) -> Result<NodeId, Error> {
    // Looking at a sequence and setting it are two steps: an id that was given in between would be given again.
    lock_ids()?;
    let _: Option<i64> = fetch(
        "SELECT pg_catalog.setval('pgautofailover.node_nodeid_seq', $1)
           FROM pgautofailover.node_nodeid_seq WHERE last_value <= $1",
        &[id.0.into()],
    )?;
    Ok(id)
}

/// Whether a node of any group has this id.
pub fn is_known(id: NodeId) -> Result<bool, Error> {
    let found: Option<i32> =
        fetch("SELECT 1 FROM pgautofailover.node_state WHERE nodeid = $1", &[id.0.into()])?;
    Ok(found.is_some())
}

/// The node at an address.
pub fn at(host: &str, port: i32) -> Result<Option<NodeId>, Error> {
    let found: Option<i64> = fetch(
        "SELECT nodeid FROM pgautofailover.node_state WHERE nodehost = $1 AND nodeport = $2",
        &[host.into(), port.into()],
    )?;
    Ok(found.map(NodeId))
}

/// The nodes that an operator means by this: the one at the address, or else those of that name and port.
pub fn named(name: &str, port: i32) -> Result<Vec<NodeId>, Error> {
    let found: Option<Vec<i64>> = fetch(
        "SELECT coalesce(pg_catalog.array_agg(nodeid) FILTER (WHERE nodehost = $1), pg_catalog.array_agg(nodeid))
           FROM pgautofailover.node_state WHERE nodeport = $2 AND $1 IN (nodehost, nodename)",
        &[name.into(), port.into()],
    )?;
    Ok(found.unwrap_or_default().into_iter().map(NodeId).collect())
}

/// The node of that name in the formation.
pub fn called(formation: &str, name: &str) -> Result<NodeId, Error> {
    let found: Option<i64> = fetch(
        "SELECT nodeid FROM pgautofailover.node_state WHERE formationid = $1 AND nodename = $2",
        &[formation.into(), name.into()],
    )?;
    found.map(NodeId).ok_or_else(|| Error::NoNode { formation: formation.to_owned(), name: name.to_owned() })
}

/// The formation and id of whoever has this address, or this name in the formation, and is not node `except`.
pub fn holder(
    formation: &str,
    name: &str,
    host: &str,
    port: u16,
    except: NodeId,
) -> Result<Option<(String, NodeId)>, Error> {
    let found: Option<JsonB> = fetch(
        "SELECT jsonb_build_array(formationid, nodeid) FROM pgautofailover.node_state
          WHERE ((nodehost = $3 AND nodeport = $4) OR (formationid = $1 AND nodename = $2)) AND nodeid <> $5
          ORDER BY nodehost = $3 AND nodeport = $4 DESC",
        &[formation.into(), name.into(), host.into(), i32::from(port).into(), except.0.into()],
    )?;
    Ok(found.map(|JsonB(value)| serde_json::from_value(value)).transpose()?)
}

/// Inserts, updates and deletes rows so that they say what `group` says. True when anything was to do.
pub fn save(serial: i32, before: &[Member], group: &Group, members: &[Member]) -> Result<bool, Error> {
    let mut changed = false;
    for old in before.iter().filter(|old| group.node(old.id).is_none()) {
        write("DELETE FROM pgautofailover.node_state WHERE nodeid = $1", &[old.id.0.into()])?;
        changed = true;
    }
    for node in &group.nodes {
        let described = members.iter().find(|member| member.id == node.id);
        let described =
            described.ok_or_else(|| Error::Internal(format!("node {} has no description", node.id)))?;
        let after = Member { state: NodeState::of(node), lsn: node.lsn, ..described.clone() };
        match before.iter().find(|old| old.id == node.id) {
            // Where WAL ends changes all the time; it is written when something else is.
            Some(old) if Member { lsn: old.lsn, ..after.clone() } == *old => {}
            Some(old) => {
                update(
                    &after,
                    old.state.goal != after.state.goal || old.state.reported != after.state.reported,
                )?;
                changed = true;
            }
            None => {
                insert(serial, &after)?;
                update(&after, true)?;
                changed = true;
            }
        }
    }
    Ok(changed)
}

fn insert(serial: i32, member: &Member) -> Result<(), Error> {
    write(
        "INSERT INTO pgautofailover.node_state (groupserial, formationid, groupid, nodeid, nodename, nodehost, nodeport)
         SELECT g.groupserial, g.formationid, g.groupid, $2, $3, $4, $5
           FROM pgautofailover.group_state g WHERE g.groupserial = $1",
        &[
            serial.into(),
            member.id.0.into(),
            member.name.as_str().into(),
            member.host.as_str().into(),
            i32::from(member.port).into(),
        ],
    )
}

fn update(member: &Member, state_changed: bool) -> Result<(), Error> {
    write(
        "UPDATE pgautofailover.node_state n
            SET nodename = x.name, nodehost = x.host, nodeport = x.port, nodecluster = x.cluster,
                sysidentifier = x.system_identifier, reportedpgisrunning = x.pg_is_running,
                reportedrepstate = x.rep_state, note = x.note, reportedlsn = x.lsn,
                reporttime = pg_catalog.clock_timestamp(), walreporttime = pg_catalog.clock_timestamp(),
                statechangetime = CASE WHEN $2 THEN pg_catalog.clock_timestamp() ELSE n.statechangetime END,
                candidatepriority = s.priority, replicationquorum = s.quorum, goalstate = s.goal,
                wish = s.wish, reportedstate = s.reported, term = s.term, pledge = s.pledge, history = s.history,
                reportedtli = s.timeline, promotion = s.promotion, rule_number = s.rule, in_force = s.in_force,
                checkpoint_tli = s.checkpoint_timeline, in_recovery = s.in_recovery, fenced = s.fenced,
                leaving = s.leaving, stuck = s.stuck, receiver = s.receiver, followers = s.followers,
                boot = (s.boots->>'count')::bigint, life = (s.boots->>'life')::bigint, old_image = s.old_image,
                replication_password_number = p.replication, monitor_password_number = p.monitor
           FROM pg_catalog.jsonb_to_record($1) AS x(id bigint, name text, host text, port int, cluster text,
                system_identifier bigint, pg_is_running bool, rep_state text, note text, lsn pg_lsn,
                passwords jsonb, state jsonb),
                pg_catalog.jsonb_to_record(x.passwords) AS p(replication bigint, monitor bigint),
                pg_catalog.jsonb_to_record(x.state) AS s(priority int, quorum bool,
                goal pgautofailover.replication_state, wish pgautofailover.replication_state,
                reported pgautofailover.replication_state, term bigint,
                pledge bigint, history bigint, timeline int, promotion jsonb, rule bigint, in_force jsonb, checkpoint_timeline int,
                in_recovery bool, fenced bool, leaving bool, stuck bool, receiver text, followers jsonb, boots jsonb, old_image jsonb)
          WHERE n.nodeid = x.id",
        &[JsonB(serde_json::to_value(member)?).into(), state_changed.into()],
    )
}
