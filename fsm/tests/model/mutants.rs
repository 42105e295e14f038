//! Known mistakes, put back: a checker that finds nothing is worth nothing.
use crate::keeper_sim::Mistakes;
use crate::world::{Laws, Trouble};
use crate::{Pair, no_lost_commit, one_writer, search, settles, taken_down, writer_knows};
use fsm::group::Group;
use fsm::monitor::{Facts, RULES, Rule};
use fsm::state::State;
use stateright::HasDiscoveries;
use std::collections::BTreeSet;

const NONE: Mistakes = Mistakes {
    winner_writes_before_it_is_recorded: false,
    winner_notes_its_promotion_afterwards: false,
    pledge_leaves_the_receiver: false,
    offer_is_taken_unasked: false,
    lease_counts_from_the_answer: false,
    start_opens_the_fence: false,
    restored_monitor_believes_its_copy: false,
};

/// Whether the model has a story in which that law is broken.
fn breaks(
    law: &'static str,
    rules: &[Rule],
    mistakes: Mistakes,
    trouble: Trouble,
    synchronous: bool,
) -> bool {
    let pair = Pair::new(Laws::new(rules, mistakes, trouble), synchronous, 2);
    let until = HasDiscoveries::AnyOf(BTreeSet::from([law]));
    search(pair, until).broken.iter().any(|(name, _)| *name == law)
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
    let mistakes = Mistakes { winner_writes_before_it_is_recorded: true, ..NONE };
    assert!(breaks(no_lost_commit::NAME, RULES, mistakes, Trouble::Everything, true));
}

#[test]
fn a_winner_that_notes_its_promotion_afterwards() {
    let mistakes = Mistakes { winner_notes_its_promotion_afterwards: true, ..NONE };
    assert!(breaks(settles::NAME, RULES, mistakes, Trouble::Everything, true));
}

#[test]
fn a_pledge_that_leaves_the_receiver() {
    let mistakes = Mistakes { pledge_leaves_the_receiver: true, ..NONE };
    assert!(breaks(no_lost_commit::PLEDGE, RULES, mistakes, Trouble::Everything, true));
}

#[test]
fn an_unleased_state_entered_without_the_monitors_word() {
    let mistakes = Mistakes { offer_is_taken_unasked: true, ..NONE };
    assert!(breaks(writer_knows::NAME, RULES, mistakes, Trouble::Everything, true));
}

#[test]
fn a_lease_that_counts_from_the_answer() {
    let mistakes = Mistakes { lease_counts_from_the_answer: true, ..NONE };
    assert!(breaks(one_writer::NAME, RULES, mistakes, Trouble::LateMessages, false));
}

#[test]
fn a_start_without_the_boot_guard() {
    let mistakes = Mistakes { start_opens_the_fence: true, ..NONE };
    assert!(breaks(one_writer::NAME, RULES, mistakes, Trouble::Everything, false));
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
    assert!(breaks(no_lost_commit::NAME, &rules, NONE, Trouble::Everything, true));
}

/// An asynchronous group: pledges alone do not stop the old writer.
#[test]
fn an_election_that_does_not_wait_for_the_lease() {
    let rules = with("enough pledges", |facts| {
        let group = Group { granted_until: fsm::units::Moment(0), ..facts.group.clone() };
        rule("enough pledges", &Facts { group: &group, ..*facts })
    });
    assert!(breaks(one_writer::NAME, &rules, NONE, Trouble::Everything, false));
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
    assert!(breaks(taken_down::NAME, &rules, NONE, Trouble::Maintenance, true));
}

/// The primary is told to write alone for a maintenance, and the monitor does not keep that nobody is eligible from here on.
#[test]
fn a_maintenance_that_leaves_the_standby_eligible() {
    let rules = with("write alone by an operator's word", |facts| {
        rule("write alone by an operator's word", facts).map(|group| Group { unleased: false, ..group })
    });
    assert!(breaks(no_lost_commit::NAME, &rules, NONE, Trouble::Maintenance, true));
}

#[test]
fn a_restored_monitor_that_believes_its_copy() {
    let mistakes = Mistakes { restored_monitor_believes_its_copy: true, ..NONE };
    assert!(breaks(no_lost_commit::NAME, RULES, mistakes, Trouble::RestoredMonitor, true));
}
