//! How a node logs in to another one to copy its WAL or its files. Keeper and helper must write the same string to the letter:
//! a different one would make the keeper change a setting, and end a receiver, for nothing.
use crate::dir::StateDir;
use crate::secrets::REPLICATION_ROLE;
use fsm::message::Peer;

/// A libpq connection string of keywords, without a password: the passfile has it.
pub fn of_replication(peer: &Peer, dir: &StateDir, application_name: &str) -> String {
    let passfile = dir.passfile();
    let parts = [
        ("host", peer.host.as_str()),
        ("port", &peer.port.to_string()),
        ("user", REPLICATION_ROLE),
        ("application_name", application_name),
        ("passfile", &passfile.to_string_lossy()),
        ("connect_timeout", "3"),
        ("keepalives_idle", "1"),
        ("keepalives_interval", "1"),
        ("keepalives_count", "3"),
        ("tcp_user_timeout", "3000"),
    ];
    parts.map(|(key, value)| format!("{key}={}", quoted(value))).join(" ")
}

/// A value as libpq reads it (its documentation, "Keyword/Value Connection Strings").
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fsm::units::NodeId;

    #[test]
    fn odd_values_stay_inside_their_quotes() {
        let peer = Peer { node: NodeId(1), host: r"o'n\e".to_owned(), port: 5433 };
        let text = of_replication(&peer, &StateDir::at("/srv/d.autoctl"), "x");
        assert!(
            text.starts_with(
                r"host='o\'n\\e' port='5433' user='pgautofailover_replicator' application_name='x'"
            ),
            "{text}"
        );
    }
}
