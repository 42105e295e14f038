//! A program on a terminal: what it draws is kept, and keys can be pressed.
use crate::deadlines::STATEMENT;
use crate::wait;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A terminal with a program on it. Dropping it ends the program.
pub struct Terminal {
    keys: File,
    /// Our own end of what the program sees, so that its settings can be looked at.
    face: File,
    child: Child,
    drawn: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    /// Runs a program on a terminal of 24 lines and 120 columns.
    pub fn run(command: &mut Command) -> Terminal {
        let keys = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("opening a terminal");
        grantpt(&keys).expect("granting the terminal");
        unlockpt(&keys).expect("unlocking the terminal");
        let size = Winsize { ws_row: 24, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&keys, size).expect("setting the terminal's size");
        let path = ptsname(&keys, Vec::new()).expect("the terminal's name");
        let path = path.into_string().expect("the terminal's name is text");
        let face = OpenOptions::new().read(true).write(true).open(path).expect("opening the terminal's face");
        let side = || Stdio::from(face.try_clone().expect("sharing the terminal"));
        let child = command
            .env("TERM", "xterm")
            .stdin(side())
            .stdout(side())
            .stderr(side())
            .spawn()
            .unwrap_or_else(|error| panic!("running {command:?}: {error}"));
        let keys = File::from(keys);
        let drawn = Arc::new(Mutex::new(Vec::new()));
        let (mut reader, kept) = (keys.try_clone().expect("sharing the terminal"), drawn.clone());
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = reader.read(&mut buffer) {
                kept.lock().expect("the reader's lock").extend_from_slice(&buffer[..length]);
            }
        });
        Terminal { keys, face, child, drawn }
    }

    /// Everything that was drawn so far, with the control sequences.
    pub fn drawn(&self) -> String {
        String::from_utf8_lossy(&self.drawn.lock().expect("the reader's lock")).into_owned()
    }

    /// Waits until something that was drawn since `from` (an index into [`Terminal::drawn`]) contains `text`.
    pub fn wait_for(&self, text: &str, from: usize, limit: Duration) {
        wait::until(&format!("the terminal shows {text:?}"), limit, || {
            let drawn = self.drawn();
            let new = drawn.get(from..).unwrap_or_default();
            if new.contains(text) { Ok(()) } else { Err(new.to_owned()) }
        });
    }

    /// Presses keys.
    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("writing to the terminal");
    }

    /// Waits until the program has ended.
    pub fn wait_for_end(&mut self) -> ExitStatus {
        wait::until("the program on the terminal ends", STATEMENT, || {
            self.child.try_wait().expect("waiting for the program").ok_or("it runs")
        })
    }

    /// Lines are edited and keys are echoed, as a shell wants it.
    pub fn is_as_a_shell_wants_it(&self) -> bool {
        let modes = tcgetattr(&self.face).expect("reading the terminal's settings").local_modes;
        modes.contains(LocalModes::ICANON | LocalModes::ECHO)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
