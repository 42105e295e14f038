//! `make bench`: measures, prints a table, writes `bench.json`. `--only WORD` takes the measurements whose names begin so, `--runs N` says how often, `--minutes N`
//! how long the network is lossy.
#![expect(clippy::print_stdout, reason = "its table is its output")]

use regress::bench::fence::{self, Reason};
use regress::bench::figures::{self, Measurement};
use regress::bench::lossy::{self, Trial};
use regress::bench::pauses::{self, End, Patience};
use regress::bench::tolerated::{self, Silence};
use regress::bench::{floor, heartbeats, idle, segments, throughput};
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "usage: bench [--only NAME] [--runs N] [--minutes N] [--json FILE]";

struct Wanted {
    only: String,
    runs: usize,
    minutes: usize,
    json: PathBuf,
}

type Work = Box<dyn Fn(usize) -> Vec<Measurement>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(wanted) = parse(&arguments) else {
        eprintln!("bench: {arguments:?} is not what it takes\n{USAGE}");
        return ExitCode::from(1);
    };
    let all = everything(wanted.minutes);
    let chosen: Vec<_> = all.iter().filter(|(name, _)| name.starts_with(&wanted.only)).collect();
    if chosen.is_empty() {
        let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
        eprintln!(
            "bench: nothing that it measures begins with {}; there are: {}",
            wanted.only,
            names.join(", ")
        );
        return ExitCode::from(1);
    }
    let mut measured = Vec::new();
    for (name, work) in chosen {
        eprintln!("bench: {name}");
        measured.extend(work(wanted.runs));
        // After each, so that what is interrupted has told what it knew.
        let json: Vec<_> = measured.iter().map(Measurement::json).collect();
        let text = serde_json::to_string_pretty(&json).expect("figures are JSON");
        fs::write(&wanted.json, text + "\n")
            .unwrap_or_else(|error| panic!("writing {}: {error}", wanted.json.display()));
    }
    println!("{}", figures::table(&measured));
    ExitCode::SUCCESS
}

/// Every measurement by the name that its figures begin with.
fn everything(minutes: usize) -> Vec<(String, Work)> {
    let mut all: Vec<(String, Work)> = Vec::new();
    for standbys in [1, 2] {
        for (name, end) in [
            ("kill_tree", End::KillTree),
            ("kill_postmaster", End::KillPostmaster),
            ("stop", End::Stop),
            ("switchover", End::Switchover),
            ("silent_cut", End::SilentCut),
        ] {
            let of = move |runs| pauses::measure(end, standbys, Patience::Default, runs);
            all.push((format!("pause.{name}.{standbys}"), Box::new(of)));
        }
    }
    let impatient = |runs| pauses::measure(End::SilentCut, 1, Patience::Impatient, runs);
    all.push(("pause.silent_cut.impatient".to_owned(), Box::new(impatient)));
    all.push(("floor.promotion".to_owned(), Box::new(floor::measure)));
    all.push(("segments".to_owned(), Box::new(segments::measure)));
    all.push(("throughput.alone".to_owned(), Box::new(|runs| throughput::measure(0, runs))));
    all.push(("throughput.1_standby".to_owned(), Box::new(|runs| throughput::measure(1, runs))));
    for nodes in [2, 100, 1000] {
        // Each run is thousands of heartbeats.
        all.push((format!("heartbeats.{nodes}_nodes"), Box::new(move |_| heartbeats::measure(nodes))));
    }
    for (name, reason) in [("switchover", Reason::Switchover), ("stop", Reason::Stop)] {
        all.push((format!("fence.last_commit.{name}"), Box::new(move |runs| fence::measure(reason, runs))));
    }
    for (name, trial) in [("lossy_network", Trial::Lossy), ("rough_network", Trial::Rough)] {
        all.push((name.to_owned(), Box::new(move |_| lossy::measure(trial, minutes))));
    }
    for (name, silence) in [("silent_link", Silence::Link), ("frozen_machine", Silence::Machine)] {
        all.push((format!("tolerated.{name}"), Box::new(move |runs| tolerated::measure(silence, runs))));
    }
    // A minute says enough of what happens all the time.
    all.push(("idle".to_owned(), Box::new(|_| idle::measure(1))));
    all
}

fn parse(arguments: &[String]) -> Option<Wanted> {
    let mut wanted = Wanted { only: String::new(), runs: 20, minutes: 30, json: "bench.json".into() };
    for pair in arguments.chunks(2) {
        let [option, value] = pair else { return None };
        match option.as_str() {
            "--only" => wanted.only = value.clone(),
            "--runs" => wanted.runs = value.parse().ok().filter(|runs| *runs > 0)?,
            "--minutes" => wanted.minutes = value.parse().ok().filter(|minutes| *minutes > 0)?,
            "--json" => wanted.json = value.into(),
            _ => return None,
        }
    }
    Some(wanted)
}
