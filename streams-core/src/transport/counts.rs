//! Layer 2. How many partitions a topic has that a sink's closure chose, asked while its record is processed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Admin, TopicInfo, Transport, TransportError};

/// All that processing sees of a log: how many partitions a topic has, where a partitioner is to be told.
pub trait TopicCounts: Send + Sync + fmt::Debug {
    /// How many; `None` where there is no such topic.
    ///
    /// # Errors
    /// When the log cannot be asked.
    fn partitions_of(&self, topic: &str) -> Result<Option<u32>, TransportError>;
}

/// What to do about a topic that is not there.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Missing {
    /// Leave it to whoever asks.
    Tell,
    /// Make it, with one partition and this many copies.
    Make(Option<u16>),
}

/// Asks the log itself, by a client of its own, which is made when somebody asks for the first time.
#[derive(Debug)]
pub(crate) struct LogCounts {
    transport: Arc<dyn Transport>,
    missing: Missing,
    admin: Mutex<Client>,
}

#[derive(Default)]
struct Client(Option<Box<dyn Admin>>);

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").finish_non_exhaustive()
    }
}

impl LogCounts {
    pub(crate) fn new(transport: Arc<dyn Transport>, missing: Missing) -> Self {
        LogCounts {
            transport,
            missing,
            admin: Mutex::default(),
        }
    }
}

impl TopicCounts for LogCounts {
    fn partitions_of(&self, topic: &str) -> Result<Option<u32>, TransportError> {
        let mut client = self.admin.lock().unwrap_or_else(PoisonError::into_inner);
        let admin = match &mut client.0 {
            Some(admin) => admin,
            none => none.insert(self.transport.admin()?),
        };
        let found = admin.partition_count(topic)?;
        let (None, Missing::Make(replication_factor)) = (found, self.missing) else {
            return Ok(found);
        };
        tracing::info!(topic, "creating a topic that a sink chose");
        let made = TopicInfo {
            name: topic.to_owned(),
            partitions: 1,
            config: BTreeMap::new(),
        };
        admin.create_replicated(&made, replication_factor)?;
        admin.partition_count(topic)
    }
}
