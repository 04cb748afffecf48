//! Layer 6. What a stream thread does, one step at a time: follow the group, restore, poll, process, commit.
//!
//! A step never blocks longer than it is told to wait for records, and takes the time from the clock port, so that a test can
//! interleave workers, let them crash and repeat it all. What a failure's class means for tasks is matched in one place,
//! `recover`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::application::Application;
use super::clients::Clients;
use super::retry::{self, Retry};
use super::statistics::Statistics;
use super::updater::{Updater, Updating};
use crate::error::{ErrorClass, TaskResult};
use crate::record::{TaskId, Timestamp, TopicPartition};
use crate::task::Task;
use crate::transport::{Fetched, MembershipEvent, TransportError};

mod assignment;
mod commit;
mod shutdown;

use commit::Committing;

/// Records that are processed before the worker looks at the group and the clock again.
const RECORDS_PER_STEP: usize = 1_000;
/// How long a worker whose tasks are being restored waits for records before it looks for those that are done.
const RESTORING_WAIT: Duration = Duration::from_millis(5);

/// Owns tasks, a consumer and a producer. One for each stream thread.
#[derive(Debug)]
pub(crate) struct Worker {
    app: Arc<Application>,
    #[cfg(test)]
    index: usize,
    /// This member of the group, the same after a restart.
    member: String,
    /// Before the clients: a worker that is dropped, by a panic say, closes its state before others get its tasks.
    tasks: BTreeMap<TaskId, Task>,
    /// Where tasks are until they are restored.
    updating: Updating,
    clients: Option<Clients>,
    /// What the group said and is not yet done.
    events: VecDeque<MembershipEvent>,
    joined: bool,
    /// Which task reads a partition.
    readers: BTreeMap<TopicPartition, TaskId>,
    fetched: Vec<Fetched>,
    committing: Committing,
    last_commit: Duration,
    last_flush: Duration,
    last_purge: Duration,
    /// State and log have parted: abort, and rebuild every task.
    broken: bool,
    retry: Retry,
    /// Rollbacks since the last commit.
    rollbacks: Retry,
    stats: Statistics,
    /// What of it the application was told.
    published: Statistics,
}

/// What a step has done. A step that did nothing at all is idle: further ones will do nothing either until something is
/// written or time passes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) events: usize,
    pub(crate) restored: usize,
    pub(crate) restoring: usize,
    pub(crate) fetched: usize,
    pub(crate) processed: usize,
    pub(crate) punctuated: usize,
    pub(crate) flushed: bool,
    pub(crate) committed: bool,
    pub(crate) recovered: bool,
}

impl Progress {
    /// Whether nothing was done and nothing is under way.
    pub(crate) fn is_idle(self) -> bool {
        self == Progress::default()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.publish();
    }
}

impl Worker {
    /// A worker that has not joined the group yet, and restores its tasks in its own steps.
    pub(crate) fn new(app: Arc<Application>, index: usize) -> Self {
        let updater = Updater::new(app.clone(), &member(&app, index));
        Self::with_updater(app, index, Updating::inline(updater))
    }

    /// A worker that has not joined the group yet.
    pub(super) fn with_updater(app: Arc<Application>, index: usize, updating: Updating) -> Self {
        let now = app.clock.elapsed();
        Worker {
            member: member(&app, index),
            app,
            updating,
            #[cfg(test)]
            index,
            tasks: BTreeMap::new(),
            clients: None,
            events: VecDeque::new(),
            joined: false,
            readers: BTreeMap::new(),
            fetched: Vec::new(),
            committing: Committing::No,
            last_commit: now,
            last_flush: now,
            last_purge: now,
            broken: false,
            retry: Retry::default(),
            rollbacks: Retry::default(),
            stats: Statistics::default(),
            published: Statistics::default(),
        }
    }

    /// Does what is next, waiting for records up to `wait` if there is nothing else.
    ///
    /// # Errors
    /// What cannot be helped: the thread has to end.
    pub(crate) fn step(&mut self, wait: Duration) -> TaskResult<Progress> {
        let result = self.try_step(wait);
        let recovered = Progress {
            recovered: true,
            ..Progress::default()
        };
        let result = self.recover(result);
        self.publish();
        result.map(|progress| progress.unwrap_or(recovered))
    }

    /// Tells the application what was done.
    fn publish(&mut self) {
        let stats = self.stats();
        if stats != self.published {
            self.app.statistics.add(&stats.since(&self.published));
            self.published = stats;
        }
    }

    /// What has to be done about a failure, by its class; `None` if something was done and the next step goes on.
    fn recover<T>(&mut self, result: TaskResult<T>) -> TaskResult<Option<T>> {
        let error = match result {
            Ok(done) => {
                self.retry.succeeded();
                return Ok(Some(done));
            }
            Err(error) => error,
        };
        let timeout = self.app.config.task_timeout;
        let error = match error.class() {
            ErrorClass::Corrupted | ErrorClass::LostProducer => {
                let now = self.app.clock.elapsed();
                self.rollbacks.rolls_back(now, timeout, error)?
            }
            _ => error,
        };
        match error.class() {
            ErrorClass::Retriable => {}
            ErrorClass::Corrupted => {
                tracing::warn!(
                    member = self.member,
                    "rolling back to the last commit: {error}"
                );
                self.broken = true;
            }
            ErrorClass::LostProducer => {
                tracing::warn!(
                    member = self.member,
                    "rolling back to the last commit with a new producer: {error}"
                );
                self.broken = true;
                if let Some(clients) = &mut self.clients {
                    clients.producer_is_lost = true;
                }
            }
            ErrorClass::Fenced => {
                tracing::warn!(
                    member = self.member,
                    "another took this worker's place, joining anew: {error}"
                );
                self.stats.fenced += 1;
                self.abandon();
            }
            ErrorClass::Fatal => return Err(error),
        }
        self.retry
            .failed(&*self.app.clock, timeout, &self.member, error)?;
        Ok(None)
    }

    fn try_step(&mut self, wait: Duration) -> TaskResult<Progress> {
        let mut progress = Progress::default();
        self.connect()?;
        if self.broken {
            self.roll_back()?;
        }
        if self.committing != Committing::No {
            // A commit that failed half-way ends before anything else is processed.
            progress.committed = self.commit()?;
        }
        progress.events = self.follow_group()?;
        progress.restored = self.restore()?;
        progress.restoring = self.updating.len();
        let wait = if progress.is_idle() && !self.has_work() {
            self.until_next_commit(self.until_next_punctuation(wait))
        } else if progress.restoring > 0 && self.updating.is_on_thread() && !self.has_work() {
            self.until_next_commit(self.until_next_punctuation(wait.min(RESTORING_WAIT)))
        } else {
            Duration::ZERO
        };
        progress.fetched = self.poll(wait)?;
        progress.processed = self.process(RECORDS_PER_STEP)?;
        progress.punctuated = self.punctuate_wall_clock()?;
        progress.flushed = self.hand_over(progress.processed == 0)?;
        if self.commit_is_due() {
            progress.committed |= self.commit()?;
        }
        Ok(progress)
    }

    fn connect(&mut self) -> TaskResult {
        if self.clients.is_none() {
            self.clients = Some(Clients::connect(&self.app, &self.member)?);
        }
        Ok(())
    }

    fn clients(&mut self) -> TaskResult<&mut Clients> {
        let closed = || TransportError::Retriable("not connected".to_owned()).into();
        self.clients.as_mut().ok_or_else(closed)
    }

    /// Whether a task has a record that may be processed now.
    fn has_work(&mut self) -> bool {
        let now = self.app.clock.elapsed();
        self.tasks.values_mut().any(|task| task.is_ready(now))
    }

    /// Applies what the changelogs have, and takes the tasks that miss nothing any more.
    fn restore(&mut self) -> TaskResult<usize> {
        let mut restored = Vec::new();
        let stepped = self.updating.step(&mut restored);
        self.tasks.extend(restored.into_iter().map(|t| (t.id(), t)));
        self.begin_processing_restored()?;
        stepped
    }

    /// Fetches records into the tasks' buffers.
    fn poll(&mut self, wait: Duration) -> TaskResult<usize> {
        self.change_flow()?;
        let max = self
            .app
            .config
            .buffered_records_per_partition
            .max(RECORDS_PER_STEP);
        let Some(clients) = &mut self.clients else {
            return Ok(0);
        };
        let polled = clients.consumer.poll(wait, max, &mut self.fetched);
        let mut count = 0;
        for fetched in self.fetched.drain(..) {
            count += fetched.records.len();
            let task = self
                .readers
                .get(&fetched.partition)
                .and_then(|id| self.tasks.get_mut(id));
            if let Some(task) = task {
                task.add(fetched);
            }
        }
        match polled {
            Err(TransportError::OffsetOutOfRange { partition, offset }) => {
                self.reset_offset(&partition, offset)?;
            }
            other => other?,
        }
        Ok(count)
    }

    /// Pauses partitions whose buffers are full, resumes those with room.
    fn change_flow(&mut self) -> TaskResult {
        let limit = self.app.config.buffered_records_per_partition;
        let (mut pause, mut resume) = (Vec::new(), Vec::new());
        for task in self.tasks.values_mut().filter(|t| t.is_processing()) {
            task.change_flow(limit, &mut pause, &mut resume);
        }
        if !(pause.is_empty() && resume.is_empty()) {
            let clients = self.clients()?;
            clients.consumer.pause(&pause);
            clients.consumer.resume(&resume);
        }
        Ok(())
    }

    /// Processes records, the tasks taking turns.
    fn process(&mut self, limit: usize) -> TaskResult<usize> {
        let now = self.app.clock.elapsed();
        let share = (limit / self.tasks.len().max(1)).max(1);
        let mut processed = 0;
        for (id, task) in &mut self.tasks {
            processed += task.process(now, share).map_err(|e| e.in_task(*id))?;
        }
        self.stats.processed += processed as u64;
        Ok(processed)
    }

    /// Calls the punctuators that the wall clock has reached. Tells how many.
    pub(crate) fn punctuate_wall_clock(&mut self) -> TaskResult<usize> {
        let mut count = 0;
        for (id, task) in self.tasks.iter_mut().filter(|(_, t)| t.is_processing()) {
            count += task.punctuate_wall_clock().map_err(|e| e.in_task(*id))?;
        }
        Ok(count)
    }

    /// How long the worker may wait for records before a punctuator is due.
    fn until_next_punctuation(&self, wait: Duration) -> Duration {
        let next = self.tasks.values().filter_map(Task::next_punctuation).min();
        let Some(next) = next else { return wait };
        let left = next.saturating_sub(self.app.clock.now_ms());
        wait.min(Duration::from_millis(u64::try_from(left).unwrap_or(0)))
    }

    /// Whether it has joined, and each of its tasks is processing.
    pub(crate) fn is_running(&self) -> bool {
        self.joined
            && self.events.is_empty()
            && !self.broken
            && self.updating.len() == 0
            && self.tasks.values().all(Task::is_processing)
    }

    /// The tasks, to look into their stores.
    pub(crate) fn tasks_mut(&mut self) -> impl Iterator<Item = &mut Task> {
        self.tasks.values_mut()
    }

    /// Its number among the application's workers.
    #[cfg(test)]
    pub(crate) fn index(&self) -> usize {
        self.index
    }

    /// What it has done.
    pub(crate) fn stats(&self) -> Statistics {
        let by_tasks: u64 = self.tasks.values().map(Task::dropped_records).sum();
        let updating = self.updating.done();
        Statistics {
            dropped: self.stats.dropped + by_tasks,
            restored: updating.restored,
            wiped: updating.wiped,
            ..self.stats
        }
    }

    /// Follows the group and restores, without processing. Tells whether there is nothing more of that to do.
    ///
    /// # Errors
    /// What cannot be helped.
    pub(crate) fn join(&mut self) -> TaskResult<bool> {
        let result = self.try_join();
        self.recover(result).map(|idle| idle.unwrap_or(false))
    }

    fn try_join(&mut self) -> TaskResult<bool> {
        self.connect()?;
        if self.broken {
            self.roll_back()?;
        }
        let events = self.follow_group()?;
        let restored = self.restore()?;
        Ok(events == 0 && restored == 0 && self.updating.len() == 0)
    }

    /// Fetches everything that is there, without processing.
    pub(crate) fn fetch_all(&mut self) -> TaskResult {
        while self.poll(Duration::ZERO)? > 0 {}
        Ok(())
    }

    /// The timestamp of the record that would be next, and its task.
    pub(crate) fn next_record(&mut self) -> TaskResult<Option<(i64, TaskId)>> {
        let mut next = None;
        for (id, task) in &mut self.tasks {
            if let Some(timestamp) = task.head_timestamp().map_err(|e| e.in_task(*id))? {
                let head = (timestamp, *id);
                next = Some(next.map_or(head, |next: (i64, TaskId)| next.min(head)));
            }
        }
        Ok(next)
    }

    /// The highest timestamp that one of its tasks has processed; -1 before the first.
    pub(crate) fn stream_time(&self) -> Timestamp {
        let times = self.tasks.values().map(Task::stream_time);
        times.max().unwrap_or(-1)
    }

    /// All tasks count as one, whose time this is: calls the punctuators that it has reached. Tells how many.
    pub(crate) fn reach_stream_time(&mut self, time: Timestamp) -> TaskResult<usize> {
        let mut count = 0;
        for (id, task) in self.tasks.iter_mut().filter(|(_, t)| t.is_processing()) {
            task.reach_stream_time(time);
            count += task.punctuate_stream_time().map_err(|e| e.in_task(*id))?;
        }
        Ok(count)
    }

    /// Processes a task's next record, ready or not; time is `time` at least.
    pub(crate) fn process_next(&mut self, id: TaskId, time: Timestamp) -> TaskResult {
        if let Some(task) = self.tasks.get_mut(&id) {
            task.reach_stream_time(time);
            task.process_next().map_err(|e| e.in_task(id))?;
            self.stats.processed += 1;
        }
        Ok(())
    }

    /// Begins anew after an error, as another thread in its place would: with nothing that is in memory, and new clients.
    pub(crate) fn replace(&mut self) {
        self.abandon();
        self.retry = Retry::default();
        self.rollbacks = Retry::default();
        self.app.clock.sleep(retry::BACKOFF);
    }

    /// The commit of an orderly end. A transient failure is given a second; longer, and the work is left to be done again.
    fn last_commit(&mut self) -> TaskResult {
        if self.clients.is_none() || self.broken {
            return Ok(());
        }
        let mut attempts = 0;
        loop {
            match self.commit() {
                Err(e) if e.class() == ErrorClass::Retriable && attempts < 20 => {
                    attempts += 1;
                    self.app.clock.sleep(retry::BACKOFF);
                }
                other => return other.map(|_| ()),
            }
        }
    }

    /// Commits, closes the tasks and leaves the group. Where the commit is not possible, what it would have had is done again, here
    /// or elsewhere.
    ///
    /// # Errors
    /// What cannot be helped; then the tasks are closed without a commit.
    pub(crate) fn close(mut self) -> TaskResult {
        let had = self.all_tasks();
        let result = match self.last_commit() {
            Ok(()) => self.close_all_tasks(),
            Err(e) => {
                let tasks: Vec<TaskId> = self.tasks.keys().copied().collect();
                for id in tasks {
                    self.drop_task(id);
                }
                if e.class() == ErrorClass::Fatal {
                    Err(e)
                } else {
                    tracing::warn!(member = self.member, "ends without a last commit: {e}");
                    Ok(())
                }
            }
        };
        if let Some(clients) = &mut self.clients {
            // Or those who have the tasks next would wait for it to expire.
            if clients.in_transaction
                && let Err(e) = clients.producer.abort()
            {
                tracing::debug!(member = self.member, "the last transaction expires: {e}");
            }
            clients.in_transaction = false;
        }
        if let Some(at) = self.app.shutdown_requested() {
            self.ask_to_shut_down(&had, at);
        }
        if let Some(clients) = &mut self.clients
            && let Err(e) = clients.membership.leave()
        {
            tracing::warn!(member = self.member, "could not leave the group: {e}");
        }
        result
    }
}

/// A worker's name in the group, the same after a restart.
pub(super) fn member(app: &Application, index: usize) -> String {
    format!("{}-{index}", app.process_id)
}
