//! Layer 2. librdkafka's fetching of one partition into one queue, and what wakes who waits for any of several queues.
//!
//! A queue for each partition is what lets a full task go unread without a word to librdkafka: it stops fetching when the
//! queue is full. Its own pausing goes back to the position that it believes the reader has, which the batch call leaves one
//! too far after an end of partition, so that a record would be lost.

use std::ffi::{CString, c_void};
use std::fmt;
use std::ptr;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rdkafka::bindings as sys;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::types::{RDKafkaMessage, RDKafkaQueue, RDKafkaRespErr, RDKafkaTopic};

use super::codes;
use super::errors::{Code, Failure};
use super::settings::Context;
use crate::record::{Header, Headers};
use crate::transport::ConsumedRecord;

/// Rung by librdkafka's threads when a queue is no longer empty.
#[derive(Debug, Default)]
pub(super) struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Forgets what rang: to be called before the queues are looked at, so that nothing between is missed.
    pub(super) fn silence(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = false;
    }

    /// Waits until it has rung since [`silence`](Self::silence), but not longer than that. Tells whether it has.
    pub(super) fn wait(&self, at_most: Duration) -> bool {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .changed
            .wait_timeout_while(rung, at_most, |rung| !*rung);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// What came out of a queue at once.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) records: Vec<ConsumedRecord>,
    /// The end was reached after these records; the offset there, past markers and aborted records.
    pub(super) end: Option<i64>,
    /// The last error that librdkafka reports for the partition.
    pub(super) error: Option<Failure>,
}

/// A partition that is being fetched. Fetching ends with it.
pub(super) struct PartitionQueue {
    topic: *mut RDKafkaTopic,
    partition: i32,
    queue: *mut RDKafkaQueue,
    /// Rung by the queue through a pointer: it goes after the queue.
    bell: Arc<Bell>,
    /// Where a batch's messages are put.
    messages: Vec<*mut RDKafkaMessage>,
    /// The client must outlive topic and queue.
    _client: Arc<BaseConsumer<Context>>,
}

// SAFETY: librdkafka's handles may be used from any thread, and the messages are owned by this value alone, between the calls
// of one method.
#[expect(unsafe_code, reason = "librdkafka's handles; see SAFETY")]
unsafe impl Send for PartitionQueue {}

impl fmt::Debug for PartitionQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartitionQueue")
            .field("partition", &self.partition)
            .finish_non_exhaustive()
    }
}

extern "C" fn ring(_: *mut sys::rd_kafka_t, bell: *mut c_void) {
    #[expect(unsafe_code, reason = "the way back from librdkafka; see SAFETY")]
    // SAFETY: the pointer is a bell's, which `PartitionQueue` keeps until its queue is gone and rings no more.
    let bell = unsafe { &*bell.cast::<Bell>() };
    bell.ring();
}

impl PartitionQueue {
    /// Begins to fetch a partition from an offset on.
    #[expect(unsafe_code, reason = "librdkafka's simple consumer; see SAFETY")]
    pub(super) fn start(
        client: &Arc<BaseConsumer<Context>>,
        topic: &str,
        partition: i32,
        offset: i64,
        bell: &Arc<Bell>,
    ) -> Result<Self, Failure> {
        let name = CString::new(topic).map_err(|_| Failure::of(Code::InvalidTopic))?;
        let native = client.client().native_ptr();
        // SAFETY: the client is alive as long as `started` keeps it; the name is copied.
        let (topic, queue) = unsafe {
            (
                sys::rd_kafka_topic_new(native, name.as_ptr(), ptr::null_mut()),
                sys::rd_kafka_queue_new(native),
            )
        };
        let started = PartitionQueue {
            topic,
            partition,
            queue,
            bell: bell.clone(),
            messages: Vec::new(),
            _client: client.clone(),
        };
        if started.topic.is_null() || started.queue.is_null() {
            return Err(Failure::of(Code::Fail));
        }
        let bell = Arc::as_ptr(&started.bell).cast_mut().cast();
        // SAFETY: topic and queue are valid; the bell lives until `drop` has switched the call off.
        let failed = unsafe {
            sys::rd_kafka_queue_cb_event_enable(started.queue, Some(ring), bell);
            sys::rd_kafka_consume_start_queue(started.topic, partition, offset, started.queue)
        } != 0;
        if failed {
            // SAFETY: only reads the calling thread's last error.
            return Err(Failure::of_number(unsafe { codes::rd_kafka_last_error() }));
        }
        Ok(started)
    }

    /// Takes what is there, at most so many messages, without waiting.
    #[expect(unsafe_code, reason = "librdkafka's batch call; see SAFETY")]
    pub(super) fn take(&mut self, max: usize) -> Batch {
        self.messages.clear();
        self.messages.resize(max, ptr::null_mut());
        // SAFETY: the array has room for `max` pointers, and the queue is valid.
        let count = unsafe {
            sys::rd_kafka_consume_batch_queue(self.queue, 0, self.messages.as_mut_ptr(), max)
        };
        self.messages
            .truncate(usize::try_from(count).unwrap_or_default());
        let mut batch = Batch::default();
        if self.messages.is_empty() {
            return batch;
        }
        // SAFETY: the messages are valid until they are destroyed below.
        let size = unsafe { self.messages.iter().map(|m| (**m).len + (**m).key_len) }.sum();
        let mut arena = BytesMut::with_capacity(size);
        batch.records.reserve(self.messages.len());
        for message in &self.messages {
            // SAFETY: as above.
            let code = unsafe { codes::read(&raw const (**message).err) };
            if code == 0 {
                // SAFETY: as above; the code is one of the enum's.
                let message = unsafe { &**message };
                // More came after an end.
                batch.end = None;
                batch.records.push(record(message, &mut arena));
            } else if code == Code::PartitionEOF as i32 {
                // SAFETY: as above.
                batch.end = Some(unsafe { (**message).offset });
            } else {
                batch.error = Some(Failure::of_number(code));
            }
        }
        for message in self.messages.drain(..) {
            // SAFETY: each was given to us, and is given back once; nothing refers to it, its bytes were copied.
            unsafe { sys::rd_kafka_message_destroy(message) };
        }
        batch
    }
}

impl Drop for PartitionQueue {
    #[expect(unsafe_code, reason = "gives back librdkafka's handles; see SAFETY")]
    fn drop(&mut self) {
        // SAFETY: both are valid if not null, and not used afterwards. Stopping one that was never started only returns an
        // error. After the call-back is switched off, the queue does not use the bell's address.
        unsafe {
            if !self.topic.is_null() {
                sys::rd_kafka_consume_stop(self.topic, self.partition);
            }
            if !self.queue.is_null() {
                sys::rd_kafka_queue_cb_event_enable(self.queue, None, ptr::null_mut());
                sys::rd_kafka_queue_destroy(self.queue);
            }
            if !self.topic.is_null() {
                sys::rd_kafka_topic_destroy(self.topic);
            }
        }
    }
}

/// A message as a record, its bytes copied to the arena.
#[expect(unsafe_code, reason = "reads librdkafka's message; see SAFETY")]
fn record(message: &RDKafkaMessage, arena: &mut BytesMut) -> ConsumedRecord {
    let key = copy(message.key, message.key_len, arena);
    let value = copy(message.payload, message.len, arena);
    let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
    // SAFETY: the message is valid, and the call only writes the kind.
    let timestamp = unsafe { sys::rd_kafka_message_timestamp(message, &raw mut kind) };
    ConsumedRecord {
        offset: message.offset,
        timestamp,
        key,
        value,
        headers: headers(message),
    }
}

#[expect(unsafe_code, reason = "reads librdkafka's message; see SAFETY")]
fn copy(from: *const c_void, length: usize, arena: &mut BytesMut) -> Option<Bytes> {
    if from.is_null() {
        return None;
    }
    // SAFETY: librdkafka's pointer and length of a key or value that is not null.
    let bytes = unsafe { std::slice::from_raw_parts(from.cast::<u8>(), length) };
    arena.extend_from_slice(bytes);
    Some(arena.split().freeze())
}

#[expect(unsafe_code, reason = "reads librdkafka's headers; see SAFETY")]
fn headers(message: &RDKafkaMessage) -> Headers {
    let mut native = ptr::null_mut();
    // SAFETY: the message is valid; the headers stay its own, and live as long.
    let found = unsafe { sys::rd_kafka_message_headers(message, &raw mut native) };
    if found != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR || native.is_null() {
        return Headers::new();
    }
    let mut index = 0;
    let next = || {
        let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
        // SAFETY: the headers are valid, and so are the places for the answer.
        let found = unsafe {
            sys::rd_kafka_header_get_all(
                native,
                index,
                &raw mut name,
                &raw mut value,
                &raw mut size,
            )
        };
        if found != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR || name.is_null() {
            return None;
        }
        index += 1;
        // SAFETY: a name ends with a zero; a value that is not null has `size` bytes.
        let (key, value) = unsafe {
            let value = (!value.is_null())
                .then(|| Bytes::copy_from_slice(std::slice::from_raw_parts(value.cast(), size)));
            (std::ffi::CStr::from_ptr(name), value)
        };
        Some(Header {
            key: key.to_string_lossy().into_owned(),
            value,
        })
    };
    std::iter::from_fn(next).collect()
}
