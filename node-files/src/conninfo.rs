//! How a node logs in to another one to copy its WAL or its files. Keeper and helper must write the same string to the letter:
//! a different one would make the keeper change a setting, and end a receiver, for nothing.
use crate::dir::StateDir;
use crate::secrets::REPLICATION_ROLE;
use connection::Ssl;
use connection::keywords::quoted;
use connection::liveness;
use fsm::message::Peer;

/// A libpq connection string of keywords, without a password: the passfile has it.
pub fn of_replication(peer: &Peer, dir: &StateDir, ssl: &Ssl, application_name: &str) -> String {
    let (passfile, port, parameters) = (dir.passfile(), peer.port.to_string(), ssl.parameters());
    let passfile = passfile.to_string_lossy();
    let (liveness, options) = (liveness::parameters(), liveness::options());
    let mut parts = vec![
        ("host", peer.host.as_str()),
        ("port", port.as_str()),
        ("user", REPLICATION_ROLE),
        ("application_name", application_name),
        ("passfile", passfile.as_ref()),
        ("connect_timeout", "3"),
        ("options", options.as_str()),
    ];
    parts.extend(liveness.iter().map(|(name, value)| (*name, value.as_str())));
    parts.extend(parameters.iter().map(|(name, value)| (*name, value.as_str())));
    if ssl.encrypts() {
        // Without it, somebody in the middle could pass the proof of the password on, and read along.
        parts.push(("channel_binding", "require"));
    }
    parts.into_iter().map(|(key, value)| format!("{key}={}", quoted(value))).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use connection::SslMode;
    use fsm::units::NodeId;

    #[test]
    fn odd_values_stay_inside_their_quotes() {
        let peer = Peer { node: NodeId(1), host: r"o'n\e".to_owned(), port: 5433 };
        let text = of_replication(&peer, &StateDir::at("/srv/d.autoctl"), &Ssl::default(), "x");
        assert!(
            text.starts_with(
                r"host='o\'n\\e' port='5433' user='pgautofailover_replicator' application_name='x'"
            ),
            "{text}"
        );
        assert!(text.ends_with("sslmode='require' channel_binding='require'"), "{text}");
    }

    #[test]
    fn an_authority_is_named_and_plain_text_is_not_bound() {
        let peer = Peer { node: NodeId(1), host: "h".to_owned(), port: 5433 };
        let of = |ssl: &Ssl| of_replication(&peer, &StateDir::at("/srv/d.autoctl"), ssl, "x");
        let full = Ssl { mode: SslMode::VerifyFull, root_cert: Some("/ca".into()), crl: Some("/crl".into()) };
        let end = "sslmode='verify-full' sslrootcert='/ca' sslcrl='/crl' channel_binding='require'";
        assert!(of(&full).ends_with(end), "{}", of(&full));
        assert!(of(&Ssl::of(SslMode::Prefer)).ends_with("sslmode='prefer'"));
    }
}
