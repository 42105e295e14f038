//! A node whose server may be taken down is missed by nobody: no binding rule names it, and the primary waits for others.
use crate::Cluster;
use crate::node::Node;
use crate::shared::Shared;
use crate::world::World;
use fsm::state::State;
use stateright::Property;

pub const NAME: &str = "no commit waits for a server that may be taken down";

pub fn property() -> Property<Cluster> {
    Property::always(NAME, |_, world: &World| {
        let named = world.group.members();
        let writer = world.group.reign().map(|reign| reign.writer);
        let writes = |node: &&Shared<Node>| Some(node.id) == writer && node.alive && !node.in_recovery;
        let mut maintained = world.group.nodes.iter().filter(|node| node.goal == State::Maintenance);
        maintained.all(|node| {
            let waited_for = |other: &Shared<Node>| other.disk.names.members.contains(&node.id);
            !named.contains(&node.id) && !world.nodes.iter().filter(writes).any(waited_for)
        })
    })
}

/// What maintenance is for.
pub fn happens() -> Vec<Property<Cluster>> {
    vec![
        Property::sometimes(
            "a standby is down for maintenance and the primary writes",
            |_, world: &World| {
                world.has_goal(1, State::Maintenance) && !world.nodes[1].alive && writes_alone(world, 0)
            },
        ),
        Property::sometimes("the former primary is in maintenance", |_, world: &World| {
            world.has_goal(0, State::Maintenance) && writes_alone(world, 1)
        }),
        Property::sometimes("a maintained node is secondary again", |cluster, world: &World| {
            world.wishes == 0 && world.is_settled(&cluster.setup) && !world.acknowledged.is_empty()
        }),
    ]
}

fn writes_alone(world: &World, n: usize) -> bool {
    world.nodes[n].commits() && world.group.unleased
}
