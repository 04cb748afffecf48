//! Stores of every kind that processors share: one writes, another reads, and all of it is there again after a crash.

use kstreams::prelude::*;
use kstreams::test_driver::{TestDriverOptions, TestState};

#[topology(application_id = "kinds")]
struct Kinds {
    #[source(topic = "seen", partitions = 2)]
    seen: KStream<String, i64>,
    #[source(topic = "asked", partitions = 2)]
    asked: KStream<String, i64>,
    #[store(window_size = "1m", retention = "1h")]
    windows: WindowStore<String, i64>,
    #[store(kind = memory, retention = "1h")]
    sessions: SessionStore<String, i64>,
    #[store(name = "past", retention = HOUR)]
    versions: VersionedStore<String, i64>,
    #[store]
    latest: TimestampedKeyValueStore<String, i64>,
    #[from(seen.process_values(Keep::new(), stores(windows, sessions, versions, latest)))]
    kept: KStream<String, i64>,
    #[from(kept.for_each(|_, _| ()))]
    nothing: (),
    #[from(asked.process_values(Tell::new(), stores(windows, sessions, versions, latest)))]
    #[sink(topic = "told")]
    told: KStream<String, String>,
}

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

#[processor(fixed_key, out = (String, i64))]
struct Keep {
    #[store(shared)]
    windows: WindowStore<String, i64>,
    #[store(shared)]
    sessions: SessionStore<String, i64>,
    #[store(shared)]
    versions: VersionedStore<String, i64>,
    #[store(shared)]
    latest: TimestampedKeyValueStore<String, i64>,
}

impl FixedKeyProcessor<String, i64> for Keep {
    fn process(
        &mut self,
        record: FixedKeyRecord<String, i64>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        let (key, value, timestamp) = (record.key(), record.value, record.timestamp);
        let start = timestamp / MINUTE * MINUTE;
        self.windows.put(key, &value, start, cx)?;
        self.sessions.put(key, start, timestamp, &value, cx)?;
        self.versions.put(key, &value, timestamp, cx)?;
        let stored = kstreams::ValueAndTimestamp { value, timestamp };
        self.latest.put(key, &stored, cx)
    }
}

#[processor(fixed_key, out = (String, String))]
struct Tell {
    #[store]
    windows: ReadOnlyWindowStore<String, i64>,
    #[store]
    sessions: ReadOnlySessionStore<String, i64>,
    #[store]
    versions: ReadOnlyVersionedStore<String, i64>,
    #[store]
    latest: ReadOnlyKeyValueStore<String, i64>,
}

impl FixedKeyProcessor<String, i64> for Tell {
    fn process(
        &mut self,
        record: FixedKeyRecord<String, i64>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        let (key, time) = (record.key(), record.value);
        let windows = self.windows.fetch(key, ..=time, cx)?;
        let windows: Vec<_> = windows.iter().map(|w| (w.start, w.value)).collect();
        let sessions = self.sessions.fetch(key, cx)?;
        let sessions: Vec<_> = sessions.iter().map(|s| (s.start, s.end)).collect();
        let version = self.versions.get_as_of(key, time, cx)?.map(|v| v.value);
        let latest = self.latest.get_with_timestamp(key, cx)?;
        let latest = latest.map(|found| (found.value, found.timestamp));
        let text = format!("{windows:?} {sessions:?} {version:?} {latest:?}");
        cx.forward(record.with_value(text))
    }
}

#[test]
fn what_one_writes_another_reads_and_a_crash_changes_nothing() -> kstreams::Result {
    for state in [TestState::Memory, TestState::Lmdb] {
        let t = Kinds::builder().test_driver_with(TestDriverOptions::new().state(state))?;
        let ask = |key: &str, time: i64| -> kstreams::Result<String> {
            t.asked.send(key, time).at(time);
            t.commit()?;
            Ok(t.told.read().pop().expect("an answer").value)
        };
        t.seen.send("a", 1).at(MINUTE + 5);
        t.seen.send("a", 2).at(2 * MINUTE + 7);
        t.seen.send("b", 3).at(2 * MINUTE);
        let of_a = "[(60000, 1)] [(60000, 60005), (120000, 120007)] Some(1) Some((2, 120007))";
        assert_eq!(ask("a", MINUTE + 6)?, of_a);
        let of_b = "[(120000, 3)] [(120000, 120000)] Some(3) Some((3, 120000))";
        assert_eq!(ask("b", 3 * MINUTE)?, of_b);
        let windows = t.windows.snapshot().unwrap();
        assert_eq!(windows.all().unwrap().count(), 3);
        t.crash()?;
        assert_eq!(ask("a", MINUTE + 6)?, of_a);
        assert_eq!(ask("b", 3 * MINUTE)?, of_b);
        // An hour later the windows and the past are gone, as in a processor's own stores.
        t.seen.send("a", 4).at(2 * MINUTE + 10 + HOUR);
        let later = "[(3720000, 4)] [(3720000, 3720010)] Some(4) Some((4, 3720010))";
        assert_eq!(ask("a", 2 * HOUR)?, later);
        let topics = t.topics()?;
        for store in ["windows", "sessions", "past", "latest"] {
            assert!(
                topics.contains(&format!("kinds-{store}-changelog")),
                "{topics:?}"
            );
        }
    }
    Ok(())
}
