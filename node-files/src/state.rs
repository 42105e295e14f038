//! What a node must not forget: written and fdatasynced before it is told to anyone (law 6).
use crate::dir::StateDir;
use crate::durable;
use crate::error::{Error, Result};
use crate::identity::Identity;
use crate::slots;
use fsm::message::{Promotion, Upstream};
use fsm::rule::Rule;
use fsm::units::{NodeId, Term};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

const KIND: slots::Kind = *b"NODE";

/// The durable state of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Of the cluster in PGDATA. 0: not known yet.
    #[serde(with = "as_text")]
    pub system_identifier: u64,
    /// Its id on the monitor.
    pub node: NodeId,
    /// Its formation.
    pub formation: String,
    /// Its group.
    pub group: i32,
    /// The random token that PGDATA carries too.
    pub identity: String,
    /// The state it has reached.
    pub role: fsm::state::State,
    /// The state it was assigned last.
    pub goal: fsm::state::State,
    /// The highest term it has heard of.
    pub term: Term,
    /// The highest term it has pledged to.
    pub pledge: Term,
    /// The term of the last recorded history that its WAL follows.
    pub history: Term,
    /// It may commit without a lease (law 4). False on the disk before the leaving of such a state is reported.
    pub unleased: bool,
    /// The promotion it made last, if it follows nobody since.
    #[serde(default)]
    pub promotion: Option<Promotion>,
    /// The rule in force here.
    #[serde(default)]
    pub rule: Rule,
    /// Whom it follows.
    #[serde(default)]
    pub upstream: Option<Upstream>,
    /// The epoch of the monitor that it obeys. 0: not known.
    #[serde(default, with = "as_text")]
    pub monitor_epoch: u64,
}

impl State {
    /// A node that was registered and has done nothing yet.
    pub fn enrolled(identity: &Identity, formation: &str, group: i32) -> State {
        State {
            system_identifier: 0,
            node: identity.node,
            formation: formation.to_owned(),
            group,
            identity: identity.token.clone(),
            role: fsm::state::State::Init,
            goal: fsm::state::State::Init,
            term: Term(0),
            pledge: Term(0),
            history: Term(0),
            unleased: false,
            promotion: None,
            rule: Rule::default(),
            upstream: None,
            monitor_epoch: 0,
        }
    }

    /// The other nodes of its group that it has kept in mind.
    pub fn named(&self) -> BTreeSet<NodeId> {
        let upstream = self.upstream.iter().map(|upstream| upstream.peer.node);
        self.rule.members.iter().copied().chain(upstream).filter(|node| *node != self.node).collect()
    }

    /// What stands on the disk.
    pub fn read(dir: &StateDir) -> Result<State> {
        let path = dir.state();
        let content = slots::read(&path, KIND)?;
        let text = std::str::from_utf8(&content).map_err(|_| Error::damaged(&path, "it is not text"))?;
        toml::from_str(text).map_err(|error| Error::damaged(&path, error.message()))
    }

    /// The same, if it belongs to the PGDATA with that identity.
    pub fn read_of(dir: &StateDir, identity: &Identity) -> Result<State> {
        let state = State::read(dir)?;
        if state.node == identity.node && state.identity == identity.token {
            return Ok(state);
        }
        let why = if state.node == identity.node {
            format!("both say node {}, with different identity tokens", state.node)
        } else {
            format!("it belongs to node {}, and PGDATA to node {}", state.node, identity.node)
        };
        Err(Error::foreign(&dir.state(), why))
    }

    /// Makes it durable. Needs no disk space once the file is there.
    pub fn write(&self, dir: &StateDir) -> Result<()> {
        let path = dir.state();
        slots::write(&path, KIND, durable::to_toml(&path, self)?.as_bytes())
    }
}

/// Numbers that use all 64 bits, which TOML's integers do not.
mod as_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(number)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fsm::message::Peer;
    use fsm::units::{Lsn, RuleNumber, Timeline};

    fn full(identity: &Identity) -> State {
        let peer = Peer { node: NodeId(2), host: "127.0.0.2".to_owned(), port: 5432 };
        State {
            system_identifier: u64::MAX,
            role: fsm::state::State::Secondary,
            pledge: Term(9),
            promotion: Some(Promotion { term: Term(8), timeline: Timeline(4), switch_lsn: Lsn(u64::MAX) }),
            rule: Rule::over(RuleNumber(5), (1..40).map(NodeId).collect::<BTreeSet<_>>(), 2),
            upstream: Some(Upstream {
                peer,
                term: Term(9),
                timeline: Timeline(5),
                fork: None,
                rewindable: false,
                reach: Some(Lsn(1)),
            }),
            monitor_epoch: u64::MAX - 1,
            ..State::enrolled(identity, "default", 0)
        }
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let directory = tempfile::tempdir().unwrap();
        let dir = StateDir::at(directory.path());
        let identity = Identity::of(NodeId(1));
        for state in [State::enrolled(&identity, "default", 0), full(&identity)] {
            state.write(&dir).unwrap();
            assert_eq!(State::read_of(&dir, &identity).unwrap(), state);
        }
    }

    #[test]
    fn the_state_of_another_node_is_foreign() {
        let directory = tempfile::tempdir().unwrap();
        let dir = StateDir::at(directory.path());
        let identity = Identity::of(NodeId(1));
        assert!(matches!(State::read_of(&dir, &identity), Err(Error::Missing { .. })));
        for other in [Identity::of(NodeId(1)), Identity { node: NodeId(2), ..identity.clone() }] {
            State::enrolled(&other, "default", 0).write(&dir).unwrap();
            assert!(matches!(State::read_of(&dir, &identity), Err(Error::Foreign { .. })));
        }
        std::fs::write(dir.state(), "").unwrap();
        assert!(matches!(State::read_of(&dir, &identity), Err(Error::Damaged { .. })));
    }

    /// A pledge must be possible on a full disk: a write neither makes a file nor takes a block.
    #[test]
    fn a_write_after_the_first_needs_no_space() {
        let directory = tempfile::tempdir().unwrap();
        let dir = StateDir::at(directory.path());
        let identity = Identity::of(NodeId(1));
        let mut state = full(&identity);
        state.write(&dir).unwrap();
        let before = std::fs::metadata(dir.state()).unwrap();
        for pledge in 10..20 {
            state.pledge = Term(pledge);
            state.write(&dir).unwrap();
        }
        let after = std::fs::metadata(dir.state()).unwrap();
        use std::os::unix::fs::MetadataExt;
        assert_eq!((before.ino(), before.blocks(), before.len()), (after.ino(), after.blocks(), after.len()));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
