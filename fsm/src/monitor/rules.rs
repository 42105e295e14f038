//! The monitor's table: the first rule that has something to change is the one that counts.
use super::{Facts, election, images, resume, time_outs, unconfirmed, wishes};
use crate::group::{Group, NextRule, Node, Probe};
use crate::message::Receiver;
use crate::rule::Rule as CommitRule;
use crate::state::State;
use crate::units::NodeId;
use std::collections::BTreeSet;

/// One rule.
#[derive(Clone, Copy)]
pub struct Rule {
    /// Told in the event, the log and docs/states.md.
    pub name: &'static str,
    /// When it fires and what it means, for docs/states.md.
    pub why: &'static str,
    /// The group after it, when it fires.
    pub apply: fn(&Facts) -> Option<Group>,
}

/// The monitor's table, in order.
#[rustfmt::skip]
pub const RULES: &[Rule] = &[
    // What the nodes know and the rows do not comes before everything.
    Rule { name: "go on from what the nodes tell", apply: resume::go_on_from_what_the_nodes_tell,
           why: "the monitor was built from its nodes, or restored, and everybody who is named has come or was given up" },
    // A term that is open comes first: nothing else is decided beside it.
    Rule { name: "record the winner", apply: election::record,
           why: "the winner has promoted in the term that is still current: it is the writer from now on" },
    Rule { name: "the winner is lost", apply: the_winner_is_lost,
           why: "the elected node went away before it was recorded, and others can be elected in a new term" },
    Rule { name: "the winner has caught up", apply: the_winner_has_caught_up,
           why: "the elected node has fetched what it lacked, or the others are enough without the one that had it" },
    Rule { name: "enough pledges", apply: enough_pledges,
           why: "whoever pledged holds every acknowledged commit: the one with the most WAL promotes; or an operator has forced it" },
    Rule { name: "ask for a pledge", apply: ask_for_a_pledge,
           why: "a node came back while an election waits for pledges" },
    // Opening one.
    Rule { name: "the primary is an old image", apply: images::the_primary_is_an_old_image,
           why: "its disk is one of an earlier time: it never writes by it, and another is elected once enough members are there" },
    Rule { name: "handed over", apply: handed_over,
           why: "the draining primary is fenced, or silent for longer than any lease, and the members have lost it; or it took too long" },
    Rule { name: "take the hand-over back", apply: take_the_hand_over_back,
           why: "the draining primary did not go down in time, and nobody could take over" },
    Rule { name: "goodbye", apply: goodbye,
           why: "the primary says that it is shutting down, and a standby can take over" },
    Rule { name: "the primary is gone", apply: the_primary_is_gone,
           why: "its session ended, its port refuses, and enough members have lost it; not while it restarts in place to write again" },
    Rule { name: "crash recovery takes too long", apply: time_outs::crash_recovery_takes_too_long,
           why: "the server answers that it is starting up for longer than crash_recovery_grace; longer in a group that flaps" },
    Rule { name: "silence outlasted every lease", apply: time_outs::silence_outlasted_every_lease,
           why: "no report, no answer to probes, members have lost it, and no lease can run any more; longer in a group that flaps" },
    Rule { name: "the keeper has stalled", apply: time_outs::the_keeper_has_stalled,
           why: "the server answers but its keeper is silent, both for longer than stall_timeout; longer in a group that flaps" },
    Rule { name: "the server is stuck", apply: the_server_is_stuck,
           why: "its keeper is at work, and the server has answered new connections neither to it nor to the monitor for longer than stall_timeout" },
    // Nodes that come and go.
    Rule { name: "remove a dropped node", apply: remove_a_dropped_node,
           why: "no rule names it, and it has left or is out of contact" },
    Rule { name: "demote who writes without being recorded", apply: demote_who_writes_unrecorded,
           why: "one writer: the recorded one" },
    Rule { name: "make room for a standby", apply: make_room_for_a_standby,
           why: "a node has registered: the lone primary prepares for it" },
    Rule { name: "clone from the primary", apply: clone_from_the_primary,
           why: "the primary is ready for a new standby" },
    Rule { name: "carry out what was asked before the election", apply: wishes::carry_out_what_was_asked,
           why: "a node was to leave or to be taken down, and had to pledge first" },
    Rule { name: "follow the new writer", apply: follow_the_new_writer,
           why: "the writer is recorded, and has opened its reign" },
    Rule { name: "alone again", apply: alone_again,
           why: "no other node is left" },
    // The rule that commits wait by.
    Rule { name: "take in who was told to write alone", apply: take_in_who_writes_alone,
           why: "while this monitor was away, an operator has told the primary to write alone: nobody is eligible from there on" },
    Rule { name: "the rule is in force", apply: the_rule_is_in_force,
           why: "the writer has confirmed it" },
    Rule { name: "an old image is whole again", apply: images::an_old_image_is_whole_again,
           why: "a rule that was given after it was found out covers it, and is in force" },
    Rule { name: "have the members covered", apply: have_the_members_covered,
           why: "the new writer's rule names members that were not known to have all its WAL: it is to confirm that they do" },
    Rule { name: "caught up", apply: caught_up,
           why: "the rule that covers it is in force" },
    Rule { name: "an old image is not eligible", apply: images::an_old_image_is_not_eligible,
           why: "its disk is one of an earlier time: what the node has acknowledged since may be missing" },
    Rule { name: "have an old image covered", apply: images::have_an_old_image_covered,
           why: "it streams again, close behind: the primary is to confirm that its members have all WAL" },
    Rule { name: "no longer covered", apply: no_longer_covered,
           why: "the rule in force does not name it" },
    Rule { name: "write alone by an operator's word", apply: wishes::write_alone_by_an_operators_word,
           why: "the last standby that commits wait for is to be taken down or removed: nobody is eligible from here on" },
    Rule { name: "let the server be taken down", apply: wishes::let_the_server_be_taken_down,
           why: "the rule in force does not name it any more" },
    Rule { name: "a node without a vote leaves the rule", apply: wishes::a_node_without_a_vote_leaves_the_rule,
           why: "its replication_quorum was taken away, and the others are enough" },
    Rule { name: "wait for another number", apply: wishes::wait_for_another_number,
           why: "number_sync_standbys has changed" },
    Rule { name: "write alone", apply: write_alone,
           why: "the writer has accepted: from here on nobody else is eligible" },
    Rule { name: "widen the rule that is on its way", apply: unconfirmed::widen_the_next_rule,
           why: "too few of its members follow to bring it in force, and others do, or number_sync_standbys was lowered" },
    Rule { name: "give up bringing a standby in", apply: unconfirmed::give_up_bringing_a_standby_in,
           why: "it was lost before the rule that covers it was in force" },
    Rule { name: "take back the offer", apply: take_back_the_offer,
           why: "a member is back, or the writer is out of contact" },
    Rule { name: "offer to write alone", apply: offer_to_write_alone,
           why: "no member is left to wait for, and number_sync_standbys allows it" },
    Rule { name: "a lost member leaves the rule", apply: a_lost_member_leaves_the_rule,
           why: "it was lost for member_timeout, is being dropped or taken down, and the others are enough" },
    Rule { name: "bring a standby into the rule", apply: bring_a_standby_into_the_rule,
           why: "it streams, close behind" },
    Rule { name: "rely on a lease", apply: rely_on_a_lease,
           why: "an asynchronous standby has caught up: the writer goes on with a lease, so that it can be replaced" },
];

/// The recorded writer, when no election is open, it has reached its goal, and it reports.
pub(super) fn settled_writer<'a>(facts: &Facts<'a>) -> Option<&'a Node> {
    let writer = facts.writer().filter(|_| facts.group.election.is_none())?;
    (writer.goal.writes() && writer.settled() && writer.term == facts.group.term && facts.in_contact(writer))
        .then_some(writer)
}

pub(super) fn assign(group: &Group, node: NodeId, goal: State) -> Option<Group> {
    let mut after = group.clone();
    after.node_mut(node)?.goal = goal;
    Some(after)
}

pub(super) fn assign_where(group: &Group, which: impl Fn(&Node) -> bool, goal: State) -> Option<Group> {
    let mut after = group.clone();
    after.nodes.iter_mut().filter(|node| which(node)).for_each(|node| node.goal = goal);
    (after != *group).then_some(after)
}

pub(super) fn propose(group: &Group, members: BTreeSet<NodeId>, offered: bool) -> Group {
    let mut after = group.clone();
    after.last_rule_number = after.last_rule_number.next();
    let rule = CommitRule::over(after.last_rule_number, members, after.number_sync_standbys);
    after.next_rule = Some(NextRule { rule, offered });
    after
}

/// No rule is being brought in force. An offer is in nobody's way: the writer does not accept one that was replaced.
pub(super) fn is_free(group: &Group) -> bool {
    group.next_rule.as_ref().is_none_or(|next| next.offered)
}

// ---- a term that is open

fn the_winner_is_lost(facts: &Facts) -> Option<Group> {
    let election = facts.group.election.as_ref()?;
    let winner = facts.group.node(election.winner?);
    let stands =
        |winner: &Node| !facts.is_lost(winner) && winner.goal != State::Dropped && winner.old_image.is_none();
    if winner.is_some_and(stands) {
        return None;
    }
    let mut others = facts.ready_to_pledge();
    others.retain(|node| Some(*node) != election.winner);
    let old_writer_is_back = facts.writer().is_some_and(|old| {
        let can_win = old.in_recovery && old.priority > 0 && facts.is_whole(old);
        Some(old.id) != election.winner && facts.in_contact(old) && can_win
    });
    let could_win = others.iter().any(|node| facts.group.node(*node).is_some_and(|node| node.priority > 0));
    ((could_win && facts.held_by(&others)) || old_writer_is_back).then(|| election::open(facts))
}

fn the_winner_has_caught_up(facts: &Facts) -> Option<Group> {
    let election = facts.group.election.as_ref()?;
    let winner = facts.group.node(election.winner?)?;
    let best = election::most_advanced(facts, election.term)?;
    let there = winner.goal == State::FastForward
        && (winner.settled() || best.id == winner.id)
        && facts.progress(winner) >= facts.progress(best);
    there.then(|| assign(facts.group, winner.id, State::PreparePromotion)).flatten()
}

fn enough_pledges(facts: &Facts) -> Option<Group> {
    let election = facts.group.election.as_ref().filter(|election| election.winner.is_none())?;
    election::is_held(facts, election).then(|| election::decide(facts, election)).flatten()
}

fn ask_for_a_pledge(facts: &Facts) -> Option<Group> {
    let election = facts.group.election.as_ref().filter(|election| election.winner.is_none())?;
    let named = facts.group.members();
    let old_writer = facts.group.reign().map(|reign| reign.writer);
    let asked = |node: &Node| {
        let counts = named.contains(&node.id) || Some(node.id) == old_writer;
        let can =
            facts.in_contact(node) && node.in_recovery && node.pledge < election.term && facts.is_whole(node);
        counts && can && node.goal != State::Dropped
    };
    assign_where(facts.group, asked, State::ReportLsn)
}

// ---- opening one

fn handed_over(facts: &Facts) -> Option<Group> {
    let writer = facts.writer().filter(|_| facts.group.election.is_none())?;
    if writer.goal != State::Draining {
        return None;
    }
    let waited = facts.now.since(writer.goal_since) > facts.policy.drain;
    let is_back = writer.in_recovery && matches!(writer.reported, State::Demoted | State::Draining);
    // One that does not hear its goal: no lease of it can run any more.
    let silent = facts.is_silent(writer) && facts.now > facts.group.granted_until;
    let is_down = writer.fenced || facts.is_gone(writer) || silent;
    let handed_over = is_down && (facts.members_lost_the_writer() || is_back);
    let somebody_can = facts.can_elect() || (is_back && facts.in_contact(writer));
    ((handed_over || waited) && somebody_can).then(|| election::open(facts))
}

fn take_the_hand_over_back(facts: &Facts) -> Option<Group> {
    let writer = facts.writer().filter(|_| facts.group.election.is_none())?;
    let waited = facts.now.since(writer.goal_since) > facts.policy.drain;
    let is_up = facts.in_contact(writer) && !writer.in_recovery && !writer.leaving;
    let goal = if facts.group.unleased { State::WaitPrimary } else { State::Primary };
    let back = || Some(Group { wanted: None, ..assign(facts.group, writer.id, goal)? });
    (writer.goal == State::Draining && waited && is_up && !facts.can_elect()).then(back).flatten()
}

fn goodbye(facts: &Facts) -> Option<Group> {
    let writer = facts.writer().filter(|_| facts.group.election.is_none())?;
    let leaves = writer.leaving && writer.fenced && writer.goal.writes();
    (leaves && facts.can_elect()).then(|| assign(facts.group, writer.id, State::Draining)).flatten()
}

/// The writer that a conviction would be about: no election is open, the monitor is not just starting, and an election could succeed.
pub(super) fn suspect<'a>(facts: &Facts<'a>) -> Option<&'a Node> {
    let writer = facts.writer().filter(|_| facts.group.election.is_none() && !facts.in_startup_grace())?;
    (writer.goal.writes() && facts.can_elect()).then_some(writer)
}

fn the_primary_is_gone(facts: &Facts) -> Option<Group> {
    let writer = suspect(facts)?;
    // The recorded writer that came back as a standby restarts in place to write again: its port refuses for a moment.
    let restarts = writer.reported == State::Demoted && facts.silent_for(writer) <= facts.policy.lease;
    let gone = facts.is_gone(writer) && !restarts;
    (gone && facts.members_lost_the_writer()).then(|| election::open(facts))
}

/// Handed over, not convicted: its keeper hears us and puts the fence up, though the server cannot be shut down before it wakes up.
fn the_server_is_stuck(facts: &Facts) -> Option<Group> {
    let writer = suspect(facts)?;
    let silent = writer.probe == Probe::Silent && facts.now.since(writer.probe_since) > facts.policy.stall;
    let stuck = writer.stuck && facts.in_contact(writer) && silent;
    stuck.then(|| assign(facts.group, writer.id, State::Draining)).flatten()
}

// ---- nodes that come and go

fn remove_a_dropped_node(facts: &Facts) -> Option<Group> {
    let named = facts.group.members();
    let writer = facts.group.reign().map(|reign| reign.writer);
    let leaves = |node: &Node| {
        // One that writes without a lease goes on until it is told; forgetting it would make room for a second writer.
        let silent = !facts.in_contact(node) && !facts.in_startup_grace();
        let writes_alone = facts.group.unleased && Some(node.id) == writer;
        let left = node.reported == State::Dropped || (silent && !writes_alone);
        let needed = named.contains(&node.id) || (Some(node.id) == writer && facts.group.nodes.len() > 1);
        node.goal == State::Dropped && left && !needed
    };
    let mut after = facts.group.clone();
    after.nodes.retain(|node| !leaves(node));
    (after.nodes.len() < facts.group.nodes.len()).then_some(after)
}

fn demote_who_writes_unrecorded(facts: &Facts) -> Option<Group> {
    let writer = facts.group.reign().map(|reign| reign.writer);
    let usurps = |node: &Node| {
        Some(node.id) != writer
            && node.reported.writes()
            && !matches!(node.goal, State::Demoted | State::Dropped)
    };
    assign_where(facts.group, usurps, State::Demoted)
}

fn make_room_for_a_standby(facts: &Facts) -> Option<Group> {
    let writer = settled_writer(facts).filter(|writer| writer.goal == State::Single)?;
    let waiting = facts.group.nodes.iter().any(|node| node.goal == State::WaitStandby);
    waiting.then(|| assign(facts.group, writer.id, State::WaitPrimary)).flatten()
}

fn clone_from_the_primary(facts: &Facts) -> Option<Group> {
    settled_writer(facts).filter(|writer| writer.goal != State::Single)?;
    let waits = |node: &Node| node.goal == State::WaitStandby && node.reported == State::WaitStandby;
    assign_where(facts.group, waits, State::CatchingUp)
}

/// Its first commit waits for them, so they do not wait for it.
fn follow_the_new_writer(facts: &Facts) -> Option<Group> {
    let writer = facts.writer().filter(|_| facts.group.election.is_none())?;
    let opened = facts.has_opened_its_reign(writer) && writer.term == facts.group.term;
    if !writer.goal.writes() || !opened || !facts.in_contact(writer) {
        return None;
    }
    let waits = |node: &Node| {
        let asked = matches!(
            node.goal,
            State::ReportLsn | State::FastForward | State::JoinSecondary | State::PreparePromotion
        );
        node.id != writer.id && (asked || (node.goal == State::Demoted && node.reported == State::Demoted))
    };
    let member = |node: &Node| facts.group.rule.members.contains(&node.id) && node.old_image.is_none();
    assign_where(facts.group, |node| waits(node) && member(node), State::Secondary)
        .or_else(|| assign_where(facts.group, |node| waits(node) && !member(node), State::CatchingUp))
}

fn alone_again(facts: &Facts) -> Option<Group> {
    let writer = settled_writer(facts)?;
    let alone = facts.group.nodes.len() == 1 && writer.goal == State::WaitPrimary && facts.group.unleased;
    alone.then(|| assign(facts.group, writer.id, State::Single)).flatten()
}

// ---- the rule that commits wait by

/// No way of ours leads there: the monitor records that nobody is eligible before it tells a writer so, and forgets it after that one has
/// confirmed a rule. What it has committed since is on nobody else.
fn take_in_who_writes_alone(facts: &Facts) -> Option<Group> {
    let writer = facts.writer().filter(|_| facts.group.election.is_none() && !facts.group.unleased)?;
    let by_hand =
        writer.goal == State::Primary && writer.reported.unleased() && writer.term == facts.group.term;
    let alone = || Group { unleased: true, ..propose(facts.group, BTreeSet::new(), false) };
    by_hand.then(|| assign(&alone(), writer.id, State::WaitPrimary)).flatten()
}

fn the_rule_is_in_force(facts: &Facts) -> Option<Group> {
    let next = facts.group.next_rule.as_ref().filter(|next| !next.offered)?;
    let writer = settled_writer(facts).filter(|writer| writer.rule == next.rule.number)?;
    if next.rule.number == facts.group.rule.number {
        return None;
    }
    let mut after = facts.group.clone();
    after.rule = next.rule.clone();
    after.next_rule = None;
    after.unleased = writer.reported.unleased();
    Some(after)
}

/// The number that was in force before the promotion says nothing of what the members have: the winner tells it of a new one.
fn have_the_members_covered(facts: &Facts) -> Option<Group> {
    let next = facts.group.next_rule.as_ref().filter(|next| next.rule.number == facts.group.rule.number)?;
    settled_writer(facts)?;
    Some(propose(facts.group, next.rule.members.clone(), false))
}

fn write_alone(facts: &Facts) -> Option<Group> {
    let next = facts.group.next_rule.as_ref().filter(|next| !next.offered && next.rule.is_empty())?;
    let writer =
        facts.writer().filter(|writer| writer.goal == State::Primary && facts.group.election.is_none())?;
    (facts.group.unleased && writer.reported == State::Primary && writer.rule < next.rule.number)
        .then(|| assign(facts.group, writer.id, State::WaitPrimary))
        .flatten()
}

fn take_back_the_offer(facts: &Facts) -> Option<Group> {
    facts.group.next_rule.as_ref().filter(|next| next.offered)?;
    let stands = facts.writer().is_some_and(|writer| facts.in_contact(writer)) && nobody_to_wait_for(facts);
    let mut after = facts.group.clone();
    after.next_rule = None;
    (!stands).then_some(after)
}

/// Every member, or every asynchronous secondary where the rule has no members, has left or is to leave.
pub(super) fn nobody_to_wait_for(facts: &Facts) -> bool {
    let rule = &facts.group.rule;
    let left = |id: &NodeId| {
        facts.group.node(*id).is_none_or(|node| facts.has_left(node) || node.goal.leaves_the_rule())
    };
    let secondary = |node: &Node| node.goal == State::Secondary && !facts.has_left(node);
    if rule.is_empty() { !facts.group.nodes.iter().any(secondary) } else { rule.members.iter().all(left) }
}

fn offer_to_write_alone(facts: &Facts) -> Option<Group> {
    settled_writer(facts).filter(|writer| writer.goal == State::Primary)?;
    let may =
        facts.group.next_rule.is_none() && facts.group.number_sync_standbys == 0 && nobody_to_wait_for(facts);
    may.then(|| propose(facts.group, BTreeSet::new(), true))
}

fn a_lost_member_leaves_the_rule(facts: &Facts) -> Option<Group> {
    settled_writer(facts).filter(|_| facts.group.next_rule.is_none())?;
    let rule = &facts.group.rule;
    let leaves = |id: &&NodeId| {
        facts.group.node(**id).is_none_or(|node| {
            let long = facts.silent_for(node) > facts.policy.member_timeout
                || (!facts.follows(node)
                    && facts.now.since(node.receiver_since) > facts.policy.member_timeout);
            node.goal.leaves_the_rule() || (facts.has_left(node) && long)
        })
    };
    let rest: BTreeSet<NodeId> = rule.members.iter().filter(|id| !leaves(id)).copied().collect();
    let follow: BTreeSet<NodeId> = rest
        .iter()
        .filter(|id| facts.group.node(**id).is_some_and(|node| facts.follows(node)))
        .copied()
        .collect();
    let enough = !follow.is_empty() && follow.len() >= facts.group.number_sync_standbys as usize;
    (rest.len() < rule.members.len() && enough).then(|| propose(facts.group, rest, false))
}

/// A standby that streams, and is no further behind the writer than the policy allows.
pub(super) fn has_caught_up(facts: &Facts, writer: &Node, node: &Node) -> bool {
    let close = match (writer.lsn, node.lsn) {
        (Some(ahead), Some(behind)) => behind.behind(ahead) <= facts.policy.catchup_lag,
        (Some(_) | None, Some(_) | None) => false,
    };
    let streams = node.receiver == Receiver::Streaming && writer.followers.contains(&node.id);
    node.goal == State::CatchingUp && node.settled() && facts.in_contact(node) && streams && close
}

fn bring_a_standby_into_the_rule(facts: &Facts) -> Option<Group> {
    let writer =
        settled_writer(facts).filter(|writer| writer.goal != State::Single && is_free(facts.group))?;
    let ready = |node: &&Node| node.quorum && has_caught_up(facts, writer, node);
    let mut members = facts.group.rule.members.clone();
    members.extend(facts.group.nodes.iter().filter(ready).map(|node| node.id));
    let enough = members.len() >= facts.group.number_sync_standbys as usize;
    (members != facts.group.rule.members && enough)
        .then(|| assign(&propose(facts.group, members, false), writer.id, State::Primary))
        .flatten()
}

fn rely_on_a_lease(facts: &Facts) -> Option<Group> {
    let writer = settled_writer(facts).filter(|writer| writer.goal == State::WaitPrimary)?;
    let asynchronous = facts.group.nodes.iter().all(|node| node.id == writer.id || !node.quorum);
    let ready =
        facts.group.nodes.iter().any(|node| node.id != writer.id && has_caught_up(facts, writer, node));
    (asynchronous && ready && is_free(facts.group))
        .then(|| assign(&propose(facts.group, BTreeSet::new(), false), writer.id, State::Primary))
        .flatten()
}

fn caught_up(facts: &Facts) -> Option<Group> {
    let writer =
        settled_writer(facts).filter(|writer| writer.goal == State::Primary && !facts.group.unleased)?;
    let covered = |node: &Node| {
        let named = facts.group.binding_rules().all(|rule| rule.members.contains(&node.id));
        node.goal == State::CatchingUp
            && node.old_image.is_none()
            && (named || (!node.quorum && has_caught_up(facts, writer, node)))
    };
    assign_where(facts.group, covered, State::Secondary)
}

fn no_longer_covered(facts: &Facts) -> Option<Group> {
    let writer = settled_writer(facts)?;
    let named = facts.group.members();
    let uncovered = |node: &Node| {
        let asynchronous = !node.quorum && writer.goal == State::Primary && !facts.has_left(node);
        node.goal == State::Secondary && !named.contains(&node.id) && !asynchronous
    };
    assign_where(facts.group, uncovered, State::CatchingUp)
}
