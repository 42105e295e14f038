//! More than the gate has time for: `cargo test --release -p fsm --test model -- --ignored`. Hours, and 16 GB of memory.
use crate::search_all;
use crate::setup::{FAULTS, LATE, MAINTENANCE, OLD_IMAGES, Setup, Trouble};
use crate::threes::{THREE, three, troubled};
use crate::walks::walk;

/// The same as [`FAULTS`], and the monitor may be put back from a copy.
const RESTORED: &[Trouble] = &[
    Trouble::Crashes,
    Trouble::Interruptions,
    Trouble::Stops,
    Trouble::LostAnswers,
    Trouble::CutOffNodes,
    Trouble::CutLinks,
    Trouble::RestoredMonitor,
    Trouble::Switchovers,
];

fn pair(troubles: &'static [Trouble]) -> Setup {
    Setup::of(&[50, 50], troubles)
}

/// Half a minute.
#[test]
#[ignore = "more than the gate has time for"]
fn a_synchronous_pair_with_a_restored_monitor_and_all_else() {
    assert_eq!(search_all(pair(RESTORED)), 630_759);
}

/// Half a minute.
#[test]
#[ignore = "more than the gate has time for"]
fn an_asynchronous_pair_with_a_restored_monitor_and_all_else() {
    assert_eq!(search_all(Setup { synchronous: false, ..pair(RESTORED) }), 472_732);
}

/// Half a minute.
#[test]
#[ignore = "more than the gate has time for"]
fn three_nodes_with_late_messages() {
    assert_eq!(search_all(three(LATE)), 236_986);
}

/// Two minutes.
#[test]
#[ignore = "more than the gate has time for"]
fn three_nodes_of_which_commits_wait_for_one() {
    assert_eq!(search_all(Setup { number_sync_standbys: 1, ..three(FAULTS) }), 1_359_658);
}

/// Half an hour.
#[test]
#[ignore = "more than the gate has time for"]
fn many_walks() {
    for (priorities, number) in [(THREE, 0), (THREE, 1), (&[50, 50, 50, 50][..], 2)] {
        walk(troubled(priorities, number), 100_000, None).expect_none();
    }
}

#[test]
#[ignore = "more than the gate has time for"]
fn pairs_with_more_faults() {
    search_all(Setup { faults: 3, ..pair(OLD_IMAGES) });
    search_all(Setup { number_sync_standbys: 1, ..pair(FAULTS) });
    for synchronous in [true, false] {
        search_all(Setup { faults: 3, synchronous, ..pair(FAULTS) });
        search_all(Setup { synchronous, ..pair(MAINTENANCE) });
    }
}
