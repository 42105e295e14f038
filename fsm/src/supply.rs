//! Whether a standby's upstream still has the WAL that the standby needs next.
use crate::state::State;
use crate::units::Lsn;

/// What an upstream has, seen from a standby that gets nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Supply {
    /// The upstream had written WAL up to here before it looked for the file.
    pub written: Lsn,
    /// It has a file of WAL with the segment number of the standby's end, on whatever timeline.
    pub has_segment: bool,
}

impl Supply {
    /// Whether the WAL after `end` was removed for good. A segment that nobody has written to yet need not be there.
    pub fn is_gone(&self, end: Lsn) -> bool {
        self.written > end && !self.has_segment
    }
}

/// Whether a standby with that goal may be copied anew without anybody's word. The WAL of a member may be discarded only
/// after the primary has confirmed a rule without it (law 7), and in maintenance the server is its operator's.
pub fn may_be_copied(goal: State) -> bool {
    goal == State::CatchingUp
}

/// The last 16 letters of the name of the file that WAL at `at` is in; those before them name a timeline. The size is in bytes.
pub fn segment_number(at: Lsn, segment_size: u64) -> String {
    let size = segment_size.max(1);
    let number = at.0 / size;
    let per_file_id = (0x1_0000_0000 / size).max(1);
    format!("{:08X}{:08X}", number / per_file_id, number % per_file_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: u64 = 16 << 20;

    #[test]
    fn names_are_those_of_postgresql() {
        assert_eq!(segment_number(Lsn(0x1_0300_0028), SIZE), "0000000100000003");
        assert_eq!(segment_number(Lsn(0xFFFF_FFFF), SIZE), "00000000000000FF");
        assert_eq!(segment_number(Lsn(0x1_0300_0028), 1 << 20), "0000000100000030");
    }

    #[test]
    fn what_was_never_written_is_not_gone() {
        let end = Lsn(0x300_0000);
        let supply = |written, has_segment| Supply { written: Lsn(written), has_segment };
        assert!(supply(0x300_0028, false).is_gone(end));
        assert!(!supply(0x300_0028, true).is_gone(end));
        assert!(!supply(0x300_0000, false).is_gone(end), "the upstream is no further");
        assert!(!supply(0x2FF_0000, false).is_gone(end), "it has less: that is not for a copy to mend");
    }

    #[test]
    fn nobody_is_copied_whom_commits_may_wait_for_or_who_is_maintained() {
        let may: Vec<State> = State::ALL.iter().copied().filter(|goal| may_be_copied(*goal)).collect();
        assert_eq!(may, [State::CatchingUp]);
    }
}
