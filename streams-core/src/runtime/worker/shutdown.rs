//! Layer 6. `SHUTDOWN_APPLICATION`: an instance that stops tells the others through the offsets of its tasks.
//!
//! A classic group carries no messages, but whoever gets a task reads what was committed with its offsets. So the instance that
//! stops commits them unchanged, with the time of the request beside them, and leaves. Each instance that was started before
//! stops in the same way when it gets such a task; at last nobody is left who could get one, idle instances included. Whoever
//! starts later takes no notice, and the next commit overwrites it.

use super::Worker;
use crate::error::TaskResult;
use crate::record::{TaskId, Timestamp, TopicPartition};
use crate::runtime::retry;
use crate::runtime::updater::starting_offset;
use crate::task::metadata;
use crate::topology::OffsetReset;
use crate::transport::{CommittedOffset, OffsetRange};

/// How often it is tried: the group may be about to share its tasks anew.
const ATTEMPTS: usize = 20;

impl Worker {
    /// The tasks that it has, those that are being restored included.
    pub(super) fn all_tasks(&self) -> Vec<TaskId> {
        let mut tasks: Vec<TaskId> = self.tasks.keys().copied().collect();
        tasks.extend(self.updating.tasks());
        tasks
    }

    /// Ends after an error: tells those who get its tasks that all instances are to stop, and leaves the group. Nothing that was
    /// done since the last commit is committed.
    pub(crate) fn shut_down_application(mut self, at: Timestamp) {
        let tasks = self.all_tasks();
        for id in self.tasks.keys().copied().collect::<Vec<_>>() {
            self.drop_task(id);
        }
        self.updating.drop_all();
        self.ask_to_shut_down(&tasks, at);
        if let Some(clients) = &mut self.clients
            && let Err(e) = clients.membership.leave()
        {
            tracing::warn!(member = self.member, "could not leave the group: {e}");
        }
    }

    /// Tells those who get these tasks, whose offsets stay as they are.
    pub(super) fn ask_to_shut_down(&mut self, tasks: &[TaskId], at: Timestamp) {
        for attempt in 1..=ATTEMPTS {
            let told = self.try_to_ask(tasks, at);
            let Err(error) = told else { return };
            if attempt == ATTEMPTS {
                tracing::error!(
                    member = self.member,
                    "other instances could not be told to shut down: {error}"
                );
                return;
            }
            tracing::debug!(member = self.member, "will be tried again: {error}");
            self.app.clock.sleep(retry::BACKOFF);
            if let Some(clients) = &mut self.clients {
                // Lets the group go on; what it says about tasks is no matter any more.
                let _ = clients.membership.poll();
            }
        }
    }

    fn try_to_ask(&mut self, tasks: &[TaskId], at: Timestamp) -> TaskResult {
        let (app, member) = (self.app.clone(), self.member.clone());
        let Some(clients) = &mut self.clients else {
            return Ok(());
        };
        if clients.producer_is_lost {
            clients.replace_producer(&app, &member)?;
        }
        if clients.in_transaction {
            clients.producer.abort()?;
            clients.in_transaction = false;
        }
        let (mut partitions, mut resets) = (Vec::new(), Vec::new());
        for task in tasks {
            let sources = app.topology.subtopology(task.subtopology);
            let sources = sources.map_or(&[][..], |s| s.sources);
            for (source, partition) in app.topology.inputs(*task) {
                let reset = sources.get(source).map(|s| s.offset_reset);
                resets.push(reset.unwrap_or(OffsetReset::Earliest));
                partitions.push(partition);
            }
        }
        let committed = clients.admin.committed(app.id(), &partitions)?;
        let ranges = clients.admin.offsets(&partitions)?;
        let places = partitions.into_iter().zip(committed).zip(ranges);
        let offsets: Vec<_> = places
            .zip(resets)
            .filter_map(|(((partition, committed), range), reset)| {
                asking(partition, committed, range, reset, at)
            })
            .collect();
        if offsets.is_empty() {
            return Ok(());
        }
        if !app.exactly_once() {
            clients.membership.commit(&offsets)?;
            return Ok(());
        }
        clients.producer.begin()?;
        clients.in_transaction = true;
        let group = clients.membership.group_metadata();
        clients.producer.send_offsets(&group, &offsets)?;
        clients.producer.commit()?;
        clients.in_transaction = false;
        Ok(())
    }
}

/// What the group has committed of a partition, with the request; where it has nothing, where reading would begin.
fn asking(
    partition: TopicPartition,
    committed: Option<CommittedOffset>,
    range: OffsetRange,
    reset: OffsetReset,
    at: Timestamp,
) -> Option<(TopicPartition, CommittedOffset)> {
    let (offset, before) = match committed {
        Some(committed) => (committed.offset, committed.metadata),
        // Without an offset and a policy there is nothing that could be kept.
        None => (
            starting_offset(&partition, None, range, reset).ok()?,
            String::new(),
        ),
    };
    let metadata = metadata::asking_to_shut_down(&before, at);
    Some((partition, CommittedOffset { offset, metadata }))
}
