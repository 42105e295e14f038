//! Makes an ordinary server of a node that has left its group: what is ours goes out of its configuration, and what its
//! clients know it by (port, addresses, logs) stays. Every step may be repeated.
use crate::adopt;
use crate::conf;
use crate::context::KEEPER_LIBRARY;
use crate::datadir::{self, Running};
use crate::error::{Error, Kind, Result};
use crate::postgres::Postgres;
use crate::sql::Failure;
use fsm::rule::standby_of;
use node_files::{durable, hba};
use std::path::{Path, PathBuf};
use tracing::info;

/// What the keeper has set by ALTER SYSTEM.
const SET_BY_KEEPER: [&str; 3] = ["primary_conninfo", "primary_slot_name", "synchronous_standby_names"];
/// Of the settings that only our library knows.
const OWN_PREFIX: &str = "pg_autoctl.";
const LIBRARIES: &str = "shared_preload_libraries";

/// Takes the library out. The server still has it until it is restarted, and so still has a keeper, which goes by its
/// settings and sets some itself: they stay until it is gone.
pub fn unload(pgdata: &Path, postgres: &Postgres) -> Result<()> {
    for file in settings_files(pgdata, postgres)? {
        rewrite_file(&file, without_our_library)?;
    }
    if loads_library(&postgres.setting(pgdata, LIBRARIES).unwrap_or_default()) {
        return Err(Error::config(format!(
            "the configuration of \"{}\" still loads {KEEPER_LIBRARY}",
            pgdata.display()
        ))
        .hint(format!("take it out of {LIBRARIES} by hand, then repeat this command")));
    }
    Ok(())
}

/// Takes our slots, settings and access rules out of a server that has no keeper (any more).
pub fn make(pgdata: &Path, postgres: &Postgres) -> Result<()> {
    let running = datadir::running(pgdata);
    match &running {
        Some(running) => drop_slots(running)?,
        None => tell_slots(pgdata),
    }
    let access = PathBuf::from(postgres.known_setting(pgdata, "hba_file")?);
    let text = std::fs::read(&access).map_err(Error::io("read", &access))?;
    let wanted = hba::without_block(&text);
    if wanted != text {
        durable::rewrite(&access, &wanted)?;
    }
    // The block goes last: by it a command that was interrupted knows that there is something left to do.
    for file in settings_files(pgdata, postgres)? {
        rewrite_file(&file, settings)?;
    }
    if running.is_some() { postgres.reload(pgdata) } else { Ok(()) }
}

/// Whether a node was here, and settings of it still are.
pub fn is_unfinished(pgdata: &Path, postgres: &Postgres) -> Result<bool> {
    for file in settings_files(pgdata, postgres)? {
        let text = std::fs::read_to_string(&file).map_err(Error::io("read", &file))?;
        if text.lines().any(|line| name_of(line).starts_with(OWN_PREFIX)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The one with our block is the second.
fn settings_files(pgdata: &Path, postgres: &Postgres) -> Result<[PathBuf; 2]> {
    let main = PathBuf::from(postgres.known_setting(pgdata, "config_file")?);
    Ok([pgdata.join("postgresql.auto.conf"), main])
}

/// Whether the running server has been started with our library.
pub fn has_library(running: &Running) -> Result<bool> {
    let asked = datadir::connect(running, "postgres").and_then(|session| {
        session.one("SELECT current_setting($1)", &[&LIBRARIES], |row| row.try_get::<_, String>(0))
    });
    asked.map(|list| loads_library(&list)).map_err(refused)
}

fn loads_library(list: &str) -> bool {
    adopt::names(list, KEEPER_LIBRARY)
}

fn refused(failure: Failure) -> Error {
    Error::new(Kind::Sql, format!("the server says: {failure}"))
}

/// A slot that nobody uses keeps WAL until the disk is full.
fn drop_slots(running: &Running) -> Result<()> {
    let session = datadir::connect(running, "postgres").map_err(refused)?;
    let asked =
        "SELECT slot_name::text FROM pg_replication_slots WHERE slot_type = 'physical' AND NOT active";
    for row in session.query(asked, &[]).map_err(refused)? {
        let name: String = row.try_get(0).map_err(|error| refused(error.into()))?;
        if standby_of(&name).is_some() {
            session.query("SELECT pg_drop_replication_slot($1)", &[&name]).map_err(refused)?;
        }
    }
    Ok(())
}

fn tell_slots(pgdata: &Path) {
    let slots = std::fs::read_dir(pgdata.join("pg_replslot")).into_iter().flatten().flatten();
    let ours = slots
        .filter_map(|slot| slot.file_name().into_string().ok())
        .filter(|name| standby_of(name).is_some());
    for name in ours {
        info!("the slot {name} keeps WAL: when the server runs, SELECT pg_drop_replication_slot('{name}')");
    }
}

fn rewrite_file(path: &Path, rewrite: impl Fn(&str) -> String) -> Result<()> {
    let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
    let wanted = rewrite(&text);
    if wanted != text {
        durable::rewrite(path, wanted.as_bytes())?;
    }
    Ok(())
}

fn name_of(line: &str) -> String {
    line.split('=').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn without_our_library(text: &str) -> String {
    let kept = text.lines().map(|line| {
        let list = if name_of(line) == LIBRARIES { conf::value_of(line, LIBRARIES) } else { None };
        match list {
            Some(list) if loads_library(&list) => conf::line(LIBRARIES, &without_library(&list)) + "\n",
            Some(_) | None => format!("{line}\n"),
        }
    });
    kept.collect()
}

/// Settings without ours. Those in our block that any server understands stay, as lines of the operator's own.
fn settings(text: &str) -> String {
    let ours = |line: &&str| {
        let name = name_of(line);
        name.starts_with(OWN_PREFIX)
            || SET_BY_KEEPER.contains(&name.as_str())
            || line.starts_with(conf::BEGIN)
            || line.starts_with(conf::END)
    };
    text.lines().filter(|line| !ours(line)).map(|line| format!("{line}\n")).collect()
}

fn without_library(list: &str) -> String {
    let others: Vec<&str> = list.split(',').map(str::trim).filter(|name| !loads_library(name)).collect();
    others.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_know_the_server_by_stays() {
        let text = "max_connections = 7\n\n# pg_autoctl begin\nport = '6001'\n\
                    shared_preload_libraries = 'pg_autoctl, pg_stat_statements'\npg_autoctl.group = '0'\n# pg_autoctl end\n";
        let expected =
            "max_connections = 7\n\nport = '6001'\nshared_preload_libraries = 'pg_stat_statements'\n";
        assert_eq!(settings(&without_our_library(text)), expected);
        assert_eq!(settings(&without_our_library(expected)), expected);
    }

    #[test]
    fn what_the_keeper_set_goes() {
        let text = "# Do not edit\nsynchronous_standby_names = 'ANY 1 (a)'\nwork_mem = '8MB'\nPG_autoctl.name = 'n'\n";
        assert_eq!(settings(text), "# Do not edit\nwork_mem = '8MB'\n");
    }
}
