//! Layer 2. A member of a classic consumer group on Kafka.

use std::sync::Arc;

use super::settings::Settings;
use crate::record::{TaskId, TopicPartition};
use crate::transport::{
    CommittedOffset, GroupMetadata, Membership, MembershipEvent, MembershipSpec, TransportError,
};

#[derive(Debug)]
pub(super) struct KafkaMembership;

impl KafkaMembership {
    pub(super) fn new(_: &Arc<Settings>, _: &MembershipSpec) -> Result<Self, TransportError> {
        none()
    }
}

fn none<T>() -> Result<T, TransportError> {
    Err(TransportError::Fatal("no groups on Kafka yet".to_owned()))
}

impl Membership for KafkaMembership {
    fn poll(&mut self) -> Result<Vec<MembershipEvent>, TransportError> {
        none()
    }
    fn released(&mut self, _: &[TaskId]) -> Result<(), TransportError> {
        none()
    }
    fn group_metadata(&self) -> GroupMetadata {
        GroupMetadata::outside("")
    }
    fn commit(&mut self, _: &[(TopicPartition, CommittedOffset)]) -> Result<(), TransportError> {
        none()
    }
    fn leave(&mut self) -> Result<(), TransportError> {
        none()
    }
}
