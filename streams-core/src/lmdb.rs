//! Layer 1. LMDB: environments of named databases of bytes, for task state and for the embedded log. The only module that names `heed`.
//!
//! What it takes care of, so that nobody else has to:
//! - A write transaction lives inside one call of [`Environment::write`]: committed on another thread it would keep the
//!   writer's lock for ever.
//! - A full map is grown and the write repeated; nobody holds a transaction while the map moves.
//! - Every error names the path and what to do about it.
//! - Nothing stays open that outlives [`Environment::close`], so that the same directory can be opened again.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use heed::types::Bytes;
use heed::{CommitOrAbort, Env, EnvFlags, EnvOpenOptions, MdbError, WithoutTls};

mod error;
mod pages;
mod transaction;

pub use error::LmdbError;
pub use transaction::{Entry, Range, Snapshot, View, Writer, prefix_end};

/// The longest key that LMDB takes here (feature `longer-keys`, pages of 4 KiB).
pub const MAX_KEY_LENGTH: usize = 1982;

/// How long growing the map waits for other threads' snapshots to end.
const GROW_PATIENCE: Duration = Duration::from_secs(30);

/// How often a check of the pages begins anew because other processes were faster.
const PAGE_CHECKS: usize = 100;

/// Which way to iterate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// From the lowest key up.
    #[default]
    Forward,
    /// From the highest key down.
    Backward,
}

/// Whether a commit waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// A commit survives power loss.
    #[default]
    Sync,
    /// A commit survives the process, not the machine; see [`Environment::sync`].
    NoSync,
}

/// Who may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Access {
    /// This process, one thread at a time.
    #[default]
    ReadWrite,
    /// Another process, perhaps, while this one reads.
    ReadOnly,
}

/// How to open an environment.
#[derive(Debug, Clone)]
pub struct EnvironmentOptions {
    /// The map's size to begin with: address space, not disk.
    pub map_size: usize,
    /// The most named databases there can be.
    pub max_databases: u32,
    /// Whether commits wait for the disk.
    pub durability: Durability,
    /// Whether to write at all.
    pub access: Access,
}

impl Default for EnvironmentOptions {
    fn default() -> Self {
        EnvironmentOptions {
            // Costs 12 KiB of disk and no memory, and saves ever having to grow.
            map_size: 64 << 30,
            max_databases: 256,
            durability: Durability::Sync,
            access: Access::ReadWrite,
        }
    }
}

/// A named database of an environment. Only valid in the environment that gave it.
#[derive(Clone, Copy)]
pub struct Database(heed::Database<'static, Bytes, Bytes>);

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Database")
    }
}

/// An open environment: a directory with `data.mdb` and `lock.mdb`. Clones are the same environment.
#[derive(Clone)]
pub struct Environment {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    access: Access,
    /// Held by the one writing thread, also while the map grows between two attempts.
    writer: Mutex<()>,
    gate: Mutex<Gate>,
    /// Told when the last snapshot ends, and when growing or closing is over.
    changed: Condvar,
}

/// Who is inside, and whether anybody may enter.
struct Gate {
    /// `None` once closed.
    env: Option<Env<WithoutTls>>,
    /// Snapshots that are alive.
    snapshots: usize,
    /// The map is about to move: nobody begins a snapshot.
    growing: bool,
}

thread_local! {
    /// The environment (by address) that this thread is writing, to refuse a write inside a write instead of waiting for ever.
    static WRITING: Cell<usize> = const { Cell::new(0) };
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("path", &self.shared.path)
            .finish_non_exhaustive()
    }
}

impl Environment {
    /// Opens the environment in a directory, which is created where access allows.
    ///
    /// # Errors
    /// When it cannot be opened, is damaged, or this process has it open already.
    pub fn open(path: &Path, options: &EnvironmentOptions) -> Result<Environment, LmdbError> {
        let io_error = |e| LmdbError::from_io(path, e);
        let mut flags = EnvFlags::empty();
        match options.access {
            Access::ReadWrite => std::fs::create_dir_all(path).map_err(io_error)?,
            Access::ReadOnly => {
                // LMDB would create the lock file in an empty directory and only then complain.
                let file = std::fs::metadata(path.join("data.mdb")).map_err(io_error)?;
                if file.len() == 0 {
                    // Its owner is just creating it, or died doing so.
                    return Err(LmdbError::Missing {
                        path: path.to_path_buf(),
                    });
                }
                flags |= EnvFlags::READ_ONLY;
            }
        }
        if options.durability == Durability::NoSync {
            flags |= EnvFlags::NO_SYNC;
        }
        let mut size = round_to_pages(options.map_size);
        let env = loop {
            match open_heed(path, options, flags, size) {
                // No address space for so large a map (ulimit -v): a smaller one grows when it has to.
                Err(heed::Error::Io(e))
                    if e.kind() == io::ErrorKind::OutOfMemory && size > (16 << 20) =>
                {
                    size = round_to_pages(size / 4);
                }
                Err(e) => return Err(LmdbError::from_heed(path, e)),
                Ok(env) => break env,
            }
        };
        check_pages(path, &env)?;
        // Slots of readers that were killed would keep their pages for ever. Only a clean-up: failing is no harm.
        let _ = env.clear_stale_readers();
        Ok(Environment {
            shared: Arc::new(Shared {
                path: path.to_path_buf(),
                access: options.access,
                writer: Mutex::new(()),
                gate: Mutex::new(Gate {
                    env: Some(env),
                    snapshots: 0,
                    growing: false,
                }),
                changed: Condvar::new(),
            }),
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Opens a named database, creating it if it is not there.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn create_database(&self, name: &str) -> Result<Database, LmdbError> {
        if let Some(database) = self.database(name)? {
            return Ok(database);
        }
        self.writable()?;
        let _marker = WritingMarker::set(&self.shared)?;
        let mut attempt = 0;
        loop {
            let _writer = lock(&self.shared.writer);
            let env = self.env()?;
            let created = env.write_txn().and_then(|txn| {
                env.create_databases_and_commit(txn, |opener, txn| {
                    opener
                        .create_database::<Bytes, Bytes>(txn, Some(name))
                        .map(CommitOrAbort::<_, ()>::Commit)
                })
            });
            match created {
                Ok(CommitOrAbort::Commit(database)) => return Ok(Database(database)),
                Ok(CommitOrAbort::Abort(())) => {
                    return Err(LmdbError::Closed {
                        path: self.shared.path.clone(),
                    });
                }
                Err(heed::Error::Mdb(MdbError::MapFull)) if attempt < 4 => {
                    attempt += 1;
                    drop(env);
                    self.resize(MapSize::Doubled)?;
                }
                Err(e) => return Err(self.error(e)),
            }
        }
    }

    /// Opens a named database if it is there.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn database(&self, name: &str) -> Result<Option<Database>, LmdbError> {
        // Follows another process that has grown the file.
        drop(self.snapshot()?);
        let entered = self.enter()?;
        let opened = entered.env.read_txn().and_then(|txn| {
            entered.env.open_databases_and_commit(txn, |opener, txn| {
                opener
                    .open_database::<Bytes, Bytes>(txn, Some(name))
                    .map(CommitOrAbort::<_, ()>::Commit)
            })
        });
        match opened {
            Ok(CommitOrAbort::Commit(database)) => Ok(database.map(Database)),
            Ok(CommitOrAbort::Abort(())) => Ok(None),
            Err(e) => Err(self.error(e)),
        }
    }

    /// The names of all databases.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn database_names(&self) -> Result<Vec<String>, LmdbError> {
        drop(self.snapshot()?);
        let entered = self.enter()?;
        let opened = entered.env.read_txn().and_then(|txn| {
            entered.env.open_databases_and_commit(txn, |opener, txn| {
                opener
                    .open_database::<Bytes, Bytes>(txn, None)
                    .map(CommitOrAbort::<_, ()>::Commit)
            })
        });
        let main = match opened {
            Ok(CommitOrAbort::Commit(Some(main))) => main,
            Ok(_) => return Ok(Vec::new()),
            Err(e) => return Err(self.error(e)),
        };
        let txn = entered.env.read_txn().map_err(|e| self.error(e))?;
        let mut names = Vec::new();
        for entry in main.iter(&txn).map_err(|e| self.error(e))? {
            let (name, _) = entry.map_err(|e| self.error(e))?;
            if let Ok(name) = std::str::from_utf8(name) {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// A view of the last commit. Keep it briefly: while it lives, the pages that it sees are not reused and the file grows.
    ///
    /// # Errors
    /// When closed, or too many are alive.
    pub fn snapshot(&self) -> Result<Snapshot, LmdbError> {
        let mut followed = false;
        loop {
            let mut entered = self.enter()?;
            match entered.env.clone().static_read_txn() {
                Ok(txn) => {
                    entered.leave_on_drop = false;
                    let shared = Arc::clone(&self.shared);
                    return Ok(Snapshot {
                        txn: Some(txn),
                        shared,
                    });
                }
                Err(heed::Error::Mdb(MdbError::MapResized)) if !followed => {
                    drop(entered);
                    followed = true;
                    let _marker = WritingMarker::set(&self.shared)?;
                    let _writer = lock(&self.shared.writer);
                    self.resize(MapSize::OfFile)?;
                }
                Err(e) => return Err(self.error(e)),
            }
        }
    }

    /// Runs `work` in a write transaction and commits it; an error of `work` aborts it. Where the map turns out to be
    /// full, the transaction is thrown away, the map grown and `work` run again: it must not count on running once.
    /// Waits for other writers. Don't hold a snapshot of the same environment on this thread: growing waits for it.
    ///
    /// # Errors
    /// What `work` returns, or what the transaction met. Then nothing of it is there.
    pub fn write<T, E: From<LmdbError>>(
        &self,
        mut work: impl FnMut(&mut Writer<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.writable()?;
        let _marker = WritingMarker::set(&self.shared)?;
        let _writer = lock(&self.shared.writer);
        loop {
            let env = self.env()?;
            let txn = match env.write_txn() {
                Err(heed::Error::Mdb(MdbError::MapResized)) => {
                    self.resize(MapSize::OfFile)?;
                    continue;
                }
                begun => begun.map_err(|e| self.error(e))?,
            };
            let mut writer = Writer {
                txn,
                path: &self.shared.path,
                map_full: false,
            };
            let result = work(&mut writer);
            let Writer { txn, map_full, .. } = writer;
            if !map_full {
                // An error drops the transaction, which aborts it.
                let value = result?;
                match txn.commit() {
                    Ok(()) => return Ok(value),
                    Err(heed::Error::Mdb(MdbError::MapFull)) => {}
                    Err(e) => return Err(self.error(e).into()),
                }
            } else {
                drop(txn);
            }
            self.resize(MapSize::Doubled)?;
        }
    }

    /// Waits until everything committed is on the disk (for [`Durability::NoSync`]).
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn sync(&self) -> Result<(), LmdbError> {
        let entered = self.enter()?;
        entered.env.force_sync().map_err(|e| self.error(e))
    }

    /// The map's size.
    ///
    /// # Errors
    /// When closed.
    pub fn map_size(&self) -> Result<usize, LmdbError> {
        Ok(self.enter()?.env.info().map_size)
    }

    /// Closes the environment for all clones once the snapshots that are alive have ended; waits for them, but not for ever.
    pub fn close(&self) {
        let _writer = lock(&self.shared.writer);
        let gate = lock(&self.shared.gate);
        let (mut gate, _) = self
            .shared
            .changed
            .wait_timeout_while(gate, GROW_PATIENCE, |gate| gate.snapshots > 0)
            .unwrap_or_else(PoisonError::into_inner);
        gate.env = None;
    }

    fn writable(&self) -> Result<(), LmdbError> {
        match self.shared.access {
            Access::ReadWrite => Ok(()),
            Access::ReadOnly => Err(LmdbError::ReadOnly {
                path: self.shared.path.clone(),
            }),
        }
    }

    fn error(&self, error: heed::Error) -> LmdbError {
        LmdbError::from_heed(&self.shared.path, error)
    }

    /// The environment for the thread that holds `writer`: only that thread may move the map, so it needs no place inside.
    fn env(&self) -> Result<Env<WithoutTls>, LmdbError> {
        let gate = lock(&self.shared.gate);
        gate.env.clone().ok_or_else(|| LmdbError::Closed {
            path: self.shared.path.clone(),
        })
    }

    fn enter(&self) -> Result<Entered<'_>, LmdbError> {
        let gate = lock(&self.shared.gate);
        let mut gate = self
            .shared
            .changed
            .wait_while(gate, |gate| gate.growing)
            .unwrap_or_else(PoisonError::into_inner);
        let env = gate.env.clone().ok_or_else(|| LmdbError::Closed {
            path: self.shared.path.clone(),
        })?;
        gate.snapshots += 1;
        Ok(Entered {
            env,
            shared: &self.shared,
            leave_on_drop: true,
        })
    }

    /// Gives the map another size. The caller holds `writer` and no transaction.
    fn resize(&self, to: MapSize) -> Result<(), LmdbError> {
        let mut gate = lock(&self.shared.gate);
        gate.growing = true;
        let (mut gate, waited) = self
            .shared
            .changed
            .wait_timeout_while(gate, GROW_PATIENCE, |gate| gate.snapshots > 0)
            .unwrap_or_else(PoisonError::into_inner);
        gate.growing = false;
        let result = match &gate.env {
            None => Err(LmdbError::Closed {
                path: self.shared.path.clone(),
            }),
            Some(env) => {
                let size = env.info().map_size;
                let full = |reason| LmdbError::MapFull {
                    path: self.shared.path.clone(),
                    size,
                    reason,
                };
                if waited.timed_out() {
                    Err(full("a reader kept its snapshot too long"))
                } else {
                    let new = match to {
                        MapSize::OfFile => Some(0),
                        MapSize::Doubled => size.checked_mul(2).map(round_to_pages),
                    };
                    let _ = env.clear_stale_readers();
                    match new {
                        Some(new) => resize(env, new).map_err(|e| self.error(e)),
                        None => Err(full("there is no larger size")),
                    }
                }
            }
        };
        drop(gate);
        self.shared.changed.notify_all();
        result
    }
}

/// What becomes of the map's size.
#[derive(Debug, Clone, Copy)]
enum MapSize {
    /// It was too small.
    Doubled,
    /// Another process made the file larger than this one's map.
    OfFile,
}

/// A place inside the gate: the map does not move while it is held.
struct Entered<'a> {
    env: Env<WithoutTls>,
    shared: &'a Shared,
    leave_on_drop: bool,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        if self.leave_on_drop {
            self.shared.leave();
        }
    }
}

impl Shared {
    fn leave(&self) {
        let mut gate = lock(&self.gate);
        gate.snapshots = gate.snapshots.saturating_sub(1);
        if gate.snapshots == 0 {
            drop(gate);
            self.changed.notify_all();
        }
    }
}

/// Remembers which environment this thread writes, and what it wrote before.
struct WritingMarker(usize);

impl WritingMarker {
    fn set(shared: &Arc<Shared>) -> Result<Self, LmdbError> {
        let this = Arc::as_ptr(shared).addr();
        let before = WRITING.get();
        if before == this {
            return Err(LmdbError::NestedWrite {
                path: shared.path.clone(),
            });
        }
        WRITING.set(this);
        Ok(WritingMarker(before))
    }
}

impl Drop for WritingMarker {
    fn drop(&mut self) {
        WRITING.set(self.0);
    }
}

/// Looks at the pages of the last commit before anything follows them.
fn check_pages(path: &Path, env: &Env<WithoutTls>) -> Result<(), LmdbError> {
    for _ in 0..PAGE_CHECKS {
        let txn = env.read_txn().map_err(|e| LmdbError::from_heed(path, e))?;
        match pages::check(&path.join("data.mdb"), txn.id() as u64) {
            Ok(()) => return Ok(()),
            Err(pages::Unusable::Damaged(detail)) => {
                return Err(LmdbError::Damaged {
                    path: path.to_path_buf(),
                    detail,
                });
            }
            Err(pages::Unusable::Io(e)) => return Err(LmdbError::from_io(path, e)),
            Err(pages::Unusable::Overtaken) => {}
        }
    }
    // Others commit all the time, so it is whole.
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What they guard is valid after every statement, so a panic elsewhere is no reason to panic here.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn round_to_pages(size: usize) -> usize {
    // Works for every page size in use (4 KiB to 64 KiB).
    size.max(1 << 16).next_multiple_of(1 << 16)
}

#[expect(unsafe_code, reason = "LMDB maps a file into memory; see SAFETY")]
fn open_heed(
    path: &Path,
    options: &EnvironmentOptions,
    flags: EnvFlags,
    size: usize,
) -> heed::Result<Env<WithoutTls>> {
    let mut open = EnvOpenOptions::new().read_txn_without_tls();
    open.map_size(size)
        .max_dbs(options.max_databases)
        .max_readers(510);
    // SAFETY: NO_SYNC gives up durability, not memory safety, and READ_ONLY gives up nothing; locks stay on.
    unsafe { open.flags(flags) };
    // SAFETY: the mapped file must not be changed by anything but LMDB while it is open. The directory belongs to this
    // framework: the state directory and the embedded log lock theirs, and heed refuses a second environment per process.
    unsafe { open.open(path) }
}

#[expect(unsafe_code, reason = "the map moves; see SAFETY")]
fn resize(env: &Env<WithoutTls>, size: usize) -> heed::Result<()> {
    // SAFETY: no transaction of this process may be active. `Environment::resize`, the only caller, holds the gate's lock and has seen no
    // snapshot inside; nobody enters without that lock; and its thread holds `writer` and has ended its own transaction.
    unsafe { env.resize(size) }
}

#[cfg(test)]
mod tests;
