//! A node whose server may be taken down is missed by nobody: no binding rule names it, and the primary waits for others.
use crate::Pair;
use crate::world::World;
use fsm::state::State;
use stateright::Property;

pub const NAME: &str = "no commit waits for a server that may be taken down";

pub fn property() -> Property<Pair> {
    Property::always(NAME, |_, world: &World| {
        let named = world.group.members();
        let maintained =
            world.group.nodes.iter().enumerate().filter(|(_, node)| node.goal == State::Maintenance);
        maintained.into_iter().all(|(n, node)| {
            let other = &world.nodes[1 - n];
            !named.contains(&node.id) && !other.disk.names.members.contains(&node.id)
        })
    })
}

/// What maintenance is for.
pub fn happens() -> Vec<Property<Pair>> {
    vec![
        Property::sometimes(
            "a standby is down for maintenance and the primary writes",
            |_, world: &World| {
                world.group.nodes[1].goal == State::Maintenance
                    && !world.nodes[1].alive
                    && writes_alone(world, 0)
            },
        ),
        Property::sometimes("the former primary is in maintenance", |_, world: &World| {
            world.group.nodes[0].goal == State::Maintenance && writes_alone(world, 1)
        }),
        Property::sometimes("a maintained node is secondary again", |_, world: &World| {
            world.maintenances == 0 && world.is_settled() && !world.acknowledged.is_empty()
        }),
    ]
}

fn writes_alone(world: &World, n: usize) -> bool {
    world.nodes[n].commits() && world.group.unleased
}
