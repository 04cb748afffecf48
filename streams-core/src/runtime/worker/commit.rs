//! Layer 6. The commit protocol. Exactly once: caches, the log's transaction with the input offsets, then the state; so state
//! is never ahead of the log. At least once: caches, flush, state, then the input offsets; so no input is lost.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Worker;
use crate::error::{TaskError, TaskResult, of_a_record};
use crate::outbox::Outbox;
use crate::record::TopicPartition;
use crate::runtime::application::Application;
use crate::runtime::clients::Clients;
use crate::task::Task;
use crate::transport::CommittedOffset;

/// How far a commit has come. What failed half-way goes on from here.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Committing {
    /// None is under way.
    #[default]
    No,
    /// The log does not have it yet; everything up to there may be repeated.
    Writing,
    /// Everything is in the transaction, and its end may be on its way; only that may be repeated.
    Ending(Vec<(TopicPartition, CommittedOffset)>),
    /// The log has it; the state is still to follow, then the offsets where they were not in the transaction.
    Logged(Vec<(TopicPartition, CommittedOffset)>),
}

/// How long sent records may wait for company, as a Kafka Streams producer's `linger.ms`.
const LINGER: Duration = Duration::from_millis(100);

/// Sends an outbox that was refused as a whole record by record, and asks the handler about those that are refused. The dead
/// letters are appended to the outbox, and so come last.
fn send_each(task: &mut Task, clients: &mut Clients, app: &Application) -> TaskResult {
    let mut sent = 0;
    let failed = loop {
        if app.config.create_topics {
            task.create_chosen_topics(&mut *clients.admin, app.config.replication())?;
        }
        let mut one = Outbox::default();
        match task.outbox().get(sent) {
            Some(record) => one.push(record),
            None => return Ok(()),
        }
        let names = task.topic_names(&app.topology.names);
        match clients.producer.send(&one, &names).map_err(of_a_record) {
            Ok(()) => {}
            Err(Ok(error)) => {
                if let Err(e) = task.not_written(sent, error) {
                    break e;
                }
            }
            Err(Err(e)) => break TaskError::from(e).in_task(task.id()),
        }
        sent += 1;
    };
    // It may be tried again.
    task.outbox_mut().remove_first(sent);
    Err(failed)
}

impl Worker {
    /// The worker ends with an error that no commit will follow. What its handlers sent to a dead-letter queue is written all the
    /// same, as by Kafka Streams; not under exactly-once, where the transaction goes as a whole.
    pub(crate) fn write_dead_letters(&mut self) {
        let any = self.tasks.values().any(|t| t.outbox().has_dead_letters());
        if self.app.exactly_once() || !any {
            return;
        }
        if let Err(e) = self.hand_over(true) {
            tracing::warn!(member = self.member, "a dead letter was not written: {e}");
        }
    }

    /// Gives the tasks' outboxes to the producer. Outside a transaction they become visible when nothing else is to be done,
    /// or after a while. Tells whether something was made visible.
    pub(super) fn hand_over(&mut self, idle: bool) -> TaskResult<bool> {
        let exactly_once = self.app.exactly_once();
        let now = self.app.clock.elapsed();
        let names = self.app.topology.names.clone();
        let Some(clients) = &mut self.clients else {
            return Ok(false);
        };
        for task in self.tasks.values_mut().filter(|t| !t.outbox().is_empty()) {
            if exactly_once && !clients.in_transaction {
                clients.producer.begin()?;
                clients.in_transaction = true;
            }
            if self.app.config.create_topics {
                let copies = self.app.config.replication();
                task.create_chosen_topics(&mut *clients.admin, copies)?;
            }
            clients.unflushed = true;
            let sent = clients
                .producer
                .send(task.outbox(), &task.topic_names(&names));
            match sent.map_err(of_a_record) {
                Ok(()) => {}
                Err(Ok(_)) => send_each(task, clients, &self.app)?,
                Err(Err(e)) => return Err(TaskError::from(e).in_task(task.id())),
            }
            task.outbox_mut().clear();
        }
        let due = idle || now.saturating_sub(self.last_flush) >= LINGER;
        if exactly_once || !clients.unflushed || !due {
            return Ok(false);
        }
        self.flush()?;
        Ok(true)
    }

    /// Outside a transaction: waits until everything sent is durable, and remembers how far the changelogs go.
    fn flush(&mut self) -> TaskResult {
        self.last_flush = self.app.clock.elapsed();
        let clients = self.clients()?;
        let ends = clients.producer.flush()?;
        clients.unflushed = false;
        self.written(&ends);
        Ok(())
    }

    fn written(&mut self, ends: &[(TopicPartition, i64)]) {
        let ends: BTreeMap<&TopicPartition, i64> = ends.iter().map(|(p, end)| (p, *end)).collect();
        for task in self.tasks.values_mut() {
            task.logged(&ends);
        }
    }

    /// How long the worker may wait for records before it has to commit.
    pub(super) fn until_next_commit(&self, wait: Duration) -> Duration {
        if self.tasks.values().any(|t| t.commit_is_needed()) {
            let since = self.app.clock.elapsed().saturating_sub(self.last_commit);
            wait.min(self.app.config.commit_interval().saturating_sub(since))
        } else {
            wait
        }
    }

    /// Whether the interval has passed, or a task's write buffer is full.
    pub(super) fn commit_is_due(&self) -> bool {
        let since = self.app.clock.elapsed().saturating_sub(self.last_commit);
        since >= self.app.config.commit_interval() || self.tasks.values().any(|t| t.wants_commit())
    }

    /// Commits every task of this worker. Tells whether there was anything to commit.
    pub(crate) fn commit(&mut self) -> TaskResult<bool> {
        if matches!(self.committing, Committing::No | Committing::Writing) {
            let open = self
                .clients
                .as_ref()
                .is_some_and(|c| c.in_transaction || c.unflushed);
            if !open && !self.tasks.values().any(|t| t.commit_is_needed()) {
                self.last_commit = self.app.clock.elapsed();
                return Ok(false);
            }
        }
        let queries = self.app.queries.clone();
        let _until_the_state_has_it = queries.committing();
        if matches!(self.committing, Committing::No | Committing::Writing) {
            self.committing = Committing::Writing;
            // Wrong on purpose, and never so in a build that ships (CONTRIBUTING.md): the torture has to find it out.
            #[cfg(kstreams_mutant = "lmdb_first")]
            for (id, task) in &mut self.tasks {
                task.commit_state().map_err(|e| e.in_task(*id))?;
            }
            let offsets = self.write_to_log()?;
            self.committing = Committing::Ending(offsets);
        }
        if let Committing::Ending(offsets) = &mut self.committing {
            let offsets = std::mem::take(offsets);
            if let Err(e) = self.end_transaction() {
                self.committing = Committing::Ending(offsets);
                return Err(e);
            }
            self.committing = Committing::Logged(offsets);
        }
        for (id, task) in &mut self.tasks {
            task.commit_state().map_err(|e| e.in_task(*id))?;
        }
        if let Committing::Logged(offsets) = &self.committing
            && !self.app.exactly_once()
            && !offsets.is_empty()
            && let Some(clients) = &mut self.clients
        {
            clients.membership.commit(offsets)?;
        }
        for task in self.tasks.values_mut() {
            task.committed();
        }
        self.committing = Committing::No;
        self.rollbacks.succeeded();
        self.last_commit = self.app.clock.elapsed();
        self.stats.commits += 1;
        self.purge();
        Ok(true)
    }

    /// Brings outputs and changelogs, and under exactly-once the input offsets, into the log; a transaction stays open. Tells the
    /// offsets.
    fn write_to_log(&mut self) -> TaskResult<Vec<(TopicPartition, CommittedOffset)>> {
        for (id, task) in &mut self.tasks {
            task.flush_caches().map_err(|e| e.in_task(*id))?;
        }
        self.hand_over(false)?;
        let offsets: Vec<_> = self
            .tasks
            .values()
            .filter(|t| t.commit_is_needed())
            .flat_map(|t| t.offsets())
            .collect();
        if !self.app.exactly_once() {
            self.flush()?;
            return Ok(offsets);
        }
        let clients = self.clients()?;
        if !clients.in_transaction {
            clients.producer.begin()?;
            clients.in_transaction = true;
        }
        let group = clients.membership.group_metadata();
        clients.producer.send_offsets(&group, &offsets)?;
        Ok(offsets)
    }

    /// Commits the transaction, if there is one.
    fn end_transaction(&mut self) -> TaskResult {
        if self.app.exactly_once() {
            let clients = self.clients()?;
            let ends = clients.producer.commit()?;
            clients.in_transaction = false;
            clients.unflushed = false;
            self.written(&ends);
        }
        Ok(())
    }

    /// Deletes what was processed from repartition topics, once in a while. What fails is tried again with the next one.
    fn purge(&mut self) {
        let now = self.app.clock.elapsed();
        if now.saturating_sub(self.last_purge) < self.app.config.repartition_purge_interval {
            return;
        }
        self.last_purge = now;
        let before: Vec<(TopicPartition, i64)> = self
            .tasks
            .values()
            .filter(|t| t.is_processing())
            .flat_map(|t| t.purgeable(&self.app.topology))
            .collect();
        let Some(clients) = self.clients.as_mut().filter(|_| !before.is_empty()) else {
            return;
        };
        if let Err(e) = clients.admin.delete_records(&before) {
            tracing::warn!(
                member = self.member,
                "could not purge repartition topics: {e}"
            );
        }
    }
}
