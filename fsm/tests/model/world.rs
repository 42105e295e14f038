//! Everything there is: the monitor's group, two nodes, the links between them, and what clients were promised.
//!
//! There is no clock: a moment is either just now or so long ago that every threshold is behind it.
mod happen;

pub use happen::LATER_EPOCH;

use crate::keeper_sim::{Mistakes, Node, Sim};
use crate::one_writer;
use fsm::group::Group;
use fsm::message::{Assignment, Receiver, Report};
use fsm::monitor::{Rule, operate};
use fsm::policy::Policy;
use fsm::state::State;
use fsm::units::{Moment, NodeId};
use std::collections::BTreeSet;
use std::sync::{Mutex, OnceLock};

pub const NOW: Moment = Moment(1_000_000);
const LONG_AGO: Moment = Moment(900_000);
const RUNNING: Moment = Moment(1_003_500);
/// More than a keeper needs for any two rows of its table.
const MOST_STEPS: u8 = 16;

/// What may happen.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A keeper reports, the monitor decides, the answer arrives, and the keeper does what it can.
    Tick(usize),
    /// The same, and the node dies after so many steps.
    Die(usize, u8),
    /// A report is heard, and the answer is lost.
    LoseAnswer(usize),
    /// The same, and the answer takes its time.
    DelayAnswer(usize),
    TakeAnswer,
    /// A report leaves, and takes its time.
    DelayReport(usize),
    TakeReport,
    /// A keeper goes on with what it was told before.
    Act(usize),
    /// Contact with the members keeps a writer's lease.
    Contact(usize),
    /// A receiver finds its upstream or gets a record, or notices that the upstream is silent.
    Stream(usize),
    LoseReceiver(usize),
    /// A client's commit, and its acknowledgement.
    Commit(usize),
    Acknowledge(usize, u8),
    /// Every process of the node dies.
    Crash(usize),
    /// An operator stops the server; it ends with `Crash`.
    Stop(usize),
    Start(usize),
    /// Kernels tell the monitor that a server is gone.
    Notice(usize),
    /// The session of a node that is cut off ends.
    LoseSession(usize),
    /// The keeper freezes; its server goes on.
    Freeze(usize),
    Thaw(usize),
    /// The link between a node and the monitor.
    CutMonitor(usize),
    HealMonitor(usize),
    /// The link between the nodes.
    CutLink,
    HealLink,
    /// Longer than a lease, and than every time-out.
    TimePasses,
    RestartMonitor,
    /// It is started from a copy of its tables as they were in the beginning.
    RestoreMonitor,
    Switchover,
    /// An operator wants a standby's server for himself, and gives it back.
    StartMaintenance(usize),
    StopMaintenance(usize),
}

/// One message that is on its way for a while.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Late {
    /// With the word whether a lease given for it has run out.
    Report(usize, Box<Report>, bool),
    Answer(usize, Box<Assignment>),
}

/// The state of the model.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub group: Group,
    pub nodes: [Node; 2],
    pub cut: [bool; 2],
    pub frozen: [bool; 2],
    pub linked: bool,
    pub late: Option<Late>,
    /// Clients were told that these are kept.
    pub acknowledged: BTreeSet<u8>,
    pub commits: u8,
    /// How much may still go wrong.
    pub faults: u8,
    /// How often somebody may still be put in maintenance.
    pub maintenances: u8,
    /// A receiver got WAL that does not continue its own.
    pub mixed_histories: bool,
}

/// What may go wrong: all of it at once would be too many situations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Crashes, stops, links, restarts of the monitor, switchovers.
    Everything,
    /// Messages that take their time, beside crashes and keepers that freeze.
    LateMessages,
    /// The same as everything but links between the nodes, while an operator puts a node in maintenance and does there as he likes.
    Maintenance,
    /// The monitor is put back from an old copy, beside crashes, stops, switchovers, and links to it that break.
    RestoredMonitor,
}

/// What does not change in a run.
pub struct Laws {
    pub rules: Vec<Rule>,
    pub mistakes: Mistakes,
    pub policy: Policy,
    pub commits: u8,
    pub trouble: Trouble,
    /// The monitor's tables in the beginning.
    pub copy: OnceLock<Group>,
}

impl Laws {
    pub fn new(rules: &[Rule], mistakes: Mistakes, trouble: Trouble) -> Laws {
        Laws {
            rules: rules.to_vec(),
            mistakes,
            policy: Policy::default(),
            trouble,
            commits: 1,
            copy: OnceLock::new(),
        }
    }
}

const ID: [NodeId; 2] = [NodeId(1), NodeId(2)];

impl World {
    /// A pair that was born, and settled, by the same rules.
    pub fn settled(laws: &Laws, group: Group, quorum: bool, faults: u8) -> World {
        let mut world = World {
            group,
            nodes: [Node::new(ID[0], false), Node::new(ID[1], true)],
            cut: [false; 2],
            frozen: [false; 2],
            linked: true,
            late: None,
            acknowledged: BTreeSet::new(),
            commits: 0,
            faults: 0,
            maintenances: 0,
            mixed_histories: false,
        };
        operate::register(&mut world.group, ID[0], 50, quorum, &laws.policy, NOW).expect("an empty group");
        world.run_round(0, laws);
        operate::register(&mut world.group, ID[1], 50, quorum, &laws.policy, NOW)
            .expect("a primary is there");
        for _ in 0..10 {
            world.run_round(0, laws);
            world.run_round(1, laws);
        }
        assert!(world.is_settled(), "a pair is not born: {world:#?}");
        laws.copy.get_or_init(|| world.group.clone());
        world.faults = faults;
        world.maintenances = u8::from(laws.trouble == Trouble::Maintenance);
        world
    }

    pub fn sim(&mut self, n: usize, laws: &Laws) -> Sim<'_> {
        Sim { linked: self.linked, mistakes: laws.mistakes, n, nodes: &mut self.nodes }
    }

    pub fn followers(&self, n: usize) -> BTreeSet<NodeId> {
        let other = &self.nodes[1 - n];
        let listed =
            other.alive && other.receiver == Receiver::Streaming && other.disk.upstream == Some(ID[n]);
        listed.then_some(other.id).into_iter().collect()
    }

    fn in_touch(&self, n: usize) -> bool {
        self.nodes[n].alive && !self.cut[n] && !self.frozen[n]
    }

    /// Everything that may happen now.
    pub fn events(&self, laws: &Laws, out: &mut Vec<Event>) {
        let faulty = self.faults > 0;
        let maintained = |n: usize| self.group.nodes[n].goal.leaves_the_rule();
        let late_messages = laws.trouble == Trouble::LateMessages;
        // Nothing can go wrong any more, and nothing is wrong: how it goes on from here is looked at in `heals`.
        if !faulty && self.maintenances == 0 && !maintained(0) && !maintained(1) && self.is_whole() {
            return;
        }
        for n in 0..2 {
            let node = &self.nodes[n];
            if self.in_touch(n) && !node.stopping {
                out.push(Event::Tick(n));
                if faulty && !late_messages {
                    out.push(Event::LoseAnswer(n));
                    out.extend((1..MOST_STEPS).map(|steps| Event::Die(n, steps)));
                } else if faulty && self.late.is_none() {
                    out.extend([Event::DelayAnswer(n), Event::DelayReport(n)]);
                }
            }
            if node.alive {
                out.extend([Event::Stream(n), Event::LoseReceiver(n)]);
                if !self.frozen[n] {
                    out.push(Event::Act(n));
                }
                // Otherwise the monitor grants as well.
                if self.cut[n] || self.group.behind {
                    out.push(Event::Contact(n));
                }
                if faulty && !late_messages && !node.stopping && !node.in_recovery {
                    out.push(Event::Stop(n));
                }
                if faulty || node.stopping || self.is_the_operators(n) {
                    out.push(Event::Crash(n));
                }
                if self.commits < laws.commits {
                    out.push(Event::Commit(n));
                }
                out.extend(node.waiting.iter().map(|commit| Event::Acknowledge(n, *commit)));
            } else {
                out.extend([Event::Start(n), Event::Notice(n)]);
            }
            if self.maintenances > 0 {
                out.push(Event::StartMaintenance(n));
            }
            if maintained(n) {
                out.push(Event::StopMaintenance(n));
            }
            if self.cut[n] {
                out.extend([Event::HealMonitor(n), Event::LoseSession(n)]);
            } else if self.frozen[n] {
                out.push(Event::Thaw(n));
            } else if faulty {
                out.push(if late_messages { Event::Freeze(n) } else { Event::CutMonitor(n) });
            }
        }
        match &self.late {
            Some(Late::Report(..)) => out.push(Event::TakeReport),
            Some(Late::Answer(n, _)) if !self.frozen[*n] => out.push(Event::TakeAnswer),
            Some(Late::Answer(..)) | None => {}
        }
        if !self.linked {
            out.push(Event::HealLink);
        } else if faulty && laws.trouble == Trouble::Everything {
            out.push(Event::CutLink);
        }
        if faulty && !late_messages {
            let restored = laws.trouble == Trouble::RestoredMonitor;
            let monitor = if restored { Event::RestoreMonitor } else { Event::RestartMonitor };
            out.extend([monitor, Event::Switchover]);
        }
        if self.something_is_waited_for() {
            out.push(Event::TimePasses);
        }
    }

    /// The monitor has let this server be taken down: what happens to it is no fault.
    fn is_the_operators(&self, n: usize) -> bool {
        self.group.nodes[n].goal == State::Maintenance
    }

    /// Everybody is alive and reaches everybody, and no message is on its way.
    fn is_whole(&self) -> bool {
        let near = |n: usize| self.in_touch(n) && !self.nodes[n].stopping;
        let monitor_knows = self.group.monitor_started == Moment(0);
        near(0) && near(1) && self.linked && self.late.is_none() && monitor_knows && !self.group.behind
    }

    /// Time passes without a report only where somebody is away, or something is waited for.
    fn something_is_waited_for(&self) -> bool {
        let drains = self.group.nodes.iter().any(|node| node.goal == State::Draining);
        !self.is_whole() || drains || self.group.election.is_some()
    }

    /// What becomes of the world. `None`: nothing.
    pub fn after(&self, event: &Event, laws: &Laws) -> Option<World> {
        let mut world = self.clone();
        let fault = match event {
            Event::Die(..)
            | Event::LoseAnswer(_)
            | Event::DelayAnswer(_)
            | Event::DelayReport(_)
            | Event::Stop(_)
            | Event::Freeze(_)
            | Event::CutMonitor(_)
            | Event::CutLink
            | Event::RestartMonitor
            | Event::RestoreMonitor
            | Event::Switchover => true,
            Event::Crash(n) => !self.nodes[*n].stopping && !self.is_the_operators(*n),
            Event::Tick(_)
            | Event::TakeAnswer
            | Event::TakeReport
            | Event::Act(_)
            | Event::Contact(_)
            | Event::Stream(_)
            | Event::LoseReceiver(_)
            | Event::Commit(_)
            | Event::Acknowledge(..)
            | Event::Start(_)
            | Event::Notice(_)
            | Event::LoseSession(_)
            | Event::Thaw(_)
            | Event::HealMonitor(_)
            | Event::HealLink
            | Event::TimePasses
            | Event::StartMaintenance(_)
            | Event::StopMaintenance(_) => false,
        };
        if fault {
            world.faults = self.faults.checked_sub(1)?;
        }
        if let Event::Die(n, steps) = *event {
            world.beat(n, laws);
            // A crash after the last step is the event `Crash`.
            let dies_between =
                (0..steps).all(|_| world.sim(n, laws).act()) && world.clone().sim(n, laws).act();
            if !dies_between {
                return None;
            }
            world.happen(&Event::Crash(n), laws);
            return Some(world);
        }
        world.happen(event, laws);
        (world != *self).then_some(world)
    }

    /// Nothing goes wrong any more: node `n` does all it can.
    fn run_round(&mut self, n: usize, laws: &Laws) {
        self.happen(&Event::Tick(n), laws);
        for _ in 0..10 {
            self.happen(&Event::Stream(n), laws);
        }
    }

    /// From here on without a fault: whether the pair settles.
    pub fn heals(&self, laws: &Laws, known: &Mutex<std::collections::HashSet<u64>>) -> bool {
        let mut world = self.clone();
        (world.faults, world.maintenances, world.commits, world.linked) = (0, 0, 9, true);
        (world.cut, world.frozen) = ([false; 2], [false; 2]);
        world.late = None;
        world.acknowledged.clear();
        for n in 0..2 {
            if world.nodes[n].stopping {
                world.happen(&Event::Crash(n), laws);
            }
            if !world.nodes[n].alive {
                world.happen(&Event::Start(n), laws);
            }
            world.nodes[n].waiting.clear();
        }
        let mut passed = Vec::new();
        let mut ok = false;
        for _ in 0..30 {
            let print = fingerprint(&world);
            if !one_writer::holds(&world) || world.mixed_histories {
                return false;
            }
            // Only once it rests is it given back: maintenance ends well, and begins well.
            if let Some(n) = (0..2).find(|n| world.rests_in_maintenance(*n)) {
                world.happen(&Event::StopMaintenance(n), laws);
            }
            if world.is_settled() || known.lock().expect("nobody panics with it").contains(&print) {
                ok = true;
                break;
            }
            passed.push(print);
            world.run_round(0, laws);
            world.run_round(1, laws);
            world.happen(&Event::TimePasses, laws);
        }
        if ok {
            known.lock().expect("nobody panics with it").extend(passed);
        }
        ok
    }

    /// Node `n` may be taken down, and the other writes alone.
    fn rests_in_maintenance(&self, n: usize) -> bool {
        let is = |n: usize, state| self.group.nodes[n].goal == state && self.nodes[n].disk.role == state;
        let alone = &self.nodes[1 - n];
        is(n, State::Maintenance) && is(1 - n, State::WaitPrimary) && self.group.unleased && alone.commits()
    }

    /// One writes, the other follows and is eligible, and no change is under way.
    pub fn is_settled(&self) -> bool {
        let is = |n: usize, state| self.group.nodes[n].goal == state && self.nodes[n].disk.role == state;
        self.group.election.is_none()
            && self.group.next_rule.is_none()
            && !self.group.unleased
            && (0..2).any(|n| {
                is(n, State::Primary)
                    && is(1 - n, State::Secondary)
                    && !self.followers(n).is_empty()
                    && self.nodes[n].disk.wal == self.nodes[1 - n].disk.wal
                    && self.nodes[n].told.as_ref().is_some_and(|told| told.rule == self.group.rule)
            })
    }
}

fn fingerprint(world: &World) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    world.hash(&mut hasher);
    hasher.finish()
}
