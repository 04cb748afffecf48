//! The buffer of a join of a stream with a table that waits a grace for the table: a stream's records in the order of their
//! times. Kafka Streams' `RocksDBTimeOrderedKeyValueBuffer`, with its keys and values.
//!
//! A row's key is `00 timestamp:8 key sequence:4`, its value a [`BufferValue`]. The changelog has the same, and eight zero bytes
//! behind each value.

use super::front::Front;
use super::{BufferValue, StoreError, TaskStores};
use crate::record::Timestamp;

/// How a join buffer's rows are read and written. Keeps its buffers from call to call.
#[derive(Debug)]
pub struct JoinBuffer {
    grace: i64,
    /// As in the store; `None` when it was not read yet.
    state: Option<State>,
    front: Front,
    key: Vec<u8>,
    value: Vec<u8>,
}

/// What a buffer knows of its rows. Lies in a row of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    /// The latest timestamp that was put; -1 before the first.
    observed: Timestamp,
    /// The number of the last row.
    sequence: u32,
    rows: u64,
}

/// The key of the row that holds [`State`]: behind all others.
const STATE: &[u8] = &[0xff];
/// Rows of records come before this.
const END: &[u8] = &[1];
/// What stands behind a value in the changelog: Kafka Streams' buffer time, which these buffers do not have.
const NO_BUFFER_TIME: [u8; 8] = [0; 8];

impl JoinBuffer {
    /// The buffer of a join with a grace of so many milliseconds.
    #[must_use]
    pub fn new(grace: i64) -> Self {
        JoinBuffer {
            grace,
            state: None,
            front: Front::default(),
            key: Vec::new(),
            value: Vec::new(),
        }
    }

    /// Forgets what it knows of the store, which was rolled back.
    pub fn forget(&mut self) {
        self.state = None;
        self.front.forget();
    }

    /// The key of the row that was just put or found.
    #[must_use]
    pub fn row_key(&self) -> &[u8] {
        &self.key
    }

    /// The value of the row that was just put or found.
    #[must_use]
    pub fn row_value(&self) -> &[u8] {
        &self.value
    }

    /// The value of the row that was just put, as the changelog has it.
    pub fn logged_value(&mut self) -> &[u8] {
        self.value.extend_from_slice(&NO_BUFFER_TIME);
        &self.value
    }

    /// The key and the value of the record whose row was just found.
    ///
    /// # Errors
    /// When the row is malformed.
    pub fn record(&self) -> Result<(&[u8], BufferValue<'_>), StoreError> {
        let (_, key, _) = parts(&self.key)?;
        Ok((key, BufferValue::decode(&self.value)?.0))
    }

    /// Puts a record, unless it is so late that there is nothing to wait for: then `false`.
    ///
    /// # Errors
    /// When the store cannot be read or the key is too long.
    pub fn put(
        &mut self,
        stores: &mut TaskStores,
        store: usize,
        key: &[u8],
        value: &BufferValue<'_>,
    ) -> Result<bool, StoreError> {
        let mut state = self.state(stores, store)?;
        let timestamp = value.context.timestamp;
        if state.observed.saturating_sub(self.grace) > timestamp {
            return Ok(false);
        }
        state.sequence = state.sequence.wrapping_add(1) & 0x7fff_ffff;
        state.observed = state.observed.max(timestamp);
        state.rows += 1;
        self.key.clear();
        self.key.push(0);
        self.key.extend_from_slice(&timestamp.to_be_bytes());
        self.key.extend_from_slice(key);
        self.key.extend_from_slice(&state.sequence.to_be_bytes());
        self.value.clear();
        value.encode(&mut self.value);
        stores.put(store, &self.key, Some(&self.value))?;
        self.front.put(&self.key);
        self.set_state(stores, store, state)?;
        Ok(true)
    }

    /// Finds the first record that waited long enough.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn find_due(&mut self, stores: &mut TaskStores, store: usize) -> Result<bool, StoreError> {
        let state = self.state(stores, store)?;
        if state.rows == 0
            || !self
                .front
                .first(stores, store, END, &mut self.key, &mut self.value)?
        {
            return Ok(false);
        }
        let (timestamp, _, _) = parts(&self.key)?;
        Ok(timestamp <= state.observed.saturating_sub(self.grace))
    }

    /// Removes the row that was found last.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn remove(
        &mut self,
        stores: &mut TaskStores,
        store: usize,
        row: &[u8],
    ) -> Result<(), StoreError> {
        let mut state = self.state(stores, store)?;
        stores.put(store, row, None)?;
        state.rows = state.rows.saturating_sub(1);
        self.set_state(stores, store, state)
    }

    /// How many records wait, and before which timestamp there are none (as Kafka Streams counts it).
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn content(
        &mut self,
        stores: &mut TaskStores,
        store: usize,
    ) -> Result<(u64, Timestamp), StoreError> {
        let state = self.state(stores, store)?;
        let oldest = match state.rows {
            0 => Timestamp::MAX,
            _ => state.observed.saturating_sub(self.grace).saturating_add(1),
        };
        Ok((state.rows, oldest))
    }

    /// Does again what a record of the changelog says.
    ///
    /// # Errors
    /// When the record is malformed, or the store cannot be read.
    pub fn restore(
        &mut self,
        stores: &mut TaskStores,
        store: usize,
        row: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        let (timestamp, _, sequence) = parts(row)?;
        let mut state = self.state(stores, store)?;
        let had = stores.get(store, row)?.is_some();
        let value = match value {
            None => None,
            Some(value) => {
                let (_, rest) = BufferValue::decode(value)?;
                value.get(..value.len() - rest.len())
            }
        };
        stores.put(store, row, value)?;
        state.rows = (state.rows + u64::from(value.is_some())).saturating_sub(u64::from(had));
        state.observed = state.observed.max(timestamp);
        state.sequence = state.sequence.max(sequence);
        self.set_state(stores, store, state)
    }

    fn state(&mut self, stores: &mut TaskStores, store: usize) -> Result<State, StoreError> {
        if let Some(state) = self.state {
            return Ok(state);
        }
        let state = match stores.get(store, STATE)? {
            Some(bytes) => State::decode(bytes).ok_or(MALFORMED)?,
            None => State {
                observed: -1,
                sequence: 0,
                rows: 0,
            },
        };
        self.state = Some(state);
        Ok(state)
    }

    fn set_state(
        &mut self,
        stores: &mut TaskStores,
        store: usize,
        state: State,
    ) -> Result<(), StoreError> {
        self.state = Some(state);
        stores.put(store, STATE, Some(&state.encode()))
    }
}

impl State {
    fn encode(self) -> [u8; 20] {
        let mut bytes = [0; 20];
        let (observed, rest) = bytes.split_at_mut(8);
        let (sequence, rows) = rest.split_at_mut(4);
        observed.copy_from_slice(&self.observed.to_be_bytes());
        sequence.copy_from_slice(&self.sequence.to_be_bytes());
        rows.copy_from_slice(&self.rows.to_be_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<State> {
        let (observed, rest) = bytes.split_first_chunk()?;
        let (sequence, rest) = rest.split_first_chunk()?;
        Some(State {
            observed: i64::from_be_bytes(*observed),
            sequence: u32::from_be_bytes(*sequence),
            rows: u64::from_be_bytes(rest.try_into().ok()?),
        })
    }
}

/// Timestamp, record's key and number of a row's key.
fn parts(row: &[u8]) -> Result<(Timestamp, &[u8], u32), StoreError> {
    let (timestamp, rest) = row
        .get(1..)
        .and_then(<[u8]>::split_first_chunk)
        .ok_or(MALFORMED)?;
    let (key, sequence) = rest.split_last_chunk().ok_or(MALFORMED)?;
    Ok((
        i64::from_be_bytes(*timestamp),
        key,
        u32::from_be_bytes(*sequence),
    ))
}

const MALFORMED: StoreError = StoreError::Malformed {
    what: "a row of a join's buffer",
};
