//! How far a monitor's decisions about a group have come, beside its PGDATA: one that was put back from a copy knows less (law 6).
//!
//! Written after a decision has been committed and before anybody is told of it. So a crash leaves it behind the tables at worst, and
//! only tables of an earlier time are behind it.
use crate::dir::StateDir;
use crate::error::{Error, Result};
use crate::slots;

const KIND: slots::Kind = *b"MGRP";

/// A point in a group's life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Revision {
    /// The group's epoch.
    pub epoch: u64,
    /// The number of changes that its rows have seen.
    pub number: u64,
}

impl Revision {
    /// What was noted for the group with that serial number. Nothing when there is no note, or none that can be read.
    pub fn read(dir: &StateDir, group: i32) -> Result<Option<Revision>> {
        let content = match slots::read(&dir.group(group), KIND) {
            Ok(content) => content,
            Err(Error::Missing { .. } | Error::Damaged { .. }) => return Ok(None),
            Err(other) => return Err(other),
        };
        let number = |bytes: &[u8]| bytes.try_into().map(u64::from_le_bytes).ok();
        let parts =
            content.split_at_checked(8).and_then(|(epoch, rest)| Some((number(epoch)?, number(rest)?)));
        Ok(parts.map(|(epoch, number)| Revision { epoch, number }))
    }

    /// Notes it, durably. Needs no disk space once there is a note.
    pub fn write(self, dir: &StateDir, group: i32) -> Result<()> {
        let content = [self.epoch.to_le_bytes(), self.number.to_le_bytes()].concat();
        slots::write(&dir.group(group), KIND, &content)
    }

    /// Whether tables of this revision are older than what `noted` says, or of another monitor.
    pub fn is_behind(self, noted: Option<Revision>) -> bool {
        // Rows that nothing was decided about yet: their group has just been made.
        self.number > 0 && noted.is_none_or(|noted| noted.epoch != self.epoch || noted.number > self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tables_of_an_earlier_time_are_behind() {
        let directory = tempfile::tempdir().unwrap();
        let dir = StateDir::at(directory.path());
        let at = |number| Revision { epoch: u64::MAX, number };
        assert_eq!(Revision::read(&dir, 1).unwrap(), None);
        assert!(at(7).is_behind(None) && !at(0).is_behind(None));
        for number in [0, 6, 7] {
            at(number).write(&dir, 1).unwrap();
            assert_eq!(Revision::read(&dir, 1).unwrap(), Some(at(number)));
            assert!(!at(7).is_behind(Some(at(number))), "a crash after the commit");
        }
        assert_eq!(Revision::read(&dir, 2).unwrap(), None);
        assert!(at(6).is_behind(Some(at(7))));
        assert!(at(8).is_behind(Some(Revision { epoch: 1, number: 7 })), "another monitor's");
        std::fs::write(dir.group(1), "rubbish").unwrap();
        assert_eq!(Revision::read(&dir, 1).unwrap(), None);
    }
}
