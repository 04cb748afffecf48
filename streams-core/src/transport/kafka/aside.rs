//! Layer 2. A thread aside for a call of librdkafka that may never return: it is waited for as long as makes sense.
//!
//! librdkafka 2.12 gives up a broker that the others do not know any more, and forgets who waits for it. When the coordinator of
//! a group dies while offsets are sent to it, `rd_kafka_send_offsets_to_transaction` waits, whatever its time-out, until another
//! connection of this client happens to come or go. In a stream thread that would be an application that stands still, and a
//! group that waits for its member.

use std::fmt;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use crate::transport::TransportError;

type Call<T> = Box<dyn FnOnce() -> T + Send>;

/// A thread that makes one call at a time. It ends with this value, or with the call that never seemed to return.
pub(super) struct Aside<T> {
    calls: Sender<Call<T>>,
    answers: Receiver<T>,
}

impl<T> fmt::Debug for Aside<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aside").finish_non_exhaustive()
    }
}

impl<T: Send + 'static> Aside<T> {
    /// Starts the thread.
    pub(super) fn start(name: &str) -> Result<Self, TransportError> {
        let (calls, asked) = channel::<Call<T>>();
        let (answer, answers) = channel();
        let body = move || {
            while let Ok(call) = asked.recv() {
                if answer.send(call()).is_err() {
                    break;
                }
            }
        };
        match thread::Builder::new().name(name.to_owned()).spawn(body) {
            // It is not waited for: it may be in a call that does not return.
            Ok(_) => Ok(Aside { calls, answers }),
            Err(e) => Err(TransportError::Retriable(format!("starting a thread: {e}"))),
        }
    }

    /// Makes a call there and waits for what it tells. `None`: it has not returned in time, and goes on by itself, with
    /// everything that was moved into it.
    pub(super) fn call(
        self,
        call: impl FnOnce() -> T + Send + 'static,
        patience: Duration,
    ) -> Option<(Self, T)> {
        self.calls.send(Box::new(call)).ok()?;
        let answer = self.answers.recv_timeout(patience).ok()?;
        Some((self, answer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_does_not_return_is_given_up() {
        let aside = Aside::start("test").unwrap();
        let (aside, answer) = aside.call(|| 1, Duration::from_secs(60)).unwrap();
        assert_eq!(answer, 1);
        let (end, ended) = channel::<()>();
        let (begin, begun) = channel();
        let hangs = move || {
            begin.send(()).unwrap();
            // Until the test lets it.
            let _ = ended.recv();
            2
        };
        assert!(aside.call(hangs, Duration::from_millis(1)).is_none());
        begun.recv().unwrap();
        drop(end);
    }
}
