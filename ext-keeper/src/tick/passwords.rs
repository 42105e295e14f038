//! Passwords that the monitor hands out: kept at once, used from the next connection on.
use super::Keeper;
use crate::act::{Trouble, accounts};
use fsm::message::Assignment;
use fsm::state::State;
use node_files::Secrets;

impl Keeper {
    /// On the disk before the next report says that they are here.
    pub(super) fn keep_passwords(&mut self, told: &Assignment) -> Result<(), Trouble> {
        if told.replication_password.is_none() && told.monitor_password.is_none() {
            return Ok(());
        }
        let mut secrets = Secrets::read(self.memory.dir())?;
        let group = told.replication_password.clone();
        let group = group.is_some_and(|password| secrets.take_replication_password(password));
        let monitor = told.monitor_password.clone();
        let monitor = monitor.is_some_and(|password| secrets.take_monitor_password(password));
        if group || monitor {
            secrets.write(self.memory.dir())?;
            self.news = true;
        }
        if group {
            self.accounts_made = false;
        }
        Ok(())
    }

    /// A primary, whose way into its state does not look at accounts, lets the standbys in by the newest password.
    pub(super) async fn put_password_in_force(&mut self) -> Result<(), Trouble> {
        if self.memory.role == State::Primary && !self.facts.in_recovery && !self.facts.stopping {
            accounts::ensure(self).await?;
        }
        Ok(())
    }
}
