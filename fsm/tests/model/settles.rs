//! Law 8: once nothing goes wrong any more, the group settles; and what it is for does happen.
use crate::Cluster;
use crate::node::{Fence, Record};
use crate::world::{LATER_EPOCH, World};
use fsm::state::State;
use stateright::Property;

pub const NAME: &str = "the group settles once faults stop";
pub const WITHOUT: &str = "the group settles without a node that is lost, or waits for what only that has";

pub fn property() -> Property<Cluster> {
    Property::always(NAME, |cluster, world: &World| world.heals(&cluster.setup, &cluster.known))
}

/// The same when a node that is down now never comes back.
pub fn without_the_lost() -> Property<Cluster> {
    Property::always(WITHOUT, |cluster, world: &World| {
        let down = |n: &usize| !world.nodes[*n].alive;
        world.places().filter(down).all(|n| world.heals_without(n, &cluster.setup, &cluster.known))
    })
}

fn promoted(world: &World, n: usize) -> bool {
    world.nodes[n]
        .disk
        .wal
        .iter()
        .any(|record| matches!(record, Record::Promoted(id, _) if *id == world.nodes[n].id))
}

/// What a synchronous pair must be able to do.
pub fn happens() -> Vec<Property<Cluster>> {
    vec![
        Property::sometimes("a killed primary is replaced", |_, world: &World| {
            !world.nodes[0].alive && world.nodes[1].commits() && world.nodes[0].disk.role == State::Primary
        }),
        Property::sometimes("a primary that is cut off is replaced", |_, world: &World| {
            world.nodes[0].alive && world.cut[0] && world.nodes[1].commits()
        }),
        Property::sometimes("the old primary follows the new one", |_, world: &World| {
            world.nodes[0].disk.role == State::Secondary && promoted(world, 1) && !promoted(world, 0)
        }),
        Property::sometimes("the primary writes alone when its standby is lost", |_, world: &World| {
            !world.nodes[1].alive && world.nodes[0].fence == Fence::Unleased && !promoted(world, 0)
        }),
        Property::sometimes("a lost standby is secondary again", |cluster, world: &World| {
            world.is_settled(&cluster.setup)
                && world.group.rule.number.0 > 2
                && !promoted(world, 0)
                && !promoted(world, 1)
        }),
    ]
}

fn gone_on(cluster: &Cluster, world: &World) -> bool {
    world.group.epoch == LATER_EPOCH && world.is_settled(&cluster.setup)
}

/// What a monitor that was put back must be able to do.
pub fn resumes() -> Vec<Property<Cluster>> {
    vec![
        Property::sometimes(
            "it goes on with the primary that was elected since",
            |cluster, world: &World| gone_on(cluster, world) && promoted(world, 1),
        ),
        Property::sometimes("it goes on with the primary that it knew", |cluster, world: &World| {
            gone_on(cluster, world) && !promoted(world, 0) && !promoted(world, 1)
        }),
    ]
}
