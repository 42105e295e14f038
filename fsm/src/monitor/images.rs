//! Rules about nodes that run on a disk of an earlier time (see [`crate::boots`]): neither writer nor member until they are covered anew.
use super::rules::{assign, assign_where, has_caught_up, is_free, propose, settled_writer};
use super::{Facts, election};
use crate::group::{Group, Node};
use crate::state::State;

/// No waiting for silence: what runs there has no lease and has not written.
pub(super) fn the_primary_is_an_old_image(facts: &Facts) -> Option<Group> {
    let writer =
        facts.writer().filter(|writer| facts.group.election.is_none() && writer.old_image.is_some())?;
    if facts.can_elect() {
        return Some(election::open(facts));
    }
    let stays = matches!(writer.goal, State::Demoted | State::Dropped);
    (!stays).then(|| assign(facts.group, writer.id, State::Demoted)).flatten()
}

pub(super) fn an_old_image_is_not_eligible(facts: &Facts) -> Option<Group> {
    assign_where(
        facts.group,
        |node| node.goal == State::Secondary && node.old_image.is_some(),
        State::CatchingUp,
    )
}

/// It streams, and counts its starts from where those of the other copy ended: no third copy can be taken for it.
fn streams_again(facts: &Facts, writer: &Node, node: &Node) -> bool {
    let reign = facts.group.reign().map(|reign| reign.term);
    let counted = node.old_image.is_some_and(|image| image.life == node.boots.life);
    counted && Some(node.history) == reign && has_caught_up(facts, writer, node)
}

/// The same members under a new number: the writer confirms it only when enough of them have flushed all WAL there is.
pub(super) fn have_an_old_image_covered(facts: &Facts) -> Option<Group> {
    let writer =
        settled_writer(facts).filter(|writer| writer.goal == State::Primary && is_free(facts.group))?;
    let rule = &facts.group.rule;
    let waits = |node: &Node| {
        let not_yet = node.old_image.is_some_and(|image| rule.number <= image.rules);
        not_yet && rule.members.contains(&node.id) && streams_again(facts, writer, node)
    };
    facts.group.nodes.iter().any(waits).then(|| propose(facts.group, rule.members.clone(), false))
}

pub(super) fn an_old_image_is_whole_again(facts: &Facts) -> Option<Group> {
    let writer = settled_writer(facts)?;
    let rule = &facts.group.rule;
    let covered = |node: &Node| {
        let later =
            node.old_image.is_some_and(|image| image.life == node.boots.life && rule.number > image.rules);
        // No commit ever waited for one without a vote.
        (later && rule.members.contains(&node.id)) || (!node.quorum && streams_again(facts, writer, node))
    };
    let mut after = facts.group.clone();
    after.nodes.iter_mut().filter(|node| covered(node)).for_each(|node| node.old_image = None);
    (after != *facts.group).then_some(after)
}

/// What a node that runs on an old image waits for, and which word of an operator ends the wait.
pub fn note(facts: &Facts, node: &Node) -> Option<String> {
    node.old_image?;
    let is_writer = facts.writer().is_some_and(|writer| writer.id == node.id);
    let writer = facts.writer().filter(|writer| writer.goal.writes());
    Some(match writer {
        None if is_writer && facts.group.election.is_none() => {
            "runs on a disk of an earlier time and does not write by it; waits for a standby that has its later commits, for \
             that later disk, or for pg_autoctl perform force-promotion"
                .to_owned()
        }
        Some(writer) => format!(
            "runs on a disk of an earlier time; no candidate until it has caught up with node {}",
            writer.id
        ),
        None => "runs on a disk of an earlier time; no candidate until it has caught up with a primary".to_owned(),
    })
}
