//! Promoting a node whose pledge is not enough: an operator's word that what others may have is given up.
use super::operate::{self, Refusal};
use super::{Facts, election};
use crate::group::{Group, Node, Probe};
use crate::message::Receiver;
use crate::policy::Policy;
use crate::state::State;
use crate::units::{Lsn, Moment, NodeId};
use std::fmt;

/// What a node has, and what others are known to have had. Which commits lie in between nobody can tell from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The node.
    pub node: NodeId,
    /// The end of its WAL.
    pub end: Lsn,
    /// The last recorded writer.
    pub writer: NodeId,
    /// The others whose history is recorded, with the end of their WAL as last reported; whoever has most comes first.
    pub others: Vec<Other>,
}

/// Another node, as it was heard of last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    /// Its id.
    pub node: NodeId,
    /// The end of its WAL. `None`: never heard.
    pub end: Option<Lsn>,
    /// It has WAL that the node has not: more of the same history, or some of a later one.
    pub has_more: bool,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node {} has WAL up to {}", self.node, self.end)?;
        for Other { node, end, has_more } in &self.others {
            let name = if *node == self.writer {
                format!("the last primary (node {node})")
            } else {
                format!("node {node}")
            };
            match end {
                None => write!(f, "; of {name} nothing is known")?,
                Some(end) if *has_more && *end > self.end => {
                    write!(f, "; {name} had {} bytes more, up to {end}", self.end.behind(*end))?;
                }
                Some(end) if *has_more => write!(f, "; {name} had some of a later history, up to {end}")?,
                Some(_) => write!(f, "; {name} was last known to have no more")?,
            }
        }
        f.write_str("; what they wrote after their last report is not known")
    }
}

/// What may be lost with that node's promotion; refused where something else is to be done.
pub fn check(group: &Group, id: NodeId, policy: &Policy, now: Moment) -> Result<Gap, Refusal> {
    let facts = Facts::new(group, policy, now);
    let node = group.node(id).ok_or(Refusal::NoSuchNode)?;
    if group.is_incomplete() {
        return Err(Refusal::Incomplete);
    }
    let reign = group.reign().ok_or(Refusal::NoWriter)?;
    let is_writer = reign.writer == id;
    if is_writer && node.old_image.is_none() {
        return Err(Refusal::IsWriter);
    }
    if facts.in_startup_grace() {
        return Err(Refusal::JustStarted);
    }
    if !is_writer && writer_may_live(&facts) {
        return Err(Refusal::WriterLives);
    }
    if ordinary_is_possible(&facts) {
        return Err(Refusal::ElectionPossible);
    }
    let has_data = !matches!(node.reported, State::Init | State::WaitStandby | State::Dropped);
    // From WAL that the recorded history left out there is no telling who may follow whom afterwards (law 9).
    let known = !facts.has_diverged(node) && !facts.is_impostor(node);
    if !(facts.in_contact(node) && node.in_recovery && has_data && known) {
        return Err(Refusal::NoCopy);
    }
    let end = node.lsn.ok_or(Refusal::NoCopy)?;
    Ok(Gap { node: id, end, writer: reign.writer, others: others(&facts, node) })
}

/// Opens a term for it. A writer that runs on a disk of an earlier time needs one too: others may have WAL of its reign that it lacks,
/// and would stream on from where theirs ends, had it no timeline of its own (law 9). What may be lost with that.
pub fn force_promotion(group: &mut Group, id: NodeId, policy: &Policy, now: Moment) -> Result<Gap, Refusal> {
    let gap = check(group, id, policy, now)?;
    operate::trust(group, id)?;
    *group = election::open_for(&Facts::new(group, policy, now), id);
    Ok(gap)
}

/// It is not known to be gone, its server recovers, or somebody receives from it.
fn writer_may_live(facts: &Facts) -> bool {
    let Some(writer) = facts.writer() else { return false };
    let streams = |node: &Node| facts.in_contact(node) && node.receiver == Receiver::Streaming;
    !facts.is_lost(writer)
        || writer.probe == Probe::Starting
        || facts.group.nodes.iter().any(|node| node.id != writer.id && streams(node))
}

/// The monitor can do without anybody's word what loses nothing, or is about to.
fn ordinary_is_possible(facts: &Facts) -> bool {
    let Some(election) = &facts.group.election else { return facts.can_elect() };
    if let Some(winner) = election.winner.and_then(|winner| facts.group.node(winner)) {
        return !facts.is_lost(winner);
    }
    let pledged = facts.pledged(election.term);
    let mut present = facts.ready_to_pledge();
    present.extend(pledged.iter().filter(|node| facts.in_contact(node)).map(|node| node.id));
    let can_win = |node: &Node| facts.may_win(node) && !facts.has_diverged(node);
    let somebody = present.iter().any(|id| facts.group.node(*id).is_some_and(can_win));
    !facts.group.unleased && somebody && facts.held_by(&present)
}

fn others(facts: &Facts, node: &Node) -> Vec<Other> {
    let mut others: Vec<&Node> = facts.group.nodes.iter().filter(|other| other.id != node.id).collect();
    others.retain(|other| !facts.is_impostor(other));
    others.sort_by_key(|other| std::cmp::Reverse(facts.progress(other)));
    let has_more = |other: &Node| facts.progress(other) > facts.progress(node);
    others
        .into_iter()
        .map(|other| Other { node: other.id, end: other.lsn, has_more: has_more(other) })
        .collect()
}
