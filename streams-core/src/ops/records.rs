//! Layer 4. The operators that see whole records: key, value, timestamp and headers.

use crate::obligations::Fallible;
pub use crate::record::NegativeTimestamp;
use crate::record::{FixedKeyRecord, Record};

/// What the closure of `map_record` returns.
#[diagnostic::on_unimplemented(
    message = "the closure of `map_record` has to return a `Record`, not `{Self}` [KS0281]",
    label = "returns `{Self}`; a `Record<K, V>` is needed",
    note = "`record.with_value(…)` and `record.with_key(…)` keep timestamp and headers; `map` and `map_values` make no record"
)]
pub trait MappedRecord {
    /// Its key.
    type Key;
    /// Its value.
    type Value;
    /// The record itself.
    fn record(self) -> Record<Self::Key, Self::Value>;
}

#[diagnostic::do_not_recommend]
impl<K, V> MappedRecord for Record<K, V> {
    type Key = K;
    type Value = V;
    #[inline(always)]
    fn record(self) -> Record<K, V> {
        self
    }
}

/// What the closure of `map_record_values` returns.
#[diagnostic::on_unimplemented(
    message = "the closure of `map_record_values` has to return its `FixedKeyRecord`, not `{Self}` [KS0281]",
    label = "returns `{Self}`; a `FixedKeyRecord` with the key of type `{Key}` that it got is needed",
    note = "`record.with_value(…)` keeps it; to change the key, use `map_record`"
)]
pub trait MappedFixedKeyRecord<Key> {
    /// Its value.
    type Value;
    /// The record itself.
    fn record(self) -> FixedKeyRecord<Key, Self::Value>;
}

#[diagnostic::do_not_recommend]
impl<K, V> MappedFixedKeyRecord<K> for FixedKeyRecord<K, V> {
    type Value = V;
    #[inline(always)]
    fn record(self) -> FixedKeyRecord<K, V> {
        self
    }
}

/// A record of any key, value, timestamp and headers for each one: Kafka Streams' `process` with a processor that forwards one
/// record. What comes after and needs equal keys together is repartitioned.
///
/// # Errors
/// When the new timestamp is negative.
///
/// ```
/// use streams_core::{ops, record::Record};
///
/// let r = Record::new("a", 1, 7);
/// let r = ops::map_record(r, |mut r| {
///     r.headers.add("seen", "1");
///     r.with_key(2)
/// });
/// assert_eq!(r.map(|r| (r.key, r.value, r.headers.len())), Ok((2, 1, 1)));
/// ```
#[inline(always)]
pub fn map_record<K, V, R: MappedRecord>(
    record: Record<K, V>,
    mapper: impl FnOnce(Record<K, V>) -> R,
) -> Result<Record<R::Key, R::Value>, NegativeTimestamp> {
    dated(mapper(record).record())
}

/// A record, or why there is none.
type Tried<K, V> = Result<Record<K, V>, Box<dyn std::error::Error + Send + Sync>>;

/// [`map_record`] with a closure that may fail.
///
/// # Errors
/// The closure's, and when the new timestamp is negative.
///
/// ```
/// use streams_core::{ops, record::Record};
///
/// let parsed = |r: Record<&'static str, &str>| r.value.parse::<i64>().map(|n| Record { timestamp: n, ..r.with_value(n) });
/// assert_eq!(ops::try_map_record(Record::new("a", "9", 7), parsed).unwrap().timestamp, 9);
/// assert!(ops::try_map_record(Record::new("a", "-9", 7), parsed).is_err());
/// ```
#[inline(always)]
pub fn try_map_record<K, V, R: Fallible<Value: MappedRecord>>(
    record: Record<K, V>,
    mapper: impl FnOnce(Record<K, V>) -> R,
) -> Tried<<R::Value as MappedRecord>::Key, <R::Value as MappedRecord>::Value> {
    let record = mapper(record).result().map_err(Into::into)?;
    Ok(dated(record.record())?)
}

/// A record of any value, timestamp and headers for each one; the key stays: Kafka Streams' `processValues` with a processor that
/// forwards one record.
///
/// # Errors
/// When the new timestamp is negative.
///
/// ```
/// use streams_core::{ops, record::Record};
///
/// let mut r = Record::new("a", 1, 7);
/// r.headers.add("origin", "shop");
/// let r = ops::map_record_values(r, |mut r| {
///     let known = r.headers.last("origin").is_some();
///     r.headers.remove("origin");
///     r.with_value(known)
/// });
/// assert_eq!(r, Ok(Record::new("a", true, 7)));
/// ```
#[inline(always)]
pub fn map_record_values<K, V, R: MappedFixedKeyRecord<K>>(
    record: Record<K, V>,
    mapper: impl FnOnce(FixedKeyRecord<K, V>) -> R,
) -> Result<Record<K, R::Value>, NegativeTimestamp> {
    dated(mapper(FixedKeyRecord::of(record)).record().into_record())
}

/// [`map_record_values`] with a closure that may fail.
///
/// # Errors
/// The closure's, and when the new timestamp is negative.
///
/// ```
/// use streams_core::{ops, record::{FixedKeyRecord, Record}};
///
/// let parsed = |r: FixedKeyRecord<&'static str, &str>| r.value.parse::<i64>().map(|n| r.with_value(n));
/// assert_eq!(ops::try_map_record_values(Record::new("a", "9", 7), parsed).unwrap(), Record::new("a", 9, 7));
/// assert!(ops::try_map_record_values(Record::new("a", "x", 7), parsed).is_err());
/// ```
#[inline(always)]
pub fn try_map_record_values<K, V, R: Fallible<Value: MappedFixedKeyRecord<K>>>(
    record: Record<K, V>,
    mapper: impl FnOnce(FixedKeyRecord<K, V>) -> R,
) -> Tried<K, <R::Value as MappedFixedKeyRecord<K>>::Value> {
    let record = mapper(FixedKeyRecord::of(record));
    let record = record.result().map_err(Into::into)?;
    Ok(dated(record.record().into_record())?)
}

#[inline(always)]
fn dated<K, V>(record: Record<K, V>) -> Result<Record<K, V>, NegativeTimestamp> {
    if record.timestamp < 0 {
        return Err(NegativeTimestamp(record.timestamp));
    }
    Ok(record)
}
