//! What a search is about: who is there at the beginning, what may go wrong, and how often.
use crate::decisions::Decisions;
use crate::keeper_sim::Mistakes;
use fsm::monitor::{RULES, Rule};
use fsm::policy::Policy;
use std::sync::Arc;

/// What may go wrong, or be asked for. All of it at once would be too many situations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Every process of a node dies between two steps of its keeper.
    Crashes,
    /// The same in the middle of what a keeper does in one go.
    Interruptions,
    /// An operator stops a server in good order.
    Stops,
    /// An answer of the monitor does not arrive.
    LostAnswers,
    /// A report or an answer arrives later than what came after it.
    LateMessages,
    /// A keeper freezes; its server goes on.
    FrozenKeepers,
    /// The link between a node and the monitor is cut.
    CutOffNodes,
    /// The link between two nodes is cut.
    CutLinks,
    /// The monitor is restarted, and forgets what is not in rows.
    MonitorRestarts,
    /// The monitor is put back from a copy of its tables as they were in the beginning.
    RestoredMonitor,
    /// An operator asks for a switchover.
    Switchovers,
    /// An operator wants a standby's server for himself, does with it as he likes, and gives it back.
    Maintenance,
    /// An operator changes number_sync_standbys to this.
    Number(u32),
    /// Single processes of a server see a new rule later than others.
    LateReaders,
    /// A client's wait for the members is cancelled.
    Cancels,
    /// The upstream has removed WAL that a standby needs.
    RemovedWal,
    /// A node that is down gets the disk back that it had when it went down for the first time.
    OldImages,
}

/// Every way in which machines and networks fail.
pub const FAULTS: &[Trouble] = &[
    Trouble::Crashes,
    Trouble::Interruptions,
    Trouble::Stops,
    Trouble::LostAnswers,
    Trouble::CutOffNodes,
    Trouble::CutLinks,
    Trouble::MonitorRestarts,
    Trouble::Switchovers,
];

/// Messages that take their time, beside crashes and keepers that freeze.
pub const LATE: &[Trouble] = &[Trouble::Crashes, Trouble::LateMessages, Trouble::FrozenKeepers];

/// The same as [`FAULTS`] but links between the nodes, while an operator puts a node in maintenance.
pub const MAINTENANCE: &[Trouble] = &[
    Trouble::Crashes,
    Trouble::Interruptions,
    Trouble::Stops,
    Trouble::LostAnswers,
    Trouble::CutOffNodes,
    Trouble::MonitorRestarts,
    Trouble::Switchovers,
    Trouble::Maintenance,
];

/// The monitor is put back from a copy, beside crashes and broken links to it.
pub const RESTORED: &[Trouble] =
    &[Trouble::Crashes, Trouble::LostAnswers, Trouble::CutOffNodes, Trouble::RestoredMonitor];

/// Disks of an earlier time, and what has nodes go down before.
pub const OLD_IMAGES: &[Trouble] = &[Trouble::Crashes, Trouble::OldImages];

/// What does not change in a run.
#[derive(Clone)]
pub struct Setup {
    /// The first is the primary; an entry is a node's priority.
    pub priorities: &'static [u8],
    /// Commits wait for standbys.
    pub synchronous: bool,
    pub number_sync_standbys: u32,
    pub troubles: &'static [Trouble],
    /// How much may go wrong.
    pub faults: u8,
    /// How often an operator may wish for something.
    pub wishes: u8,
    /// How many clients commit.
    pub commits: u8,
    pub decisions: Arc<Decisions>,
    pub mistakes: Mistakes,
    pub policy: Policy,
}

impl Setup {
    /// Nodes of equal rank under the rules as they are, with two faults.
    pub fn of(priorities: &'static [u8], troubles: &'static [Trouble]) -> Setup {
        let policy = Policy::default();
        Setup {
            priorities,
            synchronous: true,
            number_sync_standbys: 0,
            troubles,
            faults: 2,
            wishes: 1,
            commits: 1,
            decisions: Arc::new(Decisions::by(RULES.to_vec(), policy)),
            mistakes: Mistakes::default(),
            policy,
        }
    }

    /// The same under other rules.
    pub fn by(self, rules: Vec<Rule>) -> Setup {
        let decisions = Arc::new(Decisions::by(rules, self.policy));
        Setup { decisions, ..self }
    }

    pub fn has(&self, trouble: Trouble) -> bool {
        self.troubles.contains(&trouble)
    }
}
