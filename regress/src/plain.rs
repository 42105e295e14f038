//! Servers as people have them before they hear of us: made by initdb, started by pg_ctl, configured in their own way.
use crate::deadlines::{START, patient};
use crate::server::{Server, text};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

impl Server {
    /// `initdb`, and lines at the end of its configuration. Everybody on the loopback network is let in.
    pub fn initdb(&self, configuration: &str) {
        self.initdb_with(&[], configuration);
    }

    /// The same with arguments for initdb.
    pub fn initdb_with(&self, arguments: &[&str], configuration: &str) {
        let output = self
            .account
            .command(self.install.program("initdb"))
            .args(["--no-sync", "--auth=trust", "-D"])
            .arg(&self.pgdata)
            .args(arguments)
            .output()
            .expect("running initdb");
        assert!(output.status.success(), "initdb: {}", text(&output));
        let own = format!(
            "listen_addresses = '{}'\nport = {}\nunix_socket_directories = '{}'\nfsync = off\n{configuration}\n",
            self.host,
            self.port,
            self.socket_directory().display()
        );
        append(&self.pgdata.join("postgresql.conf"), &own);
        append(
            &self.pgdata.join("pg_hba.conf"),
            "host all all 127.0.0.0/8 trust\nhost replication all 127.0.0.0/8 trust\n",
        );
    }

    /// Where its sockets are: beside its directory, for the usual place is other people's.
    pub fn socket_directory(&self) -> PathBuf {
        self.pgdata.parent().expect("a data directory has a parent").to_path_buf()
    }

    /// Moves the configuration out of PGDATA, as Debian has it. Where it is then.
    pub fn keep_configuration_elsewhere(&self) -> PathBuf {
        let place = self.socket_directory().join(format!("etc-{}", self.name));
        fs::create_dir(&place).expect("making a directory");
        for name in ["postgresql.conf", "pg_hba.conf", "pg_ident.conf"] {
            fs::rename(self.pgdata.join(name), place.join(name)).expect("moving a file");
        }
        let files = format!(
            "data_directory = '{}'\nhba_file = '{p}/pg_hba.conf'\nident_file = '{p}/pg_ident.conf'\n",
            self.pgdata.display(),
            p = place.display()
        );
        append(&place.join("postgresql.conf"), &files);
        for path in [place.clone(), place.join("postgresql.conf")] {
            self.account.own(&path);
        }
        place
    }

    /// `pg_ctl start` with arguments for the server.
    pub fn start_with(&self, arguments: &str) {
        let output = self
            .account
            .command(self.install.program("pg_ctl"))
            .args(["start", "-w", "-t", &patient(START).as_secs().to_string(), "-o", arguments, "-D"])
            .arg(&self.pgdata)
            .arg("-l")
            .arg(self.socket_directory().join(format!("{}.own.log", self.name)))
            .stdin(Stdio::null())
            .output()
            .expect("running pg_ctl");
        assert!(output.status.success(), "pg_ctl start of {}: {}", self.name, text(&output));
    }

    /// A standby of `primary`, made by pg_basebackup as people do it: with a slot of its own, by the superuser.
    pub fn basebackup_of(&self, primary: &Server, slot: &str) {
        let output = self
            .account
            .command(self.install.program("pg_basebackup"))
            .args(["-h", &primary.host, "-p", &primary.port.to_string(), "-U", &self.account.name])
            .args(["--checkpoint=fast", "--no-sync", "-R", "-C", "-S", slot, "-D"])
            .arg(&self.pgdata)
            .output()
            .expect("running pg_basebackup");
        assert!(output.status.success(), "pg_basebackup: {}", text(&output));
        let own = format!("listen_addresses = '{}'\nport = {}\n", self.host, self.port);
        append(&self.pgdata.join("postgresql.conf"), &own);
    }
}

/// Adds lines to a file, which stays its owner's.
pub fn append(path: &Path, lines: &str) {
    let before = fs::read_to_string(path).unwrap_or_default();
    // Written in place: a new file would be ours.
    fs::write(path, format!("{before}{lines}"))
        .unwrap_or_else(|error| panic!("writing {}: {error}", path.display()));
}
