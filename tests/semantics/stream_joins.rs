//! Joins of two streams against a brute-force model, with random disorder: every pair, every record without partner, in order. And
//! what does not matter to them: partitions, workers, where state lies, and a restart or crash at any step.

use kstreams::prelude::*;
use kstreams::test_driver::{TestDriver, TestDriverOptions, TestState};
use proptest::prelude::*;

use super::read;

use crate::random::Random;

/// Wide and asymmetric, with less grace than some records are late.
const BEFORE: i64 = 4;
const AFTER: i64 = 9;
const GRACE: i64 = 6;

fn both(left: Option<&i64>, right: Option<&String>) -> String {
    let left = left.map_or("null".to_owned(), i64::to_string);
    format!("{left}+{}", right.map_or("null", String::as_str))
}

#[topology(application_id = "meetings")]
struct Meetings {
    #[source(topic = "left", partitions = 4)]
    left: KStream<Option<String>, Option<i64>>,
    #[source(topic = "right", partitions = 4)]
    right: KStream<Option<String>, Option<String>>,

    #[from(left.join(right, |l, r| both(Some(l), Some(r)), within("0ms").before("4ms").after("9ms").grace("6ms")))]
    #[sink(topic = "inner-out")]
    inner: KStream<String, String>,
    #[from(left.left_join(right, |l, r| both(Some(l), r), within("9ms"), before(BEFORE), grace(GRACE)))]
    #[sink(topic = "left-out")]
    left_joined: KStream<Option<String>, String>,
    #[from(left.outer_join(right, both, within("4ms"), after(AFTER), grace("6ms")))]
    #[sink(topic = "outer-out")]
    outer: KStream<Option<String>, String>,

    #[from(right.select_key(|_, v| v.as_ref().map(|v| format!("k{}", v.len() % 3))))]
    by_length: KStream<Option<String>, Option<String>>,
    #[from(left
        .select_key(|_, v| v.map(|v| format!("k{}", v % 3)))
        .join(by_length, |l, r| both(Some(l), Some(r)), within("9ms"), grace("1s")))]
    #[sink(topic = "rekeyed-out")]
    rekeyed: KStream<String, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    // The order in which records without partner of one time lie in their store.
    Right,
    Left,
}

#[derive(Debug, Clone)]
struct Arrival {
    side: Side,
    key: Option<u8>,
    /// Whether the record has a value.
    valued: bool,
    at: i64,
}

impl Arrival {
    fn value(&self, step: usize) -> String {
        match self.side {
            Side::Left => step.to_string(),
            Side::Right => format!("r{step}"),
        }
    }
}

/// What Kafka Streams' join does, without indexes, windows or stores: every record is kept and looked at.
struct Model {
    keeps: &'static [Side],
    stream_time: i64,
    /// Per side, the newest record that was stored.
    observed: [i64; 2],
    seen: Vec<(Side, u8, i64, String)>,
    /// Time, side, key, order of arrival, value.
    waiting: Vec<(i64, Side, u8, usize, String)>,
    /// The time of the last waiting record that a search looked at, or of an older one that came since.
    least: Option<i64>,
    out: Vec<String>,
    dropped: u64,
}

impl Model {
    fn new(keeps: &'static [Side]) -> Self {
        Model {
            keeps,
            stream_time: -1,
            observed: [-1; 2],
            seen: Vec::new(),
            waiting: Vec::new(),
            least: None,
            out: Vec::new(),
            dropped: 0,
        }
    }

    fn emit(&mut self, key: Option<u8>, side: Side, own: &str, other: Option<&str>, at: i64) {
        let other = other.unwrap_or("null");
        let key = key.map_or("null".to_owned(), |k| format!("k{k}"));
        self.out.push(match side {
            Side::Left => format!("{key}={own}+{other}@{at}"),
            Side::Right => format!("{key}={other}+{own}@{at}"),
        });
    }

    fn is_open(&self, side: Side, at: i64) -> bool {
        let after = match side {
            Side::Left => AFTER,
            Side::Right => BEFORE,
        };
        at + after + GRACE >= self.stream_time
    }

    fn arrives(&mut self, step: usize, arrival: &Arrival) {
        let Arrival { side, at, .. } = *arrival;
        let value = arrival.value(step);
        self.stream_time = self.stream_time.max(at);
        let key = match arrival.key {
            Some(key) if arrival.valued => key,
            None if arrival.valued && self.keeps.contains(&side) => {
                self.emit(None, side, &value, None, at);
                return;
            }
            _ => {
                self.dropped += 1;
                return;
            }
        };
        if !self.keeps.is_empty() && at == self.stream_time {
            self.close();
            if self.least.is_none_or(|least| !self.is_open(side, least)) {
                self.search();
            }
        }
        self.meet(step, side, key, at, &value);
        let index = side as usize;
        self.observed[index] = self.observed[index].max(at);
        self.seen.push((side, key, at, value));
    }

    /// The waiting records lie in the order of time, side, key and arrival.
    fn close(&mut self) {
        self.waiting.sort();
    }

    /// Records of one time, side and key are one entry of the store, but are looked at one by one.
    fn search(&mut self) {
        self.least = None;
        let (mut open, mut stay) = (Vec::new(), Vec::new());
        let mut all = std::mem::take(&mut self.waiting).into_iter();
        for waiting in all.by_ref() {
            self.least = Some(waiting.0);
            let sides_open = [Side::Left, Side::Right].iter().all(|s| open.contains(s));
            if sides_open {
                stay.push(waiting);
                break;
            }
            let (at, side, key, _, value) = &waiting;
            if self.is_open(*side, *at) {
                open.push(*side);
                stay.push(waiting);
            } else {
                self.emit(Some(*key), *side, value, None, *at);
            }
        }
        stay.extend(all);
        self.waiting = stay;
    }

    fn meet(&mut self, step: usize, side: Side, key: u8, at: i64, value: &str) {
        let (earliest, latest) = match side {
            Side::Left => (at - BEFORE, at + AFTER),
            Side::Right => (at - AFTER, at + BEFORE),
        };
        let other = match side {
            Side::Left => Side::Right,
            Side::Right => Side::Left,
        };
        let live = self.observed[other as usize] - (BEFORE + AFTER + GRACE) + 1;
        let mut partners: Vec<_> = self
            .seen
            .iter()
            .filter(|(s, k, t, _)| {
                (*s, *k) == (other, key) && (earliest.max(0)..=latest).contains(t) && *t >= live
            })
            .cloned()
            .collect();
        partners.sort_by_key(|(_, _, t, _)| *t);
        for (_, _, t, partner) in &partners {
            self.waiting
                .retain(|(w, s, k, ..)| (*w, *s, *k) != (*t, other, key));
            self.emit(Some(key), side, value, Some(partner), at.max(*t));
        }
        if !partners.is_empty() || !self.keeps.contains(&side) {
            return;
        }
        if latest < self.stream_time {
            self.emit(Some(key), side, value, None, at);
        } else {
            self.least = Some(self.least.map_or(at, |least| least.min(at)));
            self.waiting.push((at, side, key, step, value.to_owned()));
        }
    }
}

fn send(t: &MeetingsTestDriver, step: usize, arrival: &Arrival) {
    let key = arrival.key.map(|k| format!("k{k}"));
    match arrival.side {
        Side::Left => {
            let value = arrival.valued.then_some(step as i64);
            t.left.send(key, value).at(arrival.at).pipe().unwrap();
        }
        Side::Right => {
            let value = arrival.valued.then(|| arrival.value(step));
            t.right.send(key, value).at(arrival.at).pipe().unwrap();
        }
    }
}

/// Records of few keys whose times go on, mostly, and jump back by more than the grace now and then.
fn arrivals() -> impl Strategy<Value = Vec<Arrival>> {
    let one = (
        any::<bool>(),
        prop_oneof![9 => (0_u8..3).prop_map(Some), 1 => Just(None)],
        prop_oneof![12 => Just(true), 1 => Just(false)],
        prop_oneof![6 => 0_i64..5, 2 => -8_i64..0, 1 => -40_i64..0, 1 => 5_i64..60],
    );
    proptest::collection::vec(one, 1..60).prop_map(|all| {
        let mut now = 0_i64;
        let arrival = |(left, key, valued, step): (bool, Option<u8>, bool, i64)| {
            let at = (now + step).max(0);
            now = now.max(at);
            Arrival {
                side: if left { Side::Left } else { Side::Right },
                key,
                valued,
                at,
            }
        };
        all.into_iter().map(arrival).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]
    #[test]
    fn joins_equal_a_brute_force_model(arrivals in arrivals(), kill in 0_usize..8, on_disk in any::<bool>()) {
        let t = Meetings::builder().test_driver().unwrap();
        let state = if on_disk && kill > 0 { TestState::Lmdb } else { TestState::Memory };
        t.reset(TestDriverOptions::like_topology_test_driver().state(state)).unwrap();
        let mut models = [Model::new(&[]), Model::new(&[Side::Left]), Model::new(&[Side::Left, Side::Right])];
        for (step, arrival) in arrivals.iter().enumerate() {
            send(&t, step, arrival);
            for model in &mut models {
                model.arrives(step, arrival);
            }
            for (model, topic) in models.iter_mut().zip(["inner-out", "left-out", "outer-out"]) {
                prop_assert_eq!(read(&t, topic), std::mem::take(&mut model.out), "{} at step {}: {:?}", topic, step, arrival);
            }
            // A commit follows each record, so nothing is done twice.
            if kill > 0 && step % kill == 0 {
                t.crash().unwrap();
            }
        }
        if kill == 0 {
            let dropped: u64 = models.iter().map(|model| model.dropped).sum();
            prop_assert!(t.dropped_records_total() >= dropped);
        }
    }
}

fn settle(t: &TestDriver) {
    for _ in 0..4 {
        t.commit().unwrap();
        t.run().unwrap();
    }
}

/// What comes of records that are never later than the grace, in any order: each task has its own stream time, so only then is
/// the same found whatever a task has.
fn outcome(seed: u64, options: TestDriverOptions, crashes: bool) -> Vec<Vec<String>> {
    let t = Meetings::builder().test_driver().unwrap();
    t.reset(options).unwrap();
    let (mut random, mut fate) = (Random(seed), Random(seed ^ 0xfa7e));
    for step in 0..100 {
        let arrival = Arrival {
            side: if random.below(2) == 0 {
                Side::Left
            } else {
                Side::Right
            },
            key: Some(random.below(7) as u8),
            valued: true,
            at: (step as i64 * 2 + 6 - random.below(6) as i64).max(0),
        };
        send(&t, step, &arrival);
        if crashes {
            match fate.below(4) {
                0 => t.crash().unwrap(),
                1 => t.restart().unwrap(),
                2 => settle(&t),
                _ => {}
            }
        } else {
            settle(&t);
        }
    }
    settle(&t);
    // Much later records of every key close every window in every task; twice, as a search may stop at what is still open.
    for at in [100_000, 200_000] {
        for key in 0..60 {
            for side in [Side::Left, Side::Right] {
                let arrival = Arrival {
                    side,
                    key: Some(key),
                    valued: true,
                    at,
                };
                send(&t, 1_000, &arrival);
            }
        }
        settle(&t);
    }
    ["inner-out", "left-out", "outer-out", "rekeyed-out"]
        .iter()
        .map(|topic| {
            let mut all = read(&t, topic);
            all.retain(|line| !line.contains("1000"));
            all.sort();
            all
        })
        .collect()
}

fn exactly_once() -> TestDriverOptions {
    TestDriverOptions::new().guarantee(ProcessingGuarantee::ExactlyOnceV2)
}

#[test]
fn partitions_and_workers_do_not_matter_to_joins_of_streams() {
    for seed in 0..3 {
        let one = outcome(seed, exactly_once().partitions_of_all(1), false);
        assert!(one.iter().all(|topic| topic.len() >= 10), "{one:?}");
        assert!(one[1].iter().any(|line| line.contains("+null")));
        assert!(one[2].iter().any(|line| line.contains("=null+")));
        for (partitions, workers) in [(2, 1), (4, 3), (7, 2)] {
            let options = exactly_once()
                .partitions_of_all(partitions)
                .workers(workers);
            let many = outcome(seed, options, false);
            assert_eq!(
                one, many,
                "seed {seed}, {partitions} partitions, {workers} workers"
            );
        }
    }
}

#[test]
fn restarts_and_crashes_do_not_matter_to_joins_of_streams() {
    for (seed, state) in [
        (10, TestState::Memory),
        (11, TestState::Memory),
        (12, TestState::Lmdb),
    ] {
        let options = exactly_once().partitions_of_all(1);
        let quiet = outcome(seed, options.clone(), false);
        let disturbed = outcome(seed, options.state(state), true);
        assert_eq!(quiet, disturbed, "seed {seed}, {state:?}");
    }
}
