//! What happens when: from the seed alone, so that the seed replays it.
use super::fault::{Disturbance, Fault, Peers, StopMode, Strike, Target, Way};
use super::random::Random;
use crate::faults::Part;
use std::fmt;
use std::time::Duration;

/// The cluster that a seed is played on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// How many nodes.
    pub nodes: usize,
    /// How many standbys a commit waits for at the least.
    pub number_sync_standbys: usize,
    /// The WAL of each node is on a small disk of its own.
    pub small_disks: bool,
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

const SHAPES: &[(usize, (usize, usize))] =
    &[(3, (2, 0)), (1, (2, 1)), (2, (3, 0)), (4, (3, 1)), (2, (4, 1)), (1, (4, 2))];

#[rustfmt::skip]
const FAULTS: &[(usize, Fault)] = &[
    (8, Fault::KillTree),
    (2, Fault::Kill(Part::Postmaster)), (2, Fault::Kill(Part::Keeper)), (2, Fault::Kill(Part::Backend)),
    (1, Fault::Kill(Part::WalSender)), (1, Fault::Kill(Part::WalReceiver)), (1, Fault::Kill(Part::Startup)),
    (1, Fault::Kill(Part::Checkpointer)),
    (5, Fault::FreezeNode),
    (1, Fault::Freeze(Part::Postmaster)), (2, Fault::Freeze(Part::Keeper)), (1, Fault::Freeze(Part::Backend)),
    (2, Fault::Freeze(Part::WalSender)), (2, Fault::Freeze(Part::WalReceiver)), (1, Fault::Freeze(Part::Startup)),
    (1, Fault::Freeze(Part::Checkpointer)),
    (5, Fault::Disturb(Disturbance::Unplug)),
    (1, Fault::Disturb(Disturbance::Cut(Way::Out, Peers::Monitor))), (1, Fault::Disturb(Disturbance::Cut(Way::In, Peers::Monitor))), (2, Fault::Disturb(Disturbance::Cut(Way::Both, Peers::Monitor))),
    (1, Fault::Disturb(Disturbance::Cut(Way::Out, Peers::Nodes))), (1, Fault::Disturb(Disturbance::Cut(Way::In, Peers::Nodes))), (2, Fault::Disturb(Disturbance::Cut(Way::Both, Peers::Nodes))),
    (1, Fault::Disturb(Disturbance::Cut(Way::Out, Peers::All))), (1, Fault::Disturb(Disturbance::Cut(Way::In, Peers::All))), (3, Fault::Disturb(Disturbance::Cut(Way::Both, Peers::All))),
    (3, Fault::Reset),
    (2, Fault::Disturb(Disturbance::Lose(15))), (1, Fault::Disturb(Disturbance::Lose(60))), (2, Fault::Disturb(Disturbance::SlowDown(256))),
    (2, Fault::Stop(StopMode::Smart)), (3, Fault::Stop(StopMode::Fast)), (3, Fault::Stop(StopMode::Immediate)),
    (2, Fault::Reload),
    (3, Fault::Failover), (3, Fault::Promotion), (4, Fault::Maintenance),
    (2, Fault::FreezeMonitor), (3, Fault::KillMonitor), (2, Fault::StopMonitor), (3, Fault::DisturbMonitor(Disturbance::Unplug)),
    (1, Fault::DisturbMonitor(Disturbance::Lose(30))), (1, Fault::DisturbMonitor(Disturbance::SlowDown(64))),
];
/// Where the WAL has a small disk of its own.
const FAULTS_OF_SMALL_DISKS: &[(usize, Fault)] = &[(6, Fault::FillDisk)];
/// Where it has none: the image of a disk holds no other disk that is mounted there.
const FAULTS_OF_WHOLE_DISKS: &[(usize, Fault)] = &[(5, Fault::OldImage)];

impl Shape {
    fn faults(&self) -> Vec<(usize, Fault)> {
        let of_disks = if self.small_disks { FAULTS_OF_SMALL_DISKS } else { FAULTS_OF_WHOLE_DISKS };
        [FAULTS, of_disks].concat()
    }
}

impl Schedule {
    /// The schedule of a seed.
    pub fn of(seed: u64) -> Schedule {
        let mut random = Random::of(seed);
        let (nodes, number_sync_standbys) = random.weighted(SHAPES);
        let small_disks = random.weighted(&[(1, false), (1, true)]);
        Schedule { shape: Shape { nodes, number_sync_standbys, small_disks }, random }
    }

    fn strike(&mut self, latest: Duration) -> Strike {
        let after = self.random.time(Duration::ZERO, latest);
        let fault = self.random.weighted(&self.shape.faults());
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
        write!(f, "{} nodes, number_sync_standbys = {}", self.nodes, self.number_sync_standbys)?;
        if self.small_disks { f.write_str(", WAL on small disks") } else { Ok(()) }
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
        let strikes = (1..=10).flat_map(|seed| Schedule::of(seed).take(100)).flat_map(|round| round.strikes);
        let seen: BTreeSet<String> = strikes.map(|strike| strike.fault.to_string()).collect();
        assert_eq!(seen.len(), FAULTS.len() + FAULTS_OF_SMALL_DISKS.len() + FAULTS_OF_WHOLE_DISKS.len());
        let shapes: BTreeSet<String> = (1..=200).map(|seed| Schedule::of(seed).shape.to_string()).collect();
        assert_eq!(shapes.len(), 2 * SHAPES.len());
    }
}
