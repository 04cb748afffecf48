//! Layer 4. The `try_…` operators: closures that return a `Result`. Generated code asks the processing exception handler about
//! an error, and goes on with the next record where it says so.

use std::fmt::Debug;
use std::io::Write as _;

use crate::obligations::{Fallible, GroupedRow};
use crate::record::{Change, Record};

/// `map` with a closure that may fail.
///
/// # Errors
/// The closure's.
///
/// ```
/// use streams_core::{ops, record::Record};
///
/// let parse = |id: u32, n: &str| n.parse::<u32>().map(|n| (n, id));
/// assert_eq!(ops::try_map(Record::new(1, "2", 0), parse), Ok(Record::new(2, 1, 0)));
/// assert!(ops::try_map(Record::new(1, "x", 0), parse).is_err());
/// ```
#[inline(always)]
pub fn try_map<K, V, K2, V2, R: Fallible<Value = (K2, V2)>>(
    record: Record<K, V>,
    mapper: impl FnOnce(K, V) -> R,
) -> Result<Record<K2, V2>, R::Error> {
    let (key, value) = mapper(record.key, record.value).result()?;
    Ok(Record {
        key,
        value,
        timestamp: record.timestamp,
        headers: record.headers,
    })
}

/// `map_values` with a closure that may fail.
///
/// # Errors
/// The closure's.
///
/// ```
/// use streams_core::{ops, record::Record};
///
/// assert_eq!(ops::try_map_values(Record::new("a", "1", 7), str::parse::<i64>), Ok(Record::new("a", 1, 7)));
/// assert!(ops::try_map_values(Record::new("a", "x", 7), str::parse::<i64>).is_err());
/// ```
#[inline(always)]
pub fn try_map_values<K, V, R: Fallible>(
    record: Record<K, V>,
    mapper: impl FnOnce(V) -> R,
) -> Result<Record<K, R::Value>, R::Error> {
    try_map_values_with_key(record, |_, value| mapper(value))
}

/// `map_values_with_key` with a closure that may fail.
///
/// # Errors
/// The closure's.
///
/// ```
/// use streams_core::{ops, record::Record};
///
/// let r = ops::try_map_values_with_key(Record::new(16, "ff", 7), |radix, n| u8::from_str_radix(n, *radix));
/// assert_eq!(r.map(|r| r.value), Ok(255));
/// ```
#[inline(always)]
pub fn try_map_values_with_key<K, V, R: Fallible>(
    record: Record<K, V>,
    mapper: impl FnOnce(&K, V) -> R,
) -> Result<Record<K, R::Value>, R::Error> {
    let value = mapper(&record.key, record.value).result()?;
    Ok(Record {
        key: record.key,
        value,
        timestamp: record.timestamp,
        headers: record.headers,
    })
}

/// `select_key` with a closure that may fail.
///
/// # Errors
/// The closure's.
///
/// ```
/// use streams_core::{ops, record::Record};
///
/// let id = |_: &(), line: &&str| line.split(' ').next().unwrap_or_default().parse::<u32>();
/// assert_eq!(ops::try_select_key(Record::new((), "7 pens", 0), id).map(|r| r.key), Ok(7));
/// assert!(ops::try_select_key(Record::new((), "pens", 0), id).is_err());
/// ```
#[inline(always)]
pub fn try_select_key<K, V, R: Fallible>(
    record: Record<K, V>,
    mapper: impl FnOnce(&K, &V) -> R,
) -> Result<Record<R::Value, V>, R::Error> {
    let key = mapper(&record.key, &record.value).result()?;
    Ok(record.with_key(key))
}

/// `group_by` with a closure that may fail.
///
/// # Errors
/// The closure's.
///
/// ```
/// use streams_core::{ops, record::Record};
///
/// let r = ops::try_group_by(Record::new("a", "12", 0), |_, n| n.parse::<u32>().map(|n| n % 10));
/// assert_eq!(r.map(|r| r.key), Ok(2));
/// ```
#[inline(always)]
pub fn try_group_by<K, V, R: Fallible>(
    record: Record<K, V>,
    mapper: impl FnOnce(&K, &V) -> R,
) -> Result<Record<R::Value, V>, R::Error> {
    try_select_key(record, mapper)
}

/// `filter` with a closure that may fail.
///
/// # Errors
/// The closure's.
///
/// ```
/// use streams_core::{ops, record::Record};
///
/// let large = |_: &u8, n: &&str| n.parse::<u32>().map(|n| n > 100);
/// assert_eq!(ops::try_filter(Record::new(1, "7", 0), large), Ok(None));
/// ```
#[inline(always)]
pub fn try_filter<K, V, R: Fallible<Value = bool>>(
    record: Record<K, V>,
    predicate: impl FnOnce(&K, &V) -> R,
) -> Result<Option<Record<K, V>>, R::Error> {
    let keep = predicate(&record.key, &record.value).result()?;
    Ok(if keep { Some(record) } else { None })
}

/// `flat_map` with a closure that may fail.
///
/// # Errors
/// The closure's.
///
/// ```
/// use streams_core::{ops, record::Record};
///
/// let r = Record::new("a", "2", 0);
/// let all = ops::try_flat_map(&r, |k, n| n.parse().map(|n: usize| (0..n).map(|i| (i, *k))));
/// assert_eq!(all.map(Iterator::count), Ok(2));
/// ```
#[inline(always)]
pub fn try_flat_map<'r, K, V, K2, V2, R: Fallible>(
    record: &'r Record<K, V>,
    mapper: impl FnOnce(&'r K, &'r V) -> R,
) -> Result<impl Iterator<Item = Record<K2, V2>>, R::Error>
where
    R::Value: IntoIterator<Item = (K2, V2)>,
{
    let all = mapper(&record.key, &record.value).result()?;
    Ok(all.into_iter().map(move |(key, value)| Record {
        key,
        value,
        timestamp: record.timestamp,
        headers: record.headers.clone(),
    }))
}

/// `flat_map_values` with a closure that may fail.
///
/// # Errors
/// The closure's.
///
/// ```
/// use streams_core::{ops, record::Record};
///
/// let r = Record::new("a", "2", 0);
/// let all = ops::try_flat_map_values(&r, |n| n.parse().map(|n: usize| 0..n));
/// assert_eq!(all.map(Iterator::count), Ok(2));
/// ```
#[inline(always)]
pub fn try_flat_map_values<'r, K: Clone, V, R: Fallible>(
    record: &'r Record<K, V>,
    mapper: impl FnOnce(&'r V) -> R,
) -> Result<impl Iterator<Item = Record<K, <R::Value as IntoIterator>::Item>>, R::Error>
where
    R::Value: IntoIterator,
{
    let all = mapper(&record.value).result()?;
    Ok(all.into_iter().map(move |value| Record {
        key: record.key.clone(),
        value,
        timestamp: record.timestamp,
        headers: record.headers.clone(),
    }))
}

/// `for_each` with a closure that may fail.
///
/// # Errors
/// The closure's.
///
/// ```
/// use streams_core::{ops, record::Record};
///
/// assert!(ops::try_for_each(Record::new("a", "x", 0), |_, n| n.parse::<i32>().map(drop)).is_err());
/// ```
#[inline(always)]
pub fn try_for_each<K, V, R: Fallible<Value = ()>>(
    record: Record<K, V>,
    action: impl FnOnce(&K, V) -> R,
) -> Result<(), R::Error> {
    action(&record.key, record.value).result()
}

/// After a joiner that may fail: the record that it made, or its error.
///
/// # Errors
/// The joiner's.
///
/// ```
/// use streams_core::{ops, record::Record};
///
/// assert_eq!(ops::tried(Record::new("a", Ok::<_, String>(1), 0)), Ok(Record::new("a", 1, 0)));
/// ```
#[inline(always)]
pub fn tried<K, R: Fallible>(record: Record<K, R>) -> Result<Record<K, R::Value>, R::Error> {
    try_map_values(record, |value| value)
}

/// After a joiner of tables that may fail: the update that it made, or its error.
///
/// # Errors
/// The joiner's.
///
/// ```
/// use streams_core::{ops, record::{Change, Record}};
///
/// let update = Record::new("a", Change::new(Some("7".parse::<i32>()), None), 0);
/// assert_eq!(ops::table_tried(update).map(|r| r.value.new), Ok(Some(7)));
/// ```
#[inline(always)]
pub fn table_tried<K, R: Fallible>(
    record: Record<K, Change<R>>,
) -> Result<Record<K, Change<R::Value>>, R::Error> {
    table_try_map_values(record, |value| value)
}

/// `KTable.filter` with a closure that may fail.
///
/// # Errors
/// The closure's.
///
/// ```
/// use streams_core::{ops, record::{Change, Record}};
///
/// let update = Record::new("a", Change::new(Some("x"), None), 0);
/// assert!(ops::table_try_filter(update, |_, n| n.parse::<i32>().map(|n| n > 0)).is_err());
/// ```
#[inline(always)]
pub fn table_try_filter<K, V, R: Fallible<Value = bool>>(
    record: Record<K, Change<V>>,
    mut predicate: impl FnMut(&K, &V) -> R,
) -> Result<Record<K, Change<V>>, R::Error> {
    let Change { new, old, .. } = &record.value;
    let mut holds = |value: &Option<V>| match value {
        Some(value) => predicate(&record.key, value).result(),
        None => Ok(false),
    };
    let (new, old) = (holds(new)?, holds(old)?);
    Ok(super::map_values(record, |change| Change {
        new: change.new.filter(|_| new),
        old: change.old.filter(|_| old),
        ..change
    }))
}

/// `KTable.mapValues` with a closure that may fail.
///
/// # Errors
/// The closure's.
///
/// ```
/// use streams_core::{ops, record::{Change, Record}};
///
/// let update = Record::new("a", Change::new(Some("7"), None), 0);
/// assert_eq!(ops::table_try_map_values(update, str::parse::<i32>).map(|r| r.value.new), Ok(Some(7)));
/// ```
#[inline(always)]
pub fn table_try_map_values<K, V, R: Fallible>(
    record: Record<K, Change<V>>,
    mut mapper: impl FnMut(V) -> R,
) -> Result<Record<K, Change<R::Value>>, R::Error> {
    table_try_map_values_with_key(record, |_, value| mapper(value))
}

/// [`table_try_map_values`] with the key to look at.
///
/// # Errors
/// The closure's.
///
/// ```
/// use streams_core::{ops, record::{Change, Record}};
///
/// let update = Record::new(16, Change::new(Some("ff"), None), 0);
/// let r = ops::table_try_map_values_with_key(update, |radix, n| u8::from_str_radix(n, *radix));
/// assert_eq!(r.map(|r| r.value.new), Ok(Some(255)));
/// ```
#[inline(always)]
pub fn table_try_map_values_with_key<K, V, R: Fallible>(
    record: Record<K, Change<V>>,
    mut mapper: impl FnMut(&K, V) -> R,
) -> Result<Record<K, Change<R::Value>>, R::Error> {
    let Record {
        key,
        value,
        timestamp,
        headers,
    } = record;
    let mut map = |value: Option<V>| value.map(|v| mapper(&key, v).result()).transpose();
    let value = Change {
        new: map(value.new)?,
        old: map(value.old)?,
        is_latest: value.is_latest,
    };
    Ok(Record {
        key,
        value,
        timestamp,
        headers,
    })
}

/// `KTable.groupBy` with a closure that may fail: of the new or of the old row, and then neither moves.
///
/// # Errors
/// The closure's.
///
/// ```
/// use streams_core::{ops, record::{Change, Record}};
///
/// let grouped = |new, old| {
///     let update = Record::new("ann", Change::new(new, old), 0);
///     ops::table_try_group_by(update, |_, row: &&'static str| row.split_once(' ').ok_or("no group"))
/// };
/// let r = grouped(Some("red 3"), Some("blue 2"));
/// assert_eq!(r.map(|r| r.value), Ok(Change::new(Some(("red", "3")), Some(("blue", "2")))));
/// assert_eq!(grouped(Some("red"), None).map(|r| r.value), Err("no group"));
/// ```
#[inline(always)]
pub fn table_try_group_by<K, V, R: Fallible<Value: GroupedRow>>(
    record: Record<K, Change<V>>,
    mut mapper: impl FnMut(&K, &V) -> R,
) -> Result<Record<(), Change<RowOf<R>>>, R::Error> {
    let Record {
        key,
        value,
        timestamp,
        headers,
    } = record;
    let mut group = |row: Option<V>| match row {
        Some(row) => mapper(&key, &row).result().map(|made| Some(made.pair())),
        None => Ok(None),
    };
    let value = Change {
        new: group(value.new)?,
        old: group(value.old)?,
        is_latest: value.is_latest,
    };
    Ok(Record {
        key: (),
        value,
        timestamp,
        headers,
    })
}

/// The key of a group and the row in it, as the closure of `try_group_by` makes them.
type RowOf<R> = (
    <<R as Fallible>::Value as GroupedRow>::Key,
    <<R as Fallible>::Value as GroupedRow>::Row,
);

/// `KStream.print`: a line on standard output for each record, `[label]: key, value`. A standard output that is gone ends it
/// quietly.
///
/// ```
/// use streams_core::{ops, record::Record};
///
/// ops::print(Record::new("a", 1, 0), "orders");
/// ```
pub fn print<K: Debug, V: Debug>(record: Record<K, V>, label: impl AsRef<str>) {
    let Record { key, value, .. } = record;
    // Nobody can be told of a failure where the user looks, and processing does not depend on it.
    drop(writeln!(
        std::io::stdout().lock(),
        "[{}]: {key:?}, {value:?}",
        label.as_ref()
    ));
}
