//! Law 2: never two nodes that both commit and tell their clients so.
use crate::Pair;
use crate::keeper_sim::streaming;
use crate::world::World;
use stateright::Property;

pub const NAME: &str = "one writer";

pub fn property() -> Property<Pair> {
    Property::always(NAME, |_, world: &World| holds(world))
}

pub fn holds(world: &World) -> bool {
    !(0..2).all(|n| can_acknowledge(world, n))
}

fn can_acknowledge(world: &World, n: usize) -> bool {
    let streaming = streaming(&world.nodes, n, world.linked);
    world.nodes[n].commits() && world.nodes[n].disk.names.is_met_by(&streaming)
}
