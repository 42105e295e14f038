//! `show state --watch`: drawn again when the monitor tells of a change, and once a second for what it does not tell.
//! On a terminal in place, without flicker; elsewhere one print for each change.
use crate::commands::show_state;
use crate::context::{Context, Scope};
use crate::error::{Error, Kind, Result};
use crate::monitor::Monitor;
use crate::printer;
use crate::render::{Format, render};
use crate::view::{NodeState, View};
use crossterm::event::{self, Event, KeyCode, KeyModifiers};
use crossterm::terminal::{self, ClearType};
use crossterm::{cursor, execute, queue};
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often it looks without being told, for WAL positions and health.
const TICK: Duration = Duration::from_secs(1);
/// How soon a key or a signal is noticed.
const NOTICE: Duration = Duration::from_millis(100);

/// Shows until it is told to end.
pub fn run(context: &Context) -> Result<View> {
    // Their doing nothing leaves the loop in its own time, and the terminal as it was.
    let ended = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP, signal_hook::consts::SIGINT] {
        signal_hook::flag::register(signal, ended.clone()).map_err(|cause| trouble(&cause))?;
    }
    let mut source = Source { context, open: None };
    // What is wrong from the start is an error, not a picture.
    let first = source.look()?;
    if io::stdout().is_terminal() && io::stdin().is_terminal() && context.format == Format::Text {
        on_terminal(&mut source, first, &ended)?;
    } else {
        as_lines(&mut source, first, &ended);
    }
    Ok(View::Nothing)
}

/// What there is to see at one moment.
struct Picture {
    nodes: Vec<NodeState>,
    /// Why these are not the monitor's words.
    alas: Option<String>,
}

/// Where pictures come from: the monitor, by a session that stands; without it, the node itself.
struct Source<'a> {
    context: &'a Context,
    open: Option<(Monitor, Scope)>,
}

impl Source<'_> {
    fn look(&mut self) -> Result<Picture> {
        match self.ask() {
            Ok(nodes) => Ok(Picture { nodes, alas: None }),
            Err(silent) => {
                self.open = None;
                let alas = Some(silent.to_string());
                let node = show_state::of_node_alone(self.context, silent)?;
                Ok(Picture { nodes: vec![node], alas })
            }
        }
    }

    fn ask(&mut self) -> Result<Vec<NodeState>> {
        let (monitor, scope) = match self.open.take() {
            Some(open) => open,
            None => {
                let open = self.context.open_monitor()?;
                open.0.listen()?;
                open
            }
        };
        let nodes = show_state::of_monitor(&monitor, &scope)?;
        self.open = Some((monitor, scope));
        Ok(nodes)
    }

    /// Waits for news. Whether there is some.
    fn wait(&self, within: Duration) -> bool {
        match &self.open {
            Some((monitor, _)) => monitor.heard(within),
            None => {
                std::thread::sleep(within);
                false
            }
        }
    }

    /// The same picture, once more; a monitor that is silent on the way is told in the picture.
    fn look_again(&mut self, before: &[NodeState]) -> Picture {
        self.look().unwrap_or_else(|error| Picture { nodes: before.to_vec(), alas: Some(error.to_string()) })
    }
}

fn as_lines(source: &mut Source<'_>, first: Picture, ended: &AtomicBool) {
    let format = source.context.format;
    let mut picture = first;
    let mut shown: Option<(Vec<NodeState>, Option<String>)> = None;
    loop {
        // WAL grows all the time, which is no change of state.
        let still = |node: &NodeState| NodeState { reported_lsn: String::new(), ..node.clone() };
        let now = (picture.nodes.iter().map(still).collect::<Vec<_>>(), picture.alas.clone());
        if shown.as_ref() != Some(&now) {
            if let Some(alas) =
                picture.alas.as_ref().filter(|_| shown.as_ref().is_none_or(|(_, a)| *a != now.1))
            {
                tracing::info!("{alas}");
            }
            let gap = if shown.is_some() && format == Format::Text { "\n" } else { "" };
            if !printer::data(&format!("{gap}{}", render(&View::States(picture.nodes.clone()), format))) {
                return;
            }
            shown = Some(now);
        }
        if pause(source, ended) {
            return;
        }
        picture = source.look_again(&picture.nodes);
    }
}

/// Until there is news or the tick; whether it is the end.
fn pause(source: &Source<'_>, ended: &AtomicBool) -> bool {
    let since = Instant::now();
    while since.elapsed() < TICK {
        if ended.load(Ordering::Relaxed) {
            return true;
        }
        if source.wait(NOTICE) {
            return false;
        }
    }
    false
}

fn on_terminal(source: &mut Source<'_>, first: Picture, ended: &AtomicBool) -> Result<()> {
    let _screen = Screen::take().map_err(|cause| trouble(&cause))?;
    let mut picture = first;
    loop {
        draw(&picture).map_err(|cause| trouble(&cause))?;
        let drawn = Instant::now();
        let mut wanted = false;
        while !wanted && drawn.elapsed() < TICK {
            if ended.load(Ordering::Relaxed) {
                return Ok(());
            }
            while event::poll(Duration::ZERO).map_err(|cause| trouble(&cause))? {
                let happened = event::read().map_err(|cause| trouble(&cause))?;
                if let Event::Key(key) = happened
                    && is_end(key.code, key.modifiers)
                {
                    return Ok(());
                }
                wanted |= matches!(happened, Event::Resize(..));
            }
            wanted = wanted || source.wait(NOTICE);
        }
        picture = source.look_again(&picture.nodes);
    }
}

fn is_end(code: KeyCode, modifiers: KeyModifiers) -> bool {
    let control = modifiers.contains(KeyModifiers::CONTROL);
    matches!(code, KeyCode::Char('q' | 'Q') | KeyCode::Esc)
        || control && matches!(code, KeyCode::Char('c' | 'd'))
}

/// The terminal while it is ours. Dropped, it is as it was.
struct Screen;

impl Screen {
    fn take() -> io::Result<Screen> {
        terminal::enable_raw_mode()?;
        let screen = Screen;
        execute!(io::stdout(), terminal::EnterAlternateScreen, terminal::DisableLineWrap, cursor::Hide)?;
        Ok(screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone has nothing to restore.
        let _ =
            execute!(io::stdout(), cursor::Show, terminal::EnableLineWrap, terminal::LeaveAlternateScreen);
        let _ = terminal::disable_raw_mode();
    }
}

/// Each line over the one before and what is left of it cleared, in one write: nothing is ever blank in between.
fn draw(picture: &Picture) -> io::Result<()> {
    let height = usize::from(terminal::size()?.1);
    let text = screen_text(picture);
    let mut frame = Vec::new();
    queue!(frame, terminal::BeginSynchronizedUpdate, cursor::MoveTo(0, 0))?;
    for (number, line) in text.lines().take(height).enumerate() {
        if number > 0 {
            frame.write_all(b"\r\n")?;
        }
        frame.write_all(line.as_bytes())?;
        queue!(frame, terminal::Clear(ClearType::UntilNewLine))?;
    }
    queue!(frame, terminal::Clear(ClearType::FromCursorDown), terminal::EndSynchronizedUpdate)?;
    let mut stdout = io::stdout().lock();
    stdout.write_all(&frame)?;
    stdout.flush()
}

fn screen_text(picture: &Picture) -> String {
    let now = time::OffsetDateTime::now_utc();
    let clock = format!("{:02}:{:02}:{:02} UTC", now.hour(), now.minute(), now.second());
    let whose = match &picture.alas {
        None => String::new(),
        Some(alas) if picture.nodes.iter().any(NodeState::is_local) => {
            format!("\n{}\nLocal view: what this node alone knows of itself.\n", printer::plain(alas))
        }
        Some(alas) => format!("\n{}\nWhat was known before:\n", printer::plain(alas)),
    };
    format!("{clock} (q ends it)\n{whose}\n{}", render(&View::States(picture.nodes.clone()), Format::Text))
}

fn trouble(cause: &io::Error) -> Error {
    Error::new(Kind::Internal, format!("the terminal cannot be used: {cause}"))
        .hint("without a terminal it works too: pg_autoctl show state --watch | cat")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_that_end_it() {
        assert!(is_end(KeyCode::Char('q'), KeyModifiers::NONE));
        assert!(is_end(KeyCode::Char('c'), KeyModifiers::CONTROL));
        assert!(!is_end(KeyCode::Char('c'), KeyModifiers::NONE));
    }
}
