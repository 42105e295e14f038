//! A short run of `make chaos`: whatever the seed brings, nothing that was acknowledged is lost, no two nodes write, and the group is
//! healthy again by itself.
use regress::chaos::run::{Until, play};
use regress::oracles::tell;

/// Its first rounds hold single and combined faults, with and without a failover.
const SEED: u64 = 3;
const FAULTS: usize = 6;

#[test]
fn a_short_run_keeps_every_promise() {
    let report = play(SEED, Until::Faults(FAULTS));
    tell(&format!("seed {SEED}: {} faults in {} s, nothing lost", report.faults(), report.lasted.as_secs()));
}
