//! A server that runs and is no node yet: what it is, and whom it follows.
use crate::datadir::{self, Running};
use crate::error::{Error, Kind, Result};
use crate::sql::{Failure, Session};
use crate::view::NodeState;
use std::collections::BTreeSet;
use std::net::{IpAddr, ToSocketAddrs};

/// The server.
pub struct Live {
    /// Its process, port and socket.
    pub running: Running,
    /// It is a standby; `Some` tells what it receives.
    pub standby: Option<Receiver>,
    /// The libraries that this life of it has loaded.
    pub libraries: String,
    /// The addresses it listens on.
    pub listen: String,
}

/// What a standby receives. Empty fields: nothing at this moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receiver {
    /// It streams.
    pub streaming: bool,
    /// From where.
    pub host: String,
    /// And which port.
    pub port: i32,
    /// On which timeline.
    pub timeline: i32,
    /// By which slot of the sender, if by one.
    pub slot: Option<String>,
}

impl Live {
    /// Asks the server. It must let us in as a superuser, for the keeper comes the same way.
    pub fn look(running: &Running) -> Result<Live> {
        let me = datadir::os_user();
        let refused = |failure: Failure| not_let_in(&failure, &me);
        let session = datadir::connect(running, "postgres").map_err(refused)?;
        let asked = "SELECT rolsuper, pg_is_in_recovery(), current_setting('shared_preload_libraries'), \
                     current_setting('listen_addresses') FROM pg_roles WHERE rolname = current_user";
        let read = |row: &tokio_postgres::Row| {
            Ok((row.try_get::<_, bool>(0)?, row.try_get::<_, bool>(1)?, row.try_get(2)?, row.try_get(3)?))
        };
        let (superuser, standby, libraries, listen) = session.one(asked, &[], read).map_err(refused)?;
        if !superuser {
            return Err(Error::state(format!("the role {me} of the running server is no superuser"))
                .hint(format!("the keeper works as this role: ALTER ROLE \"{me}\" SUPERUSER; then repeat")));
        }
        let standby = if standby { Some(receiver(&session).map_err(refused)?) } else { None };
        Ok(Live { running: running.clone(), standby, libraries, listen })
    }
}

fn receiver(session: &Session) -> std::result::Result<Receiver, Failure> {
    let asked = "SELECT status = 'streaming', coalesce(sender_host, ''), coalesce(sender_port, 0), \
                 coalesce(received_tli, 0), nullif(slot_name, '') FROM pg_stat_wal_receiver";
    let rows = session.query(asked, &[])?;
    let Some(row) = rows.first() else { return Ok(Receiver::default()) };
    Ok(Receiver {
        streaming: row.try_get::<_, Option<bool>>(0)?.unwrap_or_default(),
        host: row.try_get(1)?,
        port: row.try_get(2)?,
        timeline: row.try_get(3)?,
        slot: row.try_get(4)?,
    })
}

impl Receiver {
    /// Refuses unless it receives the primary's own WAL from the primary itself. The sender's address is the proof: a
    /// timeline is a number, and two servers that were promoted from the same point have the same.
    pub fn check_follows(&self, primary: &NodeState) -> Result<()> {
        let place = format!("{} ({}:{})", primary.nodename, primary.nodehost, primary.nodeport);
        let refused = |why: String| {
            Error::state(format!("the running server is a standby, and {why}")).hint(format!(
                "have it follow {place} first (primary_conninfo, then pg_ctl reload) and repeat; or stop it and repeat: then it \
                 is copied anew. Nothing was changed"
            ))
        };
        if !self.streaming {
            return Err(refused(format!("does not stream from the primary {place}")));
        }
        if self.port != primary.nodeport || !same_host(&self.host, &primary.nodehost) {
            return Err(refused(format!(
                "streams from {}:{}, which is not the primary {place}",
                self.host, self.port
            )));
        }
        if self.timeline != primary.reported_tli {
            return Err(refused(format!(
                "receives timeline {}, where the primary {place} writes {}",
                self.timeline, primary.reported_tli
            )));
        }
        Ok(())
    }
}

/// Refuses a server that listens where neither the monitor nor other nodes can reach it.
pub fn check_listens(listen: &str, hostname: &str) -> Result<()> {
    let loopback = |host: &str| {
        let mut addresses = (host, 0).to_socket_addrs().into_iter().flatten().peekable();
        addresses.peek().is_some() && addresses.all(|address| address.ip().is_loopback())
    };
    let mut places = listen.split(',').map(str::trim).filter(|place| !place.is_empty());
    if places.any(|place| place == "*" || !loopback(place))
        || (!listen.trim().is_empty() && loopback(hostname))
    {
        return Ok(());
    }
    Err(Error::config(format!("the server listens on \"{listen}\" only, where nobody reaches it by {hostname}"))
        .hint("say --listen '*', or the addresses to listen on: they count from the restart on; nothing was changed"))
}

fn same_host(one: &str, other: &str) -> bool {
    let addresses = |host: &str| -> BTreeSet<IpAddr> {
        (host, 0).to_socket_addrs().into_iter().flatten().map(|address| address.ip()).collect()
    };
    one == other || !addresses(one).is_disjoint(&addresses(other))
}

fn not_let_in(failure: &Failure, me: &str) -> Error {
    let error = Error::new(
        Kind::Sql,
        format!("the running server does not let {me} in over its Unix socket: {failure}"),
    );
    match failure.sqlstate() {
        Some("28000" | "28P01") => error.hint(format!(
            "the keeper comes that way: make a superuser {me} and a line \"local all {me} peer\" in its pg_hba.conf, then repeat"
        )),
        Some("57P03") => error.hint("wait until it is up; a standby must have hot_standby = on"),
        _ => error.hint("is it still starting? Repeat when it is up"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn primary() -> NodeState {
        let row = serde_json::json!({
            "formation_kind": "pgsql", "nodename": "node_1", "nodehost": "127.0.0.1", "nodeport": 5432, "group_id": 0,
            "node_id": 1, "current_group_state": "single", "assigned_group_state": "single", "candidate_priority": 100,
            "replication_quorum": true, "reported_tli": 2, "reported_lsn": "0/1", "health": 1, "nodecluster": "default"
        });
        serde_json::from_value(row).unwrap()
    }

    #[test]
    fn a_server_must_be_reached_by_its_name() {
        for (listen, hostname) in
            [("*", "192.0.2.1"), ("localhost, 192.0.2.1", "192.0.2.1"), ("localhost", "127.0.0.1")]
        {
            assert!(check_listens(listen, hostname).is_ok(), "{listen} {hostname}");
        }
        for (listen, hostname) in
            [("localhost", "192.0.2.1"), ("127.0.0.1, ::1", "192.0.2.1"), ("", "127.0.0.1")]
        {
            assert!(check_listens(listen, hostname).is_err(), "{listen} {hostname}");
        }
    }

    #[test]
    fn only_who_streams_from_the_primary_follows_it() {
        let follows =
            Receiver { streaming: true, host: "localhost".into(), port: 5432, timeline: 2, slot: None };
        assert!(follows.check_follows(&primary()).is_ok());
        for (other, word) in [
            (Receiver::default(), "does not stream"),
            (Receiver { host: "127.0.0.2".into(), ..follows.clone() }, "not the primary"),
            (Receiver { port: 5433, ..follows.clone() }, "not the primary"),
            (Receiver { timeline: 1, ..follows.clone() }, "timeline 1"),
        ] {
            let error = other.check_follows(&primary()).unwrap_err();
            assert!(error.message.contains(word), "{error}");
        }
    }
}
