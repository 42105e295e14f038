//! A cluster that somebody else configured: it gets what replication needs and nothing more, and what is enough already stays
//! as it is, wherever it was set.
//!
//! Our lines stand in the marked block at the end of the file that the server reads, which need not be in PGDATA. What
//! `ALTER SYSTEM` has set wins over that file, so it is changed where it was set. Everything is checked as the next life of
//! the server will see it, and taken back when that cannot start.
use crate::conf;
use crate::error::{Error, Result};
use crate::postgres::Postgres;
use node_files::durable;
use std::fs;
use std::path::{Path, PathBuf};

const LIBRARIES: &str = "shared_preload_libraries";

/// When a setting is not good enough.
enum Need {
    /// The number is lower.
    AtLeast(u64),
    /// It has this value.
    InsteadOf(&'static str),
}

/// What replication needs: the setting, when it must change, and its value then. Numbers are in the setting's base unit.
///
/// Not more senders and slots than PostgreSQL has by default: with more than they have themselves, standbys that follow
/// this server today would stop replaying.
const NEEDS: [(&str, Need, &str); 9] = [
    ("wal_level", Need::InsteadOf("minimal"), "replica"),
    ("hot_standby", Need::InsteadOf("off"), "on"),
    ("max_wal_senders", Need::AtLeast(10), "10"),
    ("max_replication_slots", Need::AtLeast(10), "10"),
    // The keeper is one of them.
    ("max_worker_processes", Need::AtLeast(8), "8"),
    // For pg_rewind.
    ("wal_log_hints", Need::InsteadOf("off"), "on"),
    ("wal_keep_size", Need::AtLeast(128), "128MB"),
    // PostgreSQL's defaults are a tax on every failover; what somebody has chosen stays.
    ("wal_receiver_timeout", Need::InsteadOf("60000"), "5s"),
    ("wal_retrieve_retry_interval", Need::InsteadOf("5000"), "500ms"),
];

/// What must change, by the values of the next life.
fn lacking(value: impl Fn(&str) -> Option<String>) -> Vec<(&'static str, String)> {
    let lacks = |(name, need, _): &&(&'static str, Need, &'static str)| match (need, value(name)) {
        (Need::AtLeast(least), Some(value)) => value.parse::<u64>().is_ok_and(|value| value < *least),
        (Need::InsteadOf(bad), Some(value)) => value == *bad,
        // This version of PostgreSQL has no such setting.
        (_, None) => false,
    };
    NEEDS.iter().filter(lacks).map(|(name, _, value)| (*name, (*value).to_owned())).collect()
}

/// What a standby must not have less of than the server that its data come from, where `wrong` says so of its own value
/// and that server's.
fn unlike_source(
    postgres: &Postgres,
    pgdata: &Path,
    wrong: fn(u64, u64) -> bool,
) -> Result<Vec<(&'static str, String)>> {
    let sources = postgres.least_for_standby(pgdata)?.into_iter();
    let unlike = |(name, source): &(&str, u64)| {
        let value = postgres.setting(pgdata, name).and_then(|value| value.parse::<u64>().ok());
        value.is_some_and(|value| wrong(value, *source))
    };
    Ok(sources.filter(unlike).map(|(name, source)| (name, source.to_string())).collect())
}

/// In a copy whose configuration is ours, makes these equal to its source's: with less it could not follow, and with more
/// its source could not follow it after a failover.
pub fn equal_to_source(postgres: &Postgres, copy: &Path) -> Result<()> {
    let unlike = unlike_source(postgres, copy, |own, source| own != source)?;
    if unlike.is_empty() {
        return Ok(());
    }
    let file = copy.join("postgresql.conf");
    rewrite(&file, &conf::with_in_block(&read(&file)?, &unlike))
}

/// Whether the next life of the server loads the library.
pub fn loads(postgres: &Postgres, pgdata: &Path, library: &str) -> bool {
    let libraries = postgres.setting(pgdata, LIBRARIES).unwrap_or_default();
    names(&libraries, library)
}

/// Whether a list of libraries names this one.
pub fn names(libraries: &str, library: &str) -> bool {
    libraries.split(',').any(|name| name.trim().trim_matches('"') == library)
}

/// The configuration files as they were.
pub struct Before(Vec<(PathBuf, String)>);

impl Before {
    /// Puts them back.
    pub fn restore(&self) -> Result<()> {
        self.0.iter().try_for_each(|(path, text)| rewrite(path, text))
    }
}

/// Makes the next life of the server in `pgdata` one of a node, with `own` settings. The library comes last: until then a
/// restart by somebody else is as good as any before.
pub fn configure(
    postgres: &Postgres,
    pgdata: &Path,
    library: &str,
    own: &[(&str, String)],
) -> Result<Before> {
    let file = PathBuf::from(postgres.known_setting(pgdata, "config_file")?);
    let auto = pgdata.join("postgresql.auto.conf");
    let before = Before(vec![(file.clone(), read(&file)?), (auto.clone(), read(&auto)?)]);
    change(postgres, pgdata, library, own, &file, &auto).map_err(|error| match before.restore() {
        Ok(()) => error,
        Err(second) => second,
    })?;
    Ok(before)
}

fn change(
    postgres: &Postgres,
    pgdata: &Path,
    library: &str,
    own: &[(&str, String)],
    file: &Path,
    auto: &Path,
) -> Result<()> {
    let mut wanted = unlike_source(postgres, pgdata, |own, source| own < source)?;
    for need in lacking(|name| postgres.setting(pgdata, name)) {
        if !wanted.iter().any(|(name, _)| *name == need.0) {
            wanted.push(need);
        }
    }
    wanted.extend(own.iter().map(|(name, value)| (*name, value.clone())));
    let by_system = |(name, value): &&(&str, String)| {
        let set = conf::value_of(&read(auto).unwrap_or_default(), name);
        set.is_some_and(|set| set != *value)
    };
    let overridden: Vec<_> = wanted.iter().filter(by_system).cloned().collect();
    if !overridden.is_empty() {
        rewrite(auto, &conf::with(&read(auto)?, &overridden))?;
    }
    let libraries = postgres.setting(pgdata, LIBRARIES).unwrap_or_default();
    let libraries = vec![(LIBRARIES, conf::with_library(&libraries, library))];
    let all: Vec<_> = wanted.iter().chain(&libraries).cloned().collect();
    rewrite(file, &conf::with_in_block(&read(file)?, &all))?;
    if conf::value_of(&read(auto)?, LIBRARIES).is_some() {
        rewrite(auto, &conf::with(&read(auto)?, &libraries))?;
    }
    check(postgres, pgdata, library)
}

/// What the arguments of the server's start say cannot be changed by any file.
fn check(postgres: &Postgres, pgdata: &Path, library: &str) -> Result<()> {
    let mut stubborn: Vec<&str> =
        lacking(|name| postgres.setting(pgdata, name)).iter().map(|(name, _)| *name).collect();
    if !loads(postgres, pgdata, library) {
        stubborn.push(LIBRARIES);
    }
    match stubborn.first() {
        None => Ok(()),
        Some(name) => Err(Error::config(format!(
            "{name} of the server in \"{}\" is set where no configuration file can change it",
            pgdata.display()
        ))
        .hint("take it out of the arguments that the server is started with, or out of the lines below our block, and repeat")),
    }
}

fn read(path: &Path) -> Result<String> {
    match fs::read(path) {
        // Comments may be written in any encoding. Rare enough to be refused.
        Ok(bytes) => String::from_utf8(bytes).map_err(|_| {
            Error::config(format!("\"{}\" is not written in UTF-8", path.display()))
                .hint("convert it, or remove the comments that are not, and repeat")
        }),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(cause) => Err(Error::io("read", path)(cause)),
    }
}

fn rewrite(path: &Path, text: &str) -> Result<()> {
    if read(path)? == text {
        return Ok(());
    }
    Ok(durable::rewrite(path, text.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_enough_stays() {
        let good = |name: &str| {
            Some(match name {
                "wal_level" => "logical".to_owned(),
                "wal_keep_size" => "4096".to_owned(),
                "wal_receiver_timeout" => "30000".to_owned(),
                name if name.starts_with("max_") => "50".to_owned(),
                _ => "on".to_owned(),
            })
        };
        assert_eq!(lacking(good), []);
        assert_eq!(lacking(|_| None), []);
    }

    #[test]
    fn what_is_not_enough_is_raised() {
        let low = |name: &str| match name {
            "wal_level" => Some("minimal".to_owned()),
            "max_wal_senders" => Some("0".to_owned()),
            "wal_retrieve_retry_interval" => Some("5000".to_owned()),
            _ => Some("1000".to_owned()),
        };
        let expected =
            [("wal_level", "replica"), ("max_wal_senders", "10"), ("wal_retrieve_retry_interval", "500ms")];
        assert_eq!(lacking(low), expected.map(|(name, value)| (name, value.to_owned())));
    }

    #[test]
    fn libraries_are_found_in_their_list() {
        assert!(names("pg_stat_statements, \"pg_autoctl\"", "pg_autoctl"));
        assert!(!names("pg_autoctl_old", "pg_autoctl"));
    }

    #[test]
    fn a_link_to_the_configuration_stays_with_its_mode() {
        let directory = tempfile::tempdir().unwrap();
        let (real, link) = (directory.path().join("real"), directory.path().join("link"));
        fs::write(&real, "old").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o644)).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        rewrite(&link, "new").unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&real).unwrap(), "new");
        assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o644);
    }
}
