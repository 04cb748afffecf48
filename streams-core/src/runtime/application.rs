//! Layer 6. What all threads of one application share.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use super::statistics::Counters;
use crate::config::{ProcessingGuarantee, StreamsConfig};
use crate::error::TaskResult;
use crate::query::{ByteReader, QueryRegistry};
use crate::record::{TaskId, Timestamp};
use crate::restore::{Restores, Teller};
use crate::task::{StateLocation, SubTopologies, Task, TaskParts};
use crate::time::Clock;
use crate::topics::ResolvedTopology;
use crate::transport::{LogCounts, Missing, TopicCounts, Transport};

/// One running application.
pub(crate) struct Application {
    pub(crate) topology: ResolvedTopology,
    pub(crate) config: StreamsConfig,
    pub(crate) subtopologies: SubTopologies,
    pub(crate) transport: Arc<dyn Transport>,
    /// Whom tasks ask about topics that their sinks choose.
    pub(crate) counts: Arc<dyn TopicCounts>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) state: StateLocation,
    pub(crate) queries: QueryRegistry,
    /// A reader for each global table.
    pub(crate) globals: Vec<Arc<dyn ByteReader>>,
    /// The same after a restart, so that a thread takes its own place again.
    pub(crate) process_id: String,
    /// How many stream threads share the record cache.
    pub(crate) threads: AtomicUsize,
    /// The restores that are under way.
    pub(crate) restores: Arc<Restores>,
    /// When it was started, by the wall clock.
    pub(crate) started_ms: Timestamp,
    /// When all instances were asked to shut down; negative where they were not.
    pub(crate) shutdown: AtomicI64,
    /// What its workers have done.
    pub(crate) statistics: Arc<Counters>,
}

impl fmt::Debug for Application {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Application")
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}

impl Application {
    /// All instances are to shut down. Tells since when: the first request counts.
    pub(crate) fn request_shutdown(&self, at: Timestamp) -> Timestamp {
        let first = self
            .shutdown
            .compare_exchange(-1, at, Ordering::AcqRel, Ordering::Acquire);
        first.map_or_else(|before| before, |_| at)
    }

    /// When all instances were asked to shut down.
    pub(crate) fn shutdown_requested(&self) -> Option<Timestamp> {
        Some(self.shutdown.load(Ordering::Acquire)).filter(|at| *at >= 0)
    }

    /// `application.id`.
    pub(crate) fn id(&self) -> &'static str {
        self.topology.descriptor.application_id
    }

    /// Whether offsets, output and state must change together.
    pub(crate) fn exactly_once(&self) -> bool {
        self.config.guarantee() == ProcessingGuarantee::ExactlyOnceV2
    }

    /// `client.id`, as set or `<application.id>-<process id>`.
    pub(crate) fn client_id(&self) -> String {
        let id = self.config.client_id.clone();
        id.unwrap_or_else(|| format!("{}-{}", self.id(), self.process_id))
    }

    /// How many of a thread's tasks have a store before which the record cache lies.
    pub(crate) fn caching(&self, tasks: impl IntoIterator<Item = TaskId>) -> usize {
        let descriptor = self.topology.descriptor;
        let caches = |store: &usize| descriptor.stores.get(*store).is_some_and(|s| s.cache);
        let of = |id: &TaskId| self.topology.subtopology(id.subtopology);
        tasks
            .into_iter()
            .filter(|id| of(id).is_some_and(|s| s.stores.iter().any(caches)))
            .count()
    }

    /// One thread's share of the record cache, divided by those of its tasks that have a use for it.
    pub(crate) fn cache_share(&self, caching: usize) -> usize {
        let threads = self.threads.load(Ordering::Relaxed).max(1);
        self.config.cache_max_bytes / threads / caching.max(1)
    }

    /// Who tells of the restores.
    pub(crate) fn teller(&self) -> Teller {
        Teller {
            listener: self.config.restore_listener(),
            restores: self.restores.clone(),
        }
    }

    /// A task as of its last commit, not yet restored.
    pub(crate) fn task(&self, id: TaskId, caching: usize) -> TaskResult<Task> {
        Task::open(TaskParts {
            id,
            topology: &self.topology,
            subtopologies: &self.subtopologies,
            state: &self.state,
            config: &self.config,
            globals: self.globals.clone(),
            cache_max_bytes: self.cache_share(caching),
            clock: self.clock.clone(),
            counts: self.counts.clone(),
        })
        .map_err(|e| e.in_task(id))
    }
}

/// Asks the log; where the configuration says that topics are made, so are those that sinks choose.
pub(crate) fn topic_counts(
    transport: &Arc<dyn Transport>,
    config: &StreamsConfig,
) -> Arc<dyn TopicCounts> {
    let missing = match config.create_topics {
        true => Missing::Make(config.replication()),
        false => Missing::Tell,
    };
    Arc::new(LogCounts::new(transport.clone(), missing))
}
