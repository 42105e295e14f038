//! Everything there is: the monitor's group, its nodes, the links between them, and what clients were promised.
//!
//! There is no clock: a moment is either just now or so long ago that every threshold is behind it.
mod events;
mod forget;
mod happen;
mod heals;
mod operators;
mod wal;

use crate::keeper_sim::{Mistakes, Sim, streaming};
use crate::links::Links;
use crate::node::{Disk, Node};
use crate::setup::{Setup, Trouble};
use crate::shared::Shared;
use fsm::group::Group;
use fsm::message::{Assignment, Receiver, Report};
use fsm::monitor::operate;
use fsm::state::State;
use fsm::units::{Moment, NodeId};
use std::collections::BTreeSet;

pub use events::Event;
pub use forget::forget_what_no_rule_reads;
pub use happen::LATER_EPOCH;
pub use heals::Known;

pub const NOW: Moment = Moment(1_000_000);
const LONG_AGO: Moment = Moment(900_000);
const RUNNING: Moment = Moment(1_003_500);
/// More than a keeper needs for any two rows of its table.
const MOST_STEPS: u8 = 16;

/// One message that is on its way for a while.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Late {
    /// With the word whether a lease given for it has run out.
    Report(usize, Box<Report>, bool),
    Answer(usize, Shared<Assignment>),
}

/// The state of the model.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub group: Shared<Group>,
    /// Its tables in the beginning, where the monitor may be put back from a copy of them.
    pub copy: Option<Shared<Group>>,
    pub nodes: Vec<Shared<Node>>,
    /// The disks that can be put back.
    pub images: Vec<Option<Box<Disk>>>,
    /// From the monitor.
    pub cut: Vec<bool>,
    pub frozen: Vec<bool>,
    pub links: Links,
    pub late: Option<Late>,
    /// Clients were told that these are kept.
    pub acknowledged: BTreeSet<u8>,
    pub commits: u8,
    /// A member has discarded WAL that counts.
    pub discarded: bool,
    /// How much may still go wrong.
    pub faults: u8,
    /// How often an operator may still wish for something.
    pub wishes: u8,
}

/// The id of the node in that place.
pub fn id(n: usize) -> NodeId {
    NodeId(n as i64 + 1)
}

impl World {
    /// A group that was born, and settled, by the same rules.
    pub fn settled(setup: &Setup) -> World {
        let size = setup.priorities.len();
        let birth = Setup { mistakes: Mistakes::default(), ..setup.clone() };
        let boots = u64::from(setup.has(Trouble::OldImages) && !setup.mistakes.starts_are_not_counted);
        let group = Group { number_sync_standbys: setup.number_sync_standbys, ..Group::default() };
        let mut world = World {
            group: Shared::new(group),
            copy: None,
            nodes: Vec::new(),
            images: vec![None; size],
            cut: vec![false; size],
            frozen: vec![false; size],
            links: Links::default(),
            late: None,
            acknowledged: BTreeSet::new(),
            commits: 0,
            discarded: false,
            faults: 0,
            wishes: 0,
        };
        for (n, priority) in setup.priorities.iter().enumerate() {
            world.nodes.push(Shared::new(Node::new(id(n), n > 0, boots)));
            operate::register(&mut world.group, id(n), *priority, setup.synchronous, &setup.policy, NOW)
                .expect("a primary is there");
            for _ in 0..10 {
                (0..=n).for_each(|n| world.run_round(n, &birth));
            }
        }
        assert!(world.is_settled(setup), "the group is not born: {world:#?}");
        world.copy = setup.has(Trouble::RestoredMonitor).then(|| world.group.clone());
        (world.faults, world.wishes) = (setup.faults, setup.wishes);
        world
    }

    pub fn sim(&mut self, n: usize, setup: &Setup) -> Sim<'_> {
        Sim {
            links: self.links,
            mistakes: setup.mistakes,
            late_readers: setup.has(Trouble::LateReaders),
            n,
            nodes: &mut self.nodes,
        }
    }

    /// Every place.
    pub fn places(&self) -> std::ops::Range<usize> {
        0..self.nodes.len()
    }

    /// What the monitor knows of the node in that place, unless it was removed.
    pub fn seen(&self, n: usize) -> Option<&fsm::group::Node> {
        self.group.node(id(n))
    }

    /// Node `n` was assigned that state.
    pub fn has_goal(&self, n: usize, state: State) -> bool {
        self.seen(n).is_some_and(|node| node.goal == state)
    }

    /// Node `n` was assigned that state, and has reached it.
    pub fn is(&self, n: usize, state: State) -> bool {
        self.has_goal(n, state) && self.nodes[n].disk.role == state
    }

    /// Who is connected to node `n`, as that sees it.
    pub fn followers(&self, n: usize) -> BTreeSet<NodeId> {
        let listed = |node: &&Shared<Node>| {
            node.alive && node.receiver == Receiver::Streaming && node.disk.upstream == Some(id(n))
        };
        self.nodes.iter().filter(listed).map(|node| node.id).collect()
    }

    /// Whose flushes node `n` hears of.
    pub fn streaming(&self, n: usize) -> BTreeSet<NodeId> {
        streaming(&self.nodes, n, self.links)
    }

    /// Of those, who has flushed that commit.
    pub fn holders(&self, n: usize, commit: u8) -> BTreeSet<NodeId> {
        let mut holders = self.streaming(n);
        holders.retain(|holder| self.nodes[crate::keeper_sim::place(*holder)].has(commit));
        holders
    }

    fn in_touch(&self, n: usize) -> bool {
        self.nodes[n].alive && !self.cut[n] && !self.frozen[n]
    }

    /// The monitor has let this server be taken down: what happens to it is no fault.
    fn is_the_operators(&self, n: usize) -> bool {
        self.has_goal(n, State::Maintenance)
    }

    /// Everybody is alive and reaches everybody, and no message is on its way.
    fn is_whole(&self) -> bool {
        let near = |n: usize| self.in_touch(n) && !self.nodes[n].stopping;
        let monitor_knows = self.group.monitor_started == Moment(0);
        self.places().all(near)
            && self.links.all_stand()
            && self.late.is_none()
            && monitor_knows
            && !self.group.behind
    }
}
