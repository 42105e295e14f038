//! What can go wrong, in words for the person at the terminal.
//!
//! How to write one: the message is one sentence that names the cause and the thing (directory, address, key) it is
//! about, starts with a small letter and has no full stop. The hint is the next step: a command, when there is one.
//! No password, no Rust type, no errno without its path. What another program said is quoted after a colon.
use std::fmt;
use std::path::Path;

/// A result of this program.
pub type Result<T> = std::result::Result<T, Error>;

/// Whose fault it is. Scripts see it as the exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The command was called wrongly.
    Arguments,
    /// The machine, the installation or a setting does not allow it.
    Config,
    /// The directory or the group is not in a state that allows it.
    State,
    /// A server refused a statement.
    Sql,
    /// A server could not be started or stopped.
    PgCtl,
    /// The monitor cannot be reached, or is no monitor.
    Monitor,
    /// Ours: the operating system failed us, or a mistake in this program.
    Internal,
}

impl Kind {
    /// The exit status, as documented.
    pub const fn code(self) -> u8 {
        match self {
            Kind::Arguments => 1,
            Kind::Config => 2,
            Kind::State => 3,
            Kind::Sql => 4,
            Kind::PgCtl => 5,
            Kind::Monitor => 6,
            Kind::Internal => 12,
        }
    }
}

/// One clear sentence, and what to do next.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// Whose fault.
    pub kind: Kind,
    /// The sentence.
    pub message: String,
    /// The next step.
    pub hint: Option<String>,
}

impl Error {
    /// An error of that kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Error {
        Error { kind, message: message.into(), hint: None }
    }
    /// The command was called wrongly.
    pub fn arguments(message: impl Into<String>) -> Error {
        Error::new(Kind::Arguments, message)
    }
    /// The machine or a setting does not allow it.
    pub fn config(message: impl Into<String>) -> Error {
        Error::new(Kind::Config, message)
    }
    /// The directory or the group does not allow it.
    pub fn state(message: impl Into<String>) -> Error {
        Error::new(Kind::State, message)
    }
    /// The monitor cannot be reached, or is none.
    pub fn monitor(message: impl Into<String>) -> Error {
        Error::new(Kind::Monitor, message)
    }
    /// The operating system refused something about `path`.
    pub fn io(doing: &str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        let start = format!("could not {doing} \"{}\"", path.display());
        move |cause| Error::new(Kind::Internal, format!("{start}: {cause}"))
    }
    /// The same error with a next step.
    #[must_use]
    pub fn hint(self, hint: impl fmt::Display) -> Error {
        Error { hint: Some(hint.to_string()), ..self }
    }
}

/// A connection string that was typed, or stands in a setting, cannot be used.
impl From<connection::Error> for Error {
    fn from(cause: connection::Error) -> Error {
        Error::arguments(cause.why).hint(cause.hint)
    }
}

impl From<node_files::Error> for Error {
    fn from(cause: node_files::Error) -> Error {
        let kind = match &cause {
            node_files::Error::Io { .. } => Kind::Internal,
            node_files::Error::Missing { .. }
            | node_files::Error::Damaged { .. }
            | node_files::Error::Foreign { .. } => Kind::State,
        };
        Error::new(kind, cause.to_string())
    }
}
