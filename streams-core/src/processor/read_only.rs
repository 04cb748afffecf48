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

impl<K: Serde, V: Serde> ReadOnlyWindowStore<K, V> {
    /// As [`WindowStore::fetch_at`].
    ///
    /// # Errors
    /// When the store cannot be read, or holds what is none of its types.
    pub fn fetch_at(
        &self,
        key: &K,
        start: Timestamp,
        cx: &mut ProcessorContext<'_>,
    ) -> ProcessingResult<Option<V>> {
        self.0.fetch_at(key, start, cx)
    }

    /// As [`WindowStore::fetch`].
    ///
    /// # Errors
    /// As [`fetch_at`](Self::fetch_at).
    pub fn fetch(
        &self,
        key: &K,
        starts: impl RangeBounds<Timestamp>,
        cx: &mut ProcessorContext<'_>,
    ) -> ProcessingResult<Vec<WindowEntry<K, V>>> {
        self.0.fetch(key, starts, cx)
    }

    /// As [`WindowStore::backward_fetch`].
    ///
    /// # Errors
    /// As [`fetch_at`](Self::fetch_at).
    pub fn backward_fetch(
        &self,
        key: &K,
        starts: impl RangeBounds<Timestamp>,
        cx: &mut ProcessorContext<'_>,
    ) -> ProcessingResult<Vec<WindowEntry<K, V>>> {
        self.0.backward_fetch(key, starts, cx)
    }

    /// As [`WindowStore::fetch_range`].
    ///
    /// # Errors
    /// As [`fetch_at`](Self::fetch_at).
    pub fn fetch_range(
        &self,
        keys: impl RangeBounds<K>,
        starts: impl RangeBounds<Timestamp>,
        cx: &mut ProcessorContext<'_>,
    ) -> ProcessingResult<Vec<WindowEntry<K, V>>> {
        self.0.fetch_range(keys, starts, cx)
    }

    /// As [`WindowStore::backward_fetch_range`].
    ///
    /// # Errors
    /// As [`fetch_at`](Self::fetch_at).
    pub fn backward_fetch_range(
        &self,
        keys: impl RangeBounds<K>,
        starts: impl RangeBounds<Timestamp>,
        cx: &mut ProcessorContext<'_>,
    ) -> ProcessingResult<Vec<WindowEntry<K, V>>> {
        self.0.backward_fetch_range(keys, starts, cx)
    }

    /// As [`WindowStore::all`].
    ///
    /// # Errors
    /// As [`fetch_at`](Self::fetch_at).
    pub fn all(&self, cx: &mut ProcessorContext<'_>) -> ProcessingResult<Vec<WindowEntry<K, V>>> {
        self.0.all(cx)
    }
}

impl<K: Serde, V: Serde> ReadOnlySessionStore<K, V> {
    /// As [`SessionStore::fetch_session`].
    ///
    /// # Errors
    /// When the store cannot be read, or holds what is none of its types.
    pub fn fetch_session(
        &self,
        key: &K,
        start: Timestamp,
        end: Timestamp,
        cx: &mut ProcessorContext<'_>,
    ) -> ProcessingResult<Option<V>> {
        self.0.fetch_session(key, start, end, cx)
    }

    /// As [`SessionStore::fetch`].
    ///
    /// # Errors
    /// As [`fetch_session`](Self::fetch_session).
    pub fn fetch(
        &self,
        key: &K,
        cx: &mut ProcessorContext<'_>,
    ) -> ProcessingResult<Vec<WindowEntry<K, V>>> {
        self.0.fetch(key, cx)
    }

    /// As [`SessionStore::find_sessions`].
    ///
    /// # Errors
    /// As [`fetch_session`](Self::fetch_session).
    pub fn find_sessions(
        &self,
        key: &K,
        earliest_end: Timestamp,
        latest_start: Timestamp,
        cx: &mut ProcessorContext<'_>,
    ) -> ProcessingResult<Vec<WindowEntry<K, V>>> {
        self.0.find_sessions(key, earliest_end, latest_start, cx)
    }

    /// As [`SessionStore::backward_find_sessions`].
    ///
    /// # Errors
    /// As [`fetch_session`](Self::fetch_session).
    pub fn backward_find_sessions(
        &self,
        key: &K,
        earliest_end: Timestamp,
        latest_start: Timestamp,
        cx: &mut ProcessorContext<'_>,
    ) -> ProcessingResult<Vec<WindowEntry<K, V>>> {
        self.0
            .backward_find_sessions(key, earliest_end, latest_start, cx)
    }

    /// As [`SessionStore::find_sessions_of`].
    ///
    /// # Errors
    /// As [`fetch_session`](Self::fetch_session).
    pub fn find_sessions_of(
        &self,
        keys: impl RangeBounds<K>,
        earliest_end: Timestamp,
        latest_start: Timestamp,
        cx: &mut ProcessorContext<'_>,
    ) -> ProcessingResult<Vec<WindowEntry<K, V>>> {
        self.0
            .find_sessions_of(keys, earliest_end, latest_start, cx)
    }
}

impl<K: Serde, V: Serde> ReadOnlyVersionedStore<K, V> {
    /// As [`VersionedStore::get`].
    ///
    /// # Errors
    /// When the store cannot be read, or holds what is none of its types.
    pub fn get(
        &self,
        key: &K,
        cx: &mut ProcessorContext<'_>,
    ) -> ProcessingResult<Option<VersionedRecord<V>>> {
        self.0.get(key, cx)
    }

    /// As [`VersionedStore::get_as_of`].
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_as_of(
        &self,
        key: &K,
        time: Timestamp,
        cx: &mut ProcessorContext<'_>,
    ) -> ProcessingResult<Option<VersionedRecord<V>>> {
        self.0.get_as_of(key, time, cx)
    }
}
