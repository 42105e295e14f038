//! Why a group is as it is, in words: who would be promoted or why nobody would, what is waited for, and what ends the wait (law 8).
use super::{Facts, election, time_outs};
use crate::group::{Election, Node};
use crate::message::Receiver;
use crate::rule::Rule;
use crate::state::State;
use crate::units::{Millis, NodeId};
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// What is said of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What a failover at this moment would come to.
    pub failover: String,
    /// What the group waits for. `None`: nothing, it is settled.
    pub wait: Option<Wait>,
    /// How much longer than usual a time-out is, for the group has failed over by them again and again. `None`: as long as ever.
    pub patience: Option<String>,
}

/// One wait: the one that stands in the way of all others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// What is waited for.
    pub waits_for: String,
    /// What ends the wait: an event, or a command.
    pub ends_by: String,
}

const BY_ITSELF: &str = "it ends by itself";

/// Explains a group.
pub fn explain(facts: &Facts) -> Explanation {
    Explanation { failover: failover(facts), wait: wait(facts), patience: patience(facts) }
}

fn waits(waits_for: impl Into<String>, ends_by: impl Into<String>) -> Option<Wait> {
    Some(Wait { waits_for: waits_for.into(), ends_by: ends_by.into() })
}

fn wait(facts: &Facts) -> Option<Wait> {
    let group = facts.group;
    if group.is_incomplete() {
        let who = if group.awaited.is_empty() { "the primary".to_owned() } else { names(&group.awaited) };
        return waits(
            format!("{who} to report to this monitor, which may know less than its nodes"),
            "their reports; pg_autoctl config set pg_autoctl.monitor on one that is not of this monitor yet; pg_autoctl drop node --force \
             for one that is gone for good",
        );
    }
    if let Some(election) = &group.election {
        return Some(election_waits(facts, election));
    }
    let writer = facts.writer()?;
    writer_waits(facts, writer)
        .or_else(|| commits_wait(facts, writer))
        .or_else(|| standby_waits(facts, writer))
}

// ---- an election

fn election_waits(facts: &Facts, election: &Election) -> Wait {
    let term = election.term;
    let (waits_for, ends_by) = match election.winner.and_then(|winner| facts.group.node(winner)) {
        Some(winner) if !facts.is_lost(winner) => (
            format!("node {} to be promoted in term {term}{}", winner.id, fetching(winner)),
            BY_ITSELF.to_owned(),
        ),
        Some(winner) => (
            format!("node {}, which was elected in term {term} and is away", winner.id),
            by_starting(&BTreeSet::from([winner.id])),
        ),
        None if election::is_held(facts, election) => (
            format!("a node that may be promoted in term {term}: {}", why_nobody(facts, election)),
            "the servers that are away, once started; pg_autoctl set node candidate-priority for one that is there"
                .to_owned(),
        ),
        None => pledges(facts, election),
    };
    Wait { waits_for, ends_by }
}

fn fetching(winner: &Node) -> &'static str {
    if winner.goal == State::FastForward { ", once it has fetched the WAL that it lacks" } else { "" }
}

fn why_nobody(facts: &Facts, election: &Election) -> String {
    let best = election::most_advanced(facts, election.term).filter(|best| !facts.in_contact(best));
    match best {
        Some(best) => format!("node {} has the most WAL and is away", best.id),
        None => {
            "whoever is there has candidate priority 0, or WAL that the recorded history left out".to_owned()
        }
    }
}

/// Whose word is missing.
fn pledges(facts: &Facts, election: &Election) -> (String, String) {
    let term = election.term;
    let pledged: BTreeSet<NodeId> = facts.pledged(term).iter().map(|node| node.id).collect();
    let writer = facts.group.reign().map(|reign| reign.writer);
    let mut missing: BTreeSet<NodeId> = facts.group.members().difference(&pledged).copied().collect();
    if facts.group.unleased {
        missing.clear();
    }
    missing.extend(writer.filter(|id| facts.group.node(*id).is_some()));
    let there = |id: &NodeId| facts.group.node(*id).is_some_and(|node| facts.in_contact(node));
    if let Some(forced) = election.forced {
        let what = if pledged.contains(&forced) { "the last lease to run out" } else { "its word" };
        return (
            format!("node {forced}, whose promotion in term {term} was forced: {what}"),
            BY_ITSELF.to_owned(),
        );
    }
    if missing.iter().any(there) {
        return (
            format!("{} to tell where its WAL ends (term {term})", names(&missing)),
            BY_ITSELF.to_owned(),
        );
    }
    if missing.is_empty() {
        return (format!("the last lease to run out before term {term} begins"), BY_ITSELF.to_owned());
    }
    (
        format!("{}: without one of them the others may lack commits (term {term})", any_of(&missing)),
        by_starting(&missing),
    )
}

fn by_starting(nodes: &BTreeSet<NodeId>) -> String {
    let (start, gone) = if nodes.len() == 1 {
        ("the start of its server", "it is gone for good")
    } else {
        ("the start of their servers", "they are gone for good")
    };
    format!("{start}; when {gone}: pg_autoctl perform force-promotion")
}

// ---- the writer

fn writer_waits(facts: &Facts, writer: &Node) -> Option<Wait> {
    let id = writer.id;
    if let Some(rest) = time_outs::held_back(facts) {
        return waits(
            format!(
                "node {id} to come back, which is replaced in {} otherwise: {}",
                seconds(rest),
                so_often(facts)
            ),
            format!("its return, or that time; {AT_ONCE}"),
        );
    }
    if !facts.in_contact(writer) {
        return Some(absence(facts, writer));
    }
    if writer.old_image.is_some() {
        return waits(
            format!(
                "a standby that has what node {id} has lost, whose disk is one of an earlier time: {}",
                why_no_election(facts)
            ),
            "the start of such a standby, or the later disk; when both are gone for good: pg_autoctl perform force-promotion",
        );
    }
    if writer.goal == State::Draining {
        return waits(
            format!("node {id} to hand over its role"),
            "it ends by itself, at the latest after drain_timeout",
        );
    }
    let changing = facts.group.next_rule.as_ref().filter(|next| !next.offered);
    if !writer.settled() {
        return waits(format!("node {id} to become {}", writer.goal), BY_ITSELF);
    }
    let next = changing?;
    // Its members may be what it waits for, and that has a wait of its own.
    is_met(facts, writer, &next.rule)
        .then(|| waits(format!("node {id} to have rule {} in force", next.rule.number), BY_ITSELF))
        .flatten()
}

/// The primary is away, and no election is open.
fn absence(facts: &Facts, writer: &Node) -> Wait {
    let id = writer.id;
    let streams = facts
        .group
        .nodes
        .iter()
        .any(|node| node.id != id && facts.in_contact(node) && node.receiver == Receiver::Streaming);
    if facts.in_startup_grace() {
        let waits_for = format!("node {id} to report to a monitor that has just started");
        return Wait { waits_for, ends_by: "it ends by itself, or after startup_grace_period".to_owned() };
    }
    if streams {
        return Wait {
            waits_for: format!("node {id} to report: its standbys receive from it, so it lives and goes on"),
            ends_by: "a working connection between it and the monitor".to_owned(),
        };
    }
    if facts.can_elect() && writer.goal == State::Draining {
        let waits_for =
            format!("the last lease of node {id} to run out, which is to hand over its role and is silent");
        return Wait {
            waits_for,
            ends_by: "it ends by itself, at the latest after drain_timeout".to_owned(),
        };
    }
    if facts.can_elect() {
        let waits_for = format!("proof that node {id} is gone, before another is promoted");
        return Wait { waits_for, ends_by: "its return, or the time-outs that convict it".to_owned() };
    }
    Wait {
        waits_for: format!("node {id}, the primary, which is away: {}", why_no_election(facts)),
        ends_by: by_starting(&BTreeSet::from([id])),
    }
}

fn why_no_election(facts: &Facts) -> String {
    let group = facts.group;
    let ready = facts.ready_to_pledge();
    if group.unleased {
        return "it was writing alone, and nobody else is known to have its commits".to_owned();
    }
    if !facts.held_by(&ready) {
        let members = group.members();
        let old = |id: &&NodeId| {
            group.node(**id).is_some_and(|node| node.old_image.is_some() && facts.in_contact(node))
        };
        if let Some(id) = members.iter().find(old) {
            return format!("node {id} runs on a disk of an earlier time, and may lack commits");
        }
        let away: BTreeSet<NodeId> = members.difference(&ready).copied().collect();
        return format!("commits may be on {} alone, away as well", any_of(&away));
    }
    "no standby may be promoted by itself (candidate priority, or not covered by synchronous replication)"
        .to_owned()
}

// ---- time-outs that have grown

const AT_ONCE: &str = "pg_autoctl perform failover replaces it without that wait";

fn patience(facts: &Facts) -> Option<String> {
    let usual = facts.policy.unhealthy;
    let grown = facts.patience(usual);
    (grown > usual).then(|| {
        format!(
            "{}: a silent primary is waited for {}; {AT_ONCE}, and after pg_autoctl perform forget-failovers the next failover is as fast as ever",
            so_often(facts),
            seconds(grown)
        )
    })
}

fn so_often(facts: &Facts) -> String {
    let window = facts.policy.flapping_window;
    format!("{} failovers by a time-out within {}", facts.lost_lately(), seconds(window))
}

/// As people write it.
fn seconds(time: Millis) -> String {
    match time.0 {
        ms if ms >= 120_000 && ms.is_multiple_of(60_000) => format!("{} min", ms / 60_000),
        ms => format!("{} s", ms.div_ceil(1_000)),
    }
}

// ---- what commits wait for

/// Enough of a rule's members receive from the writer.
fn is_met(facts: &Facts, writer: &Node, rule: &Rule) -> bool {
    let follows = |id: &&NodeId| {
        writer.followers.contains(id) || facts.group.node(**id).is_some_and(|node| facts.follows(node))
    };
    rule.members.iter().filter(follows).count() >= rule.wait_for as usize
}

fn commits_wait(facts: &Facts, writer: &Node) -> Option<Wait> {
    let rule = facts.group.binding_rules().find(|rule| !is_met(facts, writer, rule))?;
    let away: BTreeSet<NodeId> = rule.members.iter().copied().filter(|id| *id != writer.id).collect();
    let number = facts.group.number_sync_standbys;
    let waits_for = format!("{} of {} to receive again: commits wait for them", rule.wait_for, names(&away));
    let ends_by = if number == 0 {
        "it ends by itself: without them the primary goes on alone".to_owned()
    } else {
        format!(
            "the start of their servers; or pg_autoctl set formation number-sync-standbys {}, with which commits wait for fewer",
            fewer(facts, rule)
        )
    };
    waits(waits_for, ends_by)
}

/// The number that those who still receive can satisfy.
fn fewer(facts: &Facts, rule: &Rule) -> usize {
    let follow =
        rule.members.iter().filter(|id| facts.group.node(**id).is_some_and(|node| facts.follows(node)));
    follow.count().min(rule.wait_for.saturating_sub(1) as usize)
}

// ---- the others

fn standby_waits(facts: &Facts, writer: &Node) -> Option<Wait> {
    let others = || facts.group.nodes.iter().filter(|node| node.id != writer.id);
    if let Some(node) = others().find(|node| node.goal == State::Maintenance) {
        return waits(format!("node {}, which is in maintenance", node.id), "pg_autoctl disable maintenance");
    }
    if let Some(node) = others().find(|node| facts.is_lost(node)) {
        return waits(
            format!("node {}, which is away", node.id),
            "the start of its server; pg_autoctl drop node --force when it is gone for good",
        );
    }
    let moves = |node: &&Node| !node.settled() || node.wish.is_some() || node.goal == State::CatchingUp;
    let node = others().find(moves)?;
    let to = match (node.wish, node.goal) {
        (Some(wish), _) => format!("be {wish}, as soon as enough others are secondary"),
        (None, State::CatchingUp) => "catch up".to_owned(),
        (None, goal) => format!("become {goal}"),
    };
    waits(format!("node {} to {to}", node.id), BY_ITSELF)
}

// ---- a failover

fn failover(facts: &Facts) -> String {
    let group = facts.group;
    if group.is_incomplete() {
        return "none: this monitor does not know every node yet".to_owned();
    }
    if let Some(election) = &group.election {
        return format!("one is under way, in term {}", election.term);
    }
    let ready = facts.ready_to_pledge();
    let named = group.members();
    let eligible = |node: &&Node| {
        let covered = named.contains(&node.id) || (named.is_empty() && node.goal == State::Secondary);
        ready.contains(&node.id) && covered && facts.may_win(node)
    };
    let best = group.nodes.iter().filter(eligible).max_by_key(|node| {
        let calm = Reverse(facts.lost_lately_by(node.id));
        (node.wish.is_none(), facts.progress(node), node.priority, calm, Reverse(node.id))
    });
    match best.filter(|_| facts.can_elect()) {
        Some(best) => format!(
            "would promote node {}, which has WAL up to {} and candidate priority {}",
            best.id,
            best.lsn.unwrap_or_default(),
            best.priority
        ),
        None if group.nodes.len() < 2 => "none: there is no other node".to_owned(),
        None => format!("none is possible: {}", why_no_election(facts)),
    }
}

// ---- names

fn names(nodes: &BTreeSet<NodeId>) -> String {
    listed(nodes, "and")
}

fn any_of(nodes: &BTreeSet<NodeId>) -> String {
    listed(nodes, "or")
}

fn listed(nodes: &BTreeSet<NodeId>, word: &str) -> String {
    let ids: Vec<String> = nodes.iter().map(NodeId::to_string).collect();
    match ids.split_last() {
        None => "nobody".to_owned(),
        Some((only, [])) => format!("node {only}"),
        Some((last, rest)) => format!("nodes {} {word} {last}", rest.join(", ")),
    }
}
