//! Numbers that must not be mixed up.
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { self.0.fmt(f) }
        }
    };
}

number! {
    /// A node of a formation; unique on its monitor, never used twice.
    NodeId(i64)
}
number! {
    /// One reign: allocated by the monitor alone, one per election. 0: before the first.
    Term(u64)
}
number! {
    /// The number of a rule, unique in its group and growing. 0: no rule was ever confirmed.
    RuleNumber(u64)
}
number! {
    /// The number of a password that the monitor made, growing. 0: it made none.
    PasswordNumber(u64)
}
number! {
    /// A PostgreSQL timeline ID. A number, not a history (law 9). 0: not known.
    Timeline(u32)
}
number! {
    /// Milliseconds on the reader's own CLOCK_BOOTTIME. Never sent to anybody else.
    Moment(u64)
}
number! {
    /// A duration in milliseconds.
    Millis(u64)
}
number! {
    /// A count of bytes, always the difference of two positions.
    Bytes(u64)
}

impl Term {
    /// The term after this one.
    pub const fn next(self) -> Term {
        Term(self.0 + 1)
    }
}

impl RuleNumber {
    /// The number after this one.
    pub const fn next(self) -> RuleNumber {
        RuleNumber(self.0 + 1)
    }
}

impl Bytes {
    /// `n` mebibytes.
    pub const fn mib(n: u64) -> Bytes {
        Bytes(n * 1024 * 1024)
    }
}

impl Moment {
    /// How long ago `earlier` was; nothing when it is not in the past.
    pub const fn since(self, earlier: Moment) -> Millis {
        Millis(self.0.saturating_sub(earlier.0))
    }
    /// The moment `after` later.
    pub const fn plus(self, after: Millis) -> Moment {
        Moment(self.0.saturating_add(after.0))
    }
}

/// A position in the write-ahead log, written as PostgreSQL's `pg_lsn` is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

impl Lsn {
    /// How far `self` is behind `ahead`; nothing when it is not behind.
    pub const fn behind(self, ahead: Lsn) -> Bytes {
        Bytes(ahead.0.saturating_sub(self.0))
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xFFFF_FFFF)
    }
}

/// The text is not an LSN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLsn;

impl fmt::Display for BadLsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an LSN is two hexadecimal numbers with a slash between them")
    }
}
impl std::error::Error for BadLsn {}

impl FromStr for Lsn {
    type Err = BadLsn;
    fn from_str(s: &str) -> Result<Lsn, BadLsn> {
        let (high, low) = s.split_once('/').ok_or(BadLsn)?;
        let half = |t: &str| u32::from_str_radix(t, 16).map_err(|_| BadLsn);
        Ok(Lsn((u64::from(half(high)?) << 32) | u64::from(half(low)?)))
    }
}

impl Serialize for Lsn {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Lsn {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Lsn, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_lsn_is_written_as_postgres_writes_it() {
        assert_eq!(Lsn(0x0000_0016_B374_D848).to_string(), "16/B374D848");
        assert_eq!("16/B374D848".parse(), Ok(Lsn(0x0000_0016_B374_D848)));
        for bad in ["", "1", "1/", "/1", "1/2/3", "g/1", "123456789/0", "1/+2x"] {
            assert_eq!(bad.parse::<Lsn>(), Err(BadLsn), "{bad}");
        }
    }
}
