//! Three nodes, and four. What cannot be looked at exhaustively is walked through by chance.
use crate::search_all;
use crate::setup::{FAULTS, Setup, Trouble};
use crate::walks::walk;

pub const THREE: &[u8] = &[50, 50, 50];
/// How many walks there are in each setup.
pub const WALKS: u64 = 2000;

/// Everything at once.
const ALL: &[Trouble] = &[
    Trouble::Crashes,
    Trouble::Interruptions,
    Trouble::Stops,
    Trouble::LostAnswers,
    Trouble::LateMessages,
    Trouble::FrozenKeepers,
    Trouble::CutOffNodes,
    Trouble::CutLinks,
    Trouble::MonitorRestarts,
    Trouble::Switchovers,
    Trouble::Maintenance,
    Trouble::Number(0),
    Trouble::Number(1),
    Trouble::LateReaders,
    Trouble::Cancels,
    Trouble::RemovedWal,
];

/// Disks of an earlier time, beside what brings them to light.
const IMAGES: &[Trouble] = &[
    Trouble::Crashes,
    Trouble::Stops,
    Trouble::CutOffNodes,
    Trouble::CutLinks,
    Trouble::MonitorRestarts,
    Trouble::Switchovers,
    Trouble::OldImages,
];

/// Three nodes, every order of events with one fault.
pub fn three(troubles: &'static [Trouble]) -> Setup {
    Setup { faults: 1, ..Setup::of(THREE, troubles) }
}

/// A group that meets with everything, often.
pub fn troubled(priorities: &'static [u8], number_sync_standbys: u32) -> Setup {
    Setup { faults: 8, commits: 3, wishes: 2, number_sync_standbys, ..Setup::of(priorities, ALL) }
}

/// How many different situations the walks come to. The walks are the same each time.
fn walk_all(setup: Setup) -> usize {
    let found = walk(setup, WALKS, None);
    found.expect_none();
    found.states
}

#[test]
fn three_nodes() {
    assert_eq!(search_all(three(FAULTS)), 345_191);
}

#[test]
fn three_asynchronous_nodes() {
    assert_eq!(search_all(Setup { synchronous: false, ..three(FAULTS) }), 385_393);
}

#[test]
fn three_troubled_nodes() {
    assert_eq!(walk_all(troubled(THREE, 0)), 70_375);
}

#[test]
fn three_troubled_nodes_that_wait() {
    assert_eq!(walk_all(troubled(THREE, 1)), 63_650);
}

#[test]
fn three_nodes_with_old_images() {
    assert_eq!(walk_all(Setup { troubles: IMAGES, ..troubled(THREE, 0) }), 23_388);
}

/// Who has most WAL may be one that must not be promoted: the others fetch it.
#[test]
fn three_troubled_nodes_of_which_one_is_never_promoted() {
    assert_eq!(walk_all(troubled(&[50, 0, 50], 0)), 69_183);
}

#[test]
fn three_troubled_asynchronous_nodes() {
    assert_eq!(walk_all(Setup { synchronous: false, ..troubled(THREE, 0) }), 62_129);
}

/// S = 3, k = 2.
#[test]
fn four_troubled_nodes() {
    assert_eq!(walk_all(troubled(&[50, 50, 50, 50], 2)), 82_652);
}
