//! Three nodes.
use crate::scene::Scene;
use fsm::group::Reign;
use fsm::message::Promotion;
use fsm::state::State::*;
use fsm::units::{Lsn, NodeId, Term, Timeline};

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

/// The first commit waits for a member, so that one is sent to the new writer as soon as there is one, not once that is at work.
#[test]
fn members_follow_from_the_moment_of_the_record() {
    let mut scene = Scene::settled(3, 0);
    scene.kill(1);
    for id in [2, 3] {
        scene.report(id);
    }
    for id in [3, 2, 2] {
        scene.step(id);
        scene.report(id);
    }
    assert_eq!(
        scene.rules(),
        ["the primary is gone", "enough pledges", "record the winner", "follow the new writer"]
    );
    assert_eq!(scene.goals(), [Demoted, Primary, Secondary]);
    scene.step(3);
    assert_eq!(scene.keeper(3).upstream, Some(NodeId(2)));
    assert_eq!(scene.keeper(2).report.state, PreparePromotion);
}

/// The log-in is made while the other promotes; the upstream is named with the record only.
#[test]
fn who_has_pledged_hears_who_promotes() {
    let mut scene = Scene::settled(3, 0);
    let told =
        |scene: &Scene, id| scene.assignment(id).map(|told| (told.elected, told.upstream.map(|to| to.node)));
    scene.kill(1);
    for id in [2, 3] {
        scene.report(id);
    }
    assert_eq!(told(&scene, 3), Some((None, None)), "nobody is elected yet");
    for id in [3, 2] {
        scene.step(id);
        scene.report(id);
    }
    assert_eq!(scene.goals(), [Demoted, PreparePromotion, ReportLsn]);
    assert_eq!(told(&scene, 3), Some((Some(NodeId(2)), None)));
    for id in [1, 2] {
        assert_eq!(told(&scene, id), Some((None, None)), "not node {id}");
    }
    scene.step(2);
    scene.report(2);
    assert_eq!(told(&scene, 3), Some((None, Some(NodeId(2)))));
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

/// Its only member went away before the rule was in force, and number_sync_standbys forbids to write alone: whoever follows is
/// waited for as well.
#[test]
fn member_lost_before_the_rule_without_another_was_in_force() {
    let mut scene = Scene::settled(3, 1);
    scene.kill(3);
    scene.wait(31);
    assert_eq!(scene.rules(), ["a lost member leaves the rule"]);
    scene.kill(2);
    scene.start(3);
    scene.settle();
    assert_eq!(scene.rules()[..2], ["widen the rule that is on its way", "the rule is in force"]);
    // Nobody waits for the other one any longer.
    assert_eq!((scene.members(), &scene.group.next_rule), (vec![3], &None));
    assert_eq!(scene.goals()[2], Secondary);
}

/// Law 1. A primary was elected again, and a standby that went on streaming from it has not heard of that.
#[test]
fn a_candidate_is_measured_by_the_wal_that_it_has() {
    let mut scene = Scene::settled(3, 0);
    let made = Promotion { term: Term(2), timeline: Timeline(2), switch_lsn: Lsn(200) };
    let reign =
        Reign { term: made.term, writer: NodeId(1), timeline: made.timeline, switch_lsn: made.switch_lsn };
    (scene.group.term, scene.group.election) = (made.term, None);
    scene.group.reigns.push(reign);
    for (id, history, end) in [(1, 2, 300), (2, 1, 300), (3, 2, 250)] {
        let report = &mut scene.keeper(id).report;
        (report.term, report.history, report.timeline) = (Term(2), Term(history), made.timeline);
        report.lsn = Some(Lsn(end));
        report.promotion = Some(made).filter(|_| id == 1);
    }
    scene.report(1);
    scene.kill(1);
    scene.settle();
    assert_eq!(scene.goals()[1], Primary);
    assert!(scene.keeper(2).report.lsn > Some(Lsn(300)));
}

/// Law 9. It streamed on from a primary that had been replaced already: nothing that others have can be added to its WAL.
#[test]
fn a_candidate_with_wal_that_the_recorded_history_left_out() {
    let mut scene = Scene::settled(3, 0);
    scene.kill(1);
    scene.settle();
    scene.start(1);
    scene.settle();
    assert_eq!(scene.goals(), [Secondary, Primary, Secondary]);
    scene.group.nodes[0].priority = 0;
    let report = &mut scene.keeper(3).report;
    (report.history, report.timeline, report.lsn) = (Term(1), Timeline(1), Some(Lsn(300)));
    scene.kill(2);
    scene.settle();
    assert_eq!(scene.goals(), [ReportLsn, Demoted, ReportLsn]);
    scene.start(2);
    scene.settle();
    assert_eq!(scene.goals(), [Secondary, Primary, Secondary]);
}

/// Law 7. The primary has not confirmed a rule without it: who only catches up may be copied anew.
#[test]
fn a_server_that_is_given_back_while_commits_wait_for_it() {
    let mut scene = Scene::settled(3, 0);
    scene.start_maintenance(3).expect("a standby");
    assert_eq!(scene.goals()[2], WaitMaintenance);
    scene.stop_maintenance(3);
    assert_eq!((scene.goals()[2], scene.members()), (Secondary, vec![2, 3]));
    scene.settle();
    assert_eq!((scene.goals()[2], scene.members()), (Secondary, vec![2, 3]));
}

/// It came back when its successor was lost already, and follows nobody: with its pledge there are enough.
#[test]
fn a_former_primary_pledges_when_its_successor_is_lost() {
    let mut scene = Scene::settled(3, 1);
    scene.keeper(2).report.lsn = Some(Lsn(200));
    scene.kill(1);
    scene.settle();
    assert_eq!((scene.goals(), scene.members()), (vec![Demoted, Primary, Secondary], vec![1, 3]));
    scene.kill(2);
    scene.start(1);
    scene.settle();
    assert_eq!(scene.goals(), [Secondary, Demoted, Primary]);
}
