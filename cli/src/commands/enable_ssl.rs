//! `enable ssl`
use crate::certificate;
use crate::context::{Context, Part};
use crate::error::{Error, Result};
use crate::install;
use crate::server_tls::Server;
use crate::ssl_options::{Source, SslOptions};
use crate::view::View;
use connection::{Address, HandshakeFailure, Ssl, handshake};
use serde_json::json;
use std::time::Duration;
use tracing::info;

/// Options of `enable ssl`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    ssl: SslOptions,
}

/// For one look at another node.
const LIMIT: Duration = Duration::from_secs(3);

/// A certificate for a server that runs. Whoever is connected stays so.
pub fn run(args: &Args, context: &Context) -> Result<View> {
    let meant = args.ssl.meant()?;
    let server = Server::open(context)?;
    if let Source::Given(pair) = &meant.source {
        certificate::check_trusted(pair, &server.hostname, &meant.asks)?;
    }
    if server.part == Part::Node && meant.asks != context.node_ssl(&server.postgres)? {
        check_others(context, &meant.asks)?;
    }
    let pair = match &meant.source {
        Source::Given(pair) => pair.clone(),
        Source::SelfSigned | Source::Kept(_) | Source::Nowhere => {
            certificate::make(&server.state_dir, &server.hostname)?
        }
    };
    let mut settings = meant.with_pair(&pair);
    if server.part == Part::Node {
        settings.extend(meant.node_settings());
    }
    server.change(&settings, Some(&certificate::shown(&pair.certificate)?))?;
    certificate::forget_others(&server.state_dir, &pair)?;
    if server.part == Part::Monitor {
        let address = Address::of(&server.hostname, server.port, meant.asks.clone());
        install::write_address(&server.state_dir, &address)?;
        info!("nodes and operators reach the monitor by {address}");
    }
    let line = format!(
        "{}:{} shows the certificate in \"{}\"",
        server.hostname,
        server.port,
        pair.certificate.display()
    );
    let values = [
        ("certificate", json!(pair.certificate)),
        ("key", json!(pair.key)),
        ("ssl_mode", json!(meant.asks.mode)),
    ];
    Ok(View::outcome(line, values))
}

/// A node that asked for more than the others have would lose them: so they are looked at first.
fn check_others(context: &Context, asks: &Ssl) -> Result<()> {
    let own = context.node_state(&context.postgres()?)?;
    let nodes = context.open_monitor()?.0.states(&own.formation, Some(own.group))?;
    for node in nodes.iter().filter(|node| node.node_id != own.node.0) {
        let port = u16::try_from(node.nodeport).unwrap_or_default();
        match handshake(&node.nodehost, port, asks, LIMIT) {
            Ok(_) => {}
            Err(HandshakeFailure::Unreachable(why)) => {
                info!("{} at {}:{port} is not looked at: {why}", node.nodename, node.nodehost);
            }
            Err(HandshakeFailure::Tls(error)) if asks.encrypts() => {
                return Err(Error::state(format!(
                    "{} at {}:{port} could not be followed with sslmode {}: {}; nothing was changed",
                    node.nodename, node.nodehost, asks.mode, error.why
                ))
                .hint(format!(
                    "{}; or bring the certificates of all nodes up to date first: with --ssl-mode prefer where some have none, \
                     without --ssl-ca-file where some have another authority's",
                    error.hint
                )));
            }
            Err(HandshakeFailure::Tls(_)) => {}
        }
    }
    Ok(())
}
