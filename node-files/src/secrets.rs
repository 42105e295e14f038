//! The node's passwords. They stand in files of mode 0600 and nowhere else.
use crate::dir::StateDir;
use crate::durable;
use crate::error::{Result, present};
use fsm::password::{Password, Passwords};
use fsm::units::PasswordNumber;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The role that replication, pg_basebackup and pg_rewind connect as.
pub const REPLICATION_ROLE: &str = "pgautofailover_replicator";

/// The passwords that this node holds.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Secrets {
    /// Of the keeper's role on the monitor: the newest that it was told.
    pub monitor_password: Option<String>,
    /// The number that the monitor gave it; 0: somebody typed it.
    pub monitor_password_number: PasswordNumber,
    /// The one before, which the monitor accepts until all nodes have the newest.
    pub previous_monitor_password: Option<String>,
    /// Of [`REPLICATION_ROLE`] on every node of the group.
    pub replication_password: Option<String>,
    /// The number that the monitor gave it.
    pub replication_password_number: PasswordNumber,
}

impl Secrets {
    /// What stands there; nothing when there is no file.
    pub fn read(dir: &StateDir) -> Result<Secrets> {
        present(durable::read_toml(&dir.secrets())).map(Option::unwrap_or_default)
    }

    /// Which passwords these are.
    pub fn numbers(&self) -> Passwords {
        Passwords { replication: self.replication_password_number, monitor: self.monitor_password_number }
    }

    /// Takes over the group's password. True when it is another one than before.
    pub fn take_replication_password(&mut self, password: Password) -> bool {
        let Password { number, text } = password;
        let (new, text) = (self.replication_password_number != number, Some(text));
        let new = new || self.replication_password != text;
        (self.replication_password, self.replication_password_number) = (text, number);
        new
    }

    /// Takes over the monitor's password, or one that somebody typed (number 0), and keeps the one before. True when it is another
    /// one than before.
    pub fn take_monitor_password(&mut self, password: Password) -> bool {
        let Password { number, text } = password;
        if self.monitor_password.as_ref() == Some(&text) {
            // What was typed says nothing about the number.
            let new = number != PasswordNumber(0) && self.monitor_password_number != number;
            if new {
                self.monitor_password_number = number;
            }
            return new;
        }
        self.previous_monitor_password = self.monitor_password.replace(text);
        self.monitor_password_number = number;
        true
    }

    /// What may open the monitor, newest first.
    pub fn monitor_passwords(&self) -> impl Iterator<Item = &str> {
        [&self.monitor_password, &self.previous_monitor_password].into_iter().flatten().map(String::as_str)
    }

    /// Writes the secrets, and the password file of libpq that is made from them: that one first, for the secrets say what this node
    /// holds, and what it says to hold it is not given again.
    pub fn write(&self, dir: &StateDir) -> Result<()> {
        self.write_passfile(dir)?;
        durable::write_toml(&dir.secrets(), self)
    }

    /// Makes the password file of libpq. The line counts for every host: the password is the group's.
    pub fn write_passfile(&self, dir: &StateDir) -> Result<()> {
        let line = self
            .replication_password
            .as_deref()
            .map_or(String::new(), |password| format!("*:*:*:{REPLICATION_ROLE}:{}\n", escape(password)));
        durable::write(&dir.passfile(), line.as_bytes())
    }
}

/// libpq's password file separates with colons and escapes with backslashes.
fn escape(password: &str) -> String {
    password.replace('\\', "\\\\").replace(':', "\\:")
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |secret: &Option<String>| if secret.is_some() { "set" } else { "not set" };
        f.debug_struct("Secrets")
            .field("monitor_password", &shown(&self.monitor_password))
            .field("previous_monitor_password", &shown(&self.previous_monitor_password))
            .field("replication_password", &shown(&self.replication_password))
            .field("numbers", &self.numbers())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn they_are_kept_from_others_and_from_logs() {
        let directory = tempfile::tempdir().unwrap();
        let dir = StateDir::at(directory.path());
        assert_eq!(Secrets::read(&dir).unwrap(), Secrets::default());
        let secrets = Secrets {
            monitor_password: Some("mon".to_owned()),
            replication_password: Some(r"a:b\c".to_owned()),
            replication_password_number: PasswordNumber(1),
            ..Secrets::default()
        };
        secrets.write(&dir).unwrap();
        assert_eq!(Secrets::read(&dir).unwrap(), secrets);
        assert_eq!(
            fs::read_to_string(dir.passfile()).unwrap(),
            "*:*:*:pgautofailover_replicator:a\\:b\\\\c\n"
        );
        for file in [dir.secrets(), dir.passfile()] {
            assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let shown = format!("{secrets:?}");
        assert!(!shown.contains("mon\"") && !shown.contains("a:b"), "{shown}");
    }

    #[test]
    fn the_newest_is_tried_first_and_the_one_before_is_kept() {
        let numbered =
            |number, text: &str| Password { number: PasswordNumber(number), text: text.to_owned() };
        let mut secrets = Secrets::default();
        assert!(secrets.take_monitor_password(numbered(0, "typed")));
        assert!(!secrets.take_monitor_password(numbered(0, "typed")));
        assert!(secrets.take_monitor_password(numbered(5, "made")));
        assert!(!secrets.take_monitor_password(numbered(5, "made")));
        assert_eq!(secrets.monitor_passwords().collect::<Vec<_>>(), ["made", "typed"]);
        assert_eq!(secrets.numbers().monitor, PasswordNumber(5));
        // Typing the newest one takes nothing away.
        assert!(!secrets.take_monitor_password(numbered(0, "made")));
        assert_eq!(secrets.numbers().monitor, PasswordNumber(5));
        assert!(secrets.take_monitor_password(numbered(0, "other")));
        assert_eq!(secrets.monitor_passwords().collect::<Vec<_>>(), ["other", "made"]);
        assert_eq!(secrets.numbers().monitor, PasswordNumber(0));
    }

    #[test]
    fn what_libpq_does_not_have_yet_is_not_held() {
        let directory = tempfile::tempdir().unwrap();
        let dir = StateDir::at(directory.path());
        fs::create_dir(dir.passfile()).unwrap();
        let mut secrets = Secrets::default();
        secrets.take_replication_password(Password { number: PasswordNumber(5), text: "made".to_owned() });
        assert!(secrets.write(&dir).is_err());
        assert_eq!(Secrets::read(&dir).unwrap().numbers(), Passwords::default());
    }

    #[test]
    fn an_error_does_not_show_them() {
        let directory = tempfile::tempdir().unwrap();
        let dir = StateDir::at(directory.path());
        fs::write(dir.secrets(), "monitor_password = \"hunter2\nreplication_password = 1").unwrap();
        let error = Secrets::read(&dir).unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
}
