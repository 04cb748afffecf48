//! Layer 4. The operators of a chain, as the functions that generated code calls: one record in, what becomes of it out.
//!
//! They keep timestamp and headers. Keys and values that an operator only looks at come by reference, a value that it
//! consumes by value. `K` and `V` may be `Option`s where a stream holds nulls.

use crate::record::{Change, Record};

mod fallible;
mod records;
pub use fallible::{
    print, table_tried, table_try_filter, table_try_group_by, table_try_map_values,
    table_try_map_values_with_key, tried, try_filter, try_flat_map, try_flat_map_values,
    try_for_each, try_group_by, try_map, try_map_values, try_map_values_with_key, try_select_key,
};
pub use records::{
    MappedFixedKeyRecord, MappedRecord, NegativeTimestamp, map_record, map_record_values,
    try_map_record, try_map_record_values,
};

/// `KStream.filter`: keeps the records for which `predicate` holds.
///
/// ```
/// use streams_core::{ops, record::Record};
///
/// let order = Record::new("o1", 120, 0);
/// assert!(ops::filter(order.clone(), |_, total| *total > 100).is_some());
/// assert!(ops::filter(order, |_, total| *total > 200).is_none());
/// ```
#[inline(always)]
pub fn filter<K, V>(
    record: Record<K, V>,
    predicate: impl FnOnce(&K, &V) -> bool,
) -> Option<Record<K, V>> {
    if predicate(&record.key, &record.value) {
        Some(record)
    } else {
        None
    }
}

/// `KStream.filterNot`: keeps the records for which `predicate` does not hold.
///
/// ```
/// use streams_core::{ops, record::Record};
///
/// assert!(ops::filter_not(Record::new("o1", 120, 0), |_, total| *total > 100).is_none());
/// ```
#[inline(always)]
pub fn filter_not<K, V>(
    record: Record<K, V>,
    predicate: impl FnOnce(&K, &V) -> bool,
) -> Option<Record<K, V>> {
    filter(record, |key, value| !predicate(key, value))
}

/// The predicate of a `branch`: whether the record belongs there.
///
/// ```
/// use streams_core::{ops, record::Record};
///
/// assert!(ops::predicate(&Record::new("o1", 120, 0), |_, total| *total > 100));
/// ```
#[inline(always)]
pub fn predicate<K, V>(record: &Record<K, V>, predicate: impl FnOnce(&K, &V) -> bool) -> bool {
    predicate(&record.key, &record.value)
}

/// `KStream.map`: another key and another value. What comes after and needs equal keys together is repartitioned.
///
/// ```
/// use streams_core::{ops, record::Record};
///
/// let r = ops::map(Record::new(1, "pen".to_owned(), 0), |id, name| (name, id));
/// assert_eq!((r.key.as_str(), r.value), ("pen", 1));
/// ```
#[inline(always)]
pub fn map<K, V, K2, V2>(
    record: Record<K, V>,
    mapper: impl FnOnce(K, V) -> (K2, V2),
) -> Record<K2, V2> {
    let (key, value) = mapper(record.key, record.value);
    Record {
        key,
        value,
        timestamp: record.timestamp,
        headers: record.headers,
    }
}

/// `KStream.mapValues`: another value.
///
/// ```
/// use streams_core::{ops, record::Record};
///
/// assert_eq!(ops::map_values(Record::new("a", 1, 7), |n| n + 1), Record::new("a", 2, 7));
/// ```
#[inline(always)]
pub fn map_values<K, V, V2>(record: Record<K, V>, mapper: impl FnOnce(V) -> V2) -> Record<K, V2> {
    map_values_with_key(record, |_, value| mapper(value))
}

/// `KStream.mapValues` with the key to look at.
///
/// ```
/// use streams_core::{ops, record::Record};
///
/// let r = ops::map_values_with_key(Record::new("a", 1, 7), |key, n| format!("{key}{n}"));
/// assert_eq!(r.value, "a1");
/// ```
#[inline(always)]
pub fn map_values_with_key<K, V, V2>(
    record: Record<K, V>,
    mapper: impl FnOnce(&K, V) -> V2,
) -> Record<K, V2> {
    let value = mapper(&record.key, record.value);
    Record {
        key: record.key,
        value,
        timestamp: record.timestamp,
        headers: record.headers,
    }
}

/// `KStream.selectKey`: another key. What comes after and needs equal keys together is repartitioned.
///
/// ```
/// use streams_core::{ops, record::Record};
///
/// assert_eq!(ops::select_key(Record::new("a", 12, 7), |_, n| n % 10), Record::new(2, 12, 7));
/// ```
#[inline(always)]
pub fn select_key<K, V, K2>(
    record: Record<K, V>,
    mapper: impl FnOnce(&K, &V) -> K2,
) -> Record<K2, V> {
    let key = mapper(&record.key, &record.value);
    record.with_key(key)
}

/// `KStream.groupBy`: the key to aggregate by.
///
/// ```
/// use streams_core::{ops, record::Record};
///
/// let r = ops::group_by(Record::new((), "Hello".to_owned(), 0), |_, word| word.to_lowercase());
/// assert_eq!(r.key, "hello");
/// ```
#[inline(always)]
pub fn group_by<K, V, K2>(
    record: Record<K, V>,
    mapper: impl FnOnce(&K, &V) -> K2,
) -> Record<K2, V> {
    select_key(record, mapper)
}

/// `KStream.peek`: looks at a record in passing.
///
/// ```
/// use streams_core::{ops, record::Record};
///
/// let mut seen = 0;
/// let r = ops::peek(Record::new("a", 1, 0), |_, n| seen += n);
/// assert_eq!((seen, r.value), (1, 1));
/// ```
#[inline(always)]
pub fn peek<K, V>(record: Record<K, V>, action: impl FnOnce(&K, &V)) -> Record<K, V> {
    action(&record.key, &record.value);
    record
}

/// `KStream.foreach`: the end of a chain that writes nothing.
///
/// ```
/// use streams_core::{ops, record::Record};
///
/// let mut all = vec![];
/// ops::for_each(Record::new("a", String::from("x"), 0), |_, value| all.push(value));
/// assert_eq!(all, ["x"]);
/// ```
#[inline(always)]
pub fn for_each<K, V>(record: Record<K, V>, action: impl FnOnce(&K, V)) {
    action(&record.key, record.value);
}

/// `KStream.flatMap`: any number of records with keys and values of their own.
///
/// ```
/// use streams_core::{ops, record::Record};
///
/// let r = Record::new("a", 2, 0);
/// let all: Vec<_> = ops::flat_map(&r, |key, n| (0..*n).map(|i| (i, key.to_string()))).collect();
/// assert_eq!(all, [Record::new(0, "a".into(), 0), Record::new(1, "a".into(), 0)]);
/// ```
#[inline(always)]
pub fn flat_map<'r, K, V, I, K2, V2>(
    record: &'r Record<K, V>,
    mapper: impl FnOnce(&'r K, &'r V) -> I,
) -> impl Iterator<Item = Record<K2, V2>>
where
    I: IntoIterator<Item = (K2, V2)>,
{
    mapper(&record.key, &record.value)
        .into_iter()
        .map(move |(key, value)| Record {
            key,
            value,
            timestamp: record.timestamp,
            headers: record.headers.clone(),
        })
}

/// `KStream.flatMapValues`: any number of values under the same key.
///
/// ```
/// use streams_core::{ops, record::Record};
///
/// let line = Record::new((), "a b".to_owned(), 0);
/// let words: Vec<_> = ops::flat_map_values(&line, |l| l.split(' ').map(str::to_owned)).collect();
/// assert_eq!(words.len(), 2);
/// ```
#[inline(always)]
pub fn flat_map_values<'r, K: Clone, V, I: IntoIterator>(
    record: &'r Record<K, V>,
    mapper: impl FnOnce(&'r V) -> I,
) -> impl Iterator<Item = Record<K, I::Item>> {
    flat_map_values_with_key(record, |_, value| mapper(value))
}

/// `KStream.flatMapValues` with the key to look at.
///
/// ```
/// use streams_core::{ops, record::Record};
///
/// let r = Record::new(2, 'x', 0);
/// let all: Vec<_> = ops::flat_map_values_with_key(&r, |n, c| (0..*n).map(|_| *c)).collect();
/// assert_eq!(all, [Record::new(2, 'x', 0), Record::new(2, 'x', 0)]);
/// ```
#[inline(always)]
pub fn flat_map_values_with_key<'r, K: Clone, V, I: IntoIterator>(
    record: &'r Record<K, V>,
    mapper: impl FnOnce(&'r K, &'r V) -> I,
) -> impl Iterator<Item = Record<K, I::Item>> {
    mapper(&record.key, &record.value)
        .into_iter()
        .map(move |value| Record {
            key: record.key.clone(),
            value,
            timestamp: record.timestamp,
            headers: record.headers.clone(),
        })
}

/// `KStream.toTable` and the source of a table, where nothing needs a store: each record is an update of its key.
///
/// ```
/// use streams_core::{ops, record::Record};
///
/// assert_eq!(ops::to_table(Record::new("a", Some(1), 0)).value.new, Some(1));
/// ```
#[inline(always)]
pub fn to_table<K, V>(record: Record<K, Option<V>>) -> Record<K, Change<V>> {
    let Record {
        key,
        value,
        timestamp,
        headers,
    } = record;
    Record {
        key,
        value: Change::new(value, None),
        timestamp,
        headers,
    }
}

/// `KTable.toStream`: the updates as a stream, tombstones as `None`.
///
/// ```
/// use streams_core::{ops, record::{Change, Record}};
///
/// let update = Record::new("a", Change::new(Some(2), Some(1)), 0);
/// assert_eq!(ops::to_stream(update).value, Some(2));
/// ```
#[inline(always)]
pub fn to_stream<K, V>(record: Record<K, Change<V>>) -> Record<K, Option<V>> {
    map_values(record, |change| change.new)
}

/// `KTable.toStream` of a table that never loses a key (an aggregate that cannot delete): plain values.
///
/// ```
/// use streams_core::{ops, record::{Change, Record}};
///
/// let update = Record::new("a", Change::new(Some(2), Some(1)), 0);
/// assert_eq!(ops::to_stream_present(update), Some(Record::new("a", 2, 0)));
/// ```
#[inline(always)]
pub fn to_stream_present<K, V>(record: Record<K, Change<V>>) -> Option<Record<K, V>> {
    let Record {
        key,
        value,
        timestamp,
        headers,
    } = record;
    value.new.map(|value| Record {
        key,
        value,
        timestamp,
        headers,
    })
}

/// `KTable.filter`: a value for which `predicate` does not hold becomes a tombstone, also for a key that was never there.
///
/// ```
/// use streams_core::{ops, record::{Change, Record}};
///
/// let update = Record::new("a", Change::new(Some(2), None), 0);
/// assert_eq!(ops::table_filter(update, |_, n| *n > 3).value.new, None);
/// ```
#[inline(always)]
pub fn table_filter<K, V>(
    record: Record<K, Change<V>>,
    mut predicate: impl FnMut(&K, &V) -> bool,
) -> Record<K, Change<V>> {
    map_values_with_key(record, |key, change| Change {
        new: change.new.filter(|value| predicate(key, value)),
        old: change.old.filter(|value| predicate(key, value)),
        is_latest: change.is_latest,
    })
}

/// `KTable.filterNot`: a value for which `predicate` holds becomes a tombstone.
///
/// ```
/// use streams_core::{ops, record::{Change, Record}};
///
/// let update = Record::new("a", Change::new(Some(2), None), 0);
/// assert_eq!(ops::table_filter_not(update, |_, n| *n > 3).value.new, Some(2));
/// ```
#[inline(always)]
pub fn table_filter_not<K, V>(
    record: Record<K, Change<V>>,
    mut predicate: impl FnMut(&K, &V) -> bool,
) -> Record<K, Change<V>> {
    table_filter(record, |key, value| !predicate(key, value))
}

/// Before a `map_values` that did not ask for the old values that others of the same table get: its function sees new ones only.
///
/// ```
/// use streams_core::{ops, record::{Change, Record}};
///
/// let update = Record::new("a", Change::new(Some(2), Some(1)), 0);
/// assert_eq!(ops::new_only(update).value.old, None);
/// ```
#[inline(always)]
pub fn new_only<K, V>(mut record: Record<K, Change<V>>) -> Record<K, Change<V>> {
    record.value.old = None;
    record
}

/// After a filter of a table that says old values: leaves out the updates of rows that were absent and stay absent. Kafka
/// Streams does so after every filter whose table, or one before it, has a store.
///
/// ```
/// use streams_core::{ops, record::{Change, Record}};
///
/// let update = |old, new| ops::table_filter(Record::new("a", Change::new(new, old), 0), |_, n| *n > 3);
/// assert!(ops::not_absent(update(None, Some(2))).is_none());
/// assert!(ops::not_absent(update(Some(1), Some(2))).is_none());
/// assert!(ops::not_absent(update(Some(4), Some(2))).is_some());
/// ```
#[inline(always)]
pub fn not_absent<K, V>(record: Record<K, Change<V>>) -> Option<Record<K, Change<V>>> {
    let Change { new, old, .. } = &record.value;
    if new.is_none() && old.is_none() {
        None
    } else {
        Some(record)
    }
}

/// Whether an update is of a row that was absent and stays absent.
///
/// ```
/// use streams_core::{ops, record::{Change, Record}};
///
/// assert!(ops::is_absent(&Record::new("a", Change::<u8> { new: None, old: None, is_latest: true }, 0)));
/// ```
#[inline(always)]
pub const fn is_absent<K, V>(record: &Record<K, Change<V>>) -> bool {
    record.value.new.is_none() && record.value.old.is_none()
}

/// `KTable.mapValues`: another value; tombstones pass.
///
/// ```
/// use streams_core::{ops, record::{Change, Record}};
///
/// let update = Record::new("a", Change::new(Some("xy"), None), 0);
/// assert_eq!(ops::table_map_values(update, str::len).value.new, Some(2));
/// ```
#[inline(always)]
pub fn table_map_values<K, V, V2>(
    record: Record<K, Change<V>>,
    mut mapper: impl FnMut(V) -> V2,
) -> Record<K, Change<V2>> {
    table_map_values_with_key(record, |_, value| mapper(value))
}

/// `KTable.mapValues` with the key to look at; tombstones pass.
///
/// ```
/// use streams_core::{ops, record::{Change, Record}};
///
/// let update = Record::new("a", Change::new(Some("xy"), None), 0);
/// let r = ops::table_map_values_with_key(update, |key, value| format!("{key}:{value}"));
/// assert_eq!(r.value.new.as_deref(), Some("a:xy"));
/// ```
#[inline(always)]
pub fn table_map_values_with_key<K, V, V2>(
    record: Record<K, Change<V>>,
    mut mapper: impl FnMut(&K, V) -> V2,
) -> Record<K, Change<V2>> {
    map_values_with_key(record, |key, change| Change {
        new: change.new.map(|value| mapper(key, value)),
        old: change.old.map(|value| mapper(key, value)),
        is_latest: change.is_latest,
    })
}

/// A record of one of the two sides of an operator.
///
/// ```
/// use streams_core::{ops::Sided, record::Record};
///
/// let click: Sided<Record<u8, &str>, Record<u8, bool>> = Sided::This(Record::new(1, "ad", 0));
/// assert!(matches!(click, Sided::This(r) if r.value == "ad"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sided<L, R> {
    /// Of the chain.
    This(L),
    /// Of the other node.
    Other(R),
}

/// `KTable.groupBy`: the new and the old row, each with the key of its group. Rows without a group are left out later.
///
/// ```
/// use streams_core::{ops, record::{Change, Record}};
///
/// let update = Record::new("ann", Change::new(Some("red 3"), Some("blue 2")), 0);
/// let r = ops::table_group_by(update, |_, row| row.split_once(' ').unwrap_or_default());
/// assert_eq!(r.value, Change::new(Some(("red", "3")), Some(("blue", "2"))));
/// ```
#[inline(always)]
pub fn table_group_by<K, V, K2, V2>(
    record: Record<K, Change<V>>,
    mut mapper: impl FnMut(&K, &V) -> (K2, V2),
) -> Record<(), Change<(K2, V2)>> {
    let Record {
        key,
        value,
        timestamp,
        headers,
    } = record;
    Record {
        key: (),
        value: Change {
            new: value.new.map(|value| mapper(&key, &value)),
            old: value.old.map(|value| mapper(&key, &value)),
            is_latest: value.is_latest,
        },
        timestamp,
        headers,
    }
}
