//! Brings a data directory to the disk in one go. PostgreSQL's programs do it file by file, and each of a thousand
//! files, changed or not, makes the disk empty its cache.
use super::work::{Interrupted, failed};
use std::fs::{self, File};
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

/// Does a work that writes much, and brings to the disk meanwhile what it has written so far: less is left to wait for afterwards.
/// Only [`everything`], which must follow, tells whether all of it got there.
pub fn beside<T>(pgdata: &Path, work: impl FnOnce() -> T) -> T {
    let (done, ends) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            while ends.recv_timeout(PACE) == Err(RecvTimeoutError::Timeout) && everything(pgdata).is_ok() {}
        });
        let result = work();
        drop(done);
        result
    })
}

/// The file systems that hold the data directory, its WAL and its tablespaces.
pub fn everything(pgdata: &Path) -> Result<(), Interrupted> {
    let tablespaces = pgdata.join("pg_tblspc");
    let entries = fs::read_dir(&tablespaces).map_err(|cause| failed("read", &tablespaces, &cause))?;
    let mut places: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    places.extend([pgdata.to_path_buf(), pgdata.join("pg_wal")]);
    for place in places {
        let opened = File::open(&place).map_err(|cause| failed("open", &place, &cause))?;
        nix::unistd::syncfs(&opened).map_err(|cause| failed("write", &place, &cause.into()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

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
