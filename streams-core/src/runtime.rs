//! Layer 6. The running application: starting it, its handle, its end.

mod application;
mod clients;
mod lifecycle;
mod retry;
mod statistics;
mod threads;
mod updater;
mod worker;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize};
use std::time::Duration;

use tokio::sync::watch;
use uuid::Uuid;

use crate::config::{ConfigError, Log, StreamsConfig};
use crate::error::{Error, LifecycleError, Result, TaskError, TaskResult};
use crate::generated::Topology;
use crate::global::{GlobalParts, GlobalTables};
use crate::query::QueryRegistry;
use crate::restore::{Restores, Teller};
use crate::state_dir::StateDirectory;
use crate::task::{StateLocation, SubTopologies};
use crate::time::{Clock, SystemClock};
use crate::topics::{self, ResolvedTopology};
use crate::topology::TopologyDescriptor;
use crate::transport::embedded::{EmbeddedLog, EmbeddedLogOptions};
use crate::transport::kafka::KafkaTransport;
use crate::transport::{Transport, TransportError};

pub use crate::restore::RestoreProgress;
pub(crate) use application::{Application, topic_counts};
pub use lifecycle::State;
use retry::Retry;
pub(crate) use statistics::Counters;
pub use statistics::Statistics;
use threads::Threads;
pub(crate) use worker::Worker;

/// How long a start waits for a log that does not answer; requests have their own time-outs, and the last one may go beyond it.
const START_PATIENCE: Duration = Duration::from_secs(15);

/// Starts an application on the log that its configuration names.
///
/// # Errors
/// When the configuration contradicts itself, the log cannot be opened, or the topology does not fit its topics.
pub fn start<A: Topology>(
    app: Arc<A>,
    queries: QueryRegistry,
    config: StreamsConfig,
) -> Result<Running<A>> {
    config.validate()?;
    let transport = open_log(&config)?;
    start_on(app, queries, config, transport)
}

/// Opens the log that a configuration names, as an application on it would: for programs of one's own beside it.
///
/// # Errors
/// When none is named, or it cannot be opened.
pub fn open_log(config: &StreamsConfig) -> Result<Arc<dyn Transport>> {
    match config.log() {
        Log::Embedded(dir) => {
            for key in config.clients.keys() {
                tracing::warn!(
                    key,
                    "a setting of Kafka's clients means nothing to the embedded log"
                );
            }
            Ok(Arc::new(EmbeddedLog::open(
                dir,
                EmbeddedLogOptions::default(),
            )?))
        }
        Log::Kafka(_) => Ok(Arc::new(KafkaTransport::new(config)?)),
        Log::Unset => {
            let why = "an application runs on a log: `StreamsConfig::kafka(\"host:9092\")` or `StreamsConfig::embedded(\"directory\")`";
            Err(ConfigError::Missing {
                key: "bootstrap.servers",
                why,
            }
            .into())
        }
    }
}

/// Starts an application on a log that is already open.
///
/// # Errors
/// As [`start`].
pub fn start_on<A: Topology>(
    app: Arc<A>,
    queries: QueryRegistry,
    config: StreamsConfig,
    transport: Arc<dyn Transport>,
) -> Result<Running<A>> {
    let code = app.clone();
    let subtopologies: SubTopologies = Arc::new(move |index| A::subtopology(&code, index));
    let streams = KafkaStreams::start(A::TOPOLOGY, subtopologies, queries, config, transport)?;
    Ok(Running { app, streams })
}

/// A running application. It derefs to the topology's struct, whose table fields answer queries; dropping it stops it, as
/// [`close`](Self::close) does, and loses what went wrong. The guide `docs/program.md` has an example that runs.
pub struct Running<A> {
    app: Arc<A>,
    streams: KafkaStreams,
}

impl<A> fmt::Debug for Running<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Running").field(&self.streams).finish()
    }
}

impl<A> Deref for Running<A> {
    type Target = A;
    fn deref(&self) -> &A {
        &self.app
    }
}

impl<A> Drop for Running<A> {
    fn drop(&mut self) {
        // What went wrong was logged; who wants to know it calls `close`.
        drop(self.streams.close());
    }
}

impl<A> Running<A> {
    /// The handle without the topology's type.
    #[must_use]
    pub fn streams(&self) -> &KafkaStreams {
        &self.streams
    }

    /// The state now.
    #[must_use]
    pub fn state(&self) -> State {
        self.streams.state()
    }

    /// The states from now on, the present one first.
    #[must_use]
    pub fn state_changes(&self) -> watch::Receiver<State> {
        self.streams.state_changes()
    }

    /// Stops: commits, leaves the group, waits for the threads. What went wrong while running is the error.
    ///
    /// # Errors
    /// When a thread had failed.
    pub fn close(self) -> Result {
        self.streams.close()
    }

    /// Waits until the application stops, by itself, by a signal or by [`KafkaStreams::close`] from elsewhere.
    ///
    /// # Errors
    /// When a thread failed.
    pub async fn closed(&self) -> Result {
        self.streams.closed().await
    }
}

/// The topology on the log. A broker that just died, a new controller, an overloaded machine: they are waited for a little.
fn resolve(
    descriptor: &'static TopologyDescriptor,
    config: &StreamsConfig,
    transport: &dyn Transport,
    clock: &dyn Clock,
) -> Result<ResolvedTopology> {
    let since = clock.elapsed();
    loop {
        let admin = transport.admin();
        let resolved = admin.map_err(Error::from).and_then(|mut admin| {
            topics::resolve(descriptor, config, &BTreeMap::new(), &mut *admin)
        });
        let waited = clock.elapsed().saturating_sub(since);
        match resolved {
            Err(Error::Transport(TransportError::Retriable(why))) if waited < START_PATIENCE => {
                tracing::warn!("the log cannot be reached yet: {why}");
                clock.sleep(retry::BACKOFF);
            }
            other => return other.map_err(topics::unreachable),
        }
    }
}

/// The global tables, complete: they are before the first record is processed. Brokers that are away are waited for.
fn bootstrap(
    open: impl Fn() -> TaskResult<Option<GlobalTables>>,
    config: &StreamsConfig,
    clock: &dyn Clock,
) -> TaskResult<Option<GlobalTables>> {
    let retried = |retry: &mut Retry, error: TaskError| {
        retry.unless_lasting(clock, config.task_timeout, "GlobalStreamThread", error)
    };
    let mut retry = Retry::default();
    let mut globals = loop {
        match open() {
            Ok(Some(globals)) => break globals,
            Ok(None) => return Ok(None),
            Err(e) => retried(&mut retry, e)?,
        }
    };
    while !globals.is_bootstrapped() {
        match globals.step(config.poll) {
            Ok(_) => retry.succeeded(),
            Err(e) => retried(&mut retry, e)?,
        }
    }
    Ok(Some(globals))
}

/// The handle of a running application, whatever its topology. Clones are the same application.
#[derive(Debug, Clone)]
pub struct KafkaStreams {
    threads: Arc<Threads>,
    statistics: Arc<Counters>,
    restores: Arc<Restores>,
}

impl KafkaStreams {
    fn start(
        descriptor: &'static TopologyDescriptor,
        subtopologies: SubTopologies,
        queries: QueryRegistry,
        config: StreamsConfig,
        transport: Arc<dyn Transport>,
    ) -> Result<Self> {
        config.validate()?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let started_ms = clock.now_ms();
        let directory = StateDirectory::open(
            &config.state_path(),
            descriptor.application_id,
            Uuid::new_v4,
        )?;
        if let Some(age) = config.state_cleanup_max_age {
            for task in directory.remove_older(clock.now_ms(), age)? {
                tracing::info!(%task, "removed state that is too old (`state.cleanup.dir.max.age.ms`)");
            }
        }
        let process_id = directory.process_id().to_string();
        let topology = resolve(descriptor, &config, &*transport, &*clock)?;
        let state = StateLocation::Directory(Arc::new(directory));
        let client_id = format!("{}-{process_id}", descriptor.application_id);
        let statistics = Arc::new(Counters::default());
        let restores = Arc::new(Restores::default());
        let teller = Teller {
            listener: config.restore_listener(),
            restores: restores.clone(),
        };
        let open = || {
            GlobalTables::open(GlobalParts {
                topology: &topology,
                subtopologies: &subtopologies,
                config: &config,
                state: &state,
                transport: &*transport,
                client_id: &client_id,
                clock: clock.clone(),
                teller: teller.clone(),
            })
        };
        let globals = bootstrap(open, &config, &*clock)?;
        if let Some(globals) = &globals {
            globals.register(&queries);
        }
        topology.tell(&queries);
        queries.set_running(true);
        let app = Arc::new(Application {
            topology,
            threads: AtomicUsize::new(config.num_stream_threads),
            counts: topic_counts(&transport, &config),
            config,
            subtopologies,
            transport,
            clock,
            state,
            queries,
            globals: globals
                .as_ref()
                .map(GlobalTables::readers)
                .unwrap_or_default(),
            process_id,
            started_ms,
            shutdown: AtomicI64::new(-1),
            restores: restores.clone(),
            statistics: statistics.clone(),
        });
        Ok(KafkaStreams {
            threads: Threads::start(app, globals)?,
            statistics,
            restores,
        })
    }

    /// The state now.
    #[must_use]
    pub fn state(&self) -> State {
        self.threads.lifecycle.state()
    }

    /// The states from now on, the present one first.
    #[must_use]
    pub fn state_changes(&self) -> watch::Receiver<State> {
        self.threads.lifecycle.watch()
    }

    /// Calls `listener` with the old and the new state at each change, on the thread that causes it.
    pub fn on_state_change(&self, listener: impl Fn(State, State) + Send + Sync + 'static) {
        self.threads.lifecycle.listen(Arc::new(listener));
    }

    /// What the application has done so far, also after it has ended. At most one step of a thread behind.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.statistics.sum()
    }

    /// The stores that are being restored now, and how far each is.
    #[must_use]
    pub fn restoring(&self) -> Vec<RestoreProgress> {
        self.restores.all()
    }

    /// Waits until the application is in a state; `false` if it stops before, or is not there in time.
    #[must_use]
    pub fn wait_for(&self, state: State, timeout: Duration) -> bool {
        self.threads.lifecycle.wait_for(state, timeout)
    }

    /// Stops: commits, leaves the group, waits for the threads. What went wrong while running is the error.
    ///
    /// On one of the application's own threads, in a state listener say, it cannot wait and only tells them to stop.
    ///
    /// # Errors
    /// When a thread had failed.
    pub fn close(&self) -> Result {
        self.threads.stop();
        if !self.threads.is_called_by_one() {
            self.threads.join();
            self.threads.lifecycle.wait(None);
        }
        self.result()
    }

    /// As [`close`](Self::close), but waits only so long.
    ///
    /// # Errors
    /// When a thread had failed, or does not end in time.
    pub fn close_within(&self, timeout: Duration) -> Result {
        self.threads.stop();
        match self.threads.lifecycle.wait(Some(timeout)) {
            Some(_) => self.close(),
            None => Err(LifecycleError::CloseTimeout(timeout).into()),
        }
    }

    /// Waits until the application has stopped.
    ///
    /// # Errors
    /// When a thread failed.
    pub async fn closed(&self) -> Result {
        let mut states = self.state_changes();
        // The sender lives as long as this handle.
        drop(states.wait_for(|state| state.is_final()).await);
        self.result()
    }

    fn result(&self) -> Result {
        self.threads
            .lifecycle
            .failure()
            .map_or(Ok(()), |failure| Err(failure.into()))
    }

    /// Adds a stream thread; its name. Tasks move to it as soon as those that have them have committed.
    ///
    /// # Errors
    /// When the application is not running.
    pub fn add_stream_thread(&self) -> Result<String> {
        self.threads.add()
    }

    /// Removes a stream thread, the last one added first, and waits until it has committed and given back its tasks; its
    /// name, if there was one.
    ///
    /// # Errors
    /// When the application is not running.
    pub fn remove_stream_thread(&self) -> Result<Option<String>> {
        self.threads.remove()
    }

    /// The names of the stream threads.
    #[must_use]
    pub fn stream_threads(&self) -> Vec<String> {
        self.threads.names()
    }

    /// Runs until SIGINT or SIGTERM comes, then stops cleanly; or until it stops by itself.
    ///
    /// # Errors
    /// When a thread failed, or signals cannot be listened to.
    pub fn run_until_signal(&self) -> Result {
        let wrong = |source| Error::Io {
            what: "waiting for signals".to_owned(),
            source,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(wrong)?;
        runtime.block_on(async {
            use tokio::signal::unix::{SignalKind, signal};
            let mut interrupt = signal(SignalKind::interrupt()).map_err(wrong)?;
            let mut terminate = signal(SignalKind::terminate()).map_err(wrong)?;
            tokio::select! {
                _ = interrupt.recv() => Ok(()),
                _ = terminate.recv() => Ok(()),
                result = self.closed() => result,
            }
        })?;
        self.close()
    }
}
