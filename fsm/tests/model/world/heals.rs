//! From here on without a fault: whether the group settles.
use super::{Event, NOW, World};
use crate::one_writer;
use crate::setup::Setup;
use crate::shared::HASHER;
use fsm::monitor::{Facts, force};
use fsm::state::State;
use std::collections::{BTreeSet, HashSet};

use std::sync::Mutex;

/// Situations from which a group is known to settle.
pub type Known = Mutex<HashSet<u64>>;

/// Rounds in which everybody does all he can, and between them more time than any threshold.
const ROUNDS: u8 = 30;

impl World {
    /// Tells this world from all others.
    pub fn fingerprint(&self) -> u64 {
        HASHER.hash_one(self)
    }

    /// Nothing goes wrong any more: node `n` does all it can.
    pub fn run_round(&mut self, n: usize, setup: &Setup) {
        if !self.nodes[n].alive {
            self.happen(&Event::Start(n), setup);
        }
        self.happen(&Event::Tick(n), setup);
        for reader in self.nodes[n].late_readers.keys().copied().collect::<Vec<_>>() {
            self.happen(&Event::Read(n, reader), setup);
        }
        self.happen(&Event::Stream(n), setup);
    }

    /// Whether the group settles once all faults are over. What was promised to clients is not looked at any more.
    pub fn heals(&self, setup: &Setup, known: &Known) -> bool {
        let mut world = self.clone();
        world.end_faults(setup);
        let mut passed = Vec::new();
        for round in 0..2 * ROUNDS {
            if round == ROUNDS && !world.end_waits(setup) {
                return world.nobody_is_known_not_to_have_promoted(setup);
            }
            // Who streamed on from a primary that was forced is copied anew, when he hears of it.
            let mixed = round < ROUNDS && world.nodes.iter().any(|node| node.mixed_histories);
            if mixed || !one_writer::holds(&world) {
                return false;
            }
            let print = world.fingerprint();
            if world.is_settled(setup) || known.lock().expect("nobody panics with it").contains(&print) {
                known.lock().expect("nobody panics with it").extend(passed);
                return true;
            }
            passed.push(print);
            world.places().for_each(|n| world.run_round(n, setup));
            // Only once it rests is it given back: maintenance ends well, and begins well.
            if let Some(n) = world.places().find(|n| world.rests_in_maintenance(*n)) {
                world.happen(&Event::StopMaintenance(n), setup);
            }
            world.happen(&Event::TimePasses, setup);
        }
        false
    }

    /// The commands that end the waits of which the nodes say that an operator is to end them. False: they say nothing of the kind.
    fn end_waits(&mut self, setup: &Setup) -> bool {
        let starves = self.nodes.iter().any(|node| node.starves);
        if starves {
            // No member may be copied anew while commits wait for it.
            self.group.number_sync_standbys = 0;
        }
        let is_old = |node: &&fsm::group::Node| node.old_image.is_some();
        let image = self.group.writer().filter(is_old).map(|writer| writer.id);
        let forced =
            image.is_some_and(|id| force::force_promotion(&mut self.group, id, &setup.policy, NOW).is_ok());
        starves || forced
    }

    /// One winner after the other died in the middle of its promotion, the recorded writer among them. A known gap: nobody is elected
    /// of whom it is not sure that its WAL is of the recorded history.
    fn nobody_is_known_not_to_have_promoted(&self, setup: &Setup) -> bool {
        let facts = Facts::new(&self.group, &setup.policy, NOW);
        self.group.election.is_some() && facts.writer().is_some_and(|writer| facts.is_impostor(writer))
    }

    /// Whether the others settle, or wait for what only node `n` has, once all faults are over and node `n` never comes back.
    pub fn heals_without(&self, n: usize, setup: &Setup, known: &Known) -> bool {
        let mut world = self.clone();
        world.end_faults(setup);
        // The operator gives back what he has.
        let taken = |node: &fsm::group::Node| node.wish.is_some() || node.goal.leaves_the_rule();
        for m in world.places().filter(|m| world.seen(*m).is_some_and(taken)).collect::<Vec<_>>() {
            world.happen(&Event::StopMaintenance(m), setup);
        }
        world.happen(&Event::Crash(n), setup);
        world.happen(&Event::Notice(n), setup);
        let mut passed = Vec::new();
        for round in 0..2 * ROUNDS {
            if !one_writer::holds(&world) {
                return false;
            }
            let print = world.fingerprint().wrapping_add(n as u64 + 1);
            for m in world.places().filter(|m| *m != n) {
                world.run_round(m, setup);
            }
            if world.rests_without(n, setup) || known.lock().expect("nobody panics with it").contains(&print)
            {
                known.lock().expect("nobody panics with it").extend(passed);
                return true;
            }
            passed.push(print);
            world.happen(&Event::TimePasses, setup);
            if round == ROUNDS {
                world.end_waits(setup);
                // The command that ends the wait for standbys that are not there.
                world.group.number_sync_standbys = 0;
            }
        }
        world.waits_rightly(n, setup)
    }

    /// One writes and may tell its clients so, and everybody else but node `n` follows and is eligible.
    fn rests_without(&self, n: usize, setup: &Setup) -> bool {
        let quiet = self.group.election.is_none() && self.group.next_rule.is_none();
        let writes = |m: usize| {
            let followers = self.streaming(m);
            let follow = self.places().filter(|f| ![m, n].contains(f)).all(|f| {
                self.is(f, State::Secondary)
                    && followers.contains(&super::id(f))
                    && (!setup.synchronous || self.group.rule.members.contains(&super::id(f)))
            });
            follow && self.nodes[m].commits() && self.nodes[m].lets_go(&followers)
        };
        quiet && self.places().filter(|m| *m != n).any(writes)
    }

    /// There is no writer without node `n`, and nobody else may become one: it wrote alone, those who are left do not hold all that
    /// was acknowledged, or none of them that commits waited for may be promoted. An operator who promotes by force ends this wait.
    fn waits_rightly(&self, n: usize, setup: &Setup) -> bool {
        let group = &self.group;
        let facts = Facts::new(group, &setup.policy, NOW);
        let left = || self.places().filter(|m| *m != n && self.nodes[*m].alive).filter_map(|m| self.seen(m));
        let left_ids = left().filter(|node| facts.is_whole(node)).map(|node| node.id).collect();
        let named = group.members();
        let eligible = |node: &fsm::group::Node| {
            let covered = named.contains(&node.id) || (named.is_empty() && node.goal != State::CatchingUp);
            covered && node.priority > 0 && facts.is_whole(node) && !facts.has_diverged(node)
        };
        let lacks = group.unleased || !facts.held_by(&left_ids) || !left().any(eligible);
        let writes_no_more =
            facts.writer().is_none_or(|writer| writer.id == super::id(n) || writer.old_image.is_some());
        lacks && (writes_no_more || group.election.is_some())
    }

    fn end_faults(&mut self, setup: &Setup) {
        (self.faults, self.wishes, self.commits) = (0, 0, u8::MAX);
        self.links = crate::links::Links::default();
        self.cut.fill(false);
        self.frozen.fill(false);
        self.late = None;
        self.acknowledged.clear();
        for n in self.places() {
            if self.nodes[n].stopping {
                self.happen(&Event::Crash(n), setup);
            }
            self.nodes[n].waiting.clear();
        }
        self.forget_what_nobody_reads(setup);
    }

    /// Node `n` may be taken down, everybody else is where he should be, and one of them writes.
    fn rests_in_maintenance(&self, n: usize) -> bool {
        let settled = |m: usize| self.seen(m).is_none_or(|node| self.nodes[m].disk.role == node.goal);
        let writes =
            |m: usize| self.nodes[m].commits() && self.seen(m).is_some_and(|node| node.goal.writes());
        self.is(n, State::Maintenance) && self.places().all(settled) && self.places().any(writes)
    }

    /// One writes, all others follow and are eligible, and no change is under way.
    pub fn is_settled(&self, setup: &Setup) -> bool {
        let quiet = self.group.election.is_none() && self.group.next_rule.is_none();
        quiet
            && (0..self.nodes.len()).any(|n| {
                let others: BTreeSet<usize> =
                    self.places().filter(|m| *m != n && self.seen(*m).is_some()).collect();
                if others.is_empty() {
                    return self.is(n, State::Single) && self.nodes[n].commits();
                }
                let members: BTreeSet<_> = others.iter().map(|m| super::id(*m)).collect();
                !self.group.unleased
                    && self.is(n, State::Primary)
                    && others.iter().all(|m| {
                        self.is(*m, State::Secondary) && self.nodes[*m].disk.wal == self.nodes[n].disk.wal
                    })
                    && self.followers(n) == members
                    && (self.group.rule.members == members || !setup.synchronous)
                    && self.nodes[n].disk.rule == self.group.rule
                    && self.nodes[n].late_readers.is_empty()
            })
    }
}
