//! What one node is told, read off the group: the part of an [`crate::message::Assignment`] that is decided here.
use super::Facts;
use crate::group::{Group, Node};
use crate::policy::Policy;
use crate::rule::Rule;
use crate::state::State;
use crate::units::{Lsn, Millis, Moment, NodeId, RuleNumber, Term, Timeline};

/// Whom to follow; `ext-monitor` adds host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamDraft {
    /// The node to follow.
    pub node: NodeId,
    /// The recorded term whose history it carries.
    pub term: Term,
    /// Its timeline.
    pub timeline: Timeline,
    /// See [`crate::message::Upstream::fork`].
    pub fork: Option<Lsn>,
    /// See [`crate::message::Upstream::rewindable`].
    pub rewindable: bool,
    /// See [`crate::message::Upstream::reach`].
    pub reach: Option<Lsn>,
}

/// An assignment without the addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The state to reach.
    pub goal: State,
    /// The term it belongs to.
    pub term: Term,
    /// A lease, for the recorded writer only.
    pub lease: Option<Millis>,
    /// The rule to have in force.
    pub rule: Rule,
    /// The offered rule.
    pub offer: Option<RuleNumber>,
    /// Whom to follow.
    pub upstream: Option<UpstreamDraft>,
    /// See [`crate::message::Assignment::elected`].
    pub elected: Option<NodeId>,
    /// See [`crate::message::Assignment::incomplete`].
    pub incomplete: bool,
    /// See [`crate::message::Assignment::count_on_from`].
    pub count_on_from: Option<u64>,
}

/// What `node` is told now. `None`: it is not of this group.
pub fn assignment(group: &Group, node: NodeId, policy: &Policy, now: Moment) -> Option<Draft> {
    let facts = Facts::new(group, policy, now);
    let node = group.node(node)?;
    if group.is_incomplete() {
        return Some(Draft::nothing(node));
    }
    let is_writer = group.reign().is_some_and(|reign| reign.writer == node.id);
    let reigns = is_writer && group.election.is_none() && node.goal.writes() && node.old_image.is_none();
    Some(Draft {
        goal: node.goal,
        term: group.term,
        lease: (reigns && node.term == group.term).then_some(policy.lease),
        rule: rule_for(group, node, is_writer),
        offer: group.next_rule.as_ref().filter(|next| reigns && next.offered).map(|next| next.rule.number),
        upstream: upstream_for(&facts, node),
        elected: elected_beside(group, node),
        incomplete: false,
        count_on_from: node.old_image.filter(|image| image.life != node.boots.life).map(|_| node.boots.count),
    })
}

impl Draft {
    /// What is said by a monitor that may know less than the node.
    fn nothing(node: &Node) -> Draft {
        Draft {
            goal: node.reported,
            term: node.term,
            lease: None,
            rule: Rule::default(),
            offer: None,
            upstream: None,
            elected: None,
            incomplete: true,
            count_on_from: None,
        }
    }
}

fn rule_for(group: &Group, node: &Node, is_writer: bool) -> Rule {
    match (&group.election, &group.next_rule) {
        (Some(election), _) if election.winner == Some(node.id) => election.rule.clone(),
        (None, Some(next)) if is_writer && !next.offered => {
            if node.reported.writes() || next.rule.is_empty() || node.rule == next.rule.number {
                return next.rule.clone();
            }
            // A writer that comes back writes by the rule before, for the members follow nobody who does not write.
            let alone_has_everything = group.rule.members.contains(&node.id);
            let members = if alone_has_everything { &next.rule } else { &group.rule };
            Rule { number: group.rule.number, ..members.clone() }
        }
        (None, _) if is_writer => group.rule.clone(),
        (Some(_) | None, _) => Rule::default(),
    }
}

/// Whom a node that has pledged will follow, while that one promotes.
fn elected_beside(group: &Group, node: &Node) -> Option<NodeId> {
    let winner = group.election.as_ref()?.winner.and_then(|winner| group.node(winner))?;
    let waits = node.goal == State::ReportLsn && node.id != winner.id;
    (waits && winner.goal == State::PreparePromotion).then_some(winner.id)
}

fn upstream_for(facts: &Facts, node: &Node) -> Option<UpstreamDraft> {
    let group = facts.group;
    let fork = if facts.is_impostor(node) { None } else { group.fork(group.history(node)) };
    if let (State::FastForward, Some(election)) = (node.goal, &group.election) {
        let best = super::election::most_advanced(facts, election.term).filter(|best| best.id != node.id)?;
        return Some(UpstreamDraft {
            node: best.id,
            term: group.history(best),
            timeline: best.timeline,
            fork,
            rewindable: false,
            reach: best.lsn,
        });
    }
    let (writer, reign) = (facts.writer()?, group.reign()?);
    let ready = group.election.is_none() && writer.goal.writes() && facts.has_opened_its_reign(writer);
    // Who cannot come down is told as well, for its clients.
    let is_told = node.goal.has_upstream() || node.goal == State::Demoted;
    (ready && is_told && node.id != writer.id).then(|| UpstreamDraft {
        node: writer.id,
        term: reign.term,
        timeline: reign.timeline,
        fork,
        rewindable: writer.checkpoint_timeline >= reign.timeline && writer.checkpoint_timeline > Timeline(0),
        reach: None,
    })
}
