//! What can happen to the processes of a server, and to its connections.
use crate::process::{self, Pid};
use crate::server::{APP, Server, text};
use std::fs;

/// One process of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The first, whose children all others are.
    Postmaster,
    /// Our own background worker.
    Keeper,
    /// It replays WAL, on a standby.
    Startup,
    /// It writes what was changed in memory.
    Checkpointer,
    /// It receives WAL, on a standby.
    WalReceiver,
    /// It sends WAL to a standby.
    WalSender,
    /// It serves a client of the application.
    Backend,
}

impl Part {
    /// How the title of such a process begins.
    fn title(self) -> String {
        match self {
            // A tree begins with it, whatever it is called.
            Part::Postmaster => String::new(),
            Part::Keeper => "postgres: pg_autoctl keeper".to_owned(),
            Part::Startup => "postgres: startup".to_owned(),
            Part::Checkpointer => "postgres: checkpointer".to_owned(),
            Part::WalReceiver => "postgres: walreceiver".to_owned(),
            Part::WalSender => "postgres: walsender".to_owned(),
            Part::Backend => format!("postgres: {APP} "),
        }
    }
}

impl Server {
    /// SIGKILL to the postmaster and every process below it, at once; returns when none is left.
    pub fn kill_tree(&self) {
        process::kill_tree(self.postmaster());
    }

    /// SIGSTOP to all of its processes: a machine that stands still.
    pub fn freeze(&self) {
        process::freeze_tree(self.postmaster());
    }

    /// SIGCONT to all of its processes.
    pub fn thaw(&self) {
        process::signal("CONT", &process::tree(self.postmaster()));
    }

    /// The first process of that kind, when there is one.
    pub fn find(&self, part: Part) -> Option<Pid> {
        let postmaster = self.running()?;
        let is_part = |pid: &Pid| {
            fs::read(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|title| title.starts_with(part.title().as_bytes()))
        };
        process::tree(postmaster).into_iter().find(is_part)
    }

    /// The process of that kind, which there must be.
    pub fn part(&self, part: Part) -> Pid {
        self.find(part).unwrap_or_else(|| panic!("{} has no {part:?}", self.name))
    }

    /// Sends a signal to one process, by the name that kill(1) knows: KILL, STOP, CONT, TERM. Its PID.
    pub fn signal(&self, name: &str, part: Part) -> Pid {
        let pid = self.part(part);
        process::signal(name, &[pid]);
        pid
    }

    /// Both ends of every TCP connection of this living server hear that it was reset, all at the same time. Root only.
    pub fn reset_connections(&self) {
        self.reset_any_connections()
            .unwrap_or_else(|said| panic!("no connection of {} was reset: {said}", self.name));
    }

    /// The same, for whoever does not know whether it has any.
    pub fn reset_any_connections(&self) -> Result<(), String> {
        let host = &self.host;
        let output = self
            .account
            .root_command("ss")
            .args(["--kill", "--no-header", "--tcp", "state", "connected"])
            .args(["(", "src", host, "or", "dst", host, ")"])
            .output()
            .expect("running ss, of package iproute2");
        let said = text(&output);
        // It prints every connection that it has ended, and says nothing when the kernel does not let it.
        if output.status.success() && said.contains(host) { Ok(()) } else { Err(said) }
    }
}

#[cfg(test)]
mod tests {
    use crate::cluster::Cluster;
    use crate::network::Network;
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn both_ends_hear_of_a_reset() {
        if !Network::is_possible() {
            return;
        }
        let cluster = Cluster::empty("reset");
        let server = cluster.next_node();
        let listener = TcpListener::bind((server.host.as_str(), server.port)).expect("listening");
        let client = TcpStream::connect((server.host.as_str(), server.port)).expect("connecting");
        let (served, _) = listener.accept().expect("accepting");
        server.reset_connections();
        for mut end in [client, served] {
            let error = end.read(&mut [0]).expect_err("reading from a connection that was reset");
            assert!(error.to_string().contains("onnection"), "{error}");
        }
    }
}
