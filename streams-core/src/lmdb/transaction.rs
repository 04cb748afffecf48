//! Transactions of an environment: snapshots to read, writers inside [`super::Environment::write`], and what both see.

use std::fmt;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use heed::types::Bytes;
use heed::{MdbError, PutFlags, RoTxn, RwTxn, WithoutTls};

use super::{Database, Direction, LmdbError, MAX_KEY_LENGTH, Shared};

/// A consistent view of one commit. It may move to another thread.
pub struct Snapshot {
    /// `None` only while it is dropped.
    pub(super) txn: Option<RoTxn<'static, WithoutTls>>,
    pub(super) shared: Arc<Shared>,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("path", &self.shared.path)
            .finish_non_exhaustive()
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        // First the transaction, then the place in the gate: the map may move right after.
        self.txn = None;
        self.shared.leave();
    }
}

impl Snapshot {
    /// Its contents.
    ///
    /// # Errors
    /// Never while it is alive.
    pub fn view(&self) -> Result<View<'_>, LmdbError> {
        match &self.txn {
            Some(txn) => Ok(View {
                txn,
                path: &self.shared.path,
            }),
            None => Err(LmdbError::Closed {
                path: self.shared.path.clone(),
            }),
        }
    }

    /// The value of a key.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn get(&self, database: Database, key: &[u8]) -> Result<Option<&[u8]>, LmdbError> {
        self.view()?.get(database, key)
    }

    /// The entries between two keys. See [`View::range`].
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn range(
        &self,
        database: Database,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        direction: Direction,
    ) -> Result<Range<'_>, LmdbError> {
        self.view()?.range(database, from, to, direction)
    }
}

/// A write transaction in progress.
pub struct Writer<'e> {
    pub(super) txn: RwTxn<'e>,
    pub(super) path: &'e Path,
    /// Seen by [`Environment::write`](super::Environment::write), whatever the work makes of the error.
    pub(super) map_full: bool,
}

impl fmt::Debug for Writer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Writer<'_> {
    /// What it sees: the last commit and its own writes.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        View {
            txn: &self.txn,
            path: self.path,
        }
    }

    /// The value of a key.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn get(&self, database: Database, key: &[u8]) -> Result<Option<&[u8]>, LmdbError> {
        self.view().get(database, key)
    }

    /// Writes a key. Cheapest in ascending order of keys.
    ///
    /// # Errors
    /// When the key is empty or too long, or the map is full (which [`Environment::write`](super::Environment::write) handles).
    pub fn put(&mut self, database: Database, key: &[u8], value: &[u8]) -> Result<(), LmdbError> {
        check_key(key, self.path)?;
        let result = database.0.put(&mut self.txn, key, value);
        self.written(result)
    }

    /// Writes a key that is higher than all others of the database: twice as fast, and it packs the pages. Any other key is
    /// written as by [`Writer::put`].
    ///
    /// # Errors
    /// As [`Writer::put`].
    pub fn append(
        &mut self,
        database: Database,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), LmdbError> {
        check_key(key, self.path)?;
        let result = match database
            .0
            .put_with_flags(&mut self.txn, PutFlags::APPEND, key, value)
        {
            Err(heed::Error::Mdb(MdbError::KeyExist)) => database.0.put(&mut self.txn, key, value),
            other => other,
        };
        self.written(result)
    }

    /// Removes a key; tells whether it was there.
    ///
    /// # Errors
    /// When the map is full or the file damaged.
    pub fn delete(&mut self, database: Database, key: &[u8]) -> Result<bool, LmdbError> {
        if key.is_empty() || key.len() > MAX_KEY_LENGTH {
            return Ok(false);
        }
        let result = database.0.delete(&mut self.txn, key);
        self.written(result)
    }

    /// Removes the entries between two keys; tells how many.
    ///
    /// # Errors
    /// When the map is full or the file damaged.
    pub fn delete_range(
        &mut self,
        database: Database,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
    ) -> Result<usize, LmdbError> {
        let Some(range) = normalize(from, to) else {
            return Ok(0);
        };
        let result = database.0.delete_range(&mut self.txn, &range);
        self.written(result)
    }

    /// Removes every entry of a database.
    ///
    /// # Errors
    /// When the map is full or the file damaged.
    pub fn clear(&mut self, database: Database) -> Result<(), LmdbError> {
        let result = database.0.clear(&mut self.txn);
        self.written(result)
    }

    fn written<T>(&mut self, result: heed::Result<T>) -> Result<T, LmdbError> {
        result.map_err(|e| {
            if matches!(e, heed::Error::Mdb(MdbError::MapFull)) {
                self.map_full = true;
            }
            LmdbError::from_heed(self.path, e)
        })
    }
}

/// The contents of an environment as a snapshot or a write transaction sees them.
#[derive(Clone, Copy)]
pub struct View<'a> {
    txn: &'a RoTxn<'a>,
    path: &'a Path,
}

impl fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// A key and its value, lying in the map.
pub type Entry<'a> = (&'a [u8], &'a [u8]);

impl<'a> View<'a> {
    /// The value of a key.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn get(&self, database: Database, key: &[u8]) -> Result<Option<&'a [u8]>, LmdbError> {
        if key.is_empty() || key.len() > MAX_KEY_LENGTH {
            return Ok(None);
        }
        database.0.get(self.txn, key).map_err(|e| self.error(e))
    }

    /// The entries between two keys. Any bounds will do: `from` above `to` is an empty range.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn range(
        &self,
        database: Database,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        direction: Direction,
    ) -> Result<Range<'a>, LmdbError> {
        let entries = match (normalize(from, to), direction) {
            (None, _) => Entries::Empty,
            (Some(range), Direction::Forward) => Entries::Forward(
                database
                    .0
                    .range(self.txn, &range)
                    .map_err(|e| self.error(e))?,
            ),
            (Some(range), Direction::Backward) => Entries::Backward(
                database
                    .0
                    .rev_range(self.txn, &range)
                    .map_err(|e| self.error(e))?,
            ),
        };
        Ok(Range {
            entries,
            path: self.path,
        })
    }

    /// The entries whose key begins with `prefix`.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn prefix(
        &self,
        database: Database,
        prefix: &[u8],
        direction: Direction,
    ) -> Result<Range<'a>, LmdbError> {
        let end = prefix_end(prefix);
        let to = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        self.range(database, Bound::Included(prefix), to, direction)
    }

    /// The highest entry whose key begins with `prefix`.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn last_with_prefix(
        &self,
        database: Database,
        prefix: &[u8],
    ) -> Result<Option<Entry<'a>>, LmdbError> {
        self.prefix(database, prefix, Direction::Backward)?
            .next()
            .transpose()
    }

    /// The lowest entry at or above `key`.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn seek(&self, database: Database, key: &[u8]) -> Result<Option<Entry<'a>>, LmdbError> {
        self.range(
            database,
            Bound::Included(key),
            Bound::Unbounded,
            Direction::Forward,
        )?
        .next()
        .transpose()
    }

    /// How many entries a database has.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn len(&self, database: Database) -> Result<u64, LmdbError> {
        database.0.len(self.txn).map_err(|e| self.error(e))
    }

    /// Whether a database has no entry.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn is_empty(&self, database: Database) -> Result<bool, LmdbError> {
        Ok(self.len(database)? == 0)
    }

    /// How many bytes the pages of a database have, their free space included.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn size(&self, database: Database) -> Result<u64, LmdbError> {
        let stat = database.0.stat(self.txn).map_err(|e| self.error(e))?;
        Ok(stat.non_free_page_size() as u64)
    }

    fn error(&self, error: heed::Error) -> LmdbError {
        LmdbError::from_heed(self.path, error)
    }
}

/// Entries in order of their keys.
pub struct Range<'a> {
    entries: Entries<'a>,
    path: &'a Path,
}

enum Entries<'a> {
    Empty,
    Forward(heed::RoRange<'a, Bytes, Bytes>),
    Backward(heed::RoRevRange<'a, Bytes, Bytes>),
}

impl fmt::Debug for Range<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Range")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl<'a> Iterator for Range<'a> {
    type Item = Result<Entry<'a>, LmdbError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = match &mut self.entries {
            Entries::Empty => None,
            Entries::Forward(range) => range.next(),
            Entries::Backward(range) => range.next(),
        }?;
        Some(next.map_err(|e| {
            // A damaged page would fail again and again.
            self.entries = Entries::Empty;
            LmdbError::from_heed(self.path, e)
        }))
    }
}

/// The lowest key above all that begin with `prefix`; `None` if there is none such.
#[must_use]
pub fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Some(end);
        }
    }
    None
}

type Bounds<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// Bounds that LMDB takes: no empty keys. `None` for a range that is empty by its bounds.
fn normalize<'a>(from: Bound<&'a [u8]>, to: Bound<&'a [u8]>) -> Option<Bounds<'a>> {
    let from = match from {
        // No key is empty here, so both mean all.
        Bound::Included([]) | Bound::Excluded([]) => Bound::Unbounded,
        other => other,
    };
    match (from, to) {
        (_, Bound::Included([]) | Bound::Excluded([])) => None,
        (Bound::Included(low), Bound::Included(high)) if low > high => None,
        (Bound::Excluded(low), Bound::Included(high) | Bound::Excluded(high)) if low >= high => {
            None
        }
        (Bound::Included(low), Bound::Excluded(high)) if low >= high => None,
        bounds => Some(bounds),
    }
}

fn check_key(key: &[u8], path: &Path) -> Result<(), LmdbError> {
    match key.len() {
        0 => Err(LmdbError::EmptyKey {
            path: path.to_path_buf(),
        }),
        length if length > MAX_KEY_LENGTH => Err(LmdbError::KeyTooLong {
            path: path.to_path_buf(),
            length,
        }),
        _ => Ok(()),
    }
}
