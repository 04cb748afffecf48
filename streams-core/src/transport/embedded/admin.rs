//! Layer 2. The embedded log's admin client.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Shared;
use super::log::Transaction;
use super::run_lock::RunLock;
use crate::record::TopicPartition;
use crate::transport::{
    Admin, CommittedOffset, GroupDescription, GroupMember, GroupMetadata, LogDescription,
    OffsetRange, Operation, Resource, TopicInfo, TransportError,
};

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

    /// There is one copy, whatever is wanted.
    fn create_replicated(&mut self, topic: &TopicInfo, _replication: Option<u16>) -> Result<()> {
        self.shared.log.create_topic(topic)
    }

    fn delete_topics(&mut self, names: &[&str]) -> Result<()> {
        self.shared.log.delete_topics(names)?;
        // Readers of what is gone are to hear of it.
        self.shared.changed.records();
        Ok(())
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

    fn alter_committed(&mut self, group: &str, offsets: &[(TopicPartition, i64)]) -> Result<()> {
        // Whoever runs the application in another process has the lock.
        let _lock = match &self.shared.dir {
            Some(dir) if !self.shared.groups.is_run_here(group) => {
                Some(RunLock::acquire(dir, group, &*self.shared.clock).map_err(abortable)?)
            }
            _ => None,
        };
        let outside = GroupMetadata::outside(group);
        let offsets: Vec<_> = offsets
            .iter()
            .map(|(partition, offset)| {
                let metadata = String::new();
                let offset = CommittedOffset {
                    offset: *offset,
                    metadata,
                };
                (partition.clone(), offset)
            })
            .collect();
        let offsets = self.shared.group_offsets(&outside, &offsets)?;
        let _guard = self.shared.groups.committing();
        let transaction = Transaction {
            offsets: &offsets,
            ..Transaction::default()
        };
        let check = || self.shared.groups.check(&outside);
        self.shared.log.commit(&transaction, &check).map(drop)
    }

    fn describe_group(&mut self, group: &str) -> Result<GroupDescription> {
        let mut members: Vec<GroupMember> = self
            .shared
            .groups
            .members(group)
            .into_iter()
            .map(|member| GroupMember {
                client_id: member.clone(),
                member,
                host: format!("process {}", std::process::id()),
            })
            .collect();
        if let Some(dir) = &self.shared.dir
            && !self.shared.groups.is_run_here(group)
            && let Some(holder) = RunLock::holder(dir, group)?
        {
            members.push(GroupMember {
                member: holder.clone(),
                client_id: group.to_owned(),
                host: format!("process {holder}"),
            });
        }
        let state = match members.is_empty() {
            false => "Stable",
            true if self.shared.log.is_group(group)? => "Empty",
            true => "Dead",
        };
        Ok(GroupDescription {
            state: state.to_owned(),
            members,
        })
    }

    fn describe_log(&mut self) -> Result<LogDescription> {
        Ok(LogDescription {
            id: self.shared.log.place.clone(),
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            brokers: Vec::new(),
        })
    }

    fn allowed(&mut self, resources: &[Resource<'_>]) -> Result<Vec<Option<BTreeSet<Operation>>>> {
        Ok(vec![None; resources.len()])
    }
}

/// Somebody else runs the application: the same answer as for a group with members.
fn abortable(error: TransportError) -> TransportError {
    TransportError::Abortable(error.to_string())
}
