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
