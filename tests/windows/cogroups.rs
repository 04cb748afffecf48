//! Cogroups by windows against plain models: three inputs in any order, each with a stream time of its own, crashes included.

use std::collections::{BTreeMap, BTreeSet};

use kstreams::prelude::*;
use proptest::prelude::*;

use super::{crashes, options};

/// A record: its input, key and timestamp.
type Sent = (usize, u8, i64);
/// Sums by key, window start and window end.
type Sums = BTreeMap<(u8, i64, i64), i64>;

/// What a record of each input adds, so that a sum tells how many of each there were.
const WORTH: [i64; 3] = [1, 100, 10_000];

/// The third input is rekeyed. Where operators follow in the chain, rustc infers the store's types.
macro_rules! cogroup {
    ($name:ident, [$key:ty, $sum:ty], [$($windows:tt)*], [$($aggregate:tt)*] $(, #$store:tt)?) => {
        #[topology(application_id = "cogroups")]
        struct $name {
            #[source(topic = "a", partitions = 2)]
            a: KStream<u8, i64>,
            #[source(topic = "b", partitions = 2)]
            b: KStream<Option<u8>, Option<i64>>,
            #[source(topic = "c", partitions = 1)]
            c: KStream<String, u8>,
            #[from(c.select_key(|_, key| *key))]
            by_key: KStream<u8, u8>,
            #[from(a
                .group_by_key()
                .cogroup(|_, _, sum| sum + WORTH[0])
                .cogroup(b, |_, _, sum| sum + WORTH[1])
                .cogroup(by_key, |key, same, sum| if *key == same { sum + WORTH[2] } else { 0 })
                .windowed_by($($windows)*)
                .$($aggregate)*)]
            $(#$store)?
            sums: KTable<$key, i64>,
            #[from(sums.to_stream())]
            #[sink(topic = "out")]
            out: KStream<$key, $sum>,
        }
    };
}

type Session = Windowed<u8, SessionWindow>;

cogroup!(
    Hopping,
    [Windowed<u8>, i64],
    [hopping("10ms").advance_by("4ms").grace("7ms")],
    [aggregate(|| 0)],
    #[store(retention = "2h")]
);
cogroup!(
    Unlimited,
    [Windowed<u8>, i64],
    [unlimited().start_on(20)],
    [aggregate(i64::default)]
);
cogroup!(
    Sliding,
    [Windowed<u8>, i64],
    [sliding("10ms").grace("1h")],
    [aggregate(|| 0)]
);
cogroup!(
    SlidingInPassing,
    [Windowed<u8>, i64],
    [sliding("10ms").grace("1h")],
    [aggregate(|| 0_i64).map_values(|sum| sum)]
);
cogroup!(
    Sessions,
    [Session, Option<i64>],
    [session("5ms").grace("1h")],
    [aggregate(|| 0, |_, a, b| a + b)]
);
cogroup!(
    SessionsInPassing,
    [Session, Option<i64>],
    [session("5ms").grace("1h")],
    [aggregate(|| 0_i64, |key, a, b| if key.count_ones() < 9 { a + b } else { 0 }).map_values(|sum| sum)]
);

/// The last sum of each window. Windows of one size are read from their topic without their ends.
macro_rules! run {
    ($topology:ty, $records:expr, $crashes:expr $(, $size:expr)?) => {{
        let test = <$topology>::builder().test_driver().unwrap();
        test.reset(options()).unwrap();
        let mut sums = Sums::new();
        for (step, (input, key, time)) in $records.iter().enumerate() {
            if $crashes.contains(&step) {
                test.crash().unwrap();
            }
            match input {
                0 => drop(test.a.send(*key, 1).at(*time)),
                1 => drop(test.b.send(*key, 1).at(*time)),
                _ => drop(test.c.send("c", *key).at(*time)),
            }
            for r in test.out.read() {
                let end = r.key.end();
                $(
                    assert_eq!(end, i64::MAX);
                    let end = r.key.start() + $size;
                )?
                let key = (r.key.key, r.key.start(), end);
                match Option::from(r.value) {
                    Some(sum) => sums.insert(key, sum),
                    None => sums.remove(&key),
                };
            }
        }
        sums
    }};
}

/// Windows of one size that are still open by their input's time when a record comes.
fn hopping(records: &[Sent], size: i64, advance: i64, grace: i64) -> Sums {
    let (mut observed, mut sums) = ([-1; 3], Sums::new());
    for &(input, key, time) in records {
        observed[input] = time.max(observed[input]);
        let close = observed[input] - grace;
        let starts = (0..=time).filter(|s| s % advance == 0 && s + size > time);
        for start in starts.filter(|start| start + size > close) {
            *sums.entry((key, start, start + size)).or_default() += WORTH[input];
        }
    }
    sums
}

/// One window, for what is not older than its start.
fn unlimited(records: &[Sent], start: i64) -> Sums {
    let mut sums = Sums::new();
    for &(input, key, time) in records {
        if time >= start {
            *sums.entry((key, start, i64::MAX)).or_default() += WORTH[input];
        }
    }
    sums
}

/// Every window that begins right after a record or ends with one.
fn sliding(records: &[Sent], difference: i64) -> Sums {
    let mut sums = Sums::new();
    for &(_, key, time) in records {
        for start in [(time - difference).max(0), time + 1] {
            let within = |r: &&Sent| r.1 == key && (start..=start + difference).contains(&r.2);
            let sum: i64 = records.iter().filter(within).map(|r| WORTH[r.0]).sum();
            if sum > 0 {
                sums.insert((key, start, start + difference), sum);
            }
        }
    }
    sums
}

/// Records of a key, whatever their input, that are no further apart than the gap.
fn sessions(records: &[Sent], gap: i64) -> Sums {
    let mut sorted: Vec<_> = records
        .iter()
        .map(|&(i, key, time)| (key, time, i))
        .collect();
    sorted.sort_unstable();
    let mut all: Vec<(u8, i64, i64, i64)> = Vec::new();
    for (key, time, input) in sorted {
        match all.last_mut() {
            Some(last) if last.0 == key && time - last.2 <= gap => {
                (last.2, last.3) = (time, last.3 + WORTH[input]);
            }
            _ => all.push((key, time, time, WORTH[input])),
        }
    }
    all.into_iter()
        .map(|(key, start, end, sum)| ((key, start, end), sum))
        .collect()
}

fn records(until: i64) -> impl Strategy<Value = Vec<Sent>> {
    proptest::collection::vec((0..3_usize, 0..3_u8, 0..until), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn each_input_closes_hopping_windows_by_its_own_time(records in records(60), crashes in crashes()) {
        prop_assert_eq!(run!(Hopping, records, crashes, 10), hopping(&records, 10, 4, 7));
    }

    #[test]
    fn a_window_without_end_takes_all_inputs(records in records(60), crashes in crashes()) {
        prop_assert_eq!(run!(Unlimited, records, crashes), unlimited(&records, 20));
    }

    #[test]
    fn sliding_windows_of_all_inputs(records in records(60), crashes in crashes()) {
        let expected = sliding(&records, 10);
        prop_assert_eq!(&run!(Sliding, records, crashes, 10), &expected);
        prop_assert_eq!(&run!(SlidingInPassing, records, crashes, 10), &expected);
    }

    #[test]
    fn sessions_of_all_inputs_merge(records in records(90), crashes in crashes()) {
        let expected = sessions(&records, 5);
        prop_assert_eq!(&run!(Sessions, records, crashes), &expected);
        prop_assert_eq!(&run!(SessionsInPassing, records, crashes), &expected);
    }
}

/// An aggregator, or what merges sessions, may take a window away; nulls are values, but for sliding windows.
#[topology(application_id = "nullable")]
struct Nullable {
    #[source(topic = "a", partitions = 1)]
    a: KStream<Option<String>, Option<i64>>,
    #[source(topic = "b", partitions = 1)]
    b: KStream<String, i64>,
    #[from(a
        .group_by_key()
        .cogroup(|_, v, sum| v.map(|v| sum + v))
        .cogroup(b, |_, v, sum| Some(sum + v))
        .windowed_by(tumbling("10ms"))
        .aggregate(|| 0))]
    sums: KTable<Windowed<String>, Option<i64>>,
    #[from(a
        .group_by_key()
        .cogroup(|_, v, sum: i64| sum + v)
        .windowed_by(sliding("10ms"))
        .aggregate(|| 0))]
    slid: KTable<Windowed<String>, i64>,
    #[from(b
        .group_by_key()
        .cogroup(|_, v, sum| Some(sum + v))
        .windowed_by(session("10ms"))
        .aggregate(|| 0, |_, a, b| (a < 100).then_some(a + b)))]
    sessions: KTable<Windowed<String, SessionWindow>, Option<i64>>,
    #[from(sums.to_stream())]
    #[sink(topic = "out")]
    out: KStream<Windowed<String>, Option<i64>>,
    #[from(slid.to_stream())]
    #[sink(topic = "slid-out")]
    slid_out: KStream<Windowed<String>, i64>,
    #[from(sessions.to_stream())]
    #[sink(topic = "sessions-out")]
    sessions_out: KStream<Windowed<String, SessionWindow>, Option<i64>>,
}

#[test]
fn nulls_and_removals_are_those_of_other_windows() {
    let test = Nullable::builder().test_driver().unwrap();
    test.reset(options()).unwrap();
    test.b.send("k", 60).at(1);
    test.a.send(Some("k".to_owned()), Some(1)).at(2);
    test.a.send(Some("k".to_owned()), None).at(3);
    test.a.send(None, Some(5)).at(4);
    test.b.send("k", 70).at(5);
    let sums: Vec<_> = test.out.read().into_iter().map(|r| r.value).collect();
    assert_eq!(sums, [Some(60), Some(61), None, Some(70)]);
    let slid: BTreeSet<_> = test
        .slid_out
        .read()
        .into_iter()
        .map(|r| (r.key.start(), r.value))
        .collect();
    assert_eq!(slid, [(0, 1)].into());
    let sessions: Vec<_> = test
        .sessions_out
        .read()
        .into_iter()
        .map(|r| r.value)
        .collect();
    assert_eq!(sessions, [Some(60), None, Some(130)]);
    test.b.send("k", 1).at(6);
    let sessions: Vec<_> = test
        .sessions_out
        .read()
        .into_iter()
        .map(|r| r.value)
        .collect();
    assert_eq!(sessions, [None, Some(131)]);
}

/// Final results of a cogroup: it has no `emit`, its table is suppressed.
#[topology(application_id = "finals")]
struct Finals {
    #[source(topic = "a", partitions = 1)]
    a: KStream<String, i64>,
    #[source(topic = "b", partitions = 1)]
    b: KStream<String, i64>,
    #[from(a
        .group_by_key()
        .cogroup(|_, v, sum| sum + v)
        .cogroup(b, |_, v, sum| sum - v)
        .windowed_by(tumbling("10ms").grace("5ms"))
        .aggregate(|| 0_i64)
        .suppress(until_window_closes())
        .to_stream())]
    #[sink(topic = "finals")]
    finals: KStream<Windowed<String>, i64>,
    #[from(a
        .group_by_key()
        .cogroup(|_, v, sum| sum + v)
        .cogroup(b, |_, v, sum| sum - v)
        .windowed_by(session("10ms").grace("5ms"))
        .aggregate(|| 0, |_, one, other| one + other))]
    sessions: KTable<Windowed<String, SessionWindow>, i64>,
    #[from(sessions.suppress(until_window_closes()))]
    #[sink(topic = "sessions")]
    final_sessions: KTable<Windowed<String, SessionWindow>, i64>,
}

#[test]
fn a_suppressed_cogroup_sends_each_window_once() {
    let test = Finals::builder().test_driver().unwrap();
    test.reset(options()).unwrap();
    test.a.send("k", 5).at(1);
    test.b.send("k", 2).at(9);
    test.a.send("k", 1).at(14);
    test.b.send("k", 1).at(3);
    // Up to here everything of the first window came in time: it closes at 15.
    assert!(test.finals.read().is_empty() && test.final_sessions.read().is_empty());
    test.a.send("z", 0).at(60);
    let finals: Vec<_> = test
        .finals
        .read()
        .into_iter()
        .map(|r| (r.key.key.clone(), r.key.start(), r.value))
        .collect();
    assert_eq!(finals, [("k".to_owned(), 0, 2), ("k".to_owned(), 10, 1)]);
    let sessions: Vec<_> = test
        .final_sessions
        .read()
        .into_iter()
        .map(|r| (r.key.start(), r.key.end(), r.value))
        .collect();
    assert_eq!(sessions, [(1, 14, Some(3))]);
}
