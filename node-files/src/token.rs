//! The one-shot permission to start as a writer.
//!
//! Starting without standby.signal is starting as a writer, so it needs a permission that cannot be used twice:
//! the token names one boot, and is gone from the disk before it is obeyed.
use crate::dir::StateDir;
use crate::error::Result;
use crate::{boots, durable};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Which boot of which node may start as a writer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriterToken {
    /// The number of the boot.
    pub boot: u64,
    /// The node's identity token.
    pub identity: String,
}

impl WriterToken {
    /// Lets the next boot of the node start as a writer. The caller has the monitor's word for it.
    pub fn grant_next(dir: &StateDir, pgdata: &Path, identity: &str) -> Result<WriterToken> {
        let boot = boots::read(dir, pgdata)? + 1;
        let token = WriterToken { boot, identity: identity.to_owned() };
        durable::write_toml(&dir.writer(), &token)?;
        Ok(token)
    }

    /// Consumes the token: whatever becomes of this boot, the token is gone from the disk.
    pub fn take(dir: &StateDir) -> Result<Option<WriterToken>> {
        durable::take_toml(&dir.writer())
    }

    /// Takes the permission back.
    pub fn revoke(dir: &StateDir) -> Result<()> {
        durable::remove(&dir.writer()).map(|_| ())
    }

    /// Whether it permits `boot` of the node with that identity.
    pub fn permits(&self, boot: u64, identity: &str) -> bool {
        self.boot == boot && self.identity == identity
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn it_permits_the_next_boot_once() {
        let directory = tempfile::tempdir().unwrap();
        let dir = StateDir::at(directory.path());
        assert_eq!(WriterToken::take(&dir).unwrap(), None);
        let pgdata = directory.path();
        boots::advance(&dir, pgdata).unwrap();
        WriterToken::grant_next(&dir, pgdata, "me").unwrap();
        let boot = boots::advance(&dir, pgdata).unwrap();
        let token = WriterToken::take(&dir).unwrap().unwrap();
        assert!(token.permits(boot, "me"));
        assert!(!token.permits(boot, "other"));
        assert!(!token.permits(boot + 1, "me"));
        assert_eq!(WriterToken::take(&dir).unwrap(), None);
    }

    #[test]
    fn a_damaged_token_is_gone_all_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let dir = StateDir::at(directory.path());
        std::fs::write(dir.writer(), "boot = ").unwrap();
        assert!(matches!(WriterToken::take(&dir), Err(Error::Damaged { .. })));
        assert_eq!(WriterToken::take(&dir).unwrap(), None);
    }
}
