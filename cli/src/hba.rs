//! Who may connect to a new server: what `create` writes into pg_hba.conf, or prints when that file is left alone.
use crate::error::{Error, Result};
use crate::postgres::Postgres;
use clap::ValueEnum;
use node_files::durable;
use node_files::hba::{self, Admitted};
use std::net::ToSocketAddrs;
use std::path::{Path, PathBuf};

/// How clients prove who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Auth {
    /// Passwords that never cross the network
    #[value(name = "scram-sha-256")]
    ScramSha256,
    /// No proof at all: whoever can connect is let in
    Trust,
}

impl Auth {
    /// As pg_hba.conf writes it.
    pub const fn method(self) -> &'static str {
        match self {
            Auth::ScramSha256 => "scram-sha-256",
            Auth::Trust => "trust",
        }
    }
}

/// Options about who may connect.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Access {
    /// How clients of the new server prove who they are. Replication always takes a password; a monitor made with trust
    /// gives that password to whoever asks
    #[arg(long, value_enum, default_value = "scram-sha-256")]
    pub auth: Auth,
    /// Leave pg_hba.conf alone and print the lines that it needs
    #[arg(long)]
    pub skip_pg_hba: bool,
}

/// What the line for clients stands below. Only a cluster that we made has it.
const CLIENTS: &str = "# Clients, as told to pg_autoctl create:";

impl Access {
    /// The file of a cluster that was just made, or copied from one that keeps its own elsewhere: nobody comes in but the
    /// server's own user.
    pub fn begin(self, made: &Path) -> Result<()> {
        let path = made.join("pg_hba.conf");
        if self.skip_pg_hba && path.exists() {
            return Ok(());
        }
        let text = format!("{}{CLIENTS}\n", hba::of_new_cluster());
        Ok(durable::write(&path, text.as_bytes())?)
    }

    /// Lets in the clients of a node, once its configuration is written: no lines of a cluster that somebody else made are changed.
    pub fn finish_node(self, postgres: &Postgres, pgdata: &Path) -> Result<()> {
        let (path, encrypted) = (file(postgres, pgdata), is_encrypted(postgres, pgdata));
        let text = read(&path)?;
        if !self.skip_pg_hba && text.ends_with(format!("{CLIENTS}\n").as_bytes()) {
            let line = hba::of_clients(encrypted, self.auth.method()) + "\n";
            durable::rewrite(&path, &[text, line.into_bytes()].concat())?;
        }
        Ok(())
    }

    /// Lets nodes and operators in to a monitor, once its configuration is written.
    pub fn finish_monitor(self, postgres: &Postgres, pgdata: &Path) -> Result<()> {
        if self.skip_pg_hba {
            return Ok(());
        }
        let path = file(postgres, pgdata);
        let text = read(&path)?;
        let block = hba::with_block(&text, &self.lines_of_monitor(postgres, pgdata));
        if block != text {
            durable::rewrite(&path, &block)?;
        }
        Ok(())
    }

    /// What a monitor's file has to begin with.
    pub fn lines_of_monitor(self, postgres: &Postgres, pgdata: &Path) -> Vec<String> {
        hba::of_monitor(is_encrypted(postgres, pgdata), self.auth.method())
    }
}

/// The text of a monitor's file for a server with TLS, or without, and where it belongs; nothing when the operator writes it.
pub fn of_monitor_anew(
    postgres: &Postgres,
    pgdata: &Path,
    encrypted: bool,
) -> Result<Option<(PathBuf, Vec<u8>)>> {
    let path = file(postgres, pgdata);
    let text = read(&path)?;
    let present = hba::block_of(&text);
    let method = present.first().and_then(|line| line.split_whitespace().last());
    let anew = method.map(|method| hba::with_block(&text, &hba::of_monitor(encrypted, method)));
    Ok(anew.map(|anew| (path, anew)))
}

/// What the file of a node has to begin with, for these peers.
pub fn lines_of_node<'a>(
    postgres: &Postgres,
    pgdata: &Path,
    peers: impl IntoIterator<Item = &'a str>,
) -> Vec<String> {
    let admitted: Vec<Admitted> = peers
        .into_iter()
        .map(|host| {
            // A name that nobody knows yet gets its lines from the keeper's log.
            let found = (host, 0).to_socket_addrs().into_iter().flatten();
            let mut addresses: Vec<_> = found.map(|address| address.ip()).collect();
            addresses.sort();
            addresses.dedup();
            Admitted { host: host.to_owned(), addresses }
        })
        .collect();
    hba::of_node(is_encrypted(postgres, pgdata), &admitted)
}

fn is_encrypted(postgres: &Postgres, pgdata: &Path) -> bool {
    postgres.setting(pgdata, "ssl").is_some_and(|ssl| ssl == "on")
}

fn file(postgres: &Postgres, pgdata: &Path) -> PathBuf {
    let set = postgres.setting(pgdata, "hba_file").filter(|path| !path.is_empty());
    set.map_or_else(|| pgdata.join("pg_hba.conf"), |path| pgdata.join(path))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(Error::io("read", path))
}
