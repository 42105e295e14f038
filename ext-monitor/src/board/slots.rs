//! Slots in shared memory, found by a number.
use crate::error::Error;

/// Up to `N` slots. Their keys stand apart from them: to find one among a thousand reads a few kilobytes.
pub struct Slots<T, const N: usize> {
    /// 0: free. Identities that are asked for are never 0.
    keys: [i64; N],
    slots: [Option<T>; N],
}

impl<T: Copy, const N: usize> Slots<T, N> {
    /// None taken.
    pub const EMPTY: Slots<T, N> = Slots { keys: [0; N], slots: [None; N] };

    /// The slot with that key.
    pub fn get(&mut self, key: i64) -> Option<&mut T> {
        let place = self.place_of(key)?;
        self.slots[place].as_mut()
    }

    /// The same, only to be read.
    pub fn look(&self, key: i64) -> Option<&T> {
        self.slots[self.place_of(key)?].as_ref()
    }

    /// The slot with that key, made in a free place when there is none.
    pub fn get_or_insert(&mut self, key: i64, new: impl FnOnce() -> T) -> Result<&mut T, Error> {
        let place = self.place_of(key).or_else(|| self.place_of(0)).ok_or(Error::BoardFull(N))?;
        self.keys[place] = key;
        Ok(self.slots[place].get_or_insert_with(new))
    }

    /// Frees the slots that are not to stay.
    pub fn retain(&mut self, stays: impl Fn(&T) -> bool) {
        for (key, slot) in self.keys.iter_mut().zip(&mut self.slots) {
            if slot.as_ref().is_some_and(|taken| !stays(taken)) {
                (*key, *slot) = (0, None);
            }
        }
    }

    /// Every slot that is taken.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().flatten()
    }

    fn place_of(&self, key: i64) -> Option<usize> {
        self.keys.iter().position(|taken| *taken == key)
    }
}
