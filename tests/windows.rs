//! Aggregations by windows against plain models, with records in any order; and the same after crashes at any step.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kstreams::ProcessingGuarantee;
use kstreams::prelude::*;
use kstreams::test_driver::{TestDriverOptions, TestState};
use proptest::prelude::*;

#[path = "windows/cogroups.rs"]
mod cogroups;
#[path = "windows/joins.rs"]
mod joins;

macro_rules! counts {
    ($name:ident, $key:ty, $count:ty, $($windows:tt)*) => {
        #[topology(application_id = "windows")]
        struct $name {
            #[source(topic = "in")]
            input: KStream<u8, i64>,
            #[from(input.group_by_key().$($windows)*.count())]
            counts: KTable<$key, i64>,
            #[from(counts.to_stream())]
            #[sink(topic = "out")]
            out: KStream<$key, $count>,
        }
    };
}

/// A record: key and timestamp.
type Sent = (u8, i64);
/// Counts by key, window start and window end.
type Counts = BTreeMap<(u8, i64, i64), i64>;

counts!(
    Hopping,
    Windowed<u8>,
    i64,
    windowed_by(hopping("10ms").advance_by("4ms").grace("7ms"))
);
counts!(
    Closing,
    Windowed<u8>,
    i64,
    windowed_by(hopping("10ms").advance_by("5ms").grace("3ms")).emit(on_window_close)
);
counts!(
    Sliding,
    Windowed<u8>,
    i64,
    windowed_by(sliding("10ms").grace("1h"))
);
// A session that grows is another one: the one before is deleted.
counts!(Sessions, Windowed<u8, SessionWindow>, Option<i64>, windowed_by(session("5ms").grace("1h")));

/// State on disk, so that it survives a crash.
fn options() -> TestDriverOptions {
    TestDriverOptions::like_topology_test_driver().state(TestState::Lmdb)
}

macro_rules! run {
    ($topology:ty, $records:expr, $crashes:expr) => {{
        let test = <$topology>::builder().test_driver().unwrap();
        test.reset(options()).unwrap();
        for (step, (key, time)) in $records.iter().enumerate() {
            if $crashes.contains(&step) {
                test.crash().unwrap();
            }
            test.input.send(*key, 1).at(*time);
        }
        test.out.read()
    }};
}

/// Windows of one size that are still open when a record comes.
fn fixed(records: &[Sent], size: i64, advance: i64, grace: i64) -> Counts {
    let (mut observed, mut counts) = (-1, Counts::new());
    for (key, time) in records {
        observed = observed.max(*time);
        let starts = (0..=*time).filter(|s| s % advance == 0 && s + size > *time);
        for start in starts.filter(|start| start + size > observed - grace) {
            *counts.entry((*key, start, start + size)).or_default() += 1;
        }
    }
    counts
}

/// Every window that begins or ends with a record; what would begin before time 0 begins then.
fn sliding(records: &[Sent], difference: i64) -> Counts {
    let mut counts = Counts::new();
    for (key, time) in records {
        for start in [(time - difference).max(0), time + 1] {
            let within = |(k, t): &&Sent| k == key && (start..=start + difference).contains(t);
            let count = records.iter().filter(within).count();
            if count > 0 {
                counts.insert((*key, start, start + difference), count as i64);
            }
        }
    }
    counts
}

/// Records of a key that are no further apart than the gap.
fn sessions(records: &[Sent], gap: i64) -> Counts {
    let mut sorted = records.to_vec();
    sorted.sort_unstable();
    let mut counts = Counts::new();
    let mut now: Option<(u8, i64, i64, i64)> = None;
    for (key, time) in sorted {
        now = match now {
            Some((k, start, end, count)) if k == key && time - end <= gap => {
                Some((k, start, time, count + 1))
            }
            before => {
                counts.extend(before.map(|(k, start, end, count)| ((k, start, end), count)));
                Some((key, time, time, 1))
            }
        };
    }
    counts.extend(now.map(|(k, start, end, count)| ((k, start, end), count)));
    counts
}

fn records(until: i64) -> impl Strategy<Value = Vec<Sent>> {
    proptest::collection::vec((0..3_u8, 0..until), 1..60)
}

fn crashes() -> impl Strategy<Value = BTreeSet<usize>> {
    proptest::collection::btree_set(0..60_usize, 0..3)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn hopping_windows(records in records(60), crashes in crashes()) {
        let mut counts = Counts::new();
        for r in run!(Hopping, records, crashes) {
            counts.insert((r.key.key, r.key.start(), r.key.start() + 10), r.value);
        }
        prop_assert_eq!(counts, fixed(&records, 10, 4, 7));
    }

    #[test]
    fn each_window_is_sent_once_when_it_closes(records in records(200), crashes in crashes()) {
        let mut sent = Counts::new();
        for r in run!(Closing, records, crashes) {
            let start = r.key.start();
            prop_assert_eq!(sent.insert((r.key.key, start, start + 10), r.value), None);
        }
        let latest = records.iter().map(|(_, time)| *time).max().unwrap_or(0);
        let mut expected = fixed(&records, 10, 5, 3);
        expected.retain(|(_, _, end), _| *end <= latest - 3);
        prop_assert_eq!(sent, expected);
    }

    #[test]
    fn a_cache_changes_nothing_of_windows_that_are_sent_when_they_close(records in records(200), crashes in crashes(), commits in crashes()) {
        let test = Closing::builder().test_driver().unwrap();
        let options = TestDriverOptions::new().state(TestState::Lmdb).cache_max_bytes(1 << 20);
        test.reset(options.guarantee(ProcessingGuarantee::ExactlyOnceV2)).unwrap();
        for (step, (key, time)) in records.iter().enumerate() {
            if crashes.contains(&step) {
                test.crash().unwrap();
            }
            if commits.contains(&step) {
                test.commit().unwrap();
            }
            test.input.send(*key, 1).at(*time);
            test.advance(Duration::from_secs(1)).unwrap();
        }
        test.commit().unwrap();
        let mut sent: Vec<_> = test.out.read().into_iter().map(|r| (r.key.key, r.key.start(), r.value)).collect();
        let mut expected: Vec<_> = run!(Closing, records, crashes)
            .into_iter()
            .map(|r| (r.key.key, r.key.start(), r.value))
            .collect();
        sent.sort_unstable();
        expected.sort_unstable();
        prop_assert_eq!(sent, expected);
    }

    #[test]
    fn sliding_windows(records in records(60), crashes in crashes()) {
        let mut counts = Counts::new();
        for r in run!(Sliding, records, crashes) {
            counts.insert((r.key.key, r.key.start(), r.key.start() + 10), r.value);
        }
        prop_assert_eq!(counts, sliding(&records, 10));
    }

    #[test]
    fn sessions_merge(records in records(90), crashes in crashes()) {
        let mut counts = Counts::new();
        for r in run!(Sessions, records, crashes) {
            let key = (r.key.key, r.key.start(), r.key.end());
            match r.value {
                Some(count) => counts.insert(key, count),
                None => counts.remove(&key),
            };
        }
        prop_assert_eq!(counts, sessions(&records, 5));
    }
}

#[test]
fn a_store_tells_its_size() {
    let test = Hopping::builder().test_driver().unwrap();
    for state in [TestState::Memory, TestState::Lmdb] {
        let options = TestDriverOptions::like_topology_test_driver();
        test.reset(options.state(state)).unwrap();
        let empty = test.store_size("counts").unwrap();
        assert_eq!(empty, 0, "{state:?}");
        for time in 0..200 {
            test.input.send(1, 1).at(time);
        }
        let entries = test.store_entries("counts").unwrap();
        let size = test.store_size("counts").unwrap();
        // Segment, key of one byte, start, sequence number; timestamp and count.
        let bytes = entries.len() as u64 * (8 + 1 + 8 + 4 + 8 + 8);
        match state {
            TestState::Memory => assert!(size >= bytes, "{size} < {bytes}"),
            TestState::Lmdb => assert!(size > bytes && size.is_multiple_of(4096), "{size}"),
        }
    }
    assert!(test.store_size("count").is_err());
}

/// Kafka Streams makes a cache for them, which holds back what is logged; sliding windows and sessions have none.
#[test]
fn what_the_cache_holds_back_of_windows_that_are_sent_when_they_close_is_logged_once() {
    let test = Closing::builder().test_driver().unwrap();
    let options = TestDriverOptions::new().cache_max_bytes(1 << 20);
    test.reset(options).unwrap();
    for time in [1, 2, 3] {
        test.input.send(1, 1).at(time);
    }
    test.commit().unwrap();
    let logged = test.read_raw("windows-counts-changelog").unwrap();
    assert_eq!(logged.len(), 1);
    test.advance(Duration::from_secs(1)).unwrap();
    test.input.send(1, 1).at(40);
    let sent: Vec<_> = test
        .out
        .read()
        .into_iter()
        .map(|r| (r.key.start(), r.value))
        .collect();
    assert_eq!(sent, [(0, 3)]);
}
