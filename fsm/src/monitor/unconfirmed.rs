//! Rules for a commit rule that is not in force yet, while its members go away.
use super::Facts;
use super::rules::{assign, propose, settled_writer};
use crate::group::{Group, Node};
use crate::state::State;
use crate::units::NodeId;
use std::collections::BTreeSet;

/// The members of a rule that is not confirmed yet went away, and others could be waited for instead. The writer may have let
/// commits go by it already, so it is not withdrawn: the one in its place is held by nobody who does not hold it as well.
pub(super) fn widen_the_next_rule(facts: &Facts) -> Option<Group> {
    let next = facts.group.next_rule.as_ref().filter(|next| !next.offered && !next.rule.is_empty())?;
    let (writer, reign) = (settled_writer(facts)?, facts.group.reign()?);
    let follows = |node: &&Node| {
        let of_this_reign = facts.group.history(node) == reign.term;
        facts.in_contact(node) && writer.followers.contains(&node.id) && of_this_reign
    };
    let following: BTreeSet<NodeId> = facts.group.nodes.iter().filter(follows).map(|node| node.id).collect();
    if next.rule.is_met_by(&following) {
        return None;
    }
    let fits = |id: &&NodeId| facts.group.node(**id).is_some_and(|node| node.quorum && node.goal.follows());
    let mut members = next.rule.members.clone();
    members.extend(following.iter().filter(fits).copied());
    let mut after = propose(facts.group, members, false);
    let wider = &mut after.next_rule.as_mut()?.rule;
    wider.wait_for = wider.wait_for.min(next.rule.wait_for);
    let changes = wider.members != next.rule.members || wider.wait_for < next.rule.wait_for;
    (changes && wider.holds_as_well(&next.rule)).then_some(after)
}

/// The members of a rule that is not confirmed yet went away, and nobody else may be waited for: back to writing alone. `unleased`
/// is recorded before the writer is told, so nobody is elected any more while it empties the rule (law 4).
pub(super) fn give_up_bringing_a_standby_in(facts: &Facts) -> Option<Group> {
    let next = facts.group.next_rule.as_ref().filter(|next| !next.offered && !next.rule.is_empty())?;
    let writer =
        facts.writer().filter(|writer| facts.group.election.is_none() && facts.in_contact(writer))?;
    let left = |id: &NodeId| {
        facts.group.node(*id).is_none_or(|node| facts.has_left(node) || node.goal.leaves_the_rule())
    };
    // A leased writer's commits may wait for them already, so nobody is eligible until it has confirmed that it writes alone.
    let may = facts.group.unleased || facts.group.number_sync_standbys == 0;
    let gave_up = may && writer.goal == State::Primary && next.rule.members.iter().all(left);
    let alone = || Group { unleased: true, ..propose(facts.group, BTreeSet::new(), false) };
    gave_up.then(|| assign(&alone(), writer.id, State::WaitPrimary)).flatten()
}
