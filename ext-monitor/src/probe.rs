//! One health probe: a start-up packet, and the server's first answer. It does not log in, so it needs no password,
//! and it works where the server only has room for superusers or is still starting.
use fsm::group::Probe;
use std::io::ErrorKind;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

const USER: &str = "pgautofailover_monitor";
const DATABASE: &str = "postgres";
const PROTOCOL_3: i32 = 3 << 16;
const TERMINATE: [u8; 5] = [b'X', 0, 0, 0, 4];
/// A server that ends its sessions in a crash cycle cuts new ones too: look again before believing that it is gone.
const LOOK_AGAIN: u32 = 2;
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(10);

/// What a server answers, given `limit` for all of it.
pub async fn probe(host: &str, port: u16, limit: Duration) -> Probe {
    timeout(limit, look(host, port)).await.unwrap_or(Probe::Silent)
}

async fn look(host: &str, port: u16) -> Probe {
    for _ in 0..LOOK_AGAIN {
        match first_answer(host, port).await {
            Some(met) => return met,
            None => sleep(LOOK_AGAIN_AFTER).await,
        }
    }
    first_answer(host, port).await.unwrap_or(Probe::Silent)
}

/// `None`: the connection was made, and cut without an answer.
async fn first_answer(host: &str, port: u16) -> Option<Probe> {
    let mut stream = match TcpStream::connect((host, port)).await {
        Ok(stream) => stream,
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Some(Probe::Refused),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
        // No route, no such name: nothing was said about the server.
        Err(_) => return Some(Probe::Silent),
    };
    stream.write_all(&start_up_packet()).await.ok()?;
    let kind = stream.read_u8().await.ok()?;
    let length = usize::try_from(stream.read_u32().await.ok()?).ok()?.saturating_sub(4).min(16 * 1024);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    match kind {
        b'E' => Some(meaning_of_error(&body)),
        _ => {
            if kind == b'R' && body.starts_with(&[0; 4]) {
                say_goodbye(&mut stream).await;
            }
            Some(Probe::Answers)
        }
    }
}

/// We were let in without a question (trust): leave properly, or the server logs a lost connection each time.
async fn say_goodbye(stream: &mut TcpStream) {
    if stream.write_all(&TERMINATE).await.is_ok() {
        let mut rest = [0; 1024];
        while matches!(stream.read(&mut rest).await, Ok(read) if read > 0) {}
    }
}

fn start_up_packet() -> Vec<u8> {
    let mut body = PROTOCOL_3.to_be_bytes().to_vec();
    for text in ["user", USER, "database", DATABASE, "application_name", "pgautofailover health check"] {
        body.extend_from_slice(text.as_bytes());
        body.push(0);
    }
    body.push(0);
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    [length.to_be_bytes().as_slice(), &body].concat()
}

/// SQLSTATE 57P03 says that the server is up and does not let anybody in; its message says why. Every other refusal comes
/// from a server in service.
fn meaning_of_error(body: &[u8]) -> Probe {
    let field = |kind: u8| {
        let found = body.split(|byte| *byte == 0).find(|field| field.first() == Some(&kind));
        found.map(|field| String::from_utf8_lossy(&field[1..]).into_owned()).unwrap_or_default()
    };
    match (field(b'C').as_str(), field(b'M')) {
        ("57P03", message) if message.contains("shutting down") => Probe::Stopping,
        ("57P03", _) => Probe::Starting,
        (_, _) => Probe::Answers,
    }
}
