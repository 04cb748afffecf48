//! Partitioners of the user's: one partition, several, none, Kafka's own choice, and one that is not there.

use kstreams::exceptions::LogAndContinue;
use kstreams::prelude::*;
use kstreams::test_driver::{TestDriver, TestDriverOptions};

/// As Kafka Streams' interface has it: an order goes where its value says.
struct ByValue;

impl StreamPartitioner<String, i64> for ByValue {
    fn partitions(&self, topic: &str, key: &String, value: &i64, partitions: u32) -> Partitions {
        assert_eq!((topic, partitions), ("sent", 4));
        match value {
            0..4 => Partitions::One(*value as i32),
            10 => Partitions::Default,
            20 => Partitions::Nowhere,
            30 => Partitions::several([3, 1, 3]),
            _ => Partitions::One(key.len() as i32 + 3),
        }
    }
}

fn first(_: &str, _: &String, _: &i64, _: u32) -> Option<i32> {
    Some(0)
}

#[topology(application_id = "partitioned")]
struct Partitioned {
    offset: i32,
    #[source(topic = "orders", partitions = 2)]
    orders: KStream<String, i64>,
    #[from(orders.filter(|_, v| *v < 100))]
    #[sink(topic = "sent", partitions = 4, partitioner = ByValue)]
    sent: KStream<String, i64>,
    /// All into one partition by a function, then counted there.
    #[from(orders.filter(|_, v| *v < 100).repartition(3, partitioner = first))]
    #[sink(topic = "one", partitions = 3, partitioner = |_, _, value, n| (*value as i32 + self.offset) % n as i32)]
    one: KStream<String, i64>,
    #[from(one.group_by_key().count())]
    counts: KTable<String, i64>,
    #[from(orders.filter(|_, v| *v < 100))]
    #[sink(topic = |_, v| if *v < 10 { "small" } else { "large" }, topics("small", "large"), partitions = 2,
           partitioner = |topic, _, _, _| (topic == "large").then_some(1))]
    routed: KStream<String, i64>,
    #[from(orders.filter(|_, v| *v < 100).to_table())]
    #[sink(topic = "latest", partitions = 5, partitioner = |_, _, value: &Option<i64>, _| value.map(|_| [4, 0]))]
    latest: KTable<String, i64>,
}

/// `partition:key=value` of each record of a topic.
fn placed(t: &TestDriver, topic: &str) -> Vec<String> {
    let mut placed: Vec<String> = t
        .read_with_partitions(topic)
        .expect("the topic is there")
        .iter()
        .map(|(partition, record)| {
            let value = record.value.as_deref().and_then(|v| v.try_into().ok());
            format!(
                "{}:{}={}",
                partition,
                String::from_utf8_lossy(record.key.as_deref().unwrap_or(b"null")),
                value.map_or(-1, i64::from_be_bytes),
            )
        })
        .collect();
    placed.sort();
    placed
}

fn driver() -> PartitionedTestDriver {
    Partitioned::builder().offset(1).test_driver().unwrap()
}

#[test]
fn a_record_goes_where_the_partitioner_says() {
    let t = driver();
    for value in [2, 0, 10, 20, 30] {
        t.orders.send("a", value);
    }
    let by_key = kstreams::partitioner::partition_for_key(b"a", 4);
    let mut expected = vec![
        "0:a=0".to_owned(),
        "1:a=30".to_owned(),
        "2:a=2".to_owned(),
        "3:a=30".to_owned(),
        format!("{by_key}:a=10"),
    ];
    expected.sort();
    assert_eq!(placed(&t, "sent"), expected);
    assert_eq!(t.dropped_records_total(), 1, "the one that goes nowhere");
    let one = ["0:a=2", "0:a=20", "1:a=0", "1:a=30", "2:a=10"];
    assert_eq!(placed(&t, "one"), one);
    assert!(
        placed(&t, "partitioned-one-repartition")
            .iter()
            .all(|r| r.starts_with("0:"))
    );
    assert_eq!(t.counts.get("a").unwrap(), Some(5));
    let by_key = kstreams::partitioner::partition_for_key(b"a", 2);
    assert_eq!(
        placed(&t, "small"),
        [format!("{by_key}:a=0"), format!("{by_key}:a=2")]
    );
    assert_eq!(placed(&t, "large"), ["1:a=10", "1:a=20", "1:a=30"]);
}

#[test]
fn a_tables_updates_are_told_with_what_is_null() {
    let t = driver();
    t.orders.send("a", 1);
    t.orders.send("b", 3);
    assert_eq!(placed(&t, "latest"), ["0:a=1", "0:b=3", "4:a=1", "4:b=3"]);
}

#[test]
fn a_partition_that_is_not_there_is_for_the_production_handler() {
    let t = driver();
    let stopped = t.orders.send("ab", 50).pipe().unwrap_err().to_string();
    let expected =
        "the partitioner chose partition 5 of topic `sent`, which has 4, numbered from 0";
    assert!(stopped.contains(expected), "{stopped}");

    let config = StreamsConfig::new()
        .cache_max_bytes(0)
        .production_exception_handler(LogAndContinue)
        .dead_letter_queue("dead");
    t.reset(TestDriverOptions::new().config(config)).unwrap();
    t.orders.send("ab", 50);
    t.orders.send("ab", 1);
    t.commit().unwrap();
    assert_eq!(placed(&t, "sent"), ["1:ab=1"]);
    assert_eq!(t.dropped_records_total(), 1);
    let letters = t.read_raw("dead").unwrap();
    let [letter] = letters.as_slice() else {
        panic!("{letters:?}")
    };
    let header = |name: &str| {
        let header = letter.headers.last(name).and_then(|h| h.value.as_deref());
        String::from_utf8_lossy(header.unwrap_or_default()).into_owned()
    };
    assert_eq!(header("__streams.errors.message"), expected);
    assert_eq!(header("__streams.errors.topic"), "orders");
}

/// By the last letter, whatever the record's value: also where it is a subscription, which has none.
struct ByLast;

impl<V> StreamPartitioner<String, V> for ByLast {
    fn partitions(&self, _: &str, key: &String, _: &V, partitions: u32) -> Partitions {
        let last = key.as_bytes().last().copied().unwrap_or(0);
        Partitions::One((u32::from(last) % partitions) as i32)
    }
}

/// Where a row lies is sure, where a subscription to it goes is not.
struct Odd;

impl StreamPartitioner<String, String> for Odd {
    fn partitions(&self, _: &str, _: &String, _: &String, _: u32) -> Partitions {
        Partitions::One(0)
    }
}

impl StreamPartitioner<String, ()> for Odd {
    fn partitions(&self, topic: &str, key: &String, (): &(), partitions: u32) -> Partitions {
        let registration = "foreign-odd_join-subscription-registration-topic";
        assert_eq!((topic, partitions), (registration, 3));
        match key.as_str() {
            "several" => Partitions::several([0, 1]),
            "nowhere" => Partitions::Nowhere,
            "beyond" => Partitions::One(3),
            _ => Partitions::One(0),
        }
    }
}

/// Right tables that lie elsewhere than Kafka's own partitioner puts them.
#[topology(application_id = "foreign")]
struct Foreign {
    shift: i32,
    /// The value is the foreign key.
    #[source(topic = "left", partitions = 2)]
    left: KTable<String, String>,
    #[source(topic = "right", partitions = 2)]
    right: KStream<String, String>,

    #[from(right.repartition(3, partitioner = ByLast).to_table())]
    by_last: KTable<String, String>,
    #[from(left.left_join_on(
        by_last,
        |_, key| (!key.is_empty()).then(|| key.clone()),
        |key, row| format!("{key}:{}", row.map_or("none", String::as_str)),
        other_partitioner = ByLast,
    ))]
    #[sink(topic = "by-last", partitions = 2)]
    last_join: KTable<String, String>,

    #[from(right.repartition(4, partitioner = |_, key, _, n| (key.len() as i32 + self.shift) % n as i32).to_table())]
    by_length: KTable<String, String>,
    #[from(by_length.filter_not(|_, row| row.is_empty()))]
    filled: KTable<String, String>,
    #[from(left.join_on(
        filled,
        |_, key| key.clone(),
        |key, row| format!("{key}:{row}"),
        other_partitioner = |_, key, _, n| (key.len() as i32 + self.shift) % n as i32,
    ))]
    #[sink(topic = "by-length", partitions = 2)]
    length_join: KTable<String, String>,

    #[from(right.repartition(3, partitioner = Odd).to_table())]
    odd: KTable<String, String>,
    #[from(left.join_on(odd, |_, key| key.clone(), |key, row| format!("{key}:{row}"), other_partitioner = Odd))]
    #[sink(topic = "odd", partitions = 2)]
    odd_join: KTable<String, String>,
}

fn foreign(config: StreamsConfig) -> ForeignTestDriver {
    let config = config.cache_max_bytes(0);
    let options = TestDriverOptions::new().config(config).cache_max_bytes(0);
    let foreign = Foreign::builder().shift(2);
    foreign.test_driver_with(options).unwrap()
}

#[test]
fn a_foreign_key_join_finds_rows_where_their_partitioner_puts_them() {
    let t = foreign(StreamsConfig::new());
    let keys = ["a", "bb", "ccc", "dd", "e", "ffff"];
    for (at, key) in (0..).zip(keys) {
        t.left.send(format!("l{key}"), key).at(at);
        t.right.send(key, "row").at(at + 10);
    }
    t.left.send("lnone", "").at(20);
    for (topic, lefts) in [("by-last", 7), ("by-length", 6), ("odd", 6)] {
        let mut rows: std::collections::BTreeMap<_, _> = t
            .read_raw(topic)
            .unwrap()
            .into_iter()
            .map(|r| {
                let text = |bytes: Option<&[u8]>| {
                    String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
                };
                (text(r.key.as_deref()), text(r.value.as_deref()))
            })
            .collect();
        assert_eq!(rows.len(), lefts, "{topic}");
        if topic == "by-last" {
            assert_eq!(rows.remove("lnone").as_deref(), Some(":none"));
        }
        for key in keys {
            assert_eq!(rows[&format!("l{key}")], format!("{key}:row"), "{topic}");
        }
    }
    // Not where Kafka's own would put them.
    let subscribed = t.read_with_partitions("foreign-last_join-subscription-registration-topic");
    let elsewhere = subscribed
        .unwrap()
        .into_iter()
        .filter(|(partition, record)| {
            let key = record.key.as_deref().unwrap_or_default();
            *partition != kstreams::partitioner::partition_for_key(key, 3)
        });
    assert!(elsewhere.count() > 1);
}

#[test]
fn a_subscription_goes_to_one_partition() {
    let config = StreamsConfig::new()
        .processing_exception_handler(LogAndContinue)
        .production_exception_handler(LogAndContinue);
    let t = foreign(config);
    for (at, key) in (0..).zip(["one", "several", "nowhere", "beyond"]) {
        t.right.send(key, "row").at(at);
        t.left.send(key, key).at(at + 10);
    }
    let joined: Vec<_> = t
        .read_raw("odd")
        .unwrap()
        .into_iter()
        .map(|r| r.timestamp)
        .collect();
    assert_eq!(joined, [10]);

    let t = Foreign::builder().shift(2).test_driver().unwrap();
    let error = t
        .left
        .send("l", "several")
        .at(0)
        .pipe()
        .unwrap_err()
        .to_string();
    assert!(error.contains("odd_join"), "{error}");
    assert!(
        error.contains("has to choose one partition for each key"),
        "{error}"
    );
}
