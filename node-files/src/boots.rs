//! How often this node was started. The monitor keeps the highest: a lower one is an old disk image (law 5).
//!
//! The counter stands in PGDATA and beside it. Either of them may be put back from an image alone, so the lower one counts.
use crate::dir::StateDir;
use crate::error::{Error, Result};
use crate::slots;
use std::path::{Path, PathBuf};

const KIND: slots::Kind = *b"BOOT";

/// The name of the counter inside PGDATA.
pub const IN_PGDATA: &str = "pg_autoctl.boots";

fn places(dir: &StateDir, pgdata: &Path) -> [PathBuf; 2] {
    [dir.boots(), pgdata.join(IN_PGDATA)]
}

/// The number of the present boot, or of the last one when the server is down. 0: there was none.
///
/// A counter that is missing or damaged starts again: no writer token can name the number, and the monitor meets a
/// number that it has seen, so the node comes back as an old image would: as a standby.
pub fn read(dir: &StateDir, pgdata: &Path) -> Result<u64> {
    let [beside, inside] = places(dir, pgdata);
    Ok(count_in(&beside)?.min(count_in(&inside)?))
}

fn count_in(path: &Path) -> Result<u64> {
    let content = match slots::read(path, KIND) {
        Ok(content) => content,
        Err(Error::Missing { .. } | Error::Damaged { .. }) => return Ok(0),
        Err(other) => return Err(other),
    };
    Ok(<[u8; 8]>::try_from(content.as_slice()).map_or(0, u64::from_le_bytes))
}

fn write(path: &Path, boot: u64) -> Result<()> {
    slots::write(path, KIND, &boot.to_le_bytes())
}

/// Counts one boot, durably. Its number.
pub fn advance(dir: &StateDir, pgdata: &Path) -> Result<u64> {
    let boot = read(dir, pgdata)? + 1;
    // A crash in between leaves the lower one, with a number that no start has told anybody.
    places(dir, pgdata).iter().try_for_each(|path| write(path, boot))?;
    Ok(boot)
}

/// Lets the next boot be later than number `last`: another copy of this node has come that far.
pub fn count_on(dir: &StateDir, pgdata: &Path, last: u64) -> Result<()> {
    let late = |path: &&PathBuf| count_in(path).map_or(true, |count| count < last);
    places(dir, pgdata).iter().filter(late).try_for_each(|path| write(path, last))
}

/// PGDATA is made this node's: its counter goes on from the one beside it.
pub fn begin(dir: &StateDir, pgdata: &Path) -> Result<()> {
    let [beside, inside] = places(dir, pgdata);
    write(&inside, count_in(&beside)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts() {
        let (beside, pgdata) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (dir, pgdata) = (StateDir::at(beside.path()), pgdata.path());
        assert_eq!(read(&dir, pgdata).unwrap(), 0);
        for n in 1..=5 {
            assert_eq!(advance(&dir, pgdata).unwrap(), n);
            assert_eq!(read(&dir, pgdata).unwrap(), n);
        }
        count_on(&dir, pgdata, 9).unwrap();
        count_on(&dir, pgdata, 3).unwrap();
        assert_eq!(advance(&dir, pgdata).unwrap(), 10);
        std::fs::write(dir.boots(), "rubbish").unwrap();
        assert_eq!(advance(&dir, pgdata).unwrap(), 1);
    }

    #[test]
    fn an_image_of_either_place_is_told() {
        let (beside, pgdata) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (dir, pgdata) = (StateDir::at(beside.path()), pgdata.path());
        for path in places(&dir, pgdata) {
            count_on(&dir, pgdata, 20).unwrap();
            let image = std::fs::read(&path).unwrap();
            advance(&dir, pgdata).unwrap();
            advance(&dir, pgdata).unwrap();
            std::fs::write(&path, image).unwrap();
            assert!(advance(&dir, pgdata).unwrap() <= 22, "{}", path.display());
            std::fs::remove_file(&path).unwrap();
            assert_eq!(advance(&dir, pgdata).unwrap(), 1, "{}", path.display());
        }
    }

    /// A directory is made a node's where an earlier node has left its counter, or brings its source's.
    #[test]
    fn a_new_pgdata_goes_on_from_the_counter_beside_it() {
        let (beside, pgdata) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (dir, pgdata) = (StateDir::at(beside.path()), pgdata.path());
        begin(&dir, pgdata).unwrap();
        assert_eq!(advance(&dir, pgdata).unwrap(), 1);
        write(&dir.boots(), 7).unwrap();
        write(&pgdata.join(IN_PGDATA), 100).unwrap();
        begin(&dir, pgdata).unwrap();
        assert_eq!(advance(&dir, pgdata).unwrap(), 8);
    }
}
