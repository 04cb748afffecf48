//! Layer 6. A worker's tasks come and go: assigned, restored, processing, revoked, lost, rolled back.

use super::Worker;
use super::commit::Committing;
use crate::error::{TaskFailure, TaskResult};
use crate::record::{TaskId, TopicPartition};
use crate::task::metadata;
use crate::topology::OffsetReset;
use crate::transport::{CommittedOffset, MembershipEvent, OffsetRange, TransportError};

impl Worker {
    /// Does what the group says. An event stays until it is done, so that a transient failure loses none.
    pub(super) fn follow_group(&mut self) -> TaskResult<usize> {
        let told = self.clients()?.membership.poll()?;
        self.events.extend(told);
        let mut done = 0;
        while let Some(event) = self.events.pop_front() {
            let handled = match &event {
                MembershipEvent::Assigned(tasks) => self.assign(tasks),
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

    /// Opens tasks and begins to restore them.
    fn assign(&mut self, tasks: &[TaskId]) -> TaskResult {
        let count = self.tasks.len() + tasks.iter().filter(|t| !self.tasks.contains_key(t)).count();
        for id in tasks {
            if !self.tasks.contains_key(id) {
                let task = self.app.task(*id, count)?;
                self.stats.wiped += task.wiped();
                self.tasks.insert(*id, task);
            }
        }
        let share = self.app.cache_share(count);
        for task in self.tasks.values_mut() {
            task.set_cache_max_bytes(share);
        }
        self.begin_restoring(tasks)?;
        self.joined = true;
        Ok(())
    }

    /// Finds where each task begins and how far its changelogs go.
    ///
    /// The order matters: first the group's offsets, stable; then the changelogs' ends, uncommitted ones included. So a
    /// transaction that the offsets count is never missed, even if its marker is still on its way.
    fn begin_restoring(&mut self, tasks: &[TaskId]) -> TaskResult {
        let app = self.app.clone();
        let Some(clients) = &mut self.clients else {
            return Ok(());
        };
        for id in tasks {
            let Some(task) = self.tasks.get_mut(id).filter(|t| t.is_new()) else {
                continue;
            };
            let (indexes, inputs): (Vec<usize>, Vec<TopicPartition>) =
                task.inputs().map(|(source, p)| (source, p.clone())).unzip();
            let committed = clients.admin.committed(app.id(), &inputs)?;
            let ranges = clients.admin.offsets(&inputs)?;
            let sources = app
                .topology
                .subtopology(id.subtopology)
                .map_or(&[][..], |s| s.sources);
            let found = inputs.iter().zip(&committed).zip(&ranges);
            for (source, ((partition, committed), range)) in indexes.into_iter().zip(found) {
                let reset = sources
                    .get(source)
                    .map_or(OffsetReset::Earliest, |s| s.offset_reset);
                let offset = starting_offset(partition, committed.as_ref(), *range, reset)?;
                let time = committed
                    .as_ref()
                    .map_or(metadata::UNKNOWN, |c| metadata::decode(&c.metadata));
                task.start_at(source, offset, time);
            }
            let committed: Vec<_> = inputs.into_iter().zip(committed).collect();
            self.stats.wiped += self.restorer.begin(
                task,
                &committed,
                &mut *clients.admin,
                &mut *clients.restore_consumer,
            )?;
        }
        self.begin_processing_restored()
    }

    /// Begins with the tasks that are restored.
    pub(super) fn begin_processing_restored(&mut self) -> TaskResult {
        while let Some(id) = self.restorer.finished() {
            self.begin_processing(id)?;
            self.restorer.begun();
        }
        Ok(())
    }

    /// A task is restored: its stores may be queried and its partitions read.
    fn begin_processing(&mut self, id: TaskId) -> TaskResult {
        let Some(task) = self.tasks.get_mut(&id) else {
            return Ok(());
        };
        let Some(clients) = &mut self.clients else {
            return Ok(());
        };
        let positions: Vec<(TopicPartition, i64)> = task
            .positions()
            .map(|(partition, offset, _)| (partition.clone(), offset))
            .collect();
        clients.consumer.assign(&positions)?;
        for (partition, _) in positions {
            self.readers.insert(partition, id);
        }
        task.register(&self.app.queries);
        task.set_processing();
        tracing::info!(task = %id, "processing");
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
        self.clients()?.membership.released(tasks)?;
        Ok(())
    }

    /// Closes tasks that others already have: without a commit, and with it goes everything of the open transaction.
    fn lose(&mut self, tasks: &[TaskId]) -> TaskResult {
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
        self.clients = None;
        self.events.clear();
        self.joined = false;
        self.broken = false;
        self.committing = Committing::No;
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
        let task = self.tasks.remove(&id)?;
        task.unregister(&self.app.queries);
        self.readers.retain(|_, reader| *reader != id);
        if let Some(clients) = &mut self.clients {
            let partitions: Vec<TopicPartition> = task.inputs().map(|(_, p)| p.clone()).collect();
            clients.consumer.unassign(&partitions);
            self.restorer.cancel(id, &mut *clients.restore_consumer);
        } else {
            self.restorer.forget(id);
        }
        Some(task)
    }

    /// Closes every task; the first failure is told, after all are closed.
    pub(super) fn close_all_tasks(&mut self) -> TaskResult {
        let tasks: Vec<TaskId> = self.tasks.keys().copied().collect();
        tasks
            .into_iter()
            .map(|id| self.close_task(id))
            .fold(Ok(()), TaskResult::and)
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

/// Where reading begins: at the committed offset if it is still there, else where the source's policy says.
fn starting_offset(
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
