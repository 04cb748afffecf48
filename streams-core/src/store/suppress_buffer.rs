//! The buffer of a suppression: for each key the update that waits, and in which order they leave. Kafka Streams'
//! `InMemoryTimeOrderedKeyValueChangeBuffer`, kept on disk.
//!
//! A key's update lies under `01 | key`, as the changelog has it: a [`BufferValue`], then `buffer time:8`. Beside it `00 | buffer
//! time:8 | key` has no value and says the order.

use super::front::Front;
use super::{BufferValue, BufferedContext, StoreError, TaskStores};
use crate::record::Timestamp;

mod logged;

pub use logged::Logged;

/// How a suppression's rows are read and written. Keeps its buffers from call to call.
#[derive(Debug, Default)]
pub struct SuppressBuffer {
    /// As in the store; `None` when it was not read yet.
    totals: Option<Totals>,
    front: Front,
    order: Vec<u8>,
    by_key: Vec<u8>,
    value: Vec<u8>,
    before: Vec<u8>,
}

/// What lies in a buffer. In a row of its own, but for the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// How many keys wait.
    pub records: u64,
    /// Their size, as Kafka Streams estimates it.
    pub bytes: u64,
    /// The smallest buffer time; the largest number there is where nothing waits.
    pub first: Timestamp,
}

/// An update that goes into a buffer.
#[derive(Debug, Clone)]
pub struct Buffered<'a> {
    /// The record that it came from.
    pub context: BufferedContext<'a>,
    /// The value until now.
    pub old: Option<&'a [u8]>,
    /// The value from now on.
    pub new: Option<&'a [u8]>,
}

const TOTALS: &[u8] = &[0xff];
const BY_KEY: u8 = 1;
/// Rows of the order come before those by key.
const END: &[u8] = &[BY_KEY];

impl SuppressBuffer {
    /// Forgets what it knows of the store, which was rolled back.
    pub fn forget(&mut self) {
        self.totals = None;
        self.front.forget();
    }

    /// Puts a key's update. A key that waits already keeps its time, and what it was before it began to wait.
    ///
    /// # Errors
    /// When the store cannot be read or the key is too long.
    pub fn put(
        &mut self,
        stores: &mut TaskStores,
        store: usize,
        time: Timestamp,
        key: &[u8],
        update: Buffered<'_>,
    ) -> Result<(), StoreError> {
        let waits = self.read(stores, store, key)?;
        let before = std::mem::take(&mut self.before);
        let (time, prior, size) = match waits {
            None => (time, update.old, 0),
            Some(time) => {
                let (value, _) = BufferValue::decode(&before)?;
                (time, value.prior, size(key, &value))
            }
        };
        let value = BufferValue {
            context: update.context,
            prior,
            old: update.old,
            new: update.new,
        };
        self.write(stores, store, time, key, &value, waits.is_none(), size)?;
        self.before = before;
        Ok(())
    }

    /// Reads a key's row into `before`; tells its buffer time.
    fn read(
        &mut self,
        stores: &mut TaskStores,
        store: usize,
        key: &[u8],
    ) -> Result<Option<Timestamp>, StoreError> {
        self.set_by_key(key);
        let Some(stored) = stores.get(store, &self.by_key)? else {
            return Ok(None);
        };
        self.before.clear();
        self.before.extend_from_slice(stored);
        buffer_time(&self.before).map(Some)
    }

    /// Writes a key's row in place of one of that size.
    #[expect(
        clippy::too_many_arguments,
        reason = "one row, and what was there before"
    )]
    fn write(
        &mut self,
        stores: &mut TaskStores,
        store: usize,
        time: Timestamp,
        key: &[u8],
        value: &BufferValue<'_>,
        is_new: bool,
        former_size: u64,
    ) -> Result<(), StoreError> {
        let mut totals = self.totals(stores, store)?;
        self.value.clear();
        value.encode(&mut self.value);
        self.value.extend_from_slice(&time.to_be_bytes());
        if is_new {
            self.set_order(time, key);
            // The longer of the two keys comes first: if it is refused, nothing is written.
            stores.put(store, &self.order, Some(&[]))?;
            self.front.put(&self.order);
            totals.records += 1;
            totals.first = totals.first.min(time);
        }
        self.set_by_key(key);
        stores.put(store, &self.by_key, Some(&self.value))?;
        totals.bytes = (totals.bytes + size(key, value)).saturating_sub(former_size);
        self.set_totals(stores, store, totals)
    }

    /// What lies in it.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn totals(&mut self, stores: &mut TaskStores, store: usize) -> Result<Totals, StoreError> {
        if let Some(totals) = self.totals {
            return Ok(totals);
        }
        let (records, bytes) = match stores.get(store, TOTALS)? {
            Some(stored) => stored
                .split_first_chunk()
                .and_then(|(records, bytes)| {
                    let bytes = bytes.try_into().ok()?;
                    Some((u64::from_be_bytes(*records), u64::from_be_bytes(bytes)))
                })
                .ok_or(MALFORMED)?,
            None => (0, 0),
        };
        let first = self.find_first(stores, store)?;
        let totals = Totals {
            records,
            bytes,
            first: first.unwrap_or(Timestamp::MAX),
        };
        self.totals = Some(totals);
        Ok(totals)
    }

    /// The update that leaves first: its key and what waits for it.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn first(
        &mut self,
        stores: &mut TaskStores,
        store: usize,
    ) -> Result<Option<(&[u8], BufferValue<'_>)>, StoreError> {
        if self.find_first(stores, store)?.is_none() {
            return Ok(None);
        }
        let key = self.order.get(9..).ok_or(MALFORMED)?;
        self.by_key.clear();
        self.by_key.push(BY_KEY);
        self.by_key.extend_from_slice(key);
        let stored = stores.get(store, &self.by_key)?.ok_or(MALFORMED)?;
        self.value.clear();
        self.value.extend_from_slice(stored);
        let (value, _) = BufferValue::decode(&self.value)?;
        Ok(Some((key, value)))
    }

    /// Removes a key.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn remove(
        &mut self,
        stores: &mut TaskStores,
        store: usize,
        key: &[u8],
    ) -> Result<(), StoreError> {
        let Some(time) = self.read(stores, store, key)? else {
            return Ok(());
        };
        let mut totals = self.totals(stores, store)?;
        let (value, _) = BufferValue::decode(&self.before)?;
        totals.bytes = totals.bytes.saturating_sub(size(key, &value));
        totals.records = totals.records.saturating_sub(1);
        self.set_by_key(key);
        stores.put(store, &self.by_key, None)?;
        self.set_order(time, key);
        stores.put(store, &self.order, None)?;
        if totals.first == time {
            totals.first = self.find_first(stores, store)?.unwrap_or(Timestamp::MAX);
        }
        self.set_totals(stores, store, totals)
    }

    /// The value that a waiting key had before it began to wait; the outer `None` where it does not wait.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn prior(
        &mut self,
        stores: &mut TaskStores,
        store: usize,
        key: &[u8],
    ) -> Result<Option<Option<&[u8]>>, StoreError> {
        if self.read(stores, store, key)?.is_none() {
            return Ok(None);
        }
        Ok(Some(BufferValue::decode(&self.before)?.0.prior))
    }

    /// Does again what a record of the changelog says: its newest format, or one of those before it.
    ///
    /// # Errors
    /// When the record is malformed, or the store cannot be read.
    pub fn restore(
        &mut self,
        stores: &mut TaskStores,
        store: usize,
        key: &[u8],
        logged: Logged<'_>,
    ) -> Result<(), StoreError> {
        if logged.value.is_none() {
            return self.remove(stores, store, key);
        }
        let waits = self.read(stores, store, key)?;
        let before = std::mem::take(&mut self.before);
        let former = match waits {
            Some(_) => Some(BufferValue::decode(&before)?.0),
            None => None,
        };
        let (value, time) = logged.decode(former.as_ref())?;
        let time = waits.unwrap_or(time);
        let former_size = former.map_or(0, |former| size(key, &former));
        self.write(
            stores,
            store,
            time,
            key,
            &value,
            waits.is_none(),
            former_size,
        )?;
        self.before = before;
        Ok(())
    }

    /// The buffer time of the first row of the order, which is then in `order`.
    fn find_first(
        &mut self,
        stores: &mut TaskStores,
        store: usize,
    ) -> Result<Option<Timestamp>, StoreError> {
        if !self
            .front
            .first(stores, store, END, &mut self.order, &mut self.value)?
        {
            return Ok(None);
        }
        let time = self.order.get(1..).and_then(<[u8]>::first_chunk);
        Ok(Some(Timestamp::from_be_bytes(*time.ok_or(MALFORMED)?)))
    }

    fn set_by_key(&mut self, key: &[u8]) {
        self.by_key.clear();
        self.by_key.push(BY_KEY);
        self.by_key.extend_from_slice(key);
    }

    fn set_order(&mut self, time: Timestamp, key: &[u8]) {
        self.order.clear();
        self.order.push(0);
        self.order.extend_from_slice(&time.to_be_bytes());
        self.order.extend_from_slice(key);
    }

    fn set_totals(
        &mut self,
        stores: &mut TaskStores,
        store: usize,
        totals: Totals,
    ) -> Result<(), StoreError> {
        self.totals = Some(totals);
        let mut bytes = [0; 16];
        let (records, size) = bytes.split_at_mut(8);
        records.copy_from_slice(&totals.records.to_be_bytes());
        size.copy_from_slice(&totals.bytes.to_be_bytes());
        stores.put(store, TOTALS, Some(&bytes))
    }
}

/// Eight bytes of buffer time, the key, and the update.
fn size(key: &[u8], value: &BufferValue<'_>) -> u64 {
    (8 + key.len() + value.estimated_size()) as u64
}

/// The last eight bytes of a row.
fn buffer_time(row: &[u8]) -> Result<Timestamp, StoreError> {
    let time = row.last_chunk().ok_or(MALFORMED)?;
    Ok(Timestamp::from_be_bytes(*time))
}

/// The key of a changelog's record, if a row of the store is one.
#[must_use]
pub fn logged_key(row: &[u8]) -> Option<&[u8]> {
    match row.split_first() {
        Some((&BY_KEY, key)) => Some(key),
        _ => None,
    }
}

const MALFORMED: StoreError = StoreError::Malformed {
    what: "a row of a suppression's buffer",
};

#[cfg(test)]
mod tests;
