//! Law 2: never two nodes that both commit and tell their clients so.
use crate::Cluster;
use crate::world::World;
use stateright::Property;

pub const NAME: &str = "one writer";

pub fn property() -> Property<Cluster> {
    Property::always(NAME, |_, world: &World| holds(world))
}

pub fn holds(world: &World) -> bool {
    world.places().filter(|n| can_acknowledge(world, *n)).count() <= 1
}

fn can_acknowledge(world: &World, n: usize) -> bool {
    world.nodes[n].commits() && world.nodes[n].lets_go(&world.streaming(n))
}
