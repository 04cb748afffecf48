//! Layer 4. Tables joined with tables: `KTableKTableInnerJoin`, `…LeftJoin`, `…RightJoin` and `…OuterJoin` of Kafka Streams 4.3.1.
//!
//! Generated code brings three kinds of records to a join: an update of the left table, one of the right table with the left
//! row that was looked up for it, and a left row on its way to a later join, whose other table was updated.

use std::marker::PhantomData;

use super::TableStore;
use crate::context::TaskContext;
use crate::error::{RecordPart, TaskError, TaskFailure, TaskResult};
use crate::obligations::{JoinKey, TablesKey};
use crate::record::{Change, Headers, Record, Timestamp};
use crate::serde::{Serde, SerdeError};

/// The timestamp of a row that is not there, as in Kafka Streams: older than all.
pub(super) const UNKNOWN: Timestamp = -1;

/// A row of a table: its timestamp and value. `None` where the table has none.
pub type Row<V> = Option<(Timestamp, V)>;

impl<K: Serde, V: Serde> TableStore<K, V> {
    /// The row of a key.
    ///
    /// # Errors
    /// When the store fails or the key has no bytes.
    #[inline]
    pub fn find(self, key: &K, cx: &mut TaskContext) -> TaskResult<Row<V>> {
        self.set_key(key, cx)?;
        self.get(cx)
    }

    /// The row that a versioned table has, or had at a time, under a key.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    #[inline]
    pub fn find_version(
        self,
        key: &K,
        version: Version,
        cx: &mut TaskContext,
    ) -> TaskResult<Row<V>> {
        self.set_key(key, cx)?;
        match version {
            Version::Latest => self.get(cx),
            Version::AsOf(time) => self.get_as_of(time, cx),
        }
    }
}

/// Which of a versioned table's rows is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// The one that the table has.
    Latest,
    /// The one that was valid at this time.
    AsOf(Timestamp),
}

/// An update that a join of tables takes: one of the past of a versioned table is dropped and counted.
#[inline]
pub fn latest<K, V>(
    record: Record<K, Change<V>>,
    cx: &mut TaskContext,
) -> Option<Record<K, Change<V>>> {
    if !record.value.is_latest {
        cx.drop_record("not the latest of its key");
        return None;
    }
    Some(record)
}

/// Something that is looked up in a table, by the key of one side of a join.
#[derive(Debug)]
pub struct LookUp<T>(pub T);

impl<CK> LookUp<&CK> {
    /// The key of a table's record, to look up in another one.
    #[inline(always)]
    pub fn by<Node, Other, K>(&self) -> &K
    where
        CK: TablesKey<K, Node, Other>,
    {
        self.0.as_other()
    }

    /// The key of a stream's record, to look up in a table; a null key finds nothing.
    #[inline(always)]
    pub fn by_nullable<Node, Table, K>(&self) -> Option<&K>
    where
        CK: JoinKey<K, Node, Table>,
    {
        self.0.as_key()
    }
}

impl<CK, CV> LookUp<Record<CK, Change<CV>>> {
    /// The same, in a table with keys of that type.
    #[inline(always)]
    pub fn among<K>(self) -> LookUpAmong<K, CK, CV> {
        LookUpAmong(self.0, PhantomData)
    }
}

/// An update of another table, to look its key up among keys of this type. The type is not the method's own, so that what rustc
/// says of it is said once for both sides of a join.
#[derive(Debug)]
pub struct LookUpAmong<K, CK, CV>(Record<CK, Change<CV>>, PhantomData<K>);

impl<K, CK, CV> LookUpAmong<K, CK, CV> {
    /// The key of an update of the other table as one of this table, and the update without it.
    #[inline(always)]
    pub fn split<Node, Other>(self) -> (K, Record<(), Change<CV>>)
    where
        K: TablesKey<CK, Node, Other>,
    {
        let Record {
            key,
            value,
            timestamp,
            headers,
        } = self.0;
        let rest = Record {
            key: (),
            value,
            timestamp,
            headers,
        };
        (K::of(key), rest)
    }
}

/// A row that was looked up, on its way through the operators that an update would take.
#[inline(always)]
pub fn row<K, V>(key: K, row: Row<V>) -> Record<K, Change<V>> {
    let (timestamp, new) = apart(row);
    Record::new(key, Change::new(new, None), timestamp)
}

/// The same for a key that is only lent: it is copied by way of its bytes, as keys need not be `Clone`.
///
/// # Errors
/// When the key has no bytes, or cannot be read from them.
pub fn row_of<K: Serde, V>(
    key: &K,
    row: Row<V>,
    cx: &mut TaskContext,
) -> TaskResult<Record<K, Change<V>>> {
    let bytes = &mut cx.scratch.key;
    bytes.clear();
    let copied = key.serialize(bytes).and_then(|()| K::deserialize(bytes));
    let key = copied.map_err(|e| unreadable(RecordPart::Key, e))?;
    Ok(self::row(key, row))
}

/// What is looked up cannot be written or read.
#[cold]
pub(crate) fn unreadable(part: RecordPart, reason: SerdeError) -> TaskError {
    TaskFailure::Serialization {
        destination: "a look-up in a table".to_owned(),
        part,
        reason,
    }
    .into()
}

/// What the operators made of a row that was looked up.
#[inline(always)]
pub fn found<K, V>(record: Record<K, Change<V>>) -> Row<V> {
    let timestamp = record.timestamp;
    record.value.new.map(|value| (timestamp, value))
}

/// A row's timestamp and value.
#[inline(always)]
fn apart<V>(row: Row<V>) -> (Timestamp, Option<V>) {
    match row {
        Some((timestamp, value)) => (timestamp, Some(value)),
        None => (UNKNOWN, None),
    }
}

/// A row's timestamp, unless an operator on its way took the row out.
#[inline(always)]
fn known<V>(timestamp: Timestamp, row: Option<&V>) -> Timestamp {
    row.map_or(UNKNOWN, |_| timestamp)
}

/// A stream's record with the row of a table that has no store of its own: its rows are made of those of another table.
#[derive(Debug)]
pub struct Found<CK, CV, V>(pub Record<CK, CV>, pub Row<V>);

impl<CK, CV, V> Found<CK, CV, V> {
    /// As [`Joining::join`](super::Joining::join).
    #[inline(always)]
    pub fn join<O>(self, joiner: impl FnOnce(CV, &V) -> O) -> Option<Record<CK, O>> {
        self.join_with_key(|_, value, row| joiner(value, row))
    }

    /// As [`Joining::join_with_key`](super::Joining::join_with_key).
    #[inline(always)]
    pub fn join_with_key<O>(self, joiner: impl FnOnce(&CK, CV, &V) -> O) -> Option<Record<CK, O>> {
        let (_, row) = self.1?;
        Some(crate::ops::map_values_with_key(self.0, |key, value| {
            joiner(key, value, &row)
        }))
    }

    /// As [`Joining::left_join`](super::Joining::left_join).
    #[inline(always)]
    pub fn left_join<O>(self, joiner: impl FnOnce(CV, Option<&V>) -> O) -> Option<Record<CK, O>> {
        self.left_join_with_key(|_, value, row| joiner(value, row))
    }

    /// As [`Joining::left_join_with_key`](super::Joining::left_join_with_key).
    #[inline(always)]
    pub fn left_join_with_key<O>(
        self,
        joiner: impl FnOnce(&CK, CV, Option<&V>) -> O,
    ) -> Option<Record<CK, O>> {
        let row = self.1.map(|(_, row)| row);
        Some(crate::ops::map_values_with_key(self.0, |key, value| {
            joiner(key, value, row.as_ref())
        }))
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
    fn newest(&self) -> Option<&V> {
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
    /// An update of the left table with the right table's row.
    #[inline(always)]
    #[must_use]
    pub fn by_row(update: Record<K, Change<V>>, row: Row<OV>) -> Self {
        let (timestamp, row) = apart(row);
        Met {
            key: update.key,
            headers: update.headers,
            updated: Updated::Left(update.timestamp, timestamp),
            left: Side::Update(update.value),
            right: Side::Row(row),
            sends_old: false,
        }
    }

    /// An update of the right table with the left table's row.
    #[inline(always)]
    #[must_use]
    pub fn by_other(row: Record<K, Change<V>>, update: Record<(), Change<OV>>) -> Self {
        let row_timestamp = known(row.timestamp, row.value.new.as_ref());
        Met {
            key: row.key,
            headers: update.headers,
            updated: Updated::Right(update.timestamp, row_timestamp),
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
            let timestamp = known(timestamp, self.left.newest());
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
            Updated::Left(..) => self.right.newest().is_some(),
            Updated::Right(..) => self.left.newest().is_some(),
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
                self.right.newest().is_some()
                    || self.left.newest().is_some()
                    || self.left.old().is_some()
            }
            Updated::Right(..) => self.left.newest().is_some(),
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
            || left.newest().or(left.old()).is_some()
            || right.newest().or(right.old()).is_some();
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
        let new = value(&self.key, self.left.newest(), self.right.newest());
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
