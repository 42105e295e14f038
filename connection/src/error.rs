//! What is wrong, in a sentence, and what to do about it.

/// One cause, and the next step.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Error {
    /// The sentence. Never holds a password.
    pub why: String,
    /// The next step.
    pub hint: String,
}

impl Error {
    /// A cause and its next step.
    pub fn new(why: impl Into<String>, hint: impl Into<String>) -> Error {
        Error { why: why.into(), hint: hint.into() }
    }

    /// Both in one sentence, for a log.
    pub fn in_full(&self) -> String {
        format!("{}; {}", self.why, self.hint)
    }
}
