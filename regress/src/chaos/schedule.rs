//! What happens when: from the seed alone, so that the seed replays it.
use super::fault::{Fault, StopMode, Strike, Target};
use super::random::Random;
use std::fmt;
use std::time::Duration;

/// The cluster that a seed is played on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// How many nodes.
    pub nodes: usize,
    /// How many standbys a commit waits for at the least.
    pub number_sync_standbys: usize,
}

/// Faults that belong together, and the rest after they are over and the group is healthy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Round {
    /// In the order in which they strike.
    pub strikes: Vec<Strike>,
    /// Then nothing happens for so long.
    pub rest: Duration,
}

/// Rounds without end: whoever plays them says when it is enough.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// The cluster.
    pub shape: Shape,
    random: Random,
}

const SHAPES: &[(usize, Shape)] = &[
    (3, Shape { nodes: 2, number_sync_standbys: 0 }),
    (1, Shape { nodes: 2, number_sync_standbys: 1 }),
    (2, Shape { nodes: 3, number_sync_standbys: 0 }),
    (4, Shape { nodes: 3, number_sync_standbys: 1 }),
    (2, Shape { nodes: 4, number_sync_standbys: 1 }),
    (1, Shape { nodes: 4, number_sync_standbys: 2 }),
];

const FAULTS: &[(usize, Fault)] = &[
    (5, Fault::KillTree),
    (2, Fault::KillKeeper),
    (4, Fault::FreezeNode),
    (2, Fault::FreezeKeeper),
    (5, Fault::CutNode),
    (1, Fault::Stop(StopMode::Smart)),
    (2, Fault::Stop(StopMode::Fast)),
    (2, Fault::Stop(StopMode::Immediate)),
    (1, Fault::Reload),
    (2, Fault::Failover),
    (2, Fault::Promotion),
    (2, Fault::Maintenance),
    (2, Fault::FreezeMonitor),
    (2, Fault::KillMonitor),
    (1, Fault::StopMonitor),
    (2, Fault::CutMonitor),
];

impl Schedule {
    /// The schedule of a seed.
    pub fn of(seed: u64) -> Schedule {
        let mut random = Random::of(seed);
        let shape = random.weighted(SHAPES);
        Schedule { shape, random }
    }

    fn strike(&mut self, latest: Duration) -> Strike {
        let after = self.random.time(Duration::ZERO, latest);
        let fault = self.random.weighted(FAULTS);
        let number = self.random.below(self.shape.nodes) + 1;
        let target = self.random.weighted(&[
            (5, Target::Primary),
            (3, Target::Standby(number)),
            (2, Target::Node(number)),
        ]);
        // Shorter than anybody notices, long enough for some, longer than every lease and patience.
        let (least, most) =
            self.random.weighted(&[(5, (100, 2_000)), (3, (2_000, 6_000)), (2, (6_000, 12_000))]);
        let lasts = self.random.time(Duration::from_millis(least), Duration::from_millis(most));
        Strike { after, fault, target, lasts }
    }
}

impl Iterator for Schedule {
    type Item = Round;

    fn next(&mut self) -> Option<Round> {
        let (strikes, latest) = self.random.weighted(&[
            (6, (1, Duration::ZERO)),
            (2, (2, Duration::ZERO)),
            (2, (2, Duration::from_secs(4))),
            (1, (3, Duration::from_secs(4))),
        ]);
        let mut strikes: Vec<Strike> = (0..strikes).map(|_| self.strike(latest)).collect();
        strikes.sort_by_key(|strike| strike.after);
        let rest = self.random.time(Duration::ZERO, Duration::from_millis(1_500));
        Some(Round { strikes, rest })
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} nodes, number_sync_standbys = {}", self.nodes, self.number_sync_standbys)
    }
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let strikes: Vec<String> = self.strikes.iter().map(Strike::to_string).collect();
        f.write_str(&strikes.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_seed_has_one_schedule_and_another_seed_another() {
        let rounds = |seed| Schedule::of(seed).take(50).collect::<Vec<_>>();
        assert_eq!(rounds(7), rounds(7));
        assert_ne!(rounds(7), rounds(8));
    }

    #[test]
    fn every_fault_and_every_shape_has_its_turn() {
        let strikes = (1..=10).flat_map(|seed| Schedule::of(seed).take(50)).flat_map(|round| round.strikes);
        let seen: BTreeSet<Fault> = strikes.map(|strike| strike.fault).collect();
        assert_eq!(seen.len(), FAULTS.len());
        let shapes: BTreeSet<String> = (1..=60).map(|seed| Schedule::of(seed).shape.to_string()).collect();
        assert_eq!(shapes.len(), SHAPES.len());
    }
}
