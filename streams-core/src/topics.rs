//! Layer 4. The topology on a real log: full topic names, partition counts, tasks. Checks what no compiler can know,
//! creates the internal topics, and is done before the first record.

use std::collections::BTreeMap;
use std::sync::Arc;

pub use self::check::{TopicCheck, TopicsCheck};
use crate::config::StreamsConfig;
use crate::error::{Error, TopologyError};
use crate::query::QueryRegistry;
use crate::record::{TaskId, TopicPartition};
use crate::topology::{Changelog, SubtopologyDescriptor, TopicDescriptor, TopologyDescriptor};
use crate::transport::{Admin, SubtopologySources, TransportError};

mod check;
mod counts;
mod internal;

/// A topology whose topics are known to be there.
#[derive(Debug)]
pub(crate) struct ResolvedTopology {
    /// What the macro emitted.
    pub(crate) descriptor: &'static TopologyDescriptor,
    /// Each topic's full name, by topic index.
    pub(crate) names: Arc<[Arc<str>]>,
    /// Each topic's partition count, by topic index; 0 for those that need not be there.
    pub(crate) partitions: Arc<[u32]>,
}

impl ResolvedTopology {
    /// A topic's full name.
    pub(crate) fn name(&self, topic: usize) -> Arc<str> {
        self.names.get(topic).cloned().unwrap_or_default()
    }

    /// A topic's partition count.
    pub(crate) fn partition_count(&self, topic: usize) -> u32 {
        self.partitions.get(topic).copied().unwrap_or_default()
    }

    /// A sub-topology.
    pub(crate) fn subtopology(&self, index: usize) -> Option<&'static SubtopologyDescriptor> {
        self.descriptor.subtopologies.get(index)
    }

    /// The partitions that a task reads, each with the index of its source, in the sources' order. Topics that are merely
    /// merged may have fewer partitions than there are tasks.
    pub(crate) fn inputs(&self, task: TaskId) -> Vec<(usize, TopicPartition)> {
        let sources = self
            .subtopology(task.subtopology)
            .map_or(&[][..], |s| s.sources);
        let has_it = |topic: usize| match self.partitions.get(topic) {
            Some(0) | None => true,
            Some(count) => i64::from(task.partition) < i64::from(*count),
        };
        sources
            .iter()
            .enumerate()
            .filter(|(_, s)| has_it(s.topic))
            .map(|(index, s)| {
                let partition = TopicPartition::new(self.name(s.topic), task.partition);
                (index, partition)
            })
            .collect()
    }

    /// What a member of the group reads.
    pub(crate) fn subscriptions(&self) -> Vec<SubtopologySources> {
        let each = |(subtopology, s): (usize, &SubtopologyDescriptor)| SubtopologySources {
            subtopology,
            topics: s
                .sources
                .iter()
                .map(|source| (self.name(source.topic), source.offset_reset))
                .collect(),
        };
        self.descriptor
            .subtopologies
            .iter()
            .enumerate()
            .map(each)
            .collect()
    }

    /// Tells who queries how many partitions each store has: as many as its sub-topology has tasks.
    pub(crate) fn tell(&self, queries: &QueryRegistry) {
        for subtopology in self.descriptor.subtopologies {
            let counts = subtopology.sources.iter();
            let count = counts
                .map(|source| self.partition_count(source.topic))
                .max();
            for store in subtopology.stores {
                queries.set_partitions(*store, count.unwrap_or_default());
            }
        }
    }

    /// The directory-independent part of what state belongs to: the store's changelog, where it has one.
    pub(crate) fn changelog(&self, store: usize, partition: i32) -> Option<TopicPartition> {
        match self.descriptor.stores.get(store)?.changelog {
            Changelog::None => None,
            Changelog::Internal(topic) | Changelog::Source(topic) => {
                Some(TopicPartition::new(self.name(topic), partition))
            }
        }
    }
}

/// The full name of a topic.
#[must_use]
pub fn full_name(application_id: &str, topic: &TopicDescriptor) -> String {
    if topic.role.is_internal() {
        format!("{application_id}-{}", topic.name)
    } else {
        topic.name.to_owned()
    }
}

/// Compares the topics of a topology with those that a log has; changes nothing.
///
/// # Errors
/// When the log cannot be asked. What does not fit is in the answer.
pub fn check(
    descriptor: &'static TopologyDescriptor,
    config: &StreamsConfig,
    admin: &mut dyn Admin,
) -> Result<TopicsCheck, Error> {
    check::check(descriptor, config, &BTreeMap::new(), admin)
}

/// Looks at the topics that are there, creates what may be created, and refuses what does not fit, all of it at once.
///
/// `overrides` replaces declared partition counts, by topic name (the test driver's).
pub(crate) fn resolve(
    descriptor: &'static TopologyDescriptor,
    config: &StreamsConfig,
    overrides: &BTreeMap<String, u32>,
    admin: &mut dyn Admin,
) -> Result<ResolvedTopology, Error> {
    if descriptor
        .subtopologies
        .iter()
        .all(|s| s.sources.is_empty())
        && descriptor.globals.is_empty()
    {
        return Err(TopologyError::Empty.into());
    }
    let checked = check::check(descriptor, config, overrides, admin)?;
    let mut problems: Vec<TopologyError> = checked
        .problems()
        .filter(|p| !(config.create_topics && p.is_missing_topic()))
        .cloned()
        .collect();
    match problems.len() {
        0 => {}
        1 => return Err(problems.remove(0).into()),
        _ => return Err(TopologyError::Several { problems }.into()),
    }
    for topic in &checked.topics {
        // A missing topic that nobody may create was a problem.
        if let (None, Some(wanted)) = (&topic.found, topic.wanted()) {
            let (topic, partitions) = (&wanted.name, wanted.partitions);
            tracing::info!(topic, partitions, "creating a topic");
            admin.create_replicated(&wanted, config.replication())?;
        }
    }
    Ok(ResolvedTopology {
        descriptor,
        names: checked
            .topics
            .iter()
            .map(|t| t.name.as_str().into())
            .collect(),
        partitions: checked.topics.iter().map(TopicCheck::count).collect(),
    })
}

/// What a start is told of a log that could not be asked.
pub(crate) fn unreachable(error: Error) -> Error {
    match error {
        Error::Transport(
            TransportError::Retriable(reason) | TransportError::Unauthenticated(reason),
        ) => TopologyError::Unreachable { reason }.into(),
        other => other,
    }
}

#[cfg(test)]
mod tests;
