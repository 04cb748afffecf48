//! Layer 6. The state updater on a thread of its own, and how a worker talks with it: tasks go there and come back by value.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{Leaving, Updater};
use crate::error::{TaskError, TaskResult};
use crate::record::TaskId;
use crate::restore::Done;
use crate::runtime::retry::Retry;
use crate::task::Task;

/// How long the thread waits for records before it looks whether it is asked for something.
const WAIT: Duration = Duration::from_millis(20);
/// How often a thread without tasks looks whether there is something to clean.
const IDLE: Duration = Duration::from_secs(10);

/// What worker and updater tell one another.
#[derive(Default)]
pub(in crate::runtime) struct Shared {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Default)]
struct Inner {
    /// Told to the updater.
    add: Vec<(Vec<TaskId>, usize)>,
    remove: Option<(Vec<TaskId>, Leaving)>,
    stop: bool,
    /// Told by the updater: that the tasks are removed, and how it went.
    removed: Option<TaskResult>,
    records: usize,
    restored: Vec<Task>,
    failure: Option<TaskError>,
    done: Done,
    ended: bool,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those of some tasks that are restored and were not collected.
    fn take_restored(&self, tasks: &[TaskId]) -> Vec<Task> {
        let mut inner = self.lock();
        let restored = std::mem::take(&mut inner.restored);
        let (theirs, others) = restored
            .into_iter()
            .partition(|task| tasks.contains(&task.id()));
        inner.restored = others;
        theirs
    }
}

/// The worker's end.
#[derive(Debug)]
pub(super) struct Handle {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Handle {
    pub(super) fn new(shared: Arc<Shared>, thread: JoinHandle<()>) -> Self {
        Handle {
            shared,
            thread: Some(thread),
        }
    }

    pub(super) fn add(&self, tasks: Vec<TaskId>, count: usize) {
        self.shared.lock().add.push((tasks, count));
        self.shared.changed.notify_all();
    }

    /// Waits until the tasks are closed: no longer than a batch is being written.
    pub(super) fn remove(&self, tasks: Vec<TaskId>, leaving: Leaving) -> TaskResult {
        let mut inner = self.shared.lock();
        inner.remove = Some((tasks, leaving));
        self.shared.changed.notify_all();
        let pending = |inner: &mut Inner| inner.removed.is_none() && !inner.ended;
        let waited = self.shared.changed.wait_while(inner, pending);
        let removed = waited
            .unwrap_or_else(PoisonError::into_inner)
            .removed
            .take();
        removed.unwrap_or(Ok(()))
    }

    /// What came since the last call.
    pub(super) fn collect(&self, restored: &mut Vec<Task>) -> TaskResult<usize> {
        let mut inner = self.shared.lock();
        restored.append(&mut inner.restored);
        if let Some(failure) = inner.failure.take() {
            return Err(failure);
        }
        Ok(std::mem::take(&mut inner.records))
    }

    pub(super) fn done(&self) -> Done {
        self.shared.lock().done
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic was told by the guard that every thread has.
            drop(thread.join());
        }
    }
}

/// Says that the thread has ended, however it comes, so that nobody waits for it.
struct Ended<'s>(&'s Shared);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.lock().ended = true;
        self.0.changed.notify_all();
    }
}

/// The thread's body: steps the updater until it is told to end.
pub(in crate::runtime) fn run(mut updater: Updater, shared: &Shared) {
    let ended = Ended(shared);
    let mut retry = Retry::default();
    // After a failure that the worker has to decide about, nothing is done until it takes the tasks back.
    let mut failed = false;
    loop {
        let (add, remove) = {
            let mut inner = shared.lock();
            let busy = updater.has_work() && !failed;
            let called = |i: &Inner| i.stop || i.remove.is_some() || !i.add.is_empty();
            if !busy && !called(&inner) {
                let waited = shared.changed.wait_timeout(inner, IDLE);
                inner = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
            if inner.stop {
                break;
            }
            (std::mem::take(&mut inner.add), inner.remove.take())
        };
        for (tasks, count) in add {
            updater.add(tasks, count);
        }
        if let Some((tasks, leaving)) = remove {
            let (restored, mut result) = (shared.take_restored(&tasks), Ok(()));
            for task in restored {
                result = result.and(updater.close(task, leaving));
            }
            for task in tasks {
                result = result.and(updater.remove(task, leaving));
            }
            let mut inner = shared.lock();
            if !updater.has_work() {
                // It was about tasks that are others' now.
                (failed, inner.failure) = (false, None);
            }
            inner.removed = Some(result);
            shared.changed.notify_all();
        }
        if failed {
            continue;
        }
        let mut restored = Vec::new();
        let stepped = updater.step(WAIT, &mut restored);
        let told = {
            let mut inner = shared.lock();
            inner.restored.append(&mut restored);
            inner.done = updater.done();
            match stepped {
                Ok(records) => {
                    inner.records += records;
                    retry.succeeded();
                    continue;
                }
                Err(e) => e,
            }
        };
        let app = updater.app();
        let (clock, timeout) = (&*app.clock, app.config.task_timeout);
        if let Err(e) = retry.unless_lasting(clock, timeout, "state updater", told) {
            failed = true;
            shared.lock().failure = Some(e);
        }
    }
    // Its tasks first: who waits for the end may open their state anew.
    drop(updater);
    drop(ended);
}
