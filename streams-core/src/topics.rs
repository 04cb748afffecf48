//! Layer 4. The topology on a real log: full topic names, partition counts, tasks. Checks what no compiler can know,
//! creates the internal topics, and is done before the first record.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::StreamsConfig;
use crate::error::{Error, TopologyError};
use crate::record::{TaskId, TopicPartition};
use crate::topology::{
    Changelog, NodeKind, SinkTopic, SubtopologyDescriptor, TopicDescriptor, TopicRole,
    TopologyDescriptor,
};
use crate::transport::{Admin, SubtopologySources, TopicInfo};

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
pub(crate) fn full_name(application_id: &str, topic: &TopicDescriptor) -> String {
    if topic.role.is_internal() {
        format!("{application_id}-{}", topic.name)
    } else {
        topic.name.to_owned()
    }
}

/// Looks at the topics that are there, creates what may be created, and refuses what does not fit.
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
    let names: Vec<Arc<str>> = descriptor
        .topics
        .iter()
        .map(|t| full_name(descriptor.application_id, t).into())
        .collect();
    let mut counts = external_counts(descriptor, config, overrides, admin)?;
    internal_counts(descriptor, &mut counts)?;
    let tasks: Vec<u32> = descriptor
        .subtopologies
        .iter()
        .map(|s| task_count(s, &counts))
        .collect();
    for (index, subtopology) in descriptor.subtopologies.iter().enumerate() {
        for store in subtopology.stores {
            let changelog = descriptor.stores.get(*store).map(|s| s.changelog);
            let (Some(Changelog::Internal(topic)), Some(count)) = (changelog, tasks.get(index))
            else {
                continue;
            };
            set(&mut counts, topic, *count);
        }
    }
    let resolved = ResolvedTopology {
        descriptor,
        names: names.into(),
        partitions: counts.into(),
    };
    create_internal(&resolved, config, admin)?;
    Ok(resolved)
}

/// The partition counts of the topics that are not ours; 0 for ours.
fn external_counts(
    descriptor: &'static TopologyDescriptor,
    config: &StreamsConfig,
    overrides: &BTreeMap<String, u32>,
    admin: &mut dyn Admin,
) -> Result<Vec<u32>, Error> {
    let mut counts = Vec::new();
    for (index, topic) in descriptor.topics.iter().enumerate() {
        if topic.role.is_internal() {
            counts.push(0);
            continue;
        }
        let declared = overrides.get(topic.name).copied().or(topic.partitions);
        let found = admin
            .describe_topics(&[topic.name])?
            .into_iter()
            .flatten()
            .next();
        let actual = match found {
            Some(info) => info.partitions,
            None if config.create_topics => {
                let partitions = declared.unwrap_or(1);
                tracing::info!(topic = topic.name, partitions, "creating a declared topic");
                let config = BTreeMap::new();
                admin.create_topic(&TopicInfo {
                    name: topic.name.to_owned(),
                    partitions,
                    config,
                })?;
                partitions
            }
            None if topic.role == TopicRole::Sink => {
                return Err(TopologyError::MissingSinkTopic {
                    topic: topic.name.to_owned(),
                    declared,
                }
                .into());
            }
            None => {
                let node = reader_of(descriptor, index).to_owned();
                return Err(TopologyError::MissingSourceTopic {
                    topic: topic.name.to_owned(),
                    node,
                    declared,
                }
                .into());
            }
        };
        if let Some(declared) = declared.filter(|d| *d != actual) {
            return Err(TopologyError::PartitionCount {
                topic: topic.name.to_owned(),
                declared,
                actual,
            }
            .into());
        }
        counts.push(actual);
    }
    Ok(counts)
}

fn reader_of(descriptor: &'static TopologyDescriptor, topic: usize) -> &'static str {
    let sources = descriptor.subtopologies.iter().flat_map(|s| s.sources);
    let source = sources.filter(|s| s.topic == topic).map(|s| s.node).next();
    let global = || {
        descriptor
            .globals
            .iter()
            .find(|g| g.topic == topic)
            .map(|g| g.node)
    };
    source.or_else(global).unwrap_or(descriptor.name)
}

/// Fills in the partition counts of the repartition topics: as declared, else that of the topics they are read together
/// with, else the largest among the sources of those that write them.
fn internal_counts(
    descriptor: &'static TopologyDescriptor,
    counts: &mut Vec<u32>,
) -> Result<(), Error> {
    for (index, topic) in descriptor.topics.iter().enumerate() {
        if let (TopicRole::Repartition, Some(declared)) = (topic.role, topic.partitions) {
            set(counts, index, declared);
        }
    }
    let open = |index: usize| {
        descriptor
            .topics
            .get(index)
            .is_some_and(|t| t.role == TopicRole::Repartition && t.partitions.is_none())
    };
    // A repartition topic's count may depend on another's; each round settles at least one, and none ever shrinks.
    for _ in 0..=descriptor.topics.len() {
        let before = counts.clone();
        for subtopology in descriptor.subtopologies {
            let largest = task_count(subtopology, counts);
            for topic in written_by(subtopology).filter(|t| open(*t)) {
                grow(counts, topic, largest);
            }
            for group in subtopology.copartitioned {
                let fixed = group
                    .iter()
                    .filter(|t| !open(**t))
                    .filter_map(|t| counts.get(*t))
                    .max()
                    .copied();
                let largest = group.iter().filter_map(|t| counts.get(*t)).max().copied();
                let count = fixed.or(largest).unwrap_or_default();
                for topic in group.iter().filter(|t| open(**t)) {
                    // What is read together with a topic of fixed count takes that count, also if it is smaller.
                    if fixed.is_some() {
                        set(counts, *topic, count)
                    } else {
                        grow(counts, *topic, count)
                    }
                }
            }
        }
        if *counts == before {
            break;
        }
    }
    for subtopology in descriptor.subtopologies {
        for group in subtopology.copartitioned {
            check_copartitioned(descriptor, group, counts)?;
        }
    }
    Ok(())
}

fn check_copartitioned(
    descriptor: &'static TopologyDescriptor,
    group: &[usize],
    counts: &[u32],
) -> Result<(), TopologyError> {
    let topics: Vec<(String, u32)> = group
        .iter()
        .filter_map(|t| {
            Some((
                full_name(descriptor.application_id, descriptor.topics.get(*t)?),
                *counts.get(*t)?,
            ))
        })
        .collect();
    if topics
        .windows(2)
        .all(|pair| matches!(pair, [(_, a), (_, b)] if a == b))
    {
        Ok(())
    } else {
        Err(TopologyError::NotCopartitioned { topics })
    }
}

fn written_by(subtopology: &'static SubtopologyDescriptor) -> impl Iterator<Item = usize> {
    subtopology.nodes.iter().filter_map(|node| match node.kind {
        NodeKind::Sink {
            topic: SinkTopic::Static(topic),
        } => Some(topic),
        _ => None,
    })
}

fn task_count(subtopology: &SubtopologyDescriptor, counts: &[u32]) -> u32 {
    subtopology
        .sources
        .iter()
        .filter_map(|s| counts.get(s.topic))
        .max()
        .copied()
        .unwrap_or_default()
}

fn set(counts: &mut [u32], topic: usize, count: u32) {
    if let Some(c) = counts.get_mut(topic) {
        *c = count;
    }
}

fn grow(counts: &mut [u32], topic: usize, count: u32) {
    if let Some(c) = counts.get_mut(topic) {
        *c = count.max(*c);
    }
}

/// Creates our own topics with Kafka Streams' settings; checks those that are there.
fn create_internal(
    resolved: &ResolvedTopology,
    config: &StreamsConfig,
    admin: &mut dyn Admin,
) -> Result<(), Error> {
    for (index, topic) in resolved.descriptor.topics.iter().enumerate() {
        if !topic.role.is_internal() {
            continue;
        }
        let wanted = TopicInfo {
            name: resolved.name(index).to_string(),
            partitions: resolved.partition_count(index),
            config: internal_config(topic.role, config),
        };
        match admin
            .describe_topics(&[&wanted.name])?
            .into_iter()
            .flatten()
            .next()
        {
            Some(found) => validate_internal(topic.role, &wanted, &found)?,
            None => {
                tracing::info!(
                    topic = wanted.name,
                    partitions = wanted.partitions,
                    "creating an internal topic"
                );
                admin.create_topic(&wanted)?;
            }
        }
    }
    Ok(())
}

/// Kafka Streams' settings of internal topics, `topic.…` of the configuration over them.
fn internal_config(role: TopicRole, config: &StreamsConfig) -> BTreeMap<String, String> {
    let settings: &[(&str, &str)] = match role {
        TopicRole::Changelog => &[
            ("cleanup.policy", "compact"),
            ("message.timestamp.type", "CreateTime"),
        ],
        _ => &[
            ("cleanup.policy", "delete"),
            ("message.timestamp.type", "CreateTime"),
            ("retention.ms", "-1"),
            ("segment.bytes", "52428800"),
        ],
    };
    let mut all: BTreeMap<String, String> = settings
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    all.extend(config.topic_config.clone());
    all
}

fn validate_internal(
    role: TopicRole,
    wanted: &TopicInfo,
    found: &TopicInfo,
) -> Result<(), TopologyError> {
    if found.partitions != wanted.partitions {
        return Err(TopologyError::InternalTopic {
            topic: wanted.name.clone(),
            expected: wanted.partitions,
            actual: found.partitions,
        });
    }
    let (key, expected, what) = match role {
        TopicRole::Changelog => ("cleanup.policy", "compact", "the oldest keys of a store"),
        _ => ("retention.ms", "-1", "records that are not processed yet"),
    };
    match found.config.get(key) {
        Some(actual) if !actual.split(',').any(|part| part.trim() == expected) => {
            Err(TopologyError::InternalTopicConfig {
                topic: wanted.name.clone(),
                key,
                expected: expected.to_owned(),
                actual: actual.clone(),
                what,
            })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
