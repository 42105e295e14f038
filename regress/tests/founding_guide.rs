//! `docs/founding-guide.md` leaves out no sentence of the guide, and names tests that are there.
use regress::install::repository;
use std::fs;

/// How each sentence and command of the founding guide begins, in order. The guide itself is not in this repository.
const SENTENCES: [&str; 36] = [
    "This section is not",
    "Please contact us with",
    "pg_auto_failover is a general",
    "It is also possible",
    "The `pg_autoctl create` command",
    "If Postgres is detected",
    "The main operations with",
    "maintenance of a secondary",
    "It is possible to",
    "The monitor exposes the",
    "$ psql postgres://autoctl_node@monitor/pg_auto_failover",
    "> select pgautofailover.start_maintenance('nodename', 5432);",
    "> select pgautofailover.stop_maintenance('nodename', 5432);",
    "When a standby node",
    "pg_auto_failover does not provide",
    "triggering a failover",
    "It is possible to",
    "$ psql postgres://autoctl_node@monitor/pg_auto_failover",
    "> select pgautofailover.perform_failover(formation_id => 'default',",
    "To call the function,",
    "The following commands when",
    "$ export PGDATA=...",
    "$ pg_autoctl config get pg_autoctl.formation",
    "$ pg_autoctl config get pg_autoctl.group",
    "The following commands display",
    "$ pg_autoctl show state",
    "$ pg_autoctl show events",
    "When run on the",
    "When run on a",
    "For interactive debugging it",
    "$ watch pg_autoctl show state",
    "The monitor reports every",
    "PostgreSQL logs on the",
    "pg_auto_failover commands can be",
    "If initialization fails the",
    "pg_auto_failover will review its",
];

fn rows() -> Vec<Vec<String>> {
    let page = fs::read_to_string(repository().join("docs/founding-guide.md")).expect("reading the table");
    let rows = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| no."));
    rows.map(|row| row.split('|').map(|column| column.trim().to_owned()).collect()).collect()
}

#[test]
fn no_sentence_is_missing() {
    let rows = rows();
    let shown: Vec<(String, &str)> = rows.iter().map(|row| (row[1].clone(), row[3].as_str())).collect();
    let wanted = SENTENCES.iter().enumerate().map(|(number, words)| ((number + 1).to_string(), *words));
    assert_eq!(shown, wanted.collect::<Vec<_>>());
}

#[test]
fn every_sentence_is_shown_by_tests_that_exist() {
    let mut missing = Vec::new();
    for row in rows() {
        // What stands between grave accents and has two colons in it.
        let named: Vec<&str> = row[4].split('`').filter(|part| part.contains("::")).collect();
        if named.is_empty() {
            missing.push(format!("{}: no test is named", row[1]));
        }
        for test in named {
            let (file, function) = test.split_once("::").unwrap_or((test, ""));
            let text = fs::read_to_string(repository().join("regress/tests").join(file)).unwrap_or_default();
            if !text.contains(&format!("#[test]\nfn {function}()")) {
                missing.push(format!("{}: {test}", row[1]));
            }
        }
    }
    assert!(
        missing.is_empty(),
        "tests that docs/founding-guide.md names and that are not there: {missing:#?}"
    );
}
