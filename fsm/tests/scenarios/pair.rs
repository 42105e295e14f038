//! Two nodes.
use crate::scene::Scene;
use fsm::group::{Probe, Session};
use fsm::monitor::operate::{self, Refusal};
use fsm::state::State::*;

#[test]
fn birth() {
    let mut scene = Scene::new(0);
    scene.register(1, 50, true);
    scene.settle();
    assert_eq!(scene.goals(), [Single]);
    scene.register(2, 50, true);
    scene.settle();
    assert_eq!(
        scene.rules(),
        [
            "make room for a standby",
            "clone from the primary",
            "bring a standby into the rule",
            "the rule is in force",
            "caught up",
        ]
    );
    assert_eq!(scene.goals(), [Primary, Secondary]);
    assert_eq!(scene.members(), [2]);
}

#[test]
fn primary_killed() {
    let mut scene = Scene::settled(2, 0);
    scene.kill(1);
    scene.settle();
    assert_eq!(scene.rules(), ["the primary is gone", "enough pledges", "record the winner"]);
    assert_eq!(scene.goals(), [Demoted, WaitPrimary]);
    scene.start(1);
    scene.settle();
    assert_eq!(
        scene.rules(),
        ["follow the new writer", "bring a standby into the rule", "the rule is in force", "caught up"]
    );
    assert_eq!(scene.goals(), [Secondary, Primary]);
}

#[test]
fn primary_silent() {
    let mut scene = Scene::settled(2, 0);
    scene.silence(1);
    scene.keeper(2).report.receiver = fsm::message::Receiver::Lost;
    scene.wait(3);
    assert_eq!(scene.rules(), [""; 0]);
    scene.wait(2);
    scene.settle();
    assert_eq!(scene.rules(), ["silence outlasted every lease", "enough pledges", "record the winner"]);
}

#[test]
fn primary_cut_off_from_the_monitor_while_its_member_follows() {
    let mut scene = Scene::settled(2, 0);
    scene.silence(1);
    scene.group.nodes[0].session = Session::Lost;
    scene.wait(600);
    assert_eq!(scene.rules(), [""; 0]);
}

#[test]
fn keeper_frozen() {
    let mut scene = Scene::settled(2, 0);
    scene.keeper(1).alive = false;
    scene.wait(10);
    assert_eq!(scene.rules(), [""; 0]);
    scene.wait(1);
    scene.settle();
    assert_eq!(scene.rules(), ["the keeper has stalled", "enough pledges", "record the winner"]);
}

/// A cable was mended: the first probe is answered before the keeper has come back, which is no reason to replace the primary.
#[test]
fn primary_back_in_sight() {
    let mut scene = Scene::settled(2, 0);
    scene.silence(1);
    scene.group.nodes[0].probe_since = scene.now;
    scene.wait(20);
    (scene.group.nodes[0].probe, scene.group.nodes[0].probe_since) = (Probe::Answers, scene.now);
    scene.wait(1);
    scene.keeper(1).alive = true;
    scene.wait(1);
    scene.settle();
    assert_eq!(scene.rules(), [""; 0]);
}

#[test]
fn crash_recovery_gets_its_time() {
    let mut scene = Scene::settled(2, 0);
    scene.kill(1);
    scene.rules();
    let mut scene = Scene::settled(2, 0);
    scene.keeper(1).alive = false;
    scene.keeper(2).report.receiver = fsm::message::Receiver::Lost;
    (scene.group.nodes[0].session, scene.group.nodes[0].probe) = (Session::Lost, Probe::Starting);
    scene.group.nodes[0].probe_since = scene.now;
    scene.wait(10);
    assert_eq!(scene.rules(), [""; 0]);
    scene.wait(1);
    scene.settle();
    assert_eq!(scene.rules(), ["crash recovery takes too long", "enough pledges", "record the winner"]);
}

#[test]
fn primary_back_before_anybody_was_elected() {
    let mut scene = Scene::settled(2, 0);
    scene.keeper(1).alive = false;
    scene.start(1);
    scene.settle();
    assert_eq!(scene.rules(), [""; 0]);
    assert_eq!(scene.goals(), [Primary, Secondary]);
}

#[test]
fn switchover() {
    let mut scene = Scene::settled(2, 0);
    scene.switch_over();
    assert_eq!(scene.goals(), [Draining, Secondary]);
    scene.settle();
    let rules = scene.rules();
    assert_eq!(rules[..4], ["handed over", "ask for a pledge", "enough pledges", "record the winner"]);
    assert_eq!(scene.goals(), [Secondary, Primary]);
}

#[test]
fn primary_stopped_by_an_operator() {
    let mut scene = Scene::settled(2, 0);
    (scene.keeper(1).report.leaving, scene.keeper(1).report.fenced) = (true, true);
    scene.report(1);
    scene.kill(1);
    scene.settle();
    assert_eq!(scene.rules(), ["goodbye", "handed over", "enough pledges", "record the winner"]);
    assert_eq!(scene.goals(), [Demoted, WaitPrimary]);
}

#[test]
fn hand_over_that_does_not_begin() {
    let mut scene = Scene::settled(2, 0);
    scene.switch_over();
    scene.kill(2);
    scene.wait(11);
    assert_eq!(scene.rules(), ["take the hand-over back", "offer to write alone"]);
    assert_eq!(scene.goals(), [Primary, Secondary]);
}

#[test]
fn standby_lost_and_back() {
    let mut scene = Scene::settled(2, 0);
    scene.kill(2);
    scene.settle();
    assert_eq!(
        scene.rules(),
        ["offer to write alone", "write alone", "the rule is in force", "no longer covered"]
    );
    assert_eq!(scene.goals(), [WaitPrimary, CatchingUp]);
    scene.start(2);
    scene.settle();
    assert_eq!(scene.rules(), ["bring a standby into the rule", "the rule is in force", "caught up"]);
    assert_eq!(scene.goals(), [Primary, Secondary]);
}

#[test]
fn standby_back_before_the_offer_was_taken() {
    let mut scene = Scene::settled(2, 0);
    scene.kill(2);
    scene.report(1);
    scene.start(2);
    scene.keeper(2).report.receiver = fsm::message::Receiver::Streaming;
    scene.report(2);
    assert_eq!(scene.rules(), ["offer to write alone", "take back the offer"]);
    scene.settle();
    assert_eq!(scene.goals(), [Primary, Secondary]);
}

#[test]
fn standby_lost_again_before_its_rule_was_in_force() {
    let mut scene = Scene::settled(2, 0);
    scene.kill(2);
    scene.settle();
    scene.start(2);
    scene.tick(2);
    scene.report(1);
    scene.rules();
    scene.kill(2);
    scene.settle();
    assert_eq!(scene.rules(), ["give up bringing a standby in", "the rule is in force"]);
    assert_eq!(scene.goals(), [WaitPrimary, CatchingUp]);
}

/// Nobody is eligible while the primary may write alone (law 4).
#[test]
fn primary_killed_while_it_writes_alone() {
    let mut scene = Scene::settled(2, 0);
    scene.kill(2);
    scene.settle();
    scene.kill(1);
    scene.start(2);
    scene.rules();
    scene.wait(600);
    assert_eq!(scene.rules(), [""; 0]);
    scene.start(1);
    scene.settle();
    assert_eq!(scene.goals(), [Primary, Secondary]);
    assert_eq!(scene.group.reigns.len(), 1);
}

/// With number_sync_standbys = 1 a pair stops writing rather than lose its only copy.
#[test]
fn a_primary_that_must_not_write_alone() {
    let mut scene = Scene::settled(2, 1);
    assert_eq!(scene.goals(), [Primary, Secondary]);
    scene.kill(2);
    scene.wait(600);
    assert_eq!(scene.rules(), [""; 0]);
    assert_eq!(scene.members(), [2]);
}

/// The new primary's commits wait for the old one, which is not there: it is covered when it is back and has everything.
#[test]
fn a_primary_that_must_not_write_alone_is_killed() {
    let mut scene = Scene::settled(2, 1);
    scene.kill(1);
    scene.settle();
    assert_eq!(
        scene.rules(),
        ["the primary is gone", "enough pledges", "record the winner", "have the members covered"]
    );
    scene.start(1);
    scene.settle();
    assert_eq!(scene.goals(), [Secondary, Primary]);
    assert_eq!(scene.members(), [1]);
}

#[test]
fn an_asynchronous_standby_waits_for_the_lease() {
    let mut scene = Scene::new(0);
    scene.register(1, 50, false);
    scene.settle();
    scene.register(2, 50, false);
    scene.settle();
    assert_eq!(
        scene.rules(),
        [
            "make room for a standby",
            "clone from the primary",
            "rely on a lease",
            "the rule is in force",
            "caught up",
        ]
    );
    scene.kill(1);
    scene.settle();
    assert_eq!(scene.rules(), ["the primary is gone"]);
    assert_eq!(scene.goals(), [Demoted, ReportLsn]);
    scene.wait(3);
    assert_eq!(scene.rules(), [""; 0]);
    scene.wait(1);
    scene.settle();
    assert_eq!(scene.rules(), ["enough pledges", "record the winner"]);
    assert_eq!(scene.goals(), [Demoted, WaitPrimary]);
}

/// A lease is for those who could be elected: without them the primary goes on although its monitor may be lost.
#[test]
fn an_asynchronous_standby_is_lost_and_back() {
    let mut scene = Scene::new(0);
    for id in [1, 2] {
        scene.register(id, 50, false);
        scene.settle();
    }
    scene.rules();
    scene.kill(2);
    scene.settle();
    assert_eq!(
        scene.rules(),
        ["no longer covered", "offer to write alone", "write alone", "the rule is in force"]
    );
    assert_eq!((scene.goals(), scene.group.unleased), (vec![WaitPrimary, CatchingUp], true));
    scene.start(2);
    scene.settle();
    assert_eq!(scene.rules(), ["rely on a lease", "the rule is in force", "caught up"]);
    assert_eq!((scene.goals(), scene.group.unleased), (vec![Primary, Secondary], false));
}

#[test]
fn a_monitor_that_has_just_started_convicts_nobody() {
    let mut scene = Scene::settled(2, 0);
    scene.kill(1);
    scene = Scene::settled(2, 0);
    scene.restart_monitor();
    scene.keeper(1).alive = false;
    scene.keeper(2).report.receiver = fsm::message::Receiver::Lost;
    scene.group.nodes[0].probe = Probe::Refused;
    scene.wait(4);
    assert_eq!(scene.rules(), [""; 0]);
    scene.wait(1);
    scene.settle();
    assert_eq!(scene.rules(), ["the primary is gone", "enough pledges", "record the winner"]);
}

#[test]
fn a_standby_is_removed() {
    let mut scene = Scene::settled(2, 0);
    assert_eq!(scene.remove(2), operate::Removal::UnderWay);
    scene.settle();
    assert_eq!(
        scene.rules(),
        ["write alone by an operator's word", "the rule is in force", "remove a dropped node", "alone again"]
    );
    assert_eq!(scene.goals(), [Single]);
}

#[test]
fn who_writes_without_being_recorded_is_demoted() {
    let mut scene = Scene::settled(2, 0);
    let keeper = scene.keeper(2);
    (keeper.report.state, keeper.report.in_recovery) = (Primary, false);
    scene.report(2);
    assert_eq!(scene.rules(), ["demote who writes without being recorded"]);
    assert_eq!(scene.goals(), [Primary, Demoted]);
}

#[test]
fn a_switchover_is_refused_where_it_could_not_succeed() {
    let ask = |scene: &mut Scene| operate::perform_failover(&mut scene.group, &scene.policy, scene.now);
    let mut scene = Scene::settled(1, 0);
    assert_eq!(ask(&mut scene), Err(Refusal::NoCandidate));
    let mut scene = Scene::settled(2, 0);
    scene.kill(2);
    scene.settle();
    assert_eq!(ask(&mut scene), Err(Refusal::NoCandidate));
    let mut scene = Scene::settled(2, 0);
    scene.switch_over();
    assert_eq!(ask(&mut scene), Err(Refusal::Unsettled));
    let mut scene = Scene::settled(2, 0);
    scene.restart_monitor();
    scene.report(2);
    assert_eq!(ask(&mut scene), Err(Refusal::JustStarted));
    scene.report(1);
    scene.kill(1);
    scene.wait(5);
    assert_eq!(ask(&mut scene), Err(Refusal::ElectionOpen));
}

/// The postmaster hangs, its children go on: commits are acknowledged, and nobody can connect.
#[test]
fn primary_that_lets_nobody_in() {
    let mut scene = Scene::settled(2, 0);
    scene.keeper(1).report.stuck = true;
    scene.wait(10);
    assert_eq!(scene.rules(), [""; 0]);
    scene.wait(2);
    assert_eq!(scene.rules(), ["the server is stuck"]);
    scene.settle();
    scene.keeper(1).report.stuck = false;
    scene.settle();
    assert_eq!(scene.goals(), [Secondary, Primary]);
}
