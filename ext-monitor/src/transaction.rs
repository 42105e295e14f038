//! What a transaction leaves to be done when it commits. Each piece is kept with the subtransaction that left it, so that
//! what is rolled back to a savepoint is forgotten and what came before it is not.
use crate::pg;

/// Pieces of one kind, in the order in which they were left.
pub struct Kept<T> {
    pieces: Vec<(u32, T)>,
}

impl<T> Kept<T> {
    /// Nothing yet.
    pub const fn new() -> Kept<T> {
        Kept { pieces: Vec::new() }
    }

    /// Leaves one more.
    pub fn push(&mut self, piece: T) {
        self.pieces.push((pg::subtransaction(), piece));
    }

    /// What was left so far, latest first.
    pub fn latest_first(&self) -> impl Iterator<Item = &T> {
        self.pieces.iter().rev().map(|(_, piece)| piece)
    }

    /// The end of the transaction: everything that is left.
    pub fn take(&mut self) -> Vec<T> {
        std::mem::take(&mut self.pieces).into_iter().map(|(_, piece)| piece).collect()
    }

    /// A subtransaction has ended well: what it left is its parent's now.
    pub fn hand_on(&mut self, own: u32, parent: u32) {
        for (owner, _) in self.pieces.iter_mut().filter(|(owner, _)| *owner == own) {
            *owner = parent;
        }
    }

    /// A subtransaction was undone.
    pub fn forget(&mut self, own: u32) {
        self.pieces.retain(|(owner, _)| *owner != own);
    }
}
