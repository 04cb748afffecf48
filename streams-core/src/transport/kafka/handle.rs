//! Layer 2. An owned librdkafka client: made, polled, asked what went wrong, destroyed. Shared by producer and membership.
//!
//! They need calls that rdkafka's safe clients hide or slow down: explicit commit metadata, answers to rebalances that are given
//! later, transactions without 100 ms steps, delivery reports without an allocation each.
#![expect(
    unsafe_code,
    reason = "librdkafka is a C library; what is unsafe about it stays in these helper files"
)]

use std::cell::RefCell;
use std::ffi::{CString, c_char, c_int, c_void};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::Arc;

use rdkafka::bindings as sys;
use rdkafka::{ClientConfig, TopicPartitionList};

use super::codes::{self, text};
use super::errors::Failure;
use super::sending::Reports;
use crate::record::TopicPartition;
use crate::transport::{CommittedOffset, TransportError};

impl Failure {
    /// Takes an error object over; null is no error.
    ///
    /// # Safety
    /// `error` is null or came from librdkafka, and nobody else frees it.
    pub(super) unsafe fn take(error: *mut sys::rd_kafka_error_t) -> Result<(), Failure> {
        if error.is_null() {
            return Ok(());
        }
        // SAFETY: not null, so a live object of librdkafka's; freed once, at the end.
        unsafe {
            let failure = Failure {
                code: codes::rd_kafka_error_code(error),
                text: text(sys::rd_kafka_error_string(error)),
                fatal: sys::rd_kafka_error_is_fatal(error) != 0,
                retriable: sys::rd_kafka_error_is_retriable(error) != 0,
                abort: sys::rd_kafka_error_txn_requires_abort(error) != 0,
            };
            sys::rd_kafka_error_destroy(error);
            Err(failure)
        }
    }
}

/// What callbacks write down. They run only inside calls of the owner's thread (`rd_kafka_poll` and whatever polls), while
/// nothing else is borrowed.
#[derive(Debug, Default)]
pub(super) struct Noted {
    pub(super) reports: RefCell<Reports>,
    /// The last error about connections, for the text of a time-out.
    last: RefCell<Option<Failure>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Producer,
    Member,
}

/// An owned client.
#[derive(Debug)]
pub(super) struct Handle {
    rk: NonNull<sys::rd_kafka_t>,
    noted: Box<Noted>,
}

// SAFETY: librdkafka's clients may be used from any thread. What the callbacks touch is `Noted`, in calls that take the owner's
// `&self`; and `Handle` is not `Sync`, as `RefCell` is not.
unsafe impl Send for Handle {}

impl Handle {
    /// Makes a client.
    pub(super) fn new(kind: Kind, config: &ClientConfig) -> Result<Handle, TransportError> {
        let native = config
            .create_native_config()
            .map_err(|e| TransportError::Fatal(format!("Kafka client: {e}")))?;
        let noted = Box::new(Noted::default());
        let mut error = [0 as c_char; 512];
        // SAFETY: `native` lives until after its copy is made, and the copy belongs to `rd_kafka_new` unless that fails. The
        // opaque pointer is `noted`, which a box keeps in place until after the client is destroyed.
        let rk = unsafe {
            let conf = sys::rd_kafka_conf_dup(native.ptr());
            sys::rd_kafka_conf_set_opaque(
                conf,
                std::ptr::from_ref::<Noted>(&noted).cast_mut().cast(),
            );
            sys::rd_kafka_conf_set_log_cb(conf, Some(log));
            let kind = match kind {
                Kind::Producer => {
                    sys::rd_kafka_conf_set_dr_msg_cb(conf, Some(delivered));
                    sys::rd_kafka_conf_set_error_cb(conf, Some(failed));
                    sys::rd_kafka_type_t::RD_KAFKA_PRODUCER
                }
                Kind::Member => {
                    sys::rd_kafka_conf_set_events(
                        conf,
                        sys::RD_KAFKA_EVENT_REBALANCE
                            | sys::RD_KAFKA_EVENT_ERROR
                            | sys::RD_KAFKA_EVENT_OFFSET_COMMIT,
                    );
                    sys::rd_kafka_type_t::RD_KAFKA_CONSUMER
                }
            };
            let rk = sys::rd_kafka_new(kind, conf, error.as_mut_ptr(), error.len());
            if rk.is_null() {
                sys::rd_kafka_conf_destroy(conf);
            }
            rk
        };
        match NonNull::new(rk) {
            Some(rk) => Ok(Handle { rk, noted }),
            // SAFETY: librdkafka ends the text with a zero.
            None => Err(TransportError::Fatal(format!("Kafka client: {}", unsafe {
                text(error.as_ptr())
            }))),
        }
    }

    pub(super) fn rk(&self) -> *mut sys::rd_kafka_t {
        self.rk.as_ptr()
    }

    pub(super) fn noted(&self) -> &Noted {
        &self.noted
    }

    /// What made this client unusable, if something did.
    pub(super) fn fatal(&self) -> Option<Failure> {
        let mut buffer = [0 as c_char; 512];
        // SAFETY: the client lives; the text ends within the buffer.
        let (code, text) = unsafe {
            let code = codes::rd_kafka_fatal_error(self.rk(), buffer.as_mut_ptr(), buffer.len());
            (code, text(buffer.as_ptr()))
        };
        (code != 0).then(|| Failure {
            text,
            fatal: true,
            ..Failure::of_number(code)
        })
    }

    /// What the connections said last, and forgets it.
    pub(super) fn last_error(&self) -> Option<Failure> {
        self.noted.last.try_borrow_mut().ok()?.take()
    }

    pub(super) fn note(&self, failure: Failure) {
        if let Ok(mut last) = self.noted.last.try_borrow_mut() {
            *last = Some(failure.after(last.take()));
        }
    }

    /// A queue of this client's own, for the answer to one request.
    pub(super) fn queue(&self) -> Queue<'_> {
        // SAFETY: the client outlives the queue, as the lifetime says.
        Queue(unsafe { sys::rd_kafka_queue_new(self.rk()) }, PhantomData)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: the last use. Without closing the consumer: a member that is dropped is one that vanished, and nobody would
        // answer its rebalances.
        unsafe { sys::rd_kafka_destroy_flags(self.rk(), sys::RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE) }
    }
}

/// A client that a call elsewhere holds too, so that it stays until both have let go of it.
#[derive(Debug)]
pub(super) struct Lent(Arc<Handle>);

// SAFETY: librdkafka's clients may be used from any thread at once. `Noted`, which may not, is only touched by the callbacks and
// the methods of the one who lends, and freed by whoever is the last.
unsafe impl Send for Lent {}

impl Lent {
    pub(super) fn of(handle: &Arc<Handle>) -> Self {
        Lent(Arc::clone(handle))
    }

    /// For calls that run no callbacks.
    pub(super) fn rk(&self) -> *mut sys::rd_kafka_t {
        self.0.rk()
    }
}

/// Where a client puts events.
pub(super) struct Queue<'a>(
    pub(super) *mut sys::rd_kafka_queue_t,
    pub(super) PhantomData<&'a Handle>,
);

impl<'a> Queue<'a> {
    /// The next event, waiting up to that long. It may outlive its queue, but not the client.
    pub(super) fn poll(&self, ms: i32) -> Option<Event<'a>> {
        // SAFETY: the queue and its client live.
        let event = unsafe { sys::rd_kafka_queue_poll(self.0, ms) };
        NonNull::new(event).map(|event| Event(event, PhantomData))
    }
}

impl Drop for Queue<'_> {
    fn drop(&mut self) {
        // SAFETY: the last use of the queue.
        unsafe { sys::rd_kafka_queue_destroy(self.0) }
    }
}

/// What a queue gave.
pub(super) struct Event<'a>(NonNull<sys::rd_kafka_event_t>, PhantomData<&'a ()>);

impl Event<'_> {
    pub(super) fn ptr(&self) -> *mut sys::rd_kafka_event_t {
        self.0.as_ptr()
    }

    pub(super) fn kind(&self) -> i32 {
        // SAFETY: the event lives.
        unsafe { sys::rd_kafka_event_type(self.ptr()) }
    }

    /// Its error, if it is one. A rebalance's kind is told as an error too.
    pub(super) fn failure(&self) -> Option<Failure> {
        // SAFETY: the event lives, and its text as long.
        unsafe {
            let code = codes::rd_kafka_event_error(self.ptr());
            (code != 0).then(|| Failure {
                text: text(sys::rd_kafka_event_error_string(self.ptr())),
                // Of events of other kinds this would read behind their end.
                fatal: self.kind() == sys::RD_KAFKA_EVENT_ERROR
                    && sys::rd_kafka_event_error_is_fatal(self.ptr()) != 0,
                ..Failure::of_number(code)
            })
        }
    }

    /// The topics and partitions that it is about.
    pub(super) fn partitions(&self) -> Vec<(String, i32)> {
        // SAFETY: the list belongs to the event, which lives; `elems` has `cnt` elements, each with a topic's name.
        unsafe {
            let list = sys::rd_kafka_event_topic_partition_list(self.ptr());
            if list.is_null() || (*list).elems.is_null() {
                return Vec::new();
            }
            let count = usize::try_from((*list).cnt).unwrap_or_default();
            (0..count)
                .map(|i| {
                    let element = (*list).elems.add(i);
                    (text((*element).topic), (*element).partition)
                })
                .collect()
        }
    }
}

impl Drop for Event<'_> {
    fn drop(&mut self) {
        // SAFETY: the last use of the event.
        unsafe { sys::rd_kafka_event_destroy(self.ptr()) }
    }
}

/// Offsets as librdkafka takes them.
pub(super) fn offsets_list(
    offsets: &[(TopicPartition, CommittedOffset)],
) -> Result<TopicPartitionList, TransportError> {
    let mut list = TopicPartitionList::with_capacity(offsets.len());
    for (partition, committed) in offsets {
        let mut element = list.add_partition(&partition.topic, partition.partition);
        element
            .set_offset(rdkafka::Offset::Offset(committed.offset))
            .map_err(|e| {
                TransportError::Fatal(format!(
                    "offset {} of {partition} cannot be committed: {e}",
                    committed.offset
                ))
            })?;
        element.set_metadata(&committed.metadata);
    }
    Ok(list)
}

/// Text as a C string, for names that cannot hold a zero.
pub(super) fn c_string(text: &str) -> Result<CString, TransportError> {
    CString::new(text).map_err(|_| {
        TransportError::Fatal(format!("a name with a zero byte cannot exist: {text:?}"))
    })
}

/// Milliseconds as librdkafka counts them.
pub(super) fn millis(duration: std::time::Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

extern "C" fn log(
    rk: *const sys::rd_kafka_t,
    level: c_int,
    facility: *const c_char,
    line: *const c_char,
) {
    // A subscriber's panic must not unwind into C.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: librdkafka's strings live during the call.
        let (client, facility, line) = unsafe {
            let client = if rk.is_null() {
                String::new()
            } else {
                text(sys::rd_kafka_name(rk))
            };
            (client, text(facility), text(line))
        };
        match level {
            ..=4 => tracing::warn!(target: "librdkafka", client, facility, "{line}"),
            5 | 6 => tracing::info!(target: "librdkafka", client, facility, "{line}"),
            _ => tracing::debug!(target: "librdkafka", client, facility, "{line}"),
        }
    }));
}

/// An error that no call is waiting for: connections, mostly.
extern "C" fn failed(
    _: *mut sys::rd_kafka_t,
    code: c_int,
    reason: *const c_char,
    opaque: *mut c_void,
) {
    // SAFETY: `opaque` is the handle's `Noted`, which outlives the client; the callback runs on the owner's thread.
    let noted = unsafe { &*opaque.cast::<Noted>() };
    if let Ok(mut last) = noted.last.try_borrow_mut() {
        // SAFETY: the reason lives during the call.
        let now = Failure::told(code, unsafe { text(reason) });
        *last = Some(now.after(last.take()));
    }
}

/// A record is in the log, or never will be.
extern "C" fn delivered(
    _: *mut sys::rd_kafka_t,
    message: *const sys::rd_kafka_message_t,
    opaque: *mut c_void,
) {
    // SAFETY: `opaque` is the handle's `Noted`, which outlives the client; the callback runs on the owner's thread. The message
    // lives during the call; its code is read as a number, which an enum might not have; its topic's opaque value is an index,
    // never looked behind.
    unsafe {
        let noted = &*opaque.cast::<Noted>();
        let code = codes::read(&raw const (*message).err);
        let topic = sys::rd_kafka_topic_opaque((*message).rkt).addr();
        let size = (*message).len + (*message).key_len;
        if let Ok(mut reports) = noted.reports.try_borrow_mut() {
            reports.note(topic, (*message).partition, (*message).offset, size, code);
        }
    }
}
