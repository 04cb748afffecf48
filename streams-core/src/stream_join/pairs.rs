//! What a record of either side gives, one by one and typed: pairs, and records that have or had no partner.

use std::fmt;

use super::arrival::{Arrival, Kind, Meeting};
use super::windows::Side;
use super::{StreamJoin, YieldedKey};
use crate::context::TaskContext;
use crate::error::{TaskError, TaskFailure, TaskResult};
use crate::record::{Headers, Record, Timestamp};
use crate::serde::{Serde, SerdeError};

/// What a record gives. Values that it meets are read from their bytes one after another.
pub struct Pairs<KO, K, V, OV> {
    join: StreamJoin<KO, K, V, OV>,
    side: Side,
    key: Option<K>,
    left: Option<V>,
    right: Option<OV>,
    timestamp: Timestamp,
    headers: Headers,
    found: Arrival,
}

impl<KO, K, V, OV> fmt::Debug for Pairs<KO, K, V, OV> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pairs")
            .field("side", &self.side)
            .field("timestamp", &self.timestamp)
            .field("found", &self.found)
            .finish_non_exhaustive()
    }
}

impl<KO, K, V, OV> Pairs<KO, K, V, OV> {
    pub(super) fn new(
        join: StreamJoin<KO, K, V, OV>,
        side: Side,
        of: Record<Option<K>, (Option<V>, Option<OV>)>,
        found: Arrival,
    ) -> Self {
        let Record {
            key,
            value: (left, right),
            timestamp,
            headers,
        } = of;
        Pairs {
            join,
            side,
            key,
            left,
            right,
            timestamp,
            headers,
            found,
        }
    }
}

impl<KO, K, V, OV> Pairs<KO, K, V, OV> {
    /// The joiner failed on the last pair: as in Kafka Streams, the record meets nobody else.
    #[cold]
    pub fn leave(&mut self) {
        self.found.leave();
    }
}

impl<KO, K, V, OV> Pairs<KO, K, V, OV>
where
    KO: YieldedKey<K>,
    K: Serde,
    V: Serde,
    OV: Serde,
{
    /// The next pair; `None` after the last.
    ///
    /// # Errors
    /// When a store fails, or has bytes that are none of the join's types.
    #[inline]
    pub fn next(&mut self, cx: &mut TaskContext) -> TaskResult<Option<Pair<'_, KO, V, OV>>> {
        let parts = self.join.parts;
        let Some(Meeting {
            kind,
            timestamp: met,
            last,
            key: met_key,
            value,
            own_key,
            own_value,
        }) = self.found.next(parts, self.side, self.timestamp, cx)?
        else {
            cx.scratch.arrivals.push(std::mem::take(&mut self.found));
            return Ok(None);
        };
        let read = match kind {
            Kind::Closed(side) => read(met_key).and_then(|key| {
                let (left, right) = match side {
                    Side::Left => (Held::Read(read(value)?), Held::None),
                    Side::Right => (Held::None, Held::Read(read(value)?)),
                };
                Ok((Some(key), left, right))
            }),
            _ => {
                let key = if last || self.key.is_none() {
                    Ok(self.key.take())
                } else {
                    read(own_key).map(Some)
                };
                key.and_then(|key| {
                    let (left, right) = match (kind, &self.left, &self.right) {
                        (Kind::Partner, Some(left), _) => {
                            (Held::Own(left), Held::Read(read(value)?))
                        }
                        (Kind::Partner, None, Some(right)) => {
                            (Held::Read(read(value)?), Held::Own(right))
                        }
                        (Kind::Reverse, ..) => {
                            (Held::Read(read(value)?), Held::Read(read(own_value)?))
                        }
                        (Kind::Itself, Some(left), _) => {
                            (Held::Own(left), Held::Read(read(own_value)?))
                        }
                        (_, left, right) => (held(left), held(right)),
                    };
                    Ok((key, left, right))
                })
            }
        };
        let (key, left, right) = match read {
            Ok(read) => read,
            Err(reason) => return Err(corrupt(parts.left, reason, cx)),
        };
        let timestamp = match kind {
            Kind::Partner | Kind::Reverse => met.max(self.timestamp),
            Kind::Closed(_) | Kind::Alone | Kind::Itself => met,
        };
        let Some(key) = KO::yielded(key) else {
            return Err(TaskFailure::Internal("a join yielded a null key".to_owned()).into());
        };
        Ok(Some(Pair {
            key,
            left,
            right,
            timestamp,
            headers: &self.headers,
        }))
    }
}

fn read<T: Serde>(bytes: &[u8]) -> Result<T, SerdeError> {
    T::deserialize(bytes)
}

fn held<T>(value: &Option<T>) -> Held<'_, T> {
    value.as_ref().map_or(Held::None, Held::Own)
}

#[cold]
fn corrupt(store: usize, reason: SerdeError, cx: &TaskContext) -> TaskError {
    let store = cx.store_name(store).to_owned();
    TaskFailure::Store {
        store,
        reason: Box::new(reason),
    }
    .into()
}

/// A value of one side.
#[derive(Debug)]
enum Held<'p, T> {
    None,
    /// The record's own.
    Own(&'p T),
    /// Read from a store.
    Read(T),
}

impl<T> Held<'_, T> {
    #[inline(always)]
    fn get(&self) -> Option<&T> {
        match self {
            Held::None => None,
            Held::Own(value) => Some(value),
            Held::Read(value) => Some(value),
        }
    }
}

/// A pair of records with one key, or a record without partner.
#[derive(Debug)]
pub struct Pair<'p, KO, V, OV> {
    key: KO,
    left: Held<'p, V>,
    right: Held<'p, OV>,
    timestamp: Timestamp,
    headers: &'p Headers,
}

impl<KO, V, OV> Pair<'_, KO, V, OV> {
    /// `KStream.join` with a stream; `None` where a side is missing, which it never is.
    #[inline]
    pub fn join<O>(self, joiner: impl FnOnce(&V, &OV) -> O) -> Option<Record<KO, O>> {
        self.join_with_key(|_, left, right| joiner(left, right))
    }

    /// [`join`](Self::join) with the key to look at.
    #[inline]
    pub fn join_with_key<O>(self, joiner: impl FnOnce(&KO, &V, &OV) -> O) -> Option<Record<KO, O>> {
        let (left, right) = (self.left.get()?, self.right.get()?);
        Some(Record {
            value: joiner(&self.key, left, right),
            key: self.key,
            timestamp: self.timestamp,
            headers: self.headers.clone(),
        })
    }

    /// `KStream.leftJoin` with a stream; `None` where the left side is missing, which it never is.
    #[inline]
    pub fn left_join<O>(self, joiner: impl FnOnce(&V, Option<&OV>) -> O) -> Option<Record<KO, O>> {
        self.left_join_with_key(|_, left, right| joiner(left, right))
    }

    /// [`left_join`](Self::left_join) with the key to look at.
    #[inline]
    pub fn left_join_with_key<O>(
        self,
        joiner: impl FnOnce(&KO, &V, Option<&OV>) -> O,
    ) -> Option<Record<KO, O>> {
        let left = self.left.get()?;
        Some(Record {
            value: joiner(&self.key, left, self.right.get()),
            key: self.key,
            timestamp: self.timestamp,
            headers: self.headers.clone(),
        })
    }

    /// `KStream.outerJoin` with a stream.
    #[inline]
    pub fn outer_join<O>(
        self,
        joiner: impl FnOnce(Option<&V>, Option<&OV>) -> O,
    ) -> Option<Record<KO, O>> {
        self.outer_join_with_key(|_, left, right| joiner(left, right))
    }

    /// [`outer_join`](Self::outer_join) with the key to look at.
    #[inline]
    pub fn outer_join_with_key<O>(
        self,
        joiner: impl FnOnce(&KO, Option<&V>, Option<&OV>) -> O,
    ) -> Option<Record<KO, O>> {
        Some(Record {
            value: joiner(&self.key, self.left.get(), self.right.get()),
            key: self.key,
            timestamp: self.timestamp,
            headers: self.headers.clone(),
        })
    }
}
