//! What a pass-through costs without Kafka Streams: librdkafka's batch calls in a loop, and nothing else.

use std::ffi::CString;
use std::ptr;
use std::time::{Duration, Instant};

use kstreams::ProcessingGuarantee;
use rdkafka::bindings as sys;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::support::{Failure, PARTITIONS};

const BATCH: usize = 500;
const WAIT: Duration = Duration::from_secs(30);
/// As often as Kafka Streams commits transactions.
const TRANSACTION: Duration = Duration::from_millis(100);

/// Copies three of four records from `in` to `out`, until `records` were read and are committed.
pub(crate) fn run(
    bootstrap: &str,
    group: &str,
    guarantee: ProcessingGuarantee,
    records: u64,
) -> Result<(), Failure> {
    let transactional = guarantee == ProcessingGuarantee::ExactlyOnceV2;
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("fetch.queue.backoff.ms", "5")
        .create()?;
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set("enable.idempotence", "true")
        .set("linger.ms", "100")
        .set("queue.buffering.max.messages", "200000")
        .set("retry.backoff.ms", "5")
        .set("retry.backoff.max.ms", "20")
        .set("delivery.report.only.error", "true");
    if transactional {
        config.set("transactional.id", group);
    }
    let producer: BaseProducer = config.create()?;
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        list.add_partition_offset("in", partition, Offset::Beginning)?;
    }
    consumer.assign(&list)?;
    if transactional {
        producer.init_transactions(WAIT)?;
        producer.begin_transaction()?;
    }
    let mut raw = Raw::new(&consumer, &producer, "out", transactional)?;
    let (mut seen, mut committed, mut next) = (0, 0, vec![0; PARTITIONS as usize]);
    let mut last = Instant::now();
    while committed < records {
        seen += raw.copy(&mut next)?;
        producer.poll(Duration::ZERO);
        if seen < records && !(transactional && last.elapsed() >= TRANSACTION) {
            continue;
        }
        while producer.in_flight_count() > 0 {
            producer.poll(Duration::from_millis(1));
        }
        let mut offsets = TopicPartitionList::new();
        for (partition, next) in (0..).zip(&next) {
            offsets.add_partition_offset("in", partition, Offset::Offset(*next))?;
        }
        if transactional {
            let metadata = consumer.group_metadata().ok_or("no group metadata")?;
            producer.send_offsets_to_transaction(&offsets, &metadata, WAIT)?;
            raw.commit_transaction()?;
            producer.begin_transaction()?;
        } else {
            consumer.commit(&offsets, rdkafka::consumer::CommitMode::Sync)?;
        }
        committed = seen;
        last = Instant::now();
    }
    Ok(())
}

/// What the safe calls lack.
struct Raw<'a> {
    producer: &'a BaseProducer,
    queue: *mut sys::rd_kafka_queue_t,
    output: *mut sys::rd_kafka_topic_t,
    fetched: Vec<*mut sys::rd_kafka_message_t>,
    kept: Vec<sys::rd_kafka_message_t>,
    transactional: bool,
}

#[expect(unsafe_code, reason = "the batch calls have no safe wrapper")]
impl<'a> Raw<'a> {
    fn new(
        consumer: &'a BaseConsumer,
        producer: &'a BaseProducer,
        output: &str,
        transactional: bool,
    ) -> Result<Self, Failure> {
        let name = CString::new(output)?;
        let client = producer.client().native_ptr();
        // SAFETY: both clients outlive this value, and the name outlives the call.
        let (queue, output) = unsafe {
            (
                sys::rd_kafka_queue_get_consumer(consumer.client().native_ptr()),
                sys::rd_kafka_topic_new(client, name.as_ptr(), ptr::null_mut()),
            )
        };
        Ok(Raw {
            producer,
            queue,
            output,
            fetched: vec![ptr::null_mut(); BATCH],
            kept: Vec::with_capacity(BATCH),
            transactional,
        })
    }

    /// One batch from the input to the output; how many records were read.
    fn copy(&mut self, next: &mut [i64]) -> Result<u64, Failure> {
        // SAFETY: the queue lives as long as the consumer; the vector has room for a batch. Each message is read, handed to
        // `rd_kafka_produce_batch` with `MSG_F_COPY`, and destroyed once, after that.
        unsafe {
            let count = sys::rd_kafka_consume_batch_queue(
                self.queue,
                100,
                self.fetched.as_mut_ptr(),
                BATCH,
            );
            let fetched = &self.fetched[..usize::try_from(count).unwrap_or(0)];
            self.kept.clear();
            let mut seen = 0;
            for message in fetched {
                let message = &**message;
                if message.err != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                    continue;
                }
                seen += 1;
                next[message.partition as usize] = message.offset + 1;
                let key = std::slice::from_raw_parts(message.key.cast::<u8>(), message.key_len);
                if !key.ends_with(b"0") {
                    let mut kept: sys::rd_kafka_message_t = std::mem::zeroed();
                    kept.payload = message.payload;
                    kept.len = message.len;
                    kept.key = message.key;
                    kept.key_len = message.key_len;
                    kept.partition = message.partition;
                    self.kept.push(kept);
                }
            }
            let mut done = 0;
            while done < self.kept.len() {
                done += produce(self.output, &mut self.kept[done..], self.transactional);
                if done < self.kept.len() {
                    // The queue is full.
                    self.producer.poll(Duration::from_millis(5));
                }
            }
            for message in fetched {
                sys::rd_kafka_message_destroy(*message);
            }
            Ok(seen)
        }
    }

    /// Without the waits of 100 ms that the safe call makes before it.
    fn commit_transaction(&self) -> Result<(), Failure> {
        let client = self.producer.client().native_ptr();
        // SAFETY: the producer is alive; the error, if there is one, is destroyed once, after its text was copied.
        unsafe {
            let error = sys::rd_kafka_commit_transaction(client, WAIT.as_millis() as i32);
            if error.is_null() {
                return Ok(());
            }
            let text = std::ffi::CStr::from_ptr(sys::rd_kafka_error_string(error))
                .to_string_lossy()
                .into_owned();
            sys::rd_kafka_error_destroy(error);
            Err(text.into())
        }
    }
}

#[expect(unsafe_code, reason = "the batch calls have no safe wrapper")]
impl Drop for Raw<'_> {
    fn drop(&mut self) {
        // SAFETY: both were made by this value and are used by nobody else.
        unsafe {
            sys::rd_kafka_queue_destroy(self.queue);
            sys::rd_kafka_topic_destroy(self.output);
        }
    }
}

/// Queues messages; how many there was room for.
///
/// # Safety
/// The topic and what the messages point to must be valid.
#[expect(unsafe_code, reason = "the batch calls have no safe wrapper")]
unsafe fn produce(
    output: *mut sys::rd_kafka_topic_t,
    messages: &mut [sys::rd_kafka_message_t],
    transactional: bool,
) -> usize {
    let flags = sys::RD_KAFKA_MSG_F_COPY | sys::RD_KAFKA_MSG_F_PARTITION;
    if !transactional {
        // SAFETY: the topic lives; keys and values are copied.
        let queued = unsafe {
            let (first, count) = (messages.as_mut_ptr(), messages.len() as i32);
            sys::rd_kafka_produce_batch(output, 0, flags, first, count)
        };
        return usize::try_from(queued).unwrap_or(0);
    }
    // The batch call does not add partitions to a transaction.
    let queued = messages.iter().take_while(|kept| {
        // SAFETY: as above.
        let failed = unsafe {
            sys::rd_kafka_produce(
                output,
                kept.partition,
                sys::RD_KAFKA_MSG_F_COPY,
                kept.payload,
                kept.len,
                kept.key,
                kept.key_len,
                ptr::null_mut(),
            )
        };
        failed == 0
    });
    queued.count()
}
