//! Other people's replication slots: pg_rewind and pg_basebackup leave a directory without any.
//!
//! A physical slot is no more than a name and the place from which WAL is kept, so it is put back as it was: its client finds it, and WAL
//! is kept for it from here on. What was removed meanwhile it is told of when it asks (`requested WAL segment … has already been
//! removed`), as with any slot that was left behind. A logical slot is of one database at one point of its history, which is not that of
//! the new directory: it must be made anew, and the log says which.
use super::work::{Interrupted, failed};
use fsm::rule::standby_of;
use node_files::durable;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use tracing::warn;

const DIRECTORY: &str = "pg_replslot";

/// What one of them is, from its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Physical,
    Logical,
    /// For the time of a session, or half made.
    Passing,
}

/// Their files, relative to PGDATA, as far as they can be put back.
pub fn files(pgdata: &Path) -> Result<Vec<PathBuf>, Interrupted> {
    let directory = pgdata.join(DIRECTORY);
    let entries = match fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(failed("read", &directory, &cause)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let name = entry.map_err(|cause| failed("read", &directory, &cause))?.file_name();
        let name = name.to_string_lossy();
        let file = Path::new(DIRECTORY).join(&*name).join("state");
        if standby_of(&name).is_some() || name.ends_with(".tmp") {
            continue;
        }
        match kind_of(&fs::read(pgdata.join(&file)).unwrap_or_default()) {
            Kind::Physical => files.push(file),
            Kind::Logical => warn!(
                "the logical replication slot \"{name}\" is not kept; once this node is the primary again, make it anew with \
                 pg_create_logical_replication_slot, and have its client begin anew"
            ),
            Kind::Passing => {}
        }
    }
    Ok(files)
}

/// Puts back what `kept` holds of them.
pub fn restore(target: &Path, kept: &Path) -> Result<(), Interrupted> {
    for file in files(kept)? {
        let (from, to) = (kept.join(&file), target.join(&file));
        let content = fs::read(&from).map_err(|cause| failed("read", &from, &cause))?;
        let directory =
            target.join(DIRECTORY).join(file.parent().and_then(Path::file_name).unwrap_or_default());
        fs::create_dir_all(&directory).map_err(|cause| failed("create", &directory, &cause))?;
        durable::write(&to, &content)?;
        durable::sync_parent(&directory).map_err(|cause| failed("write", &directory, &cause))?;
    }
    Ok(())
}

/// ReplicationSlotOnDisk, alike in all versions up to here: magic, checksum, version and length in four bytes each; then the name in 64, the database (0: a
/// physical slot) and the persistency (0: it stays) in four each.
fn kind_of(state: &[u8]) -> Kind {
    let number = |at: usize| {
        let bytes = state.get(at..at + 4)?;
        Some(u32::from_ne_bytes(bytes.try_into().ok()?))
    };
    const MAGIC: u32 = 0x0105_1CA1;
    match (number(0), number(80), number(84)) {
        (Some(MAGIC), Some(0), Some(0)) => Kind::Physical,
        (Some(MAGIC), Some(_), Some(0)) => Kind::Logical,
        _ => Kind::Passing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(pgdata: &Path, name: &str, database: u32, persistency: u32) {
        let mut state = vec![0; 200];
        for (at, number) in [(0, 0x0105_1CA1), (80, database), (84, persistency)] {
            state[at..at + 4].copy_from_slice(&u32::to_ne_bytes(number));
        }
        let directory = pgdata.join(DIRECTORY).join(name);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("state"), state).unwrap();
    }

    #[test]
    fn physical_ones_of_others_are_put_back() {
        let (pgdata, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        assert!(files(pgdata.path()).unwrap().is_empty());
        slot(pgdata.path(), "archive", 0, 0);
        slot(pgdata.path(), "subscription", 16384, 0);
        slot(pgdata.path(), "passing", 0, 2);
        slot(pgdata.path(), "pgautofailover_standby_2", 0, 0);
        fs::create_dir(pgdata.path().join(DIRECTORY).join("empty")).unwrap();
        for _ in 0..2 {
            restore(target.path(), pgdata.path()).unwrap();
        }
        let names: Vec<_> = fs::read_dir(target.path().join(DIRECTORY))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(names, ["archive"]);
        let content = |of: &Path| fs::read(of.join("pg_replslot/archive/state")).unwrap();
        assert_eq!(content(target.path()), content(pgdata.path()));
    }
}
