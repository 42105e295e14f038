//! Two keepers and one monitor, every order of events there can be, within a number of faults.
mod keeper_sim;
mod mutants;
mod no_lost_commit;
mod one_writer;
mod settles;
mod world;
mod writer_knows;

use fsm::monitor::RULES;
use keeper_sim::Mistakes;
use stateright::{Checker, Expectation, HasDiscoveries, Model, Path, Property};
use std::collections::{BTreeSet, HashSet};
use std::sync::Mutex;
use world::{Event, Laws, Trouble, World};

/// The model: a pair under laws.
pub struct Pair {
    pub laws: Laws,
    pub synchronous: bool,
    pub number_sync_standbys: u32,
    pub faults: u8,
    /// Situations from which the pair is known to settle.
    pub known: Mutex<HashSet<u64>>,
}

impl Pair {
    pub fn new(laws: Laws, synchronous: bool, faults: u8) -> Pair {
        Pair { laws, synchronous, number_sync_standbys: 0, faults, known: Mutex::default() }
    }
}

impl Model for Pair {
    type State = World;
    type Action = Event;

    fn init_states(&self) -> Vec<World> {
        vec![World::settled(&self.laws, self.synchronous, self.number_sync_standbys, self.faults)]
    }

    fn actions(&self, world: &World, out: &mut Vec<Event>) {
        world.events(&self.laws, out);
    }

    fn next_state(&self, world: &World, event: Event) -> Option<World> {
        world.after(&event, &self.laws)
    }

    fn properties(&self) -> Vec<Property<Pair>> {
        let mut all = vec![
            one_writer::property(),
            no_lost_commit::property(),
            no_lost_commit::pledge(),
            no_lost_commit::histories(),
            writer_knows::property(),
            writer_knows::election(),
            settles::property(),
        ];
        if self.laws.trouble != Trouble::LateMessages {
            all.extend(settles::happens());
        }
        all
    }
}

/// What a search came to.
#[derive(Debug)]
struct Findings {
    states: usize,
    /// The laws that do not hold, each with a shortest story.
    broken: Vec<(&'static str, String)>,
    /// What should happen and never does.
    missing: Vec<&'static str>,
    fired: BTreeSet<&'static str>,
}

impl Findings {
    fn expect_none(&self) {
        let stories: Vec<String> =
            self.broken.iter().map(|(name, story)| format!("\nNot so: {name}.\n{story}\n")).collect();
        assert!(stories.is_empty(), "{}", stories.concat());
        assert!(self.missing.is_empty(), "never happens: {:?}", self.missing);
    }
}

/// Looks at every situation, or until there is enough to say.
fn search(pair: Pair, until: HasDiscoveries) -> Findings {
    let checker = pair.checker().threads(1).finish_when(until).spawn_bfs().join();
    let (mut broken, mut missing) = (Vec::new(), Vec::new());
    for property in checker.model().properties() {
        let found = checker.discovery(property.name);
        match (property.expectation, found) {
            (Expectation::Always, Some(path)) => broken.push((property.name, story(path))),
            (Expectation::Sometimes, None) => missing.push(property.name),
            (Expectation::Always, None) | (Expectation::Sometimes, Some(_)) => {}
            (Expectation::Eventually, _) => unreachable!("the model has no such property"),
        }
    }
    let fired = checker.model().laws.fired.lock().expect("nobody panics with it").clone();
    Findings { states: checker.unique_state_count(), broken, missing, fired }
}

fn story(path: Path<World, Event>) -> String {
    let last = path.last_state().clone();
    let events: Vec<String> = path.into_actions().iter().map(|event| format!("{event:?}")).collect();
    format!("{}\n{last:#?}", events.join(", "))
}

fn pair(trouble: Trouble, synchronous: bool) -> Pair {
    // More than the gate has time for: MODEL_FAULTS=3 cargo test -p fsm --test model
    let faults = std::env::var("MODEL_FAULTS").ok().and_then(|faults| faults.parse().ok());
    Pair::new(Laws::new(RULES, Mistakes::default(), trouble), synchronous, faults.unwrap_or(2))
}

#[test]
fn a_synchronous_pair() {
    let found = search(pair(Trouble::Everything, true), HasDiscoveries::AnyFailures);
    found.expect_none();
    println!("{} {:?}", found.states, found.fired);
}

#[test]
fn a_synchronous_pair_with_late_messages() {
    let found = search(pair(Trouble::LateMessages, true), HasDiscoveries::AnyFailures);
    found.expect_none();
    println!("{} {:?}", found.states, found.fired);
}

#[test]
fn an_asynchronous_pair() {
    let found = search(pair(Trouble::Everything, false), HasDiscoveries::AnyFailures);
    found.expect_none();
    println!("{} {:?}", found.states, found.fired);
}
