//! Layer 6. The state updater: opens a stream thread's new tasks, restores them, and hands them back when they miss nothing.
//!
//! It is a step machine as the worker is. A stream thread has it on a thread of its own, so that neither its other tasks nor
//! the group wait for a restore ([`Updating::on_thread`]); simulations and the test driver let the worker step it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::application::Application;
use crate::error::{ErrorClass, TaskFailure, TaskResult};
use crate::record::{TaskId, TopicPartition};
use crate::restore::{Done, Restorer};
use crate::task::{StateLocation, Task, metadata};
use crate::topology::OffsetReset;
use crate::transport::{Admin, CommittedOffset, Consumer, OffsetRange, TransportError};

mod thread;

pub(super) use thread::{Shared, run};

/// Tasks that are opened in one step, so that others can be taken back soon.
const TASKS_PER_STEP: usize = 16;
/// How often at most the state of tasks that left is looked at.
const CLEAN_INTERVAL: Duration = Duration::from_secs(60);
/// How long a step of the worker waits for what the changelogs have: a moment, so that it does not ask in a busy loop.
const INLINE_WAIT: Duration = Duration::from_millis(1);

/// How a task leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaving {
    /// Closed cleanly: others may have it then.
    Closed,
    /// Dropped as after a crash: others have it already.
    Dropped,
}

/// Tasks on their way to processing.
#[derive(Debug)]
pub(super) struct Updater {
    app: Arc<Application>,
    client_id: String,
    /// Made when first needed, and kept: a warm consumer is a fast one.
    clients: Option<UpdaterClients>,
    /// Tasks to open, and how many its thread has in all.
    wanted: VecDeque<(TaskId, usize)>,
    tasks: BTreeMap<TaskId, Task>,
    restorer: Restorer,
    /// Stores that were of no use when their task was opened.
    wiped: u64,
    last_clean: Duration,
}

struct UpdaterClients {
    consumer: Box<dyn Consumer>,
    admin: Box<dyn Admin>,
}

impl std::fmt::Debug for UpdaterClients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UpdaterClients").finish_non_exhaustive()
    }
}

impl Updater {
    pub(super) fn new(app: Arc<Application>, member: &str) -> Self {
        Updater {
            client_id: format!("{}-{member}-restore-consumer", app.client_id()),
            last_clean: app.clock.elapsed(),
            restorer: Restorer::new(app.teller()),
            app,
            clients: None,
            wanted: VecDeque::new(),
            tasks: BTreeMap::new(),
            wiped: 0,
        }
    }

    /// Takes tasks that are to be opened and restored; `count` is how many of the thread's then share its record cache.
    pub(super) fn add(&mut self, tasks: impl IntoIterator<Item = TaskId>, count: usize) {
        self.wanted
            .extend(tasks.into_iter().map(|task| (task, count)));
    }

    /// Gives up a task.
    pub(super) fn remove(&mut self, id: TaskId, leaving: Leaving) -> TaskResult {
        self.wanted.retain(|(wanted, _)| *wanted != id);
        let consumer = self.clients.as_mut().map(|c| &mut *c.consumer);
        self.restorer.cancel(id, consumer);
        match self.tasks.remove(&id) {
            Some(task) => self.close(task, leaving),
            None => Ok(()),
        }
    }

    fn close(&self, task: Task, leaving: Leaving) -> TaskResult {
        let id = task.id();
        match leaving {
            Leaving::Closed => task.close().map_err(|e| e.in_task(id)),
            Leaving::Dropped => Ok(()),
        }
    }

    fn app(&self) -> &Application {
        &self.app
    }

    /// Whether there is anything to do.
    pub(super) fn has_work(&self) -> bool {
        !(self.wanted.is_empty() && self.tasks.is_empty())
    }

    /// What was done so far.
    pub(super) fn done(&self) -> Done {
        let done = self.restorer.done();
        Done {
            wiped: done.wiped + self.wiped,
            ..done
        }
    }

    /// Opens new tasks and applies what their changelogs have, waiting for it up to `wait`. Tells how many records came; the
    /// tasks that miss nothing any more go to `restored`.
    pub(super) fn step(&mut self, wait: Duration, restored: &mut Vec<Task>) -> TaskResult<usize> {
        let count = match self.try_step(wait) {
            Err(e) if e.class() == ErrorClass::Corrupted => {
                tracing::warn!("restoring all over: {e}");
                self.start_over();
                Err(TransportError::Retriable(e.to_string()).into())
            }
            other => other,
        };
        while let Some(id) = self.restorer.pop_finished() {
            restored.extend(self.tasks.remove(&id));
        }
        count
    }

    fn try_step(&mut self, wait: Duration) -> TaskResult<usize> {
        self.clean();
        self.begin()?;
        let Some(clients) = &mut self.clients else {
            return Ok(0);
        };
        let (consumer, admin) = (&mut *clients.consumer, &mut *clients.admin);
        self.restorer.step(consumer, admin, &mut self.tasks, wait)
    }

    /// Removes the state of tasks that left long ago, once in a while. What fails is tried again with the next one.
    fn clean(&mut self) {
        let StateLocation::Directory(directory) = &self.app.state else {
            return;
        };
        let (now, delay) = (
            self.app.clock.elapsed(),
            self.app.config.state_cleanup_delay,
        );
        if now.saturating_sub(self.last_clean) < delay.min(CLEAN_INTERVAL) {
            return;
        }
        self.last_clean = now;
        match directory.clean(now, delay) {
            Ok(removed) => {
                for task in removed {
                    tracing::info!(%task, "removed the state of a task that left (`state.cleanup.delay.ms`)");
                }
            }
            Err(e) => tracing::warn!("could not remove the state of tasks that left: {e}"),
        }
    }

    /// Every task again, from its last commit.
    fn start_over(&mut self) {
        let ids: Vec<TaskId> = self.tasks.keys().copied().collect();
        let count = self.app.caching(ids.iter().copied());
        for id in ids {
            let consumer = self.clients.as_mut().map(|c| &mut *c.consumer);
            self.restorer.cancel(id, consumer);
            self.tasks.remove(&id);
            self.wanted.retain(|(wanted, _)| *wanted != id);
            self.wanted.push_back((id, count));
        }
    }

    /// Opens tasks, and finds where each begins and how far its changelogs go.
    ///
    /// The order matters: first the group's offsets, stable; then the changelogs' ends, uncommitted ones included. So a
    /// transaction that the offsets count is never missed, even if its marker is still on its way.
    fn begin(&mut self) -> TaskResult {
        if self.wanted.is_empty() {
            return Ok(());
        }
        let ids: Vec<(TaskId, usize)> = self.wanted.iter().take(TASKS_PER_STEP).copied().collect();
        let app = self.app.clone();
        for (id, count) in &ids {
            if !self.tasks.contains_key(id) {
                let task = app.task(*id, *count)?;
                self.wiped += task.wiped();
                self.tasks.insert(*id, task);
            }
        }
        let clients = match &mut self.clients {
            Some(clients) => clients,
            None => self.clients.insert(UpdaterClients {
                consumer: app.transport.consumer(&self.client_id)?,
                admin: app.transport.admin()?,
            }),
        };
        let new = || ids.iter().filter_map(|(id, _)| self.tasks.get(id));
        let inputs: Vec<TopicPartition> = new()
            .flat_map(|task| task.inputs().map(|(_, partition)| partition.clone()))
            .collect();
        let committed = clients.admin.committed(app.id(), &inputs)?;
        let changelogs = new().flat_map(|t| t.stores().iter().filter_map(|s| s.changelog.clone()));
        let all: Vec<TopicPartition> = inputs.iter().cloned().chain(changelogs).collect();
        let ranges = clients.admin.offsets(&all)?;
        let ranges: BTreeMap<TopicPartition, OffsetRange> = all.into_iter().zip(ranges).collect();
        let committed: BTreeMap<TopicPartition, Option<CommittedOffset>> =
            inputs.into_iter().zip(committed).collect();
        for (id, _) in &ids {
            let Some(task) = self.tasks.get_mut(id) else {
                continue;
            };
            let committed = start_reading(&app, task, &committed, &ranges)?;
            self.restorer
                .begin(task, &committed, |p| ranges.get(p).copied())?;
            self.wanted.pop_front();
        }
        Ok(())
    }
}

/// Says where a task's inputs begin. Tells what the group has committed of them.
fn start_reading(
    app: &Application,
    task: &mut Task,
    committed: &BTreeMap<TopicPartition, Option<CommittedOffset>>,
    ranges: &BTreeMap<TopicPartition, OffsetRange>,
) -> TaskResult<Vec<(TopicPartition, Option<CommittedOffset>)>> {
    let subtopology = app.topology.subtopology(task.id().subtopology);
    let sources = subtopology.map_or(&[][..], |s| s.sources);
    let inputs: Vec<(usize, TopicPartition)> = task
        .inputs()
        .map(|(source, p)| (source, p.clone()))
        .collect();
    let (mut of_task, mut times) = (Vec::new(), Vec::new());
    for (source, partition) in inputs {
        let reset = sources
            .get(source)
            .map_or(OffsetReset::Earliest, |s| s.offset_reset);
        let committed = committed.get(&partition).cloned().flatten();
        let Some(range) = ranges.get(&partition) else {
            return Err(TransportError::UnknownPartition(partition).into());
        };
        let offset = starting_offset(&partition, committed.as_ref(), *range, reset)?;
        let metadata = committed.as_ref().map(|c| metadata::decode(&c.metadata));
        let metadata = metadata.unwrap_or_default();
        if let Some(at) = metadata.shutdown.filter(|at| *at > app.started_ms) {
            return Err(TaskFailure::ShutdownRequested { partition, at }.into());
        }
        task.start_at(source, offset, metadata.partition_time);
        times.push(metadata);
        of_task.push((partition, committed));
    }
    task.restore_times(&times);
    Ok(of_task)
}

/// Where reading begins: at the committed offset if it is still there, else where the source's policy says.
pub(super) fn starting_offset(
    partition: &TopicPartition,
    committed: Option<&CommittedOffset>,
    range: OffsetRange,
    reset: OffsetReset,
) -> TaskResult<i64> {
    match (committed.map(|c| c.offset), reset) {
        (Some(offset), _) if (range.start..=range.end).contains(&offset) => return Ok(offset),
        (Some(offset), OffsetReset::None) => {
            let partition = partition.clone();
            return Err(TaskFailure::Transport(TransportError::OffsetOutOfRange {
                partition,
                offset,
            })
            .into());
        }
        (Some(offset), _) => {
            tracing::warn!(%partition, offset, start = range.start, end = range.end, "records are gone before they were read");
        }
        (None, OffsetReset::None) => {
            return Err(TaskFailure::NoOffset {
                partition: partition.clone(),
            }
            .into());
        }
        (None, _) => {}
    }
    Ok(if reset == OffsetReset::Latest {
        range.end
    } else {
        range.start
    })
}

/// A worker's way to its updater, and the tasks that are there.
#[derive(Debug)]
pub(super) struct Updating {
    tasks: BTreeSet<TaskId>,
    by: By,
}

#[derive(Debug)]
enum By {
    /// The worker's own steps.
    Worker(Box<Updater>),
    /// A thread of its own.
    Thread(thread::Handle),
}

impl Updating {
    /// Stepped by the worker.
    pub(super) fn inline(updater: Updater) -> Self {
        Updating {
            tasks: BTreeSet::new(),
            by: By::Worker(Box::new(updater)),
        }
    }

    /// On a thread that runs [`run`] with `shared`; it is told to end, and waited for, when this is dropped.
    pub(super) fn on_thread(shared: Arc<Shared>, thread: std::thread::JoinHandle<()>) -> Self {
        Updating {
            tasks: BTreeSet::new(),
            by: By::Thread(thread::Handle::new(shared, thread)),
        }
    }

    /// Whether a task is there.
    pub(super) fn has(&self, task: TaskId) -> bool {
        self.tasks.contains(&task)
    }

    /// Whether it goes on by itself.
    pub(super) fn is_on_thread(&self) -> bool {
        matches!(self.by, By::Thread(_))
    }

    /// How many tasks are there.
    pub(super) fn len(&self) -> usize {
        self.tasks.len()
    }

    /// The tasks that are there.
    pub(super) fn tasks(&self) -> Vec<TaskId> {
        self.tasks.iter().copied().collect()
    }

    /// Gives it tasks; `count` is how many of the worker's then share its record cache.
    pub(super) fn add(&mut self, tasks: Vec<TaskId>, count: usize) {
        self.tasks.extend(tasks.iter().copied());
        match &mut self.by {
            By::Worker(updater) => updater.add(tasks, count),
            By::Thread(thread) => thread.add(tasks, count),
        }
    }

    /// Takes those tasks back that are there; they are closed when this returns. The first failure is told, after all are.
    pub(super) fn remove(&mut self, tasks: &[TaskId], leaving: Leaving) -> TaskResult {
        let there: Vec<TaskId> = tasks
            .iter()
            .copied()
            .filter(|task| self.tasks.remove(task))
            .collect();
        if there.is_empty() {
            return Ok(());
        }
        match &mut self.by {
            By::Worker(updater) => there
                .into_iter()
                .map(|task| updater.remove(task, leaving))
                .fold(Ok(()), TaskResult::and),
            By::Thread(thread) => thread.remove(there, leaving),
        }
    }

    /// Takes all tasks back, as after a crash.
    pub(super) fn drop_all(&mut self) {
        let tasks = self.tasks();
        // Dropping cannot fail.
        let _ = self.remove(&tasks, Leaving::Dropped);
    }

    /// Gives it its turn. Tells how many records came, and appends the tasks that are restored.
    pub(super) fn step(&mut self, restored: &mut Vec<Task>) -> TaskResult<usize> {
        let before = restored.len();
        let count = match &mut self.by {
            By::Worker(updater) => updater.step(INLINE_WAIT, restored),
            By::Thread(thread) => thread.collect(restored),
        };
        for task in restored.iter().skip(before) {
            self.tasks.remove(&task.id());
        }
        count
    }

    /// What was done so far.
    pub(super) fn done(&self) -> Done {
        match &self.by {
            By::Worker(updater) => updater.done(),
            By::Thread(thread) => thread.done(),
        }
    }
}
