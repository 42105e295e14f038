//! Law 1: what a client was told is on the recorded writer, from the moment it is recorded. And law 9: histories are not mixed.
use crate::Cluster;
use crate::keeper_sim::place;
use crate::node::Node;
use crate::shared::Shared;
use crate::world::World;
use stateright::Property;

pub const NAME: &str = "acknowledged means kept";
pub const PLEDGE: &str = "a pledged node acknowledges nothing for an older term";
pub const HISTORIES: &str = "nobody streams from another history than its own";

pub fn property() -> Property<Cluster> {
    Property::always(NAME, |cluster, world: &World| {
        let writer = world.group.reign().map(|reign| reign.writer);
        let is_writer = |node: &&Shared<Node>| Some(node.id) == writer;
        let kept = |node: &Shared<Node>| {
            node.is_idle_image() || world.acknowledged.iter().all(|commit| node.has(*commit))
        };
        // Who that is, a restored monitor does not know before everybody has reported.
        !cluster.setup.synchronous
            || world.group.behind
            || world.nodes.iter().find(is_writer).is_none_or(kept)
    })
}

pub fn histories() -> Property<Cluster> {
    Property::always(HISTORIES, |_, world: &World| world.nodes.iter().all(|node| !node.mixed_histories))
}

pub fn pledge() -> Property<Cluster> {
    Property::always(PLEDGE, |_, world: &World| {
        world.places().all(|n| {
            let heard = world.nodes[n].disk.term;
            world.nodes[n].is_idle_image()
                || world
                    .streaming(n)
                    .iter()
                    .all(|follower| world.nodes[place(*follower)].disk.pledge <= heard)
        })
    })
}
