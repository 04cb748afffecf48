//! Layer 4. Two streams joined within a time difference: the handle that generated code calls for the records of either side.
//!
//! Semantics are Kafka Streams' (4.3.1): `KStreamKStreamJoin` with its left and right side, `KStreamJoinWindow`,
//! `KStreamKStreamSelfJoin`, and the store of records without partner that left and outer joins share between their sides.

use std::fmt;
use std::marker::PhantomData;

use crate::context::{TaskContext, serialize};
use crate::error::{RecordPart, TaskFailure, TaskResult};
use crate::obligations::JoinedKey;
use crate::record::Record;
use crate::serde::{Serde, SerdeError};

mod arrival;
mod pairs;
mod unmatched;
mod windows;

pub(crate) use arrival::Arrival;
pub use pairs::{Pair, Pairs};
pub use unmatched::{Unmatched, UnmatchedKey, UnmatchedValues};
pub use windows::{JoinWindows, Side};

/// Which records without partner a join keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinKind {
    /// None.
    Inner,
    /// The left ones.
    Left,
    /// Those of both sides.
    Outer,
    /// None, of a stream joined with itself over one store (`optimization = "single.store.self.join"`).
    Itself,
}

impl JoinKind {
    const fn keeps(self, side: Side) -> bool {
        match self {
            JoinKind::Inner | JoinKind::Itself => false,
            JoinKind::Left => matches!(side, Side::Left),
            JoinKind::Outer => true,
        }
    }
}

/// What a join works with; stores and time slots by their index in the sub-topology.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JoinParts {
    /// Which records without partner are kept.
    pub kind: JoinKind,
    /// Which records meet.
    pub windows: JoinWindows,
    /// The window store of the left stream's records.
    pub left: usize,
    /// The window store of the right stream's; that of the left where a stream is joined with itself over one store.
    pub right: usize,
    /// The store of records without partner, where they are kept.
    pub unmatched: Option<usize>,
    /// The time slot of the join's stream time.
    pub time: usize,
    /// The time slot of the least time in the store of records without partner, as far as it is known; where there is one.
    pub least: Option<usize>,
    /// The time slot of the wall clock's time before which it does not look for such records again; where there is a store of them.
    pub next_search: Option<usize>,
}

/// A join of two streams. `KO` is the key type of what it yields: the streams' own `K`, or `Option<K>` where records without a
/// key pass.
pub struct StreamJoin<KO, K, V, OV> {
    parts: &'static JoinParts,
    types: PhantomData<Types<KO, K, V, OV>>,
}

/// Makes all of them, so that a handle is `Send` and `Sync` whatever they are.
type Types<KO, K, V, OV> = fn() -> (KO, K, V, OV);

impl<KO, K, V, OV> Clone for StreamJoin<KO, K, V, OV> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<KO, K, V, OV> Copy for StreamJoin<KO, K, V, OV> {}

impl<KO, K, V, OV> fmt::Debug for StreamJoin<KO, K, V, OV> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StreamJoin").field(&self.parts).finish()
    }
}

/// A join whose types rustc infers from its two sides.
#[inline(always)]
#[must_use]
pub const fn stream_join<KO, K, V, OV>(parts: &'static JoinParts) -> StreamJoin<KO, K, V, OV> {
    StreamJoin {
        parts,
        types: PhantomData,
    }
}

/// A join of a stream with itself over one store.
#[inline(always)]
#[must_use]
pub const fn stream_self_join<KO, K, V>(parts: &'static JoinParts) -> StreamJoin<KO, K, V, V> {
    stream_join(parts)
}

impl<KO, K, V, OV> StreamJoin<KO, K, V, OV> {
    /// The record itself: what the join yields has its key type.
    #[inline(always)]
    pub fn yielding_key_of<T>(self, record: Record<KO, T>) -> Record<KO, T> {
        record
    }
}

impl<K, V, OV> StreamJoin<K, K, V, OV> {
    /// The join itself, which drops records without a key.
    #[inline(always)]
    #[must_use]
    pub const fn without_null_keys(self) -> Self {
        self
    }
}

impl<K, V, OV> StreamJoin<Option<K>, K, V, OV> {
    /// The join itself, which lets records without a key pass.
    #[inline(always)]
    #[must_use]
    pub const fn with_null_keys(self) -> Self {
        self
    }
}

/// What a join makes of its key: the key itself, or nullable.
pub trait YieldedKey<K>: Sized {
    /// `None` where there is no key but has to be one.
    fn yielded(key: Option<K>) -> Option<Self>;
}

#[diagnostic::do_not_recommend]
impl<K> YieldedKey<K> for K {
    #[inline(always)]
    fn yielded(key: Option<K>) -> Option<K> {
        key
    }
}

#[diagnostic::do_not_recommend]
impl<K> YieldedKey<K> for Option<K> {
    #[inline(always)]
    fn yielded(key: Option<K>) -> Option<Option<K>> {
        Some(key)
    }
}

impl<KO, K: Serde, V: Serde, OV: Serde> StreamJoin<KO, K, V, OV> {
    /// A record of the left stream: what it gives, one by one. A record without key or value counts as dropped, unless the join
    /// keeps it.
    ///
    /// # Errors
    /// When a store fails, or key or value have no bytes.
    #[inline]
    pub fn left(
        self,
        record: Record<Option<K>, Option<V>>,
        cx: &mut TaskContext,
    ) -> TaskResult<Pairs<KO, K, V, OV>> {
        let found = self.arrive(Side::Left, &record, cx)?;
        let Record {
            key,
            value,
            timestamp,
            headers,
        } = record;
        let of = Record {
            key,
            value: (value, None),
            timestamp,
            headers,
        };
        Ok(Pairs::new(self, Side::Left, of, found))
    }

    /// A record of the right stream: what it gives, one by one.
    ///
    /// # Errors
    /// As [`left`](Self::left).
    #[inline]
    pub fn right<Node, Other, K2>(
        self,
        record: Record<Option<K2>, Option<OV>>,
        cx: &mut TaskContext,
    ) -> TaskResult<Pairs<KO, K, V, OV>>
    where
        K2: JoinedKey<K, Node, Other>,
    {
        let Record {
            key,
            value,
            timestamp,
            headers,
        } = record;
        let record = Record {
            key: key.map(K2::joined),
            value,
            timestamp,
            headers,
        };
        let found = self.arrive(Side::Right, &record, cx)?;
        let Record {
            key,
            value,
            timestamp,
            headers,
        } = record;
        let of = Record {
            key,
            value: (None, value),
            timestamp,
            headers,
        };
        Ok(Pairs::new(self, Side::Right, of, found))
    }

    /// Writes a record's bytes, stores it, and finds what it meets.
    #[inline]
    fn arrive<T: Serde>(
        self,
        side: Side,
        record: &Record<Option<K>, Option<T>>,
        cx: &mut TaskContext,
    ) -> TaskResult<Arrival> {
        let mut found = cx.scratch.arrivals.pop().unwrap_or_default();
        found.clear();
        for (part, written) in [
            (RecordPart::Key, serialize(&record.key, &mut found.key)),
            (
                RecordPart::Value,
                serialize(&record.value, &mut found.value),
            ),
        ] {
            if let Err(reason) = written {
                let error = self.unwritable(side, part, reason, cx);
                cx.declined(error)?;
                found.clear();
                return Ok(found);
            }
        }
        found.has_key = record.key.as_ref().is_some_and(|key| !key.is_null());
        found.has_value = record.value.as_ref().is_some_and(|value| !value.is_null());
        let taken = found.arrive(self.parts, side, record.timestamp, &record.headers, cx);
        if let Err(error) = taken {
            cx.declined(error)?;
            found.clear();
        }
        Ok(found)
    }

    #[cold]
    fn unwritable(
        self,
        side: Side,
        part: RecordPart,
        reason: SerdeError,
        cx: &TaskContext,
    ) -> crate::error::TaskError {
        let store = match side {
            Side::Left => self.parts.left,
            Side::Right => self.parts.right,
        };
        let destination = format!("store {}", cx.store_name(store));
        TaskFailure::Serialization {
            destination,
            part,
            reason,
        }
        .into()
    }
}
