//! The files of PGDATA that are the node's own, and other people's replication slots: kept aside while everything else is replaced.
use super::foreign_slots;
use super::work::{Interrupted, failed};
use crate::conf;
use node_files::{StateDir, Step, boots, durable};
use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

/// pg_rewind and pg_basebackup bring the source's own.
const FILES: [&str; 6] = [
    "postgresql.auto.conf",
    "postgresql.conf",
    "pg_hba.conf",
    "pg_ident.conf",
    "pg_autoctl.identity",
    boots::IN_PGDATA,
];

/// A certificate and its key are the node's own too; where they stand in PGDATA. Each setting, with what it is when nothing sets it.
const CERTIFICATES: [(&str, &str); 4] = [
    ("ssl_cert_file", "server.crt"),
    ("ssl_key_file", "server.key"),
    ("ssl_ca_file", ""),
    ("ssl_crl_file", ""),
];

/// Keeps them, unless that was done before an interruption of this very copy: then PGDATA may hold the source's by now.
pub fn save(pgdata: &Path, state_dir: &StateDir, step: Step) -> Result<(), Interrupted> {
    let kept = directory(state_dir);
    match step {
        // What stands there is of an earlier copy, and the configuration may have changed since.
        Step::Asked => forget(state_dir)?,
        Step::Copying if kept.exists() => return Ok(()),
        Step::Copying => {
            return Err(Interrupted::Failed(format!(
                "\"{}\" is missing, which keeps this node's configuration while PGDATA is copied; bring it back, or drop the \
                 node and make it anew in another directory (pg_autoctl drop node, pg_autoctl create postgres)",
                kept.display()
            )));
        }
    }
    let begun = state_dir.path().join("saved.new");
    remove_tree(&begun)?;
    fs::create_dir(&begun).map_err(|cause| failed("create", &begun, &cause))?;
    for name in own_files(pgdata, state_dir).into_iter().chain(foreign_slots::files(pgdata)?) {
        if let Some(content) = read(&pgdata.join(&name))? {
            write(&begun.join(&name), &content)?;
        }
    }
    fs::rename(&begun, &kept).map_err(|cause| failed("create", &kept, &cause))?;
    durable::sync_parent(&kept).map_err(|cause| failed("save", &kept, &cause))
}

/// Puts them back, in `target`, which is `pgdata` or is to replace it.
pub fn restore(target: &Path, pgdata: &Path, state_dir: &StateDir) -> Result<(), Interrupted> {
    for name in own_files(pgdata, state_dir) {
        let path = target.join(&name);
        match read(&directory(state_dir).join(&name))? {
            Some(content) => write(&path, &content)?,
            None => drop(durable::remove(&path)?),
        }
    }
    foreign_slots::restore(target, &directory(state_dir))
}

/// The text of one of them: as it was saved, else as it is.
pub fn text(pgdata: &Path, state_dir: &StateDir, name: &str) -> Option<String> {
    let kept = fs::read_to_string(directory(state_dir).join(name));
    kept.or_else(|_| fs::read_to_string(pgdata.join(name))).ok()
}

/// The copy is whole and holds them.
pub fn forget(state_dir: &StateDir) -> Result<(), Interrupted> {
    remove_tree(&directory(state_dir))
}

/// Removes a directory of ours with all that is in it, if it is there.
fn remove_tree(path: &Path) -> Result<(), Interrupted> {
    match fs::remove_dir_all(path) {
        Ok(()) => Ok(()),
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(()),
        Err(cause) => Err(failed("remove", path, &cause)),
    }
}

/// Relative to PGDATA. By what was saved of the configuration, once it was: PGDATA may hold the source's.
fn own_files(pgdata: &Path, state_dir: &StateDir) -> Vec<PathBuf> {
    let configured = |setting| {
        let value = |file| conf::value_of(&text(pgdata, state_dir, file)?, setting);
        value("postgresql.auto.conf").or_else(|| value("postgresql.conf"))
    };
    let certificates = CERTIFICATES.into_iter().filter_map(|(setting, default)| {
        let path = configured(setting).map_or_else(|| PathBuf::from(default), PathBuf::from);
        let inside = path.strip_prefix(pgdata).unwrap_or(&path).to_path_buf();
        let plain = inside.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        (plain && inside.file_name().is_some()).then_some(inside)
    });
    FILES.into_iter().map(PathBuf::from).chain(certificates).collect()
}

fn write(path: &Path, content: &[u8]) -> Result<(), Interrupted> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|cause| failed("create", parent, &cause))?;
    }
    Ok(durable::write(path, content)?)
}

fn directory(state_dir: &StateDir) -> PathBuf {
    state_dir.path().join("saved")
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, Interrupted> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(failed("read", path, &cause)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interruption_does_not_lose_them() {
        let parent = tempfile::tempdir().unwrap();
        let pgdata = parent.path().join("data");
        let state_dir = StateDir::beside(&pgdata);
        fs::create_dir(&pgdata).unwrap();
        state_dir.create().unwrap();
        fs::write(pgdata.join("postgresql.conf"), "ours").unwrap();
        save(&pgdata, &state_dir, Step::Asked).unwrap();
        // The rewind brought the source's files, and was interrupted; it begins again.
        fs::write(pgdata.join("postgresql.conf"), "theirs").unwrap();
        fs::write(pgdata.join("pg_autoctl.identity"), "theirs").unwrap();
        save(&pgdata, &state_dir, Step::Copying).unwrap();
        assert_eq!(text(&pgdata, &state_dir, "postgresql.conf").as_deref(), Some("ours"));
        restore(&pgdata, &pgdata, &state_dir).unwrap();
        assert_eq!(fs::read_to_string(pgdata.join("postgresql.conf")).unwrap(), "ours");
        assert!(!pgdata.join("pg_autoctl.identity").exists());
        forget(&state_dir).unwrap();
        assert!(!directory(&state_dir).exists());
        assert!(save(&pgdata, &state_dir, Step::Copying).is_err(), "PGDATA holds the source's");
    }

    #[test]
    fn certificates_in_pgdata_are_not_the_source_s() {
        let parent = tempfile::tempdir().unwrap();
        let (pgdata, incoming) = (parent.path().join("data"), parent.path().join("incoming"));
        let state_dir = StateDir::beside(&pgdata);
        for directory in [&pgdata, &incoming, &pgdata.join("tls")] {
            fs::create_dir(directory).unwrap();
        }
        state_dir.create().unwrap();
        let conf =
            format!("ssl_cert_file = '{}/tls/own.crt'\nssl_ca_file = '/etc/ca.pem'\n", pgdata.display());
        fs::write(pgdata.join("postgresql.conf"), conf).unwrap();
        fs::write(pgdata.join("tls/own.crt"), "ours").unwrap();
        fs::write(pgdata.join("server.key"), "ours").unwrap();
        save(&pgdata, &state_dir, Step::Asked).unwrap();
        fs::write(pgdata.join("postgresql.conf"), "").unwrap();
        fs::write(incoming.join("server.key"), "theirs").unwrap();
        restore(&incoming, &pgdata, &state_dir).unwrap();
        assert_eq!(fs::read_to_string(incoming.join("tls/own.crt")).unwrap(), "ours");
        assert_eq!(fs::read_to_string(incoming.join("server.key")).unwrap(), "ours");
    }

    #[test]
    fn an_earlier_copy_does_not_bring_its_configuration_back() {
        let parent = tempfile::tempdir().unwrap();
        let pgdata = parent.path().join("data");
        let state_dir = StateDir::beside(&pgdata);
        fs::create_dir(&pgdata).unwrap();
        state_dir.create().unwrap();
        fs::write(pgdata.join("postgresql.conf"), "old").unwrap();
        save(&pgdata, &state_dir, Step::Asked).unwrap();
        // A crash between the removal of the marker and that of what was saved; then a change, and another copy.
        fs::write(pgdata.join("postgresql.conf"), "new").unwrap();
        save(&pgdata, &state_dir, Step::Asked).unwrap();
        assert_eq!(text(&pgdata, &state_dir, "postgresql.conf").as_deref(), Some("new"));
    }
}
