//! What can go wrong, for whoever called: a SQLSTATE, one sentence with the cause, one with what to do next.
use crate::pg;
use fsm::monitor::operate::Refusal;
use fsm::units::NodeId;
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::PgLogLevel;

/// Everything that a function of ours refuses or fails with.
#[derive(Debug)]
pub enum Error {
    /// The library came too late for shared memory.
    NotPreloaded,
    /// The extension was made in another database than the monitor's.
    WrongDatabase { here: String, monitor: String },
    /// Decisions need to see what others committed.
    Isolation,
    /// A decision cannot be left half committed.
    Prepared,
    /// The report is not what [`fsm::message::Report`] says.
    BadReport(String),
    /// No such node.
    UnknownNode(NodeId),
    /// No such formation.
    UnknownFormation(String),
    /// No such group, by its serial number.
    UnknownGroup(i32),
    /// No group of that number in the formation.
    NoGroup { formation: String, number: i32 },
    /// No node of that name in the formation.
    NoNode { formation: String, name: String },
    /// No such state.
    UnknownState(String),
    /// An argument that must be given.
    Null(&'static str),
    /// An argument that makes no sense.
    BadArgument { message: String, hint: &'static str },
    /// A later connection speaks for this node.
    SessionOver(NodeId),
    /// The node belongs to another cluster than its group.
    OtherCluster { node: String, theirs: i64, ours: i64 },
    /// Name or address is taken.
    Taken { message: String, hint: &'static str },
    /// The requested first state cannot be granted.
    CannotStartAs { requested: String, granted: &'static str },
    /// The formation has nodes that what was asked for leaves no place to.
    FormationInUse { message: String, hint: &'static str },
    /// The formation is one without secondaries.
    NoSecondaries(String),
    /// The group cannot take a node now.
    CannotRegister(Refusal),
    /// The group is not in a state for it.
    Refused { what: &'static str, why: Refusal },
    /// A forced promotion, without the word that what may be lost is given up.
    MayLose(String),
    /// These nodes do not hold the new password yet.
    WithoutPassword(Vec<String>),
    /// The board has no room.
    BoardFull(usize),
    /// The rules do not come to rest.
    Restless { group: i32, rules: Vec<&'static str> },
    /// What is kept beside the data directory cannot be read or written.
    Beside(String),
    /// What is stored or was called is not as this library expects it.
    Internal(String),
}

impl From<pgrx::spi::Error> for Error {
    fn from(error: pgrx::spi::Error) -> Error {
        Error::Internal(format!("a query on the monitor's tables failed: {error}"))
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Error {
        Error::Internal(format!("a stored value cannot be read: {error}"))
    }
}

const TRY_AGAIN_OR_REINSTALL: &str = "Check that the installed library and the extension's version are the same (ALTER EXTENSION pgautofailover UPDATE).";

impl Error {
    fn code(&self) -> PgSqlErrorCode {
        match self {
            Error::NotPreloaded | Error::WrongDatabase { .. } | Error::Isolation | Error::SessionOver(_) => {
                PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE
            }
            Error::CannotStartAs { .. }
            | Error::FormationInUse { .. }
            | Error::NoSecondaries(_)
            | Error::Refused { .. }
            | Error::WithoutPassword(_)
            | Error::Prepared => PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            Error::MayLose(_) => PgSqlErrorCode::ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST,
            Error::BadReport(_) | Error::UnknownState(_) | Error::BadArgument { .. } => {
                PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE
            }
            Error::Null(_) => PgSqlErrorCode::ERRCODE_NULL_VALUE_NOT_ALLOWED,
            Error::UnknownNode(_) | Error::UnknownGroup(_) | Error::NoGroup { .. } | Error::NoNode { .. } => {
                PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT
            }
            Error::UnknownFormation(_) => PgSqlErrorCode::ERRCODE_INVALID_OBJECT_DEFINITION,
            Error::OtherCluster { .. } => PgSqlErrorCode::ERRCODE_EXCLUSION_VIOLATION,
            Error::Taken { .. } => PgSqlErrorCode::ERRCODE_UNIQUE_VIOLATION,
            Error::CannotRegister(_) => PgSqlErrorCode::ERRCODE_OBJECT_IN_USE,
            Error::BoardFull(_) => PgSqlErrorCode::ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
            Error::Beside(_) => PgSqlErrorCode::ERRCODE_IO_ERROR,
            Error::Restless { .. } | Error::Internal(_) => PgSqlErrorCode::ERRCODE_INTERNAL_ERROR,
        }
    }

    /// One sentence with the cause.
    pub fn message(&self) -> String {
        match self {
            Error::NotPreloaded => "pgautofailover is not in shared_preload_libraries of this server".into(),
            Error::WrongDatabase { here, monitor } => {
                format!("this is database \"{here}\", and the monitor's database is \"{monitor}\"")
            }
            Error::Isolation => "the monitor decides in READ COMMITTED transactions only".into(),
            Error::Prepared => "a transaction in which the monitor has decided cannot be prepared".into(),
            Error::BadReport(why) => format!("the report cannot be read: {why}"),
            Error::UnknownNode(id) => format!("no node with id {id} is registered here"),
            Error::UnknownFormation(name) => format!("no formation is called \"{name}\""),
            Error::UnknownGroup(serial) => format!("no group has the serial number {serial}"),
            Error::NoGroup { formation, number } => {
                format!("formation \"{formation}\" has no group {number}")
            }
            Error::NoNode { formation, name } => {
                format!("formation \"{formation}\" has no node called \"{name}\"")
            }
            Error::UnknownState(state) => format!("no state is called \"{state}\""),
            Error::Null(name) => format!("{name} must not be NULL"),
            Error::BadArgument { message, .. }
            | Error::FormationInUse { message, .. }
            | Error::Taken { message, .. } => message.clone(),
            Error::SessionOver(id) => {
                format!("node {id} has opened a newer connection to the monitor; this one is over")
            }
            Error::OtherCluster { node, theirs, ours } => {
                format!("node {node} has system identifier {theirs}, and its group has {ours}")
            }
            Error::CannotStartAs { requested, granted } => {
                format!("a new node of this group starts as {granted}, not as {requested}")
            }
            Error::NoSecondaries(formation) => {
                format!("formation \"{formation}\" has secondaries disabled, and this group has its node")
            }
            Error::CannotRegister(why) => format!("a node cannot be registered now: {why}"),
            Error::Refused { what, why } => format!("{what} is not possible now: {why}"),
            Error::MayLose(gap) => format!("a forced promotion may lose commits: {gap}"),
            Error::WithoutPassword(nodes) => {
                format!("the new password has not reached every node; without it: {}", nodes.join(", "))
            }
            Error::BoardFull(size) => {
                format!("the monitor's board has room for {size} nodes, and all of it is taken")
            }
            Error::Restless { group, rules } => {
                format!(
                    "the rules for group {group} did not come to rest; the last ones were {}",
                    rules.join(", ")
                )
            }
            Error::Beside(why) => {
                format!("the monitor cannot note its decision beside its data directory: {why}")
            }
            Error::Internal(what) => what.clone(),
        }
    }

    fn hint(&self) -> &'static str {
        match self {
            Error::NotPreloaded => {
                "Set shared_preload_libraries = 'pgautofailover' in the monitor's postgresql.conf and restart it."
            }
            Error::WrongDatabase { .. } => {
                "Connect to the monitor's database, or set pgautofailover.database and restart the monitor."
            }
            Error::Isolation => {
                "Call it in a transaction with ISOLATION LEVEL READ COMMITTED, or outside of one."
            }
            Error::Prepared => "End it with COMMIT or ROLLBACK.",
            Error::BadReport(_) => "Install the same version of pg_autoctl on the node as on the monitor.",
            Error::UnknownNode(_) | Error::NoNode { .. } => {
                "pg_autoctl show state lists the nodes; a node that was dropped must be created again."
            }
            Error::UnknownFormation(_) => {
                "Create it with pgautofailover.create_formation, or use formation 'default'."
            }
            Error::UnknownGroup(_) | Error::NoGroup { .. } => {
                "A group exists once its first node is registered; pg_autoctl show state lists them."
            }
            Error::UnknownState(_) => "The names are those of the type pgautofailover.replication_state.",
            Error::Null(_) => "Give a value; \\df pgautofailover.* in psql shows what each function takes.",
            Error::BadArgument { hint, .. }
            | Error::FormationInUse { hint, .. }
            | Error::Taken { hint, .. } => hint,
            Error::SessionOver(_) => "Make sure that only one server runs with this node's identity.",
            Error::OtherCluster { .. } => {
                "Nodes of one group are copies of one cluster: create the node again with an empty data directory."
            }
            Error::CannotStartAs { .. } => "Register it with initial_group_role 'init', or in another group.",
            Error::NoSecondaries(_) => {
                "Leave the group out, so that a new one is made, or call pgautofailover.enable_secondary first."
            }
            Error::CannotRegister(why) | Error::Refused { why, .. } => why.hint(),
            Error::MayLose(_) => {
                "Start the servers that are away: nothing is lost then. When they are gone for good, accept the loss: accept_data_loss => true, or --accept-data-loss."
            }
            Error::WithoutPassword(_) => {
                "Start these nodes, or drop them. With force they are locked out until pg_autoctl create postgres is repeated on them with the new password as PGPASSWORD."
            }
            Error::BoardFull(_) => {
                "Drop nodes that are gone with pg_autoctl drop node, or use a second monitor."
            }
            Error::Restless { .. } => {
                "This is a defect of the monitor: please report it with the last events."
            }
            Error::Beside(_) => {
                "Make room there, or give the directory to the account that runs the monitor's server; nothing was changed."
            }
            Error::Internal(_) => TRY_AGAIN_OR_REINSTALL,
        }
    }

    /// The five characters of its SQLSTATE.
    pub fn sqlstate(&self) -> String {
        pg::sqlstate_text(self.code() as i32)
    }

    /// Raises it as an ERROR of PostgreSQL.
    pub fn raise(self) -> ! {
        ErrorReport::new(self.code(), self.message(), "pgautofailover")
            .set_hint(self.hint())
            .report(PgLogLevel::ERROR);
        unreachable!("an ERROR does not return")
    }
}
