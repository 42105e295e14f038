//! Servers that start, write, and get WAL from one another.
use super::{World, id};
use crate::keeper_sim::place;
use crate::node::{Reader, Record};
use crate::setup::Setup;
use fsm::message::Receiver;
use fsm::units::NodeId;

impl World {
    /// A server starts. A copy that was begun is made first, from the node that it was begun from or from the writer.
    pub(super) fn start(&mut self, n: usize, setup: &Setup) {
        let node = &mut self.nodes[n];
        let Some(copying) = node.disk.copying else {
            node.boot(false, setup.mistakes);
            return;
        };
        if setup.mistakes.half_a_copy_starts {
            node.disk.copying = None;
            node.boot(false, setup.mistakes);
            return;
        }
        let writer = self.group.reign().map(|reign| reign.writer).filter(|writer| *writer != id(n));
        let there = |source: &NodeId| {
            self.nodes[place(*source)].alive && self.links.stands(n, place(*source)) && *source != id(n)
        };
        let Some(source) = [Some(copying.source), writer].into_iter().flatten().find(there) else { return };
        let wal = self.nodes[place(source)].disk.wal.clone();
        let node = &mut self.nodes[n];
        (node.disk.wal, node.disk.copying, node.starves) = (wal, None, false);
        node.follow(source, copying.term);
        node.boot(false, setup.mistakes);
    }

    /// Whom node `n` gets WAL from, if it asks.
    fn supplier(&self, n: usize) -> Option<NodeId> {
        let me = &self.nodes[n];
        let upstream = me.disk.upstream.filter(|_| me.alive && me.in_recovery && !me.starves)?;
        let source = &self.nodes[place(upstream)];
        // PostgreSQL refuses whoever asks for what lies behind the end of its own WAL.
        let has_it = source.disk.wal.len() >= me.disk.wal.len();
        (has_it
            && source.alive
            && !source.stopping
            && source.disk.slots
            && self.links.stands(n, place(upstream)))
        .then_some(upstream)
    }

    /// Whether something comes of it when node `n` asks for WAL.
    pub(super) fn streams(&self, n: usize) -> bool {
        let me = &self.nodes[n];
        let lacks = |source: NodeId| {
            let wal = &self.nodes[place(source)].disk.wal;
            me.receiver != Receiver::Streaming
                || wal.len() > me.disk.wal.len()
                || !wal.starts_with(&me.disk.wal)
        };
        self.supplier(n).is_some_and(lacks)
    }

    /// Whether the receiver of node `n` hears nothing any more.
    pub(super) fn starts_to_miss(&self, n: usize) -> bool {
        let me = &self.nodes[n];
        let silent = |upstream: NodeId| !self.links.stands(n, place(upstream));
        me.receiver == Receiver::Streaming && me.disk.upstream.is_some_and(silent)
    }

    pub(super) fn stream(&mut self, n: usize) {
        let Some(upstream) = self.supplier(n) else { return };
        let (me, source) = (&self.nodes[n], &self.nodes[place(upstream)]);
        let mixed = !source.disk.wal.starts_with(&me.disk.wal);
        let missing = source.disk.wal.get(me.disk.wal.len()..).unwrap_or_default().to_vec();
        let me = &mut self.nodes[n];
        me.mixed_histories |= mixed;
        me.disk.wal.extend(missing);
        if me.receiver != Receiver::Streaming {
            me.receiver = Receiver::Streaming;
            // Served by a process that has just started.
            self.nodes[place(upstream)].late_readers.remove(&Reader::Walsender(id(n)));
        }
    }

    pub(super) fn commit(&mut self, n: usize) {
        let node = &mut self.nodes[n];
        if !node.commits() {
            return;
        }
        self.commits += 1;
        node.disk.wal.push(Record::Commit(self.commits));
        node.waiting.push(self.commits);
    }
}
