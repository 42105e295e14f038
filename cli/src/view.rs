//! What there is to show, as plain data. Field names are those of the SQL functions, so `--json` gives their rows.
use crate::error::Kind;
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
    /// 0 to 100. Not known to a node alone.
    pub candidate_priority: Option<i32>,
    /// May be waited for by commits. Not known to a node alone.
    pub replication_quorum: Option<bool>,
    /// Timeline.
    pub reported_tli: i32,
    /// End of WAL.
    pub reported_lsn: String,
    /// -1 unknown, 0 bad, 1 good.
    pub health: i32,
    /// Its cluster name. Not known to a node alone.
    pub nodecluster: Option<String>,
    /// What it waits for, or what went wrong there last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// What its group waits for. Nothing when that is settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_waits_for: Option<String>,
    /// The event or the command that ends this wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_wait_ends_by: Option<String>,
    /// How much longer than usual the time-outs of its group are, which has failed over by them again and again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_patience: Option<String>,
    /// Nothing commits there now. Known to the node alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fenced: Option<bool>,
    /// Who says all this, when it is not the monitor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
}

/// Who tells of a node, other than the monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The node itself.
    Local,
}

impl NodeState {
    /// The node itself says it, not the monitor.
    pub fn is_local(&self) -> bool {
        self.source == Some(Source::Local)
    }
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

/// One row of `pgautofailover.timing()`. A phase that was not reached is absent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failover {
    /// Formation.
    pub formationid: String,
    /// Group.
    pub groupid: i32,
    /// The term that it opened.
    pub term: i64,
    /// The rule that opened it.
    pub cause: String,
    /// The label of who wrote before.
    pub old_primary: Option<String>,
    /// The label of who was elected.
    pub new_primary: Option<String>,
    /// The first sign.
    pub suspected: String,
    /// The term was opened.
    pub convicted: String,
    /// The winner was named.
    pub pledged: Option<String>,
    /// It had promoted and was recorded.
    pub promoted: Option<String>,
    /// The first commit that it acknowledged.
    pub first_write: Option<String>,
    /// Milliseconds from the sign to the term.
    pub convicted_ms: f64,
    /// Milliseconds from there to the winner.
    pub pledged_ms: Option<f64>,
    /// Milliseconds from there to its record.
    pub promoted_ms: Option<f64>,
    /// Milliseconds from there to its first commit.
    pub first_write_ms: Option<f64>,
    /// Milliseconds from the sign to that commit.
    pub total_ms: Option<f64>,
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
    /// When failovers and switchovers reached which phase, oldest first.
    Failovers(Vec<Failover>),
    /// Connection strings.
    Uris(Vec<Uri>),
    /// One setting that was asked for by name.
    Value(Setting),
    /// All settings.
    Settings(Vec<Setting>),
    /// Any other table.
    Rows(Rows),
    /// The outcome of an action: named values, as one line of text and as one JSON object.
    Outcome {
        /// For people.
        line: String,
        /// For programs.
        values: serde_json::Map<String, serde_json::Value>,
        /// The exit status, when what there is to tell is not good.
        means: Option<Kind>,
    },
    /// What a check has found, in the order in which it looked.
    Findings(Vec<Finding>),
    /// It has been shown already.
    Nothing,
}

/// Something that is wrong, or will be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// What it is about.
    pub about: &'static str,
    /// What is wrong.
    pub cause: String,
    /// What to do about it.
    pub next: String,
}

/// A table without a type of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    /// The names of its columns.
    pub header: Vec<&'static str>,
    /// Its rows.
    pub rows: Vec<Vec<String>>,
    /// The same for programs.
    pub json: serde_json::Value,
}

impl Rows {
    /// A table with these columns.
    pub fn new<const N: usize>(header: [&'static str; N]) -> Rows {
        Rows { header: header.to_vec(), rows: Vec::new(), json: serde_json::Value::Null }
    }
    /// One more row.
    pub fn push<const N: usize>(&mut self, row: [String; N]) {
        self.rows.push(row.to_vec());
    }
    /// What programs get.
    #[must_use]
    pub fn with_json(self, json: serde_json::Value) -> Rows {
        Rows { json, ..self }
    }
}

impl View {
    /// An outcome with named values.
    pub fn outcome<const N: usize>(line: impl Into<String>, values: [(&str, serde_json::Value); N]) -> View {
        let values = values.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        View::Outcome { line: line.into(), values, means: None }
    }

    /// The same outcome, with the exit status that it deserves.
    #[must_use]
    pub fn that_means(self, kind: Option<Kind>) -> View {
        if let View::Outcome { line, values, means: _ } = self {
            return View::Outcome { line, values, means: kind };
        }
        self
    }

    /// The exit status that scripts are to see although there was something to show.
    pub fn means(&self) -> Option<Kind> {
        match self {
            View::Outcome { means, .. } => *means,
            View::Findings(findings) if !findings.is_empty() => Some(Kind::Config),
            View::Findings(_)
            | View::States(_)
            | View::Events(_)
            | View::Failovers(_)
            | View::Uris(_)
            | View::Value(_)
            | View::Settings(_)
            | View::Rows(_)
            | View::Nothing => None,
        }
    }

    /// With the lines that the operator is to write into pg_hba.conf, when he has said that he does.
    #[must_use]
    pub fn with_pg_hba(self, lines: Option<Vec<String>>) -> View {
        match (self, lines) {
            (View::Outcome { line, mut values, means }, Some(lines)) => {
                let line = format!("{line}\n# pg_hba.conf has to begin with:\n{}", lines.join("\n"));
                values.insert("pg_hba".to_owned(), lines.into());
                View::Outcome { line, values, means }
            }
            (other, _) => other,
        }
    }
}
