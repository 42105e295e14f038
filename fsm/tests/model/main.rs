//! Keepers and one monitor, every order of events there can be, within a number of faults.
mod decisions;
mod deep;
mod keeper_sim;
mod links;
mod mutants;
mod no_lost_commit;
mod node;
mod nothing_destroyed;
mod one_writer;
mod pairs;
mod settles;
mod setup;
mod shared;
mod story;
mod taken_down;
mod threes;
mod walks;
mod world;
mod writer_knows;

use setup::{Setup, Trouble};
use stateright::{Checker, Expectation, HasDiscoveries, Model, Property};
use world::{Event, Known, World};

/// The model: a group, and what it must keep to.
struct Cluster {
    setup: Setup,
    known: Known,
}

impl Model for Cluster {
    type State = World;
    type Action = Event;

    fn init_states(&self) -> Vec<World> {
        vec![World::settled(&self.setup)]
    }

    fn actions(&self, world: &World, out: &mut Vec<Event>) {
        world.events(&self.setup, out);
    }

    fn next_state(&self, world: &World, event: Event) -> Option<World> {
        world.after(&event, &self.setup)
    }

    fn properties(&self) -> Vec<Property<Cluster>> {
        let mut all = vec![
            one_writer::property(),
            no_lost_commit::property(),
            no_lost_commit::pledge(),
            no_lost_commit::histories(),
            nothing_destroyed::property(),
            writer_knows::property(),
            writer_knows::election(),
            settles::property(),
            taken_down::property(),
        ];
        if self.setup.priorities.len() > 2 {
            all.push(settles::without_the_lost());
        }
        if self.setup.priorities.len() > 2 || self.setup.number_sync_standbys > 0 {
            return all;
        }
        if self.setup.has(Trouble::RestoredMonitor) {
            all.extend(settles::resumes());
        } else if self.setup.has(Trouble::Maintenance) {
            all.extend(taken_down::happens());
        } else if self.setup.has(Trouble::CutLinks) {
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
fn search(setup: Setup, until: HasDiscoveries) -> Findings {
    let cluster = Cluster { setup, known: Known::default() };
    let checker = cluster.checker().threads(1).finish_when(until).spawn_bfs().join();
    let (mut broken, mut missing) = (Vec::new(), Vec::new());
    for property in checker.model().properties() {
        let found = checker.discovery(property.name);
        match (property.expectation, found) {
            (Expectation::Always, Some(path)) => {
                broken.push((property.name, story::tell(&checker.model().setup, &path.into_actions())));
            }
            (Expectation::Sometimes, None) => missing.push(property.name),
            (Expectation::Always, None) | (Expectation::Sometimes, Some(_)) => {}
            (Expectation::Eventually, _) => unreachable!("the model has no such property"),
        }
    }
    Findings { states: checker.unique_state_count(), broken, missing }
}

/// Looks at every situation, expects every law to hold in all of them, and says how many there are.
fn search_all(setup: Setup) -> usize {
    let found = search(setup, HasDiscoveries::AnyFailures);
    found.expect_none();
    found.states
}
