//! A versioned store for queries: the latest values as any table's, and those of the past by time.

use std::ops::{Bound, ControlFlow};

use super::{History, LATEST, LATEST_PREFIX, ReadRow, VersionedRows};
use crate::query::{ByteReader, ReadError, Visit, VisitVersion};
use crate::record::{Timestamp, Validity};
use crate::store::{SingleStoreReader, StoreError, StoreSnapshot};

/// Reads the last commit of one versioned store.
#[derive(Debug, Clone)]
pub struct VersionedReader {
    reader: SingleStoreReader,
    history: History,
}

impl VersionedReader {
    /// Reads a versioned store by what reads its rows.
    #[must_use]
    pub fn new(reader: SingleStoreReader, history: History) -> Self {
        VersionedReader { reader, history }
    }
}

struct Rows {
    snapshot: StoreSnapshot,
    store: usize,
}

impl ReadRow for Rows {
    type Error = StoreError;

    fn read(&mut self, key: &[u8], row: &mut Vec<u8>) -> Result<bool, StoreError> {
        row.clear();
        let found = self.snapshot.get(self.store, key)?;
        row.extend_from_slice(found.unwrap_or_default());
        Ok(found.is_some())
    }
}

impl VersionedReader {
    fn rows(&self) -> Result<Rows, StoreError> {
        Ok(Rows {
            snapshot: self.reader.snapshot()?,
            store: self.reader.store(),
        })
    }
}

fn latest_key(key: &[u8]) -> Vec<u8> {
    [LATEST_PREFIX, key].concat()
}

impl ByteReader for VersionedReader {
    fn get(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool, ReadError> {
        self.reader.get(&latest_key(key), value)
    }

    fn range(
        &self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        visit: Visit<'_>,
    ) -> Result<(), ReadError> {
        let from = match from.map(latest_key) {
            Bound::Unbounded => Bound::Included(vec![LATEST]),
            bound => bound,
        };
        let to = to.map(latest_key);
        self.reader.range(
            from.as_ref().map(Vec::as_slice),
            to.as_ref().map(Vec::as_slice),
            &mut |row, value| match row.split_first() {
                Some((_, key)) => visit(key, value),
                None => ControlFlow::Continue(()),
            },
        )
    }

    fn as_of(
        &self,
        key: &[u8],
        time: Timestamp,
        value: &mut Vec<u8>,
    ) -> Result<Option<Validity>, ReadError> {
        let mut rows = VersionedRows::new(self.history);
        let found = rows.find_as_of(&mut self.rows()?, key, time)?;
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
        let mut rows = VersionedRows::new(self.history);
        Ok(rows.find_all(&mut self.rows()?, key, from, to, visit)?)
    }
}
