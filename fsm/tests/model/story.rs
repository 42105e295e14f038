//! What happened on the way to a broken law, for people.
use crate::setup::Setup;
use crate::world::{Event, World};
use std::fmt::Write;

/// The events, and after each how things stood: the monitor's view, then each node's own.
pub fn tell(setup: &Setup, events: &[Event]) -> String {
    let mut world = World::settled(setup);
    let mut story = String::new();
    for event in events {
        if let Some(next) = world.after(event, setup) {
            world = next;
        }
        writeln!(story, "{event:?}\n{}", sketch(&world)).expect("a String takes everything");
    }
    story + &format!("{world:?}")
}

fn sketch(world: &World) -> String {
    let group = &world.group;
    let members = |rule: &fsm::rule::Rule| {
        let members: Vec<i64> = rule.members.iter().map(|node| node.0).collect();
        format!("#{} any {} of {members:?}", rule.number, rule.wait_for)
    };
    let mut sketch = format!("    term {}, rule {}", group.term, members(&group.rule));
    if let Some(next) = &group.next_rule {
        sketch += &format!(", then {}{}", members(&next.rule), if next.offered { " (offered)" } else { "" });
    }
    if let Some(election) = &group.election {
        sketch += &format!(", election {:?} by {}", election.winner, members(&election.rule));
    }
    if group.unleased {
        sketch += ", unleased";
    }
    for (n, node) in world.nodes.iter().enumerate() {
        let goal = world.seen(n).map(|seen| seen.goal);
        let state = if node.alive { "" } else { " down" };
        let copies = if node.disk.copying.is_some() { " copying" } else { "" };
        sketch += &format!(
            "\n    {}: {goal:?} <- {:?}{state}{copies} {:?} pledge {} history {} wal {:?} rule #{} {:?} of {:?}",
            node.id,
            node.disk.role,
            node.fence,
            node.disk.pledge,
            node.disk.history,
            node.disk.wal,
            node.disk.rule.number,
            node.receiver,
            node.disk.upstream.map(|upstream| upstream.0),
        );
    }
    sketch
}
