//! The running application, on the embedded log on disk with several threads, against the test driver: the same records give
//! the same results.

use std::collections::BTreeMap;
use std::time::Duration;

use kstreams::outbox::{Outbox, Outgoing};
use kstreams::prelude::*;
use kstreams::test_driver::TestDriverOptions;
use kstreams::transport::embedded::{EmbeddedLog, EmbeddedLogOptions};
use kstreams::transport::{ConsumedRecord, ProducerSpec, TopicInfo, Transport};
use kstreams::{State, TopicPartition};

#[topology(application_id = "shop")]
struct Shop {
    #[source(topic = "orders", partitions = 3)]
    #[sink(topic = |_, total| if total % 10 == 0 { "round".to_owned() } else { format!("digit-{}", total % 3) })]
    orders: KStream<String, i64>,
    #[from(orders.group_by(|_, total| total % 7).count())]
    #[sink(topic = "counts")]
    counts: KTable<i64, i64>,
    #[from(orders.filter(|_, total| total % 2 == 0).group_by_key().aggregate(
        String::new,
        |_, total, all| format!("{all},{total}"),
    ))]
    #[sink(topic = "lists")]
    lists: KTable<String, String>,
    #[from(counts.filter(|_, n| n % 2 == 0))]
    #[store]
    even_counts: KTable<i64, i64>,
}

const ROUTED: [&str; 4] = ["round", "digit-0", "digit-1", "digit-2"];

/// Keys and totals, with equal keys far apart.
fn orders() -> impl Iterator<Item = (String, i64)> {
    (0..600_i64).map(|n| (format!("customer-{}", n * n % 41), n * 37 % 1000))
}

/// Per topic and key: values and timestamps in order.
type Outputs = BTreeMap<(String, Vec<u8>), Vec<(Vec<u8>, i64)>>;

fn gather(outputs: &mut Outputs, topic: &str, records: impl IntoIterator<Item = ConsumedRecord>) {
    for record in records {
        let bytes = |b: Option<bytes::Bytes>| b.unwrap_or_default().to_vec();
        let place = (topic.to_owned(), bytes(record.key));
        let list = outputs.entry(place).or_default();
        list.push((bytes(record.value), record.timestamp));
    }
}

#[test]
fn the_running_application_gives_what_the_test_driver_gives() {
    let t = Shop::builder().test_driver().unwrap();
    t.reset(TestDriverOptions::new()).unwrap();
    for (at, (key, total)) in (0..).zip(orders()) {
        t.orders.send(key, total).at(at);
    }
    let mut expected = Outputs::new();
    for topic in ROUTED.into_iter().chain(["lists"]) {
        gather(&mut expected, topic, t.read_raw(topic).unwrap());
    }

    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("log");
    let log = EmbeddedLog::open(&at, EmbeddedLogOptions::default()).unwrap();
    produce(&log);
    let config = StreamsConfig::embedded(&at)
        .create_topics(true)
        .cache_max_bytes(0)
        .num_stream_threads(3)
        .processing_guarantee(ProcessingGuarantee::ExactlyOnceV2)
        .commit_every(Duration::from_millis(10));
    let app = Shop::builder().start(config).unwrap();
    assert!(
        app.streams()
            .wait_for(State::Running, Duration::from_secs(120))
    );
    // Lists lie behind a repartition topic, and come later than counts.
    let is_done = || {
        app.counts.all().ok() == t.counts.all().ok()
            && app.lists.all().ok() == t.lists.all().ok()
            && app.even_counts.all().ok() == t.even_counts.all().ok()
    };
    for _ in 0..12_000 {
        if is_done() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(app.counts.all().unwrap(), t.counts.all().unwrap());
    assert_eq!(app.lists.all().unwrap(), t.lists.all().unwrap());
    assert_eq!(app.even_counts.all().unwrap(), t.even_counts.all().unwrap());
    app.close().unwrap();

    let mut outputs = Outputs::new();
    for topic in ROUTED.into_iter().chain(["lists"]) {
        gather(&mut outputs, topic, consume(&log, topic));
    }
    assert_eq!(outputs, expected);
}

fn produce(log: &EmbeddedLog) {
    let topic = TopicInfo {
        name: "orders".to_owned(),
        partitions: 3,
        config: BTreeMap::new(),
    };
    log.admin().unwrap().create_topic(&topic).unwrap();
    let spec = ProducerSpec {
        client_id: "test".to_owned(),
        transactional_id: None,
    };
    let mut producer = log.producer(&spec).unwrap();
    let (mut outbox, headers) = (Outbox::default(), Headers::new());
    for (at, (key, total)) in (0..).zip(orders()) {
        outbox.push(Outgoing {
            topic: 0,
            partition: None,
            key: Some(key.as_bytes()),
            value: Some(&total.to_be_bytes()),
            timestamp: Some(at),
            headers: &headers,
        });
    }
    producer.send(&outbox, &["orders".into()]).unwrap();
    producer.flush().unwrap();
}

fn consume(log: &EmbeddedLog, topic: &str) -> Vec<ConsumedRecord> {
    let infos = log.admin().unwrap().describe_topics(&[topic]).unwrap();
    let partitions = i32::try_from(infos[0].as_ref().unwrap().partitions).unwrap();
    let mut consumer = log.consumer("test").unwrap();
    let all: Vec<_> = (0..partitions)
        .map(|p| (TopicPartition::new(topic, p), 0))
        .collect();
    consumer.assign(&all).unwrap();
    let (mut fetched, mut records) = (Vec::new(), Vec::new());
    loop {
        consumer.poll(Duration::ZERO, 1_000, &mut fetched).unwrap();
        let before = records.len();
        records.extend(fetched.drain(..).flat_map(|batch| batch.records));
        if records.len() == before {
            return records;
        }
    }
}
