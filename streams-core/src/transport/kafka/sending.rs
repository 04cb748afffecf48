//! Layer 2. What a producer asks of librdkafka: records queued one by one without a copy of our own, transactions, and reports.
#![expect(
    unsafe_code,
    reason = "librdkafka is a C library; what is unsafe about it stays in these helper files"
)]

use std::ffi::{c_int, c_void};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::bindings as sys;

use super::aside::Aside;
use super::codes::{self, text};
use super::counts;
use super::errors::{Code, Failure, checked};
use super::handle::{Handle, Kind, Lent, c_string, offsets_list};
use crate::record::{Headers, TopicPartition};
use crate::transport::{CommittedOffset, GroupMetadata, TransportError};

/// So often a producer that ends looks for the answers to what it has sent: a second at most, as a broker may be away.
const LAST_ANSWERS: usize = 100;

/// What became of the records since it was last asked.
#[derive(Debug, Default)]
pub(super) struct Reports {
    /// By topic index and partition; -1 is unknown.
    ends: Vec<Vec<i64>>,
    /// Which of `ends` are known.
    written: Vec<(usize, i32)>,
    /// The first that never will be in the log.
    undelivered: Option<Undelivered>,
    /// Bytes of the records reported.
    bytes: usize,
}

/// A record that never will be in the log.
#[derive(Debug, Clone)]
pub(super) struct Undelivered {
    pub(super) topic: usize,
    pub(super) partition: i32,
    pub(super) size: usize,
    pub(super) code: i32,
}

impl Reports {
    /// Called for each record, from C: must not panic.
    pub(super) fn note(
        &mut self,
        topic: usize,
        partition: i32,
        offset: i64,
        size: usize,
        code: i32,
    ) {
        self.bytes = self.bytes.wrapping_add(size);
        if code != 0 {
            self.undelivered.get_or_insert(Undelivered {
                topic,
                partition,
                size,
                code,
            });
            return;
        }
        let Ok(index) = usize::try_from(partition) else {
            return;
        };
        if let Some(end) = self.ends.get_mut(topic).and_then(|t| t.get_mut(index)) {
            if *end < 0 {
                self.written.push((topic, partition));
            }
            // A duplicate's offset is unknown.
            *end = (*end).max(offset.saturating_add(1));
        }
    }

    /// A topic's partitions, before the first record for it is queued.
    fn make_room_for(&mut self, topic: usize, partitions: usize) {
        if self.ends.len() <= topic {
            self.ends.resize(topic + 1, Vec::new());
        }
        if let Some(ends) = self.ends.get_mut(topic) {
            ends.resize(ends.len().max(partitions), -1);
        }
    }
}

/// A producer's client and the topics it writes.
#[derive(Debug)]
pub(super) struct Sender {
    handle: Arc<Handle>,
    /// Where offsets are sent to a transaction, once some are.
    aside: Option<Aside<Result<Result<(), Failure>, TransportError>>>,
    /// By the index that is their opaque value.
    topics: Vec<(Arc<str>, *mut sys::rd_kafka_topic_t)>,
    /// Bytes of the records queued.
    queued: usize,
}

// SAFETY: topics, too, may be used from any thread; they are freed with the client. Who else holds the client is a `Lent`.
unsafe impl Send for Sender {}

impl Sender {
    pub(super) fn new(config: &ClientConfig) -> Result<Self, TransportError> {
        let handle = Handle::new(Kind::Producer, config)?;
        Ok(Sender {
            #[expect(
                clippy::arc_with_non_send_sync,
                reason = "it is lent as `Lent`, which says why it may be"
            )]
            handle: Arc::new(handle),
            aside: None,
            topics: Vec::new(),
            queued: 0,
        })
    }

    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// The index of a topic, whether it exists or not.
    pub(super) fn topic(&mut self, name: &Arc<str>) -> Result<usize, TransportError> {
        if let Some(index) = self.topics.iter().position(|(known, _)| known == name) {
            return Ok(index);
        }
        let c_name = c_string(name)?;
        let index = self.topics.len();
        // SAFETY: the client lives; the configuration is a copy that belongs to the topic from here on, unless there is none.
        let topic = unsafe {
            let conf = sys::rd_kafka_default_topic_conf_dup(self.handle.rk());
            sys::rd_kafka_topic_conf_set_opaque(conf, std::ptr::without_provenance_mut(index));
            let topic = sys::rd_kafka_topic_new(self.handle.rk(), c_name.as_ptr(), conf);
            if topic.is_null() {
                sys::rd_kafka_topic_conf_destroy(conf);
                let why = Failure::of_number(codes::rd_kafka_last_error());
                return Err(TransportError::Fatal(format!(
                    "topic `{name}` cannot be written: {}",
                    why.text
                )));
            }
            topic
        };
        self.topics.push((name.clone(), topic));
        Ok(index)
    }

    pub(super) fn name(&self, topic: usize) -> Option<&Arc<str>> {
        self.topics.get(topic).map(|(name, _)| name)
    }

    /// How many partitions a topic has, asked of a broker; makes room for what becomes of its records.
    pub(super) fn partitions(&self, topic: usize, ms: i32) -> Result<u32, Failure> {
        let name = self.name(topic).map_or("", |name| name);
        // SAFETY: the client lives.
        let count = unsafe { counts::partitions(self.handle.rk(), name, ms) }?;
        if let Ok(mut reports) = self.handle.noted().reports.try_borrow_mut() {
            reports.make_room_for(topic, usize::try_from(count).unwrap_or_default());
        }
        Ok(u32::try_from(count).unwrap_or_default())
    }

    /// A setting of a topic, asked of a broker. Unlike asking for partitions, this never makes a broker create the topic.
    pub(super) fn topic_setting(
        &self,
        topic: usize,
        setting: &str,
        ms: i32,
    ) -> Result<Option<String>, Failure> {
        let name = self.name(topic).and_then(|name| c_string(name).ok());
        let Some(name) = name else {
            return Err(Failure::of(Code::UnknownTopicOrPartition));
        };
        let queue = self.handle.queue();
        // SAFETY: the client lives; the request copies what it is given, which is freed here.
        unsafe {
            let options = sys::rd_kafka_AdminOptions_new(
                self.handle.rk(),
                sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS,
            );
            let mut error = [0; 128];
            sys::rd_kafka_AdminOptions_set_request_timeout(
                options,
                ms,
                error.as_mut_ptr(),
                error.len(),
            );
            let mut resource = sys::rd_kafka_ConfigResource_new(
                sys::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC,
                name.as_ptr(),
            );
            sys::rd_kafka_DescribeConfigs(self.handle.rk(), &raw mut resource, 1, options, queue.0);
            sys::rd_kafka_ConfigResource_destroy(resource);
            sys::rd_kafka_AdminOptions_destroy(options);
        }
        let Some(event) = queue.poll(ms) else {
            return Err(Failure::of(Code::OperationTimedOut));
        };
        if let Some(failure) = event.failure() {
            return Err(failure);
        }
        // SAFETY: everything read belongs to the event, which lives; arrays have as many elements as they say.
        unsafe {
            let result = sys::rd_kafka_event_DescribeConfigs_result(event.ptr());
            if result.is_null() {
                return Err(Failure::of(Code::BadMessage));
            }
            let mut count = 0;
            let resources = sys::rd_kafka_DescribeConfigs_result_resources(result, &raw mut count);
            if count == 0 {
                return Err(Failure::of(Code::UnknownTopicOrPartition));
            }
            checked(codes::rd_kafka_ConfigResource_error(*resources))?;
            let mut count = 0;
            let entries = sys::rd_kafka_ConfigResource_configs(*resources, &raw mut count);
            for i in 0..count {
                let entry = *entries.add(i);
                if text(sys::rd_kafka_ConfigEntry_name(entry)) == setting {
                    let value = sys::rd_kafka_ConfigEntry_value(entry);
                    return Ok((!value.is_null()).then(|| text(value)));
                }
            }
        }
        Ok(None)
    }

    /// Queues a record. `Ok` says nothing about the log; the reports do.
    pub(super) fn produce(
        &mut self,
        topic: usize,
        partition: i32,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        timestamp: i64,
        headers: &Headers,
    ) -> Result<(), Failure> {
        use sys::rd_kafka_vtype_t as V;

        let Some((_, rkt)) = self.topics.get(topic) else {
            return Err(Failure::of(Code::UnknownTopicOrPartition));
        };
        let (key, key_len) = raw(key);
        let (value, value_len) = raw(value);
        let copied = c_int::from(sys::RD_KAFKA_MSG_F_COPY);
        let code = if headers.is_empty() {
            // SAFETY: client and topic live; key and value are copied before the call returns; every argument has the type that
            // its tag says, widened as C does.
            unsafe {
                codes::rd_kafka_producev(
                    self.handle.rk(),
                    V::RD_KAFKA_VTYPE_RKT as c_int,
                    *rkt,
                    V::RD_KAFKA_VTYPE_PARTITION as c_int,
                    partition,
                    V::RD_KAFKA_VTYPE_MSGFLAGS as c_int,
                    copied,
                    V::RD_KAFKA_VTYPE_KEY as c_int,
                    key,
                    key_len,
                    V::RD_KAFKA_VTYPE_VALUE as c_int,
                    value,
                    value_len,
                    V::RD_KAFKA_VTYPE_TIMESTAMP as c_int,
                    timestamp,
                    V::RD_KAFKA_VTYPE_END as c_int,
                )
            }
        } else {
            // SAFETY: as above; names and values of headers are copied; the list belongs to the message if that is queued, and
            // is freed here otherwise.
            unsafe {
                let list = sys::rd_kafka_headers_new(headers.len());
                for header in headers {
                    let (value, size) = raw(header.value.as_deref());
                    sys::rd_kafka_header_add(
                        list,
                        header.key.as_ptr().cast(),
                        isize::try_from(header.key.len()).unwrap_or(0),
                        value,
                        isize::try_from(size).unwrap_or(0),
                    );
                }
                let code = codes::rd_kafka_producev(
                    self.handle.rk(),
                    V::RD_KAFKA_VTYPE_RKT as c_int,
                    *rkt,
                    V::RD_KAFKA_VTYPE_PARTITION as c_int,
                    partition,
                    V::RD_KAFKA_VTYPE_MSGFLAGS as c_int,
                    copied,
                    V::RD_KAFKA_VTYPE_KEY as c_int,
                    key,
                    key_len,
                    V::RD_KAFKA_VTYPE_VALUE as c_int,
                    value,
                    value_len,
                    V::RD_KAFKA_VTYPE_TIMESTAMP as c_int,
                    timestamp,
                    V::RD_KAFKA_VTYPE_HEADERS as c_int,
                    list,
                    V::RD_KAFKA_VTYPE_END as c_int,
                );
                if code != 0 {
                    sys::rd_kafka_headers_destroy(list);
                }
                code
            }
        };
        checked(code)?;
        self.queued = self.queued.wrapping_add(key_len + value_len);
        Ok(())
    }

    /// Serves reports, waiting up to that long for one.
    pub(super) fn poll(&self, ms: i32) {
        // SAFETY: the client lives; callbacks touch `Noted` only, which is not borrowed.
        unsafe {
            sys::rd_kafka_poll(self.handle.rk(), ms);
        }
    }

    /// How many records have no report yet.
    pub(super) fn in_flight(&self) -> usize {
        // SAFETY: the client lives.
        let count = unsafe { sys::rd_kafka_outq_len(self.handle.rk()) };
        usize::try_from(count).unwrap_or_default()
    }

    /// Their bytes.
    pub(super) fn bytes_in_flight(&self) -> usize {
        let reported = self.handle.noted().reports.try_borrow();
        self.queued
            .wrapping_sub(reported.map_or(0, |reports| reports.bytes))
    }

    /// Sends everything at once and waits for the reports.
    pub(super) fn flush(&self, ms: i32) -> Result<(), Failure> {
        // SAFETY: the client lives. With a report callback it polls by itself, every 10 ms or when there is a report.
        checked(unsafe { codes::rd_kafka_flush(self.handle.rk(), ms) })
    }

    /// Forgets what is queued, and waits a moment for the answers to what was sent.
    ///
    /// librdkafka 2.12 frees the text of a transaction's error when it begins to end, and once more when a broker then answers
    /// that the producer is fenced: the process ended by that.
    fn settle(&self) {
        let what = sys::RD_KAFKA_PURGE_F_QUEUE | sys::RD_KAFKA_PURGE_F_NON_BLOCKING;
        // SAFETY: the client lives.
        unsafe {
            sys::rd_kafka_purge(self.handle.rk(), what);
        }
        for _ in 0..LAST_ANSWERS {
            if self.in_flight() == 0 {
                break;
            }
            self.poll(10);
        }
    }

    /// The next offset of each partition written since this was last asked.
    pub(super) fn take_ends(&mut self) -> Vec<(TopicPartition, i64)> {
        let Ok(mut reports) = self.handle.noted().reports.try_borrow_mut() else {
            return Vec::new();
        };
        let written = std::mem::take(&mut reports.written);
        let mut ends = Vec::with_capacity(written.len());
        for (topic, partition) in written {
            let index = usize::try_from(partition).unwrap_or(usize::MAX);
            let end = reports.ends.get_mut(topic).and_then(|t| t.get_mut(index));
            if let (Some(end), Some((name, _))) = (end, self.topics.get(topic)) {
                ends.push((TopicPartition::new(name.clone(), partition), *end));
                *end = -1;
            }
        }
        ends
    }

    /// The first record that never will be in the log, and forgets it.
    pub(super) fn take_undelivered(&mut self) -> Option<Undelivered> {
        let mut reports = self.handle.noted().reports.try_borrow_mut().ok()?;
        reports.undelivered.take()
    }

    pub(super) fn init_transactions(&self, ms: i32) -> Result<(), Failure> {
        // SAFETY: the client lives; the error is taken over.
        unsafe { Failure::take(sys::rd_kafka_init_transactions(self.handle.rk(), ms)) }
    }

    pub(super) fn begin(&self) -> Result<(), Failure> {
        // SAFETY: as above.
        unsafe { Failure::take(sys::rd_kafka_begin_transaction(self.handle.rk())) }
    }

    /// Flushes and commits. May be called again after a time-out, and then goes on.
    pub(super) fn commit(&self, ms: i32) -> Result<(), Failure> {
        // SAFETY: as above; it polls, and callbacks touch `Noted` only.
        unsafe { Failure::take(sys::rd_kafka_commit_transaction(self.handle.rk(), ms)) }
    }

    /// Purges and aborts. May be called again after a time-out, and then goes on.
    pub(super) fn abort(&self, ms: i32) -> Result<(), Failure> {
        // SAFETY: as above; it polls, and callbacks touch `Noted` only.
        unsafe { Failure::take(sys::rd_kafka_abort_transaction(self.handle.rk(), ms)) }
    }

    /// Sends offsets to the transaction, in `ms` if it goes as it should. `None`: the call does not return, and this client, which
    /// it keeps, is of no more use.
    pub(super) fn send_offsets(
        &mut self,
        group: &GroupMetadata,
        offsets: &[(TopicPartition, CommittedOffset)],
        ms: i32,
        patience: Duration,
    ) -> Result<Option<Result<(), Failure>>, TransportError> {
        let aside = match self.aside.take() {
            Some(aside) => aside,
            None => Aside::start("kafka-offsets")?,
        };
        let lent = Lent::of(&self.handle);
        let (group, offsets) = (group.clone(), offsets.to_vec());
        let Some((aside, sent)) =
            aside.call(move || send_offsets(&lent, &group, &offsets, ms), patience)
        else {
            return Ok(None);
        };
        self.aside = Some(aside);
        sent.map(Some)
    }
}

fn send_offsets(
    client: &Lent,
    group: &GroupMetadata,
    offsets: &[(TopicPartition, CommittedOffset)],
    ms: i32,
) -> Result<Result<(), Failure>, TransportError> {
    let list = offsets_list(offsets)?;
    let id = c_string(&group.group)?;
    // The broker takes offsets from a committer without generation *and* without name whether or not the group has members.
    // With a name it looks it up, unless the group is empty.
    let member = if group.member.is_empty() {
        "outside"
    } else {
        &group.member
    };
    let member = c_string(member)?;
    let instance = group.instance.as_deref().map(c_string).transpose()?;
    let generation = i32::try_from(group.generation).unwrap_or(-1);
    // SAFETY: the client lives, and the call runs no callbacks; everything given is copied; the metadata is freed here, the error
    // is taken over.
    Ok(unsafe {
        let metadata = sys::rd_kafka_consumer_group_metadata_new_with_genid(
            id.as_ptr(),
            generation,
            member.as_ptr(),
            instance.as_ref().map_or(std::ptr::null(), |i| i.as_ptr()),
        );
        let error =
            sys::rd_kafka_send_offsets_to_transaction(client.rk(), list.ptr(), metadata, ms);
        sys::rd_kafka_consumer_group_metadata_destroy(metadata);
        Failure::take(error)
    })
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.settle();
        for (_, topic) in &self.topics {
            // SAFETY: the last use of the topic, before its client goes.
            unsafe { sys::rd_kafka_topic_destroy(*topic) }
        }
    }
}

/// Bytes as C takes them: null, or a pointer that is not null even for none.
fn raw(bytes: Option<&[u8]>) -> (*const c_void, usize) {
    match bytes {
        Some(bytes) => (bytes.as_ptr().cast(), bytes.len()),
        None => (std::ptr::null(), 0),
    }
}
