//! Law 7: the WAL of a member is discarded only after the primary has confirmed a rule without it.
use crate::Cluster;
use crate::node::Node;
use crate::world::World;
use stateright::Property;

pub const NAME: &str = "no WAL that counts is discarded";

pub fn property() -> Property<Cluster> {
    Property::always(NAME, |_, world: &World| !world.discarded)
}

/// Whether what a node is about to discard counts: it follows the present reign, and the confirmed rule names it. Where the
/// writer may go on alone, nobody is elected, and it has everything itself. An old image counts for nothing.
pub fn counts(world: &World, node: &Node) -> bool {
    let follows = world.group.reign().is_some_and(|reign| node.disk.history == reign.term);
    let is_old = world.group.node(node.id).is_some_and(|node| node.old_image.is_some());
    follows && !is_old && !world.group.unleased && world.group.rule.members.contains(&node.id)
}
