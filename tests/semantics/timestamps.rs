//! Where timestamps come from: Kafka Streams' extractors by configuration and by source, and extractors of one's own.

use std::time::Duration;

use kstreams::prelude::*;
use kstreams::test_driver::{TestDriver, TestDriverOptions};
use kstreams::timestamps::TimestampExtractor;

use crate::read;

#[topology(application_id = "plain")]
struct Plain {
    #[source(topic = "in", partitions = 1)]
    #[sink(topic = "out", partitions = 1)]
    input: KStream<String, String>,
}

fn send(t: &TestDriver, records: &[(&str, i64)]) -> kstreams::Result {
    for (value, timestamp) in records {
        t.pipe_raw(
            "in",
            Some(b"k"),
            Some(value.as_bytes()),
            *timestamp,
            Headers::new(),
        )?;
    }
    t.commit()
}

fn plain(extractor: TimestampExtractor) -> PlainTestDriver {
    let t = Plain::builder().test_driver().unwrap();
    let config = StreamsConfig::new().default_timestamp_extractor(extractor);
    t.reset(TestDriverOptions::new().config(config).now_ms(5_000))
        .unwrap();
    t
}

const RECORDS: &[(&str, i64)] = &[("a", 10), ("b", -1), ("c", 3), ("d", -7)];

#[test]
fn an_invalid_timestamp_fails_is_skipped_or_replaced() {
    let t = plain(TimestampExtractor::FailOnInvalidTimestamp);
    let error = send(&t, RECORDS).unwrap_err().to_string();
    assert!(
        error.contains("record 1 in in-0 has the negative timestamp -1"),
        "{error}"
    );

    let t = plain(TimestampExtractor::LogAndSkipOnInvalidTimestamp);
    send(&t, RECORDS).unwrap();
    assert_eq!(read(&t, "out"), ["k=a@10", "k=c@3"]);
    assert_eq!(t.dropped_records_total(), 2);

    let t = plain(TimestampExtractor::UsePartitionTimeOnInvalidTimestamp);
    send(&t, RECORDS).unwrap();
    assert_eq!(read(&t, "out"), ["k=a@10", "k=b@10", "k=c@3", "k=d@10"]);
    t.restart().unwrap();
    send(&t, &[("e", -1)]).unwrap();
    assert_eq!(
        read(&t, "out"),
        ["k=e@10"],
        "the partition's time was committed"
    );
    let t = plain(TimestampExtractor::UsePartitionTimeOnInvalidTimestamp);
    assert!(
        send(&t, &[("a", -1)]).is_err(),
        "there is no partition time yet"
    );

    let t = plain(TimestampExtractor::WallclockTimestampExtractor);
    send(&t, RECORDS).unwrap();
    t.advance(Duration::from_millis(1)).unwrap();
    send(&t, &[("e", 0)]).unwrap();
    assert_eq!(
        read(&t, "out"),
        ["k=a@5000", "k=b@5000", "k=c@5000", "k=d@5000", "k=e@5001"]
    );
}

/// From the key, the value, the headers, the record itself, a parameter.
#[topology(application_id = "own")]
struct Own {
    offset: i64,
    #[source(topic = "by-key", timestamp = |r: &Record<i64, String>, _| r.key)]
    by_key: KStream<i64, String>,
    #[source(topic = "by-value", timestamp = |r, _| r.value.parse::<i64>())]
    by_value: KStream<i64, String>,
    #[source(topic = "by-header", timestamp = from_header)]
    by_header: KStream<i64, String>,
    #[source(topic = "shifted", timestamp = |r, _| r.timestamp + self.offset)]
    shifted: KStream<i64, String>,
    #[source(topic = "rows", timestamp = |r, time| r.value.map_or(time, |v| v))]
    rows: KTable<i64, i64>,
    #[source(topic = "skipping", timestamp = log_and_skip_on_invalid_timestamp)]
    skipping: KStream<i64, String>,
    #[from(by_key.merge(by_value).merge(by_header).merge(shifted).merge(skipping))]
    #[sink(topic = "out")]
    all: KStream<i64, String>,
    #[from(rows.to_stream())]
    #[sink(topic = "row-updates")]
    updates: KStream<i64, Option<i64>>,
}

fn from_header(record: &Record<i64, String>, _: i64) -> Option<i64> {
    let value = record.headers.last("ts")?.value.as_deref()?;
    std::str::from_utf8(value).ok()?.parse().ok()
}

#[test]
fn an_extractor_of_ones_own_reads_whatever_the_record_has() {
    let t = Own::builder().offset(1_000).test_driver().unwrap();
    t.reset(TestDriverOptions::new()).unwrap();
    t.by_key.send(7, "key").at(1);
    t.by_key.send(-7, "dropped").at(1);
    t.by_value.send(1, "11").at(1);
    t.by_header.send(1, "header").at(1).header("ts", b"22");
    t.by_header.send(1, "dropped").at(1);
    t.shifted.send(1, "shifted").at(1);
    t.skipping.send(1, "skipped").at(-1);
    t.rows.send(1, 50).at(1);
    t.rows.delete(1).at(2);
    t.commit().unwrap();
    let all: Vec<_> = t
        .all
        .read()
        .into_iter()
        .map(|r| (r.value, r.timestamp))
        .collect();
    let all: Vec<_> = all.iter().map(|(v, t)| (v.as_str(), *t)).collect();
    assert_eq!(
        all,
        [("key", 7), ("11", 11), ("header", 22), ("shifted", 1_001)]
    );
    let updates: Vec<_> = t
        .updates
        .read()
        .into_iter()
        .map(|r| (r.value, r.timestamp))
        .collect();
    assert_eq!(updates, [(Some(50), 50), (None, 50)]);
    assert_eq!(t.dropped_records_total(), 3);
    let error = t
        .by_value
        .send(1, "no number")
        .at(1)
        .pipe()
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(
            "the timestamp extractor of `by_value-source` failed on offset 1 of by-value-0"
        ) || error
            .contains("the timestamp extractor of `by_value` failed on offset 1 of by-value-0"),
        "{error}"
    );
}

/// Which record of two partitions is next goes by the extracted timestamps.
#[topology(application_id = "ordered")]
struct Ordered {
    #[source(topic = "left", partitions = 1, timestamp = |r: &Record<i64, String>, _| r.key)]
    left: KStream<i64, String>,
    #[source(topic = "right", partitions = 1)]
    right: KStream<i64, String>,
    #[from(left.merge(right))]
    #[sink(topic = "out", partitions = 1)]
    all: KStream<i64, String>,
}

#[test]
fn the_lowest_extracted_timestamp_is_next() {
    let t = Ordered::builder().test_driver().unwrap();
    t.reset(TestDriverOptions::new().on_demand()).unwrap();
    t.left.send(30, "l30").at(1);
    t.left.send(10, "l10").at(2);
    t.right.send(0, "r20").at(20);
    t.right.send(0, "r40").at(40);
    t.run().unwrap();
    let all: Vec<_> = t.all.read().into_iter().map(|r| r.value).collect();
    assert_eq!(all, ["r20", "l30", "l10", "r40"]);
}

/// A panic of an extractor stops the task, as its error does: no handler is asked.
#[topology(application_id = "panicking")]
struct Panicking {
    #[source(topic = "in", partitions = 1, timestamp = |r: &Record<String, String>, _| { assert_ne!(r.value, "x"); r.timestamp })]
    #[sink(topic = "out", partitions = 1)]
    input: KStream<String, String>,
}

#[test]
fn a_panicking_extractor_stops_the_task() {
    let t = Panicking::builder().test_driver().unwrap();
    t.input.send("a", "y").at(4);
    let error = t.input.send("a", "x").at(5).pipe().unwrap_err().to_string();
    assert!(
        error.contains("panicked") && error.contains("offset 1 of in-0"),
        "{error}"
    );
}
