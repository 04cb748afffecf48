//! Compaction and retention of the embedded log by a clock that the test turns.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use streams_core::outbox::{Outbox, Outgoing};
use streams_core::record::{Headers, TopicPartition};
use streams_core::time::{Clock, ManualClock};
use streams_core::transport::embedded::{EmbeddedLog, EmbeddedLogOptions};
use streams_core::transport::{OffsetRange, Producer, ProducerSpec, TopicInfo, Transport};

struct Setup {
    clock: ManualClock,
    log: EmbeddedLog,
    producer: Box<dyn Producer>,
}

fn setup(config: &[(&str, &str)]) -> Setup {
    let clock = ManualClock::new(1_000_000_000);
    let log = EmbeddedLog::in_memory_with(EmbeddedLogOptions {
        clock: Arc::new(clock.clone()),
        ..EmbeddedLogOptions::default()
    });
    let config = config
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    let topic = TopicInfo {
        name: "t".to_owned(),
        partitions: 1,
        config,
    };
    log.admin().unwrap().create_topic(&topic).unwrap();
    let spec = ProducerSpec {
        client_id: String::new(),
        transactional_id: None,
    };
    let producer = log.producer(&spec).unwrap();
    Setup {
        clock,
        log,
        producer,
    }
}

impl Setup {
    /// Commits one record, stamped with the clock's time.
    fn write(&mut self, key: &str, value: Option<&str>) {
        let mut out = Outbox::default();
        out.push(Outgoing {
            topic: 0,
            partition: Some(0),
            key: Some(key.as_bytes()),
            value: value.map(str::as_bytes),
            timestamp: None,
            headers: &Headers::new(),
        });
        self.producer.send(&out, &[Arc::from("t")]).unwrap();
        self.producer.flush().unwrap();
    }

    /// Commits enough of other keys for a pass from begin to end.
    fn fill(&mut self) {
        let value = "x".repeat(500);
        for i in 0..60 {
            self.write(&format!("filler-{}", i % 3), Some(&value));
        }
    }

    fn range(&self) -> OffsetRange {
        self.log
            .admin()
            .unwrap()
            .offsets(&[TopicPartition::new("t", 0)])
            .unwrap()[0]
    }

    /// All records but the filler: offset, key, value.
    fn read(&self) -> Vec<(i64, String, Option<String>)> {
        let mut consumer = self.log.consumer("").unwrap();
        consumer
            .assign(&[(TopicPartition::new("t", 0), self.range().start)])
            .unwrap();
        let mut fetched = Vec::new();
        consumer
            .poll(Duration::ZERO, usize::MAX, &mut fetched)
            .unwrap();
        let text = |b: &bytes::Bytes| String::from_utf8(b.to_vec()).unwrap();
        fetched
            .iter()
            .flat_map(|f| &f.records)
            .map(|r| {
                (
                    r.offset,
                    text(r.key.as_ref().unwrap()),
                    r.value.as_ref().map(text),
                )
            })
            .filter(|(_, key, _)| !key.starts_with("filler"))
            .collect()
    }

    fn keys(&self) -> BTreeMap<String, Option<String>> {
        self.read()
            .into_iter()
            .map(|(_, key, value)| (key, value))
            .collect()
    }
}

const COMPACT: [(&str, &str); 4] = [
    ("cleanup.policy", "compact"),
    ("segment.bytes", "10000"),
    ("min.cleanable.dirty.ratio", "0.1"),
    ("delete.retention.ms", "60000"),
];

#[test]
fn a_tombstone_outlives_what_it_deletes_and_then_goes() {
    let mut s = setup(&COMPACT);
    s.write("kept", Some("1"));
    s.write("deleted", Some("1"));
    s.write("deleted", None);
    s.fill();
    assert_eq!(
        s.read(),
        [
            (0, "kept".to_owned(), Some("1".to_owned())),
            (2, "deleted".to_owned(), None)
        ],
        "the old value is gone, the tombstone is there, and offsets stay"
    );
    s.clock.advance(Duration::from_secs(59));
    s.fill();
    assert!(s.keys().contains_key("deleted"), "not yet");
    s.clock.advance(Duration::from_secs(2));
    s.fill();
    assert!(!s.keys().contains_key("deleted"));
    assert_eq!(s.keys()["kept"].as_deref(), Some("1"));
}

#[test]
fn what_is_younger_than_the_lag_is_not_compacted() {
    let mut config = COMPACT.to_vec();
    config.push(("min.compaction.lag.ms", "1000"));
    let mut s = setup(&config);
    s.write("k", Some("1"));
    s.write("k", Some("2"));
    s.fill();
    assert_eq!(s.read().len(), 2);
    s.clock.advance(Duration::from_secs(5));
    s.fill();
    assert_eq!(s.read(), [(1, "k".to_owned(), Some("2".to_owned()))]);
}

#[test]
fn records_older_than_the_retention_go() {
    let mut s = setup(&[("retention.ms", "1000")]);
    s.write("a", Some("1"));
    s.clock.advance(Duration::from_millis(600));
    s.write("b", Some("2"));
    s.clock.advance(Duration::from_millis(600));
    s.write("c", Some("3"));
    assert_eq!(s.keys().into_keys().collect::<Vec<_>>(), ["b", "c"]);
    assert_eq!(s.range(), OffsetRange { start: 1, end: 3 });
    s.clock.advance(Duration::from_secs(10));
    s.write("d", Some("4"));
    assert_eq!(s.range(), OffsetRange { start: 3, end: 4 });
    // Kafka's word for "for ever", which is also what a topic has that says nothing.
    for config in [&[("retention.ms", "-1")][..], &[]] {
        let mut s = setup(config);
        s.write("a", Some("1"));
        s.clock.advance(Duration::from_secs(1_000_000_000));
        s.write("b", Some("2"));
        assert_eq!(s.range(), OffsetRange { start: 0, end: 2 });
    }
}

#[test]
fn records_beyond_the_size_go() {
    let mut s = setup(&[("retention.bytes", "5000")]);
    s.fill();
    let range = s.range();
    assert_eq!(range.end, 60);
    let left = range.end - range.start;
    assert!(
        (8..=9).contains(&left),
        "about 5000 bytes of 570 each: {left}"
    );
}

#[test]
fn a_topic_may_be_compacted_and_limited() {
    let mut config = COMPACT.to_vec();
    config[0].1 = "compact,delete";
    config.push(("retention.ms", "100000"));
    let mut s = setup(&config);
    s.write("k", Some("1"));
    s.write("k", Some("2"));
    s.fill();
    assert_eq!(s.read(), [(1, "k".to_owned(), Some("2".to_owned()))]);
    s.clock.advance(Duration::from_secs(101));
    s.fill();
    assert_eq!(s.read(), []);
    assert!(s.range().start > 1);
    assert!(s.clock.now_ms() > 0);
}

#[test]
fn a_large_partition_is_compacted_in_steps() {
    let mut s = setup(&[("cleanup.policy", "compact")]);
    // 100 keys, 40 MB: several passes of many steps each.
    let value = "x".repeat(10_000);
    for round in 0..40 {
        for key in 0..100 {
            s.write(&format!("k{key}"), Some(&format!("{round}-{value}")));
        }
    }
    let records = s.read();
    assert!(records.len() < 2000, "{} of 4000 are left", records.len());
    let newest = s.keys();
    assert_eq!(newest.len(), 100);
    assert!(
        newest
            .values()
            .all(|v| v.as_ref().unwrap().starts_with("39-"))
    );
}
