//! Layer 4. How many partitions each topic of a topology has, where that follows from others.

use super::full_name;
use crate::error::TopologyError;
use crate::topology::{
    Changelog, NodeKind, SinkTopic, SubtopologyDescriptor, TopicRole, TopologyDescriptor,
};

/// Fills in the partition counts of the repartition topics: as declared, else that of the topics they are read together
/// with, else the largest among the sources of those that write them.
///
/// What is not known is 0, and so is what depends on it alone.
pub(super) fn fill_in(descriptor: &'static TopologyDescriptor, counts: &mut Vec<u32>) {
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
    // What is read together with a topic of fixed count takes that count, whoever writes it; and so does what is read with it.
    let mut fixed: Vec<bool> = (0..descriptor.topics.len()).map(|t| !open(t)).collect();
    let groups = || {
        let subs = descriptor.subtopologies.iter();
        subs.flat_map(|subtopology| subtopology.copartitioned)
    };
    let is_fixed = |fixed: &[bool], topic: usize| fixed.get(topic).copied().unwrap_or(true);
    for _ in 0..=descriptor.topics.len() {
        for group in groups() {
            let count = group.iter().filter(|t| is_fixed(&fixed, **t));
            let Some(count) = count.filter_map(|t| counts.get(*t)).max().copied() else {
                continue;
            };
            for topic in *group {
                if !is_fixed(&fixed, *topic) {
                    set(counts, *topic, count);
                    fixed[*topic] = true;
                }
            }
        }
    }
    // The count of the others may depend on each other's; each round settles at least one, and none ever shrinks.
    for _ in 0..=descriptor.topics.len() {
        let before = counts.clone();
        for subtopology in descriptor.subtopologies {
            let largest = task_count(subtopology, counts);
            for topic in written_by(subtopology).filter(|t| !is_fixed(&fixed, *t)) {
                grow(counts, topic, largest);
            }
            for group in subtopology.copartitioned {
                let largest = group.iter().filter_map(|t| counts.get(*t)).max().copied();
                for topic in group.iter().filter(|t| !is_fixed(&fixed, **t)) {
                    grow(counts, *topic, largest.unwrap_or_default());
                }
            }
        }
        if *counts == before {
            break;
        }
    }
    for subtopology in descriptor.subtopologies {
        let tasks = task_count(subtopology, counts);
        for store in subtopology.stores {
            let changelog = descriptor.stores.get(*store).map(|s| s.changelog);
            if let Some(Changelog::Internal(topic)) = changelog {
                set(counts, topic, tasks);
            }
        }
    }
}

/// The topics of each group that must have equal counts, and have not; unknown counts are passed over.
pub(super) fn not_copartitioned(
    descriptor: &'static TopologyDescriptor,
    counts: &[u32],
) -> Vec<TopologyError> {
    let groups = descriptor
        .subtopologies
        .iter()
        .flat_map(|s| s.copartitioned);
    groups
        .filter_map(|group| check_copartitioned(descriptor, group, counts).err())
        .collect()
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
        .filter(|(_, count)| *count > 0)
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
