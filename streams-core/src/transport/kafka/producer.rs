//! Layer 2. The producer on Kafka.

use std::sync::Arc;

use super::settings::Settings;
use crate::outbox::Outbox;
use crate::record::TopicPartition;
use crate::transport::{CommittedOffset, GroupMetadata, Producer, ProducerSpec, TransportError};

#[derive(Debug)]
pub(super) struct KafkaProducer;

impl KafkaProducer {
    pub(super) fn new(_: &Arc<Settings>, _: &ProducerSpec) -> Result<Self, TransportError> {
        Err(TransportError::Fatal("no producer on Kafka yet".to_owned()))
    }
}

fn none<T>() -> Result<T, TransportError> {
    Err(TransportError::Fatal("no producer on Kafka yet".to_owned()))
}

impl Producer for KafkaProducer {
    fn init(&mut self) -> Result<(), TransportError> {
        none()
    }
    fn begin(&mut self) -> Result<(), TransportError> {
        none()
    }
    fn send(&mut self, _: &Outbox, _: &[Arc<str>]) -> Result<(), TransportError> {
        none()
    }
    fn send_offsets(
        &mut self,
        _: &GroupMetadata,
        _: &[(TopicPartition, CommittedOffset)],
    ) -> Result<(), TransportError> {
        none()
    }
    fn commit(&mut self) -> Result<Vec<(TopicPartition, i64)>, TransportError> {
        none()
    }
    fn abort(&mut self) -> Result<(), TransportError> {
        none()
    }
    fn flush(&mut self) -> Result<Vec<(TopicPartition, i64)>, TransportError> {
        none()
    }
}
