//! `show uri`
use crate::context::{Context, Part};
use crate::datadir;
use crate::error::{Error, Result};
use crate::install;
use crate::monitor::Monitor;
use crate::view::{Uri, View};
use connection::address::MONITOR_ROLE;
use connection::{Address, Ssl};
use node_files::Secrets;
use serde_json::json;

/// Options of `show uri`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show the monitor's connection string alone, with the password of autoctl_node in it
    #[arg(long)]
    with_password: bool,
}

/// The monitor's, and one for each formation; or that of one formation alone.
pub fn run(args: &Args, context: &Context) -> Result<View> {
    let (address, password) = monitor(context)?;
    if args.with_password {
        let password = password.ok_or_else(|| {
            Error::state(format!("the password of {MONITOR_ROLE} is not known here"))
                .hint("ask with --pgdata of the monitor or of a node that it knows")
        })?;
        let uri = address.with_password(&password);
        return Ok(View::Value(crate::view::Setting { key: "monitor".to_owned(), value: uri }));
    }
    let (monitor, scope) = context.open_monitor()?;
    let ssl = ssl_of_nodes(context, &address)?;
    // Asked for by name, the string alone: psql "$(pg_autoctl show uri --formation default)".
    if let Some(formation) = context.named_formation() {
        let uri = monitor.formation_uri(&scope.known_formation(&monitor)?, &ssl)?.ok_or_else(|| {
            Error::state(format!("formation {formation} has no nodes yet"))
                .hint("make one: pg_autoctl create postgres --formation NAME")
        })?;
        let values = [("type", json!("formation")), ("name", json!(formation)), ("uri", json!(uri))];
        return Ok(View::outcome(uri.clone(), values));
    }
    let mut uris =
        vec![Uri { kind: "monitor".to_owned(), name: "monitor".to_owned(), uri: address.to_string() }];
    for formation in scope.formations(&monitor)? {
        if let Some(uri) = monitor.formation_uri(&formation, &ssl)? {
            uris.push(Uri { kind: "formation".to_owned(), name: formation, uri });
        }
    }
    Ok(View::Uris(uris))
}

fn monitor(context: &Context) -> Result<(Address, Option<String>)> {
    let Some(text) = context.named_monitor() else { return of_directory(context) };
    let (address, password) = Address::parse(text)?;
    // The directory's own monitor, named once more: its password is known there.
    let known = || of_directory(context).ok().filter(|(own, _)| own.place() == address.place());
    let password = password.or_else(|| known().and_then(|(_, password)| password));
    Ok((address, password))
}

fn of_directory(context: &Context) -> Result<(Address, Option<String>)> {
    let postgres = context.postgres()?;
    let state_dir = context.state_dir(&postgres)?;
    let address = match context.part(&postgres)? {
        Part::Monitor => install::read_address(&state_dir)?,
        Part::Node => context.node_monitor(&postgres)?,
    };
    // A rotation that somebody asked for by SQL has left the monitor's own file behind.
    let rotated = match (context.part(&postgres)?, datadir::running(context.cluster()?)) {
        (Part::Monitor, Some(running)) => Monitor::local(&running)?.node_password()?,
        (Part::Monitor, None) | (Part::Node, _) => None,
    };
    Ok((address, rotated.or(Secrets::read(&state_dir)?.monitor_password)))
}

/// What clients are to ask for: what the node asks of its peers; elsewhere, what the monitor was made with.
fn ssl_of_nodes(context: &Context, address: &Address) -> Result<Ssl> {
    if context.named_monitor().is_none() {
        let postgres = context.postgres()?;
        if context.part(&postgres)? == Part::Node {
            return context.node_ssl(&postgres);
        }
    }
    Ok(address.ssl().clone())
}
