//! `disable ssl`
use crate::context::{Context, Part};
use crate::error::Result;
use crate::install;
use crate::server_tls::Server;
use crate::ssl_options::{ServerSsl, Source};
use crate::view::View;
use connection::{Address, Ssl, SslMode};
use serde_json::json;
use tracing::{info, warn};

/// No more encryption for connections to come. Whoever is connected stays so.
pub fn run(context: &Context) -> Result<View> {
    let server = Server::open(context)?;
    let meant = ServerSsl { source: Source::Nowhere, asks: Ssl::of(SslMode::Prefer) };
    let mut settings = meant.server_settings(&server.state_dir, &server.hostname)?;
    if server.part == Part::Node {
        settings.extend(meant.node_settings());
    }
    server.change(&settings, None)?;
    match server.part {
        Part::Monitor => {
            let address = Address::of(&server.hostname, server.port, meant.asks);
            install::write_address(&server.state_dir, &address)?;
            info!("nodes and operators reach the monitor by {address}");
            warn!(
                "a node whose pg_autoctl.monitor asks for more than sslmode=prefer is not let in: change it there"
            );
        }
        Part::Node => warn!(
            "a node with pg_autoctl.ssl_mode above prefer cannot follow this one, and clients whose line in pg_hba.conf is \
             hostssl are not let in: change both"
        ),
    }
    let line = format!("{}:{} speaks without encryption", server.hostname, server.port);
    Ok(View::outcome(line, [("ssl", json!(false))]))
}
