//! Refusals that wait to become events. A refused call ends its own transaction, so it leaves a note here, and the worker
//! has it written down by a transaction of its own.
use super::fixed::Fixed;
use fsm::units::{Millis, Moment, NodeId};

const PLACES: usize = 64;
/// Programs that are refused ask again at once. After the first time they are mentioned once in this time, with a count.
const SUM_UP_AFTER: Millis = Millis(60_000);

/// What is noted of one refusal.
#[derive(Clone, Copy)]
pub struct Refusal {
    /// One sentence: what, whose, why, and the SQLSTATE.
    pub text: Fixed<1_000>,
    /// The formation, when the call named one.
    pub formation: Option<Fixed<255>>,
    /// The group, when the call named one.
    pub group: Option<i32>,
    /// The node, when the call named one.
    pub node: Option<NodeId>,
    /// Equal for refusals that are only counted after the first; none: each is an event of its own.
    pub kind: Option<u64>,
}

#[derive(Clone, Copy)]
struct Noted {
    refusal: Refusal,
    number: u64,
    /// How often since it was told last.
    count: u32,
    told: Option<Moment>,
}

/// A note whose time has come.
#[derive(Clone)]
pub struct Due {
    number: u64,
    count: u32,
    /// The refusal.
    pub refusal: Refusal,
    /// It was told before: how often it came again since, and in how long.
    pub again: Option<(u32, Millis)>,
}

/// All notes.
pub struct Refusals {
    noted: [Option<Noted>; PLACES],
    last_number: u64,
    /// There was no room for so many.
    unnoted: u32,
}

impl Refusals {
    /// None yet.
    pub const fn new() -> Refusals {
        Refusals { noted: [None; PLACES], last_number: 0, unnoted: 0 }
    }

    /// Notes one more.
    pub fn note(&mut self, refusal: Refusal, now: Moment) {
        let known = |noted: &&mut Noted| refusal.kind.is_some() && noted.refusal.kind == refusal.kind;
        if let Some(noted) = self.noted.iter_mut().flatten().find(known) {
            noted.count = noted.count.saturating_add(1);
            return;
        }
        // What has stopped makes room.
        let free = self.noted.iter_mut().find(|place| place.is_none_or(|noted| noted.is_over(now)));
        match free {
            Some(place) => {
                self.last_number += 1;
                *place = Some(Noted { refusal, number: self.last_number, count: 1, told: None });
            }
            None => self.unnoted = self.unnoted.saturating_add(1),
        }
    }

    /// Something is to be told.
    pub fn is_due(&self, now: Moment) -> bool {
        self.unnoted > 0 || self.noted.iter().flatten().any(|noted| noted.is_due(now))
    }

    /// What is to be told, oldest first, and how many could not be noted.
    pub fn due(&self, now: Moment) -> (Vec<Due>, u32) {
        let due = self.noted.iter().flatten().filter(|noted| noted.is_due(now)).map(|noted| Due {
            number: noted.number,
            count: noted.count,
            refusal: noted.refusal,
            again: noted.told.map(|told| (noted.count, now.since(told))),
        });
        let mut due: Vec<Due> = due.collect();
        due.sort_by_key(|due| due.number);
        (due, self.unnoted)
    }

    /// These were told.
    pub fn told(&mut self, due: &[Due], unnoted: u32, now: Moment) {
        self.unnoted = self.unnoted.saturating_sub(unnoted);
        for told in due {
            let place = self
                .noted
                .iter_mut()
                .find(|place| place.as_ref().is_some_and(|noted| noted.number == told.number));
            let Some(place) = place else { continue };
            match place {
                Some(noted) if noted.refusal.kind.is_some() => {
                    noted.count = noted.count.saturating_sub(told.count);
                    noted.told = Some(now);
                }
                Some(_) | None => *place = None,
            }
        }
    }
}

impl Noted {
    fn is_due(&self, now: Moment) -> bool {
        self.count > 0 && self.told.is_none_or(|told| now.since(told) >= SUM_UP_AFTER)
    }

    /// It did not come again for long enough: the next one is news.
    fn is_over(&self, now: Moment) -> bool {
        self.count == 0 && self.told.is_some_and(|told| now.since(told) >= SUM_UP_AFTER)
    }
}
