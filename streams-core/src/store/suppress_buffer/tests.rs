//! A suppression's buffer against a plain model, and the formats of its changelog.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::record::Headers;
use crate::store::{StoreSettings, StoreSpec};
use crate::topology::StoreBackend;

fn open() -> TaskStores {
    let spec = StoreSpec {
        name: "s".into(),
        backend: StoreBackend::Memory,
        segments: None,
    };
    TaskStores::in_memory(&[spec], &StoreSettings::default()).unwrap()
}

fn context(timestamp: Timestamp) -> BufferedContext<'static> {
    BufferedContext {
        timestamp,
        offset: 7,
        topic: "in",
        partition: 0,
        headers: Headers::new(),
    }
}

#[derive(Debug, Clone)]
enum Op {
    Put(u8, i64, Option<u8>, Option<u8>),
    TakeFirst,
    Remove(u8),
    Commit,
    Abort,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let value = || proptest::option::weighted(0.8, any::<u8>());
    let op = prop_oneof![
        10 => (0..6_u8, 0..40_i64, value(), value()).prop_map(|(k, t, o, n)| Op::Put(k, t, o, n)),
        5 => Just(Op::TakeFirst),
        1 => (0..6_u8).prop_map(Op::Remove),
        1 => Just(Op::Commit),
        1 => Just(Op::Abort),
    ];
    proptest::collection::vec(op, 1..80)
}

/// Buffer time, prior, old and new value.
type Waiting = (i64, Option<u8>, Option<u8>, Option<u8>);

fn bytes(value: &Option<u8>) -> Option<&[u8]> {
    value.as_ref().map(std::slice::from_ref)
}

fn first_of(model: &BTreeMap<u8, Waiting>) -> Option<(i64, u8)> {
    model.iter().map(|(key, (time, ..))| (*time, *key)).min()
}

proptest! {
    #[test]
    fn equals_a_model(ops in ops()) {
        let mut stores = open();
        let mut buffer = SuppressBuffer::default();
        let mut model: BTreeMap<u8, Waiting> = BTreeMap::new();
        let mut committed = model.clone();
        for op in ops {
            match op {
                Op::Put(key, time, old, new) => {
                    let update = Buffered { context: context(time), old: bytes(&old), new: bytes(&new) };
                    buffer.put(&mut stores, 0, time, &[key], update).unwrap();
                    let (time, prior) = model.get(&key).map_or((time, old), |(time, prior, ..)| (*time, *prior));
                    model.insert(key, (time, prior, old, new));
                }
                Op::TakeFirst => {
                    let found = buffer.first(&mut stores, 0).unwrap().map(|(key, value)| {
                        let byte = |bytes: Option<&[u8]>| bytes.map(|b| b[0]);
                        (key[0], byte(value.prior), byte(value.old), byte(value.new))
                    });
                    let expected = first_of(&model).map(|(_, key)| {
                        let (_, prior, old, new) = model[&key];
                        (key, prior, old, new)
                    });
                    prop_assert_eq!(found, expected);
                    if let Some((key, ..)) = found {
                        buffer.remove(&mut stores, 0, &[key]).unwrap();
                        model.remove(&key);
                    }
                }
                Op::Remove(key) => {
                    buffer.remove(&mut stores, 0, &[key]).unwrap();
                    model.remove(&key);
                }
                Op::Commit => {
                    stores.commit(stores.checkpoint().clone()).unwrap();
                    committed = model.clone();
                }
                Op::Abort => {
                    stores.abort();
                    buffer.forget();
                    model = committed.clone();
                }
            }
            let totals = buffer.totals(&mut stores, 0).unwrap();
            let size = |(_, prior, old, new): &Waiting| {
                let old = old.filter(|_| prior != old);
                let values = [prior, &old, new].iter().filter(|v| v.is_some()).count();
                (8 + 1 + 20 + 2 + values) as u64
            };
            prop_assert_eq!(totals.records, model.len() as u64);
            prop_assert_eq!(totals.bytes, model.values().map(size).sum::<u64>());
            prop_assert_eq!(totals.first, first_of(&model).map_or(i64::MAX, |(time, _)| time));
            for key in 0..6 {
                let prior = buffer.prior(&mut stores, 0, &[key]).unwrap().map(|p| p.map(|b| b[0]));
                prop_assert_eq!(prior, model.get(&key).map(|(_, prior, ..)| *prior));
            }
        }
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(
        version in proptest::option::of(0..5_u8),
        value in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        let version = version.map(|v| [v]);
        let logged = Logged { version: version.as_ref().map(|v| &v[..]), value: Some(&value), record: context(1) };
        let _ = SuppressBuffer::default().restore(&mut open(), 0, b"k", logged);
    }
}

fn sized(bytes: Option<&[u8]>) -> Vec<u8> {
    match bytes {
        None => vec![255; 4],
        Some(bytes) => [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat(),
    }
}

fn context_bytes(timestamp: i64) -> Vec<u8> {
    [
        &timestamp.to_be_bytes()[..],
        &7_i64.to_be_bytes(),
        &sized(Some(b"in")),
        &[0; 8],
    ]
    .concat()
}

/// The formats that Kafka Streams 2.1 to 2.4 wrote are read, as its newest version reads them.
#[test]
fn earlier_formats_are_restored() {
    let change = [sized(Some(b"old")), sized(Some(b"new"))].concat();
    let time = 50_i64.to_be_bytes();
    let first = [&time[..], &change].concat();
    let second = [&time[..], &context_bytes(9), &sized(Some(&change))].concat();
    let third = [
        &context_bytes(9)[..],
        &sized(Some(&change)),
        &sized(Some(b"prior")),
        &time,
    ]
    .concat();
    let fourth = [
        &context_bytes(9)[..],
        &sized(Some(b"prior")),
        &sized(Some(b"old")),
        &sized(Some(b"new")),
        &time,
    ]
    .concat();
    type Case<'a> = (Option<&'a [u8]>, &'a [u8], i64, &'a [u8]);
    let cases: [Case<'_>; 5] = [
        (None, &first, 3, b"old"),
        (Some(&[1]), &second, 9, b"old"),
        (Some(&[2]), &third, 9, b"prior"),
        // Some versions wrote the newest format under the number before it.
        (Some(&[2]), &fourth, 9, b"prior"),
        (Some(&[3]), &fourth, 9, b"prior"),
    ];
    for (version, value, timestamp, prior) in cases {
        let mut stores = open();
        let mut buffer = SuppressBuffer::default();
        let logged = |value| Logged {
            version,
            value,
            record: context(3),
        };
        buffer
            .restore(&mut stores, 0, b"k", logged(Some(value)))
            .unwrap();
        let totals = buffer.totals(&mut stores, 0).unwrap();
        assert_eq!((totals.records, totals.first), (1, 50));
        let (key, value) = buffer.first(&mut stores, 0).unwrap().unwrap();
        assert_eq!(key, b"k");
        assert_eq!(value.context.timestamp, timestamp);
        assert_eq!(
            (value.prior, value.old, value.new),
            (Some(prior), Some(&b"old"[..]), Some(&b"new"[..]))
        );
        buffer.restore(&mut stores, 0, b"k", logged(None)).unwrap();
        assert_eq!(buffer.totals(&mut stores, 0).unwrap().records, 0);
    }
    let unknown = Logged {
        version: Some(&[4]),
        value: Some(&fourth),
        record: context(3),
    };
    assert!(
        SuppressBuffer::default()
            .restore(&mut open(), 0, b"k", unknown)
            .is_err()
    );
}
