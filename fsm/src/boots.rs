//! Which copy of a node's disk speaks.
//!
//! Every start of a node counts, durably, and gets a random number of its own. The monitor keeps the highest count that it was
//! told, and the number of that start. A disk image of an earlier time has counted fewer starts, or starts once more with a
//! count that another start had (law 5).
use crate::units::RuleNumber;
use serde::{Deserialize, Serialize};

/// A start of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Boots {
    /// How many starts there were, this one included. 0: not known.
    pub count: u64,
    /// The random number of this one. 0: not known.
    pub life: u64,
}

/// A copy of a node that was found to be of an earlier time. What the node has acknowledged since may be missing in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OldImage {
    /// The start in which it was found out.
    pub life: u64,
    /// The highest rule number that was given by then. A later rule that is in force and names the node covers it: the writer has
    /// confirmed that enough members hold all WAL there was, and none of them speaks for the copy that is gone.
    pub rules: RuleNumber,
}

/// Whether whoever tells of the start `told` runs on an older disk than the one whose start `known` was. What is not known convicts nobody.
pub const fn is_old_image(known: Boots, told: Boots) -> bool {
    let counted_before = told.count == known.count && told.life != known.life;
    told.count > 0 && (told.count < known.count || (counted_before && known.life > 0 && told.life > 0))
}

/// What the monitor keeps of a node's starts, given one that is not an old image's.
pub const fn newest(known: Boots, told: Boots) -> Boots {
    if told.count > known.count {
        told
    } else if told.count == known.count && known.life == 0 {
        Boots { life: told.life, ..known }
    } else {
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn start(count: u64, life: u64) -> Boots {
        Boots { count, life }
    }

    #[test]
    fn a_disk_of_an_earlier_time_is_told_by_its_starts() {
        let known = start(7, 70);
        for (told, old) in [
            (start(8, 80), false),
            (start(9, 0), false),
            (start(7, 70), false),
            (start(7, 71), true),
            (start(6, 60), true),
            (start(6, 0), true),
            // An older keeper tells no life, and a start that could not be counted has no number.
            (start(7, 0), false),
            (start(0, 0), false),
            (start(0, 71), false),
        ] {
            assert_eq!(is_old_image(known, told), old, "{told:?}");
        }
        assert!(!is_old_image(start(7, 0), start(7, 71)) && !is_old_image(start(0, 0), start(1, 1)));
    }

    #[test]
    fn the_newest_start_is_kept() {
        assert_eq!(newest(start(7, 70), start(8, 80)), start(8, 80));
        assert_eq!(newest(start(7, 70), start(0, 0)), start(7, 70));
        assert_eq!(newest(start(7, 0), start(7, 70)), start(7, 70));
        assert_eq!(newest(start(7, 70), start(7, 0)), start(7, 70));
    }
}
