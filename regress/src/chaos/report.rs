//! What runs came to: kept as JSON for each seed, and printed together as tables.
use super::fault::Fault;
use super::history::{Counts, Kind};
use super::measure::Holdings;
use super::schedule::Shape;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// One run.
#[derive(Clone, Debug)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// The cluster.
    pub shape: Shape,
    /// Each server had a machine of its own.
    pub machines: bool,
    /// From the first write to the last.
    pub lasted: Duration,
    /// Round after round.
    pub rounds: Vec<TakenRound>,
    /// What the writers did.
    pub operations: BTreeMap<Kind, Counts>,
    /// How often the supervisor started a server.
    pub starts: usize,
    /// How often a keeper restarted its server in place.
    pub restarts_in_place: usize,
    /// What our workers held when the load had begun.
    pub before: Holdings,
    /// And in the end.
    pub after: Holdings,
}

/// A round that was played.
#[derive(Clone, Debug)]
pub struct TakenRound {
    /// Its faults.
    pub strikes: Vec<TakenStrike>,
    /// The longest time without an acknowledged write, from its beginning until the group was healthy.
    pub pause: Duration,
    /// From the end of the last fault until the group was healthy.
    pub to_health: Duration,
}

/// A fault of a round that was played.
#[derive(Clone, Debug)]
pub struct TakenStrike {
    /// What.
    pub fault: Fault,
    /// The server that it struck.
    pub server: String,
    /// Why it could not be done, if it could not.
    pub void: Option<String>,
}

impl TakenRound {
    /// The faults that were done.
    pub fn done(&self) -> impl Iterator<Item = &TakenStrike> {
        self.strikes.iter().filter(|strike| strike.void.is_none())
    }
}

impl fmt::Display for TakenStrike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.void {
            None => write!(f, "{}: {}", self.fault, self.server),
            Some(why) => write!(f, "{} not done ({why})", self.fault),
        }
    }
}

impl Report {
    /// How many faults were done.
    pub fn faults(&self) -> usize {
        self.rounds.iter().map(|round| round.done().count()).sum()
    }

    /// Everything that [`table`] needs, and what a reader may want to look up.
    pub fn json(&self, commit: &str) -> Value {
        let rounds = self.rounds.iter().map(|round| {
            json!({
                "faults": round.done().map(|strike| strike.fault.to_string()).collect::<Vec<_>>(),
                "servers": round.done().map(|strike| &strike.server).collect::<Vec<_>>(),
                "not_done": round.strikes.iter().filter_map(|strike| strike.void.as_ref()).collect::<Vec<_>>(),
                "pause_ms": milliseconds(round.pause),
                "to_health_ms": milliseconds(round.to_health),
            })
        });
        let operations = self.operations.iter().map(|(kind, counts)| {
            let counts = json!({
                "acknowledged": counts.acknowledged, "refused": counts.refused, "unknown": counts.unknown
            });
            (format!("{kind:?}").to_lowercase(), counts)
        });
        json!({
            "seed": self.seed,
            "commit": commit,
            "shape": self.shape.to_string(),
            "machines": self.machines,
            "seconds": self.lasted.as_secs(),
            "rounds": rounds.collect::<Vec<_>>(),
            "operations": operations.collect::<serde_json::Map<_, _>>(),
            "starts": self.starts,
            "restarts_in_place": self.restarts_in_place,
            "workers_before": holdings(&self.before),
            "workers_after": holdings(&self.after),
        })
    }
}

fn holdings(holdings: &Holdings) -> Value {
    holdings
        .iter()
        .map(|(name, held)| {
            (name.clone(), json!({ "memory_kb": held.memory_kb, "descriptors": held.descriptors }))
        })
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).expect("a short time")
}

/// Several runs as tables in Markdown: by seed, by kind of fault, and what our workers held.
pub fn tables(runs: &[Value]) -> String {
    let mut lines = by_seed(runs);
    lines.push(String::new());
    lines.extend(by_fault(runs));
    lines.push(String::new());
    lines.extend(by_worker(runs));
    lines.join("\n")
}

fn by_seed(runs: &[Value]) -> Vec<String> {
    let mut lines = vec![
        "| seed | commit | cluster | minutes | faults | acknowledged | refused | unknown | lost | moments with two writers | healthy after, at most | restarts in place |".to_owned(),
        "|---|---|---|---|---|---|---|---|---|---|---|---|".to_owned(),
    ];
    let mut sums = [0; 5];
    for run in runs {
        let operations = |outcome: &str| {
            let kinds = run["operations"].as_object().into_iter().flatten();
            kinds.map(|(_, counts)| number(&counts[outcome])).sum::<u64>()
        };
        let faults = rounds(run).map(|round| round.faults.len() as u64).sum::<u64>();
        let slowest = rounds(run).map(|round| round.to_health).max().unwrap_or(0);
        let figures = [
            faults,
            operations("acknowledged"),
            operations("refused"),
            operations("unknown"),
            number(&run["restarts_in_place"]),
        ];
        sums.iter_mut().zip(figures).for_each(|(sum, figure)| *sum += figure);
        let [faults, acknowledged, refused, unknown, restarts] = figures;
        lines.push(format!(
            "| {} | {} | {} | {:.0} | {faults} | {acknowledged} | {refused} | {unknown} | 0 | 0 | {} | {restarts} |",
            number(&run["seed"]),
            run["commit"].as_str().unwrap_or_default(),
            run["shape"].as_str().unwrap_or_default(),
            number(&run["seconds"]).div_ceil(60),
            seconds(slowest),
        ));
    }
    let [faults, acknowledged, refused, unknown, restarts] = sums;
    lines.push(format!(
        "| all | | | | {faults} | {acknowledged} | {refused} | {unknown} | 0 | 0 | | {restarts} |"
    ));
    lines
}

/// Pauses of rounds with one fault stand with that fault; those of several together stand by themselves.
fn by_fault(runs: &[Value]) -> Vec<String> {
    let mut kinds: BTreeMap<String, (usize, Vec<u64>, Vec<u64>)> = BTreeMap::new();
    const COMBINED: &str = "two or three together";
    for round in runs.iter().flat_map(rounds) {
        for fault in &round.faults {
            kinds.entry(fault.clone()).or_default().0 += 1;
        }
        let row = match &round.faults[..] {
            [] => continue,
            [fault] => kinds.entry(fault.clone()).or_default(),
            _ => kinds.entry(COMBINED.to_owned()).or_default(),
        };
        row.1.push(round.pause);
        row.2.push(round.to_health);
    }
    let mut lines = vec![
        "| fault | times | alone | writes paused: least, median, most | healthy after: least, median, most |"
            .to_owned(),
        "|---|---|---|---|---|".to_owned(),
    ];
    let combined = kinds.remove(COMBINED);
    let row = |name: &str, times: String, pauses: Vec<u64>, healths: Vec<u64>| {
        format!("| {name} | {times} | {} | {} | {} |", pauses.len(), spread(pauses.clone()), spread(healths))
    };
    lines.extend(
        kinds
            .into_iter()
            .map(|(name, (times, pauses, healths))| row(&name, times.to_string(), pauses, healths)),
    );
    lines.extend(combined.map(|(_, pauses, healths)| row(COMBINED, String::new(), pauses, healths)));
    lines
}

fn by_worker(runs: &[Value]) -> Vec<String> {
    let mut lines = vec![
        "| seed | worker | memory before, kB | after | descriptors before | after |".to_owned(),
        "|---|---|---|---|---|---|".to_owned(),
    ];
    for run in runs {
        for (name, before) in run["workers_before"].as_object().into_iter().flatten() {
            let after = &run["workers_after"][name];
            lines.push(format!(
                "| {} | {name} | {} | {} | {} | {} |",
                number(&run["seed"]),
                number(&before["memory_kb"]),
                number(&after["memory_kb"]),
                number(&before["descriptors"]),
                number(&after["descriptors"]),
            ));
        }
    }
    lines
}

struct RoundFigures {
    faults: Vec<String>,
    pause: u64,
    to_health: u64,
}

fn rounds(run: &Value) -> impl Iterator<Item = RoundFigures> {
    run["rounds"].as_array().into_iter().flatten().map(|round| RoundFigures {
        faults: round["faults"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        pause: number(&round["pause_ms"]),
        to_health: number(&round["to_health_ms"]),
    })
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

fn spread(mut times: Vec<u64>) -> String {
    times.sort_unstable();
    match (times.first(), times.get(times.len() / 2), times.last()) {
        (Some(least), Some(median), Some(most)) => {
            format!("{}, {}, {}", seconds(*least), seconds(*median), seconds(*most))
        }
        _ => String::new(),
    }
}

fn seconds(milliseconds: u64) -> String {
    format!("{}.{:02} s", milliseconds / 1000, milliseconds % 1000 / 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_alone_and_faults_together_are_told_apart() {
        let run = json!({
            "seed": 3, "commit": "abc", "shape": "2 nodes", "seconds": 61, "restarts_in_place": 2,
            "operations": { "plain": { "acknowledged": 5, "refused": 1, "unknown": 0 } },
            "rounds": [
                { "faults": ["cut off"], "pause_ms": 1_250, "to_health_ms": 10 },
                { "faults": ["cut off", "reload"], "pause_ms": 9_000, "to_health_ms": 20 },
            ],
        });
        let tables = tables(&[run]);
        for line in [
            "| 3 | abc | 2 nodes | 2 | 3 | 5 | 1 | 0 | 0 | 0 | 0.02 s | 2 |",
            "| cut off | 2 | 1 | 1.25 s, 1.25 s, 1.25 s | 0.01 s, 0.01 s, 0.01 s |",
            "| two or three together |  | 1 | 9.00 s, 9.00 s, 9.00 s | 0.02 s, 0.02 s, 0.02 s |",
        ] {
            assert!(tables.contains(line), "{line}\nis not in\n{tables}");
        }
    }
}
