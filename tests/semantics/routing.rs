//! Topics that a sink's closure names, and global stores that a processor keeps, on the driver and on an embedded log.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kstreams::exceptions::LogAndContinue;
use kstreams::prelude::*;
use kstreams::test_driver::TestDriverOptions;
use kstreams::transport::embedded::{EmbeddedLog, EmbeddedLogOptions};
use kstreams::transport::{TopicInfo, Transport};
use kstreams::{Running, State};
use tempfile::TempDir;

use crate::{read, show};

/// A name, kept in capitals.
#[processor]
struct Capitals {
    #[store(shared)]
    store: KeyValueStore<String, String>,
}

impl Processor<String, String> for Capitals {
    fn process(
        &mut self,
        record: Record<String, String>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        self.store
            .put(&record.key, &record.value.to_uppercase(), cx)
    }
}

#[processor(fixed_key, out = (String, String))]
struct Name {
    #[store]
    names: ReadOnlyKeyValueStore<String, String>,
}

impl FixedKeyProcessor<String, String> for Name {
    fn process(
        &mut self,
        record: FixedKeyRecord<String, String>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        let name = self.names.get(record.key(), cx)?.unwrap_or_default();
        let value = format!("{name} {}", record.value);
        cx.forward(record.with_value(value))
    }
}

#[topology(application_id = "routed")]
struct Routed {
    #[source(topic = "names", partitions = 2, global, process = Capitals::new())]
    names: KeyValueStore<String, String>,
    #[source(topic = "in", partitions = 1)]
    input: KStream<String, String>,
    #[from(input.process_values(Name::new(), stores(names)))]
    #[sink(topic = "lanes", partitions = 3, partitioner = |_, _, value: &String, _| lane(value))]
    named: KStream<String, String>,
    /// Wherever the value says.
    #[from(input.filter(|_, v| v.starts_with("free-")))]
    #[sink(topic = |_, value| value.clone())]
    free: KStream<String, String>,
    /// To one of those that are listed.
    #[from(input.filter(|_, v| v.starts_with("listed-")))]
    #[sink(topic = |_, value| value.clone(), topics("listed-a", "listed-b"), partitions = 1)]
    listed: KStream<String, String>,
}

fn lane(value: &str) -> Vec<i32> {
    if value.ends_with("all") {
        vec![2, 0]
    } else {
        vec![1]
    }
}

#[test]
fn the_driver_takes_any_topic_and_refuses_one_that_is_not_listed() {
    let t = Routed::builder().test_driver().unwrap();
    t.names.send("k", "ann".to_owned());
    t.input.send("k", "free-new").at(1);
    t.input.send("k", "listed-b").at(2);
    assert_eq!(read(&t, "free-new"), ["k=free-new@1"]);
    assert_eq!(read(&t, "listed-b"), ["k=listed-b@2"]);
    assert!(t.topics().unwrap().contains(&"listed-a".to_owned()));
    let refused = t.input.send("k", "listed-c").at(3).pipe().unwrap_err();
    let refused = refused.to_string();
    assert!(
        refused.contains("listed-c") && refused.contains("listed-a, listed-b"),
        "{refused}"
    );
    // A name that no topic can have is refused where the topic would be made.
    t.reset(TestDriverOptions::new()).unwrap();
    let illegal = t.input.send("k", "free-not a name").at(1).pipe();
    let illegal = illegal.unwrap_err().to_string();
    assert!(illegal.contains("free-not a name"), "{illegal}");
}

fn config(dir: &TempDir, guarantee: ProcessingGuarantee) -> StreamsConfig {
    StreamsConfig::embedded(dir.path().join("log"))
        .processing_guarantee(guarantee)
        .cache_max_bytes(0)
        .commit_every(Duration::from_millis(20))
        .poll(Duration::from_millis(5))
}

fn log_with(dir: &TempDir, topics: &[(&str, u32)]) -> EmbeddedLog {
    let log = EmbeddedLog::open(dir.path().join("log"), EmbeddedLogOptions::default()).unwrap();
    for (name, partitions) in topics {
        log.admin()
            .unwrap()
            .create_topic(&TopicInfo {
                name: (*name).to_owned(),
                partitions: *partitions,
                config: BTreeMap::new(),
            })
            .unwrap();
    }
    log
}

const TOPICS: &[(&str, u32)] = &[
    ("names", 2),
    ("in", 1),
    ("lanes", 3),
    ("listed-a", 1),
    ("listed-b", 1),
    ("dead", 1),
];

fn produce(log: &EmbeddedLog, topic: &str, records: &[(&str, &str)]) {
    use kstreams::outbox::{Outbox, Outgoing};
    use kstreams::transport::ProducerSpec;
    let spec = ProducerSpec {
        client_id: "test".to_owned(),
        transactional_id: None,
    };
    let mut producer = log.producer(&spec).unwrap();
    let mut outbox = Outbox::default();
    for (key, value) in records {
        outbox.push(Outgoing {
            topic: 0,
            partition: None,
            key: Some(key.as_bytes()),
            value: Some(value.as_bytes()),
            timestamp: Some(1),
            headers: &Headers::new(),
        });
    }
    producer.send(&outbox, &[topic.into()]).unwrap();
    producer.flush().unwrap();
}

/// `partition:value` of every record, in order.
fn consume(log: &EmbeddedLog, topic: &str, partitions: i32) -> Vec<String> {
    let mut consumer = log.consumer("test").unwrap();
    let all: Vec<_> = (0..partitions)
        .map(|p| (kstreams::TopicPartition::new(topic, p), 0))
        .collect();
    consumer.assign(&all).unwrap();
    let (mut fetched, mut records) = (Vec::new(), Vec::new());
    loop {
        consumer
            .poll(Duration::ZERO, 1_000, &mut fetched)
            .expect("it can be read");
        let before = records.len();
        for batch in fetched.drain(..) {
            let partition = batch.partition.partition;
            let of = batch.records.iter();
            records.extend(of.map(|r| format!("{partition}:{}", show(r.value.as_deref()))));
        }
        if records.len() == before {
            records.sort();
            return records;
        }
    }
}

const SOON: Duration = Duration::from_secs(20);

#[track_caller]
fn eventually(mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {SOON:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn name(app: &Running<Routed>, key: &str) -> Option<String> {
    let snapshot = app.names.snapshot().unwrap();
    snapshot.get(&key.to_owned()).unwrap()
}

const GUARANTEES: [ProcessingGuarantee; 2] = [
    ProcessingGuarantee::AtLeastOnce,
    ProcessingGuarantee::ExactlyOnceV2,
];

#[test]
fn a_topic_that_is_not_there_stops_the_application() {
    for guarantee in GUARANTEES {
        let dir = tempfile::tempdir().unwrap();
        let log = log_with(&dir, TOPICS);
        produce(&log, "in", &[("k", "free-new")]);
        let app = Routed::builder().start(config(&dir, guarantee)).unwrap();
        assert!(app.streams().wait_for(State::Error, SOON));
        let failure = app.close().unwrap_err().to_string();
        assert!(
            failure.contains("topic `free-new` does not exist"),
            "{failure}"
        );
    }
}

#[test]
fn a_topic_that_is_not_there_is_for_the_production_handler_or_made() {
    for guarantee in GUARANTEES {
        let dir = tempfile::tempdir().unwrap();
        let log = log_with(&dir, TOPICS);
        produce(&log, "names", &[("k", "ann"), ("j", "bob")]);
        let input = [("k", "free-new"), ("k", "for all"), ("j", "listed-a")];
        produce(&log, "in", &input);
        let config = config(&dir, guarantee)
            .production_exception_handler(LogAndContinue)
            .dead_letter_queue("dead");
        let app = Routed::builder().start(config.clone()).unwrap();
        let lanes = [
            "0:ANN for all",
            "1:ANN free-new",
            "1:BOB listed-a",
            "2:ANN for all",
        ];
        eventually(|| consume(&log, "lanes", 3) == lanes);
        eventually(|| consume(&log, "dead", 1) == ["0:free-new"]);
        assert_eq!(consume(&log, "listed-a", 1), ["0:listed-a"]);
        // What a processor keeps follows its topic, and goes on where it was.
        produce(&log, "names", &[("k", "eve")]);
        eventually(|| name(&app, "k").as_deref() == Some("EVE"));
        app.close().unwrap();

        let app = Routed::builder().start(config.create_topics(true)).unwrap();
        assert_eq!(name(&app, "j").as_deref(), Some("BOB"));
        assert_eq!(name(&app, "k").as_deref(), Some("EVE"));
        produce(&log, "in", &[("k", "free-new")]);
        let made = || {
            let topics = log.admin().unwrap().list_topics().unwrap();
            topics.iter().any(|topic| topic.name == "free-new")
        };
        eventually(|| made() && consume(&log, "free-new", 1) == ["0:free-new"]);
        app.close().unwrap();
    }
}
