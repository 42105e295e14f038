//! Kills a program at every point where it has an effect that outlasts it: a system call that changes a file, a program that
//! it has started, a message to a server. One point a run: the first that no run before was killed at. So the state that the next
//! run finds is what such a death leaves, and the last run goes through to the end.
//!
//! Bringing a file to the disk is no such point: a killed program loses nothing that a call has written.
//!
//! The program knows nothing of it: ptrace stops it at its system calls. Its children are left alone, as by `kill -9`.
use crate::account::Account;
use crate::oracles::tell;
use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// Messages between two other effects that are told apart. More come only from waiting in a loop.
const MESSAGES: u32 = 10;
/// What a client says first that wants TLS: `NEGOTIATE_SSL_CODE` in pqcomm.h.
const TLS_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
/// Messages that follow at least until the server lets it in: the hello and the end of the handshake, the name of the role and the two of SCRAM.
/// Before that nothing is asked for, so a death there is the death before the connection.
const OF_A_LOG_IN: u32 = 5;

/// The points that were cut so far.
#[derive(Default)]
pub struct Cuts {
    seen: BTreeSet<String>,
}

/// How a run ended.
#[derive(Debug)]
pub enum Run {
    /// Killed at this point.
    Cut(String),
    /// It came to its end: every point that it passed was cut before. Its exit status, and what it said on stderr.
    Ended(Option<i32>, String),
}

/// What is known of a run while it lasts.
struct Trace {
    main: Pid,
    /// Threads that are inside of a system call.
    inside: BTreeSet<Pid>,
    /// The last effect that was not a message, and how many messages came after it.
    last: String,
    messages: u32,
    /// Messages of a log-in that are still to come, by descriptor.
    logging_in: BTreeMap<u64, u32>,
    /// Programs that it has started.
    children: BTreeMap<u64, String>,
}

/// A system call: its number, its first four arguments, what it returned.
struct Call {
    number: i64,
    arguments: [u64; 4],
    returned: u64,
}

/// Kills a command at every point, one a run, until it comes to its end, which must be a good one; at how many. REGRESS_CUTS tells each.
pub fn cut_everywhere(account: &Account, what: &str, command: &Command) -> usize {
    let (started, mut cuts) = (Instant::now(), Cuts::default());
    loop {
        match cuts.run(account, command) {
            Run::Cut(point) if std::env::var_os("REGRESS_CUTS").is_some() => {
                tell(&format!("{what}: {point}"))
            }
            Run::Cut(_) => {}
            Run::Ended(Some(0), said) => {
                assert!(!said.contains("panicked"), "{said}");
                break;
            }
            Run::Ended(code, said) => {
                panic!("{what}, after {} cuts: exit status {code:?}: {said}", cuts.count())
            }
        }
    }
    tell(&format!("{what}: killed at {} points in {} s", cuts.count(), started.elapsed().as_secs()));
    assert!(cuts.count() > 10, "only {} points were found", cuts.count());
    cuts.count()
}

impl Cuts {
    /// How many points were cut.
    pub fn count(&self) -> usize {
        self.seen.len()
    }

    /// Runs the command up to the first point that was not cut yet.
    pub fn run(&mut self, account: &Account, command: &Command) -> Run {
        let mut child = spawn_stopped(account, command);
        let main = Pid::from_raw(i32::try_from(child.id()).expect("a PID"));
        waitpid(main, Some(WaitPidFlag::WUNTRACED)).expect("waiting for the shell to stop");
        let options =
            Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_TRACECLONE | Options::PTRACE_O_EXITKILL;
        ptrace::seize(main, options).expect("tracing a child of ours");
        kill(main, Signal::SIGCONT).expect("waking it");
        let said = read_on(&mut child);
        let mut trace = Trace {
            main,
            inside: BTreeSet::new(),
            last: "the beginning".to_owned(),
            messages: 0,
            logging_in: BTreeMap::new(),
            children: BTreeMap::new(),
        };
        match trace.follow(&mut self.seen) {
            Ok(cut) => Run::Cut(cut),
            Err(code) => Run::Ended(code, said.join().expect("reading what it said")),
        }
    }
}

impl Trace {
    /// Lets it run from call to call. The point that it was killed at, or its exit status.
    fn follow(&mut self, seen: &mut BTreeSet<String>) -> Result<String, Option<i32>> {
        let mut cut = None;
        loop {
            match wait() {
                WaitStatus::Exited(pid, code) if pid == self.main => return Err(Some(code)),
                WaitStatus::Signaled(pid, ..) if pid == self.main => return cut.ok_or(None),
                WaitStatus::Exited(..) | WaitStatus::Signaled(..) => {}
                WaitStatus::PtraceSyscall(pid) => {
                    let point = if cut.is_none() { self.point(pid) } else { None };
                    match point.filter(|point| seen.insert(point.clone())) {
                        Some(point) => {
                            cut = Some(point);
                            kill(self.main, Signal::SIGKILL).expect("killing it");
                        }
                        None => go_on(pid, None),
                    }
                }
                WaitStatus::Stopped(pid, signal) => go_on(pid, Some(signal)),
                // A new thread, or the stop that it began with.
                WaitStatus::PtraceEvent(pid, ..) => go_on(pid, None),
                WaitStatus::Continued(_) | WaitStatus::StillAlive => {}
            }
        }
    }

    /// The point that a stop at a system call is, if it is one.
    fn point(&mut self, pid: Pid) -> Option<String> {
        let call = Call::of(pid)?;
        if self.inside.insert(pid) { self.before(pid, &call) } else { self.after(pid, &call) }
    }

    /// What the call is about to do.
    fn before(&mut self, pid: Pid, call: &Call) -> Option<String> {
        let [first, second, third, fourth] = call.arguments;
        let at = |address| plain(&text_at(pid, address));
        let by_descriptor = || file(pid, first);
        let effect = match call.number {
            libc::SYS_renameat | libc::SYS_renameat2 => format!("replace {}", at(fourth)),
            // By its descriptor's name: of a tree that is removed, one entry stands for all.
            libc::SYS_unlinkat if !at(second).starts_with('/') => "unlink an entry of a tree".to_owned(),
            libc::SYS_unlinkat => format!("unlink {}", at(second)),
            libc::SYS_mkdirat => format!("mkdir {}", at(second)),
            libc::SYS_fchmodat => format!("chmod {}", at(second)),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_rename => format!("replace {}", at(second)),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_unlink | libc::SYS_rmdir => format!("unlink {}", at(first)),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_mkdir => format!("mkdir {}", at(first)),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_chmod => format!("chmod {}", at(first)),
            libc::SYS_openat if third & u64::from(libc::O_CREAT.cast_unsigned()) != 0 => {
                format!("create {}", at(second))
            }
            libc::SYS_ftruncate | libc::SYS_fallocate => format!("size {}", by_descriptor()),
            libc::SYS_write
            | libc::SYS_pwrite64
            | libc::SYS_writev
            | libc::SYS_sendto
            | libc::SYS_sendmsg => {
                let file = by_descriptor();
                if file.starts_with("socket:") {
                    let message = bytes_at(pid, second);
                    if self.is_of_a_log_in(first, &message) {
                        return None;
                    }
                    if let Some(statement) = statement(&message) {
                        return Some(self.effect(statement));
                    }
                    self.messages += 1;
                    return (self.messages <= MESSAGES)
                        .then(|| format!("message {} after {}", self.messages, self.last));
                }
                // Not to a pipe or a terminal, nor to the wake-up call of its event loop.
                if !file.starts_with('/') || file.starts_with("/dev/") {
                    return None;
                }
                format!("write {file}")
            }
            _ => return None,
        };
        // Where a file is begun beside its place, half a file is as good as none.
        let begun = effect.ends_with(".new") && !effect.starts_with("write");
        (!begun).then(|| self.effect(effect))
    }

    /// What the call has done.
    fn after(&mut self, pid: Pid, call: &Call) -> Option<String> {
        self.inside.remove(&pid);
        let spawns = [
            libc::SYS_clone,
            libc::SYS_clone3,
            #[cfg(target_arch = "x86_64")]
            libc::SYS_vfork,
            #[cfg(target_arch = "x86_64")]
            libc::SYS_fork,
        ];
        if spawns.contains(&call.number) {
            let program = program(call.returned)?;
            self.children.insert(call.returned, program.clone());
            return Some(self.effect(format!("{program} is started")));
        }
        if call.number == libc::SYS_wait4 {
            let program = self.children.remove(&call.returned)?;
            return Some(self.effect(format!("{program} has ended")));
        }
        None
    }

    fn is_of_a_log_in(&mut self, descriptor: u64, message: &[u8]) -> bool {
        if message.starts_with(&TLS_REQUEST) {
            self.logging_in.insert(descriptor, OF_A_LOG_IN);
            return true;
        }
        let Some(left) = self.logging_in.get_mut(&descriptor).filter(|left| **left > 0) else { return false };
        *left -= 1;
        true
    }

    fn effect(&mut self, effect: String) -> String {
        self.last.clone_from(&effect);
        self.messages = 0;
        effect
    }
}

impl Call {
    #[cfg(target_arch = "x86_64")]
    fn of(pid: Pid) -> Option<Call> {
        let registers = ptrace::getregs(pid).ok()?;
        Some(Call {
            number: registers.orig_rax.cast_signed(),
            arguments: [registers.rdi, registers.rsi, registers.rdx, registers.r10],
            returned: registers.rax,
        })
    }

    #[cfg(target_arch = "aarch64")]
    fn of(pid: Pid) -> Option<Call> {
        let [first, second, third, fourth, _, _, _, _, number, ..] = ptrace::getregs(pid).ok()?.regs;
        Some(Call {
            number: number.cast_signed(),
            arguments: [first, second, third, fourth],
            returned: first,
        })
    }
}

/// A shell that stops itself and becomes the program when it is woken.
fn spawn_stopped(account: &Account, command: &Command) -> Child {
    let mut stopped = account.command("sh");
    stopped
        .args(["-c", "kill -s STOP $$; exec \"$0\" \"$@\""])
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => stopped.env(name, value),
            None => stopped.env_remove(name),
        };
    }
    stopped.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    stopped.spawn().expect("running sh")
}

/// Its children may hold its stderr for as long as they live, and nobody waits for those of a killed one.
fn read_on(child: &mut Child) -> std::thread::JoinHandle<String> {
    let mut stderr = child.stderr.take().expect("piped");
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        drop(stderr.read_to_end(&mut bytes));
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Waits for one of its threads. Of this thread's children only: other tests have their own.
fn wait() -> WaitStatus {
    let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
    waitpid(Pid::from_raw(-1), Some(flags)).expect("waiting for a traced program")
}

/// One that was killed meanwhile needs no leave.
fn go_on(pid: Pid, signal: Option<Signal>) {
    let _ = ptrace::syscall(pid, signal);
}

/// What stands in its memory.
fn bytes_at(pid: Pid, address: u64) -> Vec<u8> {
    let mut bytes = vec![0; 512];
    let read = File::open(format!("/proc/{pid}/mem")).and_then(|memory| memory.read_at(&mut bytes, address));
    bytes.truncate(read.unwrap_or(0));
    bytes
}

/// A string in its memory.
fn text_at(pid: Pid, address: u64) -> String {
    let bytes = bytes_at(pid, address);
    String::from_utf8_lossy(bytes.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned()
}

/// The statement that a message brings to a server, as far as its first words: those over the Unix socket can be read.
fn statement(message: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(message);
    let start = ["CREATE ", "ALTER "].iter().find_map(|verb| text.find(verb))?;
    let statement = text[start..].split('\0').next().unwrap_or_default();
    Some(plain(&statement.split_whitespace().take(3).collect::<Vec<_>>().join(" ")))
}

fn file(pid: Pid, descriptor: u64) -> String {
    let link = fs::read_link(format!("/proc/{pid}/fd/{descriptor}"));
    plain(&link.map(|path| path.display().to_string()).unwrap_or_default())
}

/// Without what differs between two runs: the time of day in a name.
fn plain(path: &str) -> String {
    let mut plain = String::new();
    for part in path.split_inclusive(|c: char| !c.is_ascii_digit()) {
        let digits = part.trim_end_matches(|c: char| !c.is_ascii_digit());
        plain.push_str(if digits.len() >= 3 { "…" } else { digits });
        plain.push_str(&part[digits.len()..]);
    }
    plain
}

/// The program that a child has become; nothing for one that only looks.
fn program(pid: u64) -> Option<String> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words: Vec<String> = line
        .split(|byte| *byte == 0)
        .map(|word| String::from_utf8_lossy(word).rsplit('/').next().unwrap_or_default().to_owned())
        .collect();
    const THAT_ACT: [&str; 4] = ["initdb", "pg_ctl", "pg_basebackup", "pg_rewind"];
    let at = words.iter().position(|word| THAT_ACT.contains(&word.as_str()))?;
    let verb = words.get(at + 1).filter(|word| !word.starts_with('-') && words[at] == "pg_ctl");
    if words[at] == "pg_ctl" && verb.is_none() {
        return None;
    }
    Some([words[at].as_str(), verb.map_or("", String::as_str)].join(" ").trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_cut_at_each_effect_and_then_ends() {
        let directory = tempfile::tempdir().expect("a directory");
        let account = Account::of_servers();
        account.own(directory.path());
        let script = format!("cd {}; echo x > one; echo y > two; echo end >&2", directory.path().display());
        let mut command = Command::new("sh");
        command.args(["-c", &script]);
        let mut cuts = Cuts::default();
        let mut runs = Vec::new();
        loop {
            match cuts.run(&account, &command) {
                Run::Cut(point) => runs.push(point),
                Run::Ended(code, said) => {
                    assert_eq!((code, said.as_str()), (Some(0), "end\n"));
                    break;
                }
            }
        }
        let one = runs.iter().position(|point| point == "create one");
        let two = runs.iter().position(|point| point == "create two");
        assert!(one.is_some() && one < two, "{runs:?}");
        assert_eq!(cuts.count(), runs.len());
    }
}
