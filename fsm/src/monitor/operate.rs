//! What operators and new nodes ask for. Each is a change of the group or a refusal; the rules do the rest.
use super::Facts;
use crate::group::{Group, Node, Reign};
use crate::policy::Policy;
use crate::rule::Rule;
use crate::state::State;
use crate::units::{Lsn, Moment, NodeId, Timeline};
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
            Refusal::IsPrimary => "Perform a failover first, then drop the node.",
            Refusal::TooFewMembers => "Add a standby or lower number_sync_standbys first.",
            Refusal::NoSuchNode => "pg_autoctl show state lists the nodes.",
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
        State::Single
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

/// Starts a switchover: the primary drains, then an election follows.
pub fn perform_failover(group: &mut Group, policy: &Policy, now: Moment) -> Result<(), Refusal> {
    let facts = Facts::new(group, policy, now);
    if group.election.is_some() {
        return Err(Refusal::ElectionOpen);
    }
    let writer = facts.writer().ok_or(Refusal::NoWriter)?;
    if !writer.goal.writes() || !writer.settled() || !facts.in_contact(writer) {
        return Err(Refusal::Unsettled);
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
    let is_writer = group.reign().is_some_and(|reign| reign.writer == id);
    let last = group.nodes.len() == 1;
    if is_writer && !last {
        return Err(Refusal::IsPrimary);
    }
    let named = group.members();
    if named.contains(&id) {
        if group.election.is_some() {
            return Err(Refusal::ElectionOpen);
        }
        if named.len() <= group.number_sync_standbys as usize {
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
        node.goal = State::Dropped;
        node.goal_since = now;
    }
    Ok(Removal::UnderWay)
}
