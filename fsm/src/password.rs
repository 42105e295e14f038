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

/// Whether a node that holds the password `held` is handed the group's newest one now. `writer_holds`: the number that the recorded
/// writer holds, when that is another node.
///
/// The writer is first, and gives its role the new one: until then what the others hold is what it accepts.
pub fn is_due(newest: PasswordNumber, held: PasswordNumber, writer_holds: Option<PasswordNumber>) -> bool {
    let none = held == PasswordNumber(0);
    held != newest && (none || writer_holds.is_none_or(|number| number == newest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_writer_is_first_and_who_has_none_waits_for_nobody() {
        let (none, old, new) = (PasswordNumber(0), PasswordNumber(7), PasswordNumber(8));
        assert!(is_due(new, old, None), "the writer itself, or there is none");
        assert!(!is_due(new, old, Some(old)) && is_due(new, old, Some(new)));
        assert!(is_due(new, none, Some(old)) && is_due(new, none, None));
        assert!(!is_due(new, new, None) && !is_due(new, new, Some(old)));
    }

    #[test]
    fn nothing_shows_the_secret() {
        let password = Password { number: PasswordNumber(3), text: "hunter2".to_owned() };
        assert_eq!(format!("{password:?}"), "Password(number 3)");
    }
}
