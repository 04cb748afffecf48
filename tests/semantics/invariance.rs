//! One topology under many schedules: per key, every topic has the same records in the same order, and every store the
//! same rows, however many partitions, workers, restarts and crashes there were.

use std::collections::BTreeMap;

use kstreams::prelude::*;
use kstreams::test_driver::{TestDriver, TestDriverOptions, TestState};

use crate::random::Random;

#[topology(application_id = "mix")]
struct Mix {
    #[source(topic = "orders", partitions = 4)]
    orders: KStream<String, i64>,
    #[source(topic = "customers", partitions = 4)]
    #[sink(topic = "customers-out")]
    customers: KTable<String, String>,
    #[source(topic = "rates")]
    rates: GlobalKTable<i64, i64>,

    #[from(orders.join(customers, |o, c| format!("{c}:{o}")))]
    #[sink(topic = "joined")]
    joined: KStream<String, String>,
    #[from(orders.select_key(|_, o| format!("c{}", o % 5)).left_join(customers, |o, c| format!("{o}:{c:?}")))]
    #[sink(topic = "rekeyed")]
    rekeyed: KStream<String, String>,
    #[from(orders.left_join(rates, |_, o| o % 3, |o, r| o * r.copied().unwrap_or(1)))]
    #[sink(topic = |_, o| if o % 2 == 0 { "even" } else { "odd" }, topics("even", "odd"))]
    rated: KStream<String, i64>,
    #[from(rated.group_by(|_, o| format!("g{}", o.rem_euclid(7))).count())]
    #[sink(topic = "counts")]
    counts: KTable<String, i64>,
    #[from(orders.filter(|_, o| o % 4 != 0).group_by_key().aggregate(
        String::new,
        |_, o, all| if o % 11 == 0 { None } else { Some(format!("{all},{o}")) },
    ))]
    #[sink(topic = "lists")]
    lists: KTable<String, Option<String>>,
    #[from(counts.filter(|_, n| n % 2 == 0))]
    #[store]
    #[sink(topic = "even-counts")]
    even_counts: KTable<String, i64>,

    #[from(orders.group_by_key().reduce(|a, b| a + b))]
    totals: KTable<String, i64>,
    #[from(customers.outer_join(totals, |c, n| format!("{c:?}:{n:?}")))]
    #[store]
    #[sink(topic = "profiles")]
    profiles: KTable<String, String>,
    #[from(customers.filter(|_, c| c.len() % 2 == 0))]
    named: KTable<String, String>,
    #[from(totals.map_values(|n| n % 10).left_join(named, |n, c| format!("{n}:{c:?}")))]
    #[sink(topic = "digits")]
    digits: KTable<String, String>,
    #[from(customers.to_stream().map_values(|c| c.unwrap_or_default()))]
    names: KStream<String, String>,
    #[from(orders
        .group_by_key()
        .cogroup(|_, o, all| format!("{all},{o}"))
        .cogroup(names, |_, c, all| format!("{all};{c}"))
        .aggregate(String::new))]
    #[sink(topic = "histories")]
    histories: KTable<String, String>,
}

const OUTPUTS: [&str; 11] = [
    "customers-out",
    "joined",
    "rekeyed",
    "even",
    "odd",
    "counts",
    "lists",
    "even-counts",
    "profiles",
    "digits",
    "histories",
];
const STORES: [&str; 7] = [
    "customers",
    "counts",
    "lists",
    "even_counts",
    "totals",
    "profiles",
    "histories",
];

/// What happens between two records.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Between {
    /// All is committed and everything that follows from a record is processed, before the next one comes.
    Quiet,
    /// Now and then a clean restart, now and then nothing.
    Restarts,
    /// Now and then a crash, now and then nothing.
    Crashes,
}

/// Per topic and key: values and timestamps in order. Per store: the rows.
type Outcome = (Topics, BTreeMap<String, Vec<String>>);
type Topics = BTreeMap<String, BTreeMap<Bytes, Vec<(Bytes, i64)>>>;
type Bytes = Option<Vec<u8>>;

/// Commits and processes until nothing moves: what one transaction writes, the next one reads.
fn settle(t: &TestDriver) {
    for _ in 0..4 {
        t.commit().unwrap();
        t.run().unwrap();
    }
}

fn play(seed: u64, options: TestDriverOptions, between: Between) -> Outcome {
    let t = Mix::builder().test_driver().unwrap();
    t.reset(options).unwrap();
    let mut random = Random(seed);
    // What happens between records is drawn apart, so that the records are the same whatever happens.
    let mut fate = Random(seed ^ 0xfa7e);
    for step in 0..120 {
        let key = format!("c{}", random.below(9));
        let at = random.below(1000) as i64;
        let kind = random.below(8);
        // Whether an order comes before or after an update of a table is the order of arrival only as long as both do not
        // wait at the same time, as after a crash.
        if kind < 3 {
            settle(&t);
        }
        match kind {
            0 => t
                .customers
                .send(key, format!("name-{step}"))
                .at(at)
                .pipe()
                .unwrap(),
            1 => t.customers.delete(key).at(at).pipe().unwrap(),
            2 => t
                .rates
                .send(at % 3, random.below(9) as i64)
                .at(at)
                .pipe()
                .unwrap(),
            _ => t
                .orders
                .send(key, random.below(60) as i64)
                .at(at)
                .pipe()
                .unwrap(),
        }
        let disturb = fate.below(4);
        match between {
            Between::Restarts if disturb == 0 => t.restart().unwrap(),
            Between::Crashes if disturb == 0 => t.crash().unwrap(),
            Between::Restarts | Between::Crashes if kind >= 3 && disturb == 1 => {}
            _ => settle(&t),
        }
        if kind < 3 {
            settle(&t);
        }
    }
    settle(&t);
    (outputs(&t), stores(&t))
}

fn outputs(t: &TestDriver) -> Topics {
    let mut topics = Topics::new();
    for topic in OUTPUTS {
        let by_key = topics.entry(topic.to_owned()).or_default();
        for record in t.read_raw(topic).unwrap() {
            let bytes = |b: Option<bytes::Bytes>| b.map(|b| b.to_vec());
            by_key
                .entry(bytes(record.key))
                .or_default()
                .push((bytes(record.value), record.timestamp));
        }
    }
    topics
}

fn stores(t: &TestDriver) -> BTreeMap<String, Vec<String>> {
    STORES
        .iter()
        .map(|store| {
            let rows = t.store_entries(store).unwrap();
            (
                (*store).to_owned(),
                rows.iter().map(|row| format!("{row:?}")).collect(),
            )
        })
        .collect()
}

fn exactly_once() -> TestDriverOptions {
    TestDriverOptions::new().guarantee(ProcessingGuarantee::ExactlyOnceV2)
}

#[test]
fn partitions_and_workers_do_not_matter() {
    for seed in 0..3 {
        let one = play(seed, exactly_once().partitions_of_all(1), Between::Quiet);
        assert!(
            one.0.values().all(|keys| !keys.is_empty()),
            "the script reaches every topic"
        );
        for partitions in [2, 4, 7] {
            for workers in [1, 3] {
                let options = exactly_once()
                    .partitions_of_all(partitions)
                    .workers(workers);
                let many = play(seed, options, Between::Quiet);
                assert_eq!(
                    one, many,
                    "seed {seed}, {partitions} partitions, {workers} workers"
                );
            }
        }
    }
}

#[test]
fn the_guarantee_and_where_state_lies_do_not_matter() {
    for seed in 10..12 {
        let memory = play(seed, exactly_once(), Between::Quiet);
        let disk = play(seed, exactly_once().state(TestState::Lmdb), Between::Quiet);
        assert_eq!(memory, disk, "seed {seed}, on disk");
        let at_least_once = play(seed, TestDriverOptions::new(), Between::Quiet);
        assert_eq!(memory, at_least_once, "seed {seed}, at least once");
    }
}

#[test]
fn restarts_and_crashes_do_not_matter_under_exactly_once() {
    // Opening state on disk waits for the disk, so one seed has to do there.
    for (seed, state) in [
        (20, TestState::Memory),
        (21, TestState::Memory),
        (22, TestState::Lmdb),
    ] {
        let options = exactly_once().partitions_of_all(1);
        let quiet = play(seed, options.clone(), Between::Quiet);
        for between in [Between::Restarts, Between::Crashes] {
            let disturbed = play(seed, options.clone().state(state), between);
            assert_eq!(quiet, disturbed, "seed {seed}, {state:?}, {between:?}");
        }
    }
}

/// With several partitions a crash may change the order in which records of different partitions meet again, so only what
/// follows from one partition keeps its order; what the stores hold in the end is the same.
#[test]
fn restarts_and_crashes_of_several_workers_do_not_matter_to_each_key() {
    for (seed, state, between) in [
        (25, TestState::Memory, Between::Restarts),
        (26, TestState::Memory, Between::Crashes),
        (27, TestState::Lmdb, Between::Crashes),
    ] {
        let (topics, stores) = play(seed, exactly_once(), Between::Quiet);
        let disturbed = play(seed, exactly_once().state(state).workers(2), between);
        assert_eq!(stores, disturbed.1, "seed {seed}, {between:?}");
        for topic in ["joined", "even", "odd", "lists", "customers-out"] {
            let (quiet, disturbed) = (&topics[topic], &disturbed.0[topic]);
            assert_eq!(quiet, disturbed, "seed {seed}, {between:?}: {topic}");
        }
    }
}

/// At least once: after a crash records are processed again, and none is lost.
#[test]
fn a_crash_repeats_but_never_loses_at_least_once() {
    for (seed, state) in [(40, TestState::Memory), (41, TestState::Lmdb)] {
        let options = TestDriverOptions::new().partitions_of_all(1);
        let (quiet, stores) = play(seed, options.clone(), Between::Quiet);
        let (crashed, stores_after) = play(seed, options.state(state), Between::Crashes);
        for topic in ["joined", "even", "odd", "customers-out"] {
            for (key, expected) in &quiet[topic] {
                let mut left = crashed[topic].get(key).cloned().unwrap_or_default();
                for record in expected {
                    let found = left.iter().position(|other| other == record);
                    let found =
                        found.unwrap_or_else(|| panic!("seed {seed}: {topic} lost {record:?}"));
                    left.swap_remove(found);
                }
            }
        }
        assert_eq!(
            stores["customers"], stores_after["customers"],
            "seed {seed}: puts are idempotent"
        );
        assert_eq!(
            stores["counts"].len(),
            stores_after["counts"].len(),
            "seed {seed}"
        );
    }
}

#[test]
fn the_record_cache_does_not_matter_once_everything_is_quiet() {
    for seed in 30..33 {
        let options = exactly_once().partitions_of_all(1);
        let (plain_topics, plain_stores) = play(seed, options.clone(), Between::Quiet);
        for between in [Between::Quiet, Between::Restarts, Between::Crashes] {
            let (topics, stores) = play(seed, options.clone().cache_max_bytes(4_000), between);
            assert_eq!(
                merging(plain_stores.clone()),
                merging(stores),
                "seed {seed}, {between:?}"
            );
            for topic in ["joined", "rekeyed", "even", "odd"] {
                let (plain, cached) = (&plain_topics[topic], &topics[topic]);
                assert_eq!(
                    plain, cached,
                    "seed {seed}, {between:?}: {topic} has no cache"
                );
            }
            for topic in ["counts", "lists"] {
                let (plain, cached) = (last(&plain_topics[topic]), last(&topics[topic]));
                assert_eq!(plain, cached, "seed {seed}, {between:?}: {topic}");
            }
        }
    }
}

/// The stores without what tells updates apart that the cache merges: a row that came and went between two commits does not
/// reach the histories, and gives no timestamp to what is joined with it.
fn merging(mut stores: BTreeMap<String, Vec<String>>) -> BTreeMap<String, Vec<String>> {
    stores.remove("histories");
    for row in stores.get_mut("profiles").into_iter().flatten() {
        row.truncate(row.find(", timestamp").unwrap_or(row.len()));
    }
    stores
}

/// The last update of each key that is there in the end: one that came and went between two commits leaves no trace.
fn last(keys: &BTreeMap<Bytes, Vec<(Bytes, i64)>>) -> Vec<(&Bytes, &(Bytes, i64))> {
    let last = keys
        .iter()
        .filter_map(|(key, all)| Some((key, all.last()?)));
    last.filter(|(_, (value, _))| value.is_some()).collect()
}
