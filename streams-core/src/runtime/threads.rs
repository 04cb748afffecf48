//! Layer 6. The only place that starts threads: a stream thread for each worker, one for the global tables.

use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::application::Application;
use super::lifecycle::Lifecycle;
use super::retry::Retry;
use super::statistics::Statistics;
use super::updater::{self, Updater, Updating};
use super::worker::{self, Worker};
use crate::error::{BoxError, LifecycleError, Result};
use crate::exceptions::StreamThreadExceptionResponse;
use crate::global::GlobalTables;

/// How long the global tables' thread waits for records before it looks whether it is to stop.
const GLOBAL_POLL: Duration = Duration::from_millis(100);

thread_local! {
    /// Whose thread this is: the address of its [`Threads`], which it keeps alive.
    static OF: Cell<usize> = const { Cell::new(0) };
}

/// The threads of an application, and what they share.
pub(super) struct Threads {
    pub(super) lifecycle: Lifecycle,
    /// Gone once the application has stopped, and with it the lock of its state directory.
    app: Mutex<Option<Arc<Application>>>,
    stream_threads: Mutex<Vec<StreamThread>>,
    global_thread: Mutex<Option<JoinHandle<()>>>,
}

/// A stream thread, as the others see it.
struct StreamThread {
    index: usize,
    name: String,
    signals: Arc<Signals>,
    handle: Option<JoinHandle<()>>,
}

/// What a stream thread and the rest tell one another.
#[derive(Debug, Default)]
struct Signals {
    /// Told to it: end.
    stop: AtomicBool,
    /// Told by it: every task is processing.
    running: AtomicBool,
    /// Told by it: it has ended.
    ended: AtomicBool,
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Threads")
            .field("lifecycle", &self.lifecycle)
            .finish_non_exhaustive()
    }
}

impl Threads {
    /// Starts the configured number of threads.
    pub(super) fn start(
        app: Arc<Application>,
        globals: Option<GlobalTables>,
    ) -> Result<Arc<Threads>> {
        let count = app.config.num_stream_threads;
        let threads = Arc::new(Threads {
            lifecycle: Lifecycle::new(),
            app: Mutex::new(Some(app.clone())),
            stream_threads: Mutex::default(),
            global_thread: Mutex::default(),
        });
        threads.lifecycle.observed(false);
        let started = threads.spawn_all(app, globals, count);
        if let Err(e) = started {
            threads.stop();
            threads.join();
            return Err(e);
        }
        Ok(threads)
    }

    fn spawn_all(
        self: &Arc<Self>,
        app: Arc<Application>,
        globals: Option<GlobalTables>,
        count: usize,
    ) -> Result {
        if let Some(globals) = globals {
            let name = format!("{}-GlobalStreamThread", app.client_id());
            let threads = self.clone();
            let body = move || threads.run_globals(globals, &app);
            *self.lock_global() = Some(self.spawn(&name, body)?);
        }
        (0..count).try_for_each(|_| self.add().map(|_| ()))
    }

    /// Starts a thread whose end, however it comes, is noticed.
    fn spawn(
        self: &Arc<Self>,
        name: &str,
        body: impl FnOnce() + Send + 'static,
    ) -> Result<JoinHandle<()>> {
        self.lifecycle.begun();
        let guard = Ended {
            threads: self.clone(),
            name: name.to_owned(),
        };
        let spawned = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                OF.set(guard.threads.address());
                let _guard = guard;
                body();
            });
        spawned.map_err(|source| crate::error::Error::Io {
            what: format!("starting the thread {name}"),
            source,
        })
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Whether the caller is one of these threads, a state listener say: then it must not wait for their end.
    pub(super) fn is_called_by_one(&self) -> bool {
        OF.get() == self.address()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<StreamThread>> {
        self.stream_threads
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_global(&self) -> MutexGuard<'_, Option<JoinHandle<()>>> {
        self.global_thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn application(&self, what: &'static str) -> Result<Arc<Application>> {
        let state = self.lifecycle.state();
        let app = self
            .app
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        match app.filter(|_| !state.is_ending()) {
            Some(app) => Ok(app),
            None => Err(LifecycleError::NotRunning {
                what,
                state: state.to_string(),
            }
            .into()),
        }
    }

    /// Starts another stream thread. Tells its name.
    pub(super) fn add(self: &Arc<Self>) -> Result<String> {
        let app = self.application("adding a stream thread")?;
        let mut list = self.lock();
        list.retain(|t| !t.signals.ended.load(Ordering::Acquire));
        let index = (1..)
            .find(|index| list.iter().all(|t| t.index != *index))
            .unwrap_or_default();
        let name = format!("{}-StreamThread-{index}", app.client_id());
        app.threads.store(list.len() + 1, Ordering::Relaxed);
        let signals = Arc::new(Signals::default());
        let handle = self.spawn(&name, {
            let (threads, signals, name) = (self.clone(), signals.clone(), name.clone());
            move || {
                threads.run_stream(app, index, &name, &signals);
                signals.running.store(true, Ordering::Release);
                signals.ended.store(true, Ordering::Release);
            }
        })?;
        list.push(StreamThread {
            index,
            name: name.clone(),
            signals,
            handle: Some(handle),
        });
        Ok(name)
    }

    /// Stops the stream thread that was added last, and waits until its tasks are given back. Tells its name.
    pub(super) fn remove(&self) -> Result<Option<String>> {
        let app = self.application("removing a stream thread")?;
        let mut removed = {
            let mut list = self.lock();
            list.retain(|t| !t.signals.ended.load(Ordering::Acquire));
            let Some(removed) = list.pop() else {
                return Ok(None);
            };
            app.threads.store(list.len().max(1), Ordering::Relaxed);
            removed
        };
        removed.signals.stop.store(true, Ordering::Release);
        drop(app);
        join(&mut removed.handle);
        Ok(Some(removed.name))
    }

    /// The names of the stream threads.
    pub(super) fn names(&self) -> Vec<String> {
        let list = self.lock();
        let alive = list
            .iter()
            .filter(|t| !t.signals.ended.load(Ordering::Acquire));
        alive.map(|t| t.name.clone()).collect()
    }

    /// Tells every thread to end.
    pub(super) fn stop(&self) {
        self.lifecycle.stop();
        if !self.lifecycle.is_alive() {
            self.lifecycle.finish(|| self.let_go());
        }
    }

    /// Waits for threads that were told to end, so that nothing of theirs is open afterwards.
    pub(super) fn join(&self) {
        let mut handles: Vec<_> = self
            .lock()
            .iter_mut()
            .filter_map(|t| t.handle.take())
            .collect();
        handles.extend(self.lock_global().take());
        for handle in handles {
            join(&mut Some(handle));
        }
    }

    fn let_go(&self) {
        let app = self
            .app
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(app) = &app {
            app.queries.set_running(false);
        }
    }

    fn run_stream(
        self: &Arc<Self>,
        app: Arc<Application>,
        index: usize,
        name: &str,
        signals: &Signals,
    ) {
        let _span = tracing::info_span!("stream_thread", name).entered();
        let poll = app.config.poll;
        let mut summary = Summary::new(&app);
        let updating = match self.start_updater(&app, index) {
            Ok(updating) => updating,
            Err(error) => return self.failed(name, &error),
        };
        let mut worker = Worker::with_updater(app.clone(), index, updating);
        let result = loop {
            if signals.stop.load(Ordering::Acquire) || self.lifecycle.state().is_ending() {
                break worker.close();
            }
            match worker.step(poll) {
                Ok(_) => {
                    signals
                        .running
                        .store(worker.is_running(), Ordering::Release);
                    self.observe();
                    summary.tell(&app, worker.stats());
                }
                // Without a commit: what was done since the last one will be done again.
                Err(error) => {
                    worker.write_dead_letters();
                    let response = match error.requested_shutdown() {
                        Some(at) => {
                            app.request_shutdown(at);
                            StreamThreadExceptionResponse::ShutdownApplication
                        }
                        None => app.config.uncaught.ask(&error),
                    };
                    match response {
                        StreamThreadExceptionResponse::ReplaceThread => {
                            tracing::error!("replacing the stream thread: {error}");
                            worker.replace();
                        }
                        StreamThreadExceptionResponse::ShutdownClient => {
                            worker.close_processors();
                            break Err(error);
                        }
                        StreamThreadExceptionResponse::ShutdownApplication => {
                            let at = app.request_shutdown(app.clock.now_ms());
                            // First, so that the instance's other threads take no task of this one.
                            self.failed(name, &error);
                            worker.shut_down_application(at);
                            break Ok(());
                        }
                    }
                }
            }
        };
        drop(app);
        if let Err(error) = result {
            self.failed(name, &error);
        }
    }

    /// Starts the thread that restores a stream thread's tasks. It ends with the stream thread.
    fn start_updater(self: &Arc<Self>, app: &Arc<Application>, index: usize) -> Result<Updating> {
        let name = format!("{}-StateUpdater-{index}", app.client_id());
        let updater = Updater::new(app.clone(), &worker::member(app, index));
        let shared = Arc::new(updater::Shared::default());
        let body = {
            let (shared, name) = (shared.clone(), name.clone());
            move || {
                let _span = tracing::info_span!("state_updater", name).entered();
                updater::run(updater, &shared);
            }
        };
        let thread = self.spawn(&name, body)?;
        Ok(Updating::on_thread(shared, thread))
    }

    fn run_globals(&self, mut globals: GlobalTables, app: &Application) {
        let mut retry = Retry::default();
        let mut told = Statistics::default();
        let result = loop {
            let done = Statistics {
                dropped: globals.dropped_records(),
                restored: globals.done().restored,
                wiped: globals.done().wiped,
                ..Statistics::default()
            };
            if done != told {
                app.statistics.add(&done.since(&told));
                told = done;
            }
            if self.lifecycle.state().is_ending() {
                break globals.close();
            }
            match globals.step(GLOBAL_POLL) {
                Ok(_) => retry.succeeded(),
                Err(e) => {
                    let (clock, timeout) = (&*app.clock, app.config.task_timeout);
                    let again = retry.unless_lasting(clock, timeout, "GlobalStreamThread", e);
                    if again.is_err() {
                        break again;
                    }
                }
            }
        };
        if let Err(error) = result {
            match app.config.uncaught.ask(&error) {
                StreamThreadExceptionResponse::ReplaceThread => tracing::error!(
                    "the thread of global tables cannot be replaced: the client is shut down"
                ),
                StreamThreadExceptionResponse::ShutdownClient => {}
                // The stream threads tell the others as they close.
                StreamThreadExceptionResponse::ShutdownApplication => {
                    app.request_shutdown(app.clock.now_ms());
                }
            }
            self.failed("GlobalStreamThread", &error);
        }
    }

    /// Tells the application's state from its threads'.
    fn observe(&self) {
        let running = self
            .lock()
            .iter()
            .all(|t| t.signals.running.load(Ordering::Acquire));
        self.lifecycle.observed(running);
    }

    /// A failure after which the client shuts down.
    fn failed(&self, name: &str, error: &dyn fmt::Display) {
        tracing::error!(thread = name, "shutting down: {error}");
        self.lifecycle.fail(LifecycleError::Failed {
            thread: name.to_owned(),
            message: error.to_string(),
        });
    }
}

fn join(handle: &mut Option<JoinHandle<()>>) {
    // A thread that stops the application, a listener's say, does not wait for itself.
    if let Some(handle) = handle
        .take()
        .filter(|h| h.thread().id() != std::thread::current().id())
    {
        // A panic was told by the guard.
        drop(handle.join());
    }
}

/// Notices the end of a thread, a panic included: a user's closure may panic, and then nothing may go on as if all were well.
struct Ended {
    threads: Arc<Threads>,
    name: String,
}

impl Drop for Ended {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.threads.failed(
                &self.name,
                &BoxError::from("it panicked; its message is on standard error"),
            );
        }
        self.threads.lifecycle.ended(|| self.threads.let_go());
    }
}

/// Tells from time to time what a thread has done.
struct Summary {
    last: Duration,
    before: Statistics,
}

impl Summary {
    fn new(app: &Application) -> Self {
        Summary {
            last: app.clock.elapsed(),
            before: Statistics::default(),
        }
    }

    fn tell(&mut self, app: &Application, stats: Statistics) {
        let interval = app.config.log_summary_interval;
        let now = app.clock.elapsed();
        if interval.is_zero() || now.saturating_sub(self.last) < interval {
            return;
        }
        let done = stats.since(&self.before);
        tracing::info!(
            processed = done.processed,
            commits = done.commits,
            rollbacks = done.rollbacks,
            restored = done.restored,
            "in the last {:?}",
            now.saturating_sub(self.last)
        );
        self.last = now;
        self.before = stats;
    }
}
