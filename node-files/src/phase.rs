//! The copy that is under way. While the marker stands, PGDATA is not whole, and nothing but the helper may start.
use crate::dir::StateDir;
use crate::durable;
use crate::error::{Result, present};
use connection::Ssl;
use fsm::message::Upstream;
use serde::{Deserialize, Serialize};

/// How this node becomes a copy of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Copy {
    /// Take back what diverged, with pg_rewind.
    Rewind {
        /// From whom.
        upstream: Upstream,
    },
    /// Everything anew, with pg_basebackup.
    Clone {
        /// From whom.
        upstream: Upstream,
    },
}

/// How far it got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Asked for; PGDATA is as it was.
    Asked,
    /// Begun; PGDATA is good for nothing before the end.
    Copying,
}

/// The marker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    /// How far.
    pub step: Step,
    /// The slot on the upstream.
    pub slot: String,
    /// What, and from where.
    pub copy: Copy,
    /// How to talk to it: the node's settings may be the source's while PGDATA is copied.
    pub ssl: Ssl,
}

impl Copy {
    /// From whom.
    pub fn upstream(&self) -> &Upstream {
        match self {
            Copy::Rewind { upstream } | Copy::Clone { upstream } => upstream,
        }
    }
}

impl Phase {
    /// The marker that stands there.
    pub fn read(dir: &StateDir) -> Result<Option<Phase>> {
        present(durable::read_toml(&dir.phase()))
    }

    /// Writes the marker, durably.
    pub fn write(&self, dir: &StateDir) -> Result<()> {
        durable::write_toml(&dir.phase(), self)
    }

    /// The copy is whole (or the request was withdrawn before it began).
    pub fn clear(dir: &StateDir) -> Result<bool> {
        durable::remove(&dir.phase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fsm::message::Peer;
    use fsm::units::{Lsn, NodeId, Term, Timeline};

    #[test]
    fn it_is_read_as_it_was_written() {
        let directory = tempfile::tempdir().unwrap();
        let dir = StateDir::at(directory.path());
        assert_eq!(Phase::read(&dir).unwrap(), None);
        for fork in [None, Some(Lsn(0x1_2345_6789))] {
            let peer = Peer { node: NodeId(2), host: "node-2.example".to_owned(), port: 5433 };
            let upstream =
                Upstream { peer, term: Term(3), timeline: Timeline(2), fork, rewindable: true, reach: None };
            let slot = "pgautofailover_standby_1".to_owned();
            let ssl = Ssl { root_cert: Some("/etc/ca.pem".into()), ..Ssl::default() };
            let phase = Phase { step: Step::Asked, slot, copy: Copy::Rewind { upstream }, ssl };
            phase.write(&dir).unwrap();
            assert_eq!(Phase::read(&dir).unwrap(), Some(phase));
        }
        assert!(Phase::clear(&dir).unwrap());
        assert!(!Phase::clear(&dir).unwrap());
    }
}
