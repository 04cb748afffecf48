//! Layer 2. The embedded log: a partitioned, transactional log with groups, in memory or in one directory.
//!
//! A transaction is one write of the storage below: its records, the group's offsets and the check that its producer was
//! not fenced happen together or not at all. So nothing uncommitted is ever in the log, and every reader reads committed.
//! Groups live in the process that runs an application; their offsets live in the log. The bytes are described in
//! `docs/formats.md`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::Duration;

use self::admin::EmbeddedAdmin;
use self::cleaner::Cleaner;
use self::consumer::EmbeddedConsumer;
use self::durable::{DiskTables, OpenError};
use self::group::{EmbeddedMembership, Groups};
use self::log::{Append, Log, PartitionState};
use self::producer::EmbeddedProducer;
use self::storage::Storage;
use super::{
    Admin, CommittedOffset, Consumer, GroupMetadata, Membership, MembershipSpec, Producer,
    ProducerSpec, Transport, TransportError,
};
use crate::lmdb::{Durability, EnvironmentOptions, LmdbError};
use crate::record::TopicPartition;
use crate::time::{Clock, SystemClock};

mod admin;
mod assign;
mod batch;
mod cleaner;
mod consumer;
mod durable;
mod group;
mod log;
mod producer;
mod run_lock;
mod storage;
mod topic;

/// The logs in directories that this process has open.
static OPEN: Mutex<BTreeMap<PathBuf, Weak<Shared>>> = Mutex::new(BTreeMap::new());

/// How an embedded log is opened.
#[derive(Debug, Clone)]
pub struct EmbeddedLogOptions {
    /// Stamps records without a timestamp, and decides when retention and compaction may delete.
    pub clock: Arc<dyn Clock>,
    /// How often a waiting reader looks for what other processes wrote.
    pub poll_interval: Duration,
    /// Whether a commit waits for the disk. Without, it survives the end of the process, not the machine's.
    pub durability: Durability,
    /// The most that the log can hold without being mapped anew: address space, not disk.
    pub map_size: usize,
}

impl Default for EmbeddedLogOptions {
    fn default() -> Self {
        EmbeddedLogOptions {
            clock: Arc::new(SystemClock::new()),
            poll_interval: Duration::from_millis(5),
            durability: Durability::Sync,
            map_size: EnvironmentOptions::default().map_size,
        }
    }
}

/// A log inside this process. Clones are the same log.
#[derive(Clone)]
pub struct EmbeddedLog {
    shared: Arc<Shared>,
}

impl fmt::Debug for EmbeddedLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EmbeddedLog({})", self.shared.log.place)
    }
}

impl EmbeddedLog {
    /// A log that goes with its last user: for tests, the test driver and benches.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::in_memory_with(EmbeddedLogOptions::default())
    }

    /// [`in_memory`](Self::in_memory) with another clock.
    #[must_use]
    pub fn in_memory_with(options: EmbeddedLogOptions) -> Self {
        Self::new(
            Log::new(Storage::memory(), "in memory".to_owned()),
            None,
            options,
        )
    }

    /// The log in a directory, which is made if it is not there. Other processes may have it open too. Opening it again in
    /// this process gives the same log, with the options of the first.
    ///
    /// # Errors
    /// When the directory cannot be read or written, holds something else, is damaged, or was written by a newer program.
    /// The text names the path and says what to do.
    pub fn open(
        dir: impl AsRef<Path>,
        options: EmbeddedLogOptions,
    ) -> Result<Self, TransportError> {
        let dir = dir.as_ref();
        let failed = |e| TransportError::from(LmdbError::from_io(dir, e));
        std::fs::create_dir_all(dir).map_err(failed)?;
        let path = dir.canonicalize().map_err(failed)?;
        let mut attempt = 0;
        loop {
            let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(shared) = open.get(&path).and_then(Weak::upgrade) {
                return Ok(EmbeddedLog { shared });
            }
            match DiskTables::open(dir, options.durability, options.map_size) {
                Ok(tables) => {
                    let place = format!("in {}", dir.display());
                    let log = Self::new(
                        Log::new(Storage::Disk(tables), place),
                        Some(path.clone()),
                        options,
                    );
                    open.retain(|_, shared| shared.strong_count() > 0);
                    open.insert(path, Arc::downgrade(&log.shared));
                    return Ok(log);
                }
                // Its last user in this process is just letting go of it.
                Err(OpenError::Lmdb(LmdbError::AlreadyOpen { .. })) if attempt < 200 => {
                    drop(open);
                    attempt += 1;
                    options.clock.sleep(Duration::from_millis(5));
                }
                Err(e) => return Err(e.into()),
            }
        }
    }

    fn new(log: Log, dir: Option<PathBuf>, options: EmbeddedLogOptions) -> Self {
        let shared = Shared {
            log,
            dir,
            groups: Groups::default(),
            changed: Changed::default(),
            cleaner: Mutex::default(),
            clock: options.clock,
            poll_interval: options.poll_interval.max(Duration::from_millis(1)),
        };
        EmbeddedLog {
            shared: Arc::new(shared),
        }
    }
}

impl Transport for EmbeddedLog {
    fn admin(&self) -> Result<Box<dyn Admin>, TransportError> {
        Ok(Box::new(EmbeddedAdmin {
            shared: self.shared.clone(),
        }))
    }

    fn consumer(&self, _client_id: &str) -> Result<Box<dyn Consumer>, TransportError> {
        Ok(Box::new(EmbeddedConsumer::new(self.shared.clone())))
    }

    fn producer(&self, spec: &ProducerSpec) -> Result<Box<dyn Producer>, TransportError> {
        Ok(Box::new(EmbeddedProducer::new(self.shared.clone(), spec)))
    }

    fn membership(&self, spec: &MembershipSpec) -> Result<Box<dyn Membership>, TransportError> {
        Ok(Box::new(EmbeddedMembership::new(
            self.shared.clone(),
            spec,
        )?))
    }
}

/// What all clients of a log share.
#[derive(Debug)]
struct Shared {
    log: Log,
    /// The directory, if it has one.
    dir: Option<PathBuf>,
    groups: Groups,
    changed: Changed,
    cleaner: Mutex<Cleaner>,
    clock: Arc<dyn Clock>,
    poll_interval: Duration,
}

impl Shared {
    /// Offsets as the log takes them, if their partitions are there.
    fn group_offsets(
        &self,
        group: &GroupMetadata,
        offsets: &[(TopicPartition, CommittedOffset)],
    ) -> Result<Vec<(String, TopicPartition, CommittedOffset)>, TransportError> {
        offsets
            .iter()
            .map(|(partition, offset)| {
                self.log.known_partition(partition)?;
                Ok((group.group.clone(), partition.clone(), offset.clone()))
            })
            .collect()
    }

    /// After a commit: wakes readers, then cleans a little.
    fn appended(&self, appends: &[Append], states: &[PartitionState]) {
        if appends.is_empty() {
            return;
        }
        self.changed.records();
        let Ok(mut cleaner) = self.cleaner.try_lock() else {
            return;
        };
        let now = self.clock.now_ms();
        for (append, state) in appends.iter().zip(states) {
            if let Err(error) = cleaner.step(&self.log, append, *state, now) {
                // The commit stands. What is damaged, its readers will hear of; a full disk, the next commit.
                tracing::warn!(topic = %append.topic.name, partition = append.partition, %error, "cleaning failed");
            }
        }
    }

    /// Waits for a commit or a change of a group, at most about `at_most`. Tells how long, roughly.
    fn wait(&self, seen: Versions, at_most: Duration) -> Duration {
        let slice = if self.log.storage.is_shared() {
            at_most.min(self.poll_interval)
        } else {
            at_most
        };
        let before = self.clock.elapsed();
        if self.changed.wait(seen, slice) {
            self.clock.elapsed().saturating_sub(before).min(slice)
        } else {
            // Not by the clock: a manual one stands still.
            slice
        }
    }
}

/// Counts what happened in this process, for those who wait.
#[derive(Debug, Default)]
struct Changed {
    versions: Mutex<Versions>,
    condvar: Condvar,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Versions {
    records: u64,
    groups: u64,
}

impl Changed {
    fn now(&self) -> Versions {
        *self.versions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn records(&self) {
        self.versions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .records += 1;
        self.condvar.notify_all();
    }

    fn group(&self) {
        self.versions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .groups += 1;
        self.condvar.notify_all();
    }

    /// Waits until something other than `seen` is there; `false` if the time ran out.
    fn wait(&self, seen: Versions, at_most: Duration) -> bool {
        let versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .condvar
            .wait_timeout_while(versions, at_most, |now| *now == seen);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}
