//! Passwords on their way from the monitor to the nodes.
use crate::units::PasswordNumber;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A password that the monitor made. Shown nowhere: `Debug` prints its number alone.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Password {
    /// Tells it from those before and after it.
    pub number: PasswordNumber,
    /// The secret itself.
    pub text: String,
}

/// Which passwords a node holds, safe on its disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Passwords {
    /// The group's, for `pgautofailover_replicator`. 0: none.
    pub replication: PasswordNumber,
    /// The monitor's, for `autoctl_node`. 0: one that somebody typed, or none.
    pub monitor: PasswordNumber,
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Password(number {})", self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_shows_the_secret() {
        let password = Password { number: PasswordNumber(3), text: "hunter2".to_owned() };
        assert_eq!(format!("{password:?}"), "Password(number 3)");
    }
}
