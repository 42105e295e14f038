//! The pages that list settings, commands and functions say what the installed programs have.
use regress::bench::lossy::{PATIENT_MONITOR, PATIENT_NODE};
use regress::bench::pauses::{IMPATIENT_MONITOR, IMPATIENT_NODE};
use regress::cluster::Cluster;
use regress::install::repository;
use std::collections::BTreeSet;
use std::fs;

fn page(name: &str) -> String {
    fs::read_to_string(repository().join("docs").join(name))
        .unwrap_or_else(|error| panic!("reading docs/{name}: {error}"))
}

/// Fails with all that is missing, so that one run shows everything.
fn none(what: &str, found: BTreeSet<String>) {
    assert!(found.is_empty(), "{what}: {found:#?}");
}

/// A setting as the page shows it: name, default, how it takes effect.
fn settings_shown() -> BTreeSet<[String; 3]> {
    let rows = page("settings.md");
    let rows = rows.lines().filter(|line| line.starts_with("| `pg"));
    rows.map(|line| {
        let mut columns = line.split('|').map(|column| column.trim().trim_matches('`').to_owned()).skip(1);
        std::array::from_fn(|_| columns.next().unwrap_or_default())
    })
    .collect()
}

/// A default in the unit that a person would write.
fn pretty(value: &str, unit: &str) -> String {
    let steps: &[(u64, &str)] = match unit {
        "ms" => &[(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s"), (1, "ms")],
        "s" => &[(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")],
        "" if value.is_empty() => return "(empty)".to_owned(),
        _ => return format!("{value}{unit}"),
    };
    let number: u64 = value.parse().expect("a setting with a unit is a number");
    let (size, name) = steps.iter().find(|(size, _)| number.is_multiple_of(*size)).expect("1 divides");
    format!("{}{name}", number / size)
}

/// The settings of a section of performance.md: where, which, and its value there.
fn settings_of(section: &str) -> BTreeSet<[String; 3]> {
    let page = page("performance.md");
    let heading = format!("\n## {section}\n");
    let (_, section) = page.split_once(&heading).unwrap_or_else(|| panic!("no section {section}"));
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with("| monitor") || line.starts_with("| nodes"));
    rows.map(|line| {
        let mut columns = line.split('|').map(|column| column.trim().trim_matches('`').to_owned()).skip(1);
        std::array::from_fn(|_| columns.next().unwrap_or_default())
    })
    .collect()
}

fn measured(monitor: &[(&str, &str)], nodes: &[(&str, &str)]) -> BTreeSet<[String; 3]> {
    let on = |place: &str, settings: &[(&str, &str)]| {
        settings.iter().map(|(name, value)| [place, name, value].map(str::to_owned)).collect::<Vec<_>>()
    };
    [on("monitor", monitor), on("nodes", nodes)].concat().into_iter().collect()
}

#[test]
fn the_impatient_and_the_patient_settings_are_those_that_are_measured() {
    let mut impatient = settings_of("Settings for the impatient");
    // No recovery is part of what is measured with them.
    impatient.retain(|[_, name, _]| name != "pgautofailover.crash_recovery_grace");
    assert_eq!(impatient, measured(&IMPATIENT_MONITOR, &IMPATIENT_NODE));
    assert_eq!(settings_of("Settings for patient networks"), measured(&PATIENT_MONITOR, &PATIENT_NODE));
}

#[test]
fn the_settings_are_those_of_the_servers() {
    let mut cluster = Cluster::empty("settings");
    cluster.create_monitor();
    cluster.create_node();
    let asked = "SELECT name, boot_val, coalesce(unit, ''), context FROM pg_settings
                  WHERE name LIKE 'pg\\_autoctl.%' OR name LIKE 'pgautofailover.%'";
    let mut present = BTreeSet::new();
    for (server, database) in [(&cluster.monitor, "pg_auto_failover"), (cluster.node(1), "postgres")] {
        let rows = server.superuser(database, asked).expect("asking for the settings");
        for row in rows.lines() {
            let columns: Vec<&str> = row.split('|').collect();
            let [name, default, unit, context] = columns[..] else { panic!("four columns: {row}") };
            let by = match context {
                "sighup" => "reload",
                "postmaster" => "restart",
                "internal" => "never",
                other => other,
            };
            present.insert([name.to_owned(), pretty(default, unit), by.to_owned()]);
        }
    }
    assert!(present.len() > 20, "both libraries have settings: {present:?}");
    let shown = settings_shown();
    let differ = |a: &BTreeSet<[String; 3]>, b: &BTreeSet<[String; 3]>| {
        a.difference(b).map(|row| row.join(" | ")).collect::<BTreeSet<_>>()
    };
    none("settings that docs/settings.md does not show, or shows otherwise", differ(&present, &shown));
    none("settings that only docs/settings.md knows", differ(&shown, &present));

    let callable = "SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'pgautofailover'::regnamespace
                       AND has_function_privilege('autoctl_node', oid, 'EXECUTE')";
    let page = page("commands.md");
    let functions =
        cluster.monitor.superuser("pg_auto_failover", callable).expect("asking for the functions");
    assert!(functions.lines().count() > 10, "nodes may call something: {functions}");
    let missing = functions.lines().filter(|name| !page.contains(&format!("`{name}(")));
    none("functions that docs/commands.md does not show", missing.map(str::to_owned).collect());
}

#[test]
fn the_commands_are_those_of_the_program() {
    let cluster = Cluster::empty("commands");
    let page = page("commands.md");
    let (mut missing, mut open) = (BTreeSet::new(), vec![Vec::<String>::new()]);
    let mut commands = 0;
    while let Some(command) = open.pop() {
        let help = help(&cluster, &command);
        let below = listed(&help, "Commands:");
        for name in &below {
            open.push([command.clone(), vec![name.clone()]].concat());
        }
        if below.is_empty() {
            commands += 1;
            if !page.contains(&format!("`{}`", command.join(" "))) {
                missing.insert(command.join(" "));
            }
            let options = help.split_whitespace().filter(|word| word.starts_with("--") && *word != "--help");
            let options = options.map(|word| word.trim_end_matches([',', ']', '.', ')']).to_owned());
            missing.extend(options.filter(|option| !page.contains(&format!("`{option}`"))));
        }
    }
    assert!(commands > 20, "there are many commands, and {commands} were found");
    none("commands and options that docs/commands.md does not show", missing);
}

fn help(cluster: &Cluster, command: &[String]) -> String {
    let words = command.iter().map(String::as_str).chain(["-h"]).collect::<Vec<_>>();
    cluster.cli(&words)
}

/// The names below a heading of a help text. `help` itself is on the page once, not below every command.
fn listed(help: &str, heading: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != heading).skip(1);
    let names = lines.take_while(|line| line.starts_with("  "));
    names
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}
