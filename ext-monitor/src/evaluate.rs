//! Load, change, decide, save: the only way by which a goal is ever changed, whoever asked.
//!
//! One evaluation of a group at a time, from its lock to the end of the transaction. The board is told that it has
//! begun BEFORE anything is read, so that no lease is granted behind its back (law 2), and what it came to only when
//! the transaction has committed. Should it fail in between, the board goes on saying that one is under way, and the
//! next report or the worker evaluates anew.
use crate::api::heartbeat::{self, Answer};
use crate::error::Error;
use crate::notify::{self, Push};
use crate::store::failover;
use crate::store::group::{self, Stored};
use crate::store::node::Member;
use crate::{beside, gucs, health, pg, tell};
use fsm::group::{Group, Node, Session};
use fsm::message::Receiver;
use fsm::monitor::{self, Facts, resume, timing};
use fsm::policy::Policy;
use fsm::state::State;
use fsm::units::{Moment, NodeId};
use node_files::identity;
use node_files::revision::Revision;
use std::cell::RefCell;

/// More rules than this in a row mean that two of them undo each other.
const MOST_DECISIONS: usize = 50;

/// A group under evaluation.
pub struct Scene {
    /// Its serial number.
    pub serial: i32,
    /// As it was read.
    pub stored: Stored,
    /// As it is now.
    pub group: Group,
    /// Its nodes' descriptions, as they are now.
    pub members: Vec<Member>,
    /// Keepers have something to hear that is not in the group: a password.
    pub news: bool,
    /// What to decide by.
    pub policy: Policy,
    /// When.
    pub now: Moment,
}

/// What the board is to be told when this transaction commits.
struct Pending {
    serial: i32,
    changed: bool,
    /// What its rows have come to.
    revision: Option<Revision>,
    unsettled: bool,
    answer: Option<Answer>,
    /// A part of the transaction was undone since, perhaps this evaluation: only another one knows what is left of it.
    undone: bool,
}

thread_local! {
    static PENDING: RefCell<Vec<Pending>> = const { RefCell::new(Vec::new()) };
}

/// Evaluates a group: `enter` brings in what is new, the rules do the rest.
pub fn evaluate<T>(
    serial: i32,
    enter: impl FnOnce(&mut Scene) -> Result<T, Error>,
) -> Result<(T, Scene), Error> {
    if !pg::is_read_committed() {
        return Err(Error::Isolation);
    }
    group::lock(serial)?;
    let mut scene = begin(serial)?;
    let before = scene.group.clone();
    let noted = beside::noted(serial)?;
    if scene.stored.revision().is_behind(noted) {
        // What stood here is continued, also where the copy was taken before it had that epoch.
        scene.group.succeeds.extend(noted.map(|noted| noted.epoch));
        resume::await_everybody(&mut scene.group, identity::fresh_number());
        tell::restored(&scene)?;
    }
    let result = enter(&mut scene)?;
    tell::changes(&scene, &before, &scene.group, None)?;
    note_phases(&scene, &before, timing::FORCED)?;
    let mut fired: Vec<&'static str> = Vec::new();
    while let Some(decision) = monitor::decide(&scene.group, &scene.policy, scene.now) {
        let before = std::mem::replace(&mut scene.group, decision.group);
        tell::changes(&scene, &before, &scene.group, Some(decision.rule))?;
        note_phases(&scene, &before, decision.rule)?;
        fired.push(decision.rule);
        if fired.len() > MOST_DECISIONS {
            let rules = fired.split_off(MOST_DECISIONS - 5);
            return Err(Error::Restless { group: serial, rules });
        }
    }
    health::tell_changes(&scene)?;
    end(&scene, &before)?;
    Ok((result, scene))
}

/// Writes down what a failover or switchover has come to since `before`; one that begins, begins for that cause.
fn note_phases(scene: &Scene, before: &Group, cause: &'static str) -> Result<(), Error> {
    let phases = timing::reached(&Facts::new(before, &scene.policy, scene.now), &scene.group);
    phases.into_iter().try_for_each(|phase| failover::note(scene.serial, phase, cause))
}

fn begin(serial: i32) -> Result<Scene, Error> {
    pg::board(|board| board.group_or_new(serial).map(|slot| slot.under_evaluation = true))??;
    let stored = match group::load(serial) {
        // We hold its lock, so nobody is about to commit it: it was dropped, or never came to be.
        Err(error @ Error::UnknownGroup(_)) => {
            pg::board(|board| board.forget_group(serial))?;
            return Err(error);
        }
        other => other?,
    };
    let (policy, now) = (gucs::policy(), pg::now());
    let group = pg::board(|board| -> Result<Group, Error> {
        for member in &stored.members {
            board.place(member.id, serial, &member.host, member.port, now)?;
        }
        board.keep_nodes(serial, |id| stored.members.iter().any(|member| member.id == id));
        let granted_until = board.group_or_new(serial)?.granted_until;
        Ok(stored.group(board, granted_until, policy.margin, now))
    })??;
    let members = stored.members.clone();
    Ok(Scene { serial, stored, group, members, news: false, policy, now })
}

fn end(scene: &Scene, before: &Group) -> Result<(), Error> {
    let saved = group::save(scene.serial, &scene.stored, &scene.group, &scene.members, scene.policy.lease)?;
    if let Some(revision) = saved {
        beside::make_room(scene.serial, revision)?;
    }
    // News ends the answers that were given before, as a change does.
    let changed = saved.is_some() || scene.news;
    if scene.news || is_news_for_keepers(before, &scene.group) {
        notify::push(scene.serial, Push::Goal)?;
    }
    pg::board(|board| -> Result<(), Error> {
        let slot = board.group_or_new(scene.serial)?;
        // Another monitor may have granted one to a writer that was adopted. Later than need be, should this not commit.
        slot.granted_until = slot.granted_until.max(scene.group.granted_until);
        for (node, member) in scene.group.nodes.iter().filter_map(|node| Some((node, scene.member(node.id)?)))
        {
            let slot = board.place(node.id, scene.serial, &member.host, member.port, scene.now)?;
            slot.heard = node.heard;
            slot.lsn = node.lsn;
            slot.receiver_since = node.receiver_since;
            slot.goal_since = node.goal_since;
        }
        Ok(())
    })??;
    let unsettled = is_unsettled(&scene.group);
    PENDING.with_borrow_mut(|pending| {
        let known = pending.iter_mut().find(|entry| entry.serial == scene.serial);
        match known {
            Some(entry) => {
                (entry.changed, entry.unsettled) = (entry.changed || changed, unsettled);
                entry.revision = saved.or(entry.revision);
            }
            None => pending.push(Pending {
                serial: scene.serial,
                changed,
                revision: saved,
                unsettled,
                answer: None,
                undone: false,
            }),
        }
    });
    Ok(())
}

/// A keeper has something new to hear.
fn is_news_for_keepers(before: &Group, after: &Group) -> bool {
    let goals = |group: &Group| group.nodes.iter().map(|node| (node.id, node.goal)).collect::<Vec<_>>();
    let head =
        |group: &Group| (group.term, group.rule.clone(), group.next_rule.clone(), group.election.clone());
    goals(before) != goals(after) || head(before) != head(after)
}

/// Something is under way, or somebody is missing: heartbeats evaluate, and the worker looks often.
fn is_unsettled(group: &Group) -> bool {
    let restless = |node: &Node| {
        let catching_up = node.goal == State::CatchingUp;
        let unfed = node.goal.follows() && node.receiver != Receiver::Streaming;
        // One in maintenance may be down for hours, and nothing is decided about it.
        let lost = node.session == Session::Lost && node.goal != State::Maintenance;
        !node.settled() || catching_up || unfed || node.leaving || node.stuck || lost
    };
    group.behind || group.election.is_some() || group.next_rule.is_some() || group.nodes.iter().any(restless)
}

impl Scene {
    /// The description of a node.
    pub fn member(&self, id: NodeId) -> Option<&Member> {
        self.members.iter().find(|member| member.id == id)
    }

    /// The description of a node, to change it.
    pub fn member_mut(&mut self, id: NodeId) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.id == id)
    }

    /// Remembers an answer, to be given again once this transaction has committed and as long as nothing changes.
    pub fn remember(&self, answer: Answer) {
        PENDING.with_borrow_mut(|pending| {
            if let Some(entry) = pending.iter_mut().find(|entry| entry.serial == self.serial) {
                entry.answer = Some(answer);
            }
        });
    }
}

// ---- the end of a transaction

/// The transaction has committed, and still holds its locks.
pub fn at_commit() {
    for pending in PENDING.take() {
        // Before anybody hears of it. When a part was undone the rows may say less; then the next change notes it.
        if let Some(revision) = pending.revision.filter(|_| !pending.undone) {
            beside::note(pending.serial, revision);
        }
        // Without a board nothing was ever pending.
        let generation = pg::board(|board| {
            let slot = board.group(pending.serial)?;
            slot.under_evaluation = pending.undone;
            slot.unsettled = pending.unsettled;
            slot.generation += u64::from(pending.changed);
            Some(slot.generation)
        });
        if let (Ok(Some(generation)), Some(answer)) = (generation, pending.answer) {
            heartbeat::keep(answer, generation);
        }
        if pending.changed {
            pg::ring();
        }
    }
}

/// The transaction is to be prepared: its group would stay locked until somebody thinks of it.
pub fn at_prepare() {
    if PENDING.with_borrow(|pending| !pending.is_empty()) {
        Error::Prepared.raise();
    }
}

/// The transaction was undone.
pub fn at_abort() {
    PENDING.take();
}

/// A part of the transaction was undone; what it did before may be committed yet.
pub fn at_rollback() {
    PENDING.with_borrow_mut(|pending| {
        for entry in pending {
            (entry.changed, entry.undone, entry.answer) = (true, true, None);
        }
    });
}
