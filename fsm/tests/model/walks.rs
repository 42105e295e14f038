//! Walks by chance, far beyond what can be looked at exhaustively: many faults of every kind, and larger groups.
use crate::setup::Setup;
use crate::world::{Event, World};
use crate::{Cluster, Findings, story};
use stateright::{Expectation, Model, Property};
use std::collections::HashSet;

/// How many events a walk has.
const LENGTH: usize = 120;
/// One event in so many is a fault.
const FAULT_ONE_IN: usize = 12;

/// Numbers that look as if they came by chance, the same for the same seed (splitmix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % n as u64).expect("below a usize")
    }
}

/// Goes that many ways, each from the settled group, and stops at the first that breaks a law; or that law, where one is named.
pub fn walk(setup: Setup, walks: u64, wanted: Option<&'static str>) -> Findings {
    let cluster = Cluster { setup, known: Default::default() };
    let laws: Vec<Property<Cluster>> = cluster
        .properties()
        .into_iter()
        .filter(|law| law.expectation == Expectation::Always && wanted.is_none_or(|name| name == law.name))
        .collect();
    let start = World::settled(&cluster.setup);
    let mut seen = HashSet::new();
    for seed in 0..walks {
        let mut chance = Chance(seed);
        let (mut world, mut events) = (start.clone(), Vec::new());
        for _ in 0..LENGTH {
            let Some((event, next)) = step(&cluster, &world, &mut chance) else { break };
            events.push(event);
            world = next;
            if !seen.insert(world.fingerprint()) {
                continue;
            }
            let broken: Vec<_> = laws
                .iter()
                .filter(|law| !(law.condition)(&cluster, &world))
                .map(|law| (law.name, story::tell(&cluster.setup, &events)))
                .collect();
            if !broken.is_empty() {
                return Findings { states: seen.len(), broken, missing: Vec::new() };
            }
        }
    }
    Findings { states: seen.len(), broken: Vec::new(), missing: Vec::new() }
}

/// One of the things that may happen next and change something.
fn step(cluster: &Cluster, world: &World, chance: &mut Chance) -> Option<(Event, World)> {
    let mut events = Vec::new();
    cluster.actions(world, &mut events);
    // There are far more ways to go wrong than to go on.
    let wrong = chance.below(FAULT_ONE_IN) == 0;
    if events.iter().any(|event| event.is_fault(world) == wrong) {
        events.retain(|event| event.is_fault(world) == wrong);
    }
    while !events.is_empty() {
        let event = events.swap_remove(chance.below(events.len()));
        if let Some(next) = cluster.next_state(world, event.clone()) {
            return Some((event, next));
        }
    }
    None
}
