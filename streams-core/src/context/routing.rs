//! Sinks whose closure chooses the topic of each record: out of a declared set, out of listed names, or any.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::TaskContext;
use crate::error::{TaskFailure, TaskResult};
use crate::exceptions::ProcessingException;
use crate::obligations::{TopicName, TopicOf};
use crate::partitioner::{IntoPartitions, StreamPartitioner};
use crate::record::Record;
use crate::routing::Topic;
use crate::serde::Serde;
use crate::transport::TopicCounts;

impl TaskContext {
    /// Writes a record to the topic that `choose` returns, out of a declared set: `topics` has the index of each.
    ///
    /// # Errors
    /// When key or value have no bytes, and the handler says to fail.
    #[inline]
    pub fn send_to_one<'r, K: Serde, V: Serde, S: Topic, T: TopicOf<S>>(
        &mut self,
        record: &'r Record<K, V>,
        choose: impl FnOnce(&'r K, &'r V) -> T,
        topics: &[usize],
    ) -> TaskResult {
        let topic = one_of(choose(&record.key, &record.value).topic(), topics)?;
        self.send(topic, record)
    }

    /// As [`send_to_one`](Self::send_to_one), to the partitions that `partitioner` chooses.
    ///
    /// # Errors
    /// As [`send_by`](Self::send_by).
    #[inline]
    pub fn send_to_one_by<'r, K: Serde, V: Serde, S: Topic, T: TopicOf<S>, R: IntoPartitions>(
        &mut self,
        record: &'r Record<K, V>,
        choose: impl FnOnce(&'r K, &'r V) -> T,
        topics: &[usize],
        partitioner: impl FnOnce(&str, &K, &V, u32) -> R,
    ) -> TaskResult {
        let topic = one_of(choose(&record.key, &record.value).topic(), topics)?;
        self.send_by(topic, record, partitioner)
    }

    /// As [`send_to_one_by`](Self::send_to_one_by), by what is no closure.
    ///
    /// # Errors
    /// As [`send_by`](Self::send_by).
    #[inline]
    pub fn send_to_one_partitioned<'r, K: Serde, V: Serde, S: Topic, T: TopicOf<S>>(
        &mut self,
        record: &'r Record<K, V>,
        choose: impl FnOnce(&'r K, &'r V) -> T,
        topics: &[usize],
        partitioner: &impl StreamPartitioner<K, V>,
    ) -> TaskResult {
        let topic = one_of(choose(&record.key, &record.value).topic(), topics)?;
        self.send_partitioned(topic, record, partitioner)
    }

    /// Writes a record to the topic that `name` returns: one of `allowed` (indexes, and beside them their names), or any
    /// where none is listed.
    ///
    /// # Errors
    /// When the topic is not one of those, or key or value have no bytes, and the handler says to fail.
    pub fn send_to<'r, K: Serde, V: Serde, N: TopicName>(
        &mut self,
        record: &'r Record<K, V>,
        name: impl FnOnce(&'r K, &'r V) -> N,
        allowed: &[usize],
        names: &[&str],
    ) -> TaskResult {
        let name = name(&record.key, &record.value);
        match self.chosen_topic(name.topic_name(), allowed, names)? {
            Some(topic) => self.send(topic, record),
            None => Ok(()),
        }
    }

    /// As [`send_to`](Self::send_to) where the topics are listed, to the partitions that `partitioner` chooses.
    ///
    /// # Errors
    /// As [`send_to`](Self::send_to) and [`send_by`](Self::send_by).
    pub fn send_to_by<'r, K: Serde, V: Serde, N: TopicName, R: IntoPartitions>(
        &mut self,
        record: &'r Record<K, V>,
        name: impl FnOnce(&'r K, &'r V) -> N,
        allowed: &[usize],
        names: &[&str],
        partitioner: impl FnOnce(&str, &K, &V, u32) -> R,
    ) -> TaskResult {
        let name = name(&record.key, &record.value);
        match self.chosen_topic(name.topic_name(), allowed, names)? {
            Some(topic) => self.send_by(topic, record, partitioner),
            None => Ok(()),
        }
    }

    /// As [`send_to_by`](Self::send_to_by), by what is no closure.
    ///
    /// # Errors
    /// As [`send_to_by`](Self::send_to_by).
    pub fn send_to_partitioned<'r, K: Serde, V: Serde, N: TopicName>(
        &mut self,
        record: &'r Record<K, V>,
        name: impl FnOnce(&'r K, &'r V) -> N,
        allowed: &[usize],
        names: &[&str],
        partitioner: &impl StreamPartitioner<K, V>,
    ) -> TaskResult {
        self.send_to_by(record, name, allowed, names, |topic, key, value, count| {
            partitioner.partitions(topic, key, value, count)
        })
    }

    /// The topic of a name that a sink's closure returned; `None` where the sink does not list it and the handler says to go on.
    fn chosen_topic(
        &mut self,
        name: &str,
        allowed: &[usize],
        names: &[&str],
    ) -> TaskResult<Option<usize>> {
        let Some(first) = allowed.first() else {
            return Ok(Some(self.dynamic_topic(name)));
        };
        let listed = names.iter().position(|listed| *listed == name);
        match listed.and_then(|at| allowed.get(at)) {
            Some(topic) => Ok(Some(*topic)),
            None => {
                let undeclared = TaskFailure::UndeclaredTopic {
                    topic: name.to_owned(),
                    declared: names.join(", "),
                };
                let sink = self.sink(*first);
                self.failed(sink, ProcessingException::returned(undeclared))
                    .map(|()| None)
            }
        }
    }

    /// Who knows the topics that are chosen freely.
    pub(crate) fn set_topic_counts(&mut self, counts: Arc<dyn TopicCounts>) {
        self.topic_counts = Some(counts);
    }

    /// How many partitions a topic that is chosen freely has, as far as somebody asked; otherwise 0.
    #[cold]
    pub(super) fn known_count(&self, topic: usize) -> u32 {
        let of_dynamic = topic.checked_sub(self.topics.len());
        let count = of_dynamic.and_then(|at| *self.dynamic_counts.get(at)?);
        count.map_or(0, NonZeroU32::get)
    }

    /// The same, asked of the log; 0 where the topic is not there.
    #[cold]
    pub(super) fn asked_count(&mut self, topic: usize) -> TaskResult<u32> {
        let Some(at) = topic.checked_sub(self.topics.len()) else {
            return Ok(0);
        };
        let (Some(counts), Some(name)) = (&self.topic_counts, self.dynamic_topics.get(at)) else {
            return Ok(0);
        };
        let count = counts.partitions_of(name)?.and_then(NonZeroU32::new);
        self.dynamic_counts.resize(self.dynamic_topics.len(), None);
        if let Some(slot) = self.dynamic_counts.get_mut(at) {
            *slot = count;
        }
        Ok(count.map_or(0, NonZeroU32::get))
    }

    /// The index of a topic that is chosen freely.
    pub(super) fn dynamic_topic(&mut self, name: &str) -> usize {
        let listed = self.topics.iter().chain(&self.dynamic_topics);
        if let Some(topic) = listed.into_iter().position(|t| **t == *name) {
            return topic;
        }
        self.dynamic_topics.push(name.into());
        self.topics.len() + self.dynamic_topics.len() - 1
    }
}

fn one_of(chosen: impl Topic, topics: &[usize]) -> TaskResult<usize> {
    let at = topics.get(chosen.index()).copied();
    at.ok_or_else(|| TaskFailure::Internal(format!("no topic for {chosen:?}")).into())
}
