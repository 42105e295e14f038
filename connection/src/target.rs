//! A server to connect to, and what the connection asks of TLS.
use crate::{Error, Ssl, SslMode, tls};
use tokio_postgres::config::{ChannelBinding, SslMode as Negotiation};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Connection, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

/// What drives the conversation; somebody must poll it.
pub type Link = Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>;

/// Where to connect, as whom, and how.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where and as whom. What it says about TLS does not count.
    pub config: Config,
    /// What is asked of TLS.
    pub ssl: Ssl,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectFailure {
    /// It could not be a safe one.
    #[error("{0}")]
    Tls(Error),
    /// Anything else.
    #[error("{0}")]
    Postgres(#[from] tokio_postgres::Error),
}

impl Target {
    /// A server's own Unix socket: nobody is in between.
    pub fn local(config: Config) -> Target {
        Target { config, ssl: Ssl::of(SslMode::Disable) }
    }

    /// Connects and authenticates. Dropping it half-way ends the attempt.
    pub async fn connect(&self) -> Result<(Client, Link), ConnectFailure> {
        let mut config = self.config.clone();
        config.ssl_mode(match self.ssl.mode {
            SslMode::Disable => Negotiation::Disable,
            SslMode::Prefer => Negotiation::Prefer,
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => Negotiation::Require,
        });
        // Without it, somebody in the middle could pass the proof on, and read along.
        let proves = self.ssl.encrypts() && config.get_password().is_some();
        config.channel_binding(if proves { ChannelBinding::Require } else { ChannelBinding::Prefer });
        let connector = MakeRustlsConnect::new(tls::client(&self.ssl).map_err(ConnectFailure::Tls)?);
        config.connect(connector).await.map_err(|error| self.explained(error))
    }

    fn explained(&self, error: tokio_postgres::Error) -> ConnectFailure {
        let mut cause = std::error::Error::source(&error);
        while let Some(deeper) = cause {
            if let Some(reason) = deeper.downcast_ref().and_then(tls::in_io) {
                return ConnectFailure::Tls(tls::explained(reason, &self.ssl));
            }
            // tokio-postgres has only words for these two.
            match deeper.to_string().as_str() {
                "server does not support TLS" => return ConnectFailure::Tls(tls::without_tls()),
                "server did not use channel binding" => return ConnectFailure::Tls(unbound()),
                _ => cause = deeper.source(),
            }
        }
        ConnectFailure::Postgres(error)
    }
}

fn unbound() -> Error {
    Error::new(
        "the server does not prove over this very TLS connection that it knows the password (channel binding)",
        "its pg_hba.conf must ask for scram-sha-256, its certificate must be signed with SHA-2, and no pooler may stand in between",
    )
}
