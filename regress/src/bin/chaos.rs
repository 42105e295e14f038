//! `make chaos SEED=… MINUTES=…`, or FAULTS=…: random faults on a cluster under load. The seed replays the same faults.
//! `--json FILE` keeps what it came to; `--report FILE...` prints several of those as tables.
#![expect(clippy::print_stdout, reason = "its report is its output")]

use regress::chaos::report;
use regress::chaos::run::{Until, play};
use regress::install::repository;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

const USAGE: &str =
    "usage: chaos --seed N (--minutes N | --faults N) [--json FILE]\n       chaos --report FILE...";

enum Wanted {
    Play { seed: u64, until: Until, json: Option<PathBuf> },
    Report(Vec<PathBuf>),
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(wanted) = parse(&arguments) else {
        eprintln!("chaos: {arguments:?} is not what it takes\n{USAGE}");
        return ExitCode::from(1);
    };
    match wanted {
        Wanted::Play { seed, until, json } => play_and_tell(seed, until, json),
        Wanted::Report(files) => {
            let runs: Vec<_> = files.iter().map(read).collect();
            println!("{}", report::tables(&runs));
        }
    }
    ExitCode::SUCCESS
}

fn play_and_tell(seed: u64, until: Until, json: Option<PathBuf>) {
    let replay = match until {
        Until::Faults(faults) => format!("make chaos SEED={seed} FAULTS={faults}"),
        Until::Time(time) => format!("make chaos SEED={seed} MINUTES={}", time.as_secs() / 60),
    };
    // Known before anything can fail.
    eprintln!("chaos: the same again: {replay}");
    let report = play(seed, until).json(&commit());
    if let Some(file) = json {
        fs::write(&file, format!("{report:#}\n"))
            .unwrap_or_else(|error| panic!("writing {}: {error}", file.display()));
    }
    println!("{}", report::tables(&[report]));
}

fn parse(arguments: &[String]) -> Option<Wanted> {
    if let [option, files @ ..] = arguments
        && option == "--report"
    {
        return (!files.is_empty()).then(|| Wanted::Report(files.iter().map(PathBuf::from).collect()));
    }
    let (mut seed, mut until, mut json) = (None, None, None);
    for pair in arguments.chunks(2) {
        let [option, value] = pair else { return None };
        match option.as_str() {
            "--seed" => seed = Some(value.parse().ok()?),
            "--minutes" => until = Some(Until::Time(Duration::from_secs(60 * value.parse::<u64>().ok()?))),
            "--faults" => until = Some(Until::Faults(value.parse().ok()?)),
            "--json" => json = Some(PathBuf::from(value)),
            _ => return None,
        }
    }
    Some(Wanted::Play { seed: seed?, until: until?, json })
}

fn read(file: &PathBuf) -> serde_json::Value {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("reading {}: {error}", file.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The commit that is checked out, with a mark when files differ from it.
fn commit() -> String {
    let output = Command::new("git")
        .args(["-c", "safe.directory=*", "describe", "--always", "--dirty", "--exclude=*"])
        .current_dir(repository())
        .output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_default()
}
