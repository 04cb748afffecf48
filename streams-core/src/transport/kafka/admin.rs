//! Layer 2. Topics, offsets, groups and rights on Kafka.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::settings::Settings;
use crate::record::TopicPartition;
use crate::transport::{
    Admin, CommittedOffset, GroupDescription, LogDescription, OffsetRange, Operation, Resource,
    TopicInfo, TransportError,
};

#[derive(Debug)]
pub(super) struct KafkaAdmin;

impl KafkaAdmin {
    pub(super) fn new(_: &Arc<Settings>) -> Result<Self, TransportError> {
        none()
    }
}

fn none<T>() -> Result<T, TransportError> {
    Err(TransportError::Fatal("no admin on Kafka yet".to_owned()))
}

impl Admin for KafkaAdmin {
    fn describe_topics(&mut self, _: &[&str]) -> Result<Vec<Option<TopicInfo>>, TransportError> {
        none()
    }
    fn list_topics(&mut self) -> Result<Vec<TopicInfo>, TransportError> {
        none()
    }
    fn create_replicated(&mut self, _: &TopicInfo, _: Option<u16>) -> Result<(), TransportError> {
        none()
    }
    fn delete_topics(&mut self, _: &[&str]) -> Result<(), TransportError> {
        none()
    }
    fn delete_records(&mut self, _: &[(TopicPartition, i64)]) -> Result<(), TransportError> {
        none()
    }
    fn offsets(&mut self, _: &[TopicPartition]) -> Result<Vec<OffsetRange>, TransportError> {
        none()
    }
    fn committed(
        &mut self,
        _: &str,
        _: &[TopicPartition],
    ) -> Result<Vec<Option<CommittedOffset>>, TransportError> {
        none()
    }
    fn alter_committed(
        &mut self,
        _: &str,
        _: &[(TopicPartition, i64)],
    ) -> Result<(), TransportError> {
        none()
    }
    fn describe_group(&mut self, _: &str) -> Result<GroupDescription, TransportError> {
        none()
    }
    fn describe_log(&mut self) -> Result<LogDescription, TransportError> {
        none()
    }
    fn allowed(
        &mut self,
        _: &[Resource<'_>],
    ) -> Result<Vec<Option<BTreeSet<Operation>>>, TransportError> {
        none()
    }
}
