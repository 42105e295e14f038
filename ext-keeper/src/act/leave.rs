//! Leaving the group: an operator has removed this node.
use super::{Outcome, Trouble, fence, io_trouble};
use crate::shared::gate;
use crate::tick::Keeper;
use crate::{gucs, pg};

/// It writes for nobody from now on. It goes on receiving until the monitor has let it go: before that a rule of the
/// primary's may name it, and commits would wait in vain.
pub fn leave_group(keeper: &mut Keeper) -> Result<Outcome, Trouble> {
    fence::raise(keeper)?;
    if !keeper.let_go {
        return Ok(Outcome::Done);
    }
    gate::close();
    // No later life may follow whom this one has followed.
    keeper.memory.keep(|state| state.upstream = None)?;
    if !gucs::stop_when_dropped() {
        let stays = "this node was dropped from its group: it neither writes nor follows; pg_autoctl drop node --keep-running, \
                     here, makes an ordinary server of it";
        return Ok(Outcome::Later(stays.to_owned()));
    }
    if !keeper.facts.stopping {
        pg::log(
            "this node was dropped from its group, so the server stops now; its data stays. To join again: pg_autoctl drop node \
             here, an empty directory, pg_autoctl create postgres. To go on as an ordinary server: pg_autoctl drop node \
             --keep-running here",
        );
        pg::signal_postmaster(libc::SIGINT).map_err(|error| io_trouble("stop the server", error))?;
    }
    Ok(Outcome::Later("dropped from its group: the server stops".to_owned()))
}
