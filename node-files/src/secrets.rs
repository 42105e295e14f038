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
    /// Of the keeper's role on the monitor.
    pub monitor_password: Option<String>,
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
        Passwords { replication: self.replication_password_number, ..Passwords::default() }
    }

    /// Takes over the group's password. True when it is another one than before.
    pub fn take_replication_password(&mut self, password: Password) -> bool {
        let Password { number, text } = password;
        let (new, text) = (self.replication_password_number != number, Some(text));
        let new = new || self.replication_password != text;
        (self.replication_password, self.replication_password_number) = (text, number);
        new
    }

    /// Writes the secrets, and the password file of libpq that is made from them.
    pub fn write(&self, dir: &StateDir) -> Result<()> {
        durable::write_toml(&dir.secrets(), self)?;
        self.write_passfile(dir)
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
            .field("replication_password", &shown(&self.replication_password))
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
    fn an_error_does_not_show_them() {
        let directory = tempfile::tempdir().unwrap();
        let dir = StateDir::at(directory.path());
        fs::write(dir.secrets(), "monitor_password = \"hunter2\nreplication_password = 1").unwrap();
        let error = Secrets::read(&dir).unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
}
