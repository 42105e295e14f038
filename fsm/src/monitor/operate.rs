//! What operators and new nodes ask for. Each is a change of the group or a refusal; the rules do the rest.
use super::Facts;
use crate::boots::Boots;
use crate::group::{Group, Node, Reign, Session};
use crate::message::Report;
use crate::policy::Policy;
use crate::rule::Rule;
use crate::state::State;
use crate::units::{Lsn, Moment, NodeId, Term, Timeline};
use std::collections::BTreeSet;
use std::fmt;

/// Why something cannot be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No primary that can take a standby: try again (55006).
    NoPrimaryYet,
    /// An election is open.
    ElectionOpen,
    /// The group has no recorded writer.
    NoWriter,
    /// The primary has not reached its goal, or does not report.
    Unsettled,
    /// The rule is being changed.
    RuleChanging,
    /// No healthy standby is covered by the rule.
    NoCandidate,
    /// The node is the primary, and not the last node.
    IsPrimary,
    /// Without the node, fewer members than number_sync_standbys would be left.
    TooFewMembers,
    /// No such node in the group.
    NoSuchNode,
    /// The node that is wanted as primary is not covered, or not well.
    NotReady,
    /// Only a standby that follows can be put in maintenance.
    NoStandby,
    /// A monitor that was built from the nodes does not know all of them yet.
    Incomplete,
    /// The group has a primary, and the node writes too.
    HasPrimary,
    /// The node belongs to an election of which this monitor knows nothing.
    ForeignTerm,
    /// The pledge of the node may be what an election needs.
    NeededByElection,
    /// The node is the recorded writer, whether it is there or not.
    IsWriter,
    /// The recorded writer is there, or may be: it answers, or others stream from it.
    WriterLives,
    /// An election can find its pledges, or has.
    ElectionPossible,
    /// The monitor has just started.
    JustStarted,
    /// It does not report as a standby with data of a recorded history.
    NoCopy,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::NoPrimaryYet => "no primary can take a standby at this moment",
            Refusal::ElectionOpen => "an election is under way",
            Refusal::NoWriter => "the group has no primary",
            Refusal::Unsettled => "the primary has not reached its assigned state, or does not report",
            Refusal::RuleChanging => "the set of synchronous standbys is being changed",
            Refusal::NoCandidate => {
                "no healthy standby is covered by synchronous replication and may be promoted"
            }
            Refusal::IsPrimary => "the node is the primary",
            Refusal::TooFewMembers => "fewer standbys would be left than number_sync_standbys asks for",
            Refusal::NoSuchNode => "the group has no such node",
            Refusal::NotReady => {
                "the node is not a healthy standby that is covered by synchronous replication"
            }
            Refusal::NoStandby => "the node is not a standby that follows the primary",
            Refusal::Incomplete => {
                "nodes that are named have not come to this monitor yet, and it may know less than they do"
            }
            Refusal::HasPrimary => "the group has another primary",
            Refusal::ForeignTerm => "the node is part of an election, or has not reached its assigned state",
            Refusal::NeededByElection => "an election is under way, and may need what only this node has",
            Refusal::IsWriter => "the node is the recorded primary",
            Refusal::WriterLives => {
                "the primary may be alive: it reports, its server answers, or a standby receives from it"
            }
            Refusal::ElectionPossible => "an ordinary failover is possible, or under way, and loses nothing",
            Refusal::JustStarted => "the monitor has just started, and has not heard from every node",
            Refusal::NoCopy => {
                "the node does not report as a standby with data whose history is recorded here"
            }
        })
    }
}

impl Refusal {
    /// What to do next, in one sentence.
    pub const fn hint(self) -> &'static str {
        match self {
            Refusal::NoPrimaryYet | Refusal::ElectionOpen | Refusal::Unsettled | Refusal::RuleChanging => {
                "Wait until pg_autoctl show state shows a settled group, then try again."
            }
            Refusal::NoWriter => "Register a first node with pg_autoctl create postgres.",
            Refusal::NoCandidate => "Wait until a standby is in state secondary, then try again.",
            Refusal::IsPrimary => {
                "Perform a failover first, then repeat the call. For maintenance, pg_autoctl enable maintenance --allow-failover does both."
            }
            Refusal::TooFewMembers => "Add a standby or lower number_sync_standbys first.",
            Refusal::NoSuchNode | Refusal::HasPrimary => "pg_autoctl show state lists the nodes.",
            Refusal::NotReady | Refusal::NoStandby => {
                "Wait until pg_autoctl show state shows it as secondary, then try again."
            }
            Refusal::Incomplete => {
                "Run pg_autoctl config set pg_autoctl.monitor on the missing nodes, or drop them with --force."
            }
            Refusal::NeededByElection => {
                "Start the node's server; when it is gone for good, pg_autoctl perform force-promotion of another node, then drop this one."
            }
            Refusal::IsWriter => {
                "Start its server: where nobody was promoted meanwhile, it writes again by itself."
            }
            Refusal::WriterLives => {
                "With the primary in contact: pg_autoctl perform failover or promotion. Where only its connection to the monitor is broken: mend that, or stop its server."
            }
            Refusal::ElectionPossible => {
                "Wait: pg_autoctl show state says for what. Afterwards pg_autoctl perform promotion chooses another primary."
            }
            Refusal::JustStarted => "Try again after pgautofailover.startup_grace_period.",
            Refusal::NoCopy => {
                "Start its server, and see pg_autoctl show state. One that somebody promoted by hand is none to promote: save what it alone has."
            }
            Refusal::ForeignTerm => "Wait until its former monitor shows a settled group, then try again.",
        }
    }
}

/// Takes a new node into the group and returns its first goal.
pub fn register(
    group: &mut Group,
    id: NodeId,
    priority: u8,
    quorum: bool,
    policy: &Policy,
    now: Moment,
) -> Result<State, Refusal> {
    let goal = if group.nodes.is_empty() {
        // Terms go on where the group's last node left them: an old one must never look current again.
        group.term = group.term.next();
        group.reigns =
            vec![Reign { term: group.term, writer: id, timeline: Timeline(0), switch_lsn: Lsn(0) }];
        group.unleased = true;
        (group.rule, group.next_rule, group.election) = (Rule::default(), None, None);
        (group.wanted, group.behind, group.awaited) = (None, false, BTreeSet::new());
        State::Single
    } else if group.behind {
        return Err(Refusal::Incomplete);
    } else {
        let facts = Facts::new(group, policy, now);
        let takes = facts.writer().is_some_and(|writer| writer.goal.writes() && facts.in_contact(writer));
        if group.election.is_some() || !takes {
            return Err(Refusal::NoPrimaryYet);
        }
        State::WaitStandby
    };
    group.nodes.push(Node::registered(id, priority, quorum, goal, now));
    Ok(goal)
}

/// Starts a switchover: the primary drains, then an election follows. One that is silent cannot drain: the election follows once
/// no lease of it can run any more, however patient the monitor would be by itself.
pub fn perform_failover(group: &mut Group, policy: &Policy, now: Moment) -> Result<(), Refusal> {
    let facts = Facts::new(group, policy, now);
    let writer = writer_at_rest(&facts)?;
    if !facts.in_contact(writer) && facts.in_startup_grace() {
        return Err(Refusal::JustStarted);
    }
    if group.next_rule.is_some() {
        return Err(Refusal::RuleChanging);
    }
    if !facts.can_elect() {
        return Err(Refusal::NoCandidate);
    }
    let id = writer.id;
    if let Some(writer) = group.node_mut(id) {
        writer.goal = State::Draining;
        writer.goal_since = now;
    }
    Ok(())
}

/// The primary that operators' requests go through: it has reached its state and reports.
fn settled_writer<'a>(facts: &Facts<'a>) -> Result<&'a Node, Refusal> {
    writer_at_rest(facts)
        .and_then(|writer| facts.in_contact(writer).then_some(writer).ok_or(Refusal::Unsettled))
}

/// The same, whether it reports or not.
fn writer_at_rest<'a>(facts: &Facts<'a>) -> Result<&'a Node, Refusal> {
    if facts.group.is_incomplete() {
        return Err(Refusal::Incomplete);
    }
    if facts.group.election.is_some() {
        return Err(Refusal::ElectionOpen);
    }
    let writer = facts.writer().ok_or(Refusal::NoWriter)?;
    if !writer.goal.writes() || !writer.settled() {
        return Err(Refusal::Unsettled);
    }
    Ok(writer)
}

/// A switchover to a certain node, whatever its priority. False: it is the primary already.
pub fn perform_promotion(
    group: &mut Group,
    id: NodeId,
    policy: &Policy,
    now: Moment,
) -> Result<bool, Refusal> {
    let mut wish = Group { wanted: Some(id), ..group.clone() };
    let facts = Facts::new(&wish, policy, now);
    let node = wish.node(id).ok_or(Refusal::NoSuchNode)?;
    if writer_at_rest(&facts)?.id == id {
        return Ok(false);
    }
    let named = wish.members();
    let covered = named.contains(&id) || (named.is_empty() && node.goal == State::Secondary);
    if !covered || !facts.ready_to_pledge().contains(&id) {
        return Err(Refusal::NotReady);
    }
    perform_failover(&mut wish, policy, now)?;
    *group = wish;
    Ok(true)
}

/// Has a standby taken out of the rule, so that its server may be taken down. Repeating it changes nothing.
pub fn start_maintenance(group: &mut Group, id: NodeId, policy: &Policy, now: Moment) -> Result<(), Refusal> {
    let facts = Facts::new(group, policy, now);
    let node = group.node(id).ok_or(Refusal::NoSuchNode)?;
    if matches!(node.goal, State::WaitMaintenance | State::Maintenance) {
        return Ok(());
    }
    if group.reign().is_some_and(|reign| reign.writer == id) {
        return Err(Refusal::IsPrimary);
    }
    settled_writer(&facts)?;
    if !node.goal.follows() {
        return Err(Refusal::NoStandby);
    }
    if group.members().contains(&id) && members_that_stay(group, id) < group.number_sync_standbys as usize {
        return Err(Refusal::TooFewMembers);
    }
    assign(group, id, State::WaitMaintenance, now);
    Ok(())
}

/// The members besides that one which are not on their way out themselves: they cannot all be waited for in vain.
pub(super) fn members_that_stay(group: &Group, without: NodeId) -> usize {
    let stays =
        |id: &NodeId| *id != without && group.node(*id).is_none_or(|node| !node.goal.leaves_the_rule());
    group.members().iter().filter(|id| stays(id)).count()
}

/// Ends a maintenance, or the wait for one: the node catches up. One that commits wait for still, since the primary has not
/// confirmed a rule without it, stays what it was: who catches up may be copied anew (law 7). For any other node there is nothing to do.
pub fn stop_maintenance(group: &mut Group, id: NodeId, now: Moment) -> Result<(), Refusal> {
    let node = group.node(id).ok_or(Refusal::NoSuchNode)?;
    let goal = node.goal;
    let is_covered = group.rule.members.contains(&id) && node.old_image.is_none();
    if let Some(node) = group.node_mut(id) {
        node.wish = node.wish.filter(|wish| *wish != State::WaitMaintenance);
    }
    if matches!(goal, State::WaitMaintenance | State::Maintenance) {
        assign(group, id, if is_covered { State::Secondary } else { State::CatchingUp }, now);
    }
    Ok(())
}

fn assign(group: &mut Group, id: NodeId, goal: State, now: Moment) {
    if let Some(node) = group.node_mut(id) {
        (node.goal, node.goal_since) = (goal, now);
    }
}

/// Says how much a node is wished as primary. A priority above 100 is for the caller to refuse.
pub fn set_priority(group: &mut Group, id: NodeId, priority: u8) -> Result<(), Refusal> {
    group.node_mut(id).ok_or(Refusal::NoSuchNode)?.priority = priority;
    Ok(())
}

/// Says whether commits may wait for a node. What follows from it for the rule is for the rules.
pub fn set_quorum(group: &mut Group, id: NodeId, quorum: bool) -> Result<(), Refusal> {
    group.node(id).ok_or(Refusal::NoSuchNode)?;
    let voters = group.nodes.iter().filter(|node| node.quorum && node.id != id).count();
    // One of them is the writer, which does not wait for itself.
    if !quorum && voters <= group.number_sync_standbys as usize && group.number_sync_standbys > 0 {
        return Err(Refusal::TooFewMembers);
    }
    group.node_mut(id).ok_or(Refusal::NoSuchNode)?.quorum = quorum;
    Ok(())
}

/// Whether commits of this group could wait for `number` standbys: there must be one more, so that one may be lost. 0 is always possible.
pub fn can_wait_for(group: &Group, number: u32) -> bool {
    let voters = group.nodes.iter().filter(|node| node.quorum).count();
    number == 0 || voters > number as usize + 1
}

/// Takes a node of another monitor into this one, in the role it has. `rule` is the one in force on it. A group that knows no other
/// is behind from then on: what its nodes tell counts when all have come that they name.
pub fn adopt(
    group: &mut Group,
    report: &Report,
    rule: &Rule,
    priority: u8,
    quorum: bool,
    now: Moment,
) -> Result<State, Refusal> {
    let id = report.node;
    if group.nodes.is_empty() {
        // What its last node has left behind says nothing about who comes now; only numbers go on.
        *group = Group {
            term: group.term,
            last_rule_number: group.last_rule_number,
            number_sync_standbys: group.number_sync_standbys,
            granted_until: group.granted_until,
            monitor_started: group.monitor_started,
            epoch: group.epoch,
            succeeds: group.succeeds.clone(),
            behind: true,
            ..Group::default()
        };
    }
    let goal = role_to_keep(group, report).ok_or(Refusal::ForeignTerm)?;
    if group.node(id).is_some() || (group.election.is_some() && !group.behind) {
        return Err(Refusal::ElectionOpen);
    }
    if goal.writes() {
        let writes = |node: &Node| node.reported.writes() && node.history == report.history;
        if !group.behind || group.nodes.iter().any(writes) {
            return Err(Refusal::HasPrimary);
        }
        if report.history == Term(0) || report.promotion.is_some_and(|made| made.term != report.history) {
            return Err(Refusal::ForeignTerm);
        }
    } else {
        let heard = report.pledge.max(report.term);
        // One that follows has heard of nothing later than what it follows, unless an election is under way.
        if (group.behind && goal.follows() && heard > report.history) || (!group.behind && heard > group.term)
        {
            return Err(Refusal::ForeignTerm);
        }
    }
    if report.epoch > 0 {
        group.succeeds.insert(report.epoch);
    }
    group.nodes.push(Node::registered(id, priority, quorum, goal, now));
    group.nodes.sort_by_key(|node| node.id);
    if group.behind {
        // Heard as one that was awaited: whom it names is awaited from now on.
        group.awaited.insert(id);
    }
    let report = Report { in_force: Some(rule.clone()), ..report.clone() };
    group.hear(&report, Session::Never, now);
    Ok(goal)
}

/// The goal that leaves a node as it is. Of a standby that the writer's rule does not name nobody knows that it is covered.
fn role_to_keep(group: &Group, report: &Report) -> Option<State> {
    if report.in_recovery == report.state.writes() {
        return None;
    }
    let covered = group.behind || group.rule.members.contains(&report.node);
    let state = report.state;
    if state == State::WaitMaintenance || (state == State::Secondary && !covered) {
        return Some(State::CatchingUp);
    }
    let keeps = matches!(state, State::CatchingUp | State::Secondary | State::Maintenance);
    // In the middle of an election, or after a restart that the monitor before did not see. It comes as it is: all are asked.
    let interrupted = group.behind && matches!(state, State::Demoted | State::ReportLsn);
    (keeps || interrupted || state.writes()).then_some(state)
}

/// An operator says that the disk of an earlier time which a node runs on is the one to go on with: what was acknowledged since is
/// given up.
pub(super) fn trust(group: &mut Group, id: NodeId) -> Result<(), Refusal> {
    let node = group.node_mut(id).ok_or(Refusal::NoSuchNode)?;
    if node.old_image.take().is_some() {
        // Its next report tells where its starts are counted from now on.
        node.boots = Boots::default();
    }
    Ok(())
}

/// What became of a request to remove a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It is no longer of the group.
    Done,
    /// It is told to leave, and goes once no rule needs it.
    UnderWay,
}

/// Removes a node. With `force` it is not waited for; the rule that names it is changed first all the same.
pub fn remove(
    group: &mut Group,
    id: NodeId,
    force: bool,
    policy: &Policy,
    now: Moment,
) -> Result<Removal, Refusal> {
    let facts = Facts::new(group, policy, now);
    facts.group.node(id).ok_or(Refusal::NoSuchNode)?;
    if group.behind {
        return Err(Refusal::Incomplete);
    }
    let is_writer = group.reign().is_some_and(|reign| reign.writer == id);
    let last = group.nodes.len() == 1;
    if is_writer && !last {
        return Err(Refusal::IsPrimary);
    }
    let named = group.members();
    if named.contains(&id) {
        if group.election.is_some() {
            return Err(Refusal::NeededByElection);
        }
        if members_that_stay(group, id) < group.number_sync_standbys as usize {
            return Err(Refusal::TooFewMembers);
        }
    }
    if last && force {
        group.nodes.clear();
        return Ok(Removal::Done);
    }
    if force && !named.contains(&id) {
        group.nodes.retain(|node| node.id != id);
        return Ok(Removal::Done);
    }
    if let Some(node) = group.node_mut(id) {
        (node.goal, node.goal_since, node.wish) = (State::Dropped, now, None);
    }
    Ok(Removal::UnderWay)
}
