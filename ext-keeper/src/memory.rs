//! What the keeper knows across lives: read once, and on the disk before anybody is told.
use crate::act::Trouble;
use node_files::{State, StateDir};
use std::ops::Deref;

/// The durable state, readable as such. It changes through [`Memory::keep`] only, which writes first.
pub struct Memory {
    dir: StateDir,
    state: State,
}

impl Memory {
    /// Reads what stands on the disk.
    pub fn read(dir: StateDir) -> node_files::Result<Memory> {
        State::read(&dir).map(|state| Memory { dir, state })
    }

    /// Where the node's files are.
    pub fn dir(&self) -> &StateDir {
        &self.dir
    }

    /// Makes a change durable; without one, touches nothing. When the write fails, the state is as it was.
    pub fn keep(&mut self, change: impl FnOnce(&mut State)) -> Result<(), Trouble> {
        let mut next = self.state.clone();
        change(&mut next);
        if next != self.state {
            next.write(&self.dir)?;
            self.state = next;
        }
        Ok(())
    }

    /// Believes in a role without writing it: for what every life would find again.
    pub fn assume_role(&mut self, role: fsm::state::State) {
        self.state.role = role;
    }
}

impl Deref for Memory {
    type Target = State;
    fn deref(&self) -> &State {
        &self.state
    }
}
