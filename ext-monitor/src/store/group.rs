//! The tables `group_state` and `reign`: term, rule, election and who reigned when.
use super::node::{self, Member};
use super::password::{self, FRESH_NUMBER};
use super::{fetch, write};
use crate::board::{Board, NodeSlot};
use crate::error::Error;
use crate::{gucs, pg};
use fsm::group::{Election, Group, LostReign, NextRule, Reign};
use fsm::monitor::time_outs::RULES_BY_TIME_OUT;
use fsm::password::Password;
use fsm::rule::Rule;
use fsm::units::{Millis, Moment, NodeId, RuleNumber, Term};
use node_files::revision::Revision;
use pgrx::{JsonB, pg_sys};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A group as it is stored.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Stored {
    /// Its formation.
    pub formation: String,
    /// Its number in the formation.
    pub number: i32,
    /// Of the formation.
    pub number_sync_standbys: u32,
    /// For streaming between its nodes.
    pub replication_password: Password,
    /// Of the nodes' role on the monitor, when the monitor has made one.
    pub node_password: Option<Password>,
    /// What decisions need.
    pub head: Head,
    /// Every recorded reign, oldest first.
    pub reigns: Vec<Reign>,
    /// The latest reigns that a time-out has ended, oldest first.
    pub lost_reigns: Vec<Lost>,
    /// Its nodes, by id.
    pub members: Vec<Member>,
}

/// A row of `failover`, as far as it is about patience.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct Lost {
    writer: NodeId,
    ms_ago: Millis,
}

/// What of a group's row decisions change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// See [`Group::term`].
    pub term: Term,
    /// See [`Group::rule`].
    pub rule: Rule,
    /// See [`Group::next_rule`].
    pub next_rule: Option<NextRule>,
    /// See [`Group::election`].
    pub election: Option<Election>,
    /// See [`Group::unleased`].
    pub unleased: bool,
    /// See [`Group::wanted`].
    pub wanted: Option<NodeId>,
    /// See [`Group::behind`].
    pub behind: bool,
    /// See [`Group::awaited`].
    pub awaited: BTreeSet<NodeId>,
    /// See [`Group::epoch`].
    pub epoch: u64,
    /// See [`Group::succeeds`].
    pub succeeds: BTreeSet<u64>,
    /// How many changes the group's rows have seen.
    pub revision: u64,
    /// See [`Group::last_rule_number`].
    pub last_rule_number: RuleNumber,
    /// The longest lease ever granted: after a restart of the monitor one of that length may still run.
    pub longest_lease_ms: Millis,
}

/// The group of a node.
pub fn of_node(id: NodeId) -> Result<i32, Error> {
    let found = fetch("SELECT groupserial FROM pgautofailover.node_state WHERE nodeid = $1", &[id.0.into()])?;
    found.ok_or(Error::UnknownNode(id))
}

/// The group that awaits a node which another monitor knew.
pub fn awaiting(id: NodeId) -> Result<Option<i32>, Error> {
    fetch(
        "SELECT groupserial FROM pgautofailover.group_state WHERE awaited @> pg_catalog.to_jsonb($1)",
        &[id.0.into()],
    )
}

/// The group of that number in the formation.
pub fn of_formation(formation: &str, number: i32) -> Result<i32, Error> {
    let found = fetch(
        "SELECT groupserial FROM pgautofailover.group_state WHERE formationid = $1 AND groupid = $2",
        &[formation.into(), number.into()],
    )?;
    found.ok_or_else(|| Error::NoGroup { formation: formation.to_owned(), number })
}

/// The same, made when it does not exist.
pub fn of_formation_or_new(formation: &str, number: i32) -> Result<i32, Error> {
    match of_formation(formation, number) {
        Err(Error::NoGroup { .. }) => {
            write(
                &format!(
                    "INSERT INTO pgautofailover.group_state
                            (formationid, groupid, replication_password, replication_password_number)
                     VALUES ($1, $2, $3, {FRESH_NUMBER}) ON CONFLICT (formationid, groupid) DO NOTHING"
                ),
                &[formation.into(), number.into(), password::fresh()?.into()],
            )?;
            of_formation(formation, number)
        }
        other => other,
    }
}

/// Every group's serial number.
pub fn all() -> Result<Vec<i32>, Error> {
    let found: Option<Vec<i32>> = fetch(
        "SELECT pg_catalog.array_agg(groupserial ORDER BY groupserial) FROM pgautofailover.group_state",
        &[],
    )?;
    Ok(found.unwrap_or_default())
}

/// The serial numbers of a formation's groups.
pub fn all_of(formation: &str) -> Result<Vec<i32>, Error> {
    let found: Option<Vec<i32>> = fetch(
        "SELECT pg_catalog.array_agg(groupserial ORDER BY groupserial) FROM pgautofailover.group_state
          WHERE formationid = $1",
        &[formation.into()],
    )?;
    Ok(found.unwrap_or_default())
}

/// Waits until nobody else evaluates the group. Held to the end of the transaction.
pub fn lock(serial: i32) -> Result<(), Error> {
    pg::lock_group(table()?, serial);
    Ok(())
}

/// The table's identity; groups 0 and below, which there are not, stand for what belongs to no group.
pub fn table() -> Result<pg_sys::Oid, Error> {
    let table = fetch("SELECT 'pgautofailover.group_state'::pg_catalog.regclass::oid", &[])?;
    table.ok_or_else(|| Error::Internal("the table pgautofailover.group_state is missing".into()))
}

const LOAD: &str = "
SELECT jsonb_build_object(
  'formation', g.formationid, 'number', g.groupid, 'number_sync_standbys', f.number_sync_standbys,
  'replication_password', jsonb_build_object('number', g.replication_password_number, 'text', g.replication_password),
  'node_password', (SELECT jsonb_build_object('number', w.number, 'text', w.password) FROM pgautofailover.node_password w),
  'head', jsonb_build_object(
     'term', g.term, 'rule', g.rule, 'next_rule', g.next_rule, 'election', g.election, 'unleased', g.unleased,
     'wanted', g.wanted, 'behind', g.behind, 'awaited', g.awaited, 'epoch', g.epoch, 'succeeds', g.succeeds,
     'revision', g.revision,
     'last_rule_number', g.last_rule_number, 'longest_lease_ms', g.longest_lease_ms),
  'reigns', coalesce(
     (SELECT jsonb_agg(jsonb_build_object('term', r.term, 'writer', r.writer, 'timeline', r.timeline,
                                          'switch_lsn', r.switch_lsn) ORDER BY r.term)
        FROM pgautofailover.reign r WHERE r.groupserial = g.groupserial), '[]'),
  'lost_reigns', coalesce(
     (SELECT jsonb_agg(jsonb_build_object('writer', l.old_writer, 'ms_ago',
                greatest(0, extract(epoch FROM clock_timestamp() - l.convicted) * 1000)::bigint) ORDER BY l.term)
        FROM pgautofailover.failover l
       WHERE l.groupserial = g.groupserial AND l.cause = ANY ($2) AND l.old_writer IS NOT NULL
         AND l.convicted > greatest(g.failovers_forgotten, clock_timestamp() - $3 * interval '1 ms')), '[]'),
  'members', coalesce(
     (SELECT jsonb_agg(jsonb_build_object(
         'id', n.nodeid, 'name', n.nodename, 'host', n.nodehost, 'port', n.nodeport, 'cluster', n.nodecluster,
         'system_identifier', n.sysidentifier, 'pg_is_running', n.reportedpgisrunning, 'rep_state', n.reportedrepstate,
         'note', n.note,
         'passwords', jsonb_build_object('replication', n.replication_password_number, 'monitor', n.monitor_password_number),
         'state', jsonb_build_object(
            'priority', n.candidatepriority, 'quorum', n.replicationquorum, 'goal', n.goalstate, 'wish', n.wish,
            'reported', n.reportedstate, 'term', n.term, 'pledge', n.pledge, 'history', n.history,
            'timeline', n.reportedtli, 'promotion', n.promotion, 'rule', n.rule_number, 'in_force', n.in_force,
            'checkpoint_timeline', n.checkpoint_tli, 'in_recovery', n.in_recovery, 'fenced', n.fenced,
            'leaving', n.leaving, 'stuck', n.stuck, 'receiver', n.receiver, 'followers', n.followers,
            'boots', jsonb_build_object('count', n.boot, 'life', n.life), 'old_image', n.old_image),
         'lsn', n.reportedlsn) ORDER BY n.nodeid)
        FROM pgautofailover.node_state n WHERE n.groupserial = g.groupserial), '[]'))
FROM pgautofailover.group_state g JOIN pgautofailover.formation f USING (formationid)
WHERE g.groupserial = $1";

/// Has the failovers that were count no longer.
pub fn forget_failovers(serial: i32) -> Result<(), Error> {
    write(
        "UPDATE pgautofailover.group_state SET failovers_forgotten = pg_catalog.clock_timestamp() WHERE groupserial = $1",
        &[serial.into()],
    )
}

/// Reads a group.
pub fn load(serial: i32) -> Result<Stored, Error> {
    let (counted, window) = (RULES_BY_TIME_OUT.to_vec(), gucs::policy().flapping_window.0.cast_signed());
    let found: Option<JsonB> = fetch(LOAD, &[serial.into(), counted.into(), window.into()])?;
    let JsonB(value) = found.ok_or(Error::UnknownGroup(serial))?;
    Ok(serde_json::from_value(value)?)
}

impl Stored {
    /// What its rows have come to.
    pub fn revision(&self) -> Revision {
        Revision { epoch: self.head.epoch, number: self.head.revision }
    }

    /// The group as a value, with what the board knows of the moment. `granted_until` is what the board says.
    pub fn group(&self, board: &mut Board, granted_until: Moment, margin: Millis, now: Moment) -> Group {
        let from_before = board.started.plus(self.head.longest_lease_ms).plus(margin);
        let slot = |board: &mut Board, id| -> Option<NodeSlot> { board.node(id).copied() };
        let nodes =
            self.members.iter().map(|member| member.node(slot(board, member.id).as_ref(), board.started));
        let nodes = nodes.collect();
        // What was before the machine started counts from that: its clock knows no earlier moment.
        let lost =
            |lost: &Lost| LostReign { writer: lost.writer, at: Moment(now.since(Moment(lost.ms_ago.0)).0) };
        Group {
            term: self.head.term,
            reigns: self.reigns.clone(),
            election: self.head.election.clone(),
            rule: self.head.rule.clone(),
            next_rule: self.head.next_rule.clone(),
            unleased: self.head.unleased,
            last_rule_number: self.head.last_rule_number,
            number_sync_standbys: self.number_sync_standbys,
            wanted: self.head.wanted,
            behind: self.head.behind,
            awaited: self.head.awaited.clone(),
            epoch: self.head.epoch,
            succeeds: self.head.succeeds.clone(),
            lost_reigns: self.lost_reigns.iter().map(lost).collect(),
            granted_until: granted_until.max(from_before),
            monitor_started: board.started,
            nodes,
        }
    }
}

/// Writes what has changed from `before`, with the nodes described in `members`. What the rows have come to when anything had.
pub fn save(
    serial: i32,
    before: &Stored,
    group: &Group,
    members: &[Member],
    lease: Millis,
) -> Result<Option<Revision>, Error> {
    let mut head = Head {
        term: group.term,
        rule: group.rule.clone(),
        next_rule: group.next_rule.clone(),
        election: group.election.clone(),
        unleased: group.unleased,
        wanted: group.wanted,
        behind: group.behind,
        awaited: group.awaited.clone(),
        epoch: group.epoch,
        succeeds: group.succeeds.clone(),
        revision: before.head.revision,
        last_rule_number: group.last_rule_number,
        longest_lease_ms: before.head.longest_lease_ms.max(lease),
    };
    let nodes_changed = node::save(serial, &before.members, group, members)?;
    let reigns_changed = group.reigns != before.reigns;
    if reigns_changed {
        save_reigns(serial, &before.reigns, &group.reigns)?;
    }
    if head == before.head && !nodes_changed && !reigns_changed {
        return Ok(None);
    }
    head.revision += 1;
    write(
        "UPDATE pgautofailover.group_state g
            SET term = x.term, rule = x.rule, next_rule = x.next_rule, election = x.election,
                unleased = x.unleased, wanted = x.wanted, behind = x.behind, awaited = x.awaited, epoch = x.epoch,
                succeeds = x.succeeds, revision = x.revision, last_rule_number = x.last_rule_number,
                longest_lease_ms = x.longest_lease_ms
           FROM pg_catalog.jsonb_to_record($2) AS x(term bigint, rule jsonb, next_rule jsonb, election jsonb,
                unleased bool, wanted bigint, behind bool, awaited jsonb, epoch bigint, succeeds jsonb, revision bigint,
                last_rule_number bigint, longest_lease_ms bigint)
          WHERE g.groupserial = $1",
        &[serial.into(), JsonB(serde_json::to_value(&head)?).into()],
    )?;
    Ok(Some(Revision { epoch: head.epoch, number: head.revision }))
}

fn save_reigns(serial: i32, before: &[Reign], after: &[Reign]) -> Result<(), Error> {
    if before.iter().any(|old| after.iter().all(|reign| reign.term != old.term)) {
        // Only the removal of a group's last node takes its history with it.
        write("DELETE FROM pgautofailover.reign WHERE groupserial = $1", &[serial.into()])?;
    }
    for reign in after.iter().filter(|reign| !before.contains(reign)) {
        write(
            "INSERT INTO pgautofailover.reign (groupserial, term, writer, timeline, switch_lsn)
             SELECT $1, x.term, x.writer, x.timeline, x.switch_lsn
               FROM pg_catalog.jsonb_to_record($2) AS x(term bigint, writer bigint, timeline int, switch_lsn pg_lsn)
             ON CONFLICT (groupserial, term) DO UPDATE
                SET writer = excluded.writer, timeline = excluded.timeline, switch_lsn = excluded.switch_lsn",
            &[serial.into(), JsonB(serde_json::to_value(reign)?).into()],
        )?;
    }
    Ok(())
}
