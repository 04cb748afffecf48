//! Layer 2. The state directory: `<state.dir>/<application.id>/` with its lock, its format, the process id that survives
//! restarts, and one directory per task. What lies where: `docs/formats.md`.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::lmdb::Durability;
use crate::record::{TaskId, Timestamp};

/// The version of the directory's layout that this version writes.
pub const VERSION: u32 = 1;

const LOCK_FILE: &str = ".lock";
const FORMAT_FILE: &str = "kstreams-format";
const PROCESS_FILE: &str = "kafka-streams-process-metadata";
const GLOBAL: &str = "global";
const BOOT_FILE: &str = "boot";

/// Names the current boot of the machine; a different one means that unsynced writes may be lost.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// What is wrong with a state directory. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateDirectoryError {
    /// Another process runs the application here.
    #[error(
        "{} is in use by another process: stop it, or give this one another `state.dir`", path.display()
    )]
    Locked {
        /// The application's directory.
        path: PathBuf,
    },
    /// The state is another application's.
    #[error(
        "{} holds the state of application `{found}`, not of `{expected}`: use another `state.dir`", path.display()
    )]
    OtherApplication {
        /// The application's directory.
        path: PathBuf,
        /// Whose state it is.
        found: String,
        /// Whose it should be.
        expected: String,
    },
    /// The state was written by a later version.
    #[error(
        "{} was written by a later version of kstreams (format {found}; this one knows {VERSION}): use that version, or \
         another `state.dir` to have the state rebuilt from the changelogs", path.display()
    )]
    NewerVersion {
        /// The application's directory.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// There is something else in it, perhaps the state of Kafka Streams for Java.
    #[error(
        "{} holds `{found}`, which kstreams did not write: use another `state.dir`", path.display()
    )]
    NotOurs {
        /// The application's directory.
        path: PathBuf,
        /// An entry that is not ours.
        found: String,
    },
    /// One of its files cannot be understood.
    #[error("{} is damaged ({detail}): remove the directory around it to have the state rebuilt from the changelogs", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// An application id that cannot be a directory's name.
    #[error(
        "`{id}` cannot be an application id: it names the state directory, so it must be a plain name without `/`"
    )]
    BadApplicationId {
        /// The id.
        id: String,
    },
    /// There is a file where a directory should be.
    #[error("{} is not a directory: remove it, or use another `state.dir`", path.display())]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// The file system is mounted read-only.
    #[error("{} is on a read-only file system: mount it writable, or use another `state.dir`", path.display())]
    ReadOnly {
        /// The path.
        path: PathBuf,
    },
    /// Permissions forbid it.
    #[error("no permission for {}: give this user read and write access, or use another `state.dir`", path.display())]
    PermissionDenied {
        /// The path.
        path: PathBuf,
    },
    /// No space left.
    #[error("no space left for {}: free some; nothing that was committed is lost", path.display())]
    DiskFull {
        /// The path.
        path: PathBuf,
    },
    /// There is nothing.
    #[error("there is no state at {}", path.display())]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// Anything else.
    #[error("{}: {source}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl StateDirectoryError {
    fn from_io(path: &Path, error: io::Error) -> Self {
        let path = path.to_path_buf();
        match error.kind() {
            io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
                StateDirectoryError::NotADirectory { path }
            }
            io::ErrorKind::ReadOnlyFilesystem => StateDirectoryError::ReadOnly { path },
            io::ErrorKind::PermissionDenied => StateDirectoryError::PermissionDenied { path },
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => StateDirectoryError::DiskFull { path },
            io::ErrorKind::NotFound => StateDirectoryError::Missing { path },
            _ => StateDirectoryError::Io {
                path,
                source: error,
            },
        }
    }
}

type Result<T> = std::result::Result<T, StateDirectoryError>;

/// The format file: what this directory is.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Format {
    version: u32,
    application_id: String,
}

/// The process file, as Kafka Streams writes it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProcessMetadata {
    process_id: Uuid,
}

/// An application's state directory, locked for this process for as long as this lives.
#[derive(Debug)]
pub struct StateDirectory {
    path: PathBuf,
    process_id: Uuid,
    boot_id: Option<String>,
    uses: Uses,
    /// Only holds the lock.
    _lock: File,
}

impl StateDirectory {
    /// Opens or creates `<state_dir>/<application_id>`. `new_process_id` gives the id of an instance that has none yet
    /// (`Uuid::new_v4`, or a fixed one in a simulation).
    ///
    /// # Errors
    /// When it is locked, somebody else's, of a later version, or cannot be written. Then it is as it was.
    pub fn open(
        state_dir: &Path,
        application_id: &str,
        new_process_id: impl FnOnce() -> Uuid,
    ) -> Result<StateDirectory> {
        let path = application_path(state_dir, application_id)?;
        fs::create_dir_all(&path).map_err(|e| StateDirectoryError::from_io(&path, e))?;
        // Before anything is created: a foreign directory is left as it is.
        let format = read_format(&path, application_id)?;
        let lock_path = path.join(LOCK_FILE);
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path);
        let lock = lock.map_err(|e| StateDirectoryError::from_io(&lock_path, e))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StateDirectoryError::Locked { path }),
            Err(TryLockError::Error(e)) => return Err(StateDirectoryError::from_io(&lock_path, e)),
        }
        if format.is_none() {
            let format = Format {
                version: VERSION,
                application_id: application_id.to_owned(),
            };
            write_json(&path.join(FORMAT_FILE), &format)?;
        }
        let process_file = path.join(PROCESS_FILE);
        let process_id = match read_json::<ProcessMetadata>(&process_file)? {
            Some(metadata) => metadata.process_id,
            None => {
                let process_id = new_process_id();
                write_json(&process_file, &ProcessMetadata { process_id })?;
                process_id
            }
        };
        Ok(StateDirectory {
            path,
            process_id,
            boot_id: boot_id(),
            uses: Uses::default(),
            _lock: lock,
        })
    }

    /// The application's directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The instance's id, the same after a restart.
    #[must_use]
    pub fn process_id(&self) -> Uuid {
        self.process_id
    }

    /// Prepares a task's directory for its stores. What was not synced before the machine went down is removed here. While
    /// what this returns is alive, the directory is not cleaned away.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn task(&self, task: TaskId) -> Result<TaskDirectory> {
        let used = self.uses.begin(task);
        let path = self.path.join(task.to_string());
        let directory = TaskDirectory::open(path, self.boot_id.as_deref())?;
        Ok(TaskDirectory {
            _used: Some(used),
            ..directory
        })
    }

    /// Prepares the directory of the global tables' stores.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn global(&self) -> Result<TaskDirectory> {
        TaskDirectory::open(self.path.join(GLOBAL), self.boot_id.as_deref())
    }

    /// The tasks that have state here.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn tasks(&self) -> Result<Vec<TaskId>> {
        tasks(&self.path)
    }

    /// Removes a task's state: it is no longer wanted, or damaged and to be rebuilt from its changelogs. The task must be closed.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove_task(&self, task: TaskId) -> Result<()> {
        remove(&self.path.join(task.to_string()))
    }

    /// Removes the state of tasks that nobody in this process has used for `delay`, as far as calls of this have seen; `now`
    /// is the time since any fixed moment. Tells which. A task that is being used is never touched.
    ///
    /// # Errors
    /// When the directory cannot be read or a task's state cannot be removed.
    pub fn clean(&self, now: Duration, delay: Duration) -> Result<Vec<TaskId>> {
        let mut removed = Vec::new();
        // Held all the while: a task that comes back now waits, and begins with an empty directory.
        let mut uses = self.uses.lock();
        for task in self.tasks()? {
            if uses.used.contains_key(&task) {
                continue;
            }
            let since = *uses.unused_since.entry(task).or_insert(now);
            if now.saturating_sub(since) >= delay {
                self.remove_task(task)?;
                uses.unused_since.remove(&task);
                removed.push(task);
            }
        }
        Ok(removed)
    }

    /// Removes the state of tasks that was last written more than `age` before `now_ms`, the wall clock's milliseconds. Tells
    /// which. To be called before any task is opened.
    ///
    /// # Errors
    /// As [`clean`](Self::clean).
    pub fn remove_older(&self, now_ms: Timestamp, age: Duration) -> Result<Vec<TaskId>> {
        let mut removed = Vec::new();
        let uses = self.uses.lock();
        for task in self.tasks()? {
            let data = self.path.join(task.to_string()).join("data.mdb");
            let modified = match fs::metadata(&data).and_then(|m| m.modified()) {
                Ok(modified) => modified,
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => return Err(StateDirectoryError::from_io(&data, e)),
            };
            let now = Duration::from_millis(u64::try_from(now_ms).unwrap_or_default());
            let written = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
            if now.saturating_sub(written) > age && !uses.used.contains_key(&task) {
                self.remove_task(task)?;
                removed.push(task);
            }
        }
        Ok(removed)
    }

    /// Removes the global tables' state.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove_global(&self) -> Result<()> {
        remove(&self.path.join(GLOBAL))
    }
}

/// Which tasks are being used, and since when the others are not.
#[derive(Debug, Clone, Default)]
struct Uses(Arc<Mutex<UsesInner>>);

#[derive(Debug, Default)]
struct UsesInner {
    /// How often each is open: more than once where one thread has not let go yet and another tries.
    used: BTreeMap<TaskId, usize>,
    /// As far as was seen.
    unused_since: BTreeMap<TaskId, Duration>,
}

impl Uses {
    fn lock(&self) -> MutexGuard<'_, UsesInner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, task: TaskId) -> Used {
        let mut inner = self.lock();
        inner.unused_since.remove(&task);
        *inner.used.entry(task).or_default() += 1;
        Used {
            uses: self.clone(),
            task,
        }
    }
}

/// A task is being used for as long as this is alive.
#[derive(Debug)]
struct Used {
    uses: Uses,
    task: TaskId,
}

impl Drop for Used {
    fn drop(&mut self) {
        let mut inner = self.uses.lock();
        if let Some(count) = inner.used.get_mut(&self.task) {
            *count -= 1;
            if *count == 0 {
                inner.used.remove(&self.task);
            }
        }
    }
}

/// What was found when a task's directory was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// State that was closed, or whose process died; both are whole as of their last commit.
    State,
    /// State that the machine going down may have damaged: it was not synced. It was removed, and is to be rebuilt.
    RemovedAfterPowerLoss,
}

/// A task's directory, ready for its stores.
#[derive(Debug)]
pub struct TaskDirectory {
    path: PathBuf,
    found: Found,
    durability: Durability,
    _used: Option<Used>,
}

impl TaskDirectory {
    fn open(path: PathBuf, boot_id: Option<&str>) -> Result<TaskDirectory> {
        let at = |e| StateDirectoryError::from_io(&path, e);
        fs::create_dir_all(&path).map_err(at)?;
        let unsynced = unsynced_boot(&path)?;
        let found = match &unsynced {
            _ if !path.join("data.mdb").exists() => Found::Nothing,
            Some(boot) if Some(boot.as_str()) != boot_id => {
                for file in ["data.mdb", "lock.mdb"] {
                    remove_file(&path.join(file))?;
                }
                tracing::warn!(
                    path = %path.display(),
                    "the machine went down before this state was synced: it was removed, and is restored from its changelogs"
                );
                Found::RemovedAfterPowerLoss
            }
            _ => Found::State,
        };
        let durability = match boot_id {
            // Written before the first unsynced page, so that no loss can go unnoticed.
            Some(boot_id) => {
                if unsynced.as_deref() != Some(boot_id) {
                    write_durably(&path.join(BOOT_FILE), boot_id.as_bytes())?;
                }
                Durability::NoSync
            }
            // Without a way to notice a loss, none may happen.
            None => {
                remove_file(&path.join(BOOT_FILE))?;
                Durability::Sync
            }
        };
        Ok(TaskDirectory {
            path,
            found,
            durability,
            _used: None,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What was there.
    #[must_use]
    pub fn found(&self) -> Found {
        self.found
    }

    /// Whether its commits have to wait for the disk.
    #[must_use]
    pub fn durability(&self) -> Durability {
        self.durability
    }

    /// Says that everything was synced and closed.
    pub(crate) fn close_cleanly(self) -> Result<()> {
        remove_file(&self.path.join(BOOT_FILE))
    }
}

/// A directory with a task's state, for reading from another process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadableTask {
    /// The task; `None` are the global tables.
    pub task: Option<TaskId>,
    /// Its directory.
    pub path: PathBuf,
}

/// The tasks whose state can be read, without locking or changing anything: the application may be running.
///
/// # Errors
/// When there is no such state, or it is of a later version.
pub fn readable_tasks(state_dir: &Path, application_id: &str) -> Result<Vec<ReadableTask>> {
    let path = application_path(state_dir, application_id)?;
    if read_format(&path, application_id)?.is_none() {
        return Err(StateDirectoryError::Missing { path });
    }
    let boot_id = boot_id();
    let mut readable: Vec<ReadableTask> = tasks(&path)?
        .into_iter()
        .map(|t| ReadableTask {
            task: Some(t),
            path: path.join(t.to_string()),
        })
        .collect();
    readable.push(ReadableTask {
        task: None,
        path: path.join(GLOBAL),
    });
    // After a power loss nobody may map the files before they are removed.
    readable.retain(|t| {
        t.path.join("data.mdb").exists()
            && matches!(unsynced_boot(&t.path), Ok(boot) if boot.is_none() || boot == boot_id)
    });
    Ok(readable)
}

fn application_path(state_dir: &Path, application_id: &str) -> Result<PathBuf> {
    let bad =
        ["", ".", ".."].contains(&application_id) || application_id.contains(['/', '\\', '\0']);
    if bad {
        Err(StateDirectoryError::BadApplicationId {
            id: application_id.to_owned(),
        })
    } else {
        Ok(state_dir.join(application_id))
    }
}

/// The boot whose unsynced writes a directory has, if it was not closed.
fn unsynced_boot(path: &Path) -> Result<Option<String>> {
    let boot = path.join(BOOT_FILE);
    match fs::read(&boot) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(StateDirectoryError::from_io(&boot, e)),
    }
}

fn boot_id() -> Option<String> {
    let id = fs::read_to_string(BOOT_ID).ok()?;
    let id = id.trim();
    (!id.is_empty()).then(|| id.to_owned())
}

fn tasks(path: &Path) -> Result<Vec<TaskId>> {
    let at = |e| StateDirectoryError::from_io(path, e);
    let mut tasks = Vec::new();
    for entry in fs::read_dir(path).map_err(at)? {
        tasks.extend(entry.map_err(at)?.file_name().to_str().and_then(parse_task));
    }
    tasks.sort_unstable();
    Ok(tasks)
}

fn parse_task(name: &str) -> Option<TaskId> {
    let (subtopology, partition) = name.split_once('_')?;
    let task = TaskId {
        subtopology: subtopology.parse().ok()?,
        partition: partition.parse().ok()?,
    };
    (task.to_string() == name).then_some(task)
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(StateDirectoryError::from_io(path, e)),
        _ => Ok(()),
    }
}

fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(StateDirectoryError::from_io(path, e)),
        _ => Ok(()),
    }
}

/// Checks that a directory is this application's, of a known version. `None`: it is new.
fn read_format(path: &Path, application_id: &str) -> Result<Option<Format>> {
    let file = path.join(FORMAT_FILE);
    let Some(found) = read_json::<serde_json::Value>(&file)? else {
        let at = |e| StateDirectoryError::from_io(path, e);
        for entry in fs::read_dir(path).map_err(at)? {
            let name = entry.map_err(at)?.file_name();
            let name = name.to_string_lossy();
            // Ours, from a start that was cut short.
            if name != LOCK_FILE && !name.starts_with(FORMAT_FILE) {
                return Err(StateDirectoryError::NotOurs {
                    path: path.to_path_buf(),
                    found: name.into_owned(),
                });
            }
        }
        return Ok(None);
    };
    // The version first: a later one may have other fields.
    let version = found.get("version").and_then(serde_json::Value::as_u64);
    match version.and_then(|v| u32::try_from(v).ok()) {
        Some(found) if found > VERSION => {
            return Err(StateDirectoryError::NewerVersion {
                path: path.to_path_buf(),
                found,
            });
        }
        _ => {}
    }
    let format: Format =
        serde_json::from_value(found).map_err(|e| StateDirectoryError::Damaged {
            path: file,
            detail: e.to_string(),
        })?;
    if format.application_id != application_id {
        return Err(StateDirectoryError::OtherApplication {
            path: path.to_path_buf(),
            found: format.application_id,
            expected: application_id.to_owned(),
        });
    }
    Ok(Some(format))
}

fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Option<T>> {
    match fs::read(path) {
        Ok(bytes) => match serde_json::from_slice(&bytes) {
            Ok(value) => Ok(Some(value)),
            Err(e) => Err(StateDirectoryError::Damaged {
                path: path.to_path_buf(),
                detail: e.to_string(),
            }),
        },
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(StateDirectoryError::from_io(path, e)),
    }
}

fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let bytes = serde_json::to_vec(value).map_err(|e| StateDirectoryError::Io {
        path: path.to_path_buf(),
        source: e.into(),
    })?;
    write_durably(path, &bytes)
}

/// All or nothing, whenever the machine goes down.
fn write_durably(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    let written = (|| {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        drop(file);
        fs::rename(&temporary, path)?;
        match path.parent() {
            Some(parent) => File::open(parent)?.sync_all(),
            None => Ok(()),
        }
    })();
    written.map_err(|e| {
        let _ = fs::remove_file(&temporary);
        StateDirectoryError::from_io(path, e)
    })
}

#[cfg(test)]
mod tests;
