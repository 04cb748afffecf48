//! Layer 2. The embedded log's admin client.

use std::sync::Arc;

use super::Shared;
use crate::record::TopicPartition;
use crate::transport::{Admin, CommittedOffset, OffsetRange, TopicInfo, TransportError};

type Result<T> = std::result::Result<T, TransportError>;

/// An admin client on the embedded log.
#[derive(Debug)]
pub(super) struct EmbeddedAdmin {
    pub(super) shared: Arc<Shared>,
}

impl Admin for EmbeddedAdmin {
    fn describe_topics(&mut self, names: &[&str]) -> Result<Vec<Option<TopicInfo>>> {
        if names.is_empty() {
            return Ok(self.list_topics()?.into_iter().map(Some).collect());
        }
        let log = &self.shared.log;
        names
            .iter()
            .map(|name| Ok(log.topic(name)?.map(|topic| topic.info())))
            .collect()
    }

    fn list_topics(&mut self) -> Result<Vec<TopicInfo>> {
        Ok(self
            .shared
            .log
            .all_topics()?
            .iter()
            .map(|topic| topic.info())
            .collect())
    }

    fn create_topic(&mut self, topic: &TopicInfo) -> Result<()> {
        self.shared.log.create_topic(topic)
    }

    fn delete_records(&mut self, before: &[(TopicPartition, i64)]) -> Result<()> {
        self.shared.log.delete_records(before)
    }

    fn offsets(&mut self, partitions: &[TopicPartition]) -> Result<Vec<OffsetRange>> {
        self.shared.log.offsets(partitions)
    }

    fn committed(
        &mut self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Option<CommittedOffset>>> {
        self.shared.log.committed(group, partitions)
    }
}
