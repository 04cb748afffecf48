//! Versioned stores: each key's values with the times at which they were valid, in the rows of Kafka Streams' own layout.
//!
//! The latest value of a key lies under `ff | key`; older ones lie, many in a row, under `segment:8 | key`, by the time at which
//! they ended to be valid. A segment goes as a whole when all that lies in it is older than the history that is kept, so
//! nothing is ever looked for to be expired. What it means is Kafka Streams' `RocksDBVersionedStore` (4.3.1), to the segment.

use std::ops::Range;

use super::{StoreError, TaskStores};
use crate::query::VisitVersion;
use crate::record::{Timestamp, Validity};

mod row;

use row::Row;

/// How long a versioned store keeps the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct History {
    /// In milliseconds.
    pub retention: i64,
}

impl History {
    /// The time that a segment spans, in milliseconds: what Kafka Streams takes by default.
    #[must_use]
    pub const fn segment_interval(self) -> i64 {
        let (parts, least) = match self.retention {
            ..=60_000 => (3, 2_000),
            60_001..=300_000 => (5, 20_000),
            300_001..=3_600_000 => (12, 60_000),
            _ => (24, 300_000),
        };
        let interval = self.retention / parts;
        if interval < least { least } else { interval }
    }

    const fn segment(self, time: Timestamp) -> i64 {
        time / self.segment_interval()
    }
}

/// What became of a put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placed {
    /// It is older than what the store keeps, and was not put.
    TooOld,
    /// It is the latest version of its key.
    Latest,
    /// It was valid until that time.
    Until(Timestamp),
}

/// A version that was found. Its value lies in [`VersionedRows::value`] until the next call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// When it is valid.
    pub validity: Validity,
    at: Range<usize>,
}

/// What a store knows of time. Lies in a row of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Times {
    /// The latest timestamp that was put; -1 before the first.
    observed: Timestamp,
    /// Segments before this one are gone.
    oldest: i64,
    /// There are none behind this one.
    newest: i64,
}

impl Times {
    const NONE: Times = Times {
        observed: -1,
        oldest: 0,
        newest: -1,
    };

    fn encode(self) -> [u8; 24] {
        let mut bytes = [0; 24];
        for (to, number) in bytes
            .chunks_exact_mut(8)
            .zip([self.observed, self.oldest, self.newest])
        {
            to.copy_from_slice(&number.to_be_bytes());
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Times> {
        let (observed, rest) = bytes.split_first_chunk::<8>()?;
        let (oldest, rest) = rest.split_first_chunk::<8>()?;
        let newest: [u8; 8] = rest.try_into().ok()?;
        Some(Times {
            observed: i64::from_be_bytes(*observed),
            oldest: i64::from_be_bytes(*oldest),
            newest: i64::from_be_bytes(newest),
        })
    }
}

/// The key of the row that holds [`Times`]: behind all segments, before all latest values.
const TIMES: &[u8] = &[0xfe];
pub(super) const LATEST: u8 = 0xff;

/// Where the latest values of a versioned store begin: their keys are this and the key itself.
pub const LATEST_PREFIX: &[u8] = &[LATEST];

/// Reads a row into a buffer that it empties first; tells whether it is there.
pub trait ReadRow {
    /// What it fails with.
    type Error: From<StoreError>;
    /// Reads a row.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn read(&mut self, key: &[u8], row: &mut Vec<u8>) -> Result<bool, Self::Error>;
}

/// A store of a task, to be read from and written to.
struct Of<'s> {
    stores: &'s mut TaskStores,
    store: usize,
}

impl ReadRow for Of<'_> {
    type Error = StoreError;

    fn read(&mut self, key: &[u8], row: &mut Vec<u8>) -> Result<bool, StoreError> {
        row.clear();
        let found = self.stores.get(self.store, key)?;
        row.extend_from_slice(found.unwrap_or_default());
        Ok(found.is_some())
    }
}

/// A versioned store's rows: how they are read and written. Keeps its buffers from call to call.
#[derive(Debug)]
pub struct VersionedRows {
    history: History,
    /// As in the store; `None` when it was not read yet.
    times: Option<Times>,
    key: Vec<u8>,
    bytes: Vec<u8>,
    former: Vec<u8>,
    row: Row,
    older: Row,
}

impl VersionedRows {
    /// The rows of a store that keeps so much history.
    #[must_use]
    pub fn new(history: History) -> Self {
        VersionedRows {
            history,
            times: None,
            key: Vec::new(),
            bytes: Vec::new(),
            former: Vec::new(),
            row: Row::default(),
            older: Row::default(),
        }
    }

    /// Forgets what it knows of the store, which was rolled back.
    pub fn forget(&mut self) {
        self.times = None;
    }

    /// The value of a version that was just found.
    #[must_use]
    pub fn value(&self, found: &Found) -> &[u8] {
        self.bytes.get(found.at.clone()).unwrap_or_default()
    }

    /// The latest value of a key as it is stored: eight bytes of its time, then itself.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn latest_stored<'s>(
        &mut self,
        stores: &'s mut TaskStores,
        store: usize,
        key: &[u8],
    ) -> Result<Option<&'s [u8]>, StoreError> {
        self.key.clear();
        self.key.push(LATEST);
        self.key.extend_from_slice(key);
        stores.get(store, &self.key)
    }

    /// Puts a version; `None` ends the one before at its time.
    ///
    /// # Errors
    /// When the store cannot be read or the key is too long.
    pub fn put(
        &mut self,
        stores: &mut TaskStores,
        store: usize,
        key: &[u8],
        value: Option<&[u8]>,
        timestamp: Timestamp,
    ) -> Result<Placed, StoreError> {
        let mut of = Of { stores, store };
        let before = self.times(&mut of)?;
        if timestamp < before.observed.saturating_sub(self.history.retention) {
            return Ok(Placed::TooOld);
        }
        let mut times = Times {
            observed: before.observed.max(timestamp),
            ..before
        };
        let placed = self.place(&mut of, key, value, timestamp, &mut times)?;
        if times != before {
            of.stores.put(store, TIMES, Some(&times.encode()))?;
            self.times = Some(times);
        }
        Ok(placed)
    }

    fn place(
        &mut self,
        of: &mut Of<'_>,
        key: &[u8],
        value: Option<&[u8]>,
        timestamp: Timestamp,
        times: &mut Times,
    ) -> Result<Placed, StoreError> {
        let own = self.history.segment(timestamp);
        let mut until = None;
        if let Some(latest) = self.find_latest(of, key)? {
            let from = latest.validity.from;
            if timestamp >= from {
                if timestamp > from && self.enter(of, own, times)? {
                    // The latest so far becomes the past.
                    std::mem::swap(&mut self.bytes, &mut self.former);
                    if !self.read_row(of, own, key)? {
                        self.row.begin_at(from);
                    }
                    self.row
                        .add_latest(from, timestamp, self.former.get(latest.at));
                    self.write_row(of, own, key)?;
                }
                self.write_latest(of, key, value, timestamp)?;
                return Ok(Placed::Latest);
            }
            until = Some(from);
        }
        for segment in (own.max(times.oldest)..=times.newest).rev() {
            if !self.read_row(of, segment, key)? {
                continue;
            }
            if self.row.next() <= timestamp {
                break;
            }
            if self.row.first() <= timestamp {
                return self.place_within(of, segment, key, value, timestamp, times);
            }
            until = Some(self.row.first());
        }
        let Some(until) = until else {
            if value.is_some() {
                self.write_latest(of, key, value, timestamp)?;
            } else if self.enter(of, own, times)? {
                // There is no latest value, but since when is remembered.
                if !self.read_row(of, own, key)? {
                    self.row.begin_at(timestamp);
                } else if self.row.next() < timestamp {
                    let next = self.row.next();
                    self.row.add_latest(next, timestamp, None);
                }
                self.write_row(of, own, key)?;
            }
            return Ok(Placed::Latest);
        };
        let segment = self.history.segment(until);
        if self.enter(of, segment, times)? {
            if !self.read_row(of, segment, key)? {
                self.row.begin_at(timestamp);
                self.row.add_latest(timestamp, until, value);
            } else if self.row.next() <= timestamp {
                self.row.add_latest(timestamp, until, value);
            } else {
                self.row.add_first(timestamp, value);
            }
            self.write_row(of, segment, key)?;
        }
        Ok(Placed::Until(until))
    }

    /// Puts between versions of the row that was read.
    fn place_within(
        &mut self,
        of: &mut Of<'_>,
        segment: i64,
        key: &[u8],
        value: Option<&[u8]>,
        timestamp: Timestamp,
        times: &mut Times,
    ) -> Result<Placed, StoreError> {
        let Some(found) = self.row.find(timestamp) else {
            return Err(MALFORMED);
        };
        let (from, to) = (found.from, found.to);
        if from == timestamp {
            self.row.set(found.index, timestamp, value);
            self.write_row(of, segment, key)?;
            return Ok(Placed::Until(to));
        }
        let own = self.history.segment(timestamp);
        if own == segment {
            self.row.insert(found.index, timestamp, value);
            self.write_row(of, segment, key)?;
            return Ok(Placed::Until(to));
        }
        // The version before now ends in an older segment, and moves there.
        std::mem::swap(&mut self.row, &mut self.older);
        if self.enter(of, own, times)? {
            if !self.read_row(of, own, key)? {
                self.row.begin_at(from);
            }
            self.row
                .add_latest(from, timestamp, self.older.value(found.index));
            self.write_row(of, own, key)?;
        }
        std::mem::swap(&mut self.row, &mut self.older);
        self.row.set(found.index, timestamp, value);
        self.write_row(of, segment, key)?;
        Ok(Placed::Until(to))
    }

    /// Whether what ends in a segment is still kept. Drops the segments that are not.
    fn enter(
        &mut self,
        of: &mut Of<'_>,
        segment: i64,
        times: &mut Times,
    ) -> Result<bool, StoreError> {
        let kept = times.observed.saturating_sub(self.history.retention);
        let oldest = self.history.segment(kept);
        if segment < oldest {
            return Ok(false);
        }
        times.newest = times.newest.max(segment);
        if oldest > times.oldest {
            times.oldest = oldest;
            of.stores.truncate(of.store, &oldest.to_be_bytes())?;
        }
        Ok(true)
    }

    /// The latest value of a key, if it has one.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn latest(
        &mut self,
        stores: &mut TaskStores,
        store: usize,
        key: &[u8],
    ) -> Result<Option<Found>, StoreError> {
        self.find_latest(&mut Of { stores, store }, key)
    }

    /// The value that a key had at a time. Of what is older than the history only a latest value is told.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn as_of(
        &mut self,
        stores: &mut TaskStores,
        store: usize,
        key: &[u8],
        time: Timestamp,
    ) -> Result<Option<Found>, StoreError> {
        self.find_as_of(&mut Of { stores, store }, key, time)
    }

    /// Shows every version of a key that is there, the latest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn all(
        &mut self,
        stores: &mut TaskStores,
        store: usize,
        key: &[u8],
        visit: VisitVersion<'_>,
    ) -> Result<(), StoreError> {
        self.between(stores, store, key, (Timestamp::MIN, Timestamp::MAX), visit)
    }

    /// As [`VersionedRows::all`], of those that were valid at any moment between two, both included.
    ///
    /// # Errors
    /// As [`VersionedRows::all`].
    pub fn between(
        &mut self,
        stores: &mut TaskStores,
        store: usize,
        key: &[u8],
        (from, to): (Timestamp, Timestamp),
        visit: VisitVersion<'_>,
    ) -> Result<(), StoreError> {
        self.find_all(&mut Of { stores, store }, key, from, to, visit)
    }

    /// [`VersionedRows::latest`] of whatever rows.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn find_latest<R: ReadRow>(
        &mut self,
        rows: &mut R,
        key: &[u8],
    ) -> Result<Option<Found>, R::Error> {
        self.key.clear();
        self.key.push(LATEST);
        self.key.extend_from_slice(key);
        if !rows.read(&self.key, &mut self.bytes)? {
            return Ok(None);
        }
        let Some(from) = self.bytes.first_chunk::<8>() else {
            return Err(MALFORMED.into());
        };
        Ok(Some(Found {
            validity: Validity {
                from: Timestamp::from_be_bytes(*from),
                to: None,
            },
            at: 8..self.bytes.len(),
        }))
    }

    /// [`VersionedRows::as_of`] of whatever rows.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn find_as_of<R: ReadRow>(
        &mut self,
        rows: &mut R,
        key: &[u8],
        time: Timestamp,
    ) -> Result<Option<Found>, R::Error> {
        let latest = self.find_latest(rows, key)?;
        if let Some(found) = latest.filter(|found| found.validity.from <= time) {
            return Ok(Some(found));
        }
        let times = self.times(rows)?;
        if time < times.observed.saturating_sub(self.history.retention) {
            return Ok(None);
        }
        let from = self.history.segment(time).max(times.oldest);
        for segment in (from..=times.newest).rev() {
            if !self.read_row(rows, segment, key)? {
                continue;
            }
            if self.row.next() <= time {
                return Ok(None);
            }
            if self.row.first() > time {
                continue;
            }
            let Some(found) = self.row.find(time) else {
                return Err(MALFORMED.into());
            };
            let Some(value) = self.row.value(found.index) else {
                return Ok(None);
            };
            self.bytes.clear();
            self.bytes.extend_from_slice(value);
            return Ok(Some(Found {
                validity: Validity {
                    from: found.from,
                    to: Some(found.to),
                },
                at: 0..self.bytes.len(),
            }));
        }
        Ok(None)
    }

    /// Shows the versions of a key that were valid at any moment between two, the first and the last one among them, the latest
    /// version first. As in Kafka Streams, what is older than the history may or may not be there any more.
    ///
    /// # Errors
    /// When the rows cannot be read.
    pub fn find_all<R: ReadRow>(
        &mut self,
        rows: &mut R,
        key: &[u8],
        from: Timestamp,
        to: Timestamp,
        visit: VisitVersion<'_>,
    ) -> Result<(), R::Error> {
        if let Some(found) = self.find_latest(rows, key)?
            && found.validity.from <= to
        {
            visit(found.validity, self.value(&found));
        }
        let times = self.times(rows)?;
        if to < times.observed.saturating_sub(self.history.retention) {
            return Ok(());
        }
        for segment in (times.oldest..=times.newest).rev() {
            if !self.read_row(rows, segment, key)? {
                continue;
            }
            for index in 0..self.row.len() {
                let (Some(version), Some(value)) = (self.row.at(index), self.row.value(index))
                else {
                    continue;
                };
                if version.from <= to && version.to > from {
                    let validity = Validity {
                        from: version.from,
                        to: Some(version.to),
                    };
                    visit(validity, value);
                }
            }
        }
        Ok(())
    }

    fn times<R: ReadRow>(&mut self, rows: &mut R) -> Result<Times, R::Error> {
        if let Some(times) = self.times {
            return Ok(times);
        }
        let times = if rows.read(TIMES, &mut self.bytes)? {
            Times::decode(&self.bytes).ok_or(MALFORMED)?
        } else {
            Times::NONE
        };
        self.times = Some(times);
        Ok(times)
    }

    /// Reads a row of a segment; tells whether it is there.
    fn read_row<R: ReadRow>(
        &mut self,
        rows: &mut R,
        segment: i64,
        key: &[u8],
    ) -> Result<bool, R::Error> {
        self.set_key(segment, key);
        if !rows.read(&self.key, &mut self.bytes)? {
            return Ok(false);
        }
        match self.row.decode(&self.bytes) {
            Some(()) => Ok(true),
            None => Err(MALFORMED.into()),
        }
    }

    fn write_row(&mut self, of: &mut Of<'_>, segment: i64, key: &[u8]) -> Result<(), StoreError> {
        self.set_key(segment, key);
        self.bytes.clear();
        self.row.encode(&mut self.bytes);
        of.stores.put(of.store, &self.key, Some(&self.bytes))
    }

    fn write_latest(
        &mut self,
        of: &mut Of<'_>,
        key: &[u8],
        value: Option<&[u8]>,
        timestamp: Timestamp,
    ) -> Result<(), StoreError> {
        self.key.clear();
        self.key.push(LATEST);
        self.key.extend_from_slice(key);
        self.bytes.clear();
        let stored = value.map(|value| {
            self.bytes.extend_from_slice(&timestamp.to_be_bytes());
            self.bytes.extend_from_slice(value);
            self.bytes.as_slice()
        });
        of.stores.put(of.store, &self.key, stored)
    }

    fn set_key(&mut self, segment: i64, key: &[u8]) {
        self.key.clear();
        self.key.extend_from_slice(&segment.to_be_bytes());
        self.key.extend_from_slice(key);
    }
}

const MALFORMED: StoreError = StoreError::Malformed {
    what: "a row of a versioned store",
};

/// The key of a row: of a latest value, or of the past.
#[must_use]
pub fn key_of_row(row: &[u8]) -> Option<&[u8]> {
    match row.split_first() {
        Some((&LATEST, key)) => Some(key),
        Some((..=0x7f, _)) => row.get(8..),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
