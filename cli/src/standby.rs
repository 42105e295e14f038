//! What a standby must know of the node it follows, as files: the same strings that the keeper would set.
use crate::conf;
use crate::error::{Error, Result};
use connection::Ssl;
use fsm::message::Peer;
use node_files::{StateDir, conninfo, durable};
use std::path::Path;

/// Makes `pgdata` a standby of `peer`: settings and signal file.
pub fn follow(pgdata: &Path, state_dir: &StateDir, peer: &Peer, ssl: &Ssl, slot: &str) -> Result<()> {
    let path = pgdata.join("postgresql.auto.conf");
    let text = std::fs::read_to_string(&path).map_err(Error::io("read", &path))?;
    let conninfo = conninfo::of_replication(peer, state_dir, ssl, slot);
    let text = conf::with(&text, &[("primary_conninfo", conninfo), ("primary_slot_name", slot.to_owned())]);
    durable::write(&path, text.as_bytes())?;
    durable::touch(&pgdata.join("standby.signal"))?;
    Ok(())
}

/// For pg_basebackup. Not under the standby's own name: what it receives must not look like a standby's WAL.
pub fn backup_conninfo(peer: &Peer, state_dir: &StateDir, ssl: &Ssl) -> String {
    conninfo::of_replication(peer, state_dir, ssl, "pg_autoctl_copy")
}

/// For pg_rewind, which reads files through ordinary SQL.
pub fn rewind_conninfo(peer: &Peer, state_dir: &StateDir, ssl: &Ssl) -> String {
    format!("{} dbname='postgres'", conninfo::of_replication(peer, state_dir, ssl, "pg_autoctl_rewind"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fsm::units::NodeId;

    #[test]
    fn a_standby_names_its_upstream_and_no_password() {
        let pgdata = tempfile::tempdir().unwrap();
        std::fs::write(pgdata.path().join("postgresql.auto.conf"), "primary_conninfo = 'host=old'\n")
            .unwrap();
        let peer = Peer { node: NodeId(1), host: "10.0.0.1".into(), port: 5433 };
        let (state_dir, ssl) = (StateDir::at("/srv/d.autoctl"), Ssl::default());
        follow(pgdata.path(), &state_dir, &peer, &ssl, "pgautofailover_standby_2").unwrap();
        let text = std::fs::read_to_string(pgdata.path().join("postgresql.auto.conf")).unwrap();
        assert_eq!(
            text,
            "primary_conninfo = 'host=''10.0.0.1'' port=''5433'' user=''pgautofailover_replicator'' \
             application_name=''pgautofailover_standby_2'' passfile=''/srv/d.autoctl/passfile'' \
             connect_timeout=''3'' \
             options=''-c tcp_keepalives_idle=1 -c tcp_keepalives_interval=1 -c tcp_keepalives_count=3 -c tcp_user_timeout=3000'' \
             keepalives_idle=''1'' keepalives_interval=''1'' keepalives_count=''3'' tcp_user_timeout=''3000'' \
             sslmode=''require'' channel_binding=''require'''\nprimary_slot_name = 'pgautofailover_standby_2'\n"
        );
        assert!(pgdata.path().join("standby.signal").exists());
    }
}
