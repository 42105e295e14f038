//! Two nodes. The numbers of states are pinned: a change of what can happen shows here, in review.
use crate::search_all;
use crate::setup::{FAULTS, LATE, MAINTENANCE, RESTORED, Setup, Trouble};

fn pair(troubles: &'static [Trouble]) -> Setup {
    Setup::of(&[50, 50], troubles)
}

#[test]
fn a_synchronous_pair() {
    assert_eq!(search_all(pair(FAULTS)), 671_661);
}

#[test]
fn a_synchronous_pair_with_late_messages() {
    assert_eq!(search_all(pair(LATE)), 601_896);
}

#[test]
fn an_asynchronous_pair() {
    assert_eq!(search_all(Setup { synchronous: false, ..pair(FAULTS) }), 461_772);
}

/// The kills and starts of a server that may be taken down are not counted as faults.
#[test]
fn a_synchronous_pair_in_maintenance() {
    assert_eq!(search_all(Setup { faults: 1, ..pair(MAINTENANCE) }), 478_223);
}

#[test]
fn an_asynchronous_pair_in_maintenance() {
    assert_eq!(search_all(Setup { faults: 1, synchronous: false, ..pair(MAINTENANCE) }), 427_736);
}

/// Its monitor may be put back from a copy, and knows by its notes that it is one.
#[test]
fn a_synchronous_pair_with_a_restored_monitor() {
    assert_eq!(search_all(pair(RESTORED)), 384_453);
}

#[test]
fn an_asynchronous_pair_with_a_restored_monitor() {
    assert_eq!(search_all(Setup { synchronous: false, ..pair(RESTORED) }), 283_782);
}

/// number_sync_standbys = 1: no primary writes alone. Two faults are in `deep.rs`.
#[test]
fn a_pair_that_waits() {
    assert_eq!(search_all(Setup { number_sync_standbys: 1, faults: 1, ..pair(FAULTS) }), 8_323);
}
