//! Two tables that were made apart must fit together.
use fsm::keeper::{Step, plan};
use fsm::monitor::RULES;
use fsm::state::State;
use std::collections::BTreeSet;

/// What the rules and the operations assign. A goal that is missing here is found by the scenarios and by the model,
/// where a keeper without a way panics.
const GOALS: [State; 15] = [
    State::Single,
    State::WaitPrimary,
    State::Primary,
    State::Draining,
    State::Demoted,
    State::CatchingUp,
    State::Secondary,
    State::PreparePromotion,
    State::WaitStandby,
    State::ReportLsn,
    State::FastForward,
    State::JoinSecondary,
    State::WaitMaintenance,
    State::Maintenance,
    State::Dropped,
];

/// Law 8. Every state a keeper can report, whatever it was assigned meanwhile: a goal never waits for the one before.
#[test]
fn every_goal_has_a_way_from_every_state() {
    let reported: BTreeSet<State> = GOALS.into_iter().chain([State::Init]).collect();
    for from in reported {
        // A node that has left the group registers anew, under another id.
        for to in GOALS.into_iter().filter(|to| from != State::Dropped || !to.writes()) {
            assert!(matches!(plan(from, to), Step::Go { .. }), "no way from {from} to {to}");
        }
    }
}

/// The names kept for the SQL surface only are never on the way.
#[test]
fn what_is_never_assigned_has_no_way() {
    for to in State::ALL.iter().filter(|state| !GOALS.contains(state)) {
        for from in State::ALL {
            assert!(matches!(plan(*from, *to), Step::NoWay { .. }), "{from} to {to}");
        }
    }
}

#[test]
fn every_rule_has_a_name_of_its_own_and_says_why() {
    let names: BTreeSet<&str> = RULES.iter().map(|rule| rule.name).collect();
    assert_eq!(names.len(), RULES.len());
    assert!(RULES.iter().all(|rule| !rule.why.is_empty() && !rule.why.ends_with('.')));
}
