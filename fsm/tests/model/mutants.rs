//! Known mistakes, put back: a checker that finds nothing is worth nothing.
use crate::keeper_sim::Mistakes;
use crate::setup::{FAULTS, LATE, MAINTENANCE, OLD_IMAGES, RESTORED, Setup, Trouble};
use crate::threes::{THREE, WALKS, troubled};
use crate::walks::walk;
use crate::{no_lost_commit, nothing_destroyed, one_writer, search, settles, taken_down, writer_knows};
use fsm::group::Group;
use fsm::monitor::{Facts, RULES, Rule};
use fsm::state::State;
use stateright::HasDiscoveries;
use std::collections::BTreeSet;

const PAIR: &[u8] = &[50, 50];

/// Whether the model has a story in which that law is broken.
fn breaks(law: &'static str, setup: Setup) -> bool {
    let until = HasDiscoveries::AnyOf(BTreeSet::from([law]));
    search(setup, until).broken.iter().any(|(name, _)| *name == law)
}

/// Expects walks by chance to come to a situation in which that law is broken. Without the mistake they find nothing (`threes.rs`).
fn expect_found(law: &'static str, setup: Setup) {
    let found = walk(setup, WALKS, Some(law));
    assert!(!found.broken.is_empty(), "not found in {} situations", found.states);
}

fn with(name: &'static str, apply: fn(&Facts) -> Option<Group>) -> Vec<Rule> {
    assert!(RULES.iter().any(|rule| rule.name == name), "no rule is called {name}");
    RULES.iter().map(|rule| if rule.name == name { Rule { apply, ..*rule } } else { *rule }).collect()
}

fn rule(name: &str, facts: &Facts) -> Option<Group> {
    let rule = RULES.iter().find(|rule| rule.name == name).expect("a rule of that name");
    (rule.apply)(facts)
}

#[test]
fn a_winner_that_writes_before_it_is_recorded() {
    let mistakes = Mistakes { winner_writes_before_it_is_recorded: true, ..Mistakes::default() };
    assert!(breaks(no_lost_commit::NAME, Setup { mistakes, ..Setup::of(PAIR, FAULTS) }));
}

#[test]
fn a_winner_that_notes_its_promotion_afterwards() {
    let mistakes = Mistakes { winner_notes_its_promotion_afterwards: true, ..Mistakes::default() };
    assert!(breaks(settles::NAME, Setup { mistakes, ..Setup::of(PAIR, FAULTS) }));
}

#[test]
fn a_pledge_that_leaves_the_receiver() {
    let mistakes = Mistakes { pledge_leaves_the_receiver: true, ..Mistakes::default() };
    assert!(breaks(no_lost_commit::PLEDGE, Setup { mistakes, ..Setup::of(PAIR, FAULTS) }));
}

#[test]
fn an_unleased_state_entered_without_the_monitors_word() {
    let mistakes = Mistakes { offer_is_taken_unasked: true, ..Mistakes::default() };
    assert!(breaks(writer_knows::NAME, Setup { mistakes, ..Setup::of(PAIR, FAULTS) }));
}

#[test]
fn a_lease_that_counts_from_the_answer() {
    let mistakes = Mistakes { lease_counts_from_the_answer: true, ..Mistakes::default() };
    assert!(breaks(one_writer::NAME, Setup { mistakes, synchronous: false, ..Setup::of(PAIR, LATE) }));
}

#[test]
fn a_start_without_the_boot_guard() {
    let mistakes = Mistakes { start_opens_the_fence: true, ..Mistakes::default() };
    assert!(breaks(one_writer::NAME, Setup { mistakes, synchronous: false, ..Setup::of(PAIR, FAULTS) }));
}

/// Silence convicts although the primary may write alone.
#[test]
fn an_election_from_an_unleased_state() {
    fn leased(facts: &Facts) -> Group {
        Group { unleased: false, ..facts.group.clone() }
    }
    let gone = with("the primary is gone", |facts| {
        let group = leased(facts);
        rule("the primary is gone", &Facts { group: &group, ..*facts })
    });
    let pledges = with("enough pledges", |facts| {
        let group = leased(facts);
        rule("enough pledges", &Facts { group: &group, ..*facts })
    });
    let rules: Vec<Rule> =
        gone.iter().zip(&pledges).map(|(a, b)| if a.name == "enough pledges" { *b } else { *a }).collect();
    assert!(breaks(no_lost_commit::NAME, Setup::of(PAIR, FAULTS).by(rules)));
}

/// An asynchronous group: pledges alone do not stop the old writer.
#[test]
fn an_election_that_does_not_wait_for_the_lease() {
    let rules = with("enough pledges", |facts| {
        let group = Group { granted_until: fsm::units::Moment(0), ..facts.group.clone() };
        rule("enough pledges", &Facts { group: &group, ..*facts })
    });
    assert!(breaks(one_writer::NAME, Setup { synchronous: false, ..Setup::of(PAIR, FAULTS) }.by(rules)));
}

/// The server may be taken down before the primary has confirmed that no commit waits for it.
#[test]
fn a_server_that_is_taken_down_too_early() {
    let rules = with("let the server be taken down", |facts| {
        let mut group = facts.group.clone();
        let waits = group.nodes.iter_mut().find(|node| node.goal == State::WaitMaintenance)?;
        waits.goal = State::Maintenance;
        Some(group)
    });
    assert!(breaks(taken_down::NAME, Setup::of(PAIR, MAINTENANCE).by(rules)));
}

/// The primary is told to write alone for a maintenance, and the monitor does not keep that nobody is eligible from here on.
#[test]
fn a_maintenance_that_leaves_the_standby_eligible() {
    let rules = with("write alone by an operator's word", |facts| {
        rule("write alone by an operator's word", facts).map(|group| Group { unleased: false, ..group })
    });
    assert!(breaks(no_lost_commit::NAME, Setup::of(PAIR, MAINTENANCE).by(rules)));
}

/// One walsender goes by names that the confirmed rule does not have any more.
#[test]
fn a_rule_that_is_confirmed_before_all_walsenders_have_it() {
    let mistakes = Mistakes { rule_is_confirmed_before_all_have_read_it: true, ..Mistakes::default() };
    expect_found(no_lost_commit::NAME, Setup { mistakes, ..troubled(THREE, 0) });
}

/// A disk of an earlier time comes back, and nobody counts starts.
#[test]
fn a_guard_that_believes_an_old_image() {
    let mistakes = Mistakes { starts_are_not_counted: true, ..Mistakes::default() };
    assert!(breaks(no_lost_commit::NAME, Setup { mistakes, faults: 3, ..Setup::of(PAIR, OLD_IMAGES) }));
}

#[test]
fn a_cancelled_wait_that_answers_success() {
    let mistakes = Mistakes { cancelled_wait_answers_success: true, ..Mistakes::default() };
    expect_found(no_lost_commit::NAME, Setup { mistakes, ..troubled(THREE, 0) });
}

#[test]
fn a_member_that_is_copied_anew() {
    let mistakes = Mistakes { member_is_copied_anew: true, ..Mistakes::default() };
    expect_found(nothing_destroyed::NAME, Setup { mistakes, ..troubled(THREE, 0) });
}

#[test]
fn a_pledge_that_counts_from_a_member_in_the_middle_of_a_copy() {
    let mistakes = Mistakes { member_is_copied_anew: true, half_a_copy_starts: true, ..Mistakes::default() };
    let troubles = &[Trouble::Crashes, Trouble::RemovedWal];
    assert!(breaks(no_lost_commit::NAME, Setup { mistakes, faults: 3, ..Setup::of(PAIR, troubles) }));
}

#[test]
fn a_restored_monitor_that_believes_its_copy() {
    let mistakes = Mistakes { restored_monitor_believes_its_copy: true, ..Mistakes::default() };
    assert!(breaks(no_lost_commit::NAME, Setup { mistakes, ..Setup::of(PAIR, RESTORED) }));
}
