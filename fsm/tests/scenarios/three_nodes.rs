//! Three nodes.
use crate::scene::Scene;
use fsm::state::State::*;
use fsm::units::Lsn;

/// Of two members that commits wait for one of, one pledge is not enough: the old primary's own counts for both.
#[test]
fn winner_lost_before_it_is_recorded() {
    let mut scene = Scene::settled(3, 0);
    scene.kill(1);
    for id in [2, 3] {
        scene.report(id);
    }
    for id in [3, 2] {
        scene.step(id);
        scene.report(id);
    }
    assert_eq!(scene.rules(), ["the primary is gone", "enough pledges"]);
    assert_eq!(scene.goals(), [Demoted, PreparePromotion, ReportLsn]);
    scene.kill(2);
    scene.wait(600);
    assert_eq!(scene.rules(), [""; 0]);
    scene.start(1);
    scene.settle();
    assert_eq!(
        scene.rules()[..4],
        ["the winner is lost", "ask for a pledge", "enough pledges", "record the winner"]
    );
    assert_eq!(scene.goals()[2], Primary);
}

/// It fetches what it lacks from the one that must not be promoted.
#[test]
fn best_candidate_has_priority_0() {
    let mut scene = Scene::new(0);
    for (id, priority) in [(1, 50), (2, 0), (3, 50)] {
        scene.register(id, priority, true);
        scene.settle();
    }
    scene.rules();
    scene.keeper(2).report.lsn = Some(Lsn(200));
    scene.kill(1);
    scene.settle();
    assert_eq!(
        scene.rules()[..4],
        ["the primary is gone", "enough pledges", "the winner has caught up", "record the winner"]
    );
    assert_eq!(scene.goals()[2], Primary);
    assert_eq!(scene.keeper(3).report.lsn, Some(Lsn(201)));
}

/// Law 1. What only the winner has of the old reign is not covered by the pledge of a member that lags behind it.
#[test]
fn a_lagging_member_is_no_candidate_of_the_next_election() {
    for number_sync_standbys in [0, 1] {
        let mut scene = Scene::settled(3, number_sync_standbys);
        scene.keeper(2).report.lsn = Some(Lsn(200));
        scene.kill(1);
        while scene.group.reigns.len() < 2 {
            for id in [2, 3] {
                scene.report(id);
                scene.step(id);
            }
        }
        scene.rules();
        scene.kill(2);
        scene.keeper(3).report.lsn = Some(Lsn(100));
        scene.wait(600);
        assert_eq!(scene.rules(), [""; 0], "n = {number_sync_standbys}");
        scene.start(2);
        scene.settle();
        assert!(scene.keeper(3).report.lsn >= Some(Lsn(200)));
        assert_eq!(scene.members(), [3]);
    }
}

#[test]
fn a_member_lost_for_long_leaves_the_rule() {
    let mut scene = Scene::settled(3, 0);
    scene.kill(3);
    scene.wait(30);
    assert_eq!(scene.rules(), [""; 0]);
    scene.wait(1);
    scene.settle();
    assert_eq!(scene.rules(), ["a lost member leaves the rule", "the rule is in force", "no longer covered"]);
    assert_eq!(scene.members(), [2]);
}

/// The winner's end of WAL turned out to be another than it had told, so its member is not known to have everything.
#[test]
fn member_lost_before_it_was_covered() {
    let mut scene = Scene::settled(3, 0);
    scene.kill(1);
    for id in [2, 3] {
        scene.report(id);
    }
    for id in [3, 2] {
        scene.step(id);
        scene.report(id);
    }
    scene.step(2);
    scene.keeper(2).report.promotion.as_mut().expect("a winner").switch_lsn = Lsn(99);
    scene.tick(2);
    assert_eq!(
        scene.rules()[2..],
        ["record the winner", "follow the new writer", "have the members covered"]
    );
    scene.kill(3);
    scene.settle();
    assert_eq!(scene.rules(), ["give up bringing a standby in", "the rule is in force"]);
    assert_eq!(scene.goals()[1], WaitPrimary);
}
