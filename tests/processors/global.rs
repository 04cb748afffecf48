//! Global stores that processors keep: of every kind, read by others, through restarts, and what becomes of records that fail.

use kstreams::config::ProcessingGuarantee;
use kstreams::exceptions::LogAndContinue;
use kstreams::prelude::*;
use kstreams::test_driver::{TestDriver, TestDriverOptions, TestState};

/// A price of an item, in three stores that keep the past in three ways, and in one that does not.
#[topology(application_id = "prices")]
struct Prices {
    #[source(topic = "latest", partitions = 3, global, process = Latest::new(self.factor))]
    latest: TimestampedKeyValueStore<String, i64>,
    #[source(topic = "windows", global, process = ByHour::new())]
    #[store(window_size = "1h", retention = "1d")]
    by_hour: WindowStore<String, i64>,
    #[source(topic = "visits", global, process = Visits::new())]
    #[store(kind = memory, retention = "1d")]
    visits: SessionStore<String, i64>,
    #[source(topic = "history", global, process = History::new())]
    #[store(name = "past", retention = "1d")]
    history: VersionedStore<String, i64>,
    factor: i64,
    #[source(topic = "asked", partitions = 2)]
    asked: KStream<String, i64>,
    #[from(asked.process(Answer::new(), stores(latest, windows = by_hour, visits, history)))]
    #[sink(topic = "answers")]
    answers: KStream<String, String>,
}

/// The topic has texts where the store has numbers.
#[processor]
struct Latest {
    factor: i64,
    #[store(shared)]
    store: TimestampedKeyValueStore<String, i64>,
}

impl Processor<String, Option<String>> for Latest {
    fn process(
        &mut self,
        record: Record<String, Option<String>>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        assert_eq!((cx.node(), cx.stream_time()), ("latest", -1));
        assert_eq!(cx.metadata().map(|of| of.topic), Some("latest"));
        let Some(text) = record.value else {
            return self.store.delete(&record.key, cx).map(drop);
        };
        if text == "panic" {
            panic!("as told");
        }
        let value = text.parse::<i64>()? * self.factor;
        let timestamp = record.timestamp;
        self.store.put(
            &record.key,
            &kstreams::ValueAndTimestamp { value, timestamp },
            cx,
        )
    }
}

/// Not idempotent: a record that were processed twice would be seen.
#[processor]
struct ByHour {
    #[store(shared)]
    sums: WindowStore<String, i64>,
}

const HOUR: i64 = 3_600_000;

impl Processor<String, i64> for ByHour {
    fn process(
        &mut self,
        record: Record<String, i64>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        let start = record.timestamp / HOUR * HOUR;
        let sum = self.sums.fetch_at(&record.key, start, cx)?.unwrap_or(0);
        self.sums.put(&record.key, &(sum + record.value), start, cx)
    }
}

#[processor]
struct Visits {
    #[store(shared)]
    visits: SessionStore<String, i64>,
}

impl Processor<String, i64> for Visits {
    fn process(
        &mut self,
        record: Record<String, i64>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        let end = record.timestamp + record.value;
        self.visits
            .put(&record.key, record.timestamp, end, &record.value, cx)
    }
}

#[processor]
struct History {
    #[store(shared)]
    versions: VersionedStore<String, i64>,
}

impl Processor<String, i64> for History {
    fn process(
        &mut self,
        record: Record<String, i64>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        self.versions
            .put(&record.key, &record.value, record.timestamp, cx)?;
        Ok(())
    }
}

/// Says what all four know of a key, as of the value.
#[processor(out = (String, String))]
struct Answer {
    #[store]
    latest: ReadOnlyKeyValueStore<String, i64>,
    #[store]
    windows: ReadOnlyWindowStore<String, i64>,
    #[store]
    visits: ReadOnlySessionStore<String, i64>,
    #[store]
    history: ReadOnlyVersionedStore<String, i64>,
}

impl Processor<String, i64> for Answer {
    fn process(
        &mut self,
        record: Record<String, i64>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        let (key, time) = (&record.key, record.value);
        let latest = self.latest.get_with_timestamp(key, cx)?;
        let latest = latest.map(|found| (found.value, found.timestamp));
        let windows = self.windows.backward_fetch(key, ..=time, cx)?;
        let windows: Vec<_> = windows.iter().map(|w| (w.start / HOUR, w.value)).collect();
        let visits = self.visits.find_sessions(key, time, time, cx)?;
        let visits: Vec<_> = visits.iter().map(|v| (v.start, v.end)).collect();
        let then = self.history.get_as_of(key, time, cx)?;
        let then = then.map(|found| (found.value, found.valid_to));
        let now = self.history.get(key, cx)?.map(|found| found.value);
        let text = format!("{latest:?} {windows:?} {visits:?} {then:?} {now:?}");
        cx.forward(record.with_value(text))
    }
}

/// The last one: after a crash others may be given again.
fn answer(t: &PricesTestDriver, key: &str, time: i64) -> String {
    t.asked.send(key, time).at(time);
    t.commit().expect("a commit");
    let answers = t.answers.read();
    answers.last().expect("an answer").value.clone()
}

fn fill(t: &PricesTestDriver) {
    t.latest.send("a", "20".to_owned()).at(5);
    t.latest.send("b", "30".to_owned()).at(6);
    t.latest.delete("b").at(7);
    t.by_hour.send("a", 1).at(HOUR + 1);
    t.by_hour.send("a", 2).at(HOUR + 2);
    t.by_hour.send("a", 4).at(2 * HOUR);
    t.by_hour.send("b", 8).at(HOUR);
    t.visits.send("a", 10).at(100);
    t.visits.send("a", 10).at(300);
    t.history.send("a", 1).at(100);
    t.history.send("a", 2).at(200);
}

const OF_A: &str = "Some((40, 5)) [] [(100, 110)] Some((1, Some(200))) Some(2)";

#[test]
fn every_kind_is_kept_and_read() -> kstreams::Result {
    for state in [TestState::Memory, TestState::Lmdb] {
        for guarantee in [
            ProcessingGuarantee::AtLeastOnce,
            ProcessingGuarantee::ExactlyOnceV2,
        ] {
            let options = TestDriverOptions::new().guarantee(guarantee).state(state);
            let t = Prices::builder().factor(2).test_driver_with(options)?;
            fill(&t);
            assert_eq!(answer(&t, "a", 105), OF_A);
            assert_eq!(answer(&t, "b", 2 * HOUR), "None [(1, 8)] [] None None");
            let later = "Some((40, 5)) [(2, 4), (1, 3)] [] Some((2, None)) Some(2)";
            assert_eq!(answer(&t, "a", 2 * HOUR), later);
            assert_eq!(t.latest.get("a")?, Some(40));
            assert_eq!(t.history.all()?, [("a".to_owned(), 2)]);
            // What lies on disk goes on behind its last record, what lies in memory is made of all of them again.
            t.restart()?;
            assert_eq!(answer(&t, "a", 2 * HOUR), later);
            t.by_hour.send("a", 1).at(2 * HOUR);
            t.crash()?;
            let later = "Some((40, 5)) [(2, 5), (1, 3)] [] Some((2, None)) Some(2)";
            assert_eq!(answer(&t, "a", 2 * HOUR), later);
        }
    }
    Ok(())
}

#[test]
fn they_have_no_changelogs_and_are_described_as_kafka_streams_does() -> kstreams::Result {
    let t = Prices::builder().factor(2).test_driver()?;
    fill(&t);
    let topics = t.topics()?;
    assert!(
        !topics.iter().any(|name| name.contains("changelog")),
        "{topics:?}"
    );
    let text = kstreams::describe::text(<Prices as kstreams::Topology>::TOPOLOGY);
    let global = "for global store (will not generate tasks)\n    Source: history-source (topics: [history])\n      --> history\n    \
                  Processor: history (stores: [past])\n      --> none\n      <-- history-source\n";
    assert!(text.contains(global), "{text}");
    Ok(())
}

fn letters(t: &TestDriver) -> Vec<String> {
    let records = t.read_raw("dead").unwrap();
    let header = |record: &kstreams::transport::ConsumedRecord, name: &str| {
        let mut headers = record.headers.iter();
        let header = headers.find(|header| header.key == name);
        let value = header.and_then(|header| header.value.as_deref());
        String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
    };
    records
        .iter()
        .map(|record| {
            format!(
                "{}@{} {}-{} {}",
                String::from_utf8_lossy(record.value.as_deref().unwrap_or(b"null")),
                record.timestamp,
                header(record, "__streams.errors.topic"),
                header(record, "__streams.errors.offset"),
                header(record, "__streams.errors.message"),
            )
        })
        .collect()
}

/// `latest` has three partitions: the key `a` has one of its own.
#[test]
fn a_record_that_fails_stops_it_or_becomes_a_dead_letter() -> kstreams::Result {
    let config = || {
        let config = StreamsConfig::new().cache_max_bytes(0);
        config
            .deserialization_exception_handler(LogAndContinue)
            .processing_exception_handler(LogAndContinue)
            .dead_letter_queue("dead")
    };
    // As in Kafka Streams, the processing handler is not asked unless it is told to.
    let t = Prices::builder().factor(2).test_driver()?;
    t.reset(TestDriverOptions::new().config(config()))?;
    let failed = t.latest.send("a", "none".to_owned()).at(1).pipe();
    let message = failed.unwrap_err().to_string();
    assert!(
        message.contains("`latest`") && message.contains("invalid digit"),
        "{message}"
    );
    assert!(letters(&t).is_empty());

    let asked = config().processing_exception_handler_global_enabled(true);
    t.reset(TestDriverOptions::new().config(asked))?;
    t.latest.send("a", "none".to_owned()).at(1);
    t.latest.send("a", "7".to_owned()).at(2);
    t.latest.send("a", "panic".to_owned()).at(3);
    t.pipe_raw("latest", Some(b"a"), Some(b"\xff"), 4, Headers::new())?;
    t.pipe_raw("latest", None, Some(b"1"), 5, Headers::new())?;
    assert_eq!(t.latest.get("a")?, Some(14));
    assert_eq!(t.dropped_records_total(), 4);
    let letters = letters(&t);
    let begins = [
        "none@1 latest-0 invalid digit",
        "panic@3 latest-2 ",
        "\u{fffd}@4 latest-3 ",
        "1@5 latest-0 ",
    ];
    assert_eq!(letters.len(), begins.len(), "{letters:?}");
    for (letter, begin) in letters.iter().zip(begins) {
        assert!(letter.starts_with(begin), "{letter} begins with {begin}");
    }
    Ok(())
}

#[test]
fn a_null_key_is_nothing_to_make_the_store_of_again() -> kstreams::Result {
    let t = Prices::builder().factor(2).test_driver()?;
    let failed = t.pipe_raw(
        "windows",
        None,
        Some(&1_i64.to_be_bytes()),
        5,
        Headers::new(),
    );
    assert!(failed.unwrap_err().to_string().contains("null"));
    // As in Kafka Streams, it is left out while the store is made again.
    t.crash()?;
    t.by_hour.send("a", 1).at(HOUR);
    assert_eq!(answer(&t, "a", HOUR), "None [(1, 1)] [] None None");
    Ok(())
}
