//! Parts of the world that most situations have in common with the one before: copied when they change, and hashed once.
use ahash::RandomState;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, OnceLock};

/// The same in every run.
pub const HASHER: RandomState = RandomState::with_seeds(1, 2, 3, 4);

/// A value that its clones share until one of them changes.
#[derive(Clone, Debug)]
pub struct Shared<T>(Arc<Hashed<T>>);

#[derive(Debug)]
struct Hashed<T> {
    value: T,
    /// Of the value, once it was asked for.
    hash: OnceLock<u64>,
}

impl<T: Hash> Shared<T> {
    pub fn new(value: T) -> Shared<T> {
        Shared(Arc::new(Hashed { value, hash: OnceLock::new() }))
    }

    fn hash(&self) -> u64 {
        *self.0.hash.get_or_init(|| HASHER.hash_one(&self.0.value))
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

impl<T: Clone> DerefMut for Shared<T> {
    fn deref_mut(&mut self) -> &mut T {
        let own = Arc::make_mut(&mut self.0);
        own.hash = OnceLock::new();
        &mut own.value
    }
}

/// For whoever is about to change it: the hash is then another.
impl<T: Clone> Clone for Hashed<T> {
    fn clone(&self) -> Hashed<T> {
        Hashed { value: self.value.clone(), hash: OnceLock::new() }
    }
}

impl<T: Hash> Hash for Shared<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash());
    }
}

impl<T: Hash + Eq> PartialEq for Shared<T> {
    fn eq(&self, other: &Shared<T>) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.hash() == other.hash() && self.0.value == other.0.value
    }
}

impl<T: Hash + Eq> Eq for Shared<T> {}
