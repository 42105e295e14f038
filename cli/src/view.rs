//! What there is to show, as plain data. Field names are those of the SQL functions, so `--json` gives their rows.
use serde::{Deserialize, Serialize};

/// One row of `pgautofailover.current_state()`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeState {
    /// Its formation. Not in the function's row: the question named it.
    #[serde(default)]
    pub formation: String,
    /// `pgsql`.
    pub formation_kind: String,
    /// Its label.
    pub nodename: String,
    /// Where it listens.
    pub nodehost: String,
    /// Its port.
    pub nodeport: i32,
    /// Its group.
    pub group_id: i32,
    /// Its id.
    pub node_id: i64,
    /// The state it has reached.
    pub current_group_state: String,
    /// The state it was assigned.
    pub assigned_group_state: String,
    /// 0 to 100.
    pub candidate_priority: i32,
    /// May be waited for by commits.
    pub replication_quorum: bool,
    /// Timeline.
    pub reported_tli: i32,
    /// End of WAL.
    pub reported_lsn: String,
    /// -1 unknown, 0 bad, 1 good.
    pub health: i32,
    /// Its cluster name.
    pub nodecluster: String,
}

impl NodeState {
    /// The reported state, when we know its name.
    pub fn reported(&self) -> Option<fsm::state::State> {
        fsm::state::State::parse(&self.current_group_state)
    }
    /// It has reached its goal.
    pub fn settled(&self) -> bool {
        self.current_group_state == self.assigned_group_state
    }
    /// Where it stays until something happens: it writes, or may be promoted, or is in maintenance.
    pub fn at_rest(&self) -> bool {
        let stays =
            matches!(self.reported(), Some(fsm::state::State::Secondary | fsm::state::State::Maintenance));
        self.writes() || self.settled() && stays
    }
    /// It takes writes and is meant to.
    pub fn writes(&self) -> bool {
        self.settled() && self.reported().is_some_and(fsm::state::State::writes)
    }
}

/// One row of `pgautofailover.last_events()`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its number.
    pub eventid: i64,
    /// When.
    pub eventtime: String,
    /// Formation.
    pub formationid: String,
    /// Node, when it is about one.
    pub nodeid: Option<i64>,
    /// Group.
    pub groupid: Option<i32>,
    /// The node's label.
    pub nodename: Option<String>,
    /// Reported state then.
    pub reportedstate: Option<String>,
    /// Assigned state then.
    pub goalstate: Option<String>,
    /// The rule that fired.
    #[serde(default)]
    pub rule: Option<String>,
    /// What happened.
    pub description: Option<String>,
    /// The other columns, which `--json` shows and a table has no room for.
    #[serde(flatten)]
    pub more: serde_json::Map<String, serde_json::Value>,
}

/// One line of `show uri`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Uri {
    /// `monitor` or `formation`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The formation's name, or `monitor`.
    pub name: String,
    /// What to give to a client.
    pub uri: String,
}

/// One setting.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Setting {
    /// Its name.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// What a command has to show.
#[derive(Clone, Debug, PartialEq)]
pub enum View {
    /// Nodes and their states.
    States(Vec<NodeState>),
    /// What happened, oldest first.
    Events(Vec<Event>),
    /// Connection strings.
    Uris(Vec<Uri>),
    /// One setting that was asked for by name.
    Value(Setting),
    /// All settings.
    Settings(Vec<Setting>),
    /// The outcome of an action: named values, as one line of text and as one JSON object.
    Outcome {
        /// For people.
        line: String,
        /// For programs.
        values: serde_json::Map<String, serde_json::Value>,
    },
}

impl View {
    /// An outcome with named values.
    pub fn outcome<const N: usize>(line: impl Into<String>, values: [(&str, serde_json::Value); N]) -> View {
        let values = values.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        View::Outcome { line: line.into(), values }
    }

    /// With the lines that the operator is to write into pg_hba.conf, when he has said that he does.
    #[must_use]
    pub fn with_pg_hba(self, lines: Option<Vec<String>>) -> View {
        match (self, lines) {
            (View::Outcome { line, mut values }, Some(lines)) => {
                let line = format!("{line}\n# pg_hba.conf has to begin with:\n{}", lines.join("\n"));
                values.insert("pg_hba".to_owned(), lines.into());
                View::Outcome { line, values }
            }
            (other, _) => other,
        }
    }
}
