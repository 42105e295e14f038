//! Numbers from a seed, the same ones everywhere and for ever.
use std::time::Duration;

/// SplitMix64: one word of state, and each seed has a sequence of its own.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of a seed.
    pub fn of(seed: u64) -> Random {
        Random(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of `0 .. below`.
    pub fn below(&mut self, below: usize) -> usize {
        let below = u64::try_from(below).expect("a usize fits");
        usize::try_from(self.number() % below).expect("less than a usize")
    }

    /// A time from `least` to `most`, in whole milliseconds.
    pub fn time(&mut self, least: Duration, most: Duration) -> Duration {
        let range = usize::try_from((most - least).as_millis()).expect("a short time");
        let more = self.below(range + 1);
        least + Duration::from_millis(u64::try_from(more).expect("a usize fits"))
    }

    /// One of several, each as often as its weight says.
    pub fn weighted<T: Copy>(&mut self, choices: &[(usize, T)]) -> T {
        let mut at = self.below(choices.iter().map(|(weight, _)| weight).sum());
        for (weight, choice) in choices {
            match at.checked_sub(*weight) {
                Some(rest) => at = rest,
                None => return *choice,
            }
        }
        unreachable!("a number below the sum of the weights")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_has_one_sequence_and_weights_count() {
        let mut random = Random::of(1);
        // From the reference implementation.
        assert_eq!([random.number(), random.number()], [0x910a_2dec_8902_5cc1, 0xbeeb_8da1_658e_ec67]);
        let often = (0..1000).filter(|_| random.weighted(&[(9, true), (1, false)])).count();
        assert!((850..950).contains(&often), "{often}");
        assert_eq!(random.weighted(&[(0, 1), (1, 2)]), 2);
    }
}
