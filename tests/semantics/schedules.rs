//! Windows, sessions, joins of streams, suppressions and foreign keys under many schedules: per key the same results in the same
//! order, and the same rows, however many partitions, workers, restarts and crashes there were.

use std::collections::BTreeMap;
use std::time::Duration;

use kstreams::prelude::*;
use kstreams::test_driver::{TestDriver, TestDriverOptions, TestState};

use crate::random::Random;

/// Graces are as long as the script, so that nothing is ever late, and records are not much out of order: by how much one is late, and
/// whether a join holds it or not, depends on the records of other keys that lie in its partition, as in Kafka Streams.
#[topology(application_id = "times")]
struct Times {
    #[source(topic = "clicks", partitions = 4)]
    clicks: KStream<String, i64>,
    #[source(topic = "views", partitions = 4)]
    views: KStream<String, i64>,
    #[source(topic = "orders", partitions = 4)]
    orders: KTable<String, String>,
    #[source(topic = "customers", partitions = 3)]
    customers: KTable<String, String>,

    #[from(clicks.group_by_key().windowed_by(tumbling("50ms").grace("1s")).count())]
    #[sink(topic = "tumbling")]
    tumbled: KTable<Windowed<String>, i64>,
    /// Behind a repartition topic.
    #[from(clicks.group_by(|_, n| format!("g{}", n % 5))
        .windowed_by(hopping("60ms").advance_by("20ms").grace("1s"))
        .aggregate(|| 0, |_, n, sum| sum + n))]
    #[sink(topic = "hopping")]
    hopped: KTable<Windowed<String>, i64>,
    #[from(clicks.group_by_key().windowed_by(sliding("30ms").grace("1s")).reduce(|a, b| a.max(b)))]
    #[sink(topic = "sliding")]
    slid: KTable<Windowed<String>, i64>,
    #[from(views.group_by_key().windowed_by(session("20ms").grace("1s"))
        .aggregate(|| 0, |_, n, sum| sum + n, |_, a, b| a + b))]
    #[sink(topic = "sessions")]
    visits: KTable<Windowed<String, SessionWindow>, i64>,
    #[from(clicks.group_by_key().windowed_by(tumbling("40ms").grace("1s")).emit(on_window_close).count())]
    #[sink(topic = "closed")]
    closed: KTable<Windowed<String>, i64>,
    #[from(tumbled.suppress(until_window_closes()))]
    #[sink(topic = "finals")]
    finals: KTable<Windowed<String>, i64>,
    #[from(clicks
        .group_by_key()
        .cogroup(|_, n, sum| sum + n)
        .cogroup(views, |_, n, sum| sum - n)
        .windowed_by(hopping("40ms").advance_by("20ms").grace("1s"))
        .aggregate(|| 0))]
    #[sink(topic = "cogrouped")]
    cogrouped: KTable<Windowed<String>, i64>,
    #[from(views.group_by_key().windowed_by(tumbling("50ms").grace("1s")).count())]
    viewed: KTable<Windowed<String>, i64>,
    #[from(tumbled.outer_join(viewed, |c, v| format!("{c:?}/{v:?}")))]
    #[sink(topic = "compared")]
    compared: KTable<Windowed<String>, String>,

    #[from(clicks.join(views, |c, v| c * 1000 + v, within("25ms").grace("1s")))]
    #[sink(topic = "inner")]
    inner: KStream<String, i64>,
    #[from(clicks.left_join(views, |c, v| format!("{c}:{v:?}"), within("15ms").grace("1s")))]
    #[sink(topic = "left")]
    left: KStream<String, String>,
    #[from(clicks.outer_join(views, |c, v| format!("{c:?}:{v:?}"), within("10ms").after("20ms").grace("1s")))]
    #[sink(topic = "outer")]
    outer: KStream<String, String>,
    #[from(orders.left_join_on(
        customers,
        |_, order| order.split_once('/').map(|(customer, _)| customer.to_owned()),
        |order, customer| format!("{order}:{customer:?}"),
    ))]
    #[sink(topic = "deliveries")]
    deliveries: KTable<String, String>,
}

const OUTPUTS: [&str; 12] = [
    "tumbling",
    "hopping",
    "sliding",
    "sessions",
    "closed",
    "finals",
    "cogrouped",
    "compared",
    "inner",
    "left",
    "outer",
    "deliveries",
];
/// After everything.
const END: i64 = 5_000;
/// Those without a record cache before them.
const UNCACHED: [&str; 3] = ["inner", "left", "outer"];
const STORES: [&str; 8] = [
    "tumbled",
    "hopped",
    "slid",
    "visits",
    "cogrouped",
    "viewed",
    "orders",
    "customers",
];

/// What happens after a record.
#[derive(Debug, Clone, Copy, PartialEq)]
enum After {
    /// All is committed and everything that follows from it is processed.
    Quiet,
    /// Nothing more, mostly: the record cache holds updates back.
    Little,
    /// Then a clean restart, now and then.
    Restart,
    /// A crash, now and then, before or after state is wiped.
    Crash,
}

type Bytes = Option<Vec<u8>>;
type Topic = BTreeMap<Bytes, Vec<(Bytes, i64)>>;

#[derive(Debug, PartialEq)]
struct Outcome {
    topics: BTreeMap<&'static str, Topic>,
    stores: BTreeMap<&'static str, Vec<String>>,
}

/// Commits and processes until nothing moves: what one transaction writes, the next one reads.
fn settle(t: &TestDriver) {
    for _ in 0..4 {
        t.commit().unwrap();
        t.run().unwrap();
    }
}

fn play(seed: u64, partitions: u32, options: TestDriverOptions, after: After) -> Outcome {
    let t = Times::builder().test_driver().unwrap();
    t.reset(options.partitions_of_all(partitions)).unwrap();
    let mut random = Random(seed);
    // What happens after a record is drawn apart, so that the records are the same whatever happens.
    let mut fate = Random(seed ^ 0xfa7e);
    for step in 0..90 {
        let key = format!("k{}", random.below(6));
        let at = (step * 4 + random.below(8)) as i64;
        let n = random.below(30) as i64;
        let sent = match random.below(8) {
            0 => t
                .customers
                .send(format!("c{}", n % 4), format!("name-{step}"))
                .at(at)
                .pipe(),
            1 if n % 5 == 0 => t.orders.delete(key).at(at).pipe(),
            1 | 2 => t
                .orders
                .send(key, format!("c{}/{step}", n % 4))
                .at(at)
                .pipe(),
            3 | 4 => t.views.send(key, n).at(at).pipe(),
            _ => t.clicks.send(key, n).at(at).pipe(),
        };
        sent.unwrap();
        match (after, fate.below(5)) {
            (After::Restart, 0) => t.restart().unwrap(),
            (After::Crash, 0) => t.crash().unwrap(),
            (After::Crash, 1) => t.kill_and_restore().unwrap(),
            _ => {}
        }
        // Which of two records of different topics comes first is the order of arrival only as long as both do not wait.
        if after != After::Little || fate.below(8) == 0 {
            settle(&t);
        }
    }
    settle(&t);
    let stores = stores(&t);
    // Closed windows are looked for once a second.
    t.advance(Duration::from_secs(2)).unwrap();
    // The end of all windows, in each partition.
    for partition in 0..partitions as i32 {
        for (stream, n) in [(&t.clicks, 0), (&t.views, 0), (&t.clicks, 1)] {
            let end = stream.send(format!("end{partition}"), n).at(END + n);
            end.partition(partition).pipe().unwrap();
            settle(&t);
        }
    }
    Outcome {
        topics: topics(&t),
        stores,
    }
}

/// What came of the records that end all windows is left out: there is one for each partition.
fn topics(t: &TestDriver) -> BTreeMap<&'static str, Topic> {
    let mut topics = BTreeMap::new();
    for name in OUTPUTS {
        let topic: &mut Topic = topics.entry(name).or_default();
        for record in t.read_raw(name).unwrap() {
            if record.timestamp < END {
                let bytes = |b: Option<bytes::Bytes>| b.map(|b| b.to_vec());
                let of_key = topic.entry(bytes(record.key)).or_default();
                of_key.push((bytes(record.value), record.timestamp));
            }
        }
    }
    topics
}

fn stores(t: &TestDriver) -> BTreeMap<&'static str, Vec<String>> {
    let rows = |store: &&'static str| {
        let rows = t.store_entries(store).unwrap();
        let mut rows: Vec<_> = rows.iter().map(|row| format!("{row:?}")).collect();
        rows.sort();
        (*store, rows)
    };
    STORES.iter().map(rows).collect()
}

fn exactly_once() -> TestDriverOptions {
    TestDriverOptions::new().guarantee(ProcessingGuarantee::ExactlyOnceV2)
}

fn assert_equal(one: &Outcome, other: &Outcome, what: &str) {
    for (name, expected) in &one.topics {
        assert_eq!(expected, &other.topics[name], "{what}: topic {name}");
    }
    for (name, expected) in &one.stores {
        assert_eq!(expected, &other.stores[name], "{what}: store {name}");
    }
}

#[test]
fn partitions_and_workers_do_not_matter_to_what_depends_on_time() {
    for seed in 0..3 {
        let one = play(seed, 1, exactly_once(), After::Quiet);
        for (topic, keys) in &one.topics {
            assert!(!keys.is_empty(), "the script reaches {topic}");
        }
        for (partitions, workers) in [(1, 3), (2, 1), (4, 3), (7, 2)] {
            let options = exactly_once().workers(workers);
            let many = play(seed, partitions, options, After::Quiet);
            let what = format!("seed {seed}, {partitions} partitions, {workers} workers");
            assert_equal(&one, &many, &what);
        }
    }
}

#[test]
fn the_guarantee_and_where_state_lies_do_not_matter_to_what_depends_on_time() {
    let memory = play(10, 4, exactly_once(), After::Quiet);
    let disk = play(10, 4, exactly_once().state(TestState::Lmdb), After::Quiet);
    assert_equal(&memory, &disk, "on disk");
    let at_least_once = play(10, 4, TestDriverOptions::new(), After::Quiet);
    assert_equal(&memory, &at_least_once, "at least once");
}

#[test]
fn restarts_and_crashes_do_not_matter_to_what_depends_on_time() {
    for (seed, state, partitions, workers) in [
        (20, TestState::Memory, 1, 1),
        (21, TestState::Memory, 4, 2),
        (22, TestState::Lmdb, 3, 2),
    ] {
        let quiet = play(seed, partitions, exactly_once(), After::Quiet);
        for after in [After::Restart, After::Crash] {
            let options = exactly_once().state(state).workers(workers);
            let disturbed = play(seed, partitions, options, after);
            let what = format!("seed {seed}, {state:?}, {partitions} partitions, {after:?}");
            assert_equal(&quiet, &disturbed, &what);
        }
    }
}

/// Updates merge in the cache, so tables send fewer; once all is quiet, the last ones and the rows are the same, and what has no
/// cache before it is the same anyway.
#[test]
fn the_record_cache_does_not_matter_to_what_depends_on_time_once_everything_is_quiet() {
    for seed in 30..33 {
        let plain = play(seed, 4, TestDriverOptions::new(), After::Quiet);
        let options = TestDriverOptions::new().cache_max_bytes(10 << 20);
        let cached = play(seed, 4, options, After::Little);
        assert_eq!(plain.stores, cached.stores, "seed {seed}");
        let mut fewer = false;
        for (name, expected) in &plain.topics {
            let found = &cached.topics[name];
            if UNCACHED.contains(name) {
                assert_eq!(expected, found, "seed {seed}: {name}");
            } else {
                assert_eq!(last(expected), last(found), "seed {seed}: {name}");
                fewer |= count(found) < count(expected);
            }
        }
        assert!(fewer, "seed {seed}: something was merged");
    }
}

fn count(topic: &Topic) -> usize {
    topic.values().map(Vec::len).sum()
}

/// The last update of each key that is there in the end.
fn last(topic: &Topic) -> Vec<(&Bytes, &(Bytes, i64))> {
    let last = topic
        .iter()
        .filter_map(|(key, all)| Some((key, all.last()?)));
    last.filter(|(_, (value, _))| value.is_some()).collect()
}
