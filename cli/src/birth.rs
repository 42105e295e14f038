//! The database and the role that a first node was asked to have. Kept until they are made: a command that was interrupted
//! makes them when it is repeated, whether they are asked for again or not.
use crate::datadir;
use crate::error::{Error, Kind, Result};
use crate::sql::{self, Failure};
use node_files::{StateDir, durable};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use tracing::info;

/// What to make.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// The database.
    pub database: String,
    /// The role, owner of that database.
    pub role: Option<String>,
}

impl Wish {
    /// There is something that a new cluster does not have.
    pub fn is_something(&self) -> bool {
        self.role.is_some() || !matches!(self.database.as_str(), "" | "postgres")
    }

    /// What an earlier command was asked for and did not come to.
    pub fn kept(dir: &StateDir) -> Result<Option<Wish>> {
        let path = path(dir);
        match std::fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text).map(Some).map_err(|cause| {
                Error::state(format!("\"{}\" cannot be read: {cause}", path.display()))
                    .hint("remove it, and repeat with --dbname and --username")
            }),
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(Error::io("read", &path)(cause)),
        }
    }

    /// Keeps it, when there is something to make.
    pub fn keep(&self, dir: &StateDir) -> Result<()> {
        if !self.is_something() {
            return forget(dir);
        }
        let text = serde_json::json!(self).to_string();
        Ok(durable::write(&path(dir), text.as_bytes())?)
    }

    /// Makes what is missing, on a node that writes.
    pub fn fulfil(&self, pgdata: &Path, dir: &StateDir) -> Result<()> {
        if self.is_something() {
            self.make(pgdata)?;
        }
        forget(dir)
    }

    fn make(&self, pgdata: &Path) -> Result<()> {
        let refused = |failure: Failure| {
            Error::new(Kind::Sql, format!("the new server says: {failure}"))
                .hint("the node itself is made: repeat the command with another --dbname or --username")
        };
        let session = datadir::connect(&datadir::require_running(pgdata)?, "postgres").map_err(refused)?;
        // Somebody else may be making the same at this moment, and that is as good.
        let there_already = |failure: Failure| match failure.sqlstate() {
            Some("42710" | "42P04" | "23505") => Ok(()),
            _ => Err(refused(failure)),
        };
        if let Some(role) = &self.role {
            let asked = "SELECT 1 FROM pg_roles WHERE rolname = $1";
            if session.query(asked, &[role]).map_err(refused)?.is_empty() {
                let made = session.run(&format!("CREATE ROLE {} LOGIN", sql::name(role)));
                made.or_else(there_already)?;
                info!("made the role {role}; it has no password yet: psql, then \\password {role}");
            }
        }
        let asked = "SELECT 1 FROM pg_database WHERE datname = $1";
        if session.query(asked, &[&self.database]).map_err(refused)?.is_empty() {
            let owner = self.role.as_ref().map(|role| format!(" OWNER {}", sql::name(role)));
            let statement =
                format!("CREATE DATABASE {}{}", sql::name(&self.database), owner.unwrap_or_default());
            session.run(&statement).or_else(there_already)?;
        }
        Ok(())
    }
}

fn forget(dir: &StateDir) -> Result<()> {
    durable::remove(&path(dir))?;
    Ok(())
}

fn path(dir: &StateDir) -> PathBuf {
    dir.path().join("birth")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_kept_until_it_is_made() {
        let directory = tempfile::tempdir().unwrap();
        let dir = StateDir::at(directory.path());
        let wish = Wish { database: "app".into(), role: Some("app".into()) };
        wish.keep(&dir).unwrap();
        assert_eq!(Wish::kept(&dir).unwrap(), Some(wish));
        forget(&dir).unwrap();
        assert_eq!(Wish::kept(&dir).unwrap(), None);
    }

    #[test]
    fn what_every_cluster_has_is_nothing_to_make() {
        let directory = tempfile::tempdir().unwrap();
        let dir = StateDir::at(directory.path());
        Wish { database: "postgres".into(), role: None }.keep(&dir).unwrap();
        assert_eq!(Wish::kept(&dir).unwrap(), None);
    }
}
