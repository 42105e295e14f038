//! Where lines of progress go: all of them to stderr, so that stdout holds nothing but the answer.
use std::fmt;
use std::io::IsTerminal;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, UtcTime};

/// For a command that somebody typed: the bare lines.
pub fn for_people() {
    let lines = tracing_subscriber::fmt().with_writer(std::io::stderr).log_internal_errors(false);
    lines.without_time().with_level(false).with_target(false).with_ansi(false).init();
}

/// For the helper, whose stderr is the server's log. A second call changes nothing.
pub fn for_the_server() {
    let lines = tracing_subscriber::fmt().with_writer(std::io::stderr).log_internal_errors(false);
    let lines = lines.with_timer(ServerTime).with_ansi(std::io::stderr().is_terminal());
    // Refused when it is set up already.
    let _ = lines.try_init();
}

/// As PostgreSQL begins its lines by default: time and process.
struct ServerTime;

impl FormatTime for ServerTime {
    fn format_time(&self, w: &mut Writer<'_>) -> fmt::Result {
        const TIME: &[BorrowedFormatItem<'_>] = format_description!(
            version = 2,
            "[year]-[month]-[day] [hour]:[minute]:[second].[subsecond digits:3] UTC"
        );
        UtcTime::new(TIME).format_time(w)?;
        write!(w, " [{}]", std::process::id())
    }
}
