//! How much there is and how much is free: nothing is thrown away for want of space (law 7).
use super::work::{Interrupted, Work};
use node_files::StateDir;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// What must stay free, whatever is copied.
const RESERVE: u64 = 64 << 20;

/// Waits until `needed` bytes and some more are free where `place` is.
pub fn wait_for(work: &Work, place: &Path, needed: u64) -> Result<(), Interrupted> {
    work.until(Duration::from_secs(2), || is_enough(&work.state_dir, place, needed))
}

/// Whether `needed` bytes and some more are free where `place` is; else what to do, in a sentence.
pub fn is_enough(state_dir: &StateDir, place: &Path, needed: u64) -> Result<(), String> {
    let free = free(place)?;
    if free >= needed.saturating_add(RESERVE) {
        return Ok(());
    }
    Err(format!(
        "needs {} MB free at \"{}\" and finds {} MB; free some, or remove what \"{}\" keeps when you are sure",
        (needed + RESERVE) >> 20,
        place.display(),
        free >> 20,
        state_dir.aside().display()
    ))
}

fn free(place: &Path) -> Result<u64, String> {
    let found = nix::sys::statvfs::statvfs(place)
        .map_err(|errno| format!("could not see the free space of \"{}\": {errno}", place.display()))?;
    Ok(found.blocks_available().saturating_mul(found.fragment_size()))
}

/// The bytes that a tree takes on the disk. What vanishes meanwhile counts nothing.
pub fn size_of(path: &Path) -> u64 {
    let Ok(about) = std::fs::symlink_metadata(path) else { return 0 };
    let own = about.blocks() * 512;
    if !about.is_dir() {
        return own;
    }
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    own + entries.map(|entry| size_of(&entry.path())).sum::<u64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said_with_what_to_do() {
        let place = tempfile::tempdir().unwrap();
        let state_dir = StateDir::at(place.path());
        assert_eq!(is_enough(&state_dir, place.path(), 0), Ok(()));
        let said = is_enough(&state_dir, place.path(), u64::MAX - RESERVE).unwrap_err();
        assert!(said.contains("MB free at") && said.contains("aside"), "{said}");
        assert!(is_enough(&state_dir, &place.path().join("missing"), 0).unwrap_err().contains("free space"));
    }
}
