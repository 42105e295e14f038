//! What can be wrong with a file of ours.
use std::io;
use std::path::{Path, PathBuf};

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a file could not be read or written. Missing, damaged and foreign are told apart because they have
/// different ways out: enrol, restore, or find the right directory.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused.
    #[error("could not {doing} \"{}\": {source}", path.display())]
    Io {
        /// A verb.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Its reason.
        source: io::Error,
    },
    /// It is not there.
    #[error("\"{}\" is missing", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// It is there and cannot be understood.
    #[error("\"{}\" is damaged: {why}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// It is whole and belongs to another node, or is another kind of file.
    #[error("\"{}\" is not this node's: {why}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// How that shows.
        why: String,
    },
}

impl Error {
    /// Wraps what the operating system said.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_path_buf();
        move |source| {
            if doing == "read" && source.kind() == io::ErrorKind::NotFound {
                Error::Missing { path }
            } else {
                Error::Io { doing, path, source }
            }
        }
    }

    pub(crate) fn damaged(path: &Path, why: impl Into<String>) -> Error {
        Error::Damaged { path: path.to_path_buf(), why: why.into() }
    }

    pub(crate) fn foreign(path: &Path, why: impl Into<String>) -> Error {
        Error::Foreign { path: path.to_path_buf(), why: why.into() }
    }
}

/// Turns "not there" into `None`.
pub(crate) fn present<T>(read: Result<T>) -> Result<Option<T>> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(Error::Missing { .. }) => Ok(None),
        Err(other) => Err(other),
    }
}
