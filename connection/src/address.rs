//! Where the monitor is, and the password that opens it. The two are kept apart from the first moment: the address
//! goes into settings and onto the screen, the password never does.
use crate::keywords::{percent, split};
use crate::{Error, Ssl, Target};
use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use tokio_postgres::Config;
use tokio_postgres::config::Host;

/// The database of every monitor.
pub const MONITOR_DATABASE: &str = "pg_auto_failover";
/// The role that nodes and operators use on it.
pub const MONITOR_ROLE: &str = "autoctl_node";
const DEFAULT_PORT: u16 = 5432;

/// Where a monitor is, without a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Names or addresses, each with its port.
    hosts: Vec<(String, u16)>,
    user: String,
    database: String,
    ssl: Ssl,
}

impl Address {
    /// A monitor on one host.
    pub fn of(host: &str, port: u16, ssl: Ssl) -> Address {
        Address {
            hosts: vec![(host.to_owned(), port)],
            user: MONITOR_ROLE.to_owned(),
            database: MONITOR_DATABASE.to_owned(),
            ssl,
        }
    }

    /// Takes a connection string apart: the address, and the password that stood in it.
    pub fn parse(text: &str) -> Result<(Address, Option<String>), Error> {
        let unreadable = |why: &str| {
            Error::new(
                format!("the monitor's connection string {why}"),
                "it looks like postgres://autoctl_node@monitor.example:5432/pg_auto_failover?sslmode=require",
            )
        };
        let (text, ssl) = split(text)?;
        // The parser's reason may quote the text, and the text may hold a password: so it is not shown.
        let config: Config = text.parse().map_err(|_| unreadable("cannot be read"))?;
        let ports = config.get_ports();
        let host = |(number, host): (usize, &Host)| {
            let port = ports.get(number).or(ports.first()).copied().unwrap_or(DEFAULT_PORT);
            match host {
                Host::Tcp(name) => Ok((name.clone(), port)),
                Host::Unix(_) => Err(Error::new(
                    "the monitor's connection string names a Unix socket",
                    "nodes reach their monitor over TCP: give a host name or an address",
                )),
            }
        };
        let hosts = config.get_hosts().iter().enumerate().map(host).collect::<Result<Vec<_>, _>>()?;
        if hosts.is_empty() {
            return Err(unreadable("names no host"));
        }
        let password = config.get_password().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let address = Address {
            hosts,
            user: config.get_user().unwrap_or(MONITOR_ROLE).to_owned(),
            database: config.get_dbname().unwrap_or(MONITOR_DATABASE).to_owned(),
            ssl,
        };
        Ok((address, password))
    }

    /// The parameters of a connection.
    pub fn target(&self, password: Option<&str>) -> Target {
        let mut config = Config::new();
        for (host, port) in &self.hosts {
            config.host(host).port(*port);
        }
        config.user(&self.user).dbname(&self.database);
        if let Some(password) = password {
            config.password(password);
        }
        Target { config, ssl: self.ssl.clone() }
    }

    /// What it asks of TLS.
    pub fn ssl(&self) -> &Ssl {
        &self.ssl
    }

    /// The role in it.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// `host:port`, for messages.
    pub fn place(&self) -> String {
        let places: Vec<String> =
            self.hosts.iter().map(|(host, port)| format!("{}:{port}", bracketed(host))).collect();
        places.join(",")
    }

    /// The hosts, each with its port.
    pub fn hosts(&self) -> &[(String, u16)] {
        &self.hosts
    }

    /// With a password in it, for the one command that is asked to show it.
    pub fn with_password(&self, password: &str) -> String {
        self.written(&format!("{}:{}", percent(&self.user), percent(password)))
    }

    fn written(&self, credentials: &str) -> String {
        let path = |value: String| percent(&value).replace("%2F", "/");
        let parameters =
            self.ssl.parameters().into_iter().map(|(name, value)| format!("{name}={}", path(value)));
        format!(
            "postgres://{credentials}@{}/{}?{}",
            self.place(),
            percent(&self.database),
            parameters.collect::<Vec<_>>().join("&")
        )
    }

    /// The password from PGPASSWORD or from libpq's password file.
    pub fn password_from_environment(&self) -> Option<String> {
        let given = std::env::var("PGPASSWORD").ok().filter(|password| !password.is_empty());
        given.or_else(|| self.password_from_file())
    }

    fn password_from_file(&self) -> Option<String> {
        let named = std::env::var_os("PGPASSFILE").map(PathBuf::from);
        let path = named.or_else(|| std::env::home_dir().map(|home| home.join(".pgpass")))?;
        // As libpq does: a password file that others may read is not used.
        let mode = std::fs::metadata(&path).ok()?.permissions().mode();
        if mode & 0o077 != 0 {
            return None;
        }
        let text = std::fs::read_to_string(&path).ok()?;
        self.hosts.iter().find_map(|(host, port)| {
            let port = port.to_string();
            text.lines().find_map(|line| password_in(line, [host, &port, &self.database, &self.user]))
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written(&percent(&self.user)))
    }
}

/// The password of one line of a password file, when its four fields match.
fn password_in(line: &str, wanted: [&str; 4]) -> Option<String> {
    if line.starts_with('#') {
        return None;
    }
    let mut fields = vec![];
    let mut field = String::new();
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => field.push(characters.next()?),
            // The password is the rest of the line.
            ':' if fields.len() < 4 => fields.push(std::mem::take(&mut field)),
            other => field.push(other),
        }
    }
    let complete = fields.len() == 4;
    let matches = fields.iter().zip(wanted).all(|(field, wanted)| field == "*" || field == wanted);
    (complete && matches).then_some(field)
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SslMode;

    #[test]
    fn the_password_is_taken_out_of_the_address() {
        let (address, password) =
            Address::parse("postgres://autoctl_node:s%40crt@mon:5433/pg_auto_failover").unwrap();
        assert_eq!(password.as_deref(), Some("s@crt"));
        let rest = "@mon:5433/pg_auto_failover?sslmode=require";
        assert_eq!(address.to_string(), format!("postgres://autoctl_node{rest}"));
        assert_eq!(address.with_password("s@crt"), format!("postgres://autoctl_node:s%40crt{rest}"));
    }

    #[test]
    fn what_is_left_out_is_what_a_monitor_has() {
        let (address, _) = Address::parse("postgres://mon").unwrap();
        assert_eq!(address, Address::of("mon", 5432, Ssl::default()));
        let (address, _) = Address::parse("host=10.0.0.1 port=6000 sslmode=disable").unwrap();
        assert_eq!(address, Address::of("10.0.0.1", 6000, Ssl::of(SslMode::Disable)));
    }

    #[test]
    fn what_it_says_about_tls_is_kept() {
        let text =
            "postgres://autoctl_node@mon:5432/pg_auto_failover?sslmode=verify-full&sslrootcert=/etc/ca.pem";
        let (address, _) = Address::parse(text).unwrap();
        assert_eq!(address.to_string(), text);
        assert_eq!(Address::parse(&address.with_password("x&y")).unwrap(), (address, Some("x&y".to_owned())));
    }

    #[test]
    fn a_bad_string_is_not_repeated() {
        for bad in ["postgres://u:hunter2@h:port/db", "hunter2", "postgres:///db", "host=/tmp"] {
            let error = Address::parse(bad).unwrap_err();
            assert!(!error.in_full().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn password_files_are_read_as_libpq_reads_them() {
        let wanted = ["h", "5432", "d", "u"];
        assert_eq!(password_in("h:5432:d:u:p", wanted).as_deref(), Some("p"));
        assert_eq!(password_in(r"*:*:*:u:a\:b\\c:d", wanted).as_deref(), Some(r"a:b\c:d"));
        for other in ["#h:5432:d:u:p", "h:5433:d:u:p", "h:5432:d:u", ""] {
            assert_eq!(password_in(other, wanted), None, "{other}");
        }
    }
}
