//! Layer 2. The transport to Apache Kafka, on librdkafka: the only place that names `rdkafka`.
//!
//! A stream thread has two kinds of consuming client. A *member* subscribes and follows the group, and fetches nothing; a
//! *consumer* is told by the worker what to read and from where, and is in no group. So a task's partitions are always read
//! by one thread, however the group's assignor cuts the topics, and a commit is fenced by the member's generation.
//! `rdkafka-sys` is called where the safe API lacks a call or costs twice as much.

use std::fmt;
use std::sync::Arc;

use self::admin::KafkaAdmin;
use self::consumer::KafkaConsumer;
use self::membership::KafkaMembership;
use self::producer::KafkaProducer;
use self::settings::Settings;
use super::{
    Admin, Consumer, Membership, MembershipSpec, Producer, ProducerSpec, Transport, TransportError,
};
use crate::config::StreamsConfig;

mod admin;
mod aside;
mod codes;
mod consumer;
mod counts;
mod errors;
mod handle;
mod joining;
mod membership;
mod partition_queue;
mod producer;
mod requests;
mod sending;
mod settings;

/// A Kafka cluster. Clones are the same.
#[derive(Clone)]
pub struct KafkaTransport {
    settings: Arc<Settings>,
}

impl fmt::Debug for KafkaTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KafkaTransport({})", self.settings.bootstrap_servers())
    }
}

impl KafkaTransport {
    /// The cluster of `bootstrap.servers`, with the configuration's client settings. Nothing is connected yet.
    ///
    /// # Errors
    /// When the configuration names no cluster, or librdkafka refuses a setting.
    pub fn new(config: &StreamsConfig) -> Result<Self, TransportError> {
        Ok(KafkaTransport {
            settings: Arc::new(Settings::new(config)?),
        })
    }
}

impl Transport for KafkaTransport {
    fn admin(&self) -> Result<Box<dyn Admin>, TransportError> {
        Ok(Box::new(KafkaAdmin::new(&self.settings)?))
    }

    fn consumer(&self, client_id: &str) -> Result<Box<dyn Consumer>, TransportError> {
        Ok(Box::new(KafkaConsumer::new(&self.settings, client_id)?))
    }

    fn producer(&self, spec: &ProducerSpec) -> Result<Box<dyn Producer>, TransportError> {
        Ok(Box::new(KafkaProducer::new(&self.settings, spec)?))
    }

    fn membership(&self, spec: &MembershipSpec) -> Result<Box<dyn Membership>, TransportError> {
        Ok(Box::new(KafkaMembership::new(&self.settings, spec)?))
    }
}
