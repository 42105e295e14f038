//! An operator's word that this node may write although no monitor can be asked (law 5).
//!
//! It stands until it was carried out, for the server starts anew on the way, or until a monitor has answered.
use crate::dir::StateDir;
use crate::durable;
use crate::error::{Result, present};
use serde::{Deserialize, Serialize};

/// The word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartAlone {
    /// The node's identity token.
    pub identity: String,
}

impl StartAlone {
    /// Gives the word to the node with that identity.
    pub fn ask(dir: &StateDir, identity: &str) -> Result<()> {
        durable::write_toml(&dir.alone(), &StartAlone { identity: identity.to_owned() })
    }

    /// Whether it was given to the node with that identity.
    pub fn stands(dir: &StateDir, identity: &str) -> Result<bool> {
        let word: Option<StartAlone> = present(durable::read_toml(&dir.alone()))?;
        Ok(word.is_some_and(|word| word.identity == identity))
    }

    /// It was carried out, or is not needed any more. Whether it was there.
    pub fn withdraw(dir: &StateDir) -> Result<bool> {
        durable::remove(&dir.alone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_for_one_node_and_ends() {
        let directory = tempfile::tempdir().unwrap();
        let dir = StateDir::at(directory.path());
        assert!(!StartAlone::stands(&dir, "me").unwrap());
        StartAlone::ask(&dir, "me").unwrap();
        assert!(StartAlone::stands(&dir, "me").unwrap() && !StartAlone::stands(&dir, "other").unwrap());
        assert!(StartAlone::withdraw(&dir).unwrap() && !StartAlone::withdraw(&dir).unwrap());
        assert!(!StartAlone::stands(&dir, "me").unwrap());
    }
}
