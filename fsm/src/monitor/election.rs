//! Opening a term, choosing its winner, and the rule of the winner's reign.
use super::Facts;
use crate::group::{Election, Group, NextRule, Node, Reign};
use crate::rule::Rule;
use crate::state::State;
use crate::units::{Lsn, NodeId, Term};
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// Opens the next term: the writer is to be demoted, whoever can pledge is asked to. An election that was open is void.
pub fn open(facts: &Facts) -> Group {
    let mut group = facts.group.clone();
    group.term = group.term.next();
    group.election = Some(Election { term: group.term, winner: None, rule: Rule::default() });
    let named = facts.group.members();
    let asynchronous = named.is_empty();
    let writer = facts.group.reign().map(|reign| reign.writer);
    for node in &mut group.nodes {
        let stood_by = matches!(
            node.goal,
            State::Secondary
                | State::JoinSecondary
                | State::ReportLsn
                | State::FastForward
                | State::PreparePromotion
        );
        if Some(node.id) == writer {
            node.goal = State::Demoted;
        } else if named.contains(&node.id)
            || (asynchronous && stood_by)
            || node.goal == State::PreparePromotion
        {
            (node.goal, node.goal_since) = (State::ReportLsn, facts.now);
        }
    }
    group
}

/// Whether the pledges are enough: the binding rules are held, or the old writer itself has pledged. Where the rule
/// binds nobody, every lease must have run out as well, unless the writer has put its fence up by its own word (law 2).
pub fn is_held(facts: &Facts, term: Term) -> bool {
    let pledged = facts.pledged(term);
    let ids: BTreeSet<NodeId> = pledged.iter().map(|node| node.id).collect();
    let writer = facts.group.reign().map(|reign| reign.writer);
    if writer.is_some_and(|writer| ids.contains(&writer)) {
        return !awaits_others(facts, term);
    }
    if facts.group.unleased || pledged.is_empty() || !facts.held_by(&ids) {
        return false;
    }
    let someone_must_have_it = facts.group.binding_rules().all(|rule| !rule.is_empty());
    let fenced =
        facts.writer().is_some_and(|writer| writer.fenced && writer.in_recovery && writer.term >= term);
    someone_must_have_it || fenced || facts.now > facts.group.granted_until
}

/// A candidate that reports was asked for its pledge just now. The old writer is often the first to pledge: a
/// switchover that it wins again is none.
fn awaits_others(facts: &Facts, term: Term) -> bool {
    facts.group.nodes.iter().any(|node| {
        let asked = node.goal == State::ReportLsn && node.pledge < term && facts.may_win(node);
        let can = facts.in_contact(node) && node.in_recovery && facts.is_whole(node);
        asked && can && facts.now.since(node.goal_since) <= facts.policy.drain
    })
}

/// The pledged nodes to choose from: those in contact, when they hold the binding rules by themselves; else all, for what is
/// missing may be on one that is away. From an unleased reign only its writer counts, wherever it is.
fn to_choose_from<'a>(facts: &Facts<'a>, term: Term) -> Vec<&'a Node> {
    let pledged = facts.pledged(term);
    let present: Vec<&Node> = pledged.iter().copied().filter(|node| facts.in_contact(node)).collect();
    let ids: BTreeSet<NodeId> = present.iter().map(|node| node.id).collect();
    let enough = !present.is_empty() && !facts.group.unleased && facts.held_by(&ids);
    if enough { present } else { pledged }
}

/// The node with the most WAL of the latest history among those to choose from; priority decides between equals.
pub fn most_advanced<'a>(facts: &Facts<'a>, term: Term) -> Option<&'a Node> {
    let nodes = to_choose_from(facts, term);
    nodes.into_iter().max_by_key(|node| (facts.progress(node), node.priority, Reverse(node.id)))
}

/// Names the winner and the rule of its reign. `None` when nobody may be promoted.
pub fn decide(facts: &Facts, term: Term) -> Option<Group> {
    let pledged = to_choose_from(facts, term);
    let best = most_advanced(facts, term)?;
    let old_writer = facts.group.reign().map(|reign| reign.writer);
    let can_win = |node: &&Node| facts.may_win(node) && facts.in_contact(node);
    let rank = |node: &&Node| {
        // What it lacks can be fetched only from somebody who is there.
        let reachable = facts.progress(node) == facts.progress(best) || facts.in_contact(best);
        let wanted = facts.group.wanted == Some(node.id) && reachable;
        (wanted, facts.progress(node), node.priority, Some(node.id) != old_writer, Reverse(node.id))
    };
    let winner = pledged.iter().copied().filter(can_win).max_by_key(rank)?;
    let behind = facts.progress(winner) < facts.progress(best);
    if behind && !facts.in_contact(best) {
        return None;
    }
    let mut group = facts.group.clone();
    group.last_rule_number = group.last_rule_number.next();
    let rule = Rule::over(
        group.last_rule_number,
        members_under(facts, winner, best, &pledged),
        group.number_sync_standbys,
    );
    group.election = Some(Election { term, winner: Some(winner.id), rule });
    group.node_mut(winner.id)?.goal = if behind { State::FastForward } else { State::PreparePromotion };
    Some(group)
}

/// The members that the winner's commits will wait for: those that pledged with it and have all that it has, for the
/// others do not hold what was acknowledged before. With number_sync_standbys >= 1 a writer never degrades by itself, so
/// the others count as well rather than too few; see [`record`] for what they are worth.
fn members_under(facts: &Facts, winner: &Node, best: &Node, pledged: &[&Node]) -> BTreeSet<NodeId> {
    let reach = facts.progress(best);
    let fits = |node: &Node| node.id != winner.id && node.quorum && !node.goal.leaves_the_rule();
    let present =
        pledged.iter().filter(|node| fits(node) && facts.in_contact(node) && facts.progress(node) == reach);
    let mut members: BTreeSet<NodeId> = present.map(|node| node.id).collect();
    if members.len() < facts.group.number_sync_standbys as usize {
        members.extend(facts.group.nodes.iter().filter(|node| fits(node)).map(|node| node.id));
    }
    members
}

/// Records the winner's promotion: the only way to become the writer of a term (law 2). `None` while it has not happened, or when its rule is not in force.
pub fn record(facts: &Facts) -> Option<Group> {
    let election = facts.group.election.as_ref()?;
    let winner = facts.group.node(election.winner?).filter(|winner| winner.old_image.is_none())?;
    let promotion = winner.promotion.filter(|promotion| {
        promotion.term == election.term
            && facts.group.term == election.term
            && promotion.switch_lsn > Lsn(0)
            && winner.reported == State::PreparePromotion
            && winner.rule == election.rule.number
    })?;
    let mut group = facts.group.clone();
    group.reigns.push(Reign {
        term: promotion.term,
        writer: winner.id,
        timeline: promotion.timeline,
        switch_lsn: promotion.switch_lsn,
    });
    (group.election, group.wanted) = (None, None);
    group.unleased = election.rule.is_empty();
    // Exactly: one with more has WAL that this reign does not have, and must not carry the next one.
    let holds_everything = |id: &NodeId| {
        facts.group.node(*id).is_some_and(|node| {
            node.pledge >= election.term
                && node.old_image.is_none()
                && node.history == winner.history
                && node.lsn == Some(promotion.switch_lsn)
        })
    };
    if election.rule.members.iter().all(holds_everything) {
        (group.rule, group.next_rule) = (election.rule.clone(), None);
    } else {
        // Until its members are known to have what it brought along, it alone has that; the rule gets a new number then.
        group.rule = Rule { wait_for: 1, members: BTreeSet::from([winner.id]), ..election.rule };
        group.next_rule = Some(NextRule { rule: election.rule.clone(), offered: false });
    }
    let goal = if group.unleased { State::WaitPrimary } else { State::Primary };
    group.node_mut(winner.id)?.goal = goal;
    Some(group)
}
