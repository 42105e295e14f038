//! A small record that survives torn writes, damage and a full disk.
//!
//! Two slots of 4 KiB, written in turn: a write that is cut off hits the older record and leaves the newer one.
//! The file has its full size from the beginning, so no later write needs space.
//!
//! A slot: magic (4 bytes), kind (4), sequence (8), length (4), CRC-32 of all that and of the content (4), content.
use crate::durable;
use crate::error::{Error, Result};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

const SLOT: usize = 4096;
const HEADER: usize = 24;
const MAGIC: &[u8; 4] = b"PGAF";

/// The most that a record can hold.
pub const CAPACITY: usize = SLOT - HEADER;

/// Four bytes that tell one kind of record from another, so that a file copied over another one is noticed.
pub type Kind = [u8; 4];

struct Slot {
    sequence: u64,
    content: Vec<u8>,
}

/// What a slot can look like.
enum Look {
    Whole(Slot),
    Foreign(String),
    Broken,
}

/// The newest whole record.
pub fn read(path: &Path, kind: Kind) -> Result<Vec<u8>> {
    newest(path, kind).map(|(_, slot)| slot.content)
}

/// Replaces the older record with `content`, on the disk when this returns.
pub fn write(path: &Path, kind: Kind, content: &[u8]) -> Result<()> {
    if content.len() > CAPACITY {
        let why = format!("{} bytes do not fit into a slot of {CAPACITY}", content.len());
        return Err(Error::damaged(path, why));
    }
    let (place, newest) = match newest(path, kind) {
        Ok(found) => found,
        // Nothing there that is worth keeping.
        Err(Error::Missing { .. } | Error::Damaged { .. }) => return create(path, kind, content),
        Err(other) => return Err(other),
    };
    let slot = encode(kind, newest.sequence + 1, content);
    let put = || {
        let file = OpenOptions::new().write(true).open(path)?;
        file.write_all_at(&slot, ((1 - place) * SLOT) as u64)?;
        file.sync_data()
    };
    put().map_err(Error::io("write", path))
}

fn create(path: &Path, kind: Kind, content: &[u8]) -> Result<()> {
    let mut both = encode(kind, 1, content);
    both.resize(2 * SLOT, 0);
    durable::write(path, &both)
}

/// The newest whole slot and its place, 0 or 1.
fn newest(path: &Path, kind: Kind) -> Result<(usize, Slot)> {
    let bytes = fs::read(path).map_err(Error::io("read", path))?;
    if bytes.len() != 2 * SLOT {
        return Err(Error::damaged(path, format!("it has {} bytes, not {}", bytes.len(), 2 * SLOT)));
    }
    let (mut best, mut foreign) = (None::<(usize, Slot)>, None);
    for (place, bytes) in bytes.chunks_exact(SLOT).enumerate() {
        match decode(kind, bytes) {
            Look::Whole(slot) if best.as_ref().is_none_or(|(_, other)| other.sequence < slot.sequence) => {
                best = Some((place, slot));
            }
            Look::Foreign(why) => foreign = Some(why),
            Look::Whole(_) | Look::Broken => {}
        }
    }
    match (best, foreign) {
        (Some(found), _) => Ok(found),
        (None, Some(why)) => Err(Error::foreign(path, why)),
        (None, None) => Err(Error::damaged(path, "neither of its two slots has the right checksum")),
    }
}

fn encode(kind: Kind, sequence: u64, content: &[u8]) -> Vec<u8> {
    let mut slot = Vec::with_capacity(SLOT);
    slot.extend_from_slice(MAGIC);
    slot.extend_from_slice(&kind);
    slot.extend_from_slice(&sequence.to_le_bytes());
    slot.extend_from_slice(&(content.len() as u32).to_le_bytes());
    let checksum = checksum(&slot, content);
    slot.extend_from_slice(&checksum.to_le_bytes());
    slot.extend_from_slice(content);
    slot.resize(SLOT, 0);
    slot
}

fn decode(kind: Kind, slot: &[u8]) -> Look {
    let number = |from: usize, to: usize| {
        slot[from..to].iter().rev().fold(0_u64, |number, byte| (number << 8) | u64::from(*byte))
    };
    let length = number(16, 20) as usize;
    if &slot[..4] != MAGIC || length > CAPACITY {
        return Look::Broken;
    }
    let content = &slot[HEADER..HEADER + length];
    if number(20, 24) != u64::from(checksum(&slot[..20], content)) {
        return Look::Broken;
    }
    if slot[4..8] != kind {
        let found = String::from_utf8_lossy(&slot[4..8]);
        return Look::Foreign(format!("it holds \"{found}\", not \"{}\"", String::from_utf8_lossy(&kind)));
    }
    Look::Whole(Slot { sequence: number(8, 16), content: content.to_vec() })
}

fn checksum(head: &[u8], content: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(head);
    hasher.update(content);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: Kind = *b"TEST";

    struct Fixture {
        _directory: tempfile::TempDir,
        path: std::path::PathBuf,
    }

    fn fixture() -> Fixture {
        let directory = tempfile::tempdir().unwrap();
        Fixture { path: directory.path().join("record"), _directory: directory }
    }

    #[test]
    fn the_newest_record_is_read() {
        let f = fixture();
        assert!(matches!(read(&f.path, KIND), Err(Error::Missing { .. })));
        for n in 0..20 {
            write(&f.path, KIND, format!("record {n}").as_bytes()).unwrap();
            assert_eq!(read(&f.path, KIND).unwrap(), format!("record {n}").as_bytes());
            assert_eq!(fs::metadata(&f.path).unwrap().len(), 2 * SLOT as u64);
        }
    }

    /// Wherever a write is cut off, the record before it is still there, and the next write works.
    #[test]
    fn a_torn_write_leaves_the_record_before_it() {
        let f = fixture();
        write(&f.path, KIND, b"first").unwrap();
        write(&f.path, KIND, b"second").unwrap();
        let before = fs::read(&f.path).unwrap();
        write(&f.path, KIND, b"third").unwrap();
        let after = fs::read(&f.path).unwrap();
        for cut in 0..64 {
            let mut torn = after.clone();
            torn[cut..SLOT].copy_from_slice(&before[cut..SLOT]);
            fs::write(&f.path, &torn).unwrap();
            let found = read(&f.path, KIND).unwrap();
            let whole = torn[..SLOT] == after[..SLOT];
            assert_eq!(found, if whole { b"third".as_slice() } else { b"second" }, "cut after {cut} bytes");
            write(&f.path, KIND, b"next").unwrap();
            assert_eq!(read(&f.path, KIND).unwrap(), b"next");
        }
    }

    #[test]
    fn one_flipped_bit_anywhere_is_noticed() {
        let f = fixture();
        write(&f.path, KIND, b"only").unwrap();
        let good = fs::read(&f.path).unwrap();
        for bit in 0..(HEADER + 4) * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            fs::write(&f.path, &bad).unwrap();
            assert!(matches!(read(&f.path, KIND), Err(Error::Damaged { .. })), "bit {bit}");
        }
        for length in [0, 1, SLOT, 2 * SLOT - 1, 2 * SLOT + 1] {
            fs::write(&f.path, vec![0; length]).unwrap();
            assert!(matches!(read(&f.path, KIND), Err(Error::Damaged { .. })), "{length} bytes");
        }
    }

    #[test]
    fn another_kind_is_foreign_and_not_overwritten() {
        let f = fixture();
        write(&f.path, *b"ELSE", b"other").unwrap();
        assert!(matches!(read(&f.path, KIND), Err(Error::Foreign { .. })));
        assert!(matches!(write(&f.path, KIND, b"mine"), Err(Error::Foreign { .. })));
        assert_eq!(read(&f.path, *b"ELSE").unwrap(), b"other");
    }

    #[test]
    fn what_does_not_fit_is_refused_and_changes_nothing() {
        let f = fixture();
        write(&f.path, KIND, &[7; CAPACITY]).unwrap();
        assert!(write(&f.path, KIND, &[8; CAPACITY + 1]).is_err());
        assert_eq!(read(&f.path, KIND).unwrap(), [7; CAPACITY]);
    }
}
