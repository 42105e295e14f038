//! What a pledge is made of: after it the receiver connects to nobody but the upstream that the present term names, and
//! acknowledges nothing to anybody else.
use crate::pg::{self, receiver::Start};
use crate::shared::{gate, receiver};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// How often a receiver that waits looks at the gate: a write waits for what it will bring.
const LOOK: Duration = Duration::from_millis(1);

/// In the receiver's process: the number of the permission under which it is connected.
static CONNECTED_UNDER: AtomicU64 = AtomicU64::new(0);

/// In the postmaster; the receiver inherits it.
pub fn install() {
    pg::receiver::install(pg::receiver::Gate {
        may_connect,
        may_stream,
        may_reply,
        started: || receiver::started(CONNECTED_UNDER.load(Relaxed)),
        ended: receiver::ended,
    });
}

fn may_connect(conninfo: &str) -> Result<(), String> {
    if gate::is_open_to_anybody() {
        CONNECTED_UNDER.store(gate::number(), Relaxed);
        return Ok(());
    }
    let (host, port) = upstream_of(conninfo)
        .ok_or("pg_autoctl: primary_conninfo names no single host and port; the keeper will write it anew")?;
    match gate::permission_for(&host, port) {
        Some(number) => {
            CONNECTED_UNDER.store(number, Relaxed);
            Ok(())
        }
        None if gate::is_open() => {
            Err(format!("pg_autoctl: {host}:{port} is not the upstream that the monitor named"))
        }
        None => Err("pg_autoctl: this node follows nobody until the monitor names an upstream".to_owned()),
    }
}

/// The permission it connected under is the present one.
fn may_reply() -> bool {
    gate::is_open() && CONNECTED_UNDER.load(Relaxed) == gate::number()
}

/// One that has logged in ahead of time waits here, as long as that upstream may become its own.
fn may_stream(start: Start) -> Result<(), String> {
    let number = CONNECTED_UNDER.load(Relaxed);
    if gate::is_to_wait(number) {
        receiver::waits(true);
        start.make_room_for_next_timeline();
    }
    loop {
        // In this order: the gate opens before the wait is called off.
        let is_to_wait = gate::is_to_wait(number);
        if may_reply() {
            receiver::waits(false);
            return Ok(());
        }
        if !is_to_wait {
            return Err("pg_autoctl: this node was cut off from its upstream".to_owned());
        }
        if !pg::receiver::pause(LOOK) {
            return Err("pg_autoctl: asked to end before the upstream was the recorded writer".to_owned());
        }
    }
}

/// Host and port in a connection string of keywords. Nothing when it leaves a choice: several hosts, an address beside the
/// name, a service, a URI. The keeper writes none of those.
fn upstream_of(conninfo: &str) -> Option<(String, u16)> {
    let (mut host, mut port) = (None, Some(5432));
    let mut rest = conninfo.trim_start();
    while !rest.is_empty() {
        let (keyword, after) = rest.split_once('=')?;
        let (value, after) = value(after.trim_start())?;
        match keyword.trim_end() {
            "host" => host = Some(value),
            "port" => port = value.parse().ok(),
            "hostaddr" | "service" => return None,
            _ => {}
        }
        rest = after.trim_start();
    }
    let host = host.filter(|host| !host.is_empty() && !host.contains(','))?;
    Some((host, port?))
}

/// A value, bare or in single quotes, with backslashes before what is meant literally; and what follows it.
fn value(text: &str) -> Option<(String, &str)> {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut letters = text.char_indices().skip(usize::from(quoted));
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => value.push(letters.next()?.1),
            '\'' if quoted => return Some((value, &text[at + 1..])),
            letter if !quoted && letter.is_whitespace() => return Some((value, &text[at..])),
            letter => value.push(letter),
        }
    }
    (!quoted).then_some((value, ""))
}
