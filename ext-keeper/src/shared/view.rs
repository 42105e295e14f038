//! What the keeper shows to people.
use crate::pg::shmem::VIEW;
use fsm::message::Peer;
use fsm::state::State;
use fsm::units::{NodeId, Term};

/// A text of so many bytes at most: UTF-8, padded with zeros.
#[derive(Clone, Copy)]
pub struct Text<const SIZE: usize>([u8; SIZE]);

impl<const SIZE: usize> Text<SIZE> {
    const EMPTY: Text<SIZE> = Text([0; SIZE]);

    fn of(text: &str) -> Text<SIZE> {
        let text = text.replace('\0', " ");
        let end = text.floor_char_boundary(SIZE);
        let mut bytes = [0; SIZE];
        bytes[..end].copy_from_slice(&text.as_bytes()[..end]);
        Text(bytes)
    }

    fn get(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.0);
        let text = text.trim_end_matches('\0');
        (!text.is_empty()).then(|| text.to_owned())
    }
}

/// The row of `autoctl.state`, and what errors tell.
#[derive(Clone, Copy)]
pub struct View {
    /// Its id; 0: not enrolled, or the keeper has not run yet.
    pub node: NodeId,
    /// The state it has reached.
    pub state: State,
    /// The state it was assigned.
    pub goal: State,
    /// The highest term it has heard of.
    pub term: Term,
    /// When the monitor answered last, on CLOCK_BOOTTIME; 0: not in this life.
    pub last_contact_ns: u64,
    /// See [`View::error`].
    pub last_error: Text<512>,
    /// See [`View::primary`].
    pub primary: Text<300>,
}

impl Default for View {
    fn default() -> View {
        View {
            node: NodeId(0),
            state: State::Unknown,
            goal: State::Unknown,
            term: Term(0),
            last_contact_ns: 0,
            last_error: Text::EMPTY,
            primary: Text::EMPTY,
        }
    }
}

impl View {
    /// The same with that error, or with none.
    pub fn with_error(self, error: Option<&str>) -> View {
        View { last_error: error.map_or(Text::EMPTY, Text::of), ..self }
    }

    /// The same with that primary, or with none.
    pub fn with_primary(self, primary: Option<&Peer>) -> View {
        let place = |peer: &Peer| format!("node {} at {}:{}", peer.node, peer.host, peer.port);
        View { primary: primary.map_or(Text::EMPTY, |peer| Text::of(&place(peer))), ..self }
    }

    /// What went wrong last.
    pub fn error(&self) -> Option<String> {
        self.last_error.get()
    }

    /// The node that the monitor named last as the one to follow, and its address.
    pub fn primary(&self) -> Option<String> {
        self.primary.get()
    }
}

/// Shows it.
pub fn publish(view: &View) {
    *VIEW.exclusive() = *view;
}

/// What is shown.
pub fn read() -> View {
    *VIEW.share()
}
