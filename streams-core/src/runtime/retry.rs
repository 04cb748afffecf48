//! Layer 6. How long a transient failure is retried: `task.timeout.ms`, with a pause after each attempt.

use std::time::Duration;

use crate::error::{ErrorClass, TaskError, TaskFailure, TaskResult};
use crate::time::Clock;

/// How long to wait before a transient failure's step is tried again.
pub(super) const BACKOFF: Duration = Duration::from_millis(50);

/// So many rollbacks in a row are not given up, however long they take: each may have restored a store.
const ROLLBACKS: u32 = 10;

/// What was tried and failed, since it last succeeded.
#[derive(Debug, Default)]
pub(super) struct Retry {
    failing: Option<Failing>,
}

#[derive(Debug)]
struct Failing {
    since: Duration,
    attempts: u32,
}

impl Retry {
    /// It went well.
    pub(super) fn succeeded(&mut self) {
        self.failing = None;
    }

    /// After any failure of `who`, who can do nothing about one but try again: as [`failed`](Self::failed) if it may pass.
    pub(super) fn unless_lasting(
        &mut self,
        clock: &dyn Clock,
        timeout: Duration,
        who: &str,
        error: TaskError,
    ) -> TaskResult {
        match error.class() {
            ErrorClass::Retriable => self.failed(clock, timeout, who, error),
            _ => Err(error),
        }
    }

    /// After a transient failure of `who`: waits a little, unless it has lasted as long as `timeout` already.
    pub(super) fn failed(
        &mut self,
        clock: &dyn Clock,
        timeout: Duration,
        who: &str,
        error: TaskError,
    ) -> TaskResult {
        let error = self.again(clock.elapsed(), timeout, 1, error)?;
        let attempts = self.failing.as_ref().map(|f| f.attempts);
        tracing::debug!(who, attempts, "will be retried: {error}");
        clock.sleep(BACKOFF);
        Ok(())
    }

    /// After a failure that rolls back, with nothing committed since the one before: gives it up when that goes on for `timeout`, else
    /// gives the failure back, to roll back once more.
    pub(super) fn rolls_back(
        &mut self,
        now: Duration,
        timeout: Duration,
        error: TaskError,
    ) -> TaskResult<TaskError> {
        self.again(now, timeout, ROLLBACKS, error)
    }

    /// Counts a failure; gives it back, unless there were more than so many for so long.
    fn again(
        &mut self,
        now: Duration,
        timeout: Duration,
        attempts: u32,
        error: TaskError,
    ) -> TaskResult<TaskError> {
        let failing = self.failing.get_or_insert(Failing {
            since: now,
            attempts: 0,
        });
        failing.attempts += 1;
        let after = now.saturating_sub(failing.since);
        if after >= timeout && failing.attempts > attempts {
            let last = Box::new(error.into_failure());
            return Err(TaskFailure::Timeout { after, last }.into());
        }
        Ok(error)
    }
}
