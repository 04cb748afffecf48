//! Layer 4. Tables joined with tables: `KTableKTableInnerJoin`, `…LeftJoin`, `…RightJoin` and `…OuterJoin` of Kafka Streams 4.3.1.
//!
//! Generated code brings three kinds of records to a join: an update of the left table, one of the right table with the left
//! row that was looked up for it, and a left row on its way to a later join, whose other table was updated.

use std::fmt;
use std::marker::PhantomData;

use super::TableStore;
use crate::context::TaskContext;
use crate::error::TaskResult;
use crate::obligations::TablesKey;
use crate::record::{Change, Headers, Record, Timestamp};
use crate::serde::Serde;

/// The timestamp of a row that is not there, as in Kafka Streams: older than all.
const UNKNOWN: Timestamp = -1;

impl<K, V> TableStore<K, V> {
    /// A row or an update of the other table of a join.
    #[inline(always)]
    pub fn beside<CK, CV>(self, record: Record<CK, Change<CV>>) -> Beside<CK, CV, K, V, (), ()> {
        Beside {
            record,
            store: self,
            nodes: PhantomData,
        }
    }
}

/// One table's record that meets the other table.
pub struct Beside<CK, CV, K, V, Node, Other> {
    record: Record<CK, Change<CV>>,
    store: TableStore<K, V>,
    nodes: PhantomData<fn() -> (Node, Other)>,
}

impl<CK, CV, K, V, Node, Other> fmt::Debug for Beside<CK, CV, K, V, Node, Other> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Beside").field(&self.store).finish()
    }
}

impl<CK, CV, K, V> Beside<CK, CV, K, V, (), ()> {
    /// Names the node of the join and the other table, for messages.
    #[inline(always)]
    pub fn between<Node, Other>(self) -> Beside<CK, CV, K, V, Node, Other> {
        Beside {
            record: self.record,
            store: self.store,
            nodes: PhantomData,
        }
    }
}

/// A row that was looked up, and the other table's update for which it was.
type RowAndUpdate<K, V, OV> = (Record<K, Change<V>>, Record<(), Change<OV>>);

impl<CK, CV, K, V, Node, Other> Beside<CK, CV, K, V, Node, Other> {
    /// An update of the left table with the right table's row.
    ///
    /// # Errors
    /// When the store fails or the key has no bytes.
    #[inline]
    pub fn meet(self, cx: &mut TaskContext) -> TaskResult<Met<CK, CV, V>>
    where
        CK: TablesKey<K, Node, Other>,
        K: Serde,
        V: Serde,
    {
        let Record {
            key,
            value,
            timestamp,
            headers,
        } = self.record;
        self.store.set_key(key.as_other(), cx)?;
        let (other_timestamp, other) = row(self.store.get(cx)?);
        Ok(Met {
            key,
            headers,
            updated: Updated::Left(timestamp, other_timestamp),
            left: Side::Update(value),
            right: Side::Row(other),
            sends_old: false,
        })
    }

    /// The left table's row for an update of the right one, which keeps what it has besides its key.
    ///
    /// # Errors
    /// When the store fails or the key has no bytes.
    #[inline]
    pub fn row(self, cx: &mut TaskContext) -> TaskResult<RowAndUpdate<K, V, CV>>
    where
        K: TablesKey<CK, Node, Other> + Serde,
        V: Serde,
    {
        let Record {
            key,
            value,
            timestamp,
            headers,
        } = self.record;
        let key = K::of(key);
        self.store.set_key(&key, cx)?;
        let (row_timestamp, new) = row(self.store.get(cx)?);
        let row = Record::new(key, Change::new(new, None), row_timestamp);
        let update = Record {
            key: (),
            value,
            timestamp,
            headers,
        };
        Ok((row, update))
    }
}

/// A row's timestamp and value.
#[inline(always)]
fn row<V>(found: Option<(Timestamp, V)>) -> (Timestamp, Option<V>) {
    match found {
        Some((timestamp, value)) => (timestamp, Some(value)),
        None => (UNKNOWN, None),
    }
}

/// What a table has under the key of a join.
#[derive(Debug)]
enum Side<V> {
    /// It was updated.
    Update(Change<V>),
    /// It has this row.
    Row(Option<V>),
}

impl<V> Side<V> {
    #[inline(always)]
    fn new(&self) -> Option<&V> {
        match self {
            Side::Update(change) => change.new.as_ref(),
            Side::Row(value) => value.as_ref(),
        }
    }

    #[inline(always)]
    fn old(&self) -> Option<&V> {
        match self {
            Side::Update(change) => change.old.as_ref(),
            Side::Row(value) => value.as_ref(),
        }
    }

    #[inline(always)]
    const fn is_latest(&self) -> bool {
        match self {
            Side::Update(change) => change.is_latest,
            Side::Row(_) => true,
        }
    }
}

/// Which table was updated, with the timestamps of the update and of the other table's row.
#[derive(Debug, Clone, Copy)]
enum Updated {
    Left(Timestamp, Timestamp),
    Right(Timestamp, Timestamp),
    /// None of the two: the result is a row that a later join looks up.
    Neither(Timestamp, Timestamp),
}

impl Updated {
    #[inline(always)]
    fn timestamp(self) -> Timestamp {
        match self {
            Updated::Left(a, b) | Updated::Right(a, b) | Updated::Neither(a, b) => a.max(b),
        }
    }
}

/// Both sides of a join of two tables, under one key.
#[derive(Debug)]
pub struct Met<K, V, OV> {
    key: K,
    headers: Headers,
    updated: Updated,
    left: Side<V>,
    right: Side<OV>,
    sends_old: bool,
}

type Joined<K, O> = Option<Record<K, Change<O>>>;

impl<K, V, OV> Met<K, V, OV> {
    /// An update of the right table with the left table's row.
    #[inline(always)]
    #[must_use]
    pub fn by_other(row: Record<K, Change<V>>, update: Record<(), Change<OV>>) -> Self {
        Met {
            key: row.key,
            headers: update.headers,
            updated: Updated::Right(update.timestamp, row.timestamp),
            left: Side::Row(row.value.new),
            right: Side::Update(update.value),
            sends_old: false,
        }
    }

    /// The left side is no update but a row that was looked up, on its way to a later join.
    #[inline(always)]
    #[must_use]
    pub fn as_row(mut self) -> Self {
        if let Updated::Left(timestamp, other) = self.updated {
            self.updated = Updated::Neither(timestamp, other);
        }
        self
    }

    /// The result says the old value too, because somebody after the join asks for it.
    #[inline(always)]
    #[must_use]
    pub const fn sending_old_values(mut self) -> Self {
        self.sends_old = true;
        self
    }

    /// `KTable.join`: no result while the other table has no row for the key.
    #[inline(always)]
    pub fn join<O>(self, mut joiner: impl FnMut(&V, &OV) -> O) -> Joined<K, O> {
        self.join_with_key(|_, left, right| joiner(left, right))
    }

    /// [`join`](Self::join) with the key to look at.
    #[inline]
    pub fn join_with_key<O>(self, mut joiner: impl FnMut(&K, &V, &OV) -> O) -> Joined<K, O> {
        let goes_on = match self.updated {
            Updated::Left(..) => self.right.new().is_some(),
            Updated::Right(..) => self.left.new().is_some(),
            Updated::Neither(..) => true,
        };
        self.result(goes_on, |key, left, right| Some(joiner(key, left?, right?)))
    }

    /// `KTable.leftJoin`: a row of the left table without a counterpart meets `None`.
    #[inline(always)]
    pub fn left_join<O>(self, mut joiner: impl FnMut(&V, Option<&OV>) -> O) -> Joined<K, O> {
        self.left_join_with_key(|_, left, right| joiner(left, right))
    }

    /// [`left_join`](Self::left_join) with the key to look at.
    #[inline]
    pub fn left_join_with_key<O>(
        self,
        mut joiner: impl FnMut(&K, &V, Option<&OV>) -> O,
    ) -> Joined<K, O> {
        let goes_on = match self.updated {
            Updated::Left(..) => {
                self.right.new().is_some() || self.left.new().is_some() || self.left.old().is_some()
            }
            Updated::Right(..) => self.left.new().is_some(),
            Updated::Neither(..) => true,
        };
        self.result(goes_on, |key, left, right| Some(joiner(key, left?, right)))
    }

    /// `KTable.outerJoin`: rows of either table without a counterpart meet `None`.
    #[inline(always)]
    pub fn outer_join<O>(
        self,
        mut joiner: impl FnMut(Option<&V>, Option<&OV>) -> O,
    ) -> Joined<K, O> {
        self.outer_join_with_key(|_, left, right| joiner(left, right))
    }

    /// [`outer_join`](Self::outer_join) with the key to look at.
    #[inline]
    pub fn outer_join_with_key<O>(
        self,
        mut joiner: impl FnMut(&K, Option<&V>, Option<&OV>) -> O,
    ) -> Joined<K, O> {
        let (left, right) = (&self.left, &self.right);
        let goes_on = matches!(self.updated, Updated::Neither(..))
            || left.new().or(left.old()).is_some()
            || right.new().or(right.old()).is_some();
        self.result(goes_on, |key, left, right| {
            (left.is_some() || right.is_some()).then(|| joiner(key, left, right))
        })
    }

    #[inline(always)]
    fn result<O>(
        self,
        goes_on: bool,
        mut value: impl FnMut(&K, Option<&V>, Option<&OV>) -> Option<O>,
    ) -> Joined<K, O> {
        if !goes_on {
            return None;
        }
        let new = value(&self.key, self.left.new(), self.right.new());
        let old = if self.sends_old {
            value(&self.key, self.left.old(), self.right.old())
        } else {
            None
        };
        let timestamp = match (&self.updated, &new) {
            (Updated::Neither(..), None) => UNKNOWN,
            (updated, _) => updated.timestamp(),
        };
        let is_latest = self.left.is_latest() && self.right.is_latest();
        Some(Record {
            key: self.key,
            value: Change {
                new,
                old,
                is_latest,
            },
            timestamp,
            headers: self.headers,
        })
    }
}
