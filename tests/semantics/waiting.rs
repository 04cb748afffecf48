//! Records that wait and tables that keep the past: against plain models, with random disorder, killed at any step or not.

use std::collections::BTreeMap;

use kstreams::prelude::*;
use kstreams::test_driver::{TestDriver, TestDriverOptions, TestState};
use kstreams::{Headers, ProcessingGuarantee};
use proptest::prelude::*;

use crate::read;

#[topology(application_id = "waiting")]
struct Waiting {
    #[source(topic = "stream", partitions = 1)]
    stream: KStream<Option<String>, Option<String>>,
    #[source(topic = "table", partitions = 1)]
    #[store(versioned = "10s")]
    table: KTable<String, String>,

    #[from(stream.join(table, |s, t| format!("{s}+{t}"), name = "inner", grace("50ms")))]
    #[sink(topic = "inner")]
    inner: KStream<String, String>,
    #[from(stream.left_join(table, |s, t| format!("{s}+{}", t.map_or("-", String::as_str)), name = "left", grace("50ms")))]
    #[sink(topic = "left")]
    left: KStream<Option<String>, String>,
}

#[topology(application_id = "held")]
struct Held {
    #[source(topic = "table", partitions = 1)]
    table: KTable<String, String>,
    #[from(table.suppress(until_time_limit("30ms")))]
    #[sink(topic = "rare")]
    rare: KTable<String, String>,
    #[from(table.suppress(until_time_limit("1s").max_records(3)))]
    #[sink(topic = "few")]
    few: KTable<String, String>,
    // Updates that leave a suppression go on into an aggregation of the same chain.
    #[from(table.suppress(until_time_limit("30ms"), name = "counted").to_stream().group_by_key().count().to_stream())]
    #[sink(topic = "counts")]
    counts: KStream<String, i64>,
}

/// Topic, key, value and timestamp.
type Piped = (&'static str, Option<u8>, Option<u8>, i64);

fn piped(topics: &'static [&'static str]) -> impl Strategy<Value = Vec<Piped>> {
    let one = (
        0..topics.len(),
        proptest::option::weighted(0.9, 0..4_u8),
        proptest::option::weighted(0.8, any::<u8>()),
        -60..60_i64,
    );
    proptest::collection::vec(one, 1..40).prop_map(move |steps| {
        let mut now = 0;
        let at = |(topic, key, value, step): (usize, _, _, i64)| {
            now += 15;
            (topics[topic], key, value, (now + step).max(0))
        };
        steps.into_iter().map(at).collect()
    })
}

fn pipe(driver: &TestDriver, (topic, key, value, time): Piped) {
    let key = key.map(|k| format!("k{k}"));
    let value = value.map(|v| format!("v{v}"));
    let bytes = |text: &Option<String>| text.as_ref().map(|t| t.as_bytes().to_vec());
    let piped = driver.pipe_raw(
        topic,
        bytes(&key).as_deref(),
        bytes(&value).as_deref(),
        time,
        Headers::new(),
    );
    piped.expect("it is processed");
}

/// Plays records, and kills everything after each `kill` of them.
fn play(
    driver: &TestDriver,
    steps: &[Piped],
    kill: Option<usize>,
    topics: &[&str],
) -> Vec<Vec<String>> {
    for (number, step) in steps.iter().enumerate() {
        if kill.is_some_and(|k| number % k == k - 1) {
            driver.kill_and_restore().expect("it starts again");
        }
        pipe(driver, *step);
    }
    topics.iter().map(|topic| read(driver, topic)).collect()
}

fn schedules() -> impl Iterator<Item = (TestState, ProcessingGuarantee, usize)> {
    [TestState::Memory, TestState::Lmdb]
        .into_iter()
        .flat_map(|state| {
            [
                (state, ProcessingGuarantee::AtLeastOnce, 1),
                (state, ProcessingGuarantee::ExactlyOnceV2, 3),
            ]
        })
}

fn options(state: TestState, guarantee: ProcessingGuarantee) -> TestDriverOptions {
    TestDriverOptions::like_topology_test_driver()
        .state(state)
        .guarantee(guarantee)
}

/// What a join with a grace gives: every record is put aside, and joined in the order of time once the stream is further by the grace.
fn joined(steps: &[Piped], left: bool) -> Vec<String> {
    let mut versions: BTreeMap<u8, BTreeMap<i64, Option<u8>>> = BTreeMap::new();
    let mut waiting: BTreeMap<(i64, String, usize), (Option<u8>, u8)> = BTreeMap::new();
    let (mut observed, mut now, mut out) = (-1, -1, Vec::new());
    for (number, (topic, key, value, time)) in steps.iter().enumerate() {
        if *topic == "table" {
            if let Some(key) = key
                && *time >= observed - 10_000
            {
                observed = observed.max(*time);
                versions.entry(*key).or_default().insert(*time, *value);
            }
            continue;
        }
        let Some(value) = value else { continue };
        let mut meet = |time: i64, key: Option<u8>, value: u8| {
            let versions = key.and_then(|key| versions.get(&key));
            let found = versions.and_then(|v| *v.range(..=time).next_back()?.1);
            let name = key.map_or("null".to_owned(), |k| format!("k{k}"));
            match found {
                Some(found) => out.push(format!("{name}=v{value}+v{found}@{time}")),
                None if left => out.push(format!("{name}=v{value}+-@{time}")),
                None => {}
            }
        };
        match key {
            None if left => meet(*time, None, *value),
            None => {}
            Some(_) if now - 50 > *time => meet(*time, *key, *value),
            Some(k) => {
                now = now.max(*time);
                waiting.insert((*time, format!("k{k}"), number), (*key, *value));
                while let Some(first) = waiting.first_entry() {
                    let time = first.key().0;
                    if time > now - 50 {
                        break;
                    }
                    let (key, value) = first.remove();
                    meet(time, key, value);
                }
            }
        }
    }
    out
}

/// What a suppression sends: a key waits from its first update on.
fn held(steps: &[Piped], wait: i64, most: usize) -> Vec<String> {
    let mut waiting: BTreeMap<(i64, u8), (Option<u8>, i64)> = BTreeMap::new();
    let (mut now, mut out) = (-1, Vec::new());
    for (_, key, value, time) in steps {
        let Some(key) = key else { continue };
        now = now.max(*time);
        let since = waiting
            .keys()
            .find(|(_, k)| k == key)
            .map_or(*time, |(t, _)| *t);
        waiting.insert((since, *key), (*value, *time));
        while let Some(first) = waiting.first_entry() {
            let (since, key) = *first.key();
            if since > now - wait && waiting.len() <= most {
                break;
            }
            if let Some((value, time)) = waiting.remove(&(since, key)) {
                let value = value.map_or("null".to_owned(), |v| format!("v{v}"));
                out.push(format!("k{key}={value}@{time}"));
            }
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_join_with_a_grace_equals_a_model_killed_or_not(steps in piped(&["stream", "stream", "table"])) {
        let expected = vec![joined(&steps, false), joined(&steps, true)];
        for (state, guarantee, kill) in schedules() {
            for kill in [None, Some(kill)] {
                let t = Waiting::builder().test_driver().unwrap();
                t.reset(options(state, guarantee)).unwrap();
                let got = play(&t, &steps, kill, &["inner", "left"]);
                prop_assert_eq!(&got, &expected, "{:?} {:?} {:?}", state, guarantee, kill);
            }
        }
    }

    #[test]
    fn a_suppression_equals_a_model_killed_or_not(steps in piped(&["table"])) {
        let expected = vec![held(&steps, 30, usize::MAX), held(&steps, 1_000, 3)];
        let mut counts: Option<Vec<String>> = None;
        for (state, guarantee, kill) in schedules() {
            for kill in [None, Some(kill)] {
                let t = Held::builder().test_driver().unwrap();
                t.reset(options(state, guarantee)).unwrap();
                let mut got = play(&t, &steps, kill, &["rare", "few", "counts"]);
                let counted = got.pop().unwrap();
                prop_assert_eq!(&got, &expected, "{:?} {:?} {:?}", state, guarantee, kill);
                // Null values are not counted.
                let sent = expected[0].iter().filter(|r| !r.contains("null")).count();
                prop_assert_eq!(counted.len(), sent);
                prop_assert_eq!(counts.get_or_insert_with(|| counted.clone()), &counted);
            }
        }
    }
}

/// Without a key there is nothing to wait for: in a left join the record goes on at once, where Kafka Streams fails.
#[test]
fn a_record_without_a_key_does_not_wait() {
    let t = Waiting::builder().test_driver().unwrap();
    t.stream.send(None, Some("s".to_owned())).at(7);
    assert_eq!(read(&t, "left"), ["null=s+-@7"]);
    assert!(read(&t, "inner").is_empty());
    assert_eq!(t.dropped_records_total(), 1);
}

#[topology(application_id = "bounded")]
struct Bounded {
    #[source(topic = "table", partitions = 1)]
    table: KTable<String, String>,
    #[from(table.suppress(until_time_limit("1s").max_records(2).shut_down_when_full()))]
    #[sink(topic = "rare")]
    rare: KTable<String, String>,
}

#[test]
fn a_strict_buffer_that_is_full_stops_the_task_and_says_by_what() {
    let t = Bounded::builder().test_driver().unwrap();
    for (time, key) in (0..).zip(["a", "b"]) {
        let piped = t.pipe_raw(
            "table",
            Some(key.as_bytes()),
            Some(b"1"),
            time,
            Headers::new(),
        );
        piped.unwrap();
    }
    let failed = t.pipe_raw("table", Some(b"c"), Some(b"1"), 2, Headers::new());
    let text = format!("{:?}", failed.unwrap_err());
    assert!(text.contains("SuppressBufferFull"), "{text}");
    assert!(text.contains("records: 3, max_records: 2"), "{text}");
}
