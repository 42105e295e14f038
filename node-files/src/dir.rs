//! Where the files of a node are.
use crate::error::{Error, Result};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The directory beside PGDATA, readable by its owner only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateDir(PathBuf);

impl StateDir {
    /// The default: `<PGDATA>.autoctl`. `pgdata` is absolute: "." has no name to add to.
    pub fn beside(pgdata: &Path) -> StateDir {
        // Through the components, so that a slash at the end does not put it inside.
        let mut path = pgdata.components().as_path().as_os_str().to_os_string();
        path.push(".autoctl");
        StateDir(PathBuf::from(path))
    }

    /// The directory that a setting or an argument names.
    pub fn at(path: impl Into<PathBuf>) -> StateDir {
        StateDir(path.into())
    }

    /// Makes the directory when it is not there, and takes group and others out of its mode.
    pub fn create(&self) -> Result<()> {
        match DirBuilder::new().mode(0o700).create(&self.0) {
            Ok(()) => crate::durable::sync_parent(&self.0).map_err(Error::io("create", &self.0)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                fs::set_permissions(&self.0, fs::Permissions::from_mode(0o700))
                    .map_err(Error::io("restrict", &self.0))
            }
            Err(error) => Err(Error::io("create", &self.0)(error)),
        }
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.0
    }
    /// [`crate::State`], in two slots.
    pub fn state(&self) -> PathBuf {
        self.0.join("state")
    }
    /// The boot counter, in two slots.
    pub fn boots(&self) -> PathBuf {
        self.0.join("boots")
    }
    /// [`crate::WriterToken`].
    pub fn writer(&self) -> PathBuf {
        self.0.join("writer")
    }
    /// [`crate::StartAlone`].
    pub fn alone(&self) -> PathBuf {
        self.0.join("alone")
    }
    /// [`crate::Restart`].
    pub fn restart(&self) -> PathBuf {
        self.0.join("restart")
    }
    /// [`crate::Phase`].
    pub fn phase(&self) -> PathBuf {
        self.0.join("phase")
    }
    /// [`crate::Secrets`].
    pub fn secrets(&self) -> PathBuf {
        self.0.join("secrets")
    }
    /// The secrets that libpq needs, in its format.
    pub fn passfile(&self) -> PathBuf {
        self.0.join("passfile")
    }
    /// On a monitor, [`crate::revision::Revision`] of the group with that serial number, in two slots.
    pub fn group(&self, serial: i32) -> PathBuf {
        self.0.join(format!("group.{serial}"))
    }
    /// Held by the helper: one per directory.
    pub fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }
    /// What a rewind or a new copy put aside. Never deleted by us.
    pub fn aside(&self) -> PathBuf {
        self.0.join("aside")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stands_beside_pgdata() {
        for pgdata in ["/srv/pg/data", "/srv/pg/data/", "/srv/pg//data/."] {
            assert_eq!(StateDir::beside(Path::new(pgdata)).state(), Path::new("/srv/pg/data.autoctl/state"));
        }
    }

    #[test]
    fn only_its_owner_enters() {
        let parent = tempfile::tempdir().unwrap();
        let dir = StateDir::beside(&parent.path().join("data"));
        fs::create_dir(dir.path()).unwrap();
        dir.create().unwrap();
        dir.create().unwrap();
        assert_eq!(fs::metadata(dir.path()).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
