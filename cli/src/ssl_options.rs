//! What may be said about TLS where a server is made or changed, and the settings that come of it.
use crate::certificate::{self, Pair};
use crate::error::{Error, Result};
use crate::postgres::Postgres;
use connection::{Ssl, SslMode};
use node_files::StateDir;
use std::path::{Path, PathBuf};

const HEADING: &str = "TLS";

/// As typed.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct SslOptions {
    /// Make a certificate that its server signs itself [default]
    #[arg(long, help_heading = HEADING, conflicts_with_all = ["server_cert", "server_key", "ssl_ca_file"])]
    ssl_self_signed: bool,
    /// Certificate of this server (PEM)
    #[arg(long, help_heading = HEADING, value_name = "FILE", requires = "server_key")]
    server_cert: Option<PathBuf>,
    /// Its key (PEM)
    #[arg(long, help_heading = HEADING, value_name = "FILE", requires = "server_cert")]
    server_key: Option<PathBuf>,
    /// Authorities that sign the certificates of servers (PEM)
    #[arg(long, help_heading = HEADING, value_name = "FILE")]
    ssl_ca_file: Option<PathBuf>,
    /// Certificates that they have taken back (PEM)
    #[arg(long, help_heading = HEADING, value_name = "FILE", requires = "ssl_ca_file")]
    ssl_crl_file: Option<PathBuf>,
    /// prefer, require, verify-ca, verify-full [default: verify-full with --ssl-ca-file, else require]
    #[arg(long, help_heading = HEADING, value_name = "MODE")]
    ssl_mode: Option<SslMode>,
}

/// The one option that only a new server takes.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct NoSsl {
    /// No encryption: passwords stay secret, data does not
    #[arg(
        long,
        help_heading = HEADING,
        conflicts_with_all = ["ssl_self_signed", "server_cert", "server_key", "ssl_ca_file", "ssl_crl_file", "ssl_mode"]
    )]
    no_ssl: bool,
}

/// Where a server's certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// From us.
    SelfSigned,
    /// From the operator.
    Given(Pair),
    /// It has one; these are its settings.
    Kept(Vec<(&'static str, String)>),
    /// None: no TLS.
    Nowhere,
}

/// What is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSsl {
    /// What it shows to others.
    pub source: Source,
    /// What it, and whoever connects to it, asks of others.
    pub asks: Ssl,
}

/// The settings of a server about its own certificate; a copy of another server must not take them over.
pub const SERVER_SETTINGS: [&str; 5] =
    ["ssl", "ssl_cert_file", "ssl_key_file", "ssl_ca_file", "ssl_crl_file"];
/// The settings of a node about the others'.
pub const NODE_SETTINGS: [&str; 3] =
    ["pg_autoctl.ssl_mode", "pg_autoctl.ssl_ca_file", "pg_autoctl.ssl_crl_file"];

impl NoSsl {
    /// What both kinds of options mean together.
    pub fn or(&self, options: &SslOptions) -> Result<ServerSsl> {
        if self.no_ssl {
            return Ok(ServerSsl { source: Source::Nowhere, asks: Ssl::of(SslMode::Prefer) });
        }
        options.meant()
    }
}

impl SslOptions {
    /// What is meant. Whatever can be refused is refused here.
    pub fn meant(&self) -> Result<ServerSsl> {
        let source = match (&self.server_cert, &self.server_key) {
            (Some(certificate), Some(key)) => {
                let pair = Pair { certificate: whole(certificate)?, key: whole(key)? };
                certificate::check(&pair)?;
                Source::Given(pair)
            }
            (_, _) => Source::SelfSigned,
        };
        if source == Source::SelfSigned && self.ssl_ca_file.is_some() {
            return Err(Error::arguments(
                "--ssl-ca-file names an authority, and no certificate of this server is given",
            )
            .hint("say --server-cert and --server-key too"));
        }
        let default = if self.ssl_ca_file.is_some() { SslMode::VerifyFull } else { SslMode::Require };
        let asks = Ssl {
            mode: self.ssl_mode.unwrap_or(default),
            root_cert: self.ssl_ca_file.as_deref().map(whole).transpose()?,
            crl: self.ssl_crl_file.as_deref().map(whole).transpose()?,
        };
        if asks.mode == SslMode::Disable {
            return Err(
                Error::arguments("--ssl-mode disable leaves a certificate without use").hint("say --no-ssl")
            );
        }
        if asks.mode == SslMode::Prefer && asks.root_cert.is_some() {
            return Err(Error::arguments(
                "--ssl-mode prefer trusts every server, and --ssl-ca-file names whom to trust",
            )
            .hint("leave one of them out"));
        }
        asks.check_files().map_err(|error| Error::config(error.why).hint(error.hint))?;
        Ok(ServerSsl { source, asks })
    }

    /// Nothing was said.
    fn is_silent(&self) -> bool {
        !self.ssl_self_signed
            && self.server_cert.is_none()
            && self.ssl_ca_file.is_none()
            && self.ssl_mode.is_none()
    }

    /// A server that has a certificate of its own keeps it, unless another one was asked for.
    pub fn or_kept(
        &self,
        meant: ServerSsl,
        pgdata: &Path,
        state_dir: &StateDir,
        postgres: &Postgres,
    ) -> ServerSsl {
        let present = |name| postgres.setting(pgdata, name).unwrap_or_default();
        let ours = || certificate::is_ours(state_dir, Path::new(&present("ssl_cert_file")));
        if meant.source != Source::SelfSigned || !self.is_silent() || present("ssl") != "on" || ours() {
            return meant;
        }
        let settings = SERVER_SETTINGS.into_iter().map(|name| (name, present(name))).collect();
        ServerSsl { source: Source::Kept(settings), ..meant }
    }
}

impl ServerSsl {
    /// The server's settings. Makes the certificate that is to be made.
    pub fn server_settings(
        &self,
        state_dir: &StateDir,
        hostname: &str,
    ) -> Result<Vec<(&'static str, String)>> {
        match &self.source {
            Source::SelfSigned => Ok(self.with_pair(&certificate::made(state_dir, hostname)?)),
            Source::Given(pair) => {
                certificate::check_trusted(pair, hostname, &self.asks)?;
                Ok(self.with_pair(pair))
            }
            Source::Kept(settings) => Ok(settings.clone()),
            Source::Nowhere => Ok(vec![("ssl", "off".to_owned())]),
        }
    }

    /// The settings of a server with this certificate. All of them, or one could be another server's that this one was copied from.
    pub fn with_pair(&self, pair: &Pair) -> Vec<(&'static str, String)> {
        let text = |path: &PathBuf| path.display().to_string();
        let file = |path: &Option<PathBuf>| path.as_ref().map(text).unwrap_or_default();
        let values = [
            "on".to_owned(),
            text(&pair.certificate),
            text(&pair.key),
            file(&self.asks.root_cert),
            file(&self.asks.crl),
        ];
        SERVER_SETTINGS.into_iter().zip(values).collect()
    }

    /// The node's settings about the others.
    pub fn node_settings(&self) -> Vec<(&'static str, String)> {
        let file =
            |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
        let values = [self.asks.mode.to_string(), file(&self.asks.root_cert), file(&self.asks.crl)];
        NODE_SETTINGS.into_iter().zip(values).collect()
    }
}

fn whole(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(Error::io("find", path))
}
