//! Files that are either as they were or as they should be, whatever happens in between.
use crate::error::{Error, Result, present};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Puts `content` at `path`: a temporary file beside it, fsync, rename, fsync of the directory. Mode 0600.
pub fn write(path: &Path, content: &[u8]) -> Result<()> {
    write_as(path, content, 0o600)
}

/// The same for a file that is not ours alone, such as postgresql.conf: its mode stays, and a link to it stays a link.
pub fn rewrite(path: &Path, content: &[u8]) -> Result<()> {
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let mode = fs::metadata(&real).map_or(0o600, |about| about.permissions().mode() & 0o777);
    write_as(&real, content, mode)
}

fn write_as(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    let temporary = beside(path);
    let put = || -> io::Result<()> {
        // A leftover of an interrupted write may stand there, perhaps with another mode.
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(content)?;
        // Whatever the umask has left of it.
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        sync_parent(path)
    };
    put().map_err(Error::io("write", path))
}

/// Removes the file, durably. Whether it was there.
pub fn remove(path: &Path) -> Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => sync_parent(path).map(|()| true).map_err(Error::io("remove", path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::io("remove", path)(error)),
    }
}

/// Creates an empty file, durably, if there is none (standby.signal).
pub fn touch(path: &Path) -> Result<()> {
    let create = || -> io::Result<()> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        file.sync_all()?;
        sync_parent(path)
    };
    create().map_err(Error::io("create", path))
}

/// Makes the names in the directory of `path` durable.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

/// The value in the TOML file at `path`.
pub(crate) fn read_toml<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = fs::read_to_string(path).map_err(Error::io("read", path))?;
    // The parser's full message shows the offending line, which may hold a password.
    toml::from_str(&text).map_err(|error| Error::damaged(path, error.message()))
}

/// What a one-shot file says. It is gone from the disk when this returns, readable or not. Nothing when there was none.
pub(crate) fn take_toml<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let said = present(read_toml(path));
    remove(path)?;
    said
}

/// Writes `value` as TOML, durably.
pub(crate) fn write_toml<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    write(path, to_toml(path, value)?.as_bytes())
}

pub(crate) fn to_toml<T: Serialize>(path: &Path, value: &T) -> Result<String> {
    toml::to_string(value)
        .map_err(|error| Error::damaged(path, format!("its content cannot be written ({error})")))
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    // Not a name that somebody else would give to a draft of his own.
    name.push(".pg_autoctl.new");
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_only_its_owner_reads_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(beside(&path), "left by a crash").unwrap();
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        assert!(remove(&path).unwrap());
        assert!(!remove(&path).unwrap());
    }
    #[test]
    fn a_file_of_others_keeps_its_mode_and_its_link() {
        let directory = tempfile::tempdir().unwrap();
        let (real, link) = (directory.path().join("real"), directory.path().join("link"));
        fs::write(&real, "one").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        rewrite(&link, b"two").unwrap();
        assert_eq!(fs::read(&real).unwrap(), b"two");
        assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }
}
