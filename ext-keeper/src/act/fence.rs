//! Opening and raising the commit fence, with the durable word that goes before or after (laws 3 and 4).
use super::{Outcome, Trouble};
use crate::lease::Lease;
use crate::memory::Memory;
use crate::pg;
use crate::shared::{fence, first_write};
use crate::tick::{Keeper, UNRECORDED};
use fsm::message::Assignment;
use fsm::state::State;

/// Nothing commits here from now on.
pub fn put_up(lease: &Lease) {
    let was_up = fence::is_up();
    lease.hold(None);
    fence::end_unleased();
    fence::lapse();
    if !was_up {
        pg::log("raised the commit fence: nothing commits here from now on");
    }
}

/// The same; then an unleased state is left durably.
pub fn raise(keeper: &mut Keeper) -> Result<(), Trouble> {
    put_up(&keeper.lease);
    keeper.memory.keep(|state| state.unleased = false)
}

pub fn raise_action(keeper: &mut Keeper) -> Result<Outcome, Trouble> {
    raise(keeper).map(|()| Outcome::Done)
}

/// Commits without a lease, by the monitor's word.
pub fn enter_unleased(keeper: &mut Keeper, told: &Assignment) -> Result<Outcome, Trouble> {
    if keeper.facts.stopping {
        return Ok(Outcome::Later("the server is shutting down".to_owned()));
    }
    keeper.lease.hold(None);
    keeper.memory.keep(|state| state.unleased = true)?;
    recorded(&mut keeper.memory, told)?;
    fence::open_unleased();
    Ok(Outcome::Done)
}

/// Commits while a lease runs. The unleased state is left on the disk before anything else.
pub fn enter_leased(keeper: &mut Keeper, told: &Assignment) -> Result<Outcome, Trouble> {
    if keeper.facts.stopping {
        return Ok(Outcome::Later("the server is shutting down".to_owned()));
    }
    keeper.memory.keep(|state| state.unleased = false)?;
    recorded(&mut keeper.memory, told)?;
    let was_unleased = matches!(fence::state(), fence::Fence::Unleased);
    match keeper.granted_until {
        Some(until) => fence::exchange_for_lease(until),
        None if was_unleased || keeper.memory.role != State::Primary => {
            // An unleased fence stays open until then: nobody is eligible before this node has confirmed.
            return Ok(Outcome::Soon("the monitor has not granted a lease yet".to_owned()));
        }
        // A writer whose lease is kept alive by its members, or ran out.
        None => {}
    }
    keeper.lease.hold(Some(&keeper.memory.rule));
    Ok(Outcome::Done)
}

/// The monitor has recorded this node as the writer: its WAL is the history of that reign.
fn recorded(memory: &mut Memory, told: &Assignment) -> Result<(), Trouble> {
    memory.keep(|state| {
        match state.promotion {
            Some(promotion) if promotion.term != UNRECORDED => state.history = promotion.term,
            // The first writer of a group was not elected.
            None if state.history.0 == 0 => state.history = told.term,
            Some(_) | None => {}
        }
        state.upstream = None;
    })?;
    // Before the fence opens.
    if memory.promotion.is_some_and(|promotion| promotion.term == told.term) {
        first_write::await_of(told.term);
    }
    Ok(())
}
