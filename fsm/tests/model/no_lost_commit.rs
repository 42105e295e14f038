//! Law 1: what a client was told is on the recorded writer, from the moment it is recorded. And law 9: histories are not mixed.
use crate::Pair;
use crate::world::World;
use stateright::Property;

pub const NAME: &str = "acknowledged means kept";
pub const HISTORIES: &str = "nobody streams from another history than its own";

pub fn property() -> Property<Pair> {
    Property::always(NAME, |pair, world: &World| {
        let writer = world.group.reign().map(|reign| reign.writer);
        let is_writer = |node: &&crate::keeper_sim::Node| Some(node.id) == writer;
        let kept = |node: &crate::keeper_sim::Node| world.acknowledged.iter().all(|commit| node.has(*commit));
        !pair.synchronous || world.nodes.iter().find(is_writer).is_none_or(kept)
    })
}

pub fn histories() -> Property<Pair> {
    Property::always(HISTORIES, |_, world: &World| !world.mixed_histories)
}
