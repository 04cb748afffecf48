//! Layer 2. State stores as bytes: a task's stores with their write buffer, backends, checkpoint, readers, and the record
//! cache. Knows nothing of records' types, of changelogs, or of a transport.
//!
//! Three things, not one. The [`RecordCache`] holds back updates as Kafka Streams' does. The *write buffer* holds everything
//! uncommitted, and get and range see through it. The *backend* (LMDB or memory) is only written by a commit, in key order,
//! in one transaction with the [`Checkpoint`]. An abort drops the buffer, and nothing else has happened.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use crate::lmdb::{Database, Environment, EnvironmentOptions, LmdbError, Snapshot, Writer};
pub use crate::lmdb::{Direction, MAX_KEY_LENGTH};
use crate::record::Timestamp;
use crate::state_dir::TaskDirectory;
use crate::topology::StoreBackend;

mod arena;
mod buffer;
mod buffer_value;
mod cache;
mod checkpoint;
mod count;
mod disk;
mod entries;
mod error;
mod external;
mod front;
mod join_buffer;
mod memory;
mod merge;
mod reader;
mod segmented;
mod segments;
mod short_bytes;
mod suppress_buffer;
mod times;
mod versioned;
mod view;

use buffer::WriteBuffer;
use checkpoint::Mark;
use memory::MemoryMaps;

pub use buffer::AHEAD;
pub use buffer_value::{BufferValue, BufferedContext};
pub use cache::{CacheContext, CacheEntry, RecordCache, VisitCached};
pub use checkpoint::Checkpoint;
pub(crate) use disk::fits;
pub use entries::Entries;
pub use error::StoreError;
pub use external::ExternalStore;
pub use join_buffer::JoinBuffer;
pub use merge::MergedRange;
pub use reader::{
    CommittedRange, OwnedEntry, PAGE, PagedRange, SingleStoreReader, StoreReader, StoreSnapshot,
};
pub use segmented::Stored;
pub use segments::{SEGMENT, SegmentKey, Segments};
pub use suppress_buffer::{Buffered, Logged, SuppressBuffer, Totals, logged_key};
pub use versioned::{Found, History, LATEST_PREFIX, Placed, ReadRow, VersionedRows, key_of_row};
pub use view::SingleSnapshot;

/// A store of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreSpec {
    /// Its name.
    pub name: Arc<str>,
    /// Where it holds its entries.
    pub backend: StoreBackend,
    /// How it keeps them, if it is a window or session store.
    pub segments: Option<Segments>,
}

/// How stores work.
#[derive(Debug, Clone)]
pub struct StoreSettings {
    /// Uncommitted bytes beyond which [`TaskStores::is_full`] asks for an early commit.
    pub buffer_limit: usize,
    /// The address space of a task's LMDB environment to begin with. It grows when it has to.
    pub map_size: usize,
}

impl Default for StoreSettings {
    fn default() -> Self {
        StoreSettings {
            buffer_limit: 32 << 20,
            map_size: EnvironmentOptions::default().map_size,
        }
    }
}

/// Where a store lies.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place {
    Memory,
    Disk(Database),
}

#[derive(Debug)]
struct Store {
    name: Arc<str>,
    place: Place,
    buffer: WriteBuffer,
    segments: Option<Segments>,
    mark: Mark,
    /// The mark as of the last commit.
    committed: Mark,
    /// Below it everything is gone.
    bound: Option<Vec<u8>>,
    /// What lies below the bound is still to be deleted.
    truncates: bool,
    /// Windows of this time and later have not been emitted, and are kept until they are.
    held: Timestamp,
}

/// The part of a task's state that lies on disk.
#[derive(Debug)]
struct Disk {
    environment: Environment,
    meta: Database,
    /// For reads between commits; opened by the first one, and dropped before a commit.
    snapshot: Option<Snapshot>,
    /// Changelog offsets of stores that this topology does not have: should one return, it goes on from there.
    absent: Vec<(String, i64)>,
    absent_marks: Vec<(String, Mark)>,
    directory: TaskDirectory,
}

/// The stores of one task, by their numbers: their order when opened.
pub struct TaskStores {
    stores: Vec<Store>,
    disk: Option<Disk>,
    memory: MemoryMaps,
    checkpoint: Checkpoint,
    uncommitted: usize,
    buffer_limit: usize,
    names: Arc<[Arc<str>]>,
    places: Arc<[Place]>,
    segments: Arc<[Option<Segments>]>,
    /// Readers tell by it whether the task is still there.
    alive: Arc<()>,
}

impl fmt::Debug for TaskStores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskStores")
            .field("stores", &self.names)
            .field("uncommitted", &self.uncommitted)
            .finish_non_exhaustive()
    }
}

impl TaskStores {
    /// Opens a task's stores as of their last commit. Memory stores are empty, and their changelog offsets `None`.
    ///
    /// # Errors
    /// When the files cannot be opened, are damaged or of a later version.
    pub fn open(
        directory: TaskDirectory,
        specs: &[StoreSpec],
        settings: &StoreSettings,
    ) -> Result<TaskStores, StoreError> {
        check_names(specs)?;
        if specs.iter().all(|s| s.backend == StoreBackend::Memory) {
            return Self::build(
                specs,
                settings,
                None,
                Checkpoint::default(),
                BTreeMap::new(),
            );
        }
        let options = EnvironmentOptions {
            map_size: settings.map_size,
            max_databases: u32::try_from(specs.len())
                .unwrap_or(u32::MAX)
                .saturating_add(64),
            durability: directory.durability(),
            ..EnvironmentOptions::default()
        };
        let environment = Environment::open(directory.path(), &options)?;
        let meta = environment.create_database(disk::META)?;
        let stored = match read_meta(&environment, meta)? {
            Some(stored) => stored,
            None => {
                environment
                    .write::<(), LmdbError>(|w| w.put(meta, disk::LAYOUT_KEY, &[disk::LAYOUT]))?;
                checkpoint::Stored::default()
            }
        };
        let mut checkpoint = Checkpoint {
            changelog: Vec::new(),
            inputs: stored.inputs,
            stream_times: stored.stream_times,
        };
        let mut offsets = stored.changelog;
        for (number, spec) in specs.iter().enumerate() {
            let offset = offsets.remove(&*spec.name);
            let on_disk = spec.backend == StoreBackend::Lmdb;
            checkpoint.set_changelog_offset(number, offset.filter(|_| on_disk));
        }
        let absent = offsets.into_iter().collect();
        let of_others = stored.marks.iter();
        let of_others = of_others.filter(|(name, _)| specs.iter().all(|s| *s.name != **name));
        let disk = Disk {
            environment,
            meta,
            snapshot: None,
            absent,
            absent_marks: of_others.map(|(n, m)| (n.clone(), *m)).collect(),
            directory,
        };
        Self::build(specs, settings, Some(disk), checkpoint, stored.marks)
    }

    /// Stores that all lie in memory, whatever their specifications say.
    ///
    /// # Errors
    /// When two have the same name.
    pub fn in_memory(
        specs: &[StoreSpec],
        settings: &StoreSettings,
    ) -> Result<TaskStores, StoreError> {
        check_names(specs)?;
        Self::build(
            specs,
            settings,
            None,
            Checkpoint::default(),
            BTreeMap::new(),
        )
    }

    fn build(
        specs: &[StoreSpec],
        settings: &StoreSettings,
        disk: Option<Disk>,
        mut checkpoint: Checkpoint,
        marks: BTreeMap<String, Mark>,
    ) -> Result<TaskStores, StoreError> {
        checkpoint.changelog.resize(specs.len(), None);
        let stores = specs
            .iter()
            .map(|spec| {
                let place = match (&disk, spec.backend) {
                    (Some(disk), StoreBackend::Lmdb) => {
                        Place::Disk(disk.environment.create_database(&spec.name)?)
                    }
                    _ => Place::Memory,
                };
                let mark = marks.get(&*spec.name).copied().unwrap_or_default();
                Ok(Store {
                    name: Arc::clone(&spec.name),
                    place,
                    buffer: WriteBuffer::of(spec.segments),
                    segments: spec.segments,
                    mark,
                    committed: mark,
                    bound: None,
                    truncates: false,
                    held: Timestamp::MAX,
                })
            })
            .collect::<Result<Vec<Store>, StoreError>>()?;
        Ok(TaskStores {
            names: stores.iter().map(|s| Arc::clone(&s.name)).collect(),
            places: stores.iter().map(|s| s.place).collect(),
            segments: stores.iter().map(|s| s.segments).collect(),
            memory: MemoryMaps::new(stores.len()),
            stores,
            disk,
            checkpoint,
            uncommitted: 0,
            buffer_limit: settings.buffer_limit,
            alive: Arc::default(),
        })
    }

    /// How many stores there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.stores.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.stores.is_empty()
    }

    /// The number of a store by its name.
    #[must_use]
    pub fn index_of(&self, name: &str) -> Option<usize> {
        self.stores.iter().position(|s| &*s.name == name)
    }

    /// Whether a store's entries outlive this process.
    #[must_use]
    pub fn is_on_disk(&self, store: usize) -> bool {
        self.places
            .get(store)
            .is_some_and(|p| matches!(p, Place::Disk(_)))
    }

    /// What the last commit stored.
    #[must_use]
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The value of a key, as of the last put.
    ///
    /// # Errors
    /// When there is no such store or its file is damaged.
    #[inline]
    pub fn get(&mut self, store: usize, key: &[u8]) -> Result<Option<&[u8]>, StoreError> {
        let Some(of) = self.stores.get(store) else {
            return Err(StoreError::UnknownStore { store });
        };
        if of.is_cut_off(key) {
            return Ok(None);
        }
        if let Some(buffered) = of.buffer.get(key) {
            return Ok(buffered);
        }
        match (of.place, &mut self.disk) {
            (Place::Disk(database), Some(disk)) => {
                if !disk::fits(key) {
                    return Ok(None);
                }
                Ok(disk.snapshot()?.get(database, &disk::encode(key))?)
            }
            _ => Ok(self
                .memory
                .map(store)
                .and_then(|m| m.get(key))
                .map(|v| v.as_slice())),
        }
    }

    /// The position of a key's uncommitted put, for [`TaskStores::buffered_at`] before the next change.
    #[inline]
    #[must_use]
    pub fn find_buffered(&self, store: usize, key: &[u8]) -> Option<u32> {
        self.stores.get(store)?.buffer.find(key)
    }

    /// The value of an uncommitted put; `None` if it deletes its key.
    #[inline]
    #[must_use]
    pub fn buffered_at(&self, store: usize, at: u32) -> Option<&[u8]> {
        self.stores.get(store)?.buffer.value(at)
    }

    /// Brings close what look-ups of up to [`AHEAD`] keys will need: of a window or session store, of records' keys.
    pub fn look_ahead(&self, store: usize, keys: &[&[u8]]) {
        if let Some(of) = self.stores.get(store) {
            of.buffer.look_ahead(keys);
        }
    }

    /// Whether a store takes a key of that length.
    ///
    /// # Errors
    /// When it is too long, or there is no such store.
    #[inline]
    pub fn check_key(&self, store: usize, key: &[u8]) -> Result<(), StoreError> {
        let Some(of) = self.stores.get(store) else {
            return Err(StoreError::UnknownStore { store });
        };
        // Memory stores could take longer ones, but a topology must not depend on where its tests hold their state.
        if disk::fits(key) {
            return Ok(());
        }
        Err(StoreError::KeyTooLong {
            store: Arc::clone(&of.name),
            length: key.len(),
        })
    }

    /// Puts a key into the write buffer; `None` deletes it.
    ///
    /// # Errors
    /// When the key is too long for its backend, or there is no such store.
    #[inline]
    pub fn put(
        &mut self,
        store: usize,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        self.check_key(store, key)?;
        let Some(of) = self.stores.get_mut(store) else {
            return Err(StoreError::UnknownStore { store });
        };
        if of.is_cut_off(key) {
            return Ok(());
        }
        let before = of.buffer.bytes();
        of.buffer.put(key, value);
        self.uncommitted = self.uncommitted - before + of.buffer.bytes();
        Ok(())
    }

    /// The entries between two keys, as of the last put.
    ///
    /// # Errors
    /// When there is no such store or its file is damaged.
    pub fn range(
        &mut self,
        store: usize,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        direction: Direction,
    ) -> Result<MergedRange<'_>, StoreError> {
        let Some(of) = self.stores.get_mut(store) else {
            return Err(StoreError::UnknownStore { store });
        };
        of.buffer.order();
        let from = of.not_cut_off(from);
        let place = (store, of.place);
        let committed = committed(place, &mut self.disk, &self.memory, (from, to), direction)?;
        Ok(MergedRange::new(
            of.buffer.range(from, to, direction),
            committed,
            direction,
        ))
    }

    /// As [`TaskStores::range`], of a window or session store, with entries of one record's key in any case, and perhaps of others.
    fn range_of_key(
        &mut self,
        store: usize,
        key: &[u8],
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        direction: Direction,
    ) -> Result<MergedRange<'_>, StoreError> {
        let Some(of) = self.stores.get(store) else {
            return Err(StoreError::UnknownStore { store });
        };
        let from = of.not_cut_off(from);
        let place = (store, of.place);
        let committed = committed(place, &mut self.disk, &self.memory, (from, to), direction)?;
        Ok(MergedRange::new(
            of.buffer.range_of_key(key, from, to, direction),
            committed,
            direction,
        ))
    }

    /// The entries whose key begins with `prefix`, as of the last put.
    ///
    /// # Errors
    /// As [`TaskStores::range`].
    pub fn prefix(
        &mut self,
        store: usize,
        prefix: &[u8],
        direction: Direction,
    ) -> Result<MergedRange<'_>, StoreError> {
        let end = crate::lmdb::prefix_end(prefix);
        let to = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        self.range(store, Bound::Included(prefix), to, direction)
    }

    /// About how much memory the uncommitted puts take.
    #[must_use]
    pub fn uncommitted_bytes(&self) -> usize {
        self.uncommitted
    }

    /// Whether the write buffer wants an early commit.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.uncommitted >= self.buffer_limit
    }

    /// The uncommitted puts of a store, in the order of their keys; `None` deletes.
    #[must_use]
    pub fn uncommitted(&self, store: usize) -> Vec<(&[u8], Option<&[u8]>)> {
        let of = self.stores.get(store);
        of.map_or_else(Vec::new, |of| of.buffer.sorted())
    }

    /// Whether there is anything uncommitted.
    #[must_use]
    pub fn has_uncommitted(&self) -> bool {
        self.stores
            .iter()
            .any(|s| !s.buffer.is_empty() || s.truncates)
    }

    /// Commits every put together with a checkpoint, which replaces the last one whole: make it of a clone of
    /// [`TaskStores::checkpoint`].
    ///
    /// # Errors
    /// When the disk is full or fails. Then nothing of it is there, the buffer is as before, and it may be tried again.
    pub fn commit(&mut self, mut checkpoint: Checkpoint) -> Result<(), StoreError> {
        checkpoint.changelog.resize(self.stores.len(), None);
        if checkpoint == self.checkpoint && !self.has_uncommitted() {
            return Ok(());
        }
        if let Some(disk) = &mut self.disk {
            disk.snapshot = None;
            let stores = &self.stores;
            let dirty: Vec<_> = stores
                .iter()
                .filter(|s| !s.buffer.is_empty() || s.truncates)
                .filter_map(|s| match s.place {
                    Place::Disk(database) => Some((database, s.cut_off(), s.to_write())),
                    Place::Memory => None,
                })
                .collect();
            let meta = disk.encode(&checkpoint, stores, |s| s.mark);
            let meta_database = disk.meta;
            disk.environment.write(|writer| {
                for (database, cut_off, entries) in &dirty {
                    if let Some(bound) = cut_off {
                        writer.delete_range(*database, Bound::Unbounded, Bound::Excluded(bound))?;
                    }
                    write_entries(writer, *database, entries)?;
                }
                writer.put(meta_database, disk::CHECKPOINT_KEY, &meta)
            })?;
        }
        let stores = &mut self.stores;
        for (number, store) in stores.iter().enumerate() {
            let changed = store.mark != store.committed || store.truncates;
            if matches!(store.place, Place::Memory) && changed {
                let observed = store.mark.observed;
                self.memory.truncate(number, store.cut_off(), observed);
            }
        }
        let in_memory = |s: &Store| matches!(s.place, Place::Memory) && !s.buffer.is_empty();
        if stores.iter().any(in_memory) {
            self.memory.update(|put| {
                for (number, store) in stores.iter().enumerate().filter(|(_, s)| in_memory(s)) {
                    for (key, value) in store.to_write() {
                        put(number, key, value);
                    }
                }
            });
        }
        self.checkpoint = checkpoint;
        for store in &mut self.stores {
            store.committed = store.mark;
            store.truncates = false;
        }
        self.abort();
        Ok(())
    }

    /// Drops every put since the last commit.
    pub fn abort(&mut self) {
        for store in &mut self.stores {
            store.buffer.clear();
            if store.truncates {
                store.bound = None;
                store.truncates = false;
            }
            store.mark = store.committed;
        }
        self.uncommitted = 0;
    }

    /// Cuts off everything below a key: it is gone at once for reads, later puts there are ignored, and the next commit deletes it
    /// from the front, without a look at what stays.
    ///
    /// # Errors
    /// When there is no such store.
    pub fn truncate(&mut self, store: usize, before: &[u8]) -> Result<(), StoreError> {
        match self.stores.get_mut(store) {
            Some(of) => {
                of.truncate(before);
                Ok(())
            }
            None => Err(StoreError::UnknownStore { store }),
        }
    }

    /// Writes a batch of a changelog straight to the backend, in one transaction with the offset after it. The last one of
    /// equal keys counts. Not to be mixed with uncommitted puts of the same store.
    ///
    /// # Errors
    /// As [`TaskStores::commit`], or when a key is too long.
    pub fn restore<'b>(
        &mut self,
        store: usize,
        batch: impl Iterator<Item = (&'b [u8], Option<&'b [u8]>)>,
        next_offset: i64,
    ) -> Result<(), StoreError> {
        let Some(of) = self.stores.get_mut(store) else {
            return Err(StoreError::UnknownStore { store });
        };
        let mut entries: Vec<(&[u8], Option<&[u8]>)> = batch.collect();
        let local = of.take_from_changelog(&mut entries);
        if let Some((key, _)) = entries.iter().find(|(key, _)| !disk::fits(key)) {
            return Err(StoreError::KeyTooLong {
                store: Arc::clone(&of.name),
                length: key.len(),
            });
        }
        if let Some(local) = &local {
            entries = local.entries().collect();
        }
        sort_and_keep_last(&mut entries);
        let mut checkpoint = self.checkpoint.clone();
        checkpoint.set_changelog_offset(store, Some(next_offset));
        let (place, mark) = (of.place, of.mark);
        let cut_off = of.cut_off().map(<[u8]>::to_vec);
        let stores = &self.stores;
        match (place, &mut self.disk) {
            (Place::Disk(database), Some(disk)) => {
                disk.snapshot = None;
                let meta = disk.encode(&checkpoint, stores, |s| s.mark);
                let meta_database = disk.meta;
                disk.environment.write(|writer| {
                    if let Some(bound) = &cut_off {
                        writer.delete_range(database, Bound::Unbounded, Bound::Excluded(bound))?;
                    }
                    if writer.view().is_empty(database)? {
                        append_entries(writer, database, &entries)?;
                    } else {
                        write_entries(writer, database, &entries)?;
                    }
                    writer.put(meta_database, disk::CHECKPOINT_KEY, &meta)
                })?;
            }
            _ => {
                self.memory
                    .truncate(store, cut_off.as_deref(), mark.observed);
                self.memory.update(|put| {
                    for (key, value) in &entries {
                        put(store, key, *value);
                    }
                });
            }
        }
        if let Some(of) = self.stores.get_mut(store) {
            of.committed = of.mark;
            of.truncates = false;
        }
        self.checkpoint = checkpoint;
        Ok(())
    }

    /// Empties a store, its uncommitted puts included, and forgets its changelog offset: it is to be restored from the beginning.
    ///
    /// # Errors
    /// As [`TaskStores::commit`].
    pub fn clear(&mut self, store: usize) -> Result<(), StoreError> {
        let Some(of) = self.stores.get_mut(store) else {
            return Err(StoreError::UnknownStore { store });
        };
        let mut checkpoint = self.checkpoint.clone();
        checkpoint.set_changelog_offset(store, None);
        self.uncommitted -= of.buffer.bytes();
        of.buffer.clear();
        (of.mark, of.committed) = (Mark::default(), Mark::default());
        (of.bound, of.truncates) = (None, false);
        let place = of.place;
        match (place, &mut self.disk) {
            (Place::Disk(database), Some(disk)) => {
                disk.snapshot = None;
                let meta = disk.encode(&checkpoint, &self.stores, |s| s.committed);
                let meta_database = disk.meta;
                disk.environment.write(|writer| {
                    writer.clear(database)?;
                    writer.put(meta_database, disk::CHECKPOINT_KEY, &meta)
                })?;
            }
            _ => self.memory.clear(store),
        }
        self.checkpoint = checkpoint;
        Ok(())
    }

    /// Ends the view of the last commit that reads share, so that a task that waits long between commits pins no pages.
    /// The next read begins another.
    pub fn renew(&mut self) {
        if let Some(disk) = &mut self.disk {
            disk.snapshot = None;
        }
    }

    /// Makes every commit so far survive a power loss.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn sync(&mut self) -> Result<(), StoreError> {
        match &self.disk {
            Some(disk) => Ok(disk.environment.sync()?),
            None => Ok(()),
        }
    }

    /// Reads the last commit from any thread.
    #[must_use]
    pub fn reader(&self) -> StoreReader {
        StoreReader {
            names: Arc::clone(&self.names),
            places: Arc::clone(&self.places),
            segments: Arc::clone(&self.segments),
            meta: self.disk.as_ref().map(|d| d.meta),
            environment: self.disk.as_ref().map(|d| d.environment.clone()),
            published: self.memory.published(),
            alive: Arc::downgrade(&self.alive),
        }
    }

    /// Syncs and closes. What is uncommitted is dropped. Readers get an error from now on.
    ///
    /// # Errors
    /// When the disk refuses. Then the next start treats the state as after a crash.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.sync()?;
        if let Some(mut disk) = self.disk.take() {
            disk.close_environment();
            disk.directory.close_cleanly()?;
        }
        Ok(())
    }
}

impl Drop for TaskStores {
    fn drop(&mut self) {
        // As after a crash: no sync and no mark, but the directory can be opened again.
        if let Some(mut disk) = self.disk.take() {
            disk.close_environment();
        }
    }
}

impl Disk {
    fn snapshot(&mut self) -> Result<&Snapshot, LmdbError> {
        match self.snapshot {
            Some(ref snapshot) => Ok(snapshot),
            None => Ok(self.snapshot.insert(self.environment.snapshot()?)),
        }
    }

    fn encode(
        &self,
        checkpoint: &Checkpoint,
        stores: &[Store],
        mark: impl Fn(&Store) -> Mark,
    ) -> Vec<u8> {
        let known = stores.iter().zip(&checkpoint.changelog);
        let known = known.filter_map(|(s, offset)| Some((s.name.as_ref().to_owned(), (*offset)?)));
        let on_disk = stores.iter().filter(|s| s.segments.is_some());
        let on_disk = on_disk.filter(|s| matches!(s.place, Place::Disk(_)));
        let marks = on_disk.map(|s| (s.name.as_ref().to_owned(), mark(s)));
        let stored = checkpoint::Stored {
            changelog: self.absent.iter().cloned().chain(known).collect(),
            inputs: checkpoint.inputs.clone(),
            stream_times: checkpoint.stream_times.clone(),
            marks: self.absent_marks.iter().cloned().chain(marks).collect(),
        };
        let mut bytes = Vec::new();
        checkpoint::encode(&stored, &mut bytes);
        bytes
    }

    /// So that the directory can be opened again, whoever still has a reader.
    fn close_environment(&mut self) {
        // Closing waits for snapshots.
        self.snapshot = None;
        self.environment.close();
    }
}

/// The committed entries of a store between two keys.
fn committed<'a>(
    (store, place): (usize, Place),
    disk: &'a mut Option<Disk>,
    memory: &'a MemoryMaps,
    (from, to): (Bound<&[u8]>, Bound<&[u8]>),
    direction: Direction,
) -> Result<CommittedRange<'a>, StoreError> {
    match (place, disk) {
        (Place::Disk(database), Some(disk)) => {
            let view = disk.snapshot()?.view()?;
            Ok(disk::range(view, database, from, to, direction)?.into())
        }
        _ => match memory.map(store) {
            Some(map) => Ok(memory::range(map, from, to, direction).into()),
            None => Err(StoreError::UnknownStore { store }),
        },
    }
}

fn check_names(specs: &[StoreSpec]) -> Result<(), StoreError> {
    for (number, spec) in specs.iter().enumerate() {
        let bad = |reason| {
            Err(StoreError::BadName {
                name: Arc::clone(&spec.name),
                reason,
            })
        };
        if spec.name.is_empty() || spec.name.contains('\0') {
            return bad("it is empty or contains a zero byte");
        }
        if &*spec.name == disk::META {
            return bad("it is taken");
        }
        if specs
            .iter()
            .take(number)
            .any(|other| other.name == spec.name)
        {
            return bad("another store of the task has it");
        }
    }
    Ok(())
}

/// Sorts a batch by its keys. Of equal ones only the last is left.
fn sort_and_keep_last(entries: &mut Vec<(&[u8], Option<&[u8]>)>) {
    // Most keys differ in their first bytes, which lie side by side here.
    let mut order: Vec<_> = entries
        .iter()
        .enumerate()
        .map(|(number, (key, _))| (buffer::beginning(key), number))
        .collect();
    let key = |number: usize| entries.get(number).map(|(key, _)| *key);
    // Among equal keys the last one comes first.
    order.sort_unstable_by(|(a, m), (b, n)| {
        a.cmp(b)
            .then_with(|| key(*m).cmp(&key(*n)))
            .then_with(|| n.cmp(m))
    });
    order.dedup_by(|(_, later), (_, first)| key(*later) == key(*first));
    let sorted = order.iter().filter_map(|(_, n)| entries.get(*n).copied());
    *entries = sorted.collect();
}

/// Writes sorted entries into an empty database.
fn append_entries(
    writer: &mut Writer<'_>,
    database: Database,
    entries: &[(&[u8], Option<&[u8]>)],
) -> Result<(), LmdbError> {
    for (key, value) in entries {
        if let Some(value) = value {
            writer.append(database, &disk::encode(key), value)?;
        }
    }
    Ok(())
}

/// Writes sorted entries. `None` deletes.
fn write_entries(
    writer: &mut Writer<'_>,
    database: Database,
    entries: &[(&[u8], Option<&[u8]>)],
) -> Result<(), LmdbError> {
    for (key, value) in entries {
        let key = disk::encode(key);
        match value {
            Some(value) => writer.put(database, &key, value)?,
            None => {
                writer.delete(database, &key)?;
            }
        }
    }
    Ok(())
}

/// What `__meta` holds. `None`: nothing yet.
fn read_meta(
    environment: &Environment,
    meta: Database,
) -> Result<Option<checkpoint::Stored>, StoreError> {
    let path = || environment.path().to_path_buf();
    let damaged = |what: String| Err(StoreError::Damaged { path: path(), what });
    let snapshot = environment.snapshot()?;
    let checkpoint = snapshot.get(meta, disk::CHECKPOINT_KEY)?;
    match snapshot.get(meta, disk::LAYOUT_KEY)? {
        Some([disk::LAYOUT]) => {}
        Some([found]) if *found > disk::LAYOUT => {
            return Err(StoreError::NewerLayout {
                path: path(),
                found: *found,
            });
        }
        None if checkpoint.is_none() => return Ok(None),
        other => return damaged(format!("its layout is {other:?}")),
    }
    match checkpoint.map(checkpoint::decode) {
        None => Ok(Some(checkpoint::Stored::default())),
        Some(Ok(stored)) => Ok(Some(stored)),
        Some(Err(checkpoint::Undecodable::Newer(found))) => Err(StoreError::NewerLayout {
            path: path(),
            found,
        }),
        Some(Err(checkpoint::Undecodable::Malformed)) => {
            damaged("its checkpoint cannot be read".to_owned())
        }
    }
}

#[cfg(test)]
mod tests;
