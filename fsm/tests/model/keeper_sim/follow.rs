//! How a node comes to follow another: as it is, rewound, or copied anew; and how a winner fetches what it lacks.
use super::{Outcome, Sim, place};
use crate::node::{Copying, Node};
use fsm::keeper::Method;
use fsm::message::{Assignment, Receiver, Upstream};
use fsm::supply::may_be_copied;

impl Sim<'_> {
    pub(super) fn follow_as_it_is(&mut self, told: &Assignment) -> Outcome {
        let Some(upstream) = told.upstream.clone() else { return Outcome::Done };
        let me = self.me();
        if !me.in_recovery || me.way_to(&upstream) != Method::Follow {
            return Outcome::Done;
        }
        self.change(|me| me.follow(upstream.peer.node, upstream.term))
    }

    pub(super) fn rejoin(&mut self, told: &Assignment) -> Outcome {
        let Some(upstream) = told.upstream.clone() else { return Outcome::Waits };
        let node = upstream.peer.node;
        let anew = may_be_copied(told.goal) || self.mistakes.member_is_copied_anew;
        let me = self.me();
        if me.starves && anew {
            self.me_mut().disk.wal.clear();
            return self.copy(&upstream);
        }
        if me.disk.upstream == Some(node) && me.disk.history == upstream.term && me.disk.promotion.is_none() {
            return Outcome::Done;
        }
        match me.way_to(&upstream) {
            Method::Wait => Outcome::Waits,
            Method::Follow => {
                self.me_mut().follow(node, upstream.term);
                Outcome::Changed
            }
            Method::Rewind => {
                let source = self.nodes[place(node)].disk.wal.clone();
                let me = self.me_mut();
                let common = me.disk.wal.iter().zip(&source).take_while(|(mine, its)| mine == its).count();
                me.disk.wal.truncate(common);
                self.copy(&upstream)
            }
            Method::Clone => {
                self.me_mut().disk.wal.clear();
                self.copy(&upstream)
            }
        }
    }

    /// The life ends; the next one begins when the copy is whole. Until then there is nothing to start.
    fn copy(&mut self, upstream: &Upstream) -> Outcome {
        self.lose_followers();
        let me = self.me_mut();
        me.end();
        me.disk.copying = Some(Copying { source: upstream.peer.node, term: upstream.term });
        Outcome::Changed
    }

    /// Fetches WAL from a peer, which is in recovery too, and cuts the receiver off again.
    pub(super) fn fetch_missing(&mut self, told: &Assignment) -> Outcome {
        let Some(upstream) = told.upstream.clone() else { return Outcome::Waits };
        let Some(reach) = upstream.reach else { unreachable!("told to fetch WAL, and not up to where") };
        let (me, source) = (&self.nodes[self.n], &self.nodes[place(upstream.peer.node)]);
        if me.lsn() >= reach {
            return self.change(Node::cut_off);
        }
        let continues = me.way_to(&upstream) == Method::Follow;
        let there = source.alive && self.links.stands(self.n, place(source.id));
        if !continues || !there || source.lsn() < reach {
            return Outcome::Waits;
        }
        let mixed = !source.disk.wal.starts_with(&me.disk.wal);
        let fetched = source.disk.wal[..usize::try_from(reach.0).expect("short WAL") - 1].to_vec();
        let me = self.me_mut();
        me.mixed_histories |= mixed;
        me.follow(upstream.peer.node, upstream.term);
        me.disk.wal = fetched;
        me.receiver = Receiver::Streaming;
        Outcome::Changed
    }
}
