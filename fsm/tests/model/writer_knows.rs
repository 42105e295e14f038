//! Law 4: whoever commits without a lease is known to do so, and nobody else is elected meanwhile.
use crate::Cluster;
use crate::node::Fence;
use crate::world::World;
use stateright::Property;

pub const NAME: &str = "a writer without a lease is recorded as one";
pub const ELECTION: &str = "no winner while somebody writes without a lease";

pub fn property() -> Property<Cluster> {
    Property::always(NAME, |_, world: &World| {
        let writer = world.group.reign().map(|reign| reign.writer);
        // What was recorded, a restored monitor has to hear again.
        world.group.behind
            || world
                .nodes
                .iter()
                .filter(|node| node.fence == Fence::Unleased)
                .all(|node| world.group.unleased && writer == Some(node.id))
    })
}

pub fn election() -> Property<Cluster> {
    Property::always(ELECTION, |_, world: &World| {
        let Some(election) = world.group.election.as_ref().filter(|election| election.winner.is_some())
        else {
            return true;
        };
        let writer = world.group.reign().map(|reign| reign.writer);
        let pledged =
            world.nodes.iter().any(|node| Some(node.id) == writer && node.disk.pledge >= election.term);
        !world.group.unleased || pledged
    })
}
