//! How far an application is, by what its group has committed: for progress lines, and for jobs that end when all is done.

use streams_core::error::Result;
use streams_core::record::TopicPartition;
use streams_core::topology::{TopicDescriptor, TopologyDescriptor};
use streams_core::transport::{Admin, TransportError};

/// What an application has processed of its topics, and what it has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Records of the topics that are not its own, processed and committed since they were created.
    pub processed: u64,
    /// Records, also of its repartition topics, that are there and not processed or not committed yet.
    pub behind: u64,
}

impl Progress {
    /// Asks the log. Topics that are not there yet count as empty.
    ///
    /// `behind` is 0 only for a moment at which nothing was behind where one topic is read after the other: a task may
    /// write to one that was already looked at. Ask twice to be sure.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn of(topology: &TopologyDescriptor, admin: &mut dyn Admin) -> Result<Progress> {
        let sources = topology.subtopologies.iter().flat_map(|s| s.sources);
        let topics = sources.filter_map(|s| topology.topics.get(s.topic));
        let (internal, external): (Vec<_>, Vec<_>) = topics.partition(|t| t.role.is_internal());
        let mut progress = Progress::default();
        // The external topics first: what a task makes of them while this looks is seen then.
        for topics in [external, internal] {
            let names: Vec<String> = topics.iter().map(|t| full_name(topology, t)).collect();
            let partitions = partitions(admin, &names)?;
            let committed = admin.committed(topology.application_id, &partitions)?;
            for ((partition, range), committed) in partitions
                .iter()
                .zip(admin.offsets(&partitions)?)
                .zip(committed)
            {
                let position = committed.map_or(range.start, |c| c.offset.max(range.start));
                progress.behind += u64::try_from(range.end - position).unwrap_or_default();
                if topics
                    .iter()
                    .any(|t| !t.role.is_internal() && *t.name == *partition.topic)
                {
                    progress.processed += u64::try_from(position).unwrap_or_default();
                }
            }
        }
        Ok(progress)
    }
}

/// The name that a topic has in the log.
pub(crate) fn full_name(topology: &TopologyDescriptor, topic: &TopicDescriptor) -> String {
    if topic.role.is_internal() {
        format!("{}-{}", topology.application_id, topic.name)
    } else {
        topic.name.to_owned()
    }
}

fn partitions(
    admin: &mut dyn Admin,
    topics: &[String],
) -> Result<Vec<TopicPartition>, TransportError> {
    let names: Vec<&str> = topics.iter().map(String::as_str).collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let found = admin.describe_topics(&names)?.into_iter().flatten();
    Ok(found
        .flat_map(|t| {
            let count = i32::try_from(t.partitions).unwrap_or(i32::MAX);
            (0..count).map(move |p| TopicPartition::new(t.name.as_str(), p))
        })
        .collect())
}
