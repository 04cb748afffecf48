//! Joins that look into windowed tables: of streams, of tables, by a foreign key; against joins of the counts themselves.

use std::collections::BTreeMap;

use kstreams::prelude::*;
use proptest::prelude::*;

use super::{crashes, options};

/// A record: its input, key and timestamp.
type Sent = (bool, u8, i64);
/// By key, window start and window end.
type Counts = BTreeMap<(u8, i64, i64), i64>;
type Joined = BTreeMap<(u8, i64, i64), String>;

type Session = Windowed<u8, SessionWindow>;

macro_rules! joins {
    ($name:ident, $key:ty, $($windows:tt)*) => {
        #[topology(application_id = "joins")]
        struct $name {
            #[source(topic = "a", partitions = 2)]
            a: KStream<u8, i64>,
            #[source(topic = "b", partitions = 2)]
            b: KStream<u8, i64>,
            #[from(a.group_by_key().windowed_by($($windows)*).count())]
            #[sink(topic = "as")]
            of_a: KTable<$key, i64>,
            #[from(b.group_by_key().windowed_by($($windows)*).count())]
            #[sink(topic = "bs")]
            of_b: KTable<$key, i64>,
            #[from(of_a.join(of_b, |a, b| format!("{a}+{b}")))]
            #[sink(topic = "inner")]
            inner: KTable<$key, String>,
            #[from(of_a.left_join(of_b, |a, b| format!("{a}+{}", b.unwrap_or(&0))))]
            #[sink(topic = "left")]
            left: KTable<$key, String>,
            #[from(of_a.outer_join(of_b, |a, b| format!("{}+{}", a.unwrap_or(&0), b.unwrap_or(&0))))]
            #[store]
            #[sink(topic = "outer")]
            outer: KTable<$key, String>,
            // A join in the chain of an aggregation, whose store has inferred types.
            #[from(a.group_by_key().windowed_by($($windows)*).count().join(of_b, |a, b| format!("{a}+{b}")))]
            #[sink(topic = "passing")]
            passing: KTable<$key, String>,
        }
    };
}

joins!(
    Tumbling,
    Windowed<u8>,
    hopping("10ms").advance_by("5ms").grace("1h")
);
joins!(Sessions, Session, session("5ms").grace("1h"));

macro_rules! last {
    ($output:expr, $size:expr) => {{
        let mut last = BTreeMap::new();
        for r in $output.read() {
            let end = match $size {
                0 => r.key.end(),
                size => r.key.start() + size,
            };
            let key = (r.key.key, r.key.start(), end);
            match r.value {
                Some(value) => last.insert(key, value),
                None => last.remove(&key),
            };
        }
        last
    }};
}

macro_rules! check {
    ($topology:ty, $records:expr, $crashes:expr, $size:expr, $cache:expr) => {{
        let test = <$topology>::builder().test_driver().unwrap();
        test.reset(options().cache_max_bytes($cache)).unwrap();
        for (step, (of_a, key, time)) in $records.iter().enumerate() {
            if $crashes.contains(&step) {
                test.crash().unwrap();
            }
            match of_a {
                true => drop(test.a.send(*key, 1).at(*time)),
                false => drop(test.b.send(*key, 1).at(*time)),
            }
        }
        test.commit().unwrap();
        let a: Counts = last!(test.of_a, $size);
        let b: Counts = last!(test.of_b, $size);
        let inner: Joined = a
            .iter()
            .filter_map(|(key, a)| Some((*key, format!("{a}+{}", b.get(key)?))))
            .collect();
        prop_assert_eq!(&last!(test.inner, $size), &inner);
        prop_assert_eq!(&last!(test.passing, $size), &inner);
        let of = |counts: &Counts, key| counts.get(key).copied().unwrap_or(0);
        let left: Joined = a
            .iter()
            .map(|(key, a)| (*key, format!("{a}+{}", of(&b, key))))
            .collect();
        prop_assert_eq!(&last!(test.left, $size), &left);
        let outer: Joined = a
            .keys()
            .chain(b.keys())
            .map(|key| (*key, format!("{}+{}", of(&a, key), of(&b, key))))
            .collect();
        prop_assert_eq!(&last!(test.outer, $size), &outer);
    }};
}

fn records() -> impl Strategy<Value = Vec<Sent>> {
    proptest::collection::vec((any::<bool>(), 0..3_u8, 0..60_i64), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn tables_of_windows_are_joined(records in records(), crashes in crashes()) {
        check!(Tumbling, records, crashes, 10, 0);
        check!(Tumbling, records, crashes, 10, 1 << 20);
    }

    #[test]
    fn tables_of_sessions_are_joined(records in records(), crashes in crashes()) {
        check!(Sessions, records, crashes, 0, 0);
        check!(Sessions, records, crashes, 0, 1 << 20);
    }
}

/// Streams with windowed keys meet the window of their key, and rows name windows as their foreign keys.
#[topology(application_id = "looks")]
struct Looks {
    #[source(topic = "in", partitions = 1)]
    input: KStream<u8, i64>,
    #[from(input.group_by_key().windowed_by(tumbling("10ms").grace("10ms")).count())]
    counts: KTable<Windowed<u8>, i64>,
    #[from(input.group_by_key().windowed_by(session("10ms").grace("1h")).count())]
    sessions: KTable<Session, i64>,

    #[source(topic = "clicks", partitions = 1)]
    clicks: KStream<Windowed<u8>, String>,
    #[from(clicks.join(counts, |c, n| format!("{c}{n}")))]
    #[sink(topic = "clicked")]
    clicked: KStream<Windowed<u8>, String>,
    #[from(clicks.left_join_with_key(counts, |k, c, n| format!("{}@{}{c}{n:?}", k.key, k.start())))]
    #[sink(topic = "left-clicked")]
    left_clicked: KStream<Windowed<u8>, String>,
    #[source(topic = "visits", partitions = 1)]
    visits: KStream<Session, String>,
    #[from(visits.join(sessions, |v, n| format!("{v}{n}")))]
    #[sink(topic = "visited")]
    visited: KStream<Session, String>,

    #[source(topic = "pages", partitions = 3)]
    pages: KTable<String, i64>,
    #[from(pages.join_on(counts, |_, start| Windowed::new(1_u8, TimeWindow { start: *start, end: start + 10 }), |p, n| format!("{p}:{n}")))]
    #[sink(topic = "page-counts")]
    page_counts: KTable<String, String>,
    #[from(counts.left_join_on(names, |k, _| k.key.to_string(), |n, name| format!("{n}{}", name.map_or("?", String::as_str))))]
    #[sink(topic = "named")]
    named: KTable<Windowed<u8>, String>,
    #[from(sessions.join_on(names, |k, _| k.key.to_string(), |n, name| format!("{n}{name}")))]
    #[sink(topic = "named-sessions")]
    named_sessions: KTable<Session, String>,
    #[source(topic = "names", partitions = 2)]
    names: KTable<String, String>,
}

fn looks() -> LooksTestDriver {
    let test = Looks::builder().test_driver().unwrap();
    test.reset(options()).unwrap();
    test
}

/// A window of ten milliseconds, as a key.
fn window(key: u8, start: i64) -> Windowed<u8> {
    let end = start + 10;
    Windowed::new(key, TimeWindow { start, end })
}

fn session(start: i64, end: i64) -> Session {
    Windowed::new(1, SessionWindow { start, end })
}

macro_rules! values {
    ($output:expr) => {
        $output
            .read()
            .into_iter()
            .map(|r| (r.value, r.timestamp))
            .collect::<Vec<_>>()
    };
}

#[test]
fn a_stream_meets_the_window_of_its_key() {
    let test = looks();
    for time in [1, 2, 12] {
        test.input.send(1, 0).at(time);
    }
    test.clicks.send(window(1, 0), "c".to_owned()).at(5);
    test.clicks.send(window(1, 10), "d".to_owned()).at(6);
    test.clicks.send(window(2, 0), "e".to_owned()).at(7);
    assert_eq!(
        values!(test.clicked),
        [("c2".to_owned(), 5), ("d1".to_owned(), 6)]
    );
    assert_eq!(
        values!(test.left_clicked),
        [
            ("1@0cSome(2)".to_owned(), 5),
            ("1@10dSome(1)".to_owned(), 6),
            ("2@0eNone".to_owned(), 7)
        ]
    );
    // What the store has forgotten is not there.
    test.input.send(1, 0).at(60);
    test.clicks.send(window(1, 0), "f".to_owned()).at(8);
    test.clicks.send(window(1, 60), "g".to_owned()).at(9);
    assert_eq!(values!(test.clicked), [("g1".to_owned(), 9)]);
}

#[test]
fn a_stream_meets_the_session_of_its_key() {
    let test = looks();
    test.input.send(1, 0).at(1);
    test.visits.send(session(1, 1), "a".to_owned()).at(2);
    test.input.send(1, 0).at(8);
    test.visits.send(session(1, 1), "b".to_owned()).at(3);
    test.visits.send(session(1, 8), "c".to_owned()).at(4);
    assert_eq!(
        values!(test.visited),
        [("a1".to_owned(), 2), ("c2".to_owned(), 4)]
    );
}

#[test]
fn foreign_keys_name_windows_and_windows_have_foreign_keys() {
    let test = looks();
    test.pages.send("p", 10).at(1);
    test.names.send("1", "x").at(1);
    test.input.send(1, 0).at(12);
    test.input.send(1, 0).at(13);
    assert_eq!(
        values!(test.page_counts),
        [(Some("10:1".to_owned()), 12), (Some("10:2".to_owned()), 13)]
    );
    let named: Vec<_> = test.named.read();
    assert_eq!(
        named
            .iter()
            .map(|r| (r.key.start(), r.value.as_deref()))
            .collect::<Vec<_>>(),
        [(10, Some("1x")), (10, Some("2x"))]
    );
    test.names.send("1", "y").at(20);
    assert_eq!(values!(test.named), [(Some("2y".to_owned()), 20)]);
    let last = test.named_sessions.read();
    let last = last
        .last()
        .map(|r| (r.key.start(), r.key.end(), r.value.clone()));
    assert_eq!(last, Some((12, 13, Some("2y".to_owned()))));
    test.pages.send("p", 0).at(21);
    assert_eq!(values!(test.page_counts), [(None, 21)]);
}
