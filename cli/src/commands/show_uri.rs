//! `show uri`
use crate::context::{Context, Part};
use crate::credentials::{Address, MONITOR_ROLE};
use crate::error::{Error, Result};
use crate::install;
use crate::view::{Uri, View};
use node_files::Secrets;

/// Options of `show uri`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show the monitor's connection string alone, with the password of autoctl_node in it
    #[arg(long)]
    with_password: bool,
}

/// The monitor's, and one for each formation.
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
    let mut uris =
        vec![Uri { kind: "monitor".to_owned(), name: "monitor".to_owned(), uri: address.to_string() }];
    for formation in scope.formations(&monitor)? {
        if let Some(uri) = monitor.formation_uri(&formation)? {
            uris.push(Uri { kind: "formation".to_owned(), name: formation, uri });
        }
    }
    Ok(View::Uris(uris))
}

fn monitor(context: &Context) -> Result<(Address, Option<String>)> {
    if let Some(text) = context.named_monitor() {
        return Address::parse(text);
    }
    let postgres = context.postgres()?;
    let state_dir = context.state_dir(&postgres)?;
    let address = match context.part(&postgres)? {
        Part::Monitor => install::read_address(&state_dir)?,
        Part::Node => context.node_monitor(&postgres)?,
    };
    Ok((address, Secrets::read(&state_dir)?.monitor_password))
}
