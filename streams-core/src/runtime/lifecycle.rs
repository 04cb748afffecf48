//! Layer 6. The states of an application, which follow from what its threads are doing, and who is told of them.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::error::LifecycleError;

/// The state of an application, as Kafka Streams names them.
///
/// ```text
///               +--------------+
///       +<----- | CREATED      |
///       |       +-----+--------+
///       |             v
///       |       +-----+--------+
///       +<----- | REBALANCING  | <----+
///       |       +-----+--------+      |
///       |             v               |
///       |       +-----+--------+      |
///       +<----- | RUNNING      | ---->+
///       |       +-----+--------+
///       v             v
/// +-----+-------+   +-+------------+
/// | PENDING     |   | PENDING      |
/// | SHUTDOWN    |   | ERROR        |
/// +-----+-------+   +-+------------+
///       v             v
/// +-----+-------+   +-+------------+
/// | NOT_RUNNING |   | ERROR        |
/// +-------------+   +--------------+
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// Made, not started.
    Created,
    /// Tasks are being assigned or restored.
    Rebalancing,
    /// Every task here is processing.
    Running,
    /// Told to stop; committing.
    PendingShutdown,
    /// Stopped.
    NotRunning,
    /// A thread failed; stopping.
    PendingError,
    /// Stopped because of an error.
    Error,
}

impl State {
    /// Whether nothing will change it any more.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, State::NotRunning | State::Error)
    }

    /// Whether it is stopping or has stopped.
    #[must_use]
    pub fn is_ending(self) -> bool {
        !matches!(self, State::Created | State::Rebalancing | State::Running)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::Created => "CREATED",
            State::Rebalancing => "REBALANCING",
            State::Running => "RUNNING",
            State::PendingShutdown => "PENDING_SHUTDOWN",
            State::NotRunning => "NOT_RUNNING",
            State::PendingError => "PENDING_ERROR",
            State::Error => "ERROR",
        })
    }
}

type Listener = Arc<dyn Fn(State, State) + Send + Sync>;

/// Where the state lies, and who wants to know of its changes.
pub(super) struct Lifecycle {
    inner: Mutex<Inner>,
    changed: Condvar,
    watch: watch::Sender<State>,
    listeners: Mutex<Vec<Listener>>,
}

#[derive(Debug)]
struct Inner {
    state: State,
    /// Threads that have not ended.
    alive: usize,
    failure: Option<LifecycleError>,
    /// Changes that listeners have not heard of.
    untold: VecDeque<(State, State)>,
    /// Whether a thread is telling them.
    told_by_one: bool,
}

/// The right to tell listeners. Given back when there is nothing left to tell, or when a listener panics.
struct Telling<'l> {
    of: &'l Lifecycle,
    given_back: bool,
}

impl Telling<'_> {
    fn next(&mut self) -> Option<(State, State)> {
        let mut inner = self.of.lock();
        let next = inner.untold.pop_front();
        self.given_back = next.is_none();
        inner.told_by_one = !self.given_back;
        next
    }
}

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        if !self.given_back {
            self.of.lock().told_by_one = false;
        }
    }
}

impl fmt::Debug for Lifecycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lifecycle")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl Lifecycle {
    pub(super) fn new() -> Self {
        Lifecycle {
            inner: Mutex::new(Inner {
                state: State::Created,
                alive: 0,
                failure: None,
                untold: VecDeque::new(),
                told_by_one: false,
            }),
            changed: Condvar::new(),
            watch: watch::channel(State::Created).0,
            listeners: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn state(&self) -> State {
        self.lock().state
    }

    pub(super) fn failure(&self) -> Option<LifecycleError> {
        self.lock().failure.clone()
    }

    pub(super) fn watch(&self) -> watch::Receiver<State> {
        self.watch.subscribe()
    }

    pub(super) fn listen(&self, listener: Listener) {
        self.listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(listener);
    }

    /// Another thread lives.
    pub(super) fn begun(&self) {
        self.lock().alive += 1;
    }

    /// What the threads do says that the application is running, or not yet. Does nothing once it is stopping.
    pub(super) fn observed(&self, running: bool) {
        let to = if running {
            State::Running
        } else {
            State::Rebalancing
        };
        self.transition(|inner| {
            if inner.state.is_ending() {
                inner.state
            } else {
                to
            }
        });
    }

    /// It is to stop.
    pub(super) fn stop(&self) {
        self.transition(|inner| {
            if inner.state.is_ending() {
                inner.state
            } else {
                State::PendingShutdown
            }
        });
    }

    /// It is to stop because of an error; the first one is kept.
    pub(super) fn fail(&self, failure: LifecycleError) {
        self.transition(|inner| {
            inner.failure.get_or_insert(failure);
            if inner.state.is_final() {
                inner.state
            } else {
                State::PendingError
            }
        });
    }

    /// A thread has ended. `last` is called when it was the last one and the application is to stop, before anybody is told
    /// that it has.
    pub(super) fn ended(&self, last: impl FnOnce()) {
        let finished = {
            let mut inner = self.lock();
            inner.alive = inner.alive.saturating_sub(1);
            inner.alive == 0 && inner.state.is_ending()
        };
        if finished {
            self.finish(last);
        }
    }

    /// It is stopping and no thread lives.
    pub(super) fn finish(&self, last: impl FnOnce()) {
        last();
        self.transition(|inner| match inner.state {
            State::PendingError => State::Error,
            State::PendingShutdown => State::NotRunning,
            other => other,
        });
    }

    /// Whether any thread lives.
    pub(super) fn is_alive(&self) -> bool {
        self.lock().alive > 0
    }

    fn transition(&self, to: impl FnOnce(&mut Inner) -> State) {
        let mut inner = self.lock();
        let before = inner.state;
        let after = to(&mut inner);
        if before == after {
            return;
        }
        inner.state = after;
        inner.untold.push_back((before, after));
        tracing::info!("state {before} -> {after}");
        self.watch.send_replace(after);
        self.changed.notify_all();
        // One thread at a time tells, so that listeners hear of changes in their order; also of those that they cause.
        if inner.told_by_one {
            return;
        }
        inner.told_by_one = true;
        drop(inner);
        let mut telling = Telling {
            of: self,
            given_back: false,
        };
        while let Some((before, after)) = telling.next() {
            // Outside the lock, so that a listener may ask for the state.
            let listeners = self
                .listeners
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            for listener in listeners {
                listener(before, after);
            }
        }
    }

    /// Waits for a state; `false` if it does not come in time or never will.
    pub(super) fn wait_for(&self, state: State, timeout: Duration) -> bool {
        let inner = self.lock();
        let pending = |inner: &mut Inner| inner.state != state && !inner.state.is_final();
        let waited = self.changed.wait_timeout_while(inner, timeout, pending);
        waited.unwrap_or_else(PoisonError::into_inner).0.state == state
    }

    /// Waits for a final state; `None` if it takes longer.
    pub(super) fn wait(&self, timeout: Option<Duration>) -> Option<State> {
        let inner = self.lock();
        let pending = |inner: &mut Inner| !inner.state.is_final();
        match timeout {
            None => Some(
                self.changed
                    .wait_while(inner, pending)
                    .unwrap_or_else(PoisonError::into_inner)
                    .state,
            ),
            Some(timeout) => {
                let (inner, waited) = self
                    .changed
                    .wait_timeout_while(inner, timeout, pending)
                    .unwrap_or_else(PoisonError::into_inner);
                if waited.timed_out() {
                    None
                } else {
                    Some(inner.state)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_follow_the_threads() {
        let lifecycle = Lifecycle::new();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let to = seen.clone();
        lifecycle.listen(Arc::new(move |from, into| {
            to.lock().unwrap().push((from, into))
        }));
        lifecycle.begun();
        lifecycle.observed(false);
        lifecycle.observed(true);
        lifecycle.observed(true);
        lifecycle.stop();
        lifecycle.observed(false);
        assert_eq!(lifecycle.wait(Some(Duration::ZERO)), None);
        lifecycle.ended(|| ());
        assert_eq!(lifecycle.wait(None), Some(State::NotRunning));
        lifecycle.stop();
        use State::*;
        let expected = [
            (Created, Rebalancing),
            (Rebalancing, Running),
            (Running, PendingShutdown),
            (PendingShutdown, NotRunning),
        ];
        assert_eq!(*seen.lock().unwrap(), expected);
    }

    #[test]
    fn the_first_failure_is_kept_and_ends_in_error() {
        let lifecycle = Lifecycle::new();
        lifecycle.begun();
        lifecycle.begun();
        let failure = |thread: &str| LifecycleError::Failed {
            thread: thread.into(),
            message: "x".into(),
        };
        lifecycle.fail(failure("1"));
        lifecycle.fail(failure("2"));
        lifecycle.ended(|| ());
        assert_eq!(lifecycle.state(), State::PendingError);
        lifecycle.ended(|| ());
        assert_eq!(
            (lifecycle.state(), lifecycle.failure()),
            (State::Error, Some(failure("1")))
        );
    }
}
