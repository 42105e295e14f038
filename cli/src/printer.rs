//! What a person sees: answers on stdout, errors and what is being waited for on stderr.
use crate::error::Error;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::time::Duration;
use tracing::info;

/// Data that the caller asked for. Whether somebody is still there to read it: one that has gone away (`| head`) is no error of ours.
pub fn data(text: &str) -> bool {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).is_ok()
}

/// Without the characters by which a name or a message could write elsewhere on the terminal.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// An error, with its next step.
pub fn error(error: &Error) {
    let mut stderr = std::io::stderr();
    let _ = writeln!(stderr, "pg_autoctl: {error}");
    if let Some(hint) = &error.hint {
        let _ = writeln!(stderr, "  hint: {hint}");
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
            None => info!("{waiting_for}"),
        }
    }

    /// A line that stays.
    pub fn line(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| info!("{line}")),
            None => info!("{line}"),
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
