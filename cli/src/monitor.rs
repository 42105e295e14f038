//! Typed calls of the monitor's SQL functions. All the SQL of this program that a monitor sees is here and below.
mod adopt;
mod operate;
mod passwords;
mod settings;

pub use adopt::Adoption;
pub use operate::Formation;
pub use passwords::Holder;

use crate::datadir::{self, Running};
use crate::error::{Error, Kind, Result};
use crate::sql::{Failure, Session};
use crate::view::{Event, Failover, NodeState};
use connection::{Address, Ssl};
use fsm::message::{Assignment, Peer, Report};
use fsm::state::State;
use fsm::units::NodeId;
use serde::de::DeserializeOwned;
use std::path::PathBuf;
use std::time::Duration;
use tokio_postgres::types::{FromSql, ToSql};

/// An open session with a monitor.
pub struct Monitor {
    session: Session,
    place: String,
}

/// What to register.
#[derive(Clone, Debug)]
pub struct Registration<'a> {
    /// The formation.
    pub formation: &'a str,
    /// The group; -1: the monitor chooses.
    pub group: i32,
    /// Where the others reach the node.
    pub host: &'a str,
    /// Its port.
    pub port: u16,
    /// Its label; empty: the monitor makes one.
    pub name: &'a str,
    /// The formation's database.
    pub database: &'a str,
    /// Of an existing cluster; 0: there is none yet.
    pub system_identifier: u64,
    /// 0 to 100.
    pub candidate_priority: i32,
    /// Commits may wait for it.
    pub replication_quorum: bool,
    /// The first goal that it must get, or none at all; `Init`: the monitor's choice.
    pub initial: State,
}

/// The monitor's answer to a registration.
#[derive(Clone, Debug)]
pub enum Registered {
    /// The node is known under this id.
    As {
        /// Its id.
        node: NodeId,
        /// Its group.
        group: i32,
        /// Its first goal.
        goal: State,
        /// Its label.
        name: String,
    },
    /// Not now; ask again. The reason.
    NotYet(String),
    /// Its cluster is not the group's: their system identifiers differ.
    OtherCluster,
}

impl Monitor {
    /// Opens a session over the network.
    pub fn open(address: &Address, password: Option<&str>) -> Result<Monitor> {
        let place = address.place();
        let session = Session::open(&address.target(password))
            .map_err(|failure| not_opened(&failure, address, password))?;
        Monitor { session, place }.checked()
    }

    /// Opens a session with the first of these passwords that the monitor accepts, for one may not be in force yet; none: without.
    pub fn open_with(address: &Address, passwords: &[String]) -> Result<Monitor> {
        let mut newest = None;
        for password in passwords {
            match Session::open(&address.target(Some(password))) {
                Err(failure) if failure.sqlstate() == Some("28P01") => newest.get_or_insert(failure),
                Err(failure) => return Err(not_opened(&failure, address, Some(password))),
                Ok(session) => return Monitor { session, place: address.place() }.checked(),
            };
        }
        match newest {
            Some(failure) => Err(not_opened(&failure, address, passwords.first().map(String::as_str))),
            None => Monitor::open(address, None),
        }
    }

    /// Opens a session with the monitor that runs here.
    pub fn local(running: &Running) -> Result<Monitor> {
        let session =
            datadir::connect(running, connection::address::MONITOR_DATABASE).map_err(|failure| {
                Error::monitor(format!("the monitor in this directory does not answer: {failure}"))
            })?;
        Monitor { session, place: "this machine".to_owned() }.checked()
    }

    /// A server that is no monitor says so in words that help.
    fn checked(self) -> Result<Monitor> {
        let asked = self.session.query("SELECT 1 FROM pg_extension WHERE extname = 'pgautofailover'", &[]);
        if asked.map_err(|failure| self.error(&failure))?.is_empty() {
            return Err(Error::monitor(format!("the server at {} is no monitor", self.place))
                .hint("it has no extension pgautofailover: make a monitor with pg_autoctl create monitor"));
        }
        Ok(self)
    }

    /// Registers a node, or finds the one that is registered with the same host and port.
    pub fn register(&self, node: &Registration<'_>) -> Result<Registered> {
        let system_identifier = node.system_identifier.cast_signed();
        let answer = self.session.query(
            "SELECT assigned_node_id, assigned_group_id, assigned_group_state::text, assigned_node_name::text \
             FROM pgautofailover.register_node(formation_id => $1, node_host => $2, node_port => $3, \
             dbname => $4::text::name, node_name => $5, sysidentifier => $6, desired_group_id => $7, \
             candidate_priority => $8, replication_quorum => $9, \
             initial_group_role => $10::text::pgautofailover.replication_state)",
            &[
                &node.formation,
                &node.host,
                &i32::from(node.port),
                &node.database,
                &node.name,
                &system_identifier,
                &node.group,
                &node.candidate_priority,
                &node.replication_quorum,
                &node.initial.as_str(),
            ],
        );
        let rows = match answer {
            Err(failure) if failure.sqlstate() == Some("55006") => {
                return Ok(Registered::NotYet(failure.to_string()));
            }
            Err(failure) if failure.sqlstate() == Some("23P01") => return Ok(Registered::OtherCluster),
            other => other.map_err(|failure| self.error(&failure))?,
        };
        let row = rows.first().ok_or_else(|| self.nonsense("register_node", "nothing"))?;
        let read = || -> std::result::Result<_, tokio_postgres::Error> {
            Ok((row.try_get(0)?, row.try_get(1)?, row.try_get::<_, String>(2)?, row.try_get(3)?))
        };
        let (node, group, goal, name) = read().map_err(|error| self.error(&error.into()))?;
        let goal = State::parse(&goal).ok_or_else(|| self.nonsense("register_node", &goal))?;
        Ok(Registered::As { node: NodeId(node), group, goal, name })
    }

    /// A keeper's report, and the assignment.
    pub fn report(&self, report: &Report) -> Result<Assignment> {
        let text = serde_json::to_string(report)
            .map_err(|error| self.nonsense("keeper_report", &error.to_string()))?;
        self.json("SELECT pgautofailover.keeper_report($1)::text", &[&text])
    }

    /// The formations of this monitor.
    pub fn formations(&self) -> Result<Vec<String>> {
        self.json(
            "SELECT coalesce(json_agg(formationid ORDER BY formationid), '[]')::text FROM pgautofailover.formation",
            &[],
        )
    }

    /// The nodes of a formation, or of one of its groups.
    pub fn states(&self, formation: &str, group: Option<i32>) -> Result<Vec<NodeState>> {
        let mut states: Vec<NodeState> = match group {
            Some(group) => self.json(
                "SELECT coalesce(json_agg(s ORDER BY s.node_id), '[]')::text FROM pgautofailover.current_state($1::text, $2::int) s",
                &[&formation, &group],
            )?,
            None => self.json(
                "SELECT coalesce(json_agg(s ORDER BY s.group_id, s.node_id), '[]')::text \
                 FROM pgautofailover.current_state($1::text) s",
                &[&formation],
            )?,
        };
        for state in &mut states {
            formation.clone_into(&mut state.formation);
        }
        Ok(states)
    }

    /// The last events, oldest first.
    pub fn events(&self, formation: &str, group: Option<i32>, count: i32) -> Result<Vec<Event>> {
        match group {
            Some(group) => self.json(
                "SELECT coalesce(json_agg(e ORDER BY e.eventid), '[]')::text \
                 FROM pgautofailover.last_events(formation_id => $1, group_id => $2, count => $3) e",
                &[&formation, &group, &count],
            ),
            None => self.json(
                "SELECT coalesce(json_agg(e ORDER BY e.eventid), '[]')::text \
                 FROM pgautofailover.last_events(formation_id => $1, count => $2) e",
                &[&formation, &count],
            ),
        }
    }

    /// The last failovers and switchovers, oldest first.
    pub fn failovers(
        &self,
        formation: Option<&str>,
        group: Option<i32>,
        count: i32,
    ) -> Result<Vec<Failover>> {
        self.json(
            "SELECT coalesce(json_agg(t), '[]')::text \
             FROM pgautofailover.timing(formation_id => $1, group_id => $2, count => $3) t",
            &[&formation, &group, &count],
        )
    }

    /// What clients of the formation connect to; nothing while it has no nodes.
    pub fn formation_uri(&self, formation: &str, ssl: &Ssl) -> Result<Option<String>> {
        let file =
            |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
        let statement =
            "SELECT pgautofailover.formation_uri($1, sslmode => $2, sslrootcert => $3, sslcrl => $4)";
        let (mode, root_cert, crl) = (ssl.mode.as_str(), file(&ssl.root_cert), file(&ssl.crl));
        self.answer(statement, &[&formation, &mode, &root_cert, &crl])
    }

    /// The writable node of a group.
    pub fn primary(&self, formation: &str, group: i32) -> Result<Option<Peer>> {
        let states = self.states(formation, Some(group))?;
        let peer = |node: &NodeState| {
            let port = u16::try_from(node.nodeport).ok()?;
            Some(Peer { node: NodeId(node.node_id), host: node.nodehost.clone(), port })
        };
        Ok(states.iter().find(|node| node.writes()).and_then(peer))
    }

    /// Hears of every change of a state from now on, in [`Monitor::heard`].
    pub fn listen(&self) -> Result<()> {
        self.session.run("LISTEN state").map_err(|failure| self.error(&failure))
    }

    /// Whether something has changed within that time.
    pub fn heard(&self, within: Duration) -> bool {
        self.session.listened(within)
    }

    /// Calls a function for what it does.
    fn call(&self, statement: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<()> {
        self.session.query(statement, parameters).map(|_| ()).map_err(|failure| self.error(&failure))
    }

    /// Calls a function that answers with one value.
    fn answer<T: for<'a> FromSql<'a>>(
        &self,
        statement: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<T> {
        let asked = self.session.one(statement, parameters, |row| row.try_get(0));
        asked.map_err(|failure| self.error(&failure))
    }

    fn json<T: DeserializeOwned>(&self, statement: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<T> {
        let text: String = self.answer(statement, parameters)?;
        serde_json::from_str(&text).map_err(|error| self.nonsense("it", &error.to_string()))
    }

    /// The monitor refused, or went away.
    fn error(&self, failure: &Failure) -> Error {
        let said = match failure {
            Failure::Refused(said) => said,
            Failure::Unreachable(why) | Failure::Client(why) => {
                return Error::monitor(format!("the monitor at {} does not answer: {why}", self.place));
            }
            Failure::Tls(error) => return untrusted(&self.place, error),
        };
        let kind = match said.code().code() {
            // Not in this state; data may be lost; another cluster; no such node or formation; a value out of its range.
            "55000" | "55006" | "2BP01" | "23P01" | "42704" | "42P17" | "22023" | "23505" => Kind::State,
            "42883" => {
                return Error::monitor(format!("the monitor at {} is older than this program", self.place))
                    .hint("install the same version on both: pg_autoctl version");
            }
            _ => Kind::Sql,
        };
        let error = Error::new(kind, said.message());
        match said.hint().or(said.detail()) {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }

    fn nonsense(&self, function: &str, answer: &str) -> Error {
        Error::monitor(format!("the monitor at {} answers {function} with \"{answer}\"", self.place))
            .hint("is its version older than this program's? Compare: pg_autoctl version")
    }
}

fn untrusted(place: &str, error: &connection::Error) -> Error {
    Error::monitor(format!("cannot trust the connection to the monitor at {place}: {}", error.why))
        .hint(&error.hint)
}

/// Why there is no session with the monitor, and what to do.
fn not_opened(failure: &Failure, address: &Address, password: Option<&str>) -> Error {
    let place = address.place();
    let how = format!(
        "give it as PGPASSWORD or in ~/.pgpass for user {}; on the monitor, pg_autoctl show uri --with-password shows it",
        address.user()
    );
    match failure {
        Failure::Unreachable(why) => Error::monitor(format!("cannot reach the monitor at {place}: {why}"))
            .hint("is it running, is the address right, does a firewall stand between?"),
        Failure::Tls(error) => untrusted(&place, error),
        Failure::Client(why) if password.is_none() && why.contains("password") => {
            Error::monitor(format!("the monitor at {place} asks for a password, and none was given"))
                .hint(how)
        }
        Failure::Client(why) => Error::monitor(format!("cannot talk to the monitor at {place}: {why}")),
        Failure::Refused(said) => match said.code().code() {
            "28P01" => {
                Error::monitor(format!("the monitor at {place} refuses the password of {}", address.user()))
                    .hint(how)
            }
            "28000" => {
                Error::monitor(format!("the monitor at {place} does not let us in: {}", said.message()))
                    .hint("add a line for this machine to the monitor's pg_hba.conf and reload it")
            }
            "3D000" => Error::monitor(format!("the server at {place} is no monitor: {}", said.message()))
                .hint("make a monitor with pg_autoctl create monitor, or correct --monitor"),
            _ => Error::monitor(format!("the monitor at {place} refuses the connection: {}", said.message())),
        },
    }
}
