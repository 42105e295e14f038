//! Who a PGDATA belongs to. The same token stands in the state beside it.
use crate::durable;
use crate::error::{Result, present};
use fsm::units::NodeId;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The node that a PGDATA belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its id on the monitor.
    pub node: NodeId,
    /// Random, made at enrolment: two nodes of the same number on two monitors differ in it.
    pub token: String,
}

impl Identity {
    /// A new identity for the node.
    pub fn of(node: NodeId) -> Identity {
        Identity { node, token: fresh_token() }
    }

    /// The file inside PGDATA.
    pub fn path(pgdata: &Path) -> PathBuf {
        pgdata.join("pg_autoctl.identity")
    }

    /// The identity that stands in PGDATA.
    pub fn read(pgdata: &Path) -> Result<Option<Identity>> {
        present(durable::read_toml(&Identity::path(pgdata)))
    }

    /// Marks PGDATA as this node's.
    pub fn write(&self, pgdata: &Path) -> Result<()> {
        durable::write_toml(&Identity::path(pgdata), self)
    }
}

/// 128 random bits in hexadecimal: an identity token, or a password.
pub fn fresh_token() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// A random number, never 0, that SQL can hold: of one start of a node, or of one epoch of a monitor.
pub fn fresh_number() -> u64 {
    (rand::random::<u64>() >> 1) | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_with_its_pgdata() {
        let pgdata = tempfile::tempdir().unwrap();
        assert_eq!(Identity::read(pgdata.path()).unwrap(), None);
        let identity = Identity::of(NodeId(7));
        identity.write(pgdata.path()).unwrap();
        assert_eq!(Identity::read(pgdata.path()).unwrap(), Some(identity.clone()));
        assert_eq!(identity.token.len(), 32);
        assert_ne!(identity.token, fresh_token());
    }
}
