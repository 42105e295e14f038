//! What the monitor says about the health of nodes. Each change is told once, with its cause: what was told last is on the
//! board, and a transaction that is undone has told nothing.
use crate::error::Error;
use crate::evaluate::Scene;
use crate::store::event::Event;
use crate::transaction::Kept;
use crate::{notify, pg, tell};
use fsm::group::{Node, Probe, Session};
use fsm::monitor::Facts;
use fsm::monitor::facts::Health;
use fsm::units::NodeId;
use std::cell::RefCell;

thread_local! {
    /// Told in this transaction.
    /// What is told when the transaction has committed.
    pub static TOLD: RefCell<Kept<(NodeId, Health)>> = const { RefCell::new(Kept::new()) };
}

/// Tells what has changed since it was told last. After the monitor's start silence is its own: only who is well is told of.
pub fn tell_changes(scene: &Scene) -> Result<(), Error> {
    let facts = Facts::new(&scene.group, &scene.policy, scene.now);
    for node in &scene.group.nodes {
        let Some(member) = scene.member(node.id) else { continue };
        let health = facts.health(node);
        if health == told_last(node.id)? || (facts.in_startup_grace() && health != Health::Good) {
            continue;
        }
        let text = format!(
            "{} has {} health now: {}",
            tell::name(member),
            notify::health_name(health),
            cause(&facts, node)
        );
        let event = tell::say(&Event { node: Some((member, node)), ..tell::of_group(scene, &text) })?;
        tell::state(scene, event, member, node, health)?;
        TOLD.with_borrow_mut(|told| told.push((node.id, health)));
    }
    Ok(())
}

fn told_last(id: NodeId) -> Result<Health, Error> {
    let here =
        TOLD.with_borrow(|told| told.latest_first().find(|(node, _)| *node == id).map(|(_, health)| *health));
    match here {
        Some(health) => Ok(health),
        None => pg::board(|board| board.node(id).map_or(Health::Unknown, |slot| slot.health_told)),
    }
}

fn cause(facts: &Facts, node: &Node) -> String {
    let server = match node.probe {
        Probe::Unknown => "was not probed yet",
        Probe::Answers => "answers",
        Probe::Starting => "is starting up",
        Probe::Stopping => "is shutting down",
        Probe::Refused => "refuses connections",
        Probe::Silent => "does not answer",
    };
    match node.session {
        _ if facts.in_contact(node) => "it reports".to_owned(),
        Session::Lost => format!("its session has ended, and its server {server}"),
        Session::Up | Session::Never => {
            let silence = facts.silent_for(node).0;
            let (seconds, tenth) = (silence / 1_000, silence % 1_000 / 100);
            format!("it has been silent for {seconds}.{tenth} s, and its server {server}")
        }
    }
}

/// The transaction has committed, and still holds its locks.
pub fn at_commit() {
    for (node, health) in TOLD.with_borrow_mut(Kept::take) {
        // Without a board nothing was told.
        let _ = pg::board(|board| {
            if let Some(slot) = board.node(node) {
                slot.health_told = health;
            }
        });
    }
}
