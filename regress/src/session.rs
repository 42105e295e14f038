//! One connection to a server, for code that waits: each call has a deadline, so that no frozen server freezes a test.
use crate::deadlines::{CONNECT, STATEMENT, patient};
use crate::encryption;
use connection::{ConnectFailure, Target};
use std::fmt;
use std::future::Future;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::config::Host;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{CancelToken, Client, Config, NoTls, SimpleQueryMessage, Statement};

/// A statement that did not succeed. Whether it took effect is unknown unless the server said no.
#[derive(Clone, Debug)]
pub struct SqlError {
    /// The SQLSTATE, when the server answered.
    pub code: Option<String>,
    /// What was said.
    pub message: String,
}

impl SqlError {
    /// The server refused to write: a standby, or a fenced primary.
    pub fn is_read_only(&self) -> bool {
        self.code.as_deref() == Some(SqlState::READ_ONLY_SQL_TRANSACTION.code())
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code.as_deref().unwrap_or("-"), self.message)
    }
}

impl From<tokio_postgres::Error> for SqlError {
    fn from(error: tokio_postgres::Error) -> SqlError {
        let code = error.code().map(|code| code.code().to_owned());
        let message = match error.as_db_error() {
            Some(answer) => answer.message().to_owned(),
            None => error.to_string(),
        };
        SqlError { code, message }
    }
}

impl From<ConnectFailure> for SqlError {
    fn from(failure: ConnectFailure) -> SqlError {
        match failure {
            ConnectFailure::Tls(error) => SqlError { code: None, message: error.in_full() },
            ConnectFailure::Postgres(error) => error.into(),
        }
    }
}

/// An open connection.
pub struct Session {
    client: Client,
    runtime: Runtime,
}

impl Session {
    /// Connects to the first of the config's hosts that will do.
    pub fn open(config: &Config) -> Result<Session, SqlError> {
        Session::open_within(config, CONNECT)
    }

    /// The same with another limit for each log-in.
    pub fn open_within(config: &Config, limit: Duration) -> Result<Session, SqlError> {
        let runtime = Builder::new_current_thread().enable_all().build().expect("building a runtime");
        // One by one, as libpq does: the limit is for all of a log-in, and a host that accepts and never answers is passed over.
        let mut last = SqlError { code: None, message: "no host to connect to".to_owned() };
        for config in one_by_one(config) {
            let target = secured(&config);
            let opened = within(&runtime, limit, async {
                let (client, connection) = target.connect().await?;
                // It ends with the client; what went wrong is told to the statement that was under way.
                tokio::spawn(async { drop(connection.await) });
                Ok(client)
            });
            match opened {
                Ok(client) => return Ok(Session { client, runtime }),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// What cancels its statements, from anywhere.
    pub fn canceller(&self) -> Canceller {
        Canceller(self.client.cancel_token())
    }

    /// The process that serves it.
    pub fn backend(&self) -> Result<String, SqlError> {
        let rows = self.rows("SELECT pg_backend_pid()", patient(STATEMENT))?;
        Ok(rows.into_iter().flatten().flatten().next().unwrap_or_default())
    }

    /// Runs statements as psql would; rows as text.
    pub fn rows(&self, sql: &str, limit: Duration) -> Result<Vec<Vec<Option<String>>>, SqlError> {
        let messages = within(&self.runtime, limit, async { Ok(self.client.simple_query(sql).await?) })?;
        let mut rows = Vec::new();
        for message in &messages {
            if let SimpleQueryMessage::Row(row) = message {
                rows.push((0..row.len()).map(|column| row.get(column).map(str::to_owned)).collect());
            }
        }
        Ok(rows)
    }

    /// Prepares a statement, for [`Session::text`].
    pub fn prepare(&self, sql: &str) -> Result<Statement, SqlError> {
        within(&self.runtime, patient(STATEMENT), async { Ok(self.client.prepare(sql).await?) })
    }

    /// Runs a prepared statement; the text that it returns.
    pub fn text(
        &self,
        statement: &Statement,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<String, SqlError> {
        within(&self.runtime, patient(STATEMENT), async {
            Ok(self.client.query_one(statement, parameters).await?.get(0))
        })
    }

    /// Runs one statement with parameters; the first column of its first row, if it returned one.
    pub fn write(
        &self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
        limit: Duration,
    ) -> Result<Option<bool>, SqlError> {
        within(&self.runtime, limit, async {
            let rows = self.client.query(sql, parameters).await?;
            Ok(rows.first().map(|row| row.get(0)))
        })
    }
}

/// Cancels a statement of a session as a client does, over a connection of its own.
pub struct Canceller(CancelToken);

impl Canceller {
    /// Asks the server to cancel what the session does.
    pub fn cancel(&self) {
        let runtime = Builder::new_current_thread().enable_all().build().expect("building a runtime");
        let asked = within(&runtime, patient(STATEMENT), async { Ok(self.0.cancel_query(NoTls).await?) });
        asked.unwrap_or_else(|error| panic!("asking for a cancellation: {error}"));
    }
}

/// A connection configuration for one server.
pub fn target(host: &str, port: u16, user: &str, password: &str, database: &str) -> Config {
    let mut config = Config::new();
    config.host(host).port(port).user(user).password(password).dbname(database).connect_timeout(CONNECT);
    config
}

/// How to connect: as the nodes and their clients are told by default.
pub fn secured(config: &Config) -> Target {
    Target { config: config.clone(), ssl: encryption::of_clients() }
}

/// The same for each host alone.
fn one_by_one(config: &Config) -> Vec<Config> {
    let ports = config.get_ports();
    let alone = |(at, host): (usize, &Host)| {
        let mut alone = Config::new();
        match host {
            Host::Tcp(name) => alone.host(name),
            Host::Unix(directory) => alone.host_path(directory),
        };
        if let Some(port) = ports.get(at).or(ports.first()) {
            alone.port(*port);
        }
        config.get_user().map(|user| alone.user(user));
        config.get_password().map(|password| alone.password(password));
        config.get_dbname().map(|name| alone.dbname(name));
        config.get_options().map(|options| alone.options(options));
        alone.target_session_attrs(config.get_target_session_attrs());
        alone
    };
    config.get_hosts().iter().enumerate().map(alone).collect()
}

fn within<T>(
    runtime: &Runtime,
    limit: Duration,
    work: impl Future<Output = Result<T, SqlError>>,
) -> Result<T, SqlError> {
    runtime.block_on(async {
        tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
            Err(SqlError { code: None, message: format!("no answer within {} ms", limit.as_millis()) })
        })
    })
}
