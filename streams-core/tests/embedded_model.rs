//! Random operations on the embedded log, in memory and on disk, beside a plain model of what it should hold.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use streams_core::lmdb::Durability;
use streams_core::outbox::{Outbox, Outgoing};
use streams_core::record::{Headers, TopicPartition};
use streams_core::transport::embedded::{EmbeddedLog, EmbeddedLogOptions};
use streams_core::transport::{
    CommittedOffset, GroupMetadata, Producer, ProducerSpec, TopicInfo, Transport, TransportError,
};

const TOPICS: [&str; 2] = ["kept", "compacted"];
const PARTITIONS: usize = 2;
const GROUP: &str = "g";

type Key = Option<u8>;
type Value = Option<Vec<u8>>;

#[derive(Debug, Clone)]
struct Write {
    topic: usize,
    partition: usize,
    key: Key,
    value: Value,
    timestamp: i64,
}

#[derive(Debug, Clone)]
enum Op {
    Flush(Vec<Write>),
    Commit(Vec<Write>, Option<(usize, i64)>),
    Abort(Vec<Write>, Option<(usize, i64)>),
    /// A new producer with the same id; the old one tries to commit.
    TakeOver(Vec<Write>),
    Read {
        topic: usize,
        partition: usize,
        from: f64,
        max: usize,
    },
    Delete {
        topic: usize,
        partition: usize,
        before: f64,
    },
    Reopen,
}

fn write() -> impl Strategy<Value = Write> {
    (
        0..TOPICS.len(),
        0..PARTITIONS,
        proptest::option::weighted(0.9, 0..6_u8),
        proptest::option::weighted(0.8, proptest::collection::vec(any::<u8>(), 0..300)),
        -5..1000_i64,
    )
        .prop_map(|(topic, partition, key, value, timestamp)| Write {
            topic,
            partition,
            key,
            value,
            timestamp,
        })
}

fn op() -> impl Strategy<Value = Op> {
    let writes = || proptest::collection::vec(write(), 0..20);
    let offset = || proptest::option::of((0..PARTITIONS, 0..100_i64));
    prop_oneof![
        3 => writes().prop_map(Op::Flush),
        5 => (writes(), offset()).prop_map(|(w, o)| Op::Commit(w, o)),
        2 => (writes(), offset()).prop_map(|(w, o)| Op::Abort(w, o)),
        1 => writes().prop_map(Op::TakeOver),
        5 => (0..TOPICS.len(), 0..PARTITIONS, 0.0..1.2_f64, 1..40_usize)
            .prop_map(|(topic, partition, from, max)| Op::Read { topic, partition, from, max }),
        1 => (0..TOPICS.len(), 0..PARTITIONS, 0.0..1.1_f64)
            .prop_map(|(topic, partition, before)| Op::Delete { topic, partition, before }),
        1 => Just(Op::Reopen),
    ]
}

/// What the log should hold.
#[derive(Default)]
struct Model {
    partitions: BTreeMap<(usize, usize), Vec<Write>>,
    starts: BTreeMap<(usize, usize), i64>,
    offsets: BTreeMap<usize, i64>,
}

impl Model {
    fn append(&mut self, writes: &[Write]) {
        for write in writes {
            self.partitions
                .entry((write.topic, write.partition))
                .or_default()
                .push(write.clone());
        }
    }

    fn range(&self, at: (usize, usize)) -> (i64, i64) {
        let end = self.partitions.get(&at).map_or(0, Vec::len);
        (
            self.starts.get(&at).copied().unwrap_or(0),
            i64::try_from(end).unwrap(),
        )
    }
}

fn outbox(writes: &[Write]) -> Outbox {
    let mut out = Outbox::default();
    for write in writes {
        let key = write.key.map(|k| [k; 3]);
        out.push(Outgoing {
            topic: write.topic,
            partition: Some(i32::try_from(write.partition).unwrap()),
            key: key.as_ref().map(|k| &k[..]),
            value: write.value.as_deref(),
            timestamp: Some(write.timestamp),
            headers: &Headers::new(),
        });
    }
    out
}

fn names() -> Vec<Arc<str>> {
    TOPICS.iter().map(|t| Arc::from(*t)).collect()
}

fn at(topic: usize, partition: usize) -> TopicPartition {
    TopicPartition::new(TOPICS[topic], i32::try_from(partition).unwrap())
}

fn producer(log: &EmbeddedLog, id: Option<&str>) -> Box<dyn Producer> {
    let transactional_id = id.map(str::to_owned);
    let mut producer = log
        .producer(&ProducerSpec {
            client_id: "model".to_owned(),
            transactional_id,
        })
        .unwrap();
    if id.is_some() {
        producer.init().unwrap();
    }
    producer
}

fn offset_of(offset: Option<(usize, i64)>) -> Vec<(TopicPartition, CommittedOffset)> {
    offset
        .into_iter()
        .map(|(partition, offset)| {
            (
                at(0, partition),
                CommittedOffset {
                    offset,
                    metadata: String::new(),
                },
            )
        })
        .collect()
}

/// Reads up to `max` records and compares them. A compacted partition may lack what a later record supersedes.
fn read(log: &EmbeddedLog, model: &Model, topic: usize, partition: usize, from: i64, max: usize) {
    let (start, end) = model.range((topic, partition));
    let mut consumer = log.consumer("model").unwrap();
    consumer.assign(&[(at(topic, partition), from)]).unwrap();
    let mut fetched = Vec::new();
    let result = consumer.poll(Duration::ZERO, max, &mut fetched);
    if from < start || from > end {
        assert!(
            matches!(result, Err(TransportError::OffsetOutOfRange { offset, .. }) if offset == from),
            "{result:?}"
        );
        return;
    }
    result.unwrap();
    let [fetched] = &fetched[..] else {
        panic!("{fetched:?}")
    };
    assert_eq!(fetched.at_end, fetched.next_offset == end);
    assert!(fetched.records.len() <= max);
    assert!(
        fetched.at_end || max < usize::MAX,
        "all of it was asked for"
    );
    assert!(!fetched.records.is_empty() || fetched.at_end || topic == 1);
    let none = Vec::new();
    let writes = model.partitions.get(&(topic, partition)).unwrap_or(&none);
    let mut expected = from;
    for record in &fetched.records {
        for gone in expected..record.offset {
            assert!(superseded(writes, gone, topic), "offset {gone} is missing");
        }
        let write = &writes[usize::try_from(record.offset).unwrap()];
        assert_eq!(
            record.key.as_deref(),
            write.key.map(|k| [k; 3]).as_ref().map(|k| &k[..])
        );
        assert_eq!(record.value.as_deref(), write.value.as_deref());
        assert_eq!(record.timestamp, write.timestamp);
        expected = record.offset + 1;
    }
    for gone in expected..fetched.next_offset {
        assert!(superseded(writes, gone, topic), "offset {gone} is missing");
    }
}

fn superseded(writes: &[Write], offset: i64, topic: usize) -> bool {
    let at = usize::try_from(offset).unwrap();
    let key = writes[at].key;
    topic == 1 && key.is_some() && writes[at + 1..].iter().any(|w| w.key == key)
}

fn run(ops: Vec<Op>, open: &dyn Fn() -> EmbeddedLog, reopens: bool) {
    let mut log = open();
    for (topic, config) in TOPICS.iter().zip([
        vec![],
        vec![
            ("cleanup.policy", "compact"),
            ("segment.bytes", "1500"),
            ("min.cleanable.dirty.ratio", "0.2"),
        ],
    ]) {
        let config = config
            .into_iter()
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect();
        let partitions = u32::try_from(PARTITIONS).unwrap();
        let info = TopicInfo {
            name: (*topic).to_owned(),
            partitions,
            config,
        };
        log.admin().unwrap().create_topic(&info).unwrap();
    }
    let mut model = Model::default();
    let mut plain = producer(&log, None);
    let mut transactional = producer(&log, Some("model"));
    for op in ops {
        match op {
            Op::Flush(writes) => {
                plain.send(&outbox(&writes), &names()).unwrap();
                plain.flush().unwrap();
                model.append(&writes);
            }
            Op::Commit(writes, offset) => {
                transactional.begin().unwrap();
                let (first, second) = writes.split_at(writes.len() / 2);
                transactional.send(&outbox(first), &names()).unwrap();
                transactional
                    .send_offsets(&GroupMetadata::outside(GROUP), &offset_of(offset))
                    .unwrap();
                transactional.send(&outbox(second), &names()).unwrap();
                let ends = transactional.commit().unwrap();
                model.append(&writes);
                model.offsets.extend(offset);
                for (partition, end) in ends {
                    let topic = TOPICS.iter().position(|t| **t == *partition.topic).unwrap();
                    let partition = usize::try_from(partition.partition).unwrap();
                    assert_eq!(model.range((topic, partition)).1, end);
                }
            }
            Op::Abort(writes, offset) => {
                transactional.begin().unwrap();
                transactional.send(&outbox(&writes), &names()).unwrap();
                transactional
                    .send_offsets(&GroupMetadata::outside(GROUP), &offset_of(offset))
                    .unwrap();
                transactional.abort().unwrap();
            }
            Op::TakeOver(writes) => {
                transactional.begin().unwrap();
                transactional.send(&outbox(&writes), &names()).unwrap();
                let newer = producer(&log, Some("model"));
                assert!(matches!(
                    transactional.commit(),
                    Err(TransportError::Fenced(_))
                ));
                transactional = newer;
            }
            Op::Read {
                topic,
                partition,
                from,
                max,
            } => {
                let end = model.range((topic, partition)).1;
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_precision_loss,
                    reason = "small"
                )]
                read(
                    &log,
                    &model,
                    topic,
                    partition,
                    (end as f64 * from) as i64,
                    max,
                );
            }
            Op::Delete {
                topic,
                partition,
                before,
            } => {
                let (start, end) = model.range((topic, partition));
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_precision_loss,
                    reason = "small"
                )]
                let before = (end as f64 * before) as i64;
                let result = log
                    .admin()
                    .unwrap()
                    .delete_records(&[(at(topic, partition), before)]);
                if before > end {
                    assert!(
                        matches!(result, Err(TransportError::OffsetOutOfRange { .. })),
                        "{result:?}"
                    );
                } else {
                    result.unwrap();
                    model.starts.insert((topic, partition), start.max(before));
                }
            }
            Op::Reopen if reopens => {
                drop((plain, transactional, log));
                log = open();
                plain = producer(&log, None);
                transactional = producer(&log, Some("model"));
            }
            Op::Reopen => {}
        }
        let mut admin = log.admin().unwrap();
        for topic in 0..TOPICS.len() {
            for partition in 0..PARTITIONS {
                let range = admin.offsets(&[at(topic, partition)]).unwrap()[0];
                assert_eq!((range.start, range.end), model.range((topic, partition)));
            }
        }
        let partitions: Vec<_> = (0..PARTITIONS).map(|p| at(0, p)).collect();
        let offsets = admin.committed(GROUP, &partitions).unwrap();
        for (partition, offset) in offsets.into_iter().enumerate() {
            assert_eq!(
                offset.map(|o| o.offset),
                model.offsets.get(&partition).copied()
            );
        }
    }
    for topic in 0..TOPICS.len() {
        for partition in 0..PARTITIONS {
            let start = model.range((topic, partition)).0;
            read(&log, &model, topic, partition, start, usize::MAX);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn in_memory(ops in proptest::collection::vec(op(), 1..60)) {
        run(ops, &EmbeddedLog::in_memory, false);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn on_disk(ops in proptest::collection::vec(op(), 1..60)) {
        let dir = tempfile::tempdir().unwrap();
        let options =
            || EmbeddedLogOptions { durability: Durability::NoSync, ..EmbeddedLogOptions::default() };
        run(ops, &|| EmbeddedLog::open(dir.path(), options()).unwrap(), true);
    }
}
