//! Layer 6. A worker's tasks come and go: assigned, restored, processing, revoked, lost, rolled back.

use super::Worker;
use super::commit::Committing;
use crate::error::TaskResult;
use crate::record::{TaskId, TopicPartition};
use crate::runtime::updater::{Leaving, starting_offset};
use crate::task::metadata;
use crate::topology::OffsetReset;
use crate::transport::{CommittedOffset, MembershipEvent};

impl Worker {
    /// Does what the group says. An event stays until it is done, so that a transient failure loses none.
    pub(super) fn follow_group(&mut self) -> TaskResult<usize> {
        let told = self.clients()?.membership.poll()?;
        self.events.extend(told);
        let mut done = 0;
        while let Some(event) = self.events.pop_front() {
            let handled = match &event {
                MembershipEvent::Assigned(tasks) => {
                    self.assign(tasks);
                    Ok(())
                }
                MembershipEvent::Revoked(tasks) => self.revoke(tasks),
                MembershipEvent::Lost(tasks) => self.lose(tasks),
            };
            if let Err(e) = handled {
                self.events.push_front(event);
                return Err(e);
            }
            tracing::debug!(member = self.member, ?event, "done as the group says");
            done += 1;
        }
        Ok(done)
    }

    /// Has new tasks opened and restored.
    fn assign(&mut self, tasks: &[TaskId]) {
        let here = |id: &TaskId| self.tasks.contains_key(id) || self.updating.has(*id);
        let new: Vec<TaskId> = tasks.iter().copied().filter(|id| !here(id)).collect();
        let caching = self.caching() + self.app.caching(new.iter().copied());
        self.share_cache(caching);
        if !new.is_empty() {
            self.updating.add(new, caching);
        }
        self.joined = true;
    }

    /// How many of its tasks share the record cache.
    fn caching(&self) -> usize {
        let restoring = self.updating.tasks();
        self.app
            .caching(self.tasks.keys().copied().chain(restoring))
    }

    fn share_cache(&mut self, caching: usize) {
        let share = self.app.cache_share(caching);
        for task in self.tasks.values_mut() {
            task.set_cache_max_bytes(share);
        }
    }

    /// Begins with the tasks that are restored: their stores may be queried and their partitions read.
    pub(super) fn begin_processing_restored(&mut self) -> TaskResult {
        let caching = self.caching();
        for (id, task) in self.tasks.iter_mut().filter(|(_, t)| !t.is_processing()) {
            let Some(clients) = &mut self.clients else {
                return Ok(());
            };
            let positions: Vec<(TopicPartition, i64)> = task
                .positions()
                .map(|(partition, offset, _)| (partition.clone(), offset))
                .collect();
            clients.consumer.assign(&positions)?;
            for (partition, _) in positions {
                self.readers.insert(partition, *id);
            }
            task.set_cache_max_bytes(self.app.cache_share(caching));
            task.register(&self.app.queries);
            task.set_processing().map_err(|e| e.in_task(*id))?;
            tracing::info!(task = %id, "processing");
        }
        Ok(())
    }

    /// Commits tasks, closes them, and tells the group that others may have them.
    fn revoke(&mut self, tasks: &[TaskId]) -> TaskResult {
        if tasks
            .iter()
            .any(|id| self.tasks.get(id).is_some_and(|t| t.commit_is_needed()))
        {
            self.commit()?;
        }
        for id in tasks {
            self.close_task(*id)?;
        }
        self.updating.remove(tasks, Leaving::Closed)?;
        self.clients()?.membership.released(tasks)?;
        Ok(())
    }

    /// Closes tasks that others already have: without a commit, and with it goes everything of the open transaction.
    fn lose(&mut self, tasks: &[TaskId]) -> TaskResult {
        self.updating.remove(tasks, Leaving::Dropped)?;
        if tasks.iter().any(|id| self.tasks.contains_key(id)) {
            for id in tasks {
                self.drop_task(*id);
            }
            // The transaction may hold records of the lost tasks; the rest goes back to its last commit with it.
            self.broken = true;
            self.roll_back()?;
        }
        Ok(())
    }

    /// Back to the last commit: the transaction is aborted, every task is rebuilt from its state, caches are empty, positions
    /// rewound.
    pub(super) fn roll_back(&mut self) -> TaskResult {
        let mut aborted = 0;
        let (app, member) = (self.app.clone(), self.member.clone());
        let clients = self.clients()?;
        if clients.producer_is_lost {
            clients.replace_producer(&app, &member)?;
        }
        if clients.in_transaction {
            clients.producer.abort()?;
            clients.in_transaction = false;
            aborted = 1;
        } else if clients.unflushed {
            // Outside a transaction nothing that was sent can be taken back: it has to be in the log before a restore asks where
            // the log ends, or a changelog's older values would follow newer ones.
            clients.producer.flush()?;
        }
        clients.unflushed = false;
        self.stats.aborts += aborted;
        let tasks: Vec<TaskId> = self.tasks.keys().copied().collect();
        for id in &tasks {
            self.drop_task(*id);
        }
        self.committing = Committing::No;
        self.stats.rollbacks += 1;
        self.broken = false;
        // As if they had just been assigned; with that it may fail and be tried again.
        self.events.push_front(MembershipEvent::Assigned(tasks));
        Ok(())
    }

    /// Drops everything: the tasks are others', and so is this worker's name.
    pub(super) fn abandon(&mut self) {
        let tasks: Vec<TaskId> = self.tasks.keys().copied().collect();
        for id in tasks {
            self.drop_task(id);
        }
        self.updating.drop_all();
        self.clients = None;
        self.events.clear();
        self.joined = false;
        self.broken = false;
        self.committing = Committing::No;
    }

    /// Tells the processors that nothing more comes, where an error ends all.
    pub(crate) fn close_processors(&mut self) {
        self.tasks.values_mut().for_each(|t| t.close_processors());
    }

    /// Takes a task out without a commit.
    pub(super) fn drop_task(&mut self, id: TaskId) {
        if let Some(task) = self.take_task(id) {
            self.stats.dropped += task.dropped_records();
        }
    }

    /// Takes a task out whose work is committed, and closes its state cleanly.
    fn close_task(&mut self, id: TaskId) -> TaskResult {
        if let Some(task) = self.take_task(id) {
            self.stats.dropped += task.dropped_records();
            task.close().map_err(|e| e.in_task(id))?;
        }
        Ok(())
    }

    fn take_task(&mut self, id: TaskId) -> Option<crate::task::Task> {
        let mut task = self.tasks.remove(&id)?;
        task.close_processors();
        task.unregister(&self.app.queries);
        self.readers.retain(|_, reader| *reader != id);
        if let Some(clients) = &mut self.clients {
            let partitions: Vec<TopicPartition> = task.inputs().map(|(_, p)| p.clone()).collect();
            clients.consumer.unassign(&partitions);
        }
        Some(task)
    }

    /// Closes every task; the first failure is told, after all are closed.
    pub(super) fn close_all_tasks(&mut self) -> TaskResult {
        let tasks: Vec<TaskId> = self.tasks.keys().copied().collect();
        let closed = tasks
            .into_iter()
            .map(|id| self.close_task(id))
            .fold(Ok(()), TaskResult::and);
        let restoring = self.updating.tasks();
        closed.and(self.updating.remove(&restoring, Leaving::Closed))
    }

    /// An input's records were deleted before they were read: goes on as the source's policy says.
    pub(super) fn reset_offset(&mut self, partition: &TopicPartition, offset: i64) -> TaskResult {
        let id = self.readers.get(partition).copied();
        let Some(task) = id.and_then(|id| self.tasks.get_mut(&id)) else {
            return Ok(());
        };
        let Some((source, _)) = task.inputs().find(|(_, p)| *p == partition) else {
            return Ok(());
        };
        let sources = self
            .app
            .topology
            .subtopology(task.id().subtopology)
            .map_or(&[][..], |s| s.sources);
        let reset = sources
            .get(source)
            .map_or(OffsetReset::Earliest, |s| s.offset_reset);
        let Some(clients) = &mut self.clients else {
            return Ok(());
        };
        let ranges = clients.admin.offsets(std::slice::from_ref(partition))?;
        let Some(range) = ranges.first() else {
            return Ok(());
        };
        let lost = CommittedOffset {
            offset,
            metadata: String::new(),
        };
        let next = starting_offset(partition, Some(&lost), *range, reset)?;
        task.start_at(source, next, metadata::UNKNOWN);
        clients.consumer.assign(&[(partition.clone(), next)])?;
        Ok(())
    }
}
