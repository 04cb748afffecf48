//! Stores of windows, sessions and versions that a processor reads and does not write: global ones, or ones that it shares.

use std::fmt;
use std::ops::RangeBounds;

use super::stores::Place;
use super::{ProcessingResult, ProcessorContext};
use super::{SessionStore, VersionedStore, WindowEntry, WindowStore};
use crate::context::Access;
use crate::record::{Timestamp, VersionedRecord};
use crate::serde::Serde;

macro_rules! read_only {
    ($(#[$doc:meta])* $name:ident of $store:ident) => {
        $(#[$doc])*
        pub struct $name<K, V>($store<K, V>);

        impl<K, V> $name<K, V> {
            pub(super) const fn placed(at: Place) -> Self {
                $name($store::placed(at))
            }

            /// A store that leads nowhere until it is bound, for generated code.
            #[doc(hidden)]
            #[must_use]
            pub const fn unbound() -> Self {
                $name($store::unbound())
            }

            /// The store of that index in the task, for generated code.
            #[doc(hidden)]
            #[must_use]
            pub const fn local(index: usize) -> Self {
                $name($store::local(index))
            }

            /// The global store of that index, for generated code.
            #[doc(hidden)]
            #[must_use]
            pub const fn global(index: usize) -> Self {
                $name($store::placed(Place::Task(Access::Global(index))))
            }
        }

        impl<K, V> fmt::Debug for $name<K, V> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.0).finish()
            }
        }
    };
}

read_only! {
    /// A [`WindowStore`] that a processor reads and does not write.
    ReadOnlyWindowStore of WindowStore
}
read_only! {
    /// A [`SessionStore`] that a processor reads and does not write.
    ReadOnlySessionStore of SessionStore
}
read_only! {
    /// A [`VersionedStore`] that a processor reads and does not write.
    ReadOnlyVersionedStore of VersionedStore
}

macro_rules! reads_as {
    ($store:ident: $($name:ident($($argument:ident: $ty:ty),*) -> $out:ty;)*) => {$(
        #[doc = concat!("As [`", stringify!($store), "::", stringify!($name), "`].")]
        ///
        /// # Errors
        /// When the store cannot be read, or holds what is none of its types.
        pub fn $name(
            &self,
            $($argument: $ty,)*
            cx: &mut ProcessorContext<'_>,
        ) -> ProcessingResult<$out> {
            self.0.$name($($argument,)* cx)
        }
    )*};
}

impl<K: Serde, V: Serde> ReadOnlyWindowStore<K, V> {
    reads_as! {
        WindowStore:
        fetch_at(key: &K, start: Timestamp) -> Option<V>;
        fetch(key: &K, starts: impl RangeBounds<Timestamp>) -> Vec<WindowEntry<K, V>>;
        backward_fetch(key: &K, starts: impl RangeBounds<Timestamp>) -> Vec<WindowEntry<K, V>>;
        fetch_range(keys: impl RangeBounds<K>, starts: impl RangeBounds<Timestamp>) -> Vec<WindowEntry<K, V>>;
        backward_fetch_range(keys: impl RangeBounds<K>, starts: impl RangeBounds<Timestamp>) -> Vec<WindowEntry<K, V>>;
        fetch_all(starts: impl RangeBounds<Timestamp>) -> Vec<WindowEntry<K, V>>;
        backward_fetch_all(starts: impl RangeBounds<Timestamp>) -> Vec<WindowEntry<K, V>>;
        all() -> Vec<WindowEntry<K, V>>;
        backward_all() -> Vec<WindowEntry<K, V>>;
    }
}

impl<K: Serde, V: Serde> ReadOnlySessionStore<K, V> {
    reads_as! {
        SessionStore:
        fetch_session(key: &K, start: Timestamp, end: Timestamp) -> Option<V>;
        fetch(key: &K) -> Vec<WindowEntry<K, V>>;
        backward_fetch(key: &K) -> Vec<WindowEntry<K, V>>;
        fetch_range(keys: impl RangeBounds<K>) -> Vec<WindowEntry<K, V>>;
        backward_fetch_range(keys: impl RangeBounds<K>) -> Vec<WindowEntry<K, V>>;
        find_sessions(key: &K, earliest_end: Timestamp, latest_start: Timestamp) -> Vec<WindowEntry<K, V>>;
        backward_find_sessions(key: &K, earliest_end: Timestamp, latest_start: Timestamp) -> Vec<WindowEntry<K, V>>;
        find_sessions_of(keys: impl RangeBounds<K>, earliest_end: Timestamp, latest_start: Timestamp) -> Vec<WindowEntry<K, V>>;
        backward_find_sessions_of(keys: impl RangeBounds<K>, earliest_end: Timestamp, latest_start: Timestamp) -> Vec<WindowEntry<K, V>>;
    }
}

impl<K: Serde, V: Serde> ReadOnlyVersionedStore<K, V> {
    reads_as! {
        VersionedStore:
        get(key: &K) -> Option<VersionedRecord<V>>;
        get_as_of(key: &K, time: Timestamp) -> Option<VersionedRecord<V>>;
        get_versions(key: &K, times: impl RangeBounds<Timestamp>) -> Vec<VersionedRecord<V>>;
    }
}
