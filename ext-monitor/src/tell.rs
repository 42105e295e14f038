//! What the monitor says about a formation: decisions, health, refusals, operators' commands. All of it goes through
//! [`say`], which makes of each sentence a row of `event`, a notification on channel `log`, and a line of PostgreSQL's log.
//!
//! Row and notification belong to the transaction. The line is written once that has committed, under its locks
//! still, so that lines of one group stand in the order of their rows and none stands there for something that never
//! was. Only a server that dies in between has a row without a line.
use crate::error::Error;
use crate::evaluate::Scene;
use crate::store::event::{self, Event};
use crate::store::group::Stored;
use crate::store::node::Member;
use crate::transaction::Kept;
use crate::{notify, pg};
use fsm::group::{Group, Node};
use fsm::monitor::Facts;
use fsm::monitor::facts::Health;
use fsm::units::NodeId;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use std::cell::RefCell;
use std::fmt::Write;

/// In bytes. A notification has room for less than 8000, and the event's number may follow.
const LONGEST_SENTENCE: usize = 7_000;

/// A sentence that was said, and the event that it became.
pub struct Line {
    event: i64,
    text: String,
}

thread_local! {
    /// What is told when the transaction has committed.
    pub static LINES: RefCell<Kept<Line>> = const { RefCell::new(Kept::new()) };
}

/// Says one sentence; returns the id of its event.
pub fn say(event: &Event) -> Result<i64, Error> {
    let text = printable(event.description);
    let id = event::record(&Event { description: &text, ..*event })?;
    // PostgreSQL sends only one of two equal notifications of a transaction.
    let said_before = LINES.with_borrow(|lines| lines.latest_first().any(|line| line.text == text));
    if said_before {
        notify::log(&format!("{text} (event {id})"))?
    } else {
        notify::log(&text)?
    }
    LINES.with_borrow_mut(|lines| lines.push(Line { event: id, text }));
    Ok(id)
}

/// Without what has a meaning to terminals and logs, and short enough to be sent.
fn printable(text: &str) -> String {
    let mut plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if plain.len() > LONGEST_SENTENCE {
        let end = plain.floor_char_boundary(LONGEST_SENTENCE);
        plain.truncate(end);
        plain.push('…');
    }
    plain
}

// ---- what operators ask for

/// An operator's command to a group that is under evaluation. The event shows the node as the command found it.
pub fn command(scene: &Scene, node: Option<NodeId>, what: &str) -> Result<(), Error> {
    let member = scene.stored.members.iter().find(|member| Some(member.id) == node);
    let found = member.map(|member| member.node(None, scene.now));
    let node = member.zip(found.as_ref());
    let subject = member.map_or_else(|| group_name(&scene.stored), name);
    let text = format!("{subject}: {what}, asked for by \"{}\"", pg::session_user());
    say(&Event { node, ..of_group(scene, &text) }).map(drop)
}

/// An operator's command to a formation as a whole, or to a group that is not under evaluation.
pub fn formation_command(formation: &str, group: Option<i32>, what: &str) -> Result<(), Error> {
    let text = format!("Formation {formation}: {what}, asked for by \"{}\"", pg::session_user());
    let event =
        Event { formation: Some(formation), group, node: None, description: &text, rule: None, facts: None };
    say(&event).map(drop)
}

/// An operator's command to the monitor itself.
pub fn monitor_command(what: &str) -> Result<(), Error> {
    let text = format!("Monitor: {what}, asked for by \"{}\"", pg::session_user());
    let event =
        Event { formation: None, group: None, node: None, description: &text, rule: None, facts: None };
    say(&event).map(drop)
}

// ---- what changes

/// Everything that differs between two moments of an evaluation; every change of a node's states on channel `state` too.
pub fn changes(
    scene: &Scene,
    before: &Group,
    after: &Group,
    rule: Option<&'static str>,
) -> Result<(), Error> {
    let facts = rule.map(|_| before);
    let mut told = false;
    for node in &after.nodes {
        let Some(member) = scene.member(node.id) else { continue };
        let Some(text) = describe(member, before.node(node.id), node, rule) else { continue };
        let event = say(&Event { node: Some((member, node)), rule, facts, ..of_group(scene, &text) })?;
        let health = Facts::new(after, &scene.policy, scene.now).health(node);
        state(scene, event, member, node, health)?;
        told = true;
    }
    for gone in before.nodes.iter().filter(|node| after.node(node.id).is_none()) {
        let Some(member) = scene.member(gone.id) else { continue };
        let text = format!("{} has left the group", name(member));
        say(&Event { node: Some((member, gone)), rule, facts, ..of_group(scene, &text) })?;
        told = true;
    }
    if let Some(fired) = rule.filter(|_| !told) {
        let text = format!("{}, term {}: {fired}", group_name(&scene.stored), after.term);
        say(&Event { rule, facts, ..of_group(scene, &text) })?;
    }
    Ok(())
}

/// A node turned out to run on a disk of an earlier time.
pub fn old_image(scene: &Scene, id: NodeId, boot: u64) -> Result<(), Error> {
    let (Some(member), Some(node)) = (scene.member(id), scene.group.node(id)) else { return Ok(()) };
    let text = format!(
        "{} runs on a disk of an earlier time: this is its start number {boot}, and another one of number {} was known already",
        name(member),
        node.boots.count
    );
    say(&Event { node: Some((member, node)), ..of_group(scene, &text) }).map(drop)
}

/// The rows are of an earlier time than what was told to the nodes: this monitor was put back from a copy.
pub fn restored(scene: &Scene) -> Result<(), Error> {
    let text = format!(
        "{}: this monitor was restored from a copy of an earlier time. It decides nothing before all nodes have reported; \
         pg_autoctl show state says who is awaited",
        group_name(&scene.stored)
    );
    say(&of_group(scene, &text)).map(drop)
}

/// A report tells of what no row remembers.
pub fn knows_more(scene: &Scene, id: NodeId) -> Result<(), Error> {
    let (Some(member), Some(node)) = (scene.member(id), scene.group.node(id)) else { return Ok(()) };
    let text = format!(
        "{} has heard more from a monitor than this one remembers. It decides nothing before all nodes have reported; \
         pg_autoctl show state says who is awaited",
        name(member)
    );
    say(&Event { node: Some((member, node)), ..of_group(scene, &text) }).map(drop)
}

/// A node's states as they are with this event, on channel `state`.
pub fn state(scene: &Scene, event: i64, member: &Member, node: &Node, health: Health) -> Result<(), Error> {
    let Stored { formation, number, .. } = &scene.stored;
    notify::state(event, formation, *number, member, node, health)
}

/// An event of the scene's group, without a node.
pub fn of_group<'a>(scene: &'a Scene, text: &'a str) -> Event<'a> {
    Event {
        formation: Some(&scene.stored.formation),
        group: Some(scene.stored.number),
        node: None,
        description: text,
        rule: None,
        facts: None,
    }
}

fn group_name(stored: &Stored) -> String {
    format!("Group {} of formation {}", stored.number, stored.formation)
}

/// How sentences name a node.
pub fn name(member: &Member) -> String {
    format!("Node {} \"{}\" ({}:{})", member.id, member.name, member.host, member.port)
}

/// One sentence about what is new of a node, when something is.
fn describe(member: &Member, before: Option<&Node>, after: &Node, rule: Option<&str>) -> Option<String> {
    let Some(before) = before else {
        return Some(format!("{} is registered, to become {}", name(member), after.goal));
    };
    let mut text = name(member);
    let written = match (before.reported != after.reported, before.goal != after.goal) {
        (_, true) => write!(text, " is {} and is to become {}", after.reported, after.goal),
        (true, false) => write!(text, " is {} now", after.reported),
        (false, false) => return None,
    };
    if let (Ok(()), Some(rule)) = (written, rule.filter(|_| before.goal != after.goal)) {
        text.push_str(": ");
        text.push_str(rule);
    }
    Some(text)
}

// ---- the end of a transaction

/// The transaction has committed, and still holds its locks.
pub fn at_commit() {
    for line in LINES.with_borrow_mut(Kept::take) {
        let text = format!("{} (event {})", line.text, line.event);
        ErrorReport::new(PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION, text, "pgautofailover")
            .report(PgLogLevel::LOG_SERVER_ONLY);
    }
}
