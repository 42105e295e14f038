//! The only file that prints: data to stdout, talk to stderr.
use crate::error::Error;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::time::Duration;

/// Data that the caller asked for.
pub fn data(text: &str) {
    // A reader that has gone away (`| head`) is no error of ours.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// One line of talk.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// An error, with its next step.
pub fn error(error: &Error) {
    say(&format!("pg_autoctl: {error}"));
    if let Some(hint) = &error.hint {
        say(&format!("  hint: {hint}"));
    }
}

/// What is being waited for: a spinner on a terminal, one line for each change elsewhere.
pub struct Progress {
    bar: Option<ProgressBar>,
    last: String,
}

impl Progress {
    /// Begins with a first thing to wait for.
    pub fn start(waiting_for: &str) -> Progress {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{spinner} {msg} ({elapsed})");
            let bar = ProgressBar::new_spinner()
                .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        let mut progress = Progress { bar, last: String::new() };
        progress.now(waiting_for);
        progress
    }

    /// What it waits for now. Repeating the same says nothing.
    pub fn now(&mut self, waiting_for: &str) {
        if waiting_for == self.last {
            return;
        }
        self.last = waiting_for.to_owned();
        match &self.bar {
            Some(bar) => bar.set_message(waiting_for.to_owned()),
            None => say(waiting_for),
        }
    }

    /// A line that stays.
    pub fn line(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| say(line)),
            None => say(line),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
