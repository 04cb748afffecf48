//! Reading the last commit of a task's stores from any thread.

use std::fmt;
use std::ops::{Bound, ControlFlow};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use super::disk;
use super::memory::{self, Map, MapRange, Published};
use super::segments::Segments;
use super::{Entries, Place, SingleSnapshot, StoreError, checkpoint};
use crate::lmdb::{Database, Direction, Environment, Snapshot};
use crate::query::{ByteReader, ByteSnapshot, ReadError};
use crate::record::Timestamp;
use crate::topology::{StoreBackend, StoreKind};

/// How many entries a query takes at a time. Between two pages it holds no snapshot, so that a slow reader pins no pages.
pub const PAGE: usize = 256;

/// An entry that a query returns.
pub type OwnedEntry = (Box<[u8]>, Box<[u8]>);

/// Reads the last commit of a task's stores. Cheap to clone; works on any thread, and tells an error once the task is closed.
#[derive(Clone)]
pub struct StoreReader {
    pub(super) names: Arc<[Arc<str>]>,
    pub(super) places: Arc<[Place]>,
    pub(super) segments: Arc<[Option<Segments>]>,
    pub(super) meta: Option<Database>,
    pub(super) environment: Option<Environment>,
    pub(super) published: Published,
    /// Held by the task: once it is gone, so is what the memory stores held.
    pub(super) alive: std::sync::Weak<()>,
}

impl fmt::Debug for StoreReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreReader")
            .field("stores", &self.names)
            .finish_non_exhaustive()
    }
}

impl StoreReader {
    /// The position of a store by its name.
    #[must_use]
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|n| &**n == name)
    }

    /// The stores' names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|n| &**n)
    }

    /// A view of the last commit, for several reads that belong together. Keep it for a batch, not for longer.
    ///
    /// # Errors
    /// When the task is closed.
    pub fn snapshot(&self) -> Result<StoreSnapshot, StoreError> {
        if self.alive.strong_count() == 0 {
            return Err(StoreError::Closed);
        }
        let disk = self
            .environment
            .as_ref()
            .map(Environment::snapshot)
            .transpose()?;
        let maps = self
            .published
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        Ok(StoreSnapshot {
            names: Arc::clone(&self.names),
            places: Arc::clone(&self.places),
            meta: self.meta,
            path: self
                .environment
                .as_ref()
                .map(|e| e.path().to_path_buf())
                .unwrap_or_default(),
            disk,
            maps,
        })
    }

    /// A reader of one store, for [`crate::query::QueryRegistry`].
    #[must_use]
    pub fn single(&self, store: usize, kind: StoreKind) -> SingleStoreReader {
        SingleStoreReader {
            reader: self.clone(),
            store,
            kind,
            segments: self.segments.get(store).copied().flatten(),
        }
    }

    /// The value of a key.
    ///
    /// # Errors
    /// When the task is closed, there is no such store, or its file is damaged.
    pub fn get(&self, store: usize, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.snapshot()?.get(store, key)?.map(<[u8]>::to_vec))
    }

    /// How many entries a store has.
    ///
    /// # Errors
    /// As [`StoreReader::get`].
    pub fn count(&self, store: usize) -> Result<u64, StoreError> {
        self.snapshot()?.count(store)
    }

    /// At most `limit` entries between two keys, of one commit.
    ///
    /// # Errors
    /// As [`StoreReader::get`].
    pub fn page(
        &self,
        store: usize,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<OwnedEntry>, StoreError> {
        let snapshot = self.snapshot()?;
        let range = snapshot.range(store, from, to, direction)?;
        range
            .take(limit)
            .map(|e| e.map(|(key, value)| (key.into(), value.into())))
            .collect()
    }

    /// The entries between two keys, a page of one commit at a time: what is committed meanwhile may be seen from the next
    /// page on, and no entry is seen twice.
    #[must_use]
    pub fn range(
        &self,
        store: usize,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        direction: Direction,
    ) -> PagedRange {
        PagedRange {
            reader: self.clone(),
            store,
            from: from.map(Into::into),
            to: to.map(Into::into),
            direction,
            page: Vec::new().into_iter(),
            finished: false,
        }
    }
}

/// A consistent view of one commit of a task's stores.
pub struct StoreSnapshot {
    names: Arc<[Arc<str>]>,
    places: Arc<[Place]>,
    meta: Option<Database>,
    disk: Option<Snapshot>,
    path: PathBuf,
    maps: Vec<(Arc<Map>, Timestamp)>,
}

impl fmt::Debug for StoreSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreSnapshot")
            .field("stores", &self.places.len())
            .finish_non_exhaustive()
    }
}

impl StoreSnapshot {
    /// A snapshot of one store that nobody writes.
    pub(super) fn of_map(map: Arc<Map>) -> Self {
        StoreSnapshot {
            names: Arc::new(["".into()]),
            places: Arc::new([Place::Memory]),
            meta: None,
            disk: None,
            path: PathBuf::new(),
            maps: vec![(map, -1)],
        }
    }

    /// The value of a key.
    ///
    /// # Errors
    /// When there is no such store or its file is damaged.
    pub fn get(&self, store: usize, key: &[u8]) -> Result<Option<&[u8]>, StoreError> {
        match (self.place(store)?, &self.disk) {
            (Place::Disk(database), Some(disk)) => Ok(disk.get(*database, &disk::encode(key))?),
            _ => Ok(self.map(store)?.get(key).map(|value| value.as_slice())),
        }
    }

    /// How many entries a store has.
    ///
    /// # Errors
    /// As [`StoreSnapshot::get`].
    pub fn count(&self, store: usize) -> Result<u64, StoreError> {
        match (self.place(store)?, &self.disk) {
            (Place::Disk(database), Some(disk)) => Ok(disk.view()?.len(*database)?),
            _ => Ok(self.map(store)?.len() as u64),
        }
    }

    /// How many bytes a store's entries take: on disk the pages of its database, in memory the keys and values alone.
    ///
    /// # Errors
    /// As [`StoreSnapshot::get`].
    pub fn size(&self, store: usize) -> Result<u64, StoreError> {
        match (self.place(store)?, &self.disk) {
            (Place::Disk(database), Some(disk)) => Ok(disk.view()?.size(*database)?),
            _ => {
                let entries = self.map(store)?.iter();
                Ok(entries
                    .map(|(key, value)| (key.len() + value.len()) as u64)
                    .sum())
            }
        }
    }

    /// The entries between two keys.
    ///
    /// # Errors
    /// As [`StoreSnapshot::get`].
    pub fn range(
        &self,
        store: usize,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        direction: Direction,
    ) -> Result<CommittedRange<'_>, StoreError> {
        Ok(match (self.place(store)?, &self.disk) {
            (Place::Disk(database), Some(disk)) => {
                disk::range(disk.view()?, *database, from, to, direction)?.into()
            }
            _ => memory::range(self.map(store)?, from, to, direction).into(),
        })
    }

    /// The entries between two keys, from both ends.
    ///
    /// # Errors
    /// As [`StoreSnapshot::get`].
    pub fn entries(
        &self,
        store: usize,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
    ) -> Result<Entries<'_>, StoreError> {
        Ok(match (self.place(store)?, &self.disk) {
            (Place::Disk(database), Some(disk)) => {
                Entries::on_disk(disk.view()?, *database, from, to)
            }
            _ => Entries::of_map(memory::range(
                self.map(store)?,
                from,
                to,
                Direction::Forward,
            )),
        })
    }

    fn place(&self, store: usize) -> Result<&Place, StoreError> {
        self.places
            .get(store)
            .ok_or(StoreError::UnknownStore { store })
    }

    fn map(&self, store: usize) -> Result<&Map, StoreError> {
        self.maps
            .get(store)
            .map(|(map, _)| map.as_ref())
            .ok_or(StoreError::UnknownStore { store })
    }

    /// The largest timestamp that was written to a window or session store; -1 before the first.
    ///
    /// # Errors
    /// As [`StoreSnapshot::get`].
    pub fn observed(&self, store: usize) -> Result<Timestamp, StoreError> {
        let (Place::Disk(_), Some(disk), Some(meta)) = (self.place(store)?, &self.disk, self.meta)
        else {
            return Ok(self.maps.get(store).map_or(-1, |(_, observed)| *observed));
        };
        let Some(bytes) = disk.get(meta, disk::CHECKPOINT_KEY)? else {
            return Ok(-1);
        };
        let stored = checkpoint::decode(bytes).map_err(|_| StoreError::Damaged {
            path: self.path.clone(),
            what: "its checkpoint cannot be read".to_owned(),
        })?;
        let mark = self.names.get(store).and_then(|n| stored.marks.get(&**n));
        Ok(mark.copied().unwrap_or_default().observed)
    }
}

/// Committed entries in order of their keys.
#[derive(Debug)]
pub struct CommittedRange<'a>(Committed<'a>);

#[derive(Debug)]
enum Committed<'a> {
    Memory(MapRange<'a>),
    Disk(disk::DiskRange<'a>),
}

impl<'a> From<MapRange<'a>> for CommittedRange<'a> {
    fn from(range: MapRange<'a>) -> Self {
        CommittedRange(Committed::Memory(range))
    }
}

impl<'a> From<disk::DiskRange<'a>> for CommittedRange<'a> {
    fn from(range: disk::DiskRange<'a>) -> Self {
        CommittedRange(Committed::Disk(range))
    }
}

impl<'a> Iterator for CommittedRange<'a> {
    type Item = Result<(&'a [u8], &'a [u8]), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Committed::Memory(range) => range.next().map(Ok),
            Committed::Disk(range) => range.next().map(|e| e.map_err(StoreError::from)),
        }
    }
}

/// Entries in order of their keys, a page at a time.
#[derive(Debug)]
pub struct PagedRange {
    reader: StoreReader,
    store: usize,
    from: Bound<Box<[u8]>>,
    to: Bound<Box<[u8]>>,
    direction: Direction,
    page: std::vec::IntoIter<OwnedEntry>,
    finished: bool,
}

impl Iterator for PagedRange {
    type Item = Result<OwnedEntry, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.as_slice().is_empty() && !self.finished {
            let (from, to) = (
                self.from.as_ref().map(AsRef::as_ref),
                self.to.as_ref().map(AsRef::as_ref),
            );
            match self.reader.page(self.store, from, to, self.direction, PAGE) {
                Ok(page) => {
                    self.finished = page.len() < PAGE;
                    if let Some((last, _)) = page.last() {
                        let bound = Bound::Excluded(last.clone());
                        match self.direction {
                            Direction::Forward => self.from = bound,
                            Direction::Backward => self.to = bound,
                        }
                    }
                    self.page = page.into_iter();
                }
                Err(e) => {
                    self.finished = true;
                    return Some(Err(e));
                }
            }
        }
        self.page.next().map(Ok)
    }
}

/// Reads the last commit of one store.
#[derive(Debug, Clone)]
pub struct SingleStoreReader {
    reader: StoreReader,
    store: usize,
    kind: StoreKind,
    segments: Option<Segments>,
}

impl SingleStoreReader {
    /// The same, of a store on disk that is of this kind.
    #[must_use]
    pub fn of_kind(mut self, kind: StoreKind) -> Self {
        self.kind = kind;
        self.segments = Segments::of(kind, StoreBackend::Lmdb);
        self
    }

    /// A consistent view of the last commit.
    ///
    /// # Errors
    /// When the task is closed or its files cannot be read.
    pub fn view(&self) -> Result<SingleSnapshot, StoreError> {
        let snapshot = self.reader.snapshot()?;
        let segments = match self.segments {
            Some(segments) => Some((segments, Some(snapshot.observed(self.store)?))),
            None => None,
        };
        Ok(SingleSnapshot {
            snapshot,
            store: self.store,
            kind: self.kind,
            segments,
        })
    }
}

impl ByteReader for SingleStoreReader {
    fn get(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool, ReadError> {
        let snapshot = self.view()?;
        let found = ByteSnapshot::get(&snapshot, key)?;
        value.extend_from_slice(found.unwrap_or_default());
        Ok(found.is_some())
    }

    fn range(
        &self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), ReadError> {
        // By pages: `visit` may take its time, and must not pin what it sees.
        for entry in self.reader.range(self.store, from, to, Direction::Forward) {
            let (key, value) = entry?;
            if visit(&key, &value).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn snapshot(&self) -> Result<Box<dyn ByteSnapshot>, ReadError> {
        Ok(Box::new(self.view()?))
    }
}
