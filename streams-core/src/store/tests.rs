//! Tests of task stores: against a plain model, and each thing that can go wrong.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::record::{TaskId, TopicPartition};
use crate::state_dir::StateDirectory;

fn specs(backend: StoreBackend) -> Vec<StoreSpec> {
    ["first", "second"]
        .map(|name| StoreSpec {
            name: name.into(),
            backend,
            segments: None,
        })
        .to_vec()
}

/// A map too small for anything, so that it has to grow.
fn settings() -> StoreSettings {
    StoreSettings {
        map_size: 1 << 16,
        ..StoreSettings::default()
    }
}

struct Home {
    root: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        Home {
            root: tempfile::tempdir().unwrap(),
        }
    }
    fn path(&self) -> &Path {
        self.root.path()
    }
    fn directory(&self) -> TaskDirectory {
        let state = StateDirectory::open(self.path(), "app", uuid::Uuid::nil).unwrap();
        state
            .task(TaskId {
                subtopology: 0,
                partition: 0,
            })
            .unwrap()
    }
    fn task_path(&self) -> std::path::PathBuf {
        self.path().join("app/0_0")
    }
    fn open(&self, backend: StoreBackend) -> TaskStores {
        TaskStores::open(self.directory(), &specs(backend), &settings()).unwrap()
    }
}

fn collect(range: MergedRange<'_>) -> Vec<(Vec<u8>, Vec<u8>)> {
    range
        .map(|e| e.map(|(k, v)| (k.to_vec(), v.to_vec())).unwrap())
        .collect()
}

fn owned(bound: Bound<&[u8]>) -> Bound<Vec<u8>> {
    bound.map(<[u8]>::to_vec)
}

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn model_range(
    model: &Model,
    from: Bound<&[u8]>,
    to: Bound<&[u8]>,
    direction: Direction,
) -> Vec<(Vec<u8>, Vec<u8>)> {
    let bounds = (owned(from), owned(to));
    let inside = |key: &&Vec<u8>| std::ops::RangeBounds::contains(&bounds, *key);
    let mut all: Vec<_> = model
        .keys()
        .filter(inside)
        .map(|k| (k.clone(), model[k].clone()))
        .collect();
    if direction == Direction::Backward {
        all.reverse();
    }
    all
}

#[derive(Debug, Clone)]
enum Op {
    Put(usize, Vec<u8>, Option<Vec<u8>>),
    Get(usize, Vec<u8>),
    Range(usize, Bound<Vec<u8>>, Bound<Vec<u8>>, Direction),
    Commit,
    Abort,
    Restore(usize, Vec<(Vec<u8>, Option<Vec<u8>>)>),
    Clear(usize),
    Renew,
    Crash,
    Close,
}

/// Few different keys, with zero bytes, empty ones, and some beyond what lies inline.
fn key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => proptest::collection::vec(prop_oneof![Just(0_u8), Just(1), Just(255)], 0..4),
        1 => (0..3_u8).prop_map(|b| vec![b; 30]),
    ]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![9 => proptest::collection::vec(any::<u8>(), 0..30), 1 => (0..9000_usize).prop_map(|n| vec![7; n])]
}

fn bound() -> impl Strategy<Value = Bound<Vec<u8>>> {
    prop_oneof![
        Just(Bound::Unbounded),
        key().prop_map(Bound::Included),
        key().prop_map(Bound::Excluded)
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let store = 0..2_usize;
    let direction = prop_oneof![Just(Direction::Forward), Just(Direction::Backward)];
    prop_oneof![
        12 => (store.clone(), key(), proptest::option::weighted(0.7, value())).prop_map(|(s, k, v)| Op::Put(s, k, v)),
        4 => (store.clone(), key()).prop_map(|(s, k)| Op::Get(s, k)),
        4 => (store.clone(), bound(), bound(), direction).prop_map(|(s, f, t, d)| Op::Range(s, f, t, d)),
        2 => Just(Op::Commit),
        1 => Just(Op::Abort),
        1 => (store.clone(), proptest::collection::vec((key(), proptest::option::of(value())), 0..9))
            .prop_map(|(s, b)| Op::Restore(s, b)),
        1 => store.prop_map(Op::Clear),
        1 => Just(Op::Renew),
        1 => Just(Op::Crash),
        1 => Just(Op::Close),
    ]
}

fn run(backend: StoreBackend, ops: Vec<Op>) -> Result<(), TestCaseError> {
    let home = Home::new();
    let mut stores = home.open(backend);
    let mut reader = stores.reader();
    let mut now = [Model::new(), Model::new()];
    let mut committed = now.clone();
    let mut checkpoint = Checkpoint {
        changelog: vec![None; 2],
        ..Checkpoint::default()
    };
    for (step, op) in (0_i64..).zip(ops) {
        match op {
            Op::Put(store, key, value) => {
                stores.put(store, &key, value.as_deref()).unwrap();
                match value {
                    Some(value) => now[store].insert(key, value),
                    None => now[store].remove(&key),
                };
            }
            Op::Get(store, key) => {
                prop_assert_eq!(
                    stores.get(store, &key).unwrap(),
                    now[store].get(&key).map(Vec::as_slice)
                );
                let read = reader.get(store, &key).unwrap();
                prop_assert_eq!(read.as_ref(), committed[store].get(&key));
            }
            Op::Range(store, from, to, direction) => {
                let (from, to) = (
                    from.as_ref().map(Vec::as_slice),
                    to.as_ref().map(Vec::as_slice),
                );
                let found = collect(stores.range(store, from, to, direction).unwrap());
                prop_assert_eq!(found, model_range(&now[store], from, to, direction));
                let read: Vec<_> = reader
                    .range(store, from, to, direction)
                    .map(|e| e.map(|(k, v)| (k.into_vec(), v.into_vec())).unwrap())
                    .collect();
                prop_assert_eq!(read, model_range(&committed[store], from, to, direction));
                prop_assert_eq!(reader.count(store).unwrap(), committed[store].len() as u64);
            }
            Op::Commit => {
                checkpoint.set_changelog_offset(0, Some(step));
                checkpoint.inputs.insert(TopicPartition::new("in", 0), step);
                checkpoint.stream_times.insert("window".into(), step);
                stores.commit(checkpoint.clone()).unwrap();
                committed = now.clone();
            }
            Op::Abort => {
                stores.abort();
                now = committed.clone();
            }
            Op::Restore(store, batch) => {
                stores.abort();
                now = committed.clone();
                let entries = batch.iter().map(|(k, v)| (k.as_slice(), v.as_deref()));
                stores.restore(store, entries, step).unwrap();
                checkpoint.set_changelog_offset(store, Some(step));
                for (key, value) in batch {
                    match value {
                        Some(value) => now[store].insert(key, value),
                        None => now[store].remove(&key),
                    };
                }
                committed = now.clone();
            }
            Op::Clear(store) => {
                stores.clear(store).unwrap();
                checkpoint.set_changelog_offset(store, None);
                now[store].clear();
                committed[store].clear();
            }
            Op::Renew => stores.renew(),
            Op::Crash | Op::Close => {
                if matches!(op, Op::Close) {
                    stores.close().unwrap();
                } else {
                    drop(stores);
                }
                prop_assert!(reader.get(0, b"k").is_err(), "the reader's task is gone");
                stores = home.open(backend);
                reader = stores.reader();
                if backend == StoreBackend::Memory {
                    committed = Default::default();
                    checkpoint = Checkpoint {
                        changelog: vec![None; 2],
                        ..Checkpoint::default()
                    };
                }
                now = committed.clone();
            }
        }
        prop_assert_eq!(stores.checkpoint(), &checkpoint);
        prop_assert_eq!(stores.uncommitted_bytes() == 0, !stores.has_uncommitted());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn lmdb_does_what_a_map_does(ops in proptest::collection::vec(op(), 0..80)) {
        run(StoreBackend::Lmdb, ops)?;
    }

    #[test]
    fn memory_does_what_a_map_does(ops in proptest::collection::vec(op(), 0..80)) {
        run(StoreBackend::Memory, ops)?;
    }
}

#[test]
fn keys_up_to_the_limit_and_not_beyond() {
    let home = Home::new();
    for backend in [StoreBackend::Lmdb, StoreBackend::Memory] {
        let mut stores = home.open(backend);
        stores.put(0, &[1; MAX_KEY_LENGTH], Some(b"v")).unwrap();
        let error = stores
            .put(0, &[1; MAX_KEY_LENGTH + 1], Some(b"v"))
            .unwrap_err();
        assert!(
            matches!(error, StoreError::KeyTooLong { length: 1983, .. }),
            "{error:?}"
        );
        assert!(
            error
                .to_string()
                .contains("1983 bytes is too long for store `first`"),
            "{error}"
        );
        let long = [2; 3000];
        let batch = [(&long[..], Some(&b"v"[..]))];
        let error = stores.restore(1, batch.into_iter(), 1).unwrap_err();
        assert!(
            matches!(error, StoreError::KeyTooLong { length: 3000, .. }),
            "{error:?}"
        );
        stores.commit(Checkpoint::default()).unwrap();
        assert_eq!(
            stores.get(0, &[1; MAX_KEY_LENGTH]).unwrap(),
            Some(&b"v"[..])
        );
        assert_eq!(stores.get(0, &[1; MAX_KEY_LENGTH + 1]).unwrap(), None);
        let from = Bound::Included(&long[..]);
        assert!(
            collect(
                stores
                    .range(0, from, Bound::Unbounded, Direction::Forward)
                    .unwrap()
            )
            .is_empty()
        );
    }
}

#[test]
fn a_store_that_is_not_there_is_an_error() {
    let mut stores = TaskStores::in_memory(&specs(StoreBackend::Lmdb), &settings()).unwrap();
    let unbounded = Bound::Unbounded;
    assert!(matches!(
        stores.get(2, b"k"),
        Err(StoreError::UnknownStore { store: 2 })
    ));
    assert!(matches!(
        stores.put(2, b"k", None),
        Err(StoreError::UnknownStore { .. })
    ));
    assert!(
        stores
            .range(2, unbounded, unbounded, Direction::Forward)
            .is_err()
    );
    assert!(stores.restore(2, std::iter::empty(), 1).is_err());
    assert!(stores.clear(2).is_err());
    assert!(stores.reader().get(2, b"k").is_err());
    assert_eq!(stores.index_of("second"), Some(1));
    assert_eq!(stores.index_of("third"), None);
    for name in ["__meta", "", "first"] {
        let mut specs = specs(StoreBackend::Memory);
        specs[1].name = name.into();
        let result = TaskStores::in_memory(&specs, &settings());
        assert!(
            matches!(result, Err(StoreError::BadName { .. })),
            "{result:?}"
        );
    }
}

#[test]
fn the_buffer_asks_for_a_commit_when_it_is_full() {
    let small = StoreSettings {
        buffer_limit: 1000,
        ..settings()
    };
    let mut stores = TaskStores::in_memory(&specs(StoreBackend::Memory), &small).unwrap();
    stores.put(0, b"a", Some(&[0; 500])).unwrap();
    // The same key again takes no more.
    stores.put(0, b"a", Some(&[0; 500])).unwrap();
    assert!(!stores.is_full());
    stores.put(1, b"b", Some(&[0; 500])).unwrap();
    assert!(stores.is_full());
    stores.commit(Checkpoint::default()).unwrap();
    assert!(!stores.is_full() && !stores.has_uncommitted());
}

#[test]
fn stores_that_leave_the_topology_keep_their_offsets() {
    let home = Home::new();
    let mut stores = home.open(StoreBackend::Lmdb);
    stores.put(1, b"k", Some(b"v")).unwrap();
    stores
        .commit(Checkpoint {
            changelog: vec![Some(3), Some(4)],
            ..Checkpoint::default()
        })
        .unwrap();
    stores.close().unwrap();
    let first = &specs(StoreBackend::Lmdb)[..1];
    let mut stores = TaskStores::open(home.directory(), first, &settings()).unwrap();
    assert_eq!(stores.checkpoint().changelog, [Some(3)]);
    stores
        .commit(Checkpoint {
            changelog: vec![Some(9)],
            ..Checkpoint::default()
        })
        .unwrap();
    stores.close().unwrap();
    let mut stores = home.open(StoreBackend::Lmdb);
    assert_eq!(stores.checkpoint().changelog, [Some(9), Some(4)]);
    assert_eq!(stores.get(1, b"k").unwrap(), Some(&b"v"[..]));
}

#[test]
fn memory_stores_beside_lmdb_ones_begin_empty() {
    let home = Home::new();
    let mut mixed = specs(StoreBackend::Lmdb);
    mixed[1].backend = StoreBackend::Memory;
    for _ in 0..2 {
        let mut stores = TaskStores::open(home.directory(), &mixed, &settings()).unwrap();
        assert_eq!(stores.checkpoint().changelog_offset(1), None);
        assert_eq!(stores.get(1, b"k").unwrap(), None);
        for store in [0, 1] {
            stores.put(store, b"k", Some(b"v")).unwrap();
        }
        stores
            .commit(Checkpoint {
                changelog: vec![Some(1), Some(2)],
                ..Checkpoint::default()
            })
            .unwrap();
        let reader = stores.reader();
        assert_eq!(reader.get(1, b"k").unwrap().as_deref(), Some(&b"v"[..]));
        assert_eq!((reader.count(0).unwrap(), reader.count(1).unwrap()), (1, 1));
        stores.close().unwrap();
    }
}

#[test]
fn readers_of_other_threads_see_whole_commits() {
    for backend in [StoreBackend::Lmdb, StoreBackend::Memory] {
        let home = Home::new();
        let mut stores = home.open(backend);
        let commit = |stores: &mut TaskStores, n: u32| {
            for store in [0, 1] {
                for key in 0..600_u32 {
                    stores
                        .put(store, &key.to_be_bytes(), Some(&n.to_be_bytes()))
                        .unwrap();
                }
            }
            stores.commit(Checkpoint::default().clone()).unwrap();
        };
        commit(&mut stores, 0);
        let reader = stores.reader();
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|s| {
            for _ in 0..2 {
                s.spawn(|| {
                    let mut last = 0;
                    while !done.load(std::sync::atomic::Ordering::Relaxed) {
                        let snapshot = reader.snapshot().unwrap();
                        let mut seen: Vec<u32> = Vec::new();
                        for store in [0, 1] {
                            let all = snapshot.range(
                                store,
                                Bound::Unbounded,
                                Bound::Unbounded,
                                Direction::Backward,
                            );
                            seen.extend(
                                all.unwrap()
                                    .map(|e| u32::from_be_bytes(e.unwrap().1.try_into().unwrap())),
                            );
                        }
                        assert_eq!(seen.len(), 1200);
                        assert!(
                            seen.iter().all(|n| *n == seen[0]),
                            "half a commit: {seen:?}"
                        );
                        assert!(seen[0] >= last, "it went back");
                        last = seen[0];
                        drop(snapshot);
                        let paged =
                            reader.range(0, Bound::Unbounded, Bound::Unbounded, Direction::Forward);
                        assert_eq!(paged.count(), 600);
                    }
                });
            }
            for n in 1..60 {
                commit(&mut stores, n);
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    }
}

#[test]
fn single_readers_serve_the_query_registry() {
    use crate::query::ByteReader as _;
    let mut stores = TaskStores::in_memory(&specs(StoreBackend::Memory), &settings()).unwrap();
    for key in 0..1000_u32 {
        stores.put(1, &key.to_be_bytes(), Some(b"v")).unwrap();
    }
    stores.commit(Checkpoint::default()).unwrap();
    let reader = stores
        .reader()
        .single(1, crate::topology::StoreKind::KeyValue);
    let mut value = Vec::new();
    assert!(reader.get(&5_u32.to_be_bytes(), &mut value).unwrap());
    assert_eq!(value, b"v");
    assert!(!reader.get(b"none", &mut value).unwrap());
    let mut seen = 0;
    let visit = &mut |_: &[u8], _: &[u8]| {
        seen += 1;
        if seen == 700 {
            std::ops::ControlFlow::Break(())
        } else {
            std::ops::ControlFlow::Continue(())
        }
    };
    reader
        .range(Bound::Unbounded, Bound::Unbounded, visit)
        .unwrap();
    assert_eq!(seen, 700);
    drop(stores);
    assert!(reader.get(b"none", &mut value).is_err());
}

#[test]
fn a_later_layout_is_refused() {
    let home = Home::new();
    let mut stores = home.open(StoreBackend::Lmdb);
    stores
        .commit(Checkpoint {
            changelog: vec![Some(1)],
            ..Checkpoint::default()
        })
        .unwrap();
    stores.close().unwrap();
    let poke = |key: &[u8], value: &[u8]| {
        let env = Environment::open(&home.task_path(), &EnvironmentOptions::default()).unwrap();
        let meta = env.database(disk::META).unwrap().unwrap();
        env.write::<_, LmdbError>(|w| w.put(meta, key, value))
            .unwrap();
    };
    let open = || TaskStores::open(home.directory(), &specs(StoreBackend::Lmdb), &settings());
    poke(disk::LAYOUT_KEY, &[disk::LAYOUT + 1]);
    assert!(matches!(
        open(),
        Err(StoreError::NewerLayout { found: 2, .. })
    ));
    poke(disk::LAYOUT_KEY, &[disk::LAYOUT]);
    poke(disk::CHECKPOINT_KEY, &[9, 9, 9]);
    assert!(matches!(
        open(),
        Err(StoreError::NewerLayout { found: 9, .. })
    ));
    poke(disk::CHECKPOINT_KEY, &[1, 9, 9]);
    assert!(open().unwrap_err().is_damage());
    poke(disk::LAYOUT_KEY, b"what");
    assert!(open().unwrap_err().is_damage());
}
