//! `create monitor`
use crate::context::{Context, MONITOR_LIBRARY, Part};
use crate::datadir::{self, Content, Running};
use crate::error::{Error, Kind, Result};
use crate::hba::{Access, Auth};
use crate::install::{self, Place};
use crate::postgres::Postgres;
use crate::sql::{self, Session};
use crate::ssl_options::{NoSsl, SslOptions};
use crate::view::View;
use connection::Address;
use connection::address::{MONITOR_DATABASE, MONITOR_ROLE};
use node_files::{Secrets, StateDir, identity};
use serde_json::json;
use std::path::Path;
use tracing::info;

/// Options of `create monitor`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Port of the server [default: the one that it has, else 5432]
    #[arg(long)]
    pgport: Option<u16>,
    /// Name or address that nodes reach it by [default: this machine's name]
    #[arg(long)]
    hostname: Option<String>,
    /// Addresses to listen on
    #[arg(long, default_value = "*", value_name = "ADDRESSES")]
    listen: String,
    /// Who may connect
    #[command(flatten)]
    access: Access,
    #[command(flatten)]
    ssl: SslOptions,
    #[command(flatten)]
    no_ssl: NoSsl,
    /// Run the server in the foreground then, as `pg_autoctl run` does
    #[arg(long)]
    run: bool,
}

const DEFAULT_PORT: u16 = 5432;
/// Each of as many nodes as the monitor has room for keeps a connection; the rest is for operators and their tools.
const MAX_CONNECTIONS: u16 = 1_200;

/// Makes what is missing of a monitor, in an order in which each step can be repeated.
pub fn run(args: &Args, context: &Context) -> Result<View> {
    let (pgdata, postgres) = (context.pgdata()?.to_path_buf(), context.postgres()?);
    let server = datadir::settled(&pgdata)?;
    let running = server.is_some();
    let place = Place {
        state_dir: StateDir::beside(&pgdata),
        listen: args.listen.clone(),
        port: port(args, server.as_ref(), &pgdata, &postgres)?,
        pgdata,
    };
    check(&place, &postgres, running)?;
    if let (true, Some(server)) = (args.run, &server) {
        return Err(Error::state(format!(
            "the server in \"{}\" runs already, as process {}",
            place.pgdata.display(),
            server.pid
        ))
        .hint("leave --run out, or stop it first: pg_autoctl stop"));
    }
    let hostname = args.hostname.clone().unwrap_or_else(install::machine_name);
    let ssl = args.no_ssl.or(&args.ssl)?;
    let address = Address::of(&hostname, place.port, ssl.asks.clone());
    // What was told once need not be told again.
    let known = install::read_address(&place.state_dir).ok();
    let known = known.filter(|known| known.hosts().iter().any(|(_, port)| *port == place.port));
    let address = if args.hostname.is_none() { known.unwrap_or(address) } else { address };

    place.make_state_dir()?;
    let lock = datadir::lock(&place.state_dir)?;
    if datadir::inspect(&place.pgdata)? != Content::Cluster {
        datadir::put_in_place(&place.make_cluster(&postgres, args.access)?, &place.pgdata)?;
    }
    if running {
        if context.part(&postgres)? != Part::Monitor {
            return Err(not_a_monitor(&place));
        }
    } else {
        let mut own = ssl.server_settings(&place.state_dir, &hostname)?;
        own.push(("max_connections", MAX_CONNECTIONS.to_string()));
        place.configure(&postgres, &place.pgdata, MONITOR_LIBRARY, &own)?;
        args.access.finish_monitor(&postgres, &place.pgdata)?;
        drop(lock);
        postgres.start(&place.pgdata, &place.start_log())?;
    }
    let made = populate(&place)?;
    let complete = running && !made;
    let new_password = set_password(&place, context)?;
    install::write_address(&place.state_dir, &address)?;

    if complete && !new_password {
        info!("the monitor was complete already");
    } else {
        info!("the monitor is ready; nodes and operators reach it by the address printed next");
        if args.access.auth == Auth::ScramSha256 {
            info!(
                "the password of {MONITOR_ROLE} is kept in \"{}\": give it to pg_autoctl create postgres as PGPASSWORD, \
                 or in ~/.pgpass; pg_autoctl show uri --with-password --pgdata {} prints it inside the address",
                place.state_dir.secrets().display(),
                place.pgdata.display()
            );
        }
    }
    if args.run {
        postgres.stop(&place.pgdata)?;
        return super::run::run(context);
    }
    let view = View::outcome(
        address.to_string(),
        [
            ("monitor", json!(address.to_string())),
            ("pgdata", json!(place.pgdata)),
            ("existed", json!(complete)),
        ],
    );
    let lines = args.access.skip_pg_hba.then(|| args.access.lines_of_monitor(&postgres, &place.pgdata));
    Ok(view.with_pg_hba(lines))
}

/// The port that was asked for, or that the monitor has.
fn port(args: &Args, server: Option<&Running>, pgdata: &Path, postgres: &Postgres) -> Result<u16> {
    match (args.pgport, server) {
        (Some(asked), Some(server)) if asked != server.port => Err(Error::arguments(format!(
            "the server in \"{}\" runs on port {}, not {asked}",
            pgdata.display(),
            server.port
        ))
        .hint("leave --pgport out; nothing was changed")),
        (Some(asked), _) => Ok(asked),
        (None, Some(server)) => Ok(server.port),
        (None, None) => {
            let set = if datadir::inspect(pgdata)? == Content::Cluster {
                postgres.setting(pgdata, "port")
            } else {
                None
            };
            Ok(set.and_then(|port| port.parse().ok()).unwrap_or(DEFAULT_PORT))
        }
    }
}

/// Everything that can be refused is refused before anything is touched.
fn check(place: &Place, postgres: &Postgres, running: bool) -> Result<()> {
    match datadir::inspect(&place.pgdata)? {
        Content::Missing | Content::Empty => {}
        Content::Cluster => {
            postgres.check_version(&place.pgdata)?;
            if node_files::Identity::read(&place.pgdata)?.is_some() {
                return Err(not_a_monitor(place));
            }
        }
        Content::Other => return Err(datadir::not_a_database(&place.pgdata)),
    }
    postgres.check_library(MONITOR_LIBRARY)?;
    if running { Ok(()) } else { place.check() }
}

fn not_a_monitor(place: &Place) -> Error {
    Error::state(format!("\"{}\" holds another server, which is no monitor", place.pgdata.display()))
        .hint("a monitor is a server of its own: give --pgdata a new directory")
}

/// The database and the extension. Whether anything had to be made.
fn populate(place: &Place) -> Result<bool> {
    let running = datadir::require_running(&place.pgdata)?;
    let refused =
        |failure: sql::Failure| Error::new(Kind::Sql, format!("the monitor's server says: {failure}"));
    let postgres = datadir::connect(&running, "postgres").map_err(refused)?;
    let mut made = false;
    let exists = format!("SELECT 1 FROM pg_database WHERE datname = {}", sql::literal(MONITOR_DATABASE));
    if postgres.query(&exists, &[]).map_err(refused)?.is_empty() {
        postgres.run(&format!("CREATE DATABASE {}", sql::name(MONITOR_DATABASE))).map_err(refused)?;
        made = true;
    }
    let database = datadir::connect(&running, MONITOR_DATABASE).map_err(refused)?;
    let exists = "SELECT 1 FROM pg_extension WHERE extname = 'pgautofailover'";
    if database.query(exists, &[]).map_err(refused)?.is_empty() {
        database.run("CREATE EXTENSION pgautofailover").map_err(refused)?;
        made = true;
    }
    Ok(made)
}

/// The password of nodes and operators: as given with --monitor or PGPASSWORD, else as it was, else a random one.
/// Whether it is new.
fn set_password(place: &Place, context: &Context) -> Result<bool> {
    let given = match context.named_monitor() {
        Some(text) => Address::parse(text)?.1,
        None => None,
    };
    let given = given.or_else(|| std::env::var("PGPASSWORD").ok().filter(|password| !password.is_empty()));
    let mut secrets = Secrets::read(&place.state_dir)?;
    let kept = secrets.monitor_password.clone();
    let password = given.or(kept.clone()).unwrap_or_else(identity::fresh_token);
    let running = datadir::require_running(&place.pgdata)?;
    let refused =
        |failure: sql::Failure| Error::new(Kind::Sql, format!("the monitor's server says: {failure}"));
    let session = datadir::connect(&running, MONITOR_DATABASE).map_err(refused)?;
    if kept.as_ref() == Some(&password) && has_password(&session).map_err(refused)? {
        return Ok(false);
    }
    let rotated =
        session.one("SELECT pgautofailover.node_password()", &[], |row| row.try_get::<_, Option<String>>(0));
    if let Some(rotated) = rotated.map_err(refused)? {
        if rotated == password || Some(&password) == kept.as_ref() {
            return Ok(false);
        }
        return Err(Error::state(format!(
            "the password of {MONITOR_ROLE} was made by the monitor, and its nodes hold it; the given one is another"
        ))
        .hint("leave PGPASSWORD out, or give the present one: pg_autoctl show uri --with-password prints it"));
    }
    // On our disk before it is on the server: an interruption in between is repaired by repeating the command.
    secrets.monitor_password = Some(password.clone());
    secrets.write(&place.state_dir)?;
    // Only the verifier crosses SQL, and so can be in a log.
    let verifier = postgres_protocol::password::scram_sha_256(password.as_bytes());
    let statement = format!("ALTER ROLE {MONITOR_ROLE} LOGIN PASSWORD {}", sql::literal(&verifier));
    session.run(&statement).map_err(refused)?;
    Ok(true)
}

fn has_password(session: &Session) -> std::result::Result<bool, sql::Failure> {
    let asked =
        format!("SELECT 1 FROM pg_authid WHERE rolname = '{MONITOR_ROLE}' AND rolpassword IS NOT NULL");
    Ok(!session.query(&asked, &[])?.is_empty())
}
