//! What every transport must do: named cases over the port, run against each implementation by `contract_tests!`.
//!
//! The cases hold for a broker as well: they take time where a broker does, and never count on dense offsets.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use streams_core::outbox::{Outbox, Outgoing};
use streams_core::record::{Headers, TopicPartition};
use streams_core::transport::{
    Admin, ConsumedRecord, Consumer, Operation, Producer, ProducerSpec, Resource, TopicInfo,
    Transport, TransportError,
};

pub(crate) mod groups;
pub(crate) mod logs;
pub(crate) mod transactions;

/// What the test of a transport brings along.
pub(crate) trait Harness {
    /// A connection to the log. Every call gives one to the same log.
    fn transport(&self) -> Arc<dyn Transport>;
    /// Ends what serves the log and starts it again; `None` if the log would not outlive that.
    fn reopened(self: Box<Self>) -> Option<Box<dyn Harness>>;
    /// Makes the log clean up what its settings allow, as far as it decides that itself. `false` where a test cannot wait for it.
    fn clean_up(&self, topic: &str) -> bool;
    /// The smallest segments that the log takes: what is compacted, and when, goes by segments.
    fn segment_bytes(&self) -> &'static str {
        "16384"
    }
}

/// How long anything may take before a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Hands every case to a macro, after what it is given: `contract_cases!(each: with)` becomes `each!(with; module: case, …)`.
#[macro_export]
macro_rules! contract_cases {
    ($each:ident: $with:path) => {
        $each! { $with;
            logs: records_keep_their_order_and_offsets,
            logs: nulls_headers_and_timestamps_survive,
            logs: records_without_a_partition_find_one,
            logs: a_failed_send_queues_nothing,
            logs: topics_are_created_once,
            logs: bad_topics_are_refused,
            logs: what_is_not_there_is_named,
            logs: consumers_assign_move_pause_and_leave,
            logs: the_end_is_told_once,
            logs: a_poll_waits_for_a_commit,
            logs: a_zero_timeout_does_not_wait,
            logs: large_polls_are_shared_out,
            logs: deleted_records_are_out_of_range,
            logs: a_deleted_topic_is_gone_with_its_records_and_offsets,
            logs: a_log_tells_what_it_is_and_what_is_allowed,
            logs: compaction_keeps_the_last_of_each_key,
            logs: everything_is_there_after_reopening,
            transactions: a_transaction_is_seen_whole_or_not_at_all,
            transactions: an_aborted_transaction_leaves_nothing,
            transactions: offsets_belong_to_the_transaction,
            transactions: a_newer_producer_fences_the_older,
            transactions: outsiders_commit_only_for_groups_without_members,
            transactions: a_stale_generation_is_refused,
            transactions: unknown_members_are_refused,
            transactions: flush_makes_records_visible,
            groups: tasks_cover_all_partitions_and_stay_together,
            groups: a_second_member_gets_its_share_after_the_release,
            groups: a_member_that_leaves_gives_its_tasks_back,
            groups: a_member_that_vanishes_gives_its_tasks_back,
            groups: a_restarted_member_takes_its_place,
            groups: offsets_outlive_the_members,
            groups: offsets_are_altered_only_without_members,
        }
    };
}

/// One test per case, for a function that makes a [`Harness`] with an empty log.
#[macro_export]
macro_rules! contract_tests {
    ($make:path) => {
        $crate::contract_cases!(contract_tests: $make);
    };
    ($make:path; $($module:ident: $case:ident,)*) => {
        $(
            #[test]
            fn $case() {
                contract::$module::$case(Box::new($make()));
            }
        )*
    };
}

/// A name that no other case of this run has, so that one broker can serve them all.
pub(crate) fn unique(base: &str) -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!(
        "{base}-{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}

pub(crate) fn topic(name: &str, partitions: u32, config: &[(&str, &str)]) -> TopicInfo {
    TopicInfo {
        name: name.to_owned(),
        partitions,
        config: config
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect(),
    }
}

/// Creates a topic and returns its unique name.
pub(crate) fn created(transport: &dyn Transport, base: &str, partitions: u32) -> Arc<str> {
    let name = unique(base);
    let mut admin = transport.admin().unwrap();
    patiently(|| admin.create_topic(&topic(&name, partitions, &[])));
    name.into()
}

pub(crate) fn at(topic: &Arc<str>, partition: i32) -> TopicPartition {
    TopicPartition {
        topic: topic.clone(),
        partition,
    }
}

/// An outbox of records for partition `partition` of topic 0, with their index as timestamp.
pub(crate) fn outbox(partition: i32, records: &[(&str, &str)]) -> Outbox {
    let mut outbox = Outbox::default();
    for (i, (key, value)) in (0..).zip(records) {
        outbox.push(Outgoing {
            topic: 0,
            partition: Some(partition),
            key: Some(key.as_bytes()),
            value: Some(value.as_bytes()),
            timestamp: Some(i),
            headers: &Headers::new(),
        });
    }
    outbox
}

pub(crate) fn plain_producer(transport: &dyn Transport) -> Box<dyn Producer> {
    transport
        .producer(&ProducerSpec {
            client_id: "test".to_owned(),
            transactional_id: None,
        })
        .unwrap()
}

/// A transactional producer, before `init`.
pub(crate) fn transactional_producer(transport: &dyn Transport, id: &str) -> Box<dyn Producer> {
    transport
        .producer(&ProducerSpec {
            client_id: "test".to_owned(),
            transactional_id: Some(id.to_owned()),
        })
        .unwrap()
}

/// Produces without a transaction, and waits until it is there.
pub(crate) fn produce(
    transport: &dyn Transport,
    topic: &Arc<str>,
    partition: i32,
    records: &[(&str, &str)],
) {
    let mut producer = plain_producer(transport);
    producer
        .send(&outbox(partition, records), std::slice::from_ref(topic))
        .unwrap();
    patiently(|| producer.flush());
}

/// Reads everything from `from` to the present end.
pub(crate) fn read_all(
    transport: &dyn Transport,
    partition: &TopicPartition,
    from: i64,
) -> Vec<ConsumedRecord> {
    let mut consumer = transport.consumer("test").unwrap();
    consumer.assign(&[(partition.clone(), from)]).unwrap();
    let mut records = Vec::new();
    until(|| {
        let mut fetched = Vec::new();
        consumer
            .poll(Duration::from_millis(100), 1000, &mut fetched)
            .unwrap();
        let at_end = fetched.iter().any(|f| f.at_end);
        records.extend(fetched.into_iter().flat_map(|f| f.records));
        at_end
    });
    records
}

/// Everything in a topic from the start, values as text, by partition.
pub(crate) fn values(transport: &dyn Transport, topic: &Arc<str>, partition: i32) -> Vec<String> {
    let range = transport
        .admin()
        .unwrap()
        .offsets(&[at(topic, partition)])
        .unwrap()[0];
    read_all(transport, &at(topic, partition), range.start)
        .into_iter()
        .map(|r| text(r.value.as_ref()))
        .collect()
}

pub(crate) fn text(bytes: Option<&Bytes>) -> String {
    bytes.map_or_else(
        || "null".to_owned(),
        |b| String::from_utf8_lossy(b).into_owned(),
    )
}

/// Writes to partition 0, for logs that clean up while they are written: a key, and at last its tombstone, which stays.
#[allow(dead_code, reason = "a broker cannot be made to clean up")]
pub(crate) fn write_tombstones(transport: &dyn Transport, topic: &str) {
    let mut producer = plain_producer(transport);
    for _ in 0..200 {
        let mut out = outbox(0, &[("cleaned", "value")]);
        out.push(Outgoing {
            topic: 0,
            partition: Some(0),
            key: Some(b"cleaned"),
            value: None,
            timestamp: Some(0),
            headers: &Headers::new(),
        });
        producer.send(&out, &[topic.into()]).unwrap();
        patiently(|| producer.flush());
    }
}

/// Polls until `count` records have come; fails if they don't.
pub(crate) fn poll_records(
    consumer: &mut dyn Consumer,
    count: usize,
) -> BTreeMap<TopicPartition, Vec<ConsumedRecord>> {
    let mut all: BTreeMap<TopicPartition, Vec<ConsumedRecord>> = BTreeMap::new();
    let seen = Cell::new(0);
    until(|| {
        let mut fetched = Vec::new();
        consumer
            .poll(Duration::from_millis(100), 1000, &mut fetched)
            .unwrap();
        // News of an end may come on its own.
        for f in fetched.into_iter().filter(|f| !f.records.is_empty()) {
            seen.set(seen.get() + f.records.len());
            all.entry(f.partition).or_default().extend(f.records);
        }
        seen.get() >= count
    });
    assert_eq!(seen.get(), count);
    all
}

/// Repeats what the log says may be repeated; a broker on a busy machine takes its time.
pub(crate) fn patiently<T>(mut ask: impl FnMut() -> Result<T, TransportError>) -> T {
    let mut answer = None;
    until(|| match ask() {
        Err(TransportError::Retriable(_)) => false,
        other => {
            answer = Some(other.unwrap());
            true
        }
    });
    answer.unwrap()
}

/// Repeats until it is true; fails when patience ends.
pub(crate) fn until(mut f: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !f() {
        assert!(begin.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain");
    }
}

#[track_caller]
pub(crate) fn assert_abortable<T: std::fmt::Debug>(result: Result<T, TransportError>) {
    assert!(
        matches!(result, Err(TransportError::Abortable(_))),
        "{result:?}"
    );
}

#[track_caller]
pub(crate) fn assert_fenced<T: std::fmt::Debug>(result: Result<T, TransportError>) {
    assert!(
        matches!(result, Err(TransportError::Fenced(_))),
        "{result:?}"
    );
}

pub(crate) fn admin(transport: &dyn Transport) -> Box<dyn Admin> {
    transport.admin().unwrap()
}
