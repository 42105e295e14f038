//! The time of day, for names and for the log.
use std::time::{SystemTime, UNIX_EPOCH};

/// A moment in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    year: u64,
    month: u64,
    day: u64,
    second_of_day: u64,
}

/// Now.
pub fn now() -> Stamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    of_seconds(since.as_secs())
}

impl Stamp {
    /// For names: `20260102T030405`.
    pub fn compact(self) -> String {
        let (h, m, s) = self.clock();
        format!("{:04}{:02}{:02}T{h:02}{m:02}{s:02}", self.year, self.month, self.day)
    }

    /// For the log: `2026-01-02 03:04:05 UTC`, as PostgreSQL writes it.
    pub fn readable(self) -> String {
        let (h, m, s) = self.clock();
        format!("{:04}-{:02}-{:02} {h:02}:{m:02}:{s:02} UTC", self.year, self.month, self.day)
    }

    fn clock(self) -> (u64, u64, u64) {
        (self.second_of_day / 3600, self.second_of_day / 60 % 60, self.second_of_day % 60)
    }
}

/// Counts years of 365 or 366 days from 1970 on.
fn of_seconds(seconds: u64) -> Stamp {
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let (mut day, mut year) = (seconds / 86_400, 1970);
    while day >= 365 + u64::from(leap(year)) {
        day -= 365 + u64::from(leap(year));
        year += 1;
    }
    let mut month = 1;
    for days in [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if day < days {
            break;
        }
        day -= days;
        month += 1;
    }
    Stamp { year, month, day: day + 1, second_of_day: seconds % 86_400 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calendar_is_right_at_its_corners() {
        let text = |seconds| of_seconds(seconds).readable();
        assert_eq!(text(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(text(951_782_400), "2000-02-29 00:00:00 UTC");
        assert_eq!(text(1_704_067_199), "2023-12-31 23:59:59 UTC");
        assert_eq!(of_seconds(1_767_323_045).compact(), "20260102T030405");
    }
}
