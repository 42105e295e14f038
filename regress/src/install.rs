//! The installed programs: what is tested is what a user gets, not what lies in target/.
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where PostgreSQL and our programs are.
#[derive(Clone, Debug)]
pub struct Install {
    programs: PathBuf,
    libraries: PathBuf,
}

impl Install {
    /// What `.ci/pg-config` names.
    pub fn find() -> Install {
        let pg_config = line_of(&mut Command::new(repository().join(".ci/pg-config")));
        Install {
            programs: line_of(Command::new(&pg_config).arg("--bindir")).into(),
            libraries: line_of(Command::new(&pg_config).arg("--pkglibdir")).into(),
        }
    }

    /// Panics when our own parts are not there.
    pub fn check(&self) {
        for needed in [self.program("pg_autoctl"), self.library("pg_autoctl"), self.library("pgautofailover")]
        {
            assert!(needed.exists(), "{} is not installed; run `make install` first", needed.display());
        }
    }

    /// A program of PostgreSQL's or ours.
    pub fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// A library that servers preload.
    pub fn library(&self, name: &str) -> PathBuf {
        self.libraries.join(format!("{name}.so"))
    }
}

/// The root of the checkout that this harness was built in.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn line_of(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("running {command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?} failed; is PostgreSQL with its server headers installed? (make deps)"
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
