//! One record in a hundred is bad, in eight ways: with a dead-letter queue the good ones come out complete and the queue has
//! exactly the bad ones; without, the first one stops the application, and after the mend nothing is lost.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::{Duration, Instant};

use kafka_broker::{Client, Cluster, temp_dir};
use kstreams::TopicPartition;
use kstreams::exceptions::LogAndContinue;
use kstreams::outbox::{Outbox, Outgoing};
use kstreams::prelude::*;
use kstreams::runtime::open_log;
use kstreams::timestamps::TimestampExtractor;
use kstreams::transport::{ConsumedRecord, ProducerSpec};

use crate::instances::{SOON, error_of, eventually, here, wait_until_running};
use crate::records::fresh;
use crate::{Cases, shared};

pub(crate) fn cases() -> Cases {
    shared![
        poison_goes_to_the_dead_letter_queue_exactly_once,
        poison_goes_to_the_dead_letter_queue_at_least_once,
        the_first_poison_stops_and_the_mend_goes_on_exactly_once,
        the_first_poison_stops_and_the_mend_goes_on_at_least_once,
    ]
    .into()
}

/// Records altogether; one in a hundred is bad.
const RECORDS: usize = 4_000;
const PARTITIONS: i32 = 3;

/// What is paid. One below zero is an error, one of 13 makes the closure panic, a large one does not fit the output.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Payment {
    id: usize,
    amount: i64,
}

fn checked(payment: Json<Payment>) -> Result<Json<Payment>, String> {
    assert_ne!(payment.amount, 13, "nobody pays that");
    if payment.amount < 0 {
        return Err(format!("payment {} is below zero", payment.id));
    }
    Ok(payment)
}

/// A line as long as the amount.
fn receipt(payment: &Payment) -> String {
    let paid = "*".repeat(usize::try_from(payment.amount).unwrap_or_default());
    format!("{} {paid}", payment.id)
}

macro_rules! poisoned {
    ($app:ident, $id:tt, $input:tt, $codes:tt, $output:tt, $passed:tt) => {
        #[topology(application_id = $id)]
        pub(crate) struct $app {
            #[source(topic = $input, partitions = 3)]
            payments: KStream<String, Json<Payment>>,
            #[source(topic = $codes, partitions = 3)]
            codes: KStream<String, i64>,
            #[from(payments.try_map_values(checked).map_values(|p| receipt(&p)))]
            #[sink(topic = $output, partitions = 3)]
            receipts: KStream<String, String>,
            #[from(codes.map_values(|code| code.to_string()))]
            #[sink(topic = $passed, partitions = 3)]
            passed: KStream<String, String>,
        }
    };
}

poisoned!(
    ToQueueEos,
    "poison-eos",
    "poison-eos-in",
    "poison-eos-codes",
    "poison-eos-out",
    "poison-eos-passed"
);
poisoned!(
    ToQueueAlo,
    "poison-alo",
    "poison-alo-in",
    "poison-alo-codes",
    "poison-alo-out",
    "poison-alo-passed"
);
poisoned!(
    MendedEos,
    "mended-eos",
    "mended-eos-in",
    "mended-eos-codes",
    "mended-eos-out",
    "mended-eos-passed"
);
poisoned!(
    MendedAlo,
    "mended-alo",
    "mended-alo-in",
    "mended-alo-codes",
    "mended-alo-out",
    "mended-alo-passed"
);

/// A record to write, and whether it is bad.
struct Written {
    topic: &'static str,
    key: Option<Vec<u8>>,
    value: Vec<u8>,
    timestamp: i64,
    is_bad: bool,
}

/// The records in their order; which of them are bad, and how, follows from their numbers.
fn records() -> Vec<Written> {
    (0..RECORDS)
        .map(|n| {
            let is_bad = n % 100 == 50;
            let kind = if is_bad { n / 100 % 8 } else { 8 };
            let payment = |amount: i64| {
                serde_json::to_vec(&Payment { id: n, amount }).expect("it is serializable")
            };
            let good = Written {
                topic: "in",
                key: Some(format!("key {}", n % 20).into_bytes()),
                value: payment(i64::try_from(n % 12).expect("small")),
                timestamp: 1_000 + i64::try_from(n).expect("small"),
                is_bad,
            };
            match kind {
                0 => Written {
                    key: Some(vec![0xff, 0xfe]),
                    ..good
                },
                1 => Written {
                    value: format!("{{\"id\": {n},").into_bytes(),
                    ..good
                },
                2 => Written {
                    topic: "codes",
                    value: vec![u8::try_from(n / 100).expect("small"); 3],
                    ..good
                },
                3 => Written { key: None, ..good },
                4 => Written {
                    timestamp: -1,
                    ..good
                },
                5 => Written {
                    value: payment(30_000),
                    ..good
                },
                6 => Written {
                    value: payment(-1),
                    ..good
                },
                7 => Written {
                    value: payment(13),
                    ..good
                },
                _ if n % 10 == 3 => Written {
                    topic: "codes",
                    value: i64::try_from(n).expect("small").to_be_bytes().to_vec(),
                    ..good
                },
                _ => good,
            }
        })
        .collect()
}

/// Writes those of them, and tells the values of the bad ones and what has to come out.
fn feed(
    config: &StreamsConfig,
    id: &str,
    numbers: Range<usize>,
) -> (BTreeSet<Vec<u8>>, BTreeSet<String>) {
    let log = open_log(config).expect("there is a broker");
    let spec = ProducerSpec {
        client_id: "feeder".to_owned(),
        transactional_id: None,
    };
    let mut producer = log.producer(&spec).expect("there is a producer");
    let topics = [format!("{id}-in").into(), format!("{id}-codes").into()];
    let (mut outbox, headers) = (Outbox::default(), Headers::new());
    let (mut bad, mut good) = (BTreeSet::new(), BTreeSet::new());
    for record in records().drain(numbers) {
        outbox.push(Outgoing {
            topic: usize::from(record.topic == "codes"),
            partition: record.key.is_none().then_some(1),
            key: record.key.as_deref(),
            value: Some(&record.value),
            timestamp: Some(record.timestamp),
            headers: &headers,
        });
        if record.is_bad {
            assert!(bad.insert(record.value), "each bad value is there once");
        } else if record.topic == "codes" {
            good.insert(
                i64::deserialize(&record.value)
                    .expect("a number")
                    .to_string(),
            );
        } else {
            good.insert(receipt(
                &Json::<Payment>::deserialize(&record.value).expect("a payment"),
            ));
        }
    }
    producer.send(&outbox, &topics).expect("it can be written");
    producer.flush().expect("it is written");
    (bad, good)
}

fn topics(client: &Client, id: &str) {
    let names = ["in", "codes", "passed"].map(|name| format!("{id}-{name}"));
    let made = names.each_ref().map(|name| (name.as_str(), PARTITIONS));
    fresh(client, id, &made);
    client
        .create_topic_with(
            &format!("{id}-out"),
            PARTITIONS,
            &[("max.message.bytes", "20000")],
        )
        .expect("it can be made");
    client
        .create_topic(&format!("{id}-dlq"), 1)
        .expect("it can be made");
}

fn skipping(config: StreamsConfig, id: &str) -> StreamsConfig {
    config
        .deserialization_exception_handler(LogAndContinue)
        .processing_exception_handler(LogAndContinue)
        .production_exception_handler(LogAndContinue)
        .default_timestamp_extractor(TimestampExtractor::LogAndSkipOnInvalidTimestamp)
        .dead_letter_queue(format!("{id}-dlq"))
}

/// Every value of the outputs, as often as it is there.
fn outputs(client: &Client, id: &str) -> Vec<String> {
    let mut all = Vec::new();
    for name in ["out", "passed"] {
        let read = client
            .read(&format!("{id}-{name}"))
            .expect("it can be read");
        all.extend(read.iter().map(kafka_broker::Message::value_text));
    }
    all
}

fn wait_for_outputs(client: &Client, id: &str, expected: &BTreeSet<String>) {
    eventually("all good records come out", || {
        let there: BTreeSet<String> = outputs(client, id).into_iter().collect();
        there.is_superset(expected)
    });
}

/// The dead letters, with their headers.
fn dead_letters(config: &StreamsConfig, id: &str, count: usize) -> Vec<ConsumedRecord> {
    let log = open_log(config).expect("there is a broker");
    let mut consumer = log.consumer("dead letters").expect("there is a consumer");
    let partition = TopicPartition::new(format!("{id}-dlq"), 0);
    consumer.assign(&[(partition, 0)]).expect("it is there");
    let (mut fetched, mut all) = (Vec::new(), Vec::new());
    let (deadline, mut at_end) = (Instant::now() + SOON, false);
    while (all.len() < count || !at_end) && Instant::now() < deadline {
        consumer
            .poll(Duration::from_millis(200), 10_000, &mut fetched)
            .expect("it can be read");
        for batch in fetched.drain(..) {
            at_end = batch.at_end;
            all.extend(batch.records);
        }
    }
    all
}

/// Each bad record is there once, as it was written, and its headers say where it came from and why.
fn are_the_bad_ones(letters: &[ConsumedRecord], id: &str, bad: &BTreeSet<Vec<u8>>) {
    let values: BTreeSet<Vec<u8>> = letters
        .iter()
        .map(|letter| letter.value.clone().unwrap_or_default().to_vec())
        .collect();
    assert_eq!(values, *bad, "the values of the dead letters");
    assert_eq!(letters.len(), bad.len(), "each of them once");
    let mut places = BTreeSet::new();
    let mut reasons = BTreeSet::new();
    for letter in letters {
        let header = |name: &str| {
            let header = letter.headers.last(&format!("__streams.errors.{name}"));
            let value = header.and_then(|h| h.value.clone()).unwrap_or_default();
            String::from_utf8(value.to_vec()).expect("headers are text")
        };
        let number = |name: &str| header(name).parse::<i64>().expect("a number");
        let input = [format!("{id}-in"), format!("{id}-codes")];
        assert!(input.contains(&header("topic")), "{letter:?}");
        assert!(
            (0..i64::from(PARTITIONS)).contains(&number("partition")),
            "{letter:?}"
        );
        places.insert((header("topic"), number("partition"), number("offset")));
        assert!(
            header("stacktrace").contains(&header("message")),
            "{letter:?}"
        );
        let message = header("message");
        let words: String = message
            .chars()
            .filter(|c| c.is_alphabetic() || *c == ' ')
            .take(32)
            .collect();
        reasons.insert(format!("{}: {words}", header("exception")));
    }
    assert_eq!(places.len(), letters.len(), "each from a place of its own");
    assert!(reasons.len() >= 8, "each kind has its reason: {reasons:#?}");
}

macro_rules! case {
    ($case:ident, $test:ident, $app:ident, $id:literal, $guarantee:literal) => {
        fn $case(cluster: &Cluster) {
            let dir = temp_dir().expect("a directory");
            let more = [("processing.guarantee", $guarantee)];
            let config = here(cluster, dir.path(), &more);
            let start = |config: StreamsConfig| $app::builder().start(config).expect("it starts");
            $test(cluster, $id, &config, start);
        }
    };
}

case!(
    poison_goes_to_the_dead_letter_queue_exactly_once,
    to_queue,
    ToQueueEos,
    "poison-eos",
    "exactly_once_v2"
);
case!(
    poison_goes_to_the_dead_letter_queue_at_least_once,
    to_queue,
    ToQueueAlo,
    "poison-alo",
    "at_least_once"
);
case!(
    the_first_poison_stops_and_the_mend_goes_on_exactly_once,
    mended,
    MendedEos,
    "mended-eos",
    "exactly_once_v2"
);
case!(
    the_first_poison_stops_and_the_mend_goes_on_at_least_once,
    mended,
    MendedAlo,
    "mended-alo",
    "at_least_once"
);

fn to_queue<A>(
    cluster: &Cluster,
    id: &str,
    config: &StreamsConfig,
    start: impl Fn(StreamsConfig) -> kstreams::Running<A>,
) {
    let client = Client::new(cluster.bootstrap());
    topics(&client, id);
    let (bad, good) = feed(config, id, 0..RECORDS);
    let app = start(skipping(config.clone(), id));
    wait_until_running(&app);
    wait_for_outputs(&client, id, &good);
    let letters = dead_letters(config, id, bad.len());
    app.close().expect("it ends in order");
    are_the_bad_ones(&letters, id, &bad);
    let mut there = outputs(&client, id);
    there.sort();
    assert!(there.iter().eq(&good), "nothing twice, nothing bad");
}

/// Waits until nothing of what was fed is left to be done again.
fn wait_for_commits(client: &Client, id: &str) {
    for name in ["in", "codes"] {
        let topic = format!("{id}-{name}");
        let fed = client.read(&topic).expect("it can be read").len();
        eventually("what was processed is committed", || {
            let committed = client.committed(id, &topic).expect("they can be read");
            committed.into_iter().flatten().sum::<i64>() == i64::try_from(fed).expect("few")
        });
    }
}

/// Where the first bad record of each partition is, as errors tell it.
fn first_bad(client: &Client, id: &str, bad: &BTreeSet<Vec<u8>>) -> Vec<String> {
    let (mut places, mut seen) = (Vec::new(), BTreeSet::new());
    for name in ["in", "codes"] {
        let topic = format!("{id}-{name}");
        for message in client.read(&topic).expect("it can be read") {
            let is_bad = message.value.is_some_and(|value| bad.contains(&value));
            if is_bad && seen.insert((name, message.partition)) {
                let (partition, offset) = (message.partition, message.offset);
                places.push(format!("offset {offset} of {topic}-{partition} "));
            }
        }
    }
    places
}

fn mended<A>(
    cluster: &Cluster,
    id: &str,
    config: &StreamsConfig,
    start: impl Fn(StreamsConfig) -> kstreams::Running<A>,
) {
    let client = Client::new(cluster.bootstrap());
    topics(&client, id);
    let first = records().iter().position(|record| record.is_bad);
    let first = first.expect("there are bad ones");
    let (_, done) = feed(config, id, 0..first);
    let app = start(config.clone());
    wait_for_outputs(&client, id, &done);
    wait_for_commits(&client, id);
    let (bad, mut good) = feed(config, id, first..RECORDS);
    good.extend(done.iter().cloned());

    // It stops as soon as it meets one, and does not go past it by a new start.
    let places = first_bad(&client, id, &bad);
    let stops_at_the_first = |app| {
        let error = error_of(app);
        let told = places.iter().any(|place| error.contains(place));
        assert!(told, "{error}: the first bad ones are at {places:?}");
    };
    stops_at_the_first(app);
    stops_at_the_first(start(config.clone()));
    let before = outputs(&client, id).len();
    assert!(before < good.len(), "it did not go past the first");

    let app = start(skipping(config.clone(), id));
    wait_until_running(&app);
    wait_for_outputs(&client, id, &good);
    let letters = dead_letters(config, id, bad.len());
    let exactly_once = config.guarantee() == ProcessingGuarantee::ExactlyOnceV2;
    app.close().expect("it ends in order");
    are_the_bad_ones(&letters, id, &bad);
    let mut there = outputs(&client, id);
    let again = there.iter().filter(|output| done.contains(*output));
    assert_eq!(again.count(), done.len(), "what was committed came again");
    there.sort();
    if !exactly_once {
        // What was written and not committed before it stopped is written again.
        there.dedup();
    }
    assert!(
        there.iter().eq(&good),
        "nothing is lost, nothing bad comes through"
    );
}
