//! Rules that carry out what operators have asked for: maintenance, votes, how many standbys a commit waits for.
use super::Facts;
use super::operate::members_that_stay;
use super::rules::{assign, assign_where, is_free, nobody_to_wait_for, propose, settled_writer};
use crate::group::{Group, Node};
use crate::state::State;
use crate::units::NodeId;
use std::collections::BTreeSet;

/// An election came between an operator's word and the primary's that no commit waits for the node. The new rule names it only where
/// too few others are left; then it waits for them, as it would have been refused before.
pub(super) fn carry_out_what_was_asked(facts: &Facts) -> Option<Group> {
    let writer = settled_writer(facts)?;
    let group = facts.group;
    let ready = |node: &&Node| {
        let pledged = matches!(node.goal, State::ReportLsn | State::JoinSecondary | State::PreparePromotion);
        let needed = group.members().contains(&node.id)
            && members_that_stay(group, node.id) < group.number_sync_standbys as usize;
        node.id != writer.id && node.wish.is_some() && !needed && (pledged || node.goal.follows())
    };
    let node = facts.group.nodes.iter().find(ready)?;
    let mut after = facts.group.clone();
    let asked = after.node_mut(node.id)?;
    asked.goal = asked.wish.take()?;
    Some(after)
}

/// No offer as for a lost member: the operator has said that this one is going, and the primary, which still hears it, would not
/// accept. `unleased` is recorded before the writer is told, so nobody is elected any more while it empties the rule (law 4).
pub(super) fn write_alone_by_an_operators_word(facts: &Facts) -> Option<Group> {
    let writer = settled_writer(facts).filter(|writer| writer.goal == State::Primary)?;
    let rule = &facts.group.rule;
    let counts = |id: &NodeId| rule.is_empty() || rule.members.contains(id);
    let asked = facts.group.nodes.iter().any(|node| node.goal.leaves_the_rule() && counts(&node.id));
    let alone = || Group { unleased: true, ..propose(facts.group, BTreeSet::new(), false) };
    (asked && is_free(facts.group) && facts.group.number_sync_standbys == 0 && nobody_to_wait_for(facts))
        .then(|| assign(&alone(), writer.id, State::WaitPrimary))
        .flatten()
}

pub(super) fn let_the_server_be_taken_down(facts: &Facts) -> Option<Group> {
    settled_writer(facts).filter(|_| facts.group.next_rule.is_none())?;
    let named = facts.group.members();
    assign_where(
        facts.group,
        |node| node.goal == State::WaitMaintenance && !named.contains(&node.id),
        State::Maintenance,
    )
}

pub(super) fn a_node_without_a_vote_leaves_the_rule(facts: &Facts) -> Option<Group> {
    settled_writer(facts)
        .filter(|writer| writer.goal == State::Primary && facts.group.next_rule.is_none())?;
    let votes = |id: &&NodeId| facts.group.node(**id).is_none_or(|node| node.quorum);
    let rest: BTreeSet<NodeId> = facts.group.rule.members.iter().filter(votes).copied().collect();
    let following =
        rest.iter().filter(|id| facts.group.node(**id).is_some_and(|node| facts.follows(node))).count();
    let number = facts.group.number_sync_standbys as usize;
    let enough = if rest.is_empty() { number == 0 } else { following >= number.max(1) };
    (rest.len() < facts.group.rule.members.len() && enough).then(|| propose(facts.group, rest, false))
}

pub(super) fn wait_for_another_number(facts: &Facts) -> Option<Group> {
    settled_writer(facts)
        .filter(|writer| writer.goal == State::Primary && facts.group.next_rule.is_none())?;
    let (rule, number) = (&facts.group.rule, facts.group.number_sync_standbys.max(1));
    let possible = !rule.is_empty() && rule.members.len() >= number as usize;
    (possible && rule.wait_for != number).then(|| propose(facts.group, rule.members.clone(), false))
}
