//! Topics that a sink's closure names, and global stores that a processor keeps, on the driver and on an embedded log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kstreams::exceptions::{
    ErrorHandlerContext, LogAndContinue, ProductionException, ProductionExceptionHandler,
    ProductionResponse,
};
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
    /// To one of those that an enum declares, a table's updates too.
    #[from(input.filter(|_, v| v.starts_with("declared-")).to_table())]
    #[sink(
        topic = |key, value| lane_of(key, value.as_deref()),
        topics(
            /// Where values go.
            #[derive(PartialOrd, Ord)]
            enum Lane {
                /// Those that end in `a`.
                A = "declared-a",
                B = "declared-b",
                /// Deleted ones.
                None = "declared-none",
            }
        ),
        partitions = 3,
        partitioner = |_, _, value: &Option<String>, _| value.as_deref().map_or(vec![], lane)
    )]
    declared: KTable<String, String>,
}

fn lane_of(_: &str, value: Option<&str>) -> Lane {
    match value {
        Some(value) if value.ends_with('a') => Lane::A,
        Some(_) => Lane::B,
        None => Lane::None,
    }
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

/// What an enum declares is there at start-up, and nothing else can be named.
#[test]
fn topics_that_an_enum_declares_are_chosen_by_its_variants() {
    assert_eq!(Lane::ALL, [Lane::A, Lane::B, Lane::None]);
    assert_eq!(
        Lane::ALL.iter().map(|lane| lane.name()).collect::<Vec<_>>(),
        ["declared-a", "declared-b", "declared-none"]
    );
    assert!(Lane::A < Lane::B, "further derives are the user's");
    let t = Routed::builder().test_driver().unwrap();
    let topics = t.topics().unwrap();
    assert!(
        Lane::ALL
            .iter()
            .all(|lane| topics.iter().any(|topic| topic == lane.name()))
    );
    t.input.send("k", "declared-a").at(1);
    t.input.send("k", "declared-all").at(2);
    t.input.send("j", "declared-a").at(3);
    let placed = |lane: Lane| {
        let records = t.read_with_partitions(lane.name()).unwrap();
        let of = records.iter();
        of.map(|(partition, r)| {
            format!(
                "{partition}:{}={}@{}",
                show(r.key.as_deref()),
                show(r.value.as_deref()),
                r.timestamp
            )
        })
        .collect::<Vec<_>>()
    };
    assert_eq!(placed(Lane::A), ["1:k=declared-a@1", "1:j=declared-a@3"]);
    assert_eq!(
        placed(Lane::B),
        ["0:k=declared-all@2", "2:k=declared-all@2"]
    );
    assert!(placed(Lane::None).is_empty());
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
        create(&log, name, *partitions);
    }
    log
}

fn create(log: &EmbeddedLog, name: &str, partitions: u32) {
    let topic = TopicInfo {
        name: name.to_owned(),
        partitions,
        config: BTreeMap::new(),
    };
    log.admin().unwrap().create_topic(&topic).unwrap();
}

const TOPICS: &[(&str, u32)] = &[
    ("names", 2),
    ("in", 1),
    ("lanes", 3),
    ("listed-a", 1),
    ("listed-b", 1),
    ("declared-a", 3),
    ("declared-b", 3),
    ("declared-none", 3),
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

/// `partition:value` of every record, sorted.
fn consume(log: &EmbeddedLog, topic: &str, partitions: i32) -> Vec<String> {
    let mut records = consume_in_order(log, topic, partitions);
    records.sort();
    records
}

/// `partition:value` of every record, each partition's in its order.
fn consume_in_order(log: &EmbeddedLog, topic: &str, partitions: i32) -> Vec<String> {
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
            return records;
        }
    }
}

const SOON: Duration = Duration::from_secs(120);

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

/// Waits for a topic that somebody else makes.
struct WaitForIt(AtomicUsize);

impl ProductionExceptionHandler for &'static WaitForIt {
    fn handle_error(
        &self,
        context: &ErrorHandlerContext<'_>,
        error: &ProductionException,
    ) -> ProductionResponse {
        assert_eq!(context.topic(), "in");
        assert!(error.is_retriable(), "{error}");
        assert_eq!(error.to_string(), "topic `late` does not exist");
        self.0.fetch_add(1, Ordering::SeqCst);
        ProductionResponse::retry()
    }
}

/// To topics that their keys name.
#[topology(application_id = "waiting")]
struct Waiting {
    #[source(topic = "in", partitions = 1)]
    #[sink(topic = |key, _| key.clone())]
    input: KStream<String, String>,
}

/// Goes back to the last commit as often as it takes; then every record is there once, in its order.
#[test]
fn a_topic_that_is_made_later_is_waited_for() {
    static TRIED: [WaitForIt; 2] = [const { WaitForIt(AtomicUsize::new(0)) }; 2];
    for (guarantee, handler) in GUARANTEES.into_iter().zip(&TRIED) {
        let dir = tempfile::tempdir().unwrap();
        let log = log_with(&dir, &[("in", 1), ("before", 1), ("early", 1)]);
        let config = config(&dir, guarantee).production_exception_handler(handler);
        let app = Waiting::builder().start(config).unwrap();
        produce(&log, "in", &[("before", "0")]);
        eventually(|| consume(&log, "before", 1) == ["0:0"]);
        let values: Vec<String> = (0..40).map(|n| n.to_string()).collect();
        let is_late = |n: usize| n % 4 == 1;
        let records: Vec<(&str, &str)> = values
            .iter()
            .enumerate()
            .map(|(n, value)| (if is_late(n) { "late" } else { "early" }, value.as_str()))
            .collect();
        produce(&log, "in", &records);
        eventually(|| handler.0.load(Ordering::SeqCst) >= 3);
        assert_ne!(app.state(), State::Error, "{guarantee:?}");

        create(&log, "late", 1);
        let of = |topic: &str| -> Vec<String> {
            let own = records.iter().filter(|(key, _)| *key == topic);
            own.map(|(_, value)| format!("0:{value}")).collect()
        };
        eventually(|| consume_in_order(&log, "late", 1).last() == of("late").last());
        app.close().unwrap();
        assert_eq!(consume_in_order(&log, "late", 1), of("late"));
        let mut early = consume_in_order(&log, "early", 1);
        if guarantee == ProcessingGuarantee::AtLeastOnce {
            // What was written before the record that had to wait is written again.
            let mut seen = BTreeSet::new();
            early.retain(|value| seen.insert(value.clone()));
        }
        assert_eq!(early, of("early"), "{guarantee:?}");
        if guarantee == ProcessingGuarantee::ExactlyOnceV2 {
            assert_eq!(consume(&log, "before", 1), ["0:0"], "its commit stays");
        }
    }
}

/// To topics that their keys name, each in the partitions that its value says.
#[topology(application_id = "spread")]
struct Spread {
    #[source(topic = "in", partitions = 1)]
    #[sink(topic = |key, _| key.clone(), partitioner = |topic, _, value: &String, count| placed(topic, value, count))]
    input: KStream<String, String>,
}

/// `everywhere`, `nowhere`, `first`, `beyond`, and otherwise Kafka's own choice.
fn placed(topic: &str, value: &str, count: u32) -> Partitions {
    assert!(topic == "wide" || topic == "late", "{topic}");
    match value {
        "everywhere" => Partitions::several(0..i32::try_from(count).unwrap_or(i32::MAX)),
        "nowhere" => Partitions::Nowhere,
        "first" => Partitions::One(0),
        "beyond" => Partitions::One(3),
        _ => Partitions::Default,
    }
}

#[test]
fn a_partitioner_is_told_the_count_of_a_topic_that_is_chosen_freely() {
    for guarantee in GUARANTEES {
        let dir = tempfile::tempdir().unwrap();
        let log = log_with(&dir, &[("in", 1), ("wide", 3), ("dead", 1)]);
        let values = ["everywhere", "nowhere", "first", "beyond", "else"];
        produce(&log, "in", &values.map(|value| ("wide", value)));
        produce(&log, "in", &[("late", "everywhere")]);
        let config = config(&dir, guarantee)
            .production_exception_handler(LogAndContinue)
            .dead_letter_queue("dead");
        let app = Spread::builder().start(config.clone()).unwrap();
        let by_key = kstreams::partitioner::partition_for_key(b"wide", 3);
        let mut expected = vec!["0:everywhere", "0:first", "1:everywhere", "2:everywhere"];
        let other = format!("{by_key}:else");
        expected.push(&other);
        expected.sort_unstable();
        eventually(|| consume(&log, "wide", 3) == expected);
        eventually(|| consume_in_order(&log, "dead", 1) == ["0:beyond", "0:everywhere"]);
        // A topic that was not there is asked for again.
        create(&log, "late", 2);
        produce(&log, "in", &[("late", "everywhere")]);
        eventually(|| consume(&log, "late", 2) == ["0:everywhere", "1:everywhere"]);
        app.close().unwrap();
    }
}

#[test]
fn a_topic_that_is_chosen_freely_and_partitioned_is_there_or_an_error_or_made() {
    for guarantee in GUARANTEES {
        let dir = tempfile::tempdir().unwrap();
        let log = log_with(&dir, &[("in", 1)]);
        produce(&log, "in", &[("late", "everywhere")]);
        let app = Spread::builder().start(config(&dir, guarantee)).unwrap();
        assert!(app.streams().wait_for(State::Error, SOON));
        let failure = app.close().unwrap_err().to_string();
        assert!(failure.contains("topic `late` does not exist"), "{failure}");

        let config = config(&dir, guarantee).create_topics(true);
        let app = Spread::builder().start(config).unwrap();
        let made = || {
            let topics = log.admin().unwrap().list_topics().unwrap();
            topics.iter().any(|topic| topic.name == "late")
        };
        eventually(|| made() && consume(&log, "late", 1) == ["0:everywhere"]);
        app.close().unwrap();
    }
    let t = Spread::builder().test_driver().unwrap();
    t.input.send("wide", "everywhere").at(1);
    assert_eq!(read(&t, "wide"), ["wide=everywhere@1"]);
}
