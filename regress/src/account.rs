//! Who runs the servers: PostgreSQL refuses root, so root hands them to `postgres`; anybody else runs them himself.
use crate::process::Pid;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// The operating system account of the servers.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its name, which is also the name of the database superuser that initdb makes.
    pub name: String,
    uid: u32,
    gid: u32,
    /// We are root and must step down to it.
    step_down: bool,
    /// A process in whose network, with whose list of names, everything runs.
    network: Option<Pid>,
}

impl Account {
    /// The account to use here.
    pub fn of_servers() -> Account {
        let me = fs::metadata("/proc/self").expect("reading /proc/self").uid();
        let passwd = fs::read_to_string("/etc/passwd").expect("reading /etc/passwd");
        let step_down = me == 0;
        passwd
            .lines()
            .filter_map(entry)
            .find(|(name, uid, _)| if step_down { *name == "postgres" } else { *uid == me })
            .map(|(name, uid, gid)| Account { name: name.to_owned(), uid, gid, step_down, network: None })
            .unwrap_or_else(|| {
                panic!("no account for the servers in /etc/passwd; install PostgreSQL's package")
            })
    }

    /// The same account on a machine of a [`crate::network::Network`].
    pub fn on(&self, machine: Pid) -> Account {
        Account { network: Some(machine), ..self.clone() }
    }

    /// Whether the tests themselves run as root.
    pub fn tests_run_as_root(&self) -> bool {
        self.step_down
    }

    /// A command run by this account, with nothing in its environment that could decide which server it means.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = match self.network {
            // Only root may go there; it steps down on the other side.
            Some(machine) => {
                let mut command = Command::new("nsenter");
                command.args(enter(machine));
                command.args(["-S", &self.uid.to_string(), "-G", &self.gid.to_string(), "--"]).arg(program);
                command
            }
            None => {
                let mut command = Command::new(program);
                if self.step_down {
                    command.uid(self.uid).gid(self.gid);
                }
                command
            }
        };
        without_postgres(&mut command);
        command.current_dir("/");
        if self.step_down {
            command.env("HOME", "/nonexistent").env("USER", &self.name);
        }
        command
    }

    /// A command run by root on the same machine: for what its operator does to disks and networks.
    pub fn root_command(&self, program: impl AsRef<OsStr>) -> Command {
        match self.network {
            Some(machine) => {
                let mut command = Command::new("nsenter");
                command.args(enter(machine)).arg("--").arg(program);
                command
            }
            None => Command::new(program),
        }
    }

    /// Gives a file or directory to this account.
    pub fn own(&self, path: &Path) {
        if self.step_down {
            std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid))
                .unwrap_or_else(|error| panic!("giving {} to {}: {error}", path.display(), self.name));
        }
    }
}

/// nsenter's arguments that lead to a machine. With its root: in a chroot that is not the root of the mounts, where paths differ.
fn enter(machine: Pid) -> [String; 6] {
    ["-t", &machine.to_string(), "-n", "-m", "-r", "--wdns=/"].map(str::to_owned)
}

/// Takes every PG variable out of a command's environment.
pub fn without_postgres(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PG") {
            command.env_remove(name);
        }
    }
}

fn entry(line: &str) -> Option<(&str, u32, u32)> {
    let mut fields = line.split(':');
    let name = fields.next()?;
    let uid = fields.nth(1)?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    Some((name, uid, gid))
}
