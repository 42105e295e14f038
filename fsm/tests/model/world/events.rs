//! What may happen, and what of it is a fault.
use super::{Late, MOST_STEPS, World};
use crate::links::Links;
use crate::node::Reader;
use crate::setup::{Setup, Trouble};
use fsm::message::Receiver;
use fsm::state::State;

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
    /// A receiver finds its upstream or gets what is new there, or notices that the upstream is silent.
    Stream(usize),
    LoseReceiver(usize),
    /// The upstream has no longer what a standby needs next.
    RemoveWal(usize),
    /// A process of a server reads the configuration.
    Read(usize, Reader),
    /// A client's commit, and the end of the wait for it before its acknowledgement.
    Commit(usize),
    Cancel(usize, u8),
    /// Every process of the node dies.
    Crash(usize),
    /// An operator stops the server; it ends with `Crash`.
    Stop(usize),
    /// The server starts, or goes on with the copy that comes first.
    Start(usize),
    /// A node that is down gets an old image of its disk.
    PutBack(usize),
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
    /// The link between two nodes.
    CutLink(usize, usize),
    HealLink(usize, usize),
    /// Longer than a lease, and than every time-out.
    TimePasses,
    RestartMonitor,
    /// It is started from a copy of its tables as they were in the beginning.
    RestoreMonitor,
    Switchover,
    /// An operator wants a standby's server for himself, and gives it back.
    StartMaintenance(usize),
    StopMaintenance(usize),
    /// An operator has commits wait for so many.
    WaitFor(u32),
}

impl Event {
    /// It goes on the account of faults.
    pub fn is_fault(&self, world: &World) -> bool {
        match self {
            Event::Die(..)
            | Event::LoseAnswer(_)
            | Event::DelayAnswer(_)
            | Event::DelayReport(_)
            | Event::Stop(_)
            | Event::Freeze(_)
            | Event::CutMonitor(_)
            | Event::CutLink(..)
            | Event::RestartMonitor
            | Event::RestoreMonitor
            | Event::RemoveWal(_)
            | Event::PutBack(_)
            | Event::Switchover => true,
            Event::Crash(n) => !world.nodes[*n].stopping && !world.is_the_operators(*n),
            Event::Tick(_)
            | Event::TakeAnswer
            | Event::TakeReport
            | Event::Act(_)
            | Event::Contact(_)
            | Event::Stream(_)
            | Event::LoseReceiver(_)
            | Event::Read(..)
            | Event::Commit(_)
            | Event::Cancel(..)
            | Event::Start(_)
            | Event::Notice(_)
            | Event::LoseSession(_)
            | Event::Thaw(_)
            | Event::HealMonitor(_)
            | Event::HealLink(..)
            | Event::TimePasses
            | Event::StartMaintenance(_)
            | Event::StopMaintenance(_)
            | Event::WaitFor(_) => false,
        }
    }
}

impl World {
    /// Everything that may happen now.
    pub fn events(&self, setup: &Setup, out: &mut Vec<Event>) {
        let faulty = self.faults > 0;
        let may = |trouble| faulty && setup.has(trouble);
        let nobody_leaves = self.group.nodes.iter().all(|node| !node.goal.leaves_the_rule());
        // Nothing can go wrong any more, and nothing is wrong: how it goes on from here is looked at in `heals`.
        if !faulty && self.wishes == 0 && nobody_leaves && self.is_whole() {
            return;
        }
        for n in self.places() {
            self.events_of(n, setup, out);
        }
        match &self.late {
            Some(Late::Report(..)) => out.push(Event::TakeReport),
            Some(Late::Answer(n, _)) if !self.frozen[*n] => out.push(Event::TakeAnswer),
            Some(Late::Answer(..)) | None => {}
        }
        for (a, b) in Links::pairs(self.nodes.len()) {
            if !self.links.stands(a, b) {
                out.push(Event::HealLink(a, b));
            } else if may(Trouble::CutLinks) {
                out.push(Event::CutLink(a, b));
            }
        }
        if may(Trouble::MonitorRestarts) {
            out.push(Event::RestartMonitor);
        }
        if may(Trouble::RestoredMonitor) {
            out.push(Event::RestoreMonitor);
        }
        if may(Trouble::Switchovers) {
            out.push(Event::Switchover);
        }
        if self.wishes > 0 {
            let numbers = setup.troubles.iter().filter_map(|trouble| {
                if let Trouble::Number(number) = trouble { Some(Event::WaitFor(*number)) } else { None }
            });
            out.extend(numbers);
        }
        if self.something_is_waited_for() {
            out.push(Event::TimePasses);
        }
    }

    fn events_of(&self, n: usize, setup: &Setup, out: &mut Vec<Event>) {
        let node = &self.nodes[n];
        let may = |trouble| self.faults > 0 && setup.has(trouble);
        if self.in_touch(n) && !node.stopping {
            out.push(Event::Tick(n));
            if may(Trouble::LostAnswers) {
                out.push(Event::LoseAnswer(n));
            }
            if may(Trouble::Interruptions) {
                out.extend((1..MOST_STEPS).map(|steps| Event::Die(n, steps)));
            }
            if may(Trouble::LateMessages) && self.late.is_none() {
                out.extend([Event::DelayAnswer(n), Event::DelayReport(n)]);
            }
        }
        if node.alive {
            self.events_of_a_server(n, setup, out);
        } else {
            out.extend([Event::Start(n), Event::Notice(n)]);
            if may(Trouble::OldImages) && self.images[n].is_some() {
                out.push(Event::PutBack(n));
            }
        }
        if self.wishes > 0 && setup.has(Trouble::Maintenance) {
            out.push(Event::StartMaintenance(n));
        }
        if self.has_goal(n, State::WaitMaintenance) || self.has_goal(n, State::Maintenance) {
            out.push(Event::StopMaintenance(n));
        }
        if self.cut[n] {
            out.extend([Event::HealMonitor(n), Event::LoseSession(n)]);
        } else if may(Trouble::CutOffNodes) {
            out.push(Event::CutMonitor(n));
        }
        if self.frozen[n] {
            out.push(Event::Thaw(n));
        } else if may(Trouble::FrozenKeepers) {
            out.push(Event::Freeze(n));
        }
    }

    fn events_of_a_server(&self, n: usize, setup: &Setup, out: &mut Vec<Event>) {
        let node = &self.nodes[n];
        let may = |trouble| self.faults > 0 && setup.has(trouble);
        if self.streams(n) {
            out.push(Event::Stream(n));
        }
        if self.starts_to_miss(n) {
            out.push(Event::LoseReceiver(n));
        }
        // Who reaches the monitor does both with every heartbeat.
        if self.cut[n] && !self.frozen[n] {
            out.push(Event::Act(n));
        }
        // Otherwise the monitor grants as well.
        if (self.cut[n] && !self.frozen[n]) || self.group.behind {
            out.push(Event::Contact(n));
        }
        if may(Trouble::Stops) && !node.stopping && !node.in_recovery {
            out.push(Event::Stop(n));
        }
        if may(Trouble::Crashes) || node.stopping || self.is_the_operators(n) {
            out.push(Event::Crash(n));
        }
        if may(Trouble::RemovedWal)
            && node.in_recovery
            && !node.starves
            && node.receiver != Receiver::Streaming
        {
            out.push(Event::RemoveWal(n));
        }
        if self.commits < setup.commits && node.commits() {
            out.push(Event::Commit(n));
        }
        if setup.has(Trouble::Cancels) {
            out.extend(node.waiting.iter().map(|commit| Event::Cancel(n, *commit)));
        }
        out.extend(node.late_readers.keys().map(|reader| Event::Read(n, *reader)));
    }

    /// Time passes without a report only where somebody is away, or something is waited for.
    fn something_is_waited_for(&self) -> bool {
        let drains = self.group.nodes.iter().any(|node| node.goal == State::Draining);
        let starves = self.nodes.iter().any(|node| node.starves);
        !self.is_whole() || drains || starves || self.group.election.is_some()
    }

    /// What becomes of the world. `None`: nothing.
    pub fn after(&self, event: &Event, setup: &Setup) -> Option<World> {
        let mut world = self.clone();
        if event.is_fault(self) {
            world.faults = self.faults.checked_sub(1)?;
        }
        if let Event::Die(n, steps) = *event {
            world.beat(n, setup);
            // A crash after the last step is the event `Crash`.
            let dies_between =
                (0..steps).all(|_| world.sim(n, setup).act()) && world.clone().sim(n, setup).act();
            if !dies_between {
                return None;
            }
            world.happen(&Event::Crash(n), setup);
        } else {
            world.happen(event, setup);
        }
        world.acknowledge();
        world.forget_what_nobody_reads(setup);
        (world != *self).then_some(world)
    }

    /// Clients hear of success as soon as they may: no later moment would be worse for what must be kept.
    fn acknowledge(&mut self) {
        for n in self.places() {
            for commit in self.nodes[n].waiting.clone() {
                if self.nodes[n].lets_go(&self.holders(n, commit)) {
                    self.nodes[n].waiting.retain(|waiting| *waiting != commit);
                    self.acknowledged.insert(commit);
                }
            }
        }
    }
}
