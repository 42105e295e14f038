//! Law 2: never two nodes that both commit and tell their clients so.
use crate::Pair;
use crate::world::World;
use stateright::Property;

pub const NAME: &str = "one writer";

pub fn property() -> Property<Pair> {
    Property::always(NAME, |pair, world: &World| !(0..2).all(|n| can_acknowledge(pair, world, n)))
}

fn can_acknowledge(pair: &Pair, world: &World, n: usize) -> bool {
    let streaming = world.clone().sim(n, &pair.laws).streaming();
    world.nodes[n].commits() && world.nodes[n].disk.names.is_met_by(&streaming)
}
