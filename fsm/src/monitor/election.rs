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
    group.election = Some(Election { term: group.term, winner: None, rule: Rule::default(), forced: None });
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
            if node.goal.leaves_the_rule() {
                node.wish = Some(node.goal);
            }
            (node.goal, node.goal_since) = (State::ReportLsn, facts.now);
        }
    }
    group
}

/// Opens the next term for that node alone. What an ordinary election would ask for is enough there too, should it come.
pub fn open_for(facts: &Facts, id: NodeId) -> Group {
    let mut group = open(facts);
    group.election = group.election.map(|election| Election { forced: Some(id), ..election });
    if let Some(node) = group.node_mut(id) {
        (node.goal, node.goal_since, node.wish) = (State::ReportLsn, facts.now, None);
    }
    group
}

/// Whether a winner can be named: the pledges are enough, or the operator has said that this one's is.
pub fn is_held(facts: &Facts, election: &Election) -> bool {
    is_held_by_pledges(facts, election.term) || forced_winner(facts, election).is_some()
}

/// The node whose pledge an operator has declared to be enough, once it is there and no lease can run any more.
fn forced_winner<'a>(facts: &Facts<'a>, election: &Election) -> Option<&'a Node> {
    let pledged = facts.pledged(election.term).into_iter().find(|node| Some(node.id) == election.forced)?;
    let may = facts.in_contact(pledged) && pledged.in_recovery && leases_are_over(facts, election.term);
    may.then_some(pledged)
}

/// Every lease has run out, or the writer has put its fence up by its own word (law 2).
fn leases_are_over(facts: &Facts, term: Term) -> bool {
    let fenced =
        facts.writer().is_some_and(|writer| writer.fenced && writer.in_recovery && writer.term >= term);
    fenced || facts.now > facts.group.granted_until
}

/// Whether the pledges are enough: the binding rules are held, or the old writer itself has pledged. Where the rule
/// binds nobody, every lease must be over as well.
fn is_held_by_pledges(facts: &Facts, term: Term) -> bool {
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
    someone_must_have_it || leases_are_over(facts, term)
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

/// The pledged nodes to choose from, whose WAL is all of the recorded history: those in contact, when they hold the binding
/// rules by themselves; else all, for what is missing may be on one that is away. From an unleased reign only its writer counts, wherever it is.
fn to_choose_from<'a>(facts: &Facts<'a>, term: Term) -> Vec<&'a Node> {
    let pledged = facts.pledged(term);
    let fit = |nodes: &[&'a Node]| -> Vec<&'a Node> {
        nodes.iter().copied().filter(|node| !facts.has_diverged(node)).collect()
    };
    let present: Vec<&Node> = pledged.iter().copied().filter(|node| facts.in_contact(node)).collect();
    let ids: BTreeSet<NodeId> = present.iter().map(|node| node.id).collect();
    let enough = !present.is_empty() && !facts.group.unleased && facts.held_by(&ids);
    fit(if enough { &present } else { &pledged })
}

/// The node with the most WAL of the latest history among those to choose from; priority decides between equals.
pub fn most_advanced<'a>(facts: &Facts<'a>, term: Term) -> Option<&'a Node> {
    let nodes = to_choose_from(facts, term);
    nodes.into_iter().max_by_key(|node| (facts.progress(node), node.priority, Reverse(node.id)))
}

/// Names the winner and the rule of its reign. `None` when nobody may be promoted.
pub fn decide(facts: &Facts, election: &Election) -> Option<Group> {
    let term = election.term;
    if !is_held_by_pledges(facts, term) {
        let winner = forced_winner(facts, election)?;
        return Some(name(facts, election, winner, winner, &facts.pledged(term)));
    }
    let pledged = to_choose_from(facts, term);
    let best = most_advanced(facts, term)?;
    let old_writer = facts.group.reign().map(|reign| reign.writer);
    let can_win = |node: &&Node| facts.may_win(node) && facts.in_contact(node);
    let rank = |node: &&Node| {
        // What it lacks can be fetched only from somebody who is there.
        let reachable = facts.progress(node) == facts.progress(best) || facts.in_contact(best);
        let wanted = facts.group.wanted == Some(node.id) && reachable;
        // One that is to leave is promoted only where nobody else can be.
        let stays = node.wish.is_none() && reachable;
        let calm = Reverse(facts.lost_lately_by(node.id));
        let other = Some(node.id) != old_writer;
        (stays, wanted, facts.progress(node), node.priority, other, calm, Reverse(node.id))
    };
    let winner = pledged.iter().copied().filter(can_win).max_by_key(rank)?;
    let behind = facts.progress(winner) < facts.progress(best);
    if behind && !facts.in_contact(best) {
        return None;
    }
    Some(name(facts, election, winner, best, &pledged))
}

/// The winner fetches what it lacks of `best` first.
fn name(facts: &Facts, election: &Election, winner: &Node, best: &Node, pledged: &[&Node]) -> Group {
    let mut group = facts.group.clone();
    group.last_rule_number = group.last_rule_number.next();
    let members = members_under(facts, winner, best, pledged);
    let rule = Rule::over(group.last_rule_number, members, group.number_sync_standbys);
    group.election = Some(Election { winner: Some(winner.id), rule, ..election.clone() });
    let behind = facts.progress(winner) < facts.progress(best);
    if let Some(node) = group.node_mut(winner.id) {
        node.goal = if behind { State::FastForward } else { State::PreparePromotion };
    }
    group
}

/// The members that the winner's commits will wait for: those that pledged with it and have all that it has, for the
/// others do not hold what was acknowledged before. With number_sync_standbys >= 1 a writer never degrades by itself, so
/// the others count as well rather than too few; see [`record`] for what they are worth.
fn members_under(facts: &Facts, winner: &Node, best: &Node, pledged: &[&Node]) -> BTreeSet<NodeId> {
    let reach = facts.progress(best);
    let number = facts.group.number_sync_standbys as usize;
    let fits = |node: &Node| node.id != winner.id && node.quorum && !node.goal.leaves_the_rule();
    let has_all = |node: &Node| facts.in_contact(node) && facts.progress(node) == reach;
    let present = || pledged.iter().filter(|node| fits(node) && has_all(node));
    let mut members: BTreeSet<NodeId> =
        present().filter(|node| node.wish.is_none()).map(|node| node.id).collect();
    if members.len() < number {
        // One that is to leave counts only where too few others do.
        members.extend(present().map(|node| node.id));
    }
    if members.len() < number {
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
    let writer = group.node_mut(winner.id)?;
    // A primary neither leaves nor is taken down: whoever wants that asks for a failover first.
    (writer.goal, writer.wish) = (goal, None);
    Some(group)
}
