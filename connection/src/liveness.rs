//! How soon the two ends of a standing connection notice that the other one is gone without a word: a host that died, a cable that
//! was pulled. Whoever opens the connection asks for the same at both ends; what the other end sends unheard counts no less.
//!
//! Sources: tcp(7) for `TCP_KEEPIDLE` and its like; the PostgreSQL manual, "TCP Settings" for the server's end, "Parameter Key Words" for libpq's.
use std::time::Duration;
use tokio_postgres::Config;

/// Without a packet for this long, the kernel asks the other end.
const IDLE: Duration = Duration::from_secs(1);
/// Between two questions.
const INTERVAL: Duration = Duration::from_secs(1);
/// So many may stay unanswered.
const COUNT: u8 = 3;
/// What was sent may stay unacknowledged for this long.
const UNACKNOWLEDGED: Duration = Duration::from_secs(3);

/// libpq's keywords for this end.
pub fn parameters() -> [(&'static str, String); 4] {
    [
        ("keepalives_idle", IDLE.as_secs().to_string()),
        ("keepalives_interval", INTERVAL.as_secs().to_string()),
        ("keepalives_count", COUNT.to_string()),
        ("tcp_user_timeout", UNACKNOWLEDGED.as_millis().to_string()),
    ]
}

/// The start-up options that ask the server for the same at its end. Without effect where the connection is not TCP.
pub fn options() -> String {
    format!(
        "-c tcp_keepalives_idle={} -c tcp_keepalives_interval={} -c tcp_keepalives_count={COUNT} -c tcp_user_timeout={}",
        IDLE.as_secs(),
        INTERVAL.as_secs(),
        UNACKNOWLEDGED.as_millis()
    )
}

/// Both ends of a connection of tokio-postgres; `options` are asked for besides.
pub fn apply(config: &mut Config, options_besides: &str) {
    config
        .keepalives(true)
        .keepalives_idle(IDLE)
        .keepalives_interval(INTERVAL)
        .keepalives_retries(COUNT.into())
        .tcp_user_timeout(UNACKNOWLEDGED)
        .options(format!("{options_besides} {}", options()));
}
