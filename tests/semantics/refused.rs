//! Records that a store or a sink does not take: the processing exception handler is asked, about the node that owns the store or
//! the sink, and what is stored is as it was before.

use std::sync::{Arc, Mutex};

use kstreams::exceptions::{
    ErrorHandlerContext, Exception, ProcessingException, ProcessingExceptionHandler, Response,
};
use kstreams::prelude::*;
use kstreams::test_driver::{TestDriver, TestDriverOptions, TestState};

use crate::read;

/// Goes on, and remembers node, offset and error.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl ProcessingExceptionHandler for Seen {
    fn handle_error(
        &self,
        context: &ErrorHandlerContext<'_>,
        error: &ProcessingException,
    ) -> Response {
        self.0.lock().unwrap().push(format!(
            "{} {}: {}",
            context.processor_node_id(),
            context.offset(),
            error.message()
        ));
        Response::resume().with_dead_letters(context.dead_letter(error))
    }
}

impl Seen {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

fn options(seen: &Seen, cache: usize) -> TestDriverOptions {
    let config = StreamsConfig::new()
        .cache_max_bytes(cache)
        .processing_exception_handler(seen.clone())
        .dead_letter_queue("dlq");
    TestDriverOptions::new().config(config)
}

fn dead_keys(t: &TestDriver) -> Vec<usize> {
    let letters = t.read_raw("dlq").unwrap();

    letters
        .iter()
        .map(|letter| letter.key.as_ref().map_or(0, |key| key.len()))
        .collect()
}

/// Longer than LMDB's keys may be.
fn long() -> String {
    "k".repeat(2_000)
}

#[topology(application_id = "counted")]
struct Counted {
    #[source(topic = "in", partitions = 1)]
    input: KStream<String, i64>,
    #[from(input.group_by_key().count())]
    #[store]
    #[sink(topic = "counts", partitions = 1)]
    counts: KTable<String, i64>,
    #[from(input.group_by_key().windowed_by(tumbling("10ms")).count())]
    #[store]
    windowed: KTable<Windowed<String>, i64>,
}

#[test]
fn a_key_that_is_too_long_for_a_store_is_a_processing_error_of_its_node() {
    for state in [TestState::Memory, TestState::Lmdb] {
        for cache in [0, 1 << 20] {
            let t = Counted::builder().test_driver().unwrap();
            let seen = Seen::default();
            t.reset(options(&seen, cache).state(state)).unwrap();
            t.input.send("a", 0).at(1);
            t.input.send(long(), 0).at(2);
            t.input.send("a", 0).at(3).pipe().unwrap();
            let told = seen.take();
            let expected = "counts 1: a key of 2000 bytes is too long for store `counts`: at most 1982 are possible";
            assert_eq!(told.first().map(String::as_str), Some(expected), "{told:?}");
            t.commit().unwrap();
            t.crash().unwrap();
            assert_eq!(t.counts.all().unwrap(), [("a".to_owned(), 2)]);
            assert_eq!(t.windowed.all().unwrap().len(), 1);
            assert_eq!(seen.take(), [""; 0]);
        }
    }
}

#[test]
fn what_is_refused_becomes_a_dead_letter() {
    let t = Counted::builder().test_driver().unwrap();
    let seen = Seen::default();
    t.reset(options(&seen, 0)).unwrap();
    t.input.send("a", 0).at(1);
    t.input.send(long(), 0).at(2);
    t.input.send("a", 0).at(3);
    t.commit().unwrap();
    assert_eq!(read(&t, "counts"), ["a=1@1", "a=2@3"]);
    // Each of the two that read the record and have a store.
    let told = seen.take();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("counts 1: a key of"), "{told:?}");
    assert!(told[1].starts_with("windowed 1: a key of"), "{told:?}");
    assert_eq!(dead_keys(&t), [2_000; 2]);
    assert_eq!(t.dropped_records_total(), 2);
}

#[test]
fn by_default_what_is_refused_stops_and_names_node_and_record() {
    for cache in [0, 1 << 20] {
        let t = Counted::builder().test_driver().unwrap();
        let config = StreamsConfig::new().cache_max_bytes(cache);
        t.reset(TestDriverOptions::new().config(config)).unwrap();
        t.input.send("a", 0).at(1).pipe().unwrap();
        let error = t
            .input
            .send(long(), 0)
            .at(2)
            .pipe()
            .unwrap_err()
            .to_string();
        let expected = "`counts` failed on offset 1 of in-0: a key of 2000 bytes is too long";
        assert!(error.contains(expected), "{error}");
    }
}

/// A type that some of whose values have no bytes.
#[derive(Debug, Clone, PartialEq)]
struct Even(i64);

impl Serde for Even {
    fn serialize(&self, out: &mut Vec<u8>) -> Result<(), kstreams::SerdeError> {
        if self.0 % 2 == 0 {
            return self.0.serialize(out);
        }
        Err(kstreams::SerdeError::Invalid {
            type_name: "Even",
            reason: "it is odd".to_owned(),
        })
    }
    fn deserialize(bytes: &[u8]) -> Result<Self, kstreams::SerdeError> {
        i64::deserialize(bytes).map(Even)
    }
}

/// Keeps the value under the key, whatever it is.
#[processor]
struct Keep {
    #[store]
    kept: KeyValueStore<Option<String>, Even>,
}

impl Processor<Option<String>, i64> for Keep {
    fn process(
        &mut self,
        record: Record<Option<String>, i64>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        self.kept.put(&record.key, &Even(record.value), cx)
    }
}

#[topology(application_id = "kept")]
struct Kept {
    #[source(topic = "in", partitions = 1)]
    input: KStream<Option<String>, i64>,
    #[from(input.process(Keep::new()))]
    keep: (),
}

#[test]
fn a_processors_store_refuses_long_and_null_keys_and_values_without_bytes() {
    for state in [TestState::Memory, TestState::Lmdb] {
        let t = Kept::builder().test_driver().unwrap();
        let seen = Seen::default();
        t.reset(options(&seen, 0).state(state)).unwrap();
        t.input.send(Some(long()), 2).at(1);
        t.input.send(None, 2).at(2);
        t.input.send(Some("a".to_owned()), 3).at(3);
        t.input.send(Some("a".to_owned()), 4).at(4).pipe().unwrap();
        t.commit().unwrap();
        let told = seen.take();
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(
            told[0].starts_with("keep 0: a key of 2000 bytes is too long for store"),
            "{told:?}"
        );
        assert!(
            told[1].starts_with("keep 1: the key for store keep-kept cannot be written: null"),
            "{told:?}"
        );
        assert_eq!(
            told[2],
            "keep 2: the value for store keep-kept cannot be written: not a `Even`: it is odd"
        );
        assert_eq!(dead_keys(&t), [2_000, 0, 1]);
    }
}

#[topology(application_id = "summed")]
struct Summed {
    #[source(topic = "in", partitions = 1)]
    input: KStream<String, i64>,
    #[source(topic = "others", partitions = 1)]
    others: KStream<String, i64>,
    #[from(input.group_by_key().aggregate(|| Even(0), |_, n, sum| Even(sum.0 + n)))]
    #[store]
    sums: KTable<String, Even>,
    #[from(input.left_join(others, |a, b| format!("{a} {b:?}"), within("10ms").grace("0ms")))]
    #[sink(topic = "joined", partitions = 1)]
    joined: KStream<String, String>,
}

#[test]
fn an_aggregate_without_bytes_leaves_the_one_before_it() {
    for cache in [0, 1 << 20] {
        let t = Summed::builder().test_driver().unwrap();
        let seen = Seen::default();
        t.reset(options(&seen, cache)).unwrap();
        t.input.send("a", 2).at(1);
        t.input.send("a", 3).at(2);
        t.input.send("a", 4).at(3).pipe().unwrap();
        t.commit().unwrap();
        assert_eq!(t.sums.get("a").unwrap(), Some(Even(6)));
        let expected =
            "sums 1: the value for store sums cannot be written: not a `Even`: it is odd";
        assert_eq!(seen.take(), [expected]);
    }
}

#[test]
fn a_join_goes_on_after_a_key_that_is_too_long() {
    let t = Summed::builder().test_driver().unwrap();
    let seen = Seen::default();
    t.reset(options(&seen, 0)).unwrap();
    t.others.send("a", 1).at(1);
    t.others.send(long(), 1).at(1);
    t.input.send("a", 2).at(2).pipe().unwrap();
    t.commit().unwrap();
    assert_eq!(read(&t, "joined"), ["a=2 Some(1)@2"]);
    let told = seen.take();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("joined 1: a key of"), "{told:?}");
}

#[topology(application_id = "rows", optimization = "all")]
struct Rows {
    #[source(topic = "rows", partitions = 1)]
    #[store]
    rows: KTable<String, i64>,
}

/// The source topic is the changelog, and still has the record.
#[test]
fn what_was_refused_is_not_restored() {
    for state in [TestState::Memory, TestState::Lmdb] {
        let t = Rows::builder().test_driver().unwrap();
        let seen = Seen::default();
        t.reset(options(&seen, 0).state(state)).unwrap();
        t.rows.send("a", 1).at(1);
        t.rows.send(long(), 2).at(2);
        t.rows.send("b", 3).at(3);
        t.commit().unwrap();
        assert_eq!(seen.take().len(), 1);
        let expected = [("a".to_owned(), 1), ("b".to_owned(), 3)];
        t.crash().unwrap();
        assert_eq!(t.rows.all().unwrap(), expected, "{state:?}");
        t.restart().unwrap();
        assert_eq!(t.rows.all().unwrap(), expected, "{state:?}");
    }
}

#[topology(application_id = "sent")]
struct Sent {
    #[source(topic = "in", partitions = 1)]
    input: KStream<String, String>,
    #[from(input.filter(|_, _| true))]
    #[sink(topic = |_, value| value.clone(), topics("a", "b"), partitions = 1)]
    plain: KStream<String, String>,
    #[from(input.filter(|_, _| true))]
    #[sink(topic = |_, value| value.clone(), topics("c", "d"), partitions = 2, partitioner = |_, _, _, _| 1)]
    placed: KStream<String, String>,
    #[from(input.filter(|_, _| true))]
    #[sink(topic = "all", partitions = 1)]
    all: KStream<String, String>,
}

#[test]
fn a_topic_that_a_sink_does_not_list_is_a_processing_error_of_its_node() {
    let t = Sent::builder().test_driver().unwrap();
    let seen = Seen::default();
    t.reset(options(&seen, 0)).unwrap();
    for (at, topic) in (1..).zip(["a", "x", "d"]) {
        t.input.send("key", topic).at(at);
    }
    t.commit().unwrap();
    assert_eq!(read(&t, "a"), ["key=a@1"]);
    assert_eq!(read(&t, "d"), ["key=d@3"]);
    assert_eq!(read(&t, "all"), ["key=a@1", "key=x@2", "key=d@3"]);
    let text = |topic, declared| {
        format!("a record was routed to topic `{topic}`, but its sink declares only: {declared}")
    };
    let expected = [
        format!("placed 0: {}", text("a", "c, d")),
        format!("plain 1: {}", text("x", "a, b")),
        format!("placed 1: {}", text("x", "c, d")),
        format!("plain 2: {}", text("d", "a, b")),
    ];
    assert_eq!(seen.take(), expected);
    assert_eq!(dead_keys(&t), [3; 4]);
    assert_eq!(t.dropped_records_total(), 4);
    let stopping = Sent::builder().test_driver().unwrap();
    let error = stopping
        .input
        .send("key", "b")
        .at(1)
        .pipe()
        .unwrap_err()
        .to_string();
    let expected = format!("`placed` failed on offset 0 of in-0: {}", text("b", "c, d"));
    assert!(error.contains(&expected), "{error}");
}

#[topology(application_id = "siblings")]
struct Siblings {
    #[source(topic = "words", partitions = 1)]
    words: KStream<String, i64>,
    #[source(topic = "rows", partitions = 1)]
    rows: KTable<String, i64>,
    #[source(topic = "past", partitions = 1)]
    #[store(versioned = "1h")]
    past: KTable<String, i64>,
    /// Several values of one record, into one store: an odd sum has no bytes.
    #[from(words.flat_map_values(|n| [1, *n, 2]).group_by_key().aggregate(|| Even(0), |_, n, sum| Even(sum.0 + 2 * n - n % 2)))]
    #[sink(topic = "sums")]
    sums: KTable<String, Even>,
    #[from(words.to_table())]
    #[store]
    #[sink(topic = "table")]
    table: KTable<String, i64>,
    #[from(words.group_by_key().windowed_by(hopping("10ms").advance_by("5ms")).reduce(|a, b| a + b))]
    windowed: KTable<Windowed<String>, i64>,
    #[from(words.group_by_key().windowed_by(session("10ms")).count())]
    sessions: KTable<Windowed<String, SessionWindow>, i64>,
    #[from(words.join(words, |a, b| a + b, within("10ms")))]
    #[sink(topic = "pairs")]
    pairs: KStream<String, i64>,
    #[from(words.join(past, |a, b| a + b, grace("1ms")))]
    #[sink(topic = "late")]
    late: KStream<String, i64>,
    #[from(words.group_by_key().count().suppress(until_time_limit("1s")))]
    #[sink(topic = "rare")]
    rare: KTable<String, i64>,
    #[from(rows.map_values(|n| n + 1))]
    #[store]
    derived: KTable<String, i64>,
    #[from(rows.to_stream())]
    #[sink(topic = "updates")]
    updates: KStream<String, Option<i64>>,
    #[from(words.map(|k, n| (k.len() as i64, n)))]
    #[sink(topic = "all")]
    all: KStream<i64, i64>,
}

/// As in Kafka Streams: what a store does not take ends there, and whoever else reads the same record gets it.
#[test]
fn who_else_reads_what_a_store_refused_goes_on() {
    for cache in [0, 1 << 20] {
        let t = Siblings::builder().test_driver().unwrap();
        let seen = Seen::default();
        t.reset(options(&seen, cache)).unwrap();
        t.words.send("a", 2).at(1);
        t.words.send(long(), 3).at(2);
        t.words.send("a", 4).at(3).pipe().unwrap();
        let told: std::collections::BTreeSet<String> = seen
            .take()
            .iter()
            .filter(|told| told.contains(" 1: a key of"))
            .filter_map(|told| told.split(' ').next().map(str::to_owned))
            .collect();
        let owners = [
            "late", "pairs", "rare", "sessions", "sums", "table", "windowed",
        ];
        assert_eq!(told, owners.map(str::to_owned).into(), "cache {cache}");
        t.commit().unwrap();
        assert_eq!(t.all.read().len(), 3, "the last that reads the record");
        assert_eq!(t.table.get("a").unwrap(), Some(4));
        assert_eq!(t.rare.read().len(), 0);

        t.rows.send(long(), 1).at(1);
        t.rows.send("b", 1).at(2).pipe().unwrap();
        assert_eq!(t.derived.get("b").unwrap(), Some(2));
        t.commit().unwrap();
        assert!(!t.updates.read().is_empty());
    }
}

/// Kafka Streams' `flatMapValues` forwards one value after the other: one that ends in a store is no end of those after it.
#[test]
fn the_other_values_of_a_record_go_on() {
    let t = Siblings::builder().test_driver().unwrap();
    let seen = Seen::default();
    t.reset(options(&seen, 0)).unwrap();
    // 1 and 3 have no sum with bytes, 2 has.
    t.words.send("a", 3).at(1).pipe().unwrap();
    let odd = "sums 0: the value for store sums cannot be written: not a `Even`: it is odd";
    assert_eq!(seen.take(), [odd, odd]);
    assert_eq!(t.sums.get("a").unwrap(), Some(Even(4)));
}
