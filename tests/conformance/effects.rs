//! What a topology's functions log, in call order. The test driver runs on the test's own thread.

use std::cell::RefCell;

thread_local! {
    static LOG: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Called by the functions of a topology.
pub(crate) fn log(text: String) {
    LOG.with_borrow_mut(|log| log.push(text));
}

/// What was logged since the last call.
pub(crate) fn take() -> Vec<String> {
    LOG.take()
}
