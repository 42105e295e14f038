//! `config get` and `config set`: PostgreSQL's own configuration is the only one there is.
use crate::adoption;
use crate::context::{Context, Part};
use crate::datadir;
use crate::error::{Error, Kind, Result};
use crate::postgres::Postgres;
use crate::sql::{self, Failure};
use crate::view::{Setting, View};
use serde_json::json;
use std::path::Path;

/// Options of `config get`.
#[derive(Debug, clap::Args)]
pub struct GetArgs {
    /// A setting such as pg_autoctl.formation [default: all]
    key: Option<String>,
}

/// Options of `config set`.
#[derive(Debug, clap::Args)]
pub struct SetArgs {
    /// A setting such as pg_autoctl.name
    key: String,
    /// Its new value
    value: String,
}

/// The keeper's settings, with the values they have when nothing sets them. A server that does not run cannot be asked.
const KEEPER: &[(&str, &str)] = &[
    ("pg_autoctl.formation", "default"),
    ("pg_autoctl.group", "0"),
    ("pg_autoctl.heartbeat_period", "1s"),
    ("pg_autoctl.helper", ""),
    ("pg_autoctl.hostname", ""),
    ("pg_autoctl.local_user", ""),
    ("pg_autoctl.monitor", ""),
    ("pg_autoctl.name", ""),
    ("pg_autoctl.role", "keeper"),
    ("pg_autoctl.skip_pg_hba", "off"),
    ("pg_autoctl.ssl_ca_file", ""),
    ("pg_autoctl.ssl_crl_file", ""),
    ("pg_autoctl.ssl_mode", "require"),
    ("pg_autoctl.start_without_monitor", "off"),
    ("pg_autoctl.state_dir", ""),
    ("pg_autoctl.stop_when_dropped", "on"),
];

/// Prints one setting or all.
pub fn get(args: &GetArgs, context: &Context) -> Result<View> {
    let (pgdata, postgres) = (context.cluster()?, context.postgres()?);
    let mut settings = settings(context.part(&postgres)?, pgdata, &postgres)?;
    let Some(key) = &args.key else { return Ok(View::Settings(settings)) };
    match settings.iter().position(|setting| setting.key == *key) {
        Some(found) => Ok(View::Value(settings.swap_remove(found))),
        None => Err(unknown(key, &settings)),
    }
}

/// Changes a setting on the running server, for good.
pub fn set(args: &SetArgs, context: &Context) -> Result<View> {
    let (pgdata, postgres) = (context.cluster()?, context.postgres()?);
    let settings = settings(context.part(&postgres)?, pgdata, &postgres)?;
    if !settings.iter().any(|setting| setting.key == args.key) {
        return Err(unknown(&args.key, &settings));
    }
    if args.key == "pg_autoctl.monitor" {
        return adoption::move_to(&args.value, context, &postgres);
    }
    let running = datadir::require_running(pgdata)?;
    let refused = |failure: Failure| {
        let invalid = failure.sqlstate().is_some_and(|state| state == "22023" || state == "55P02");
        Error::new(if invalid { Kind::Arguments } else { Kind::Sql }, failure.to_string())
    };
    let session = datadir::connect(&running, "postgres").map_err(refused)?;
    // Part by part: the group's setting is named like a word of SQL.
    let name: Vec<String> = args.key.split('.').map(sql::name).collect();
    let statement = format!("ALTER SYSTEM SET {} = {}", name.join("."), sql::literal(&args.value));
    session.run(&statement).map_err(refused)?;
    session.run("SELECT pg_reload_conf()").map_err(refused)?;
    let when = "SELECT context = 'postmaster' FROM pg_settings WHERE name = $1";
    let restart = session.one(when, &[&args.key], |row| row.try_get::<_, bool>(0)).map_err(refused)?;
    let mut line = format!("{} is now '{}'", args.key, args.value);
    if restart {
        line = format!(
            "{} will be '{}' when the server has been restarted: pg_ctl restart -D {}",
            args.key,
            args.value,
            pgdata.display()
        );
    }
    let values = [("key", json!(args.key)), ("value", json!(args.value)), ("needs_restart", json!(restart))];
    Ok(View::outcome(line, values))
}

/// From the server when it runs, from its files when it does not.
fn settings(part: Part, pgdata: &Path, postgres: &Postgres) -> Result<Vec<Setting>> {
    let prefix = match part {
        Part::Monitor => "pgautofailover.",
        Part::Node => "pg_autoctl.",
    };
    let session = datadir::running(pgdata).and_then(|running| datadir::connect(&running, "postgres").ok());
    if let Some(session) = session {
        let asked =
            "SELECT name, current_setting(name) FROM pg_settings WHERE starts_with(name, $1) ORDER BY name";
        let rows =
            session.query(asked, &[&prefix]).map_err(|failure| Error::new(Kind::Sql, failure.to_string()))?;
        let read = |row: &tokio_postgres::Row| {
            Some(Setting { key: row.try_get(0).ok()?, value: row.try_get(1).ok()? })
        };
        return Ok(rows.iter().filter_map(read).collect());
    }
    match part {
        Part::Monitor => {
            datadir::require_running(pgdata)?;
            Err(Error::state("the monitor's server does not answer").hint("see its log, and try again"))
        }
        Part::Node => {
            let set = |key: &str| postgres.setting(pgdata, key);
            let setting = |(key, default): (&str, &str)| Setting {
                key: key.to_owned(),
                value: set(key).unwrap_or_else(|| default.to_owned()),
            };
            Ok(KEEPER.iter().copied().map(setting).collect())
        }
    }
}

fn unknown(key: &str, settings: &[Setting]) -> Error {
    let mut near: Vec<(usize, &str)> =
        settings.iter().map(|setting| (distance(key, &setting.key), setting.key.as_str())).collect();
    near.sort_unstable();
    let names: Vec<&str> = near.iter().take(3).map(|(_, name)| *name).collect();
    Error::arguments(format!("there is no setting \"{key}\""))
        .hint(format!("did you mean {}? pg_autoctl config get lists all", names.join(", ")))
}

/// How many letters must change (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_names_are_suggested() {
        let settings: Vec<Setting> = KEEPER
            .iter()
            .map(|(key, value)| Setting { key: (*key).to_owned(), value: (*value).to_owned() })
            .collect();
        let error = unknown("pg_autoctl.formatoin", &settings);
        assert_eq!(error.kind.code(), 1);
        assert_eq!(error.message, "there is no setting \"pg_autoctl.formatoin\"");
        assert!(error.hint.unwrap().starts_with("did you mean pg_autoctl.formation,"));
    }

    #[test]
    fn distances() {
        for (a, b, expected) in [("", "abc", 3), ("kitten", "sitting", 3), ("same", "same", 0)] {
            assert_eq!(distance(a, b), expected);
        }
    }
}
