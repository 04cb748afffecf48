//! Layer 2. A consumer of given partitions on Kafka.

use std::sync::Arc;
use std::time::Duration;

use super::settings::Settings;
use crate::record::TopicPartition;
use crate::transport::{Consumer, Fetched, TransportError};

#[derive(Debug)]
pub(super) struct KafkaConsumer;

impl KafkaConsumer {
    pub(super) fn new(_: &Arc<Settings>, _: &str) -> Result<Self, TransportError> {
        Err(TransportError::Fatal("no consumer on Kafka yet".to_owned()))
    }
}

impl Consumer for KafkaConsumer {
    fn assign(&mut self, _: &[(TopicPartition, i64)]) -> Result<(), TransportError> {
        Ok(())
    }
    fn unassign(&mut self, _: &[TopicPartition]) {}
    fn pause(&mut self, _: &[TopicPartition]) {}
    fn resume(&mut self, _: &[TopicPartition]) {}
    fn poll(&mut self, _: Duration, _: usize, _: &mut Vec<Fetched>) -> Result<(), TransportError> {
        Ok(())
    }
}
