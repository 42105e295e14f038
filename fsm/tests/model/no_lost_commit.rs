//! Law 1: what a client was told is on the recorded writer, from the moment it is recorded. And law 9: histories are not mixed.
use crate::Pair;
use crate::keeper_sim::{Node, streaming};
use crate::world::World;
use stateright::Property;

pub const NAME: &str = "acknowledged means kept";
pub const PLEDGE: &str = "a pledged node acknowledges nothing for an older term";
pub const HISTORIES: &str = "nobody streams from another history than its own";

pub fn property() -> Property<Pair> {
    Property::always(NAME, |pair, world: &World| {
        let writer = world.group.reign().map(|reign| reign.writer);
        let is_writer = |node: &&Node| Some(node.id) == writer;
        let kept = |node: &Node| world.acknowledged.iter().all(|commit| node.has(*commit));
        // Who that is, a restored monitor does not know before everybody has reported.
        !pair.synchronous || world.group.behind || world.nodes.iter().find(is_writer).is_none_or(kept)
    })
}

pub fn histories() -> Property<Pair> {
    Property::always(HISTORIES, |_, world: &World| !world.mixed_histories)
}

pub fn pledge() -> Property<Pair> {
    Property::always(PLEDGE, |_, world: &World| {
        (0..2).all(|n| {
            let counted = !streaming(&world.nodes, n, world.linked).is_empty();
            !counted || world.nodes[1 - n].disk.pledge <= world.nodes[n].disk.term
        })
    })
}
