//! How often this node was started. The monitor keeps the highest: a lower one is an old disk image (law 5).
use crate::dir::StateDir;
use crate::error::{Error, Result};
use crate::slots;

const KIND: slots::Kind = *b"BOOT";

/// The number of the present boot, or of the last one when the server is down.
pub fn read(dir: &StateDir) -> Result<u64> {
    let path = dir.boots();
    let content = slots::read(&path, KIND)?;
    match <[u8; 8]>::try_from(content.as_slice()) {
        Ok(bytes) => Ok(u64::from_le_bytes(bytes)),
        Err(_) => Err(Error::damaged(&path, "it holds no number")),
    }
}

/// Counts one boot, durably. Its number.
///
/// A counter that is missing or damaged starts again: no writer token can name the number, and the monitor meets a
/// number that it has seen, so the node comes back as an old image would: as a standby.
pub fn advance(dir: &StateDir) -> Result<u64> {
    let before = match read(dir) {
        Ok(count) => count,
        Err(Error::Missing { .. } | Error::Damaged { .. }) => 0,
        Err(other) => return Err(other),
    };
    let boot = before + 1;
    slots::write(&dir.boots(), KIND, &boot.to_le_bytes())?;
    Ok(boot)
}

/// Lets the next boot be later than number `last`: another copy of this node has come that far.
pub fn count_on(dir: &StateDir, last: u64) -> Result<()> {
    if read(dir)? < last {
        slots::write(&dir.boots(), KIND, &last.to_le_bytes())?;
    }
    Ok(())
}

/// A random number for one boot, never 0, that SQL can hold.
pub fn fresh_life() -> u64 {
    (rand::random::<u64>() >> 1) | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts() {
        let directory = tempfile::tempdir().unwrap();
        let dir = StateDir::at(directory.path());
        assert!(matches!(read(&dir), Err(Error::Missing { .. })));
        for n in 1..=5 {
            assert_eq!(advance(&dir).unwrap(), n);
            assert_eq!(read(&dir).unwrap(), n);
        }
        count_on(&dir, 9).unwrap();
        count_on(&dir, 3).unwrap();
        assert_eq!(advance(&dir).unwrap(), 10);
        std::fs::write(dir.boots(), "rubbish").unwrap();
        assert!(matches!(read(&dir), Err(Error::Damaged { .. })));
        assert_eq!(advance(&dir).unwrap(), 1);
    }
}
