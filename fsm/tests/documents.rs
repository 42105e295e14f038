//! docs/states.md is what the tables print. `make fix`, or UPDATE_DOCS=1 with this test, writes it anew.
use fsm::keeper::TABLE;
use fsm::monitor::RULES;
use fsm::state::State;
use std::fmt::Write;
use std::path::Path;

const HEAD: &str = "# States and rules

Printed from the tables in `fsm` by `fsm/tests/documents.rs`; `make fix` writes it anew.

The monitor hears a report, and applies the first of its rules that has something to change, until none has. A rule
assigns goals. The keeper of each node looks up the row that leads from the state it is in to its goal, and does the
actions of that row in order. Every action may be done twice, so a keeper that was interrupted begins the row again.
";

fn printed() -> String {
    let mut text = String::from(HEAD);
    print(&mut text).expect("writing to a string cannot fail");
    text
}

fn print(text: &mut String) -> std::fmt::Result {
    writeln!(text, "\n## The monitor's rules, in order\n\n| rule | fires when |\n|---|---|")?;
    for rule in RULES {
        writeln!(text, "| {} | {} |", rule.name, rule.why)?;
    }
    writeln!(text, "\n## The keeper's ways\n")?;
    writeln!(text, "\"any other\" stands for every state without a row of its own to the same goal.\n")?;
    writeln!(text, "| goal | from | actions | because |\n|---|---|---|---|")?;
    for row in TABLE {
        let actions: Vec<String> =
            row.actions.iter().map(|action| in_words(&format!("{action:?}"))).collect();
        let actions = if actions.is_empty() { "nothing to do".to_owned() } else { actions.join(", ") };
        writeln!(text, "| `{}` | {} | {} | {} |", row.to, origin(row.from), actions, row.why)?;
    }
    writeln!(
        text,
        "\n## The states\n\n| state | writes | without a lease | follows | assigned |\n|---|---|---|---|---|"
    )?;
    for state in State::ALL {
        let yes = |is: bool| if is { "yes" } else { "" };
        let assigned = TABLE.iter().any(|row| row.to == *state);
        writeln!(
            text,
            "| `{state}` | {} | {} | {} | {} |",
            yes(state.writes()),
            yes(state.unleased()),
            yes(state.follows()),
            yes(assigned)
        )?;
    }
    writeln!(text, "\nStates that are never assigned are kept for the scripts of pg_auto_failover's users.")
}

fn origin(from: &[State]) -> String {
    if from.iter().all(|state| state.writes()) {
        let names: Vec<String> = from.iter().map(|state| format!("`{state}`")).collect();
        names.join(", ")
    } else if from.iter().any(|state| state.writes()) {
        "any".to_owned()
    } else {
        "any other".to_owned()
    }
}

/// `EnterLeased` as "enter leased".
fn in_words(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}

#[test]
fn states_md_is_what_the_tables_print() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/states.md");
    let printed = printed();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &printed).expect("docs/states.md can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == printed, "docs/states.md is not what the tables say; run make fix");
}
