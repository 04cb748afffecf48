//! Layer 6. What an application has done since it was started: counted by each worker, added up here.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

/// What an application has done since this process started it, all its threads together, ended ones included. Every number
/// only grows. As JSON, the fields have these names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Statistics {
    /// Records processed, those included that were processed again after a rollback.
    pub processed: u64,
    /// Records dropped instead of processed (`dropped-records-total`).
    pub dropped: u64,
    /// Commits.
    pub commits: u64,
    /// Returns to the last commit: every task of a thread was rebuilt from its state and its changelogs' tails.
    pub rollbacks: u64,
    /// Transactions that were aborted.
    pub aborts: u64,
    /// Times that another took a thread's place in the group or with its producer, and the thread joined anew.
    pub fenced: u64,
    /// Changelog records applied to bring tasks' stores up to date.
    pub restored: u64,
    /// Stores whose state could not be used and was thrown away, to be restored from the changelog's beginning: it was damaged,
    /// or its offset is not in the changelog any more. A crash causes none.
    pub wiped: u64,
}

impl Statistics {
    /// What was done since an earlier look.
    #[must_use]
    pub fn since(&self, before: &Statistics) -> Statistics {
        self.zip(before, u64::saturating_sub)
    }

    /// Both together.
    #[must_use]
    pub(crate) fn and(&self, other: &Statistics) -> Statistics {
        self.zip(other, u64::saturating_add)
    }

    fn zip(&self, other: &Statistics, f: impl Fn(u64, u64) -> u64) -> Statistics {
        Statistics {
            processed: f(self.processed, other.processed),
            dropped: f(self.dropped, other.dropped),
            commits: f(self.commits, other.commits),
            rollbacks: f(self.rollbacks, other.rollbacks),
            aborts: f(self.aborts, other.aborts),
            fenced: f(self.fenced, other.fenced),
            restored: f(self.restored, other.restored),
            wiped: f(self.wiped, other.wiped),
        }
    }
}

/// The sum of what all workers have done.
#[derive(Debug, Default)]
pub(crate) struct Counters(Mutex<Statistics>);

impl Counters {
    fn lock(&self) -> MutexGuard<'_, Statistics> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what a worker has done since it last did.
    pub(crate) fn add(&self, more: &Statistics) {
        let mut sum = self.lock();
        *sum = sum.and(more);
    }

    /// The sum.
    pub(crate) fn sum(&self) -> Statistics {
        *self.lock()
    }
}
