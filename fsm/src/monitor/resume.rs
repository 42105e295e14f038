//! A monitor that knows less than its nodes: built from them, or restored from a backup (law 6).
//!
//! It decides nothing and tells nobody anything: its nodes go on as if it were away. When every node that it or they name has
//! reported, or was given up by hand, what they tell is what counts.
use super::{Facts, election};
use crate::group::{Group, NextRule, Node, Reign};
use crate::message::Report;
use crate::rule::Rule;
use crate::state::State;
use crate::units::{NodeId, RuleNumber, Term, Timeline};
use std::collections::BTreeSet;

/// Whether a report tells what a monitor that remembers everything would know.
pub fn knows_more(group: &Group, report: &Report) -> bool {
    let foreign = report.epoch > 0 && report.epoch != group.epoch && !group.succeeds.contains(&report.epoch);
    let in_force = report.state.writes() && report.rule > group.last_rule_number;
    foreign || in_force || report.term > group.term || report.pledge > group.term
}

/// From here on every node is awaited. `epoch` is a new random number: what the monitor was before is over.
pub fn await_everybody(group: &mut Group, epoch: u64) {
    group.succeeds.insert(group.epoch);
    group.epoch = epoch;
    group.behind = true;
    group.awaited = group.nodes.iter().map(|node| node.id).collect();
}

/// A node has come, for the first time since the monitor fell behind: whoever it names is awaited too, unless he is here.
pub(crate) fn has_come(group: &mut Group, report: &Report) {
    let in_force = report.in_force.iter().flat_map(|rule| &rule.members);
    let unknown = |id: &&NodeId| **id != report.node && group.node(**id).is_none();
    let named: Vec<NodeId> = report.named.iter().chain(in_force).filter(unknown).copied().collect();
    if group.node(report.node).is_some() {
        group.awaited.extend(named);
        group.awaited.remove(&report.node);
    }
}

/// Gives up waiting for a node, and with it what it alone may know. False: it is not awaited.
pub fn give_up(group: &mut Group, id: NodeId) -> bool {
    let awaited = group.awaited.remove(&id);
    group.nodes.retain(|node| node.id != id || !awaited);
    awaited
}

/// Whether everybody has come. Who is of a recorded history has written it, or names the node that it follows; of no other can a
/// monitor that never knew a primary learn who that is.
pub fn is_possible(group: &Group) -> bool {
    group.awaited.is_empty() && (latest_history(group) > Term(0) || group.nodes.is_empty())
}

/// The last reign that anybody knows of.
fn latest_history(group: &Group) -> Term {
    let recorded = group.reigns.iter().map(|reign| reign.term);
    group.nodes.iter().map(|node| node.history).chain(recorded).max().unwrap_or_default()
}

pub(super) fn go_on_from_what_the_nodes_tell(facts: &Facts) -> Option<Group> {
    let before = facts.group;
    if !before.behind || !is_possible(before) {
        return None;
    }
    let latest = latest_history(before);
    let writer = writer_of(before, latest);
    let mut group = Group {
        behind: false,
        election: None,
        wanted: None,
        next_rule: None,
        term: highest_term(before),
        last_rule_number: highest_rule_number(before),
        reigns: reigns(before, latest, writer),
        // The monitor before this one may have granted a lease just now.
        granted_until: before.granted_until.max(facts.now.plus(facts.policy.lease).plus(facts.policy.margin)),
        ..before.clone()
    };
    let in_force = writer.map(|writer| writer.in_force.clone()).unwrap_or_default();
    let last = group.last_rule_number;
    for node in &mut group.nodes {
        node.goal = goal(node, writer, &in_force);
        node.goal_since = facts.now;
        if let Some(image) = &mut node.old_image {
            image.rules = last;
        }
    }
    let interrupted = group.nodes.iter().any(|node| node.pledge > latest);
    match (writer, winner_of(before)) {
        (Some(writer), None) if !interrupted => keep_writing(&mut group, writer),
        (_, winner) => {
            rely_on_everybody(&mut group, writer, latest);
            group = hold_election(&Facts { group: &group, ..*facts }, winner);
        }
    }
    Some(group)
}

/// Who wrote last: it says so, or the reign is known here, or it keeps the promotion that began it.
fn writer_of(group: &Group, latest: Term) -> Option<&Node> {
    let writes = |node: &&Node| node.reported.writes() && !node.in_recovery && node.history == latest;
    let recorded = group.reigns.iter().find(|reign| reign.term == latest).map(|reign| reign.writer);
    let promoted =
        |node: &&Node| node.promotion.is_some_and(|made| made.term == latest) && node.history == latest;
    let nodes = || group.nodes.iter();
    nodes()
        .find(writes)
        .or_else(|| recorded.and_then(|writer| group.node(writer)))
        .or_else(|| nodes().find(promoted))
}

/// Who was told to promote in the last term that anybody has heard of, and has announced it. No other can have been recorded in that
/// term, and it has not been recorded itself, or it would follow its own history.
fn winner_of(group: &Group) -> Option<&Node> {
    let term = highest_term(group);
    let announced =
        |node: &&Node| node.promotion.is_some_and(|made| made.term == term) && node.history < term;
    let has_rule = |node: &&Node| node.in_force.members.iter().all(|id| group.node(*id).is_some());
    group.nodes.iter().find(announced).filter(has_rule)
}

fn highest_term(group: &Group) -> Term {
    let of_node = |node: &Node| {
        let promoted = node.promotion.map_or(Term(0), |made| made.term);
        node.term.max(node.pledge).max(node.history).max(promoted)
    };
    group.nodes.iter().map(of_node).fold(group.term, Term::max)
}

fn highest_rule_number(group: &Group) -> RuleNumber {
    let of_node = |node: &Node| node.in_force.number.max(node.rule);
    group.nodes.iter().map(of_node).fold(group.last_rule_number, RuleNumber::max)
}

/// What was recorded stays true; but where a reign may be missing in between, nobody can tell any more where histories parted.
fn reigns(group: &Group, latest: Term, writer: Option<&Node>) -> Vec<Reign> {
    let (id, timeline, switch_lsn) = match writer {
        Some(writer) => {
            let made = writer.promotion.filter(|made| made.term == latest);
            let switch_lsn = made.map(|made| made.switch_lsn).unwrap_or_default();
            (writer.id, made.map_or(writer.timeline, |made| made.timeline), switch_lsn)
        }
        None => (NodeId(0), Timeline(0), Default::default()),
    };
    match group.reigns.last() {
        Some(last) if last.term == latest && last.writer == id => return group.reigns.clone(),
        _ => {}
    }
    let reign = Reign { term: latest, writer: id, timeline, switch_lsn };
    let continues = writer.is_some() && group.reigns.last().is_some_and(|last| last.term.next() == latest);
    if continues { group.reigns.iter().copied().chain([reign]).collect() } else { vec![reign] }
}

fn goal(node: &Node, writer: Option<&Node>, in_force: &Rule) -> State {
    let covered = in_force.members.contains(&node.id) && node.old_image.is_none();
    match (node.goal, node.reported) {
        (State::Dropped, _) | (_, State::Dropped) => State::Dropped,
        _ if writer.is_some_and(|writer| writer.id == node.id) => node.goal,
        (_, State::Secondary) if covered => State::Secondary,
        (_, stays @ (State::Maintenance | State::WaitStandby)) => stays,
        _ => State::CatchingUp,
    }
}

/// The writer goes on, or gets its role back. A rule may have been on its way to it that nobody remembers: until it has confirmed
/// the one that it had under a new number, it alone has every commit.
fn keep_writing(group: &mut Group, writer: &Node) {
    let mut in_force = writer.in_force.clone();
    let there: BTreeSet<NodeId> =
        in_force.members.iter().filter(|id| group.node(**id).is_some()).copied().collect();
    // Who was given up is not waited for any more. That nobody is left to wait for is for other rules to say.
    if !there.is_empty() {
        in_force.members = there;
    }
    group.unleased = if writer.reported.writes() { writer.reported.unleased() } else { in_force.is_empty() };
    let goal = match (group.unleased, writer.reported) {
        (true, State::Single) if group.nodes.len() == 1 => State::Single,
        (true, _) => State::WaitPrimary,
        (false, _) => State::Primary,
    };
    if group.unleased || in_force.is_empty() {
        group.last_rule_number = group.last_rule_number.next();
        group.rule = Rule { number: group.last_rule_number, ..Rule::default() };
    } else {
        group.rule = Rule { number: in_force.number, wait_for: 1, members: BTreeSet::from([writer.id]) };
        group.next_rule = Some(NextRule { rule: in_force, offered: false });
    }
    if let Some(node) = group.node_mut(writer.id).filter(|node| node.goal != State::Dropped) {
        node.goal = goal;
    }
}

/// A new election; or, where its winner has announced itself, the one that was under way.
fn hold_election(facts: &Facts, winner: Option<&Node>) -> Group {
    let Some(winner) = winner else { return election::open(facts) };
    let before = Group { term: Term(facts.group.term.0.saturating_sub(1)), ..facts.group.clone() };
    let mut group = election::open(&Facts { group: &before, ..*facts });
    if let Some(election) = &mut group.election {
        (election.winner, election.rule) = (Some(winner.id), winner.in_force.clone());
    }
    if let Some(node) = group.node_mut(winner.id) {
        node.goal = State::PreparePromotion;
    }
    group
}

/// Nobody can say which rule was on its way. Whatever it was, the writer has every commit; and where commits waited for
/// anybody, so have all others together. Of a writer that was elected again nobody knows whether they did.
fn rely_on_everybody(group: &mut Group, writer: Option<&Node>, latest: Term) {
    let elected_again = |writer: &Node| writer.promotion.is_some_and(|made| made.term > latest);
    group.unleased = writer.is_some_and(|writer| writer.in_force.is_empty() || elected_again(writer));
    group.last_rule_number = group.last_rule_number.next();
    let counts =
        |node: &&Node| Some(node.id) != writer.map(|writer| writer.id) && !node.goal.leaves_the_rule();
    let others: BTreeSet<NodeId> =
        group.nodes.iter().filter(counts).filter(|_| !group.unleased).map(|node| node.id).collect();
    group.rule = Rule::over(group.last_rule_number, others, 1);
}
