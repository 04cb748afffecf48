//! Window and session stores against a plain list of what was written, on disk and in memory.

use std::ops::ControlFlow;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::record::TaskId;
use crate::state_dir::StateDirectory;
use crate::store::{StoreSettings, StoreSpec};
use crate::topology::{StoreBackend, StoreKind};

const RETENTION: i64 = 150_000;

/// What is done to a store.
#[derive(Debug, Clone)]
enum Do {
    Put(u8, i64, i64, Option<u8>),
    Commit,
    Abort,
    Reopen,
    /// From the changelog: what was committed, written once more.
    Restore,
}

fn steps() -> impl Strategy<Value = Vec<Do>> {
    let put = (0..4_u8, 0..900_000_i64, 0..60_000_i64, any::<Option<u8>>())
        .prop_map(|(key, time, length, value)| Do::Put(key, time, length, value));
    let step = prop_oneof![12 => put, 2 => Just(Do::Commit), 1 => Just(Do::Abort), 1 => Just(Do::Reopen), 1 => Just(Do::Restore)];
    proptest::collection::vec(step, 1..60)
}

/// Key 2 is the beginning of key 3.
fn key(n: u8) -> &'static [u8] {
    [&b"a"[..], b"bb", b"c", b"c\0\0"][usize::from(n)]
}

fn store_key(kind: StoreKind, n: u8, time: i64, length: i64) -> Vec<u8> {
    let mut bytes = key(n).to_vec();
    bytes.extend_from_slice(&time.to_be_bytes());
    match kind {
        StoreKind::Session { .. } => bytes.extend_from_slice(&(time - length).to_be_bytes()),
        _ => bytes.extend_from_slice(&0_i32.to_be_bytes()),
    }
    bytes
}

/// A list of entries: store key, key, time, start, value.
type Model = Vec<(Vec<u8>, Vec<u8>, i64, i64, u8)>;

fn kinds() -> Vec<StoreKind> {
    let window = |emitted| StoreKind::TimestampedWindow {
        retention_ms: RETENTION,
        size_ms: 1_000,
        emitted,
        emits_by_time: emitted.is_some(),
    };
    let session = StoreKind::Session {
        retention_ms: RETENTION,
        emitted: None,
    };
    vec![window(None), window(Some(0)), session]
}

fn check(stores: &mut TaskStores, model: &Model, kind: StoreKind, backend: StoreBackend) {
    let observed = stores.observed(0);
    let segments = stores.segments(0).unwrap();
    let slack = i64::from(kind.emitted().is_some() && backend == StoreBackend::Lmdb);
    let visible = |time: i64| time >= observed - RETENTION + 1 - slack;
    for (from, to) in [
        (0, i64::MAX),
        (100_000, 300_000),
        (250_000, 251_000),
        (5, 4),
    ] {
        for keys in [
            Keys::All,
            Keys::One(key(0)),
            Keys::One(key(2)),
            Keys::One(key(3)),
            Keys::Range(Bound::Excluded(key(0)), Bound::Included(key(2))),
            Keys::Range(Bound::Unbounded, Bound::Excluded(key(2))),
        ] {
            for latest_start in [i64::MAX, 200_000] {
                let scan = Scan {
                    latest_start,
                    ..Scan::between(keys, from, to)
                };
                let wanted = |k: &[u8]| match keys {
                    Keys::All => true,
                    Keys::One(one) => k == one,
                    Keys::Range(from, to) => {
                        (match from {
                            Bound::Excluded(from) => k > from,
                            _ => true,
                        }) && match to {
                            Bound::Included(to) => k <= to,
                            Bound::Excluded(to) => k < to,
                            Bound::Unbounded => true,
                        }
                    }
                };
                let mut expected: Vec<(Vec<u8>, Vec<u8>, u8)> = model
                    .iter()
                    .filter(|(_, k, time, start, _)| {
                        (from..=to).contains(time)
                            && visible(*time)
                            && *start <= latest_start
                            && wanted(k)
                    })
                    .map(|(store_key, .., value)| {
                        let mut local = Vec::new();
                        segments.local(store_key, &mut local);
                        (local, store_key.clone(), *value)
                    })
                    .collect();
                expected.sort();
                let mut expected: Vec<_> = expected.into_iter().map(|(_, k, v)| (k, v)).collect();
                for scan in [scan, scan.backward()] {
                    let mut found = Vec::new();
                    stores
                        .scan(0, &scan, &mut |k, v| {
                            found.push((k.to_vec(), v[0]));
                            ControlFlow::Continue(())
                        })
                        .unwrap();
                    assert_eq!(found, expected, "{scan:?}");
                    expected.reverse();
                }
            }
        }
    }
    for (store_key, _, time, _, value) in model {
        let mut local = Vec::new();
        segments.local(store_key, &mut local);
        let found = stores.get_unexpired(0, &local).unwrap().map(|v| v[0]);
        assert_eq!(found, visible(*time).then_some(*value));
    }
}

fn apply(model: &mut Model, kind: StoreKind, n: u8, time: i64, length: i64, value: Option<u8>) {
    let store_key = store_key(kind, n, time, length);
    let start = match kind {
        StoreKind::Session { .. } => time - length,
        _ => time,
    };
    model.retain(|(k, ..)| *k != store_key);
    if let Some(value) = value {
        model.push((store_key, key(n).to_vec(), time, start, value));
    }
}

fn run(kind: StoreKind, backend: StoreBackend, on_disk: bool, steps: &[Do]) {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDirectory::open(dir.path(), "app", uuid::Uuid::nil).unwrap();
    let spec = StoreSpec {
        name: Arc::from("windows"),
        backend,
        segments: Segments::of(kind, backend),
    };
    let task = TaskId {
        subtopology: 0,
        partition: 0,
    };
    let open = || {
        let settings = StoreSettings::default();
        if on_disk {
            TaskStores::open(
                state.task(task).unwrap(),
                std::slice::from_ref(&spec),
                &settings,
            )
            .unwrap()
        } else {
            TaskStores::in_memory(std::slice::from_ref(&spec), &settings).unwrap()
        }
    };
    let mut stores = open();
    let (mut now, mut committed) = (Model::new(), Model::new());
    let (mut observed, mut observed_then) = (-1, -1);
    for step in steps {
        match step {
            Do::Put(n, time, length, value) => {
                let mut local = Vec::new();
                let store_key = store_key(kind, *n, *time, *length);
                let segments = stores.segments(0).unwrap();
                segments.local(&store_key, &mut local);
                observed = observed.max(*time);
                let put = stores
                    .put_segmented(0, &local, value.map(|v| [v]).as_ref().map(|v| &v[..]))
                    .unwrap();
                let kept = match backend {
                    StoreBackend::Memory => *time > observed - RETENTION,
                    StoreBackend::Lmdb => time / 75_000 >= (observed - RETENTION) / 75_000,
                };
                assert_eq!(put == Stored::Kept, kept);
                if kept {
                    apply(&mut now, kind, *n, *time, *length, *value);
                }
            }
            Do::Commit => {
                let checkpoint = stores.checkpoint().clone();
                stores.commit(checkpoint).unwrap();
                (committed, observed_then) = (now.clone(), observed);
            }
            Do::Abort => {
                stores.abort();
                (now, observed) = (committed.clone(), observed_then);
            }
            Do::Reopen if on_disk => {
                drop(stores);
                stores = open();
                (now, observed) = (committed.clone(), observed_then);
            }
            Do::Reopen => {}
            Do::Restore => {
                stores.abort();
                (now, observed) = (committed.clone(), observed_then);
                let bytes: Vec<_> = committed
                    .iter()
                    .map(|(k, .., v)| (k.clone(), [*v]))
                    .collect();
                let records = bytes.iter().map(|(k, v)| (k.as_slice(), Some(&v[..])));
                stores.restore(0, records, 7).unwrap();
            }
        }
        assert_eq!(stores.observed(0), observed);
        check(&mut stores, &now, kind, backend);
    }
    // What was cut off is deleted by the next commit.
    let checkpoint = stores.checkpoint().clone();
    stores.commit(checkpoint).unwrap();
    let left = stores.reader().snapshot().unwrap().count(0).unwrap();
    let segments = stores.segments(0).unwrap();
    let kept = now
        .iter()
        .filter(|(_, _, time, ..)| segments.keeps(*time, observed));
    assert_eq!(left, kept.count() as u64);
    assert_eq!(
        stores.reader().snapshot().unwrap().observed(0).unwrap(),
        observed
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn stores_on_disk_equal_the_list(steps in steps()) {
        for kind in kinds() {
            run(kind, StoreBackend::Lmdb, true, &steps);
        }
    }

    #[test]
    fn stores_in_memory_equal_the_list(steps in steps()) {
        for kind in kinds() {
            run(kind, StoreBackend::Lmdb, false, &steps);
            run(kind, StoreBackend::Memory, false, &steps);
        }
    }
}

#[test]
fn duplicates_have_numbers_that_outlive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDirectory::open(dir.path(), "app", uuid::Uuid::nil).unwrap();
    let kind = StoreKind::Window {
        retention_ms: RETENTION,
        size_ms: 10,
        duplicates: true,
    };
    let spec = StoreSpec {
        name: Arc::from("join"),
        backend: StoreBackend::Lmdb,
        segments: Segments::of(kind, StoreBackend::Lmdb),
    };
    let task = TaskId {
        subtopology: 0,
        partition: 0,
    };
    let open = || {
        let directory = state.task(task).unwrap();
        TaskStores::open(
            directory,
            std::slice::from_ref(&spec),
            &StoreSettings::default(),
        )
        .unwrap()
    };
    let mut stores = open();
    assert_eq!(stores.next_sequence(0).unwrap(), 1);
    assert_eq!(stores.next_sequence(0).unwrap(), 2);
    let mut checkpoint = stores.checkpoint().clone();
    checkpoint.set_changelog_offset(0, Some(2));
    stores.commit(checkpoint).unwrap();
    assert_eq!(stores.next_sequence(0).unwrap(), 3);
    stores.abort();
    drop(stores);
    let mut stores = open();
    assert_eq!(stores.next_sequence(0).unwrap(), 3, "as of the last commit");
    // The changelog's last record has the last number.
    let record =
        |sequence: i32| [&b"k"[..], &9_i64.to_be_bytes(), &sequence.to_be_bytes()].concat();
    let (first, last) = (record(3), record(i32::MAX));
    let records = [
        (first.as_slice(), Some(&b"x"[..])),
        (last.as_slice(), Some(b"y")),
    ];
    stores.restore(0, records.into_iter(), 4).unwrap();
    assert_eq!(stores.next_sequence(0).unwrap(), 0, "counting begins anew");
}

#[test]
fn what_is_still_to_be_emitted_is_kept() {
    let kind = StoreKind::TimestampedWindow {
        retention_ms: 10,
        size_ms: 10,
        emitted: Some(0),
        emits_by_time: true,
    };
    let spec = StoreSpec {
        name: Arc::from("w"),
        backend: StoreBackend::Lmdb,
        segments: Segments::of(kind, StoreBackend::Lmdb),
    };
    let mut stores = TaskStores::in_memory(&[spec], &StoreSettings::default()).unwrap();
    let segments = stores.segments(0).unwrap();
    stores.hold(0, 0).unwrap();
    let mut local = Vec::new();
    for time in [0, 10, 500_000] {
        segments.local(&store_key(kind, 0, time, 0), &mut local);
        stores.put_segmented(0, &local, Some(b"v")).unwrap();
    }
    let checkpoint = stores.checkpoint().clone();
    stores.commit(checkpoint).unwrap();
    let count = |stores: &mut TaskStores| {
        let (mut held, mut visible) = (0, 0);
        let all = Scan::between(Keys::All, 0, i64::MAX);
        let go_on = ControlFlow::Continue(());
        stores
            .scan_held(0, &all, &mut |_, _| {
                held += 1;
                go_on
            })
            .unwrap();
        stores
            .scan(0, &all, &mut |_, _| {
                visible += 1;
                go_on
            })
            .unwrap();
        (
            held,
            visible,
            stores.reader().snapshot().unwrap().count(0).unwrap(),
        )
    };
    assert_eq!(count(&mut stores), (3, 1, 3));
    stores.hold(0, 10).unwrap();
    let checkpoint = stores.checkpoint().clone();
    stores.commit(checkpoint).unwrap();
    assert_eq!(count(&mut stores), (2, 1, 2));
}
