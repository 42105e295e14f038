//! Brings a data directory to the disk in one go. PostgreSQL's programs do it file by file, and each of a thousand
//! files, changed or not, makes the disk empty its cache.
use crate::error::{Error, Result};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// Between two times that a work under way is brought to the disk.
const PACE: Duration = Duration::from_millis(100);

/// Linux tells of lost writes when a whole file system is synced, since 5.8. Before, only the file-by-file way is sure.
pub fn at_once() -> bool {
    fs::read_to_string("/proc/sys/kernel/osrelease").is_ok_and(|release| tells_of_losses(&release))
}

fn tells_of_losses(release: &str) -> bool {
    let mut numbers =
        release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse::<u32>().unwrap_or(0));
    (numbers.next(), numbers.next()) >= (Some(5), Some(8))
}

/// What tells PostgreSQL's programs to leave it to us.
pub fn left_to_us() -> Option<&'static str> {
    at_once().then_some("--no-sync")
}

/// The file systems that a program of PostgreSQL is going to write to. Opened before it writes: from then on each tells of every
/// loss, also of one that somebody else was told of first (`errseq_t` of Linux). None where the program brings its files there itself.
pub struct Disks {
    places: Vec<(PathBuf, File)>,
}

impl Disks {
    /// Those below a directory that is there.
    pub fn below(directory: &Path) -> Result<Disks> {
        if !at_once() {
            return Ok(Disks { places: Vec::new() });
        }
        let mut places = vec![directory.to_path_buf(), directory.join("pg_wal")];
        let tablespaces = directory.join("pg_tblspc");
        match fs::read_dir(&tablespaces) {
            Ok(entries) => places.extend(entries.flatten().map(|entry| entry.path())),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
            Err(cause) => return Err(Error::io("read", &tablespaces)(cause)),
        }
        let mut disks = Disks { places: Vec::new() };
        for place in places {
            match File::open(&place) {
                Ok(file) => disks.places.push((place, file)),
                Err(cause) if cause.kind() == io::ErrorKind::NotFound && place != directory => {}
                Err(cause) => return Err(Error::io("open", &place)(cause)),
            }
        }
        Ok(disks)
    }

    /// Does a work that writes much, and brings to the disk meanwhile what it has written so far: less is left to wait for afterwards.
    pub fn beside<T>(&self, work: impl FnOnce() -> T) -> Result<T> {
        let (done, ends) = mpsc::channel::<()>();
        std::thread::scope(|scope| {
            let writer = scope.spawn(move || {
                while ends.recv_timeout(PACE) == Err(RecvTimeoutError::Timeout) {
                    self.sync()?;
                }
                Ok(())
            });
            let result = work();
            drop(done);
            writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)).map(|()| result)
        })
    }

    /// All that was written to `directory` since is on the disk, also where its WAL and its tablespaces have come to be.
    pub fn finish(self, directory: &Path) -> Result<()> {
        self.sync()?;
        Disks::below(directory)?.sync()
    }

    fn sync(&self) -> Result<()> {
        for (place, file) in &self.places {
            nix::unistd::syncfs(file).map_err(|cause| Error::io("write", place)(cause.into()))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_directory_is_no_disk_and_one_without_wal_is() {
        let directory = tempfile::tempdir().unwrap();
        assert!(Disks::below(&directory.path().join("missing")).is_err() || !at_once());
        let disks = Disks::below(directory.path()).unwrap();
        let word = disks.beside(|| fs::create_dir(directory.path().join("pg_wal")).map(|()| "done")).unwrap();
        assert_eq!(word.unwrap(), "done");
        disks.finish(directory.path()).unwrap();
    }

    #[test]
    fn old_kernels_keep_losses_to_themselves() {
        for new in ["5.8.0", "5.10.0-28-amd64", "6.1.0\n", "10.0"] {
            assert!(tells_of_losses(new), "{new}");
        }
        for old in ["5.4.0-150-generic", "4.18.0-553.el8_10.x86_64", "nonsense", ""] {
            assert!(!tells_of_losses(old), "{old}");
        }
    }
}
