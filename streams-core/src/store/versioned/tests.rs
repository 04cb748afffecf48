//! Versioned stores against a plain model: every version ever put, by key and time.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::store::{StoreSettings, StoreSpec};
use crate::topology::StoreBackend;

fn open() -> TaskStores {
    let spec = StoreSpec {
        name: "v".into(),
        backend: StoreBackend::Memory,
        segments: None,
    };
    TaskStores::in_memory(&[spec], &StoreSettings::default()).unwrap()
}

#[derive(Debug, Clone)]
enum Op {
    Put(u8, i64, Option<u8>),
    Commit,
    /// A task that is opened anew knows nothing but the rows.
    Forget,
}

/// Times go forward on the whole, in steps that cross segments now and then.
fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        20 => (0..4_u8, -6_000..6_000_i64, proptest::option::weighted(0.7, any::<u8>()))
            .prop_map(|(key, time, value)| Op::Put(key, time, value)),
        1 => Just(Op::Commit),
        1 => Just(Op::Forget),
    ];
    proptest::collection::vec(op, 1..120).prop_map(|mut ops| {
        let mut now = 0;
        for op in &mut ops {
            if let Op::Put(_, time, _) = op {
                now += 400;
                *time = (now + *time).max(0);
            }
        }
        ops
    })
}

#[derive(Default)]
struct Model {
    versions: BTreeMap<u8, BTreeMap<i64, Option<u8>>>,
    observed: i64,
    retention: i64,
}

impl Model {
    fn put(&mut self, key: u8, time: i64, value: Option<u8>) -> Placed {
        if time < self.observed - self.retention {
            return Placed::TooOld;
        }
        self.observed = self.observed.max(time);
        let versions = self.versions.entry(key).or_default();
        versions.insert(time, value);
        match versions.range(time + 1..).next() {
            Some((next, _)) => Placed::Until(*next),
            None => Placed::Latest,
        }
    }

    fn as_of(&self, key: u8, time: i64) -> Option<(i64, Option<i64>, u8)> {
        let versions = self.versions.get(&key)?;
        let (from, value) = versions.range(..=time).next_back()?;
        let next = versions.range(from + 1..).next().map(|(time, _)| *time);
        if next.is_some() && time < self.observed - self.retention {
            return None;
        }
        Some((*from, next, (*value)?))
    }
}

fn found(rows: &VersionedRows, found: Option<Found>) -> Option<(i64, Option<i64>, u8)> {
    found.map(|f| (f.validity.from, f.validity.to, rows.value(&f)[0]))
}

proptest! {
    #[test]
    fn equals_a_model(retention in prop_oneof![Just(0_i64), Just(500), 0..20_000_i64], ops in ops()) {
        let mut stores = open();
        let mut rows = VersionedRows::new(History { retention });
        let mut model = Model { observed: -1, retention, ..Model::default() };
        let mut seen = Vec::new();
        for op in ops {
            match op {
                Op::Put(key, time, value) => {
                    let value_bytes = value.map(|v| [v]);
                    let bytes = value_bytes.as_ref().map(|v| &v[..]);
                    let placed = rows.put(&mut stores, 0, &[key], bytes, time).unwrap();
                    prop_assert_eq!(placed, model.put(key, time, value));
                    seen.push(time);
                }
                Op::Commit => stores.commit(stores.checkpoint().clone()).unwrap(),
                Op::Forget => rows.forget(),
            }
            for key in 0..4 {
                let latest = rows.latest(&mut stores, 0, &[key]).unwrap();
                let expected = model.as_of(key, i64::MAX);
                prop_assert_eq!(found(&rows, latest), expected);
                for time in seen.iter().rev().take(3).flat_map(|t| [*t, t - 1, t + 1]) {
                    let at = rows.as_of(&mut stores, 0, &[key], time).unwrap();
                    prop_assert_eq!(found(&rows, at), model.as_of(key, time), "key {} at {}", key, time);
                }
            }
        }
        // All that lies within the history, in one look.
        for key in 0..4 {
            let mut all = Vec::new();
            let mut of = Of { stores: &mut stores, store: 0 };
            let since = model.observed - retention;
            rows.find_all(&mut of, &[key], since, i64::MAX, &mut |validity, value| {
                all.push((validity.from, validity.to, value[0]));
            }).unwrap();
            let mut expected: Vec<_> = model.versions.get(&key).into_iter().flatten()
                .filter_map(|(from, value)| {
                    let next = model.versions[&key].range(from + 1..).next().map(|(t, _)| *t);
                    next.is_none_or(|next| next > since).then_some((*from, next, (*value)?))
                })
                .collect();
            expected.reverse();
            prop_assert_eq!(all, expected);
        }
    }

    /// A changelog that was compacted or is read in another order leaves the same latest values and the same past, as far as
    /// it is within the history.
    #[test]
    fn the_order_of_puts_does_not_matter(
        puts in proptest::collection::btree_map((0..3_u8, 0..5_000_i64), proptest::option::weighted(0.7, any::<u8>()), 1..40),
        seed in any::<prop::sample::Index>(),
    ) {
        let retention = 10_000;
        let mut one = (open(), VersionedRows::new(History { retention }));
        let mut other = (open(), VersionedRows::new(History { retention }));
        let mut puts: Vec<_> = puts.into_iter().collect();
        let put = |to: &mut (TaskStores, VersionedRows), ((key, time), value): &((u8, i64), Option<u8>)| {
            let bytes = value.map(|v| [v]);
            to.1.put(&mut to.0, 0, &[*key], bytes.as_ref().map(|v| &v[..]), *time).unwrap();
        };
        puts.iter().for_each(|p| put(&mut one, p));
        let at = seed.index(puts.len());
        puts.rotate_left(at);
        puts.reverse();
        puts.iter().for_each(|p| put(&mut other, p));
        for key in 0..3 {
            for time in (0..5_000).step_by(7) {
                let a = one.1.as_of(&mut one.0, 0, &[key], time).unwrap();
                let b = other.1.as_of(&mut other.0, 0, &[key], time).unwrap();
                prop_assert_eq!(found(&one.1, a), found(&other.1, b));
            }
        }
    }
}

/// What is older than the history goes by the segment, as in Kafka Streams, and what is left of it is not seen.
#[test]
fn the_past_goes_by_segments() {
    let mut stores = open();
    let mut rows = VersionedRows::new(History { retention: 100 });
    for (time, value) in [(0, b"a"), (1_999, b"b"), (2_050, b"c"), (4_150, b"d")] {
        rows.put(&mut stores, 0, b"k", Some(value), time).unwrap();
    }
    let mut all = Vec::new();
    let mut of = Of {
        stores: &mut stores,
        store: 0,
    };
    rows.find_all(&mut of, b"k", 0, i64::MAX, &mut |v, _| {
        all.push((v.from, v.to));
    })
    .unwrap();
    assert_eq!(all, [(4_150, None), (2_050, Some(4_150))]);
    assert_eq!(
        rows.put(&mut stores, 0, b"k", Some(b"x"), 4_049).unwrap(),
        Placed::TooOld
    );
    assert_eq!(
        rows.put(&mut stores, 0, b"k", Some(b"x"), 4_050).unwrap(),
        Placed::Until(4_150)
    );
}
