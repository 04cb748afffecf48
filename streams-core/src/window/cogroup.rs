//! Cogroups by sessions: the types of the function that merges two, which stands once for all inputs.

use std::fmt;
use std::marker::PhantomData;

use crate::windowed::WindowedKey;

/// The types of a function that merges the sessions of a table: rustc learns them before it sees the function.
pub struct Merging<K, V>(PhantomData<fn() -> (K, V)>);

impl<K, V> fmt::Debug for Merging<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Merging")
    }
}

impl<K, V> Default for Merging<K, V> {
    fn default() -> Self {
        Merging::new()
    }
}

impl<K, V> Merging<K, V> {
    /// Of a table of these types.
    #[must_use]
    pub const fn new() -> Self {
        Merging(PhantomData)
    }
}

impl<K: WindowedKey, A> Merging<K, Option<A>> {
    /// The function, which may return `None`: that deletes the session.
    #[inline(always)]
    pub fn by<F: Fn(&K::Key, A, A) -> Option<A>>(self, merger: F) -> F {
        merger
    }
}

/// [`Merging::by`] of tables whose values are not nullable.
pub trait MergeSessions<K: WindowedKey, V> {
    /// The function.
    fn by<F: Fn(&K::Key, V, V) -> V>(self, merger: F) -> F;
}

impl<K: WindowedKey, V> MergeSessions<K, V> for Merging<K, V> {
    #[inline(always)]
    fn by<F: Fn(&K::Key, V, V) -> V>(self, merger: F) -> F {
        merger
    }
}
