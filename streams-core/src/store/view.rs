//! One store as of one moment, for queries: its bytes, whatever its kind, by key and by time.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::memory::Map;
use super::segments::{SEGMENT, SegmentEntries, Segments};
use super::versioned::LATEST;
use super::{Entries, History, LATEST_PREFIX, ReadRow, StoreError, StoreSnapshot, VersionedRows};
use crate::query::{ByteEntries, ByteSnapshot, NotVersioned, ReadError, Scan, VisitVersion};
use crate::record::{Timestamp, Validity};
use crate::topology::StoreKind;

/// A store as of one commit; in the test driver, as of now.
#[derive(Debug)]
pub struct SingleSnapshot {
    pub(super) snapshot: StoreSnapshot,
    pub(super) store: usize,
    pub(super) kind: StoreKind,
    /// How it keeps its entries, and the latest time that it has seen, if it is a window or session store. Without that time nothing has
    /// expired.
    pub(super) segments: Option<(Segments, Option<Timestamp>)>,
}

impl SingleSnapshot {
    /// A snapshot of these rows: all of them are seen, however old.
    #[must_use]
    pub fn of_rows(
        rows: BTreeMap<Vec<u8>, Vec<u8>>,
        kind: StoreKind,
        segments: Option<Segments>,
    ) -> Self {
        let short =
            |(key, value): (Vec<u8>, Vec<u8>)| (key.as_slice().into(), value.as_slice().into());
        let map: Map = rows.into_iter().map(short).collect();
        SingleSnapshot {
            snapshot: StoreSnapshot::of_map(Arc::new(map)),
            store: 0,
            kind,
            segments: segments.map(|segments| (segments, None)),
        }
    }

    fn history(&self) -> Option<History> {
        match self.kind {
            StoreKind::Versioned { retention } => Some(History { retention }),
            _ => None,
        }
    }

    fn entries(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Result<Entries<'_>, StoreError> {
        self.snapshot.entries(self.store, from, to)
    }
}

/// The row that holds a key's latest version.
fn latest_key(key: &[u8]) -> Vec<u8> {
    [LATEST_PREFIX, key].concat()
}

/// Reads the rows of a versioned store.
struct Rows<'s>(&'s SingleSnapshot);

impl ReadRow for Rows<'_> {
    type Error = StoreError;

    fn read(&mut self, key: &[u8], row: &mut Vec<u8>) -> Result<bool, StoreError> {
        row.clear();
        let found = self.0.snapshot.get(self.0.store, key)?;
        row.extend_from_slice(found.unwrap_or_default());
        Ok(found.is_some())
    }
}

impl ByteSnapshot for SingleSnapshot {
    fn kind(&self) -> StoreKind {
        self.kind
    }

    fn get(&self, key: &[u8]) -> Result<Option<&[u8]>, ReadError> {
        let found = match (self.segments, self.history()) {
            (Some((segments, observed)), _) => {
                let expired = |observed| segments.time(key) < segments.visible_from(observed);
                if observed.is_some_and(expired) {
                    return Ok(None);
                }
                let mut local = Vec::with_capacity(SEGMENT + key.len());
                segments.local(key, &mut local);
                self.snapshot.get(self.store, &local)?
            }
            (None, Some(_)) => self.snapshot.get(self.store, &latest_key(key))?,
            (None, None) => self.snapshot.get(self.store, key)?,
        };
        Ok(found)
    }

    fn range(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Result<ByteEntries<'_>, ReadError> {
        if self.history().is_none() {
            let entries = self.entries(from, to)?;
            return Ok(Box::new(entries.map(|e| e.map_err(ReadError::from))));
        }
        let from = match from.map(latest_key) {
            Bound::Unbounded => Bound::Included(vec![LATEST]),
            bound => bound,
        };
        let to = to.map(latest_key);
        let rows = self.entries(
            from.as_ref().map(Vec::as_slice),
            to.as_ref().map(Vec::as_slice),
        )?;
        Ok(Box::new(rows.map(|row| {
            let (row, value) = row?;
            Ok((row.get(LATEST_PREFIX.len()..).unwrap_or_default(), value))
        })))
    }

    fn scan(&self, scan: &Scan<'_>) -> Result<ByteEntries<'_>, ReadError> {
        let Some((segments, observed)) = self.segments else {
            return Err("the store has no windows".into());
        };
        let (scan, visible_from) = match observed {
            Some(observed) => (scan.until(observed), segments.visible_from(observed)),
            None => (*scan, Timestamp::MIN),
        };
        let read = |from: Bound<&[u8]>, to: Bound<&[u8]>| self.entries(from, to);
        let entries = SegmentEntries::new(segments, &scan, visible_from, read);
        Ok(Box::new(entries.map(|e| e.map_err(ReadError::from))))
    }

    fn as_of(
        &self,
        key: &[u8],
        time: Timestamp,
        value: &mut Vec<u8>,
    ) -> Result<Option<Validity>, ReadError> {
        let mut rows = VersionedRows::new(self.history().ok_or(NotVersioned)?);
        let found = rows.find_as_of(&mut Rows(self), key, time)?;
        Ok(found.map(|found| {
            value.extend_from_slice(rows.value(&found));
            found.validity
        }))
    }

    fn versions(
        &self,
        key: &[u8],
        from: Timestamp,
        to: Timestamp,
        visit: VisitVersion<'_>,
    ) -> Result<(), ReadError> {
        let mut rows = VersionedRows::new(self.history().ok_or(NotVersioned)?);
        Ok(rows.find_all(&mut Rows(self), key, from, to, visit)?)
    }

    fn count(&self) -> Result<u64, ReadError> {
        if self.history().is_none() {
            return Ok(self.snapshot.count(self.store)?);
        }
        // Rows of the past lie in the same database.
        let mut count = 0;
        for latest in self.range(Bound::Unbounded, Bound::Unbounded)? {
            latest?;
            count += 1;
        }
        Ok(count)
    }
}
