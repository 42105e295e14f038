//! What a keeper and its server do, one step at a time so that a crash can fall between any two.
//!
//! Which action comes next is the real `fsm::keeper::plan`; what an action does to the server is told here, as
//! `ext-keeper` does it.
mod follow;

use crate::links::Links;
use crate::node::{Fence, Node, Reader, Record};
use crate::shared::Shared;
use fsm::keeper::{Action, Step, plan};
use fsm::message::{Assignment, Promotion, Receiver};
use fsm::rule::Rule;
use fsm::state::State;
use fsm::units::{Lsn, NodeId};
use std::collections::BTreeSet;

/// Known mistakes, to be put back by a test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Mistakes {
    pub winner_writes_before_it_is_recorded: bool,
    pub winner_notes_its_promotion_afterwards: bool,
    pub pledge_leaves_the_receiver: bool,
    pub offer_is_taken_unasked: bool,
    pub lease_counts_from_the_answer: bool,
    pub start_opens_the_fence: bool,
    pub rule_is_confirmed_before_all_have_read_it: bool,
    pub cancelled_wait_answers_success: bool,
    pub member_is_copied_anew: bool,
    pub half_a_copy_starts: bool,
    pub starts_are_not_counted: bool,
    pub restored_monitor_believes_its_copy: bool,
}

/// What became of an attempt to do an action.
enum Outcome {
    Done,
    Changed,
    Waits,
}

/// The members that get the WAL of node `n` and whose replies arrive.
pub fn streaming(nodes: &[Shared<Node>], n: usize, links: Links) -> BTreeSet<NodeId> {
    let me = &nodes[n];
    if !me.alive {
        return BTreeSet::new();
    }
    let streams = |(m, other): &(usize, &Shared<Node>)| {
        *m != n
            && other.alive
            && links.stands(n, *m)
            && other.receiver == Receiver::Streaming
            && other.disk.upstream == Some(me.id)
    };
    nodes.iter().enumerate().filter(streams).map(|(_, other)| other.id).collect()
}

/// The server and the keeper of node `n`, among the others.
pub struct Sim<'a> {
    pub nodes: &'a mut [Shared<Node>],
    pub n: usize,
    pub links: Links,
    pub mistakes: Mistakes,
    /// Processes read the configuration one by one.
    pub late_readers: bool,
}

/// The place of a node among all of them.
pub fn place(id: NodeId) -> usize {
    usize::try_from(id.0).expect("a small number") - 1
}

impl Sim<'_> {
    fn me(&self) -> &Node {
        &self.nodes[self.n]
    }

    fn me_mut(&mut self) -> &mut Node {
        &mut self.nodes[self.n]
    }

    fn streaming(&self) -> BTreeSet<NodeId> {
        streaming(self.nodes, self.n, self.links)
    }

    /// Does the next thing that is to be done. False: there is nothing, or it cannot be done yet.
    pub fn act(&mut self) -> bool {
        let me = &self.nodes[self.n];
        let Some(told) = me.told.clone().filter(|_| me.alive && !me.stopping) else { return false };
        if let Some(number) = told.offer.filter(|_| self.mistakes.offer_is_taken_unasked) {
            let me = self.me_mut();
            (me.disk.names, me.fence) = (Rule { number, ..Rule::default() }, Fence::Unleased);
            return false;
        }
        let actions = match plan(me.disk.role, told.goal) {
            Step::Go { actions, .. } => actions,
            Step::NoWay { from, to } => panic!("the keeper knows no way from {from} to {to}"),
        };
        for action in actions {
            match self.run(*action, &told) {
                Outcome::Done => {}
                Outcome::Changed => return true,
                Outcome::Waits => return false,
            }
        }
        let reached = self.me().disk.role != told.goal;
        if reached {
            self.me_mut().disk.role = told.goal;
        }
        reached
    }

    fn run(&mut self, action: Action, told: &Assignment) -> Outcome {
        match action {
            Action::RaiseFence => self.change(|me| {
                (me.fence, me.holds) = (Fence::Lapsed, false);
            }),
            // The report that follows says it: a fence is up, a server is not in recovery yet.
            Action::PrepareHandOver | Action::SayGoodbye | Action::EnsureAccounts => Outcome::Done,
            Action::EnsureSlots => self.change(|me| me.disk.slots = true),
            Action::RestartAsStandby => self.restart(false),
            Action::BecomeWriter => self.restart(true),
            Action::ApplyRule => self.apply_rule(told),
            Action::EnterUnleased => self.change(|me| {
                me.recorded(told.term);
                (me.fence, me.holds) = (Fence::Unleased, false);
            }),
            Action::EnterLeased => self.enter_leased(told),
            Action::Pledge => self.pledge(told),
            Action::Promote => self.promote(told),
            Action::Checkpoint => self.change(|me| me.disk.checkpoint = me.timeline()),
            Action::Rejoin => self.rejoin(told),
            Action::FollowAsItIs => self.follow_as_it_is(told),
            Action::FetchMissing => self.fetch_missing(told),
            Action::CutOff => self.change(Node::cut_off),
            Action::LeaveGroup => self.change(|me| (me.fence, me.holds) = (Fence::Lapsed, false)),
        }
    }

    fn change(&mut self, change: impl FnOnce(&mut Node)) -> Outcome {
        let before = self.nodes[self.n].clone();
        change(self.me_mut());
        if self.nodes[self.n] != before {
            return Outcome::Changed;
        }
        self.nodes[self.n] = before;
        Outcome::Done
    }

    /// In place. A fast shutdown sends the last WAL to whoever streams.
    fn restart(&mut self, as_writer: bool) -> Outcome {
        if self.me().in_recovery != as_writer {
            return Outcome::Done;
        }
        if as_writer {
            self.lose_followers();
        } else {
            self.hand_over();
        }
        let mistakes = Mistakes { start_opens_the_fence: false, ..self.mistakes };
        self.me_mut().boot(as_writer, mistakes);
        Outcome::Changed
    }

    /// The server goes down in good order.
    pub fn hand_over(&mut self) {
        let wal = self.me().disk.wal.clone();
        for follower in self.streaming() {
            self.nodes[place(follower)].disk.wal.clone_from(&wal);
        }
        self.lose_followers();
    }

    /// Whoever streams from this node sees the connection end.
    pub fn lose_followers(&mut self) {
        let (id, n, links) = (self.me().id, self.n, self.links);
        for (m, other) in self.nodes.iter_mut().enumerate() {
            let follows = other.disk.upstream == Some(id) && other.receiver == Receiver::Streaming;
            if m != n && links.stands(n, m) && follows {
                other.lose_upstream();
            }
        }
    }

    fn apply_rule(&mut self, told: &Assignment) -> Outcome {
        let confirms_early = self.mistakes.rule_is_confirmed_before_all_have_read_it;
        if self.me().disk.names != told.rule {
            self.write_names(&told.rule);
            return Outcome::Changed;
        }
        if !self.me().late_readers.is_empty() && !confirms_early {
            return Outcome::Waits;
        }
        let everything = self.me().disk.wal.len();
        let holders: BTreeSet<NodeId> = self
            .streaming()
            .into_iter()
            .filter(|node| self.nodes[place(*node)].disk.wal.len() >= everything)
            .collect();
        let me = self.me();
        let waits = told.goal != State::PreparePromotion && !me.in_recovery && !told.rule.is_met_by(&holders);
        if me.disk.rule != told.rule && waits {
            return Outcome::Waits;
        }
        self.change(|me| me.disk.rule = told.rule.clone())
    }

    /// Writes the file that every process reads when it comes to it.
    fn write_names(&mut self, rule: &Rule) {
        let followers = self.streaming();
        let late = self.late_readers;
        let me = self.me_mut();
        // In a moment commits wait for nobody: contact with the members of the rule before proves nothing any more.
        me.holds &= !rule.is_empty();
        let before = std::mem::replace(&mut me.disk.names, rule.clone());
        if !late || me.in_recovery {
            return;
        }
        let readers = followers.into_iter().map(Reader::Walsender).chain([Reader::Checkpointer]);
        for reader in readers {
            me.late_readers.entry(reader).or_insert_with(|| before.clone());
        }
    }

    fn enter_leased(&mut self, told: &Assignment) -> Outcome {
        let was_unleased = self.me().fence == Fence::Unleased;
        let waits = told.lease.is_none() && (was_unleased || self.me().disk.role != State::Primary);
        let outcome = self.change(|me| {
            me.recorded(told.term);
            if told.lease.is_some() {
                (me.fence, me.holds) = (Fence::Leased, true);
            } else if was_unleased {
                me.fence = Fence::Lapsed;
            } else if !waits {
                me.holds = true;
            }
        });
        if waits && matches!(outcome, Outcome::Done) { Outcome::Waits } else { outcome }
    }

    fn pledge(&mut self, told: &Assignment) -> Outcome {
        let leaves_receiver = self.mistakes.pledge_leaves_the_receiver;
        self.change(|me| {
            me.disk.pledge = me.disk.pledge.max(told.term);
            if !leaves_receiver {
                me.cut_off();
            }
        })
    }

    fn promote(&mut self, told: &Assignment) -> Outcome {
        let early = self.mistakes.winner_writes_before_it_is_recorded;
        let afterwards = self.mistakes.winner_notes_its_promotion_afterwards;
        let me = self.me();
        let noted = me.disk.promotion.filter(|promotion| promotion.term == told.term);
        if noted.is_some_and(|promotion| promotion.switch_lsn > Lsn(0)) {
            return Outcome::Done;
        }
        if me.disk.pledge != told.term {
            return Outcome::Waits;
        }
        let me = self.me_mut();
        // Durably before it happens: a crash in the middle must not leave a history that nobody knows of.
        if noted.is_none() && !afterwards {
            me.disk.promotion =
                Some(Promotion { term: told.term, timeline: me.timeline(), switch_lsn: Lsn(0) });
            return Outcome::Changed;
        }
        if me.in_recovery && noted.is_none_or(|promotion| promotion.timeline == me.timeline()) {
            me.in_recovery = false;
            me.disk.wal.push(Record::Promoted(me.id, told.term));
            if early {
                me.fence = Fence::Leased;
            }
            return Outcome::Changed;
        }
        let switch_lsn = Lsn(me.lsn().0 - 1);
        me.disk.promotion = Some(Promotion { term: told.term, timeline: me.timeline(), switch_lsn });
        Outcome::Changed
    }
}
