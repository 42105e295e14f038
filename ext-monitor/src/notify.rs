//! NOTIFY: hints for whoever listens, sent when the transaction commits. Nothing depends on their arrival.
use crate::error::Error;
use crate::store::node::Member;
use fsm::group::Node;
use fsm::monitor::facts::Health;
use pgrx::prelude::*;
use serde_json::json;

/// In bytes. A notification has room for less than 8000, and each byte may take six in JSON; the other names are shorter.
const LONGEST_FORMATION: usize = 1_000;

/// What a group's keepers are asked over their push channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Push {
    /// Something is suspected: report at once.
    Report,
    /// A goal has changed: report, and hear it.
    Goal,
}

/// The push channel of a group.
pub fn channel(serial: i32) -> String {
    format!("pgautofailover_group_{serial}")
}

/// Asks a group's keepers.
pub fn push(serial: i32, what: Push) -> Result<(), Error> {
    let payload = match what {
        Push::Report => "report",
        Push::Goal => "goal",
    };
    send(&channel(serial), payload)
}

/// The text of an event, on channel `log`.
pub fn log(text: &str) -> Result<(), Error> {
    send("log", text)
}

/// A node's states, on channel `state`. The event's id tells two notifications apart that say the same.
pub fn state(
    event: i64,
    formation: &str,
    group: i32,
    member: &Member,
    node: &Node,
    health: Health,
) -> Result<(), Error> {
    let payload = json!({
        "type": "state",
        "eventId": event,
        "formation": &formation[..formation.floor_char_boundary(LONGEST_FORMATION)],
        "groupId": group,
        "nodeId": node.id,
        "name": member.name,
        "host": member.host,
        "port": member.port,
        "reportedState": node.reported,
        "goalState": node.goal,
        "health": health_name(health),
    });
    send("state", &payload.to_string())
}

/// The word for a health in messages.
pub const fn health_name(health: Health) -> &'static str {
    match health {
        Health::Good => "good",
        Health::Bad => "bad",
        Health::Unknown => "unknown",
    }
}

/// The number for a health in tables.
pub const fn health_number(health: Health) -> i32 {
    match health {
        Health::Good => 1,
        Health::Bad => 0,
        Health::Unknown => -1,
    }
}

fn send(channel: &str, payload: &str) -> Result<(), Error> {
    Spi::connect(|client| {
        client
            .select("SELECT pg_catalog.pg_notify($1, $2)", None, &[channel.into(), payload.into()])
            .map(|_| ())
    })?;
    Ok(())
}
