//! What a transaction leaves to be done when it commits. Each piece is kept with the subtransaction that left it, so that
//! what is rolled back to a savepoint is forgotten and what came before it is not.
use crate::{health, pg, refuse, tell};

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
}

/// What becomes of pieces of any kind when a part of the transaction ends.
pub trait Left {
    /// The transaction was undone.
    fn clear(&mut self);
    /// A subtransaction has ended well: what it left is its parent's now.
    fn hand_on(&mut self, own: u32, parent: u32);
    /// A subtransaction was undone.
    fn forget(&mut self, own: u32);
}

impl<T> Left for Kept<T> {
    fn clear(&mut self) {
        self.pieces.clear();
    }

    fn hand_on(&mut self, own: u32, parent: u32) {
        for (owner, _) in self.pieces.iter_mut().filter(|(owner, _)| *owner == own) {
            *owner = parent;
        }
    }

    fn forget(&mut self, own: u32) {
        self.pieces.retain(|(owner, _)| *owner != own);
    }
}

/// For everything that is left for the end of the transaction.
pub fn each(what: impl Fn(&mut dyn Left)) {
    tell::LINES.with_borrow_mut(|lines| what(lines));
    refuse::TOLD.with_borrow_mut(|told| what(told));
    health::TOLD.with_borrow_mut(|told| what(told));
}
