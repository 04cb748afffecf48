//! Queries of key-value, window and session stores against a plain list of what was committed: random disorder, expiry, deletions and
//! uncommitted puts, several partitions, from both ends, on disk and in memory.

use std::collections::BTreeMap;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use proptest::prelude::*;

use streams_core::handles::KTable;
use streams_core::partitioner::partition_for_key;
use streams_core::query::{QueryError, QueryRegistry, Snapshot};
use streams_core::record::TaskId;
use streams_core::state_dir::StateDirectory;
use streams_core::store::{SEGMENT, Segments, StoreSettings, StoreSpec, TaskStores};
use streams_core::topology::{StoreBackend, StoreKind};
use streams_core::windowed::{SessionWindow, TimeWindow, Windowed};

const PARTITIONS: u32 = 3;
const RETENTION: i64 = 400_000;
const SIZE: i64 = 1_000;
const WINDOW: StoreKind = StoreKind::TimestampedWindow {
    retention_ms: RETENTION,
    size_ms: SIZE,
    emitted: None,
    emits_by_time: false,
};
const SESSION: StoreKind = StoreKind::Session {
    retention_ms: RETENTION,
    emitted: None,
};
/// Keys that begin with one another, some as times do: the store's keys have the time behind the key.
const KEYS: [&str; 7] = ["", "a", "a\0", "a\0\0\0\0\0\u{6}\0", "ab", "b", "\u{7f}"];

#[derive(Debug, Clone)]
struct Put {
    key: usize,
    time: i64,
    length: i64,
    value: Option<i64>,
}

fn put() -> impl Strategy<Value = Put> {
    let value = proptest::option::weighted(0.8, 0..1_000_i64);
    (0..KEYS.len(), 0..2_000_000_i64, 0..90_000_i64, value).prop_map(
        |(key, time, length, value)| Put {
            key,
            time,
            length,
            value,
        },
    )
}

fn bound<T: Clone + std::fmt::Debug + 'static>(
    of: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = Bound<T>> {
    let value = of.boxed();
    prop_oneof![
        3 => value.clone().prop_map(Bound::Included),
        2 => value.prop_map(Bound::Excluded),
        1 => Just(Bound::Unbounded),
    ]
}

/// A question: a key, a range of keys, a range of times, and from which end each entry is taken.
#[derive(Debug, Clone)]
struct Asked {
    key: usize,
    keys: (Bound<usize>, Bound<usize>),
    times: (Bound<i64>, Bound<i64>),
    from_back: Vec<bool>,
}

fn asked() -> impl Strategy<Value = Asked> {
    let times = || bound(0..2_100_000_i64);
    (
        0..KEYS.len(),
        (bound(0..KEYS.len()), bound(0..KEYS.len())),
        (times(), times()),
        proptest::collection::vec(any::<bool>(), 1..9),
    )
        .prop_map(|(key, keys, times, from_back)| Asked {
            key,
            keys,
            times,
            from_back,
        })
}

impl Asked {
    fn key_range(&self) -> (Bound<String>, Bound<String>) {
        let key = |n: usize| KEYS[n].to_owned();
        (self.keys.0.map(key), self.keys.1.map(key))
    }

    /// Both ends of the range of times, included.
    fn ends(&self) -> (i64, i64) {
        let from = match self.times.0 {
            Bound::Included(t) => t,
            Bound::Excluded(t) => t + 1,
            Bound::Unbounded => i64::MIN,
        };
        let to = match self.times.1 {
            Bound::Included(t) => t,
            Bound::Excluded(t) => t - 1,
            Bound::Unbounded => i64::MAX,
        };
        (from, to)
    }
}

/// A store's partitions, what was committed to them, and a registry that reads them.
struct World<K, V> {
    kind: StoreKind,
    segments: Option<Segments>,
    partitions: Vec<TaskStores>,
    registry: QueryRegistry,
    table: KTable<K, V>,
    /// By local key, in each partition; with what is observed there.
    model: Vec<(BTreeMap<Vec<u8>, i64>, i64)>,
    _directory: Option<(tempfile::TempDir, StateDirectory)>,
}

fn partition_of(key: &str) -> usize {
    usize::try_from(partition_for_key(key.as_bytes(), PARTITIONS)).unwrap()
}

impl<K, V> World<K, V> {
    fn new(kind: StoreKind, backend: StoreBackend) -> Self {
        let segments = Segments::of(kind, backend);
        let spec = StoreSpec {
            name: "store".into(),
            backend,
            segments,
        };
        let settings = StoreSettings {
            map_size: 1 << 20,
            ..StoreSettings::default()
        };
        let directory = (backend == StoreBackend::Lmdb).then(|| {
            let dir = tempfile::tempdir().unwrap();
            let state = StateDirectory::open(dir.path(), "app", uuid::Uuid::new_v4).unwrap();
            (dir, state)
        });
        let registry = QueryRegistry::new(1);
        let open = |partition| {
            let specs = std::slice::from_ref(&spec);
            let stores = match &directory {
                Some((_, state)) => {
                    let id = TaskId {
                        subtopology: 0,
                        partition,
                    };
                    TaskStores::open(state.task(id).unwrap(), specs, &settings).unwrap()
                }
                None => TaskStores::in_memory(specs, &settings).unwrap(),
            };
            let reader = Arc::new(stores.reader().single(0, kind));
            registry.register(0, partition, reader);
            stores
        };
        let partitions: Vec<TaskStores> = (0..PARTITIONS.cast_signed()).map(open).collect();
        registry.set_partitions(0, PARTITIONS);
        registry.set_running(true);
        World {
            kind,
            segments,
            partitions,
            table: KTable::of_node("store", Some(0), &registry),
            registry,
            model: vec![(BTreeMap::new(), -1); PARTITIONS as usize],
            _directory: directory,
        }
    }

    /// The key under which a put lies in the store.
    fn local(&self, put: &Put) -> Vec<u8> {
        let mut store_key = KEYS[put.key].as_bytes().to_vec();
        match self.kind {
            StoreKind::Session { .. } => {
                store_key.extend_from_slice(&put.time.to_be_bytes());
                store_key.extend_from_slice(&(put.time - put.length).max(0).to_be_bytes());
            }
            StoreKind::TimestampedWindow { .. } => {
                store_key.extend_from_slice(&put.time.to_be_bytes());
                store_key.extend_from_slice(&[0; 4]);
            }
            _ => return store_key,
        }
        let mut local = Vec::new();
        self.segments.unwrap().local(&store_key, &mut local);
        local
    }

    /// Puts what is to be committed, and then what is not.
    fn fill(&mut self, committed: &[Put], uncommitted: &[Put]) {
        for (at, put) in committed.iter().chain(uncommitted).enumerate() {
            if at == committed.len() {
                self.commit();
            }
            let partition = partition_of(KEYS[put.key]);
            let local = self.local(put);
            let value = put.value.map(|value| {
                let value = value.to_be_bytes();
                match self.kind.has_timestamps() {
                    true => [put.time.to_be_bytes(), value].concat(),
                    false => value.to_vec(),
                }
            });
            let stores = &mut self.partitions[partition];
            match self.segments {
                Some(_) => {
                    stores.put_segmented(0, &local, value.as_deref()).unwrap();
                }
                None => stores.put(0, &local, value.as_deref()).unwrap(),
            }
            if at < committed.len() {
                let (entries, observed) = &mut self.model[partition];
                *observed = (*observed).max(put.time);
                match put.value {
                    Some(value) => entries.insert(local, value),
                    None => entries.remove(&local),
                };
            }
        }
        if uncommitted.is_empty() {
            self.commit();
        }
    }

    fn commit(&mut self) {
        for stores in &mut self.partitions {
            let checkpoint = stores.checkpoint().clone();
            stores.commit(checkpoint).unwrap();
        }
    }

    /// What is to be seen, in the store's order: key, time that decides expiry, start, value.
    fn seen(&self) -> Vec<(String, i64, i64, i64)> {
        let mut all: Vec<(&Vec<u8>, i64)> = Vec::new();
        for (entries, observed) in &self.model {
            for (local, value) in entries {
                let expired = self.segments.is_some_and(|segments| {
                    segments.time(&local[SEGMENT..]) <= observed - RETENTION
                });
                if !expired {
                    all.push((local, *value));
                }
            }
        }
        all.sort();
        let parse = |(local, value): (&Vec<u8>, i64)| {
            let (key, time, start) = match self.segments {
                Some(segments) => segments.parse(&local[SEGMENT..]).unwrap(),
                None => (&local[..], 0, 0),
            };
            (String::from_utf8(key.to_vec()).unwrap(), time, start, value)
        };
        all.into_iter().map(parse).collect()
    }
}

/// Takes all entries, each from the end that is said, and puts those from the back behind those from the front.
fn both_ways<T>(
    mut entries: impl DoubleEndedIterator<Item = Result<T, QueryError>>,
    from_back: &[bool],
) -> Vec<T> {
    let (mut front, mut back) = (Vec::new(), Vec::new());
    for is_back in from_back.iter().cycle() {
        let next = match is_back {
            false => entries.next(),
            true => entries.next_back(),
        };
        let Some(entry) = next else { break };
        let entry = entry.unwrap();
        match is_back {
            false => front.push(entry),
            true => back.push(entry),
        }
    }
    assert!(entries.next().is_none() && entries.next_back().is_none());
    front.extend(back.into_iter().rev());
    front
}

type OfWindow = (Windowed<String>, i64);
type OfSession = (Windowed<String, SessionWindow>, i64);

fn window((key, start, _, value): (String, i64, i64, i64)) -> OfWindow {
    let end = start + SIZE;
    (Windowed::new(key, TimeWindow { start, end }), value)
}

fn session((key, end, start, value): (String, i64, i64, i64)) -> OfSession {
    (Windowed::new(key, SessionWindow { start, end }), value)
}

fn key_values(backend: StoreBackend, puts: &[Put], open: &[Put], asked: &[Asked]) {
    let mut world = World::<String, i64>::new(StoreKind::TimestampedKeyValue, backend);
    world.fill(puts, open);
    let seen: Vec<(String, i64)> = world
        .seen()
        .into_iter()
        .map(|(k, _, _, v)| (k, v))
        .collect();
    let snapshot = world.table.snapshot().unwrap();
    assert_eq!(
        snapshot.approximate_num_entries().unwrap(),
        seen.len() as u64
    );
    assert_eq!(world.table.all().unwrap(), seen);
    for asked in asked {
        let key = KEYS[asked.key].to_owned();
        let found = seen.iter().find(|(k, _)| *k == key).map(|(_, v)| *v);
        assert_eq!(snapshot.get(&key).unwrap(), found);
        let bounds = asked.key_range();
        let expected: Vec<_> = seen
            .iter()
            .filter(|(k, _)| bounds.contains(k))
            .cloned()
            .collect();
        let range = snapshot.range(bounds).unwrap();
        assert_eq!(both_ways(range, &asked.from_back), expected);
        let expected: Vec<_> = seen
            .iter()
            .filter(|(k, _)| k.starts_with(&key))
            .cloned()
            .collect();
        let prefix = snapshot.prefix(&key).unwrap();
        assert_eq!(both_ways(prefix, &asked.from_back), expected);
        let all = snapshot.all().unwrap();
        assert_eq!(both_ways(all, &asked.from_back), seen);
    }
}

fn windows(backend: StoreBackend, puts: &[Put], open: &[Put], asked: &[Asked]) {
    let mut world = World::<Windowed<String>, i64>::new(WINDOW, backend);
    world.fill(puts, open);
    let seen = world.seen();
    let snapshot: Snapshot<'_, Windowed<String>, i64> = world.table.snapshot().unwrap();
    let all: Vec<OfWindow> = seen.iter().cloned().map(window).collect();
    assert_eq!(world.table.all().unwrap(), all);
    let expected = |wanted: &dyn Fn(&str, i64) -> bool| -> Vec<OfWindow> {
        let of = seen.iter().filter(|(key, start, ..)| wanted(key, *start));
        of.cloned().map(window).collect()
    };
    for asked in asked {
        let key = KEYS[asked.key].to_owned();
        let back = &asked.from_back;
        let times = asked.times;
        let fetched = snapshot.fetch(&key, times).unwrap();
        let of_key = expected(&|k, t| k == key && times.contains(&t));
        assert_eq!(both_ways(fetched, back), of_key);
        let keys = asked.key_range();
        let fetched = snapshot.fetch_range(keys.clone(), times).unwrap();
        let of_keys = expected(&|k, t| keys.contains(&k.to_owned()) && times.contains(&t));
        assert_eq!(both_ways(fetched, back), of_keys);
        let fetched = snapshot.fetch_all(times).unwrap();
        assert_eq!(
            both_ways(fetched, back),
            expected(&|_, t| times.contains(&t))
        );
        assert_eq!(both_ways(snapshot.all().unwrap(), back), all);
        for put in puts.iter().filter(|put| put.key == asked.key) {
            let value = of_key_at(&seen, &key, put.time);
            assert_eq!(snapshot.fetch_at(&key, put.time).unwrap(), value);
            let end = i64::MAX;
            let at = Windowed::new(
                key.clone(),
                TimeWindow {
                    start: put.time,
                    end,
                },
            );
            let found = snapshot.get_with_timestamp(&at).unwrap();
            assert_eq!(
                found.map(|f| (f.value, f.timestamp)),
                value.map(|v| (v, put.time))
            );
        }
    }
}

fn of_key_at(seen: &[(String, i64, i64, i64)], key: &str, time: i64) -> Option<i64> {
    let mut of_key = seen.iter().filter(|(k, t, ..)| k == key && *t == time);
    of_key.next().map(|(.., value)| *value)
}

fn sessions(backend: StoreBackend, puts: &[Put], open: &[Put], asked: &[Asked]) {
    let mut world = World::<Windowed<String, SessionWindow>, i64>::new(SESSION, backend);
    world.fill(puts, open);
    let seen = world.seen();
    let snapshot = world.table.snapshot().unwrap();
    let all: Vec<OfSession> = seen.iter().cloned().map(session).collect();
    assert_eq!(world.table.all().unwrap(), all);
    let expected = |wanted: &dyn Fn(&str, i64, i64) -> bool| -> Vec<OfSession> {
        let of = seen
            .iter()
            .filter(|(key, end, start, _)| wanted(key, *end, *start));
        of.cloned().map(session).collect()
    };
    for asked in asked {
        let key = KEYS[asked.key].to_owned();
        let back = &asked.from_back;
        let of_key = expected(&|k, _, _| k == key);
        assert_eq!(both_ways(snapshot.fetch(&key).unwrap(), back), of_key);
        let keys = asked.key_range();
        let in_range = |k: &str| keys.contains(&k.to_owned());
        let fetched = snapshot.fetch_range(keys.clone()).unwrap();
        assert_eq!(both_ways(fetched, back), expected(&|k, _, _| in_range(k)));
        let (earliest_end, latest_start) = asked.ends();
        let times = |end: i64, start: i64| end >= earliest_end && start <= latest_start;
        let found = snapshot
            .find_sessions(&key, earliest_end, latest_start)
            .unwrap();
        let overlapping = expected(&|k, e, s| k == key && times(e, s));
        assert_eq!(both_ways(found, back), overlapping);
        let found = snapshot
            .find_sessions_of(keys.clone(), earliest_end, latest_start)
            .unwrap();
        assert_eq!(
            both_ways(found, back),
            expected(&|k, e, s| in_range(k) && times(e, s))
        );
        for put in puts.iter().filter(|put| put.key == asked.key) {
            let start = (put.time - put.length).max(0);
            let mut exactly = seen
                .iter()
                .filter(|(k, e, s, _)| *k == key && (*e, *s) == (put.time, start));
            let value = exactly.next().map(|(.., value)| *value);
            assert_eq!(
                snapshot.fetch_session(&key, start, put.time).unwrap(),
                value
            );
            let exact = session((key.clone(), put.time, start, 0)).0;
            assert_eq!(snapshot.get(&exact).unwrap(), value);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn every_look_up_finds_what_a_plain_list_has(
        puts in proptest::collection::vec(put(), 0..60),
        open in proptest::collection::vec(put(), 0..6),
        asked in proptest::collection::vec(asked(), 1..6),
    ) {
        for backend in [StoreBackend::Lmdb, StoreBackend::Memory] {
            key_values(backend, &puts, &open, &asked);
            windows(backend, &puts, &open, &asked);
            sessions(backend, &puts, &open, &asked);
        }
    }
}

#[test]
fn a_key_whose_partition_is_elsewhere_is_an_error_and_not_none() {
    let mut world = World::<Windowed<String>, i64>::new(WINDOW, StoreBackend::Memory);
    let put = |key: usize| Put {
        key,
        time: 5_000,
        length: 0,
        value: Some(1),
    };
    world.fill(&[put(1), put(5)], &[]);
    let (here, elsewhere) = (partition_of("a"), partition_of("b"));
    assert_ne!(here, elsewhere);
    let partition = i32::try_from(elsewhere).unwrap();
    world.registry.unregister(0, partition);
    let snapshot = world.table.snapshot().unwrap();
    assert!(snapshot.partitions().all(|p| p != partition));
    let b = "b".to_owned();
    let not_here = |result: Result<Option<i64>, QueryError>| match result {
        Err(QueryError::KeyNotHere { partition, .. }) => partition,
        other => panic!("{other:?}"),
    };
    assert_eq!(not_here(snapshot.fetch_at(&b, 5_000)), partition);
    let window = Windowed::new(
        b,
        TimeWindow {
            start: 5_000,
            end: 0,
        },
    );
    assert_eq!(not_here(snapshot.get(&window)), partition);
    assert_eq!(snapshot.fetch_at(&"a".to_owned(), 5_000).unwrap(), Some(1));
    assert_eq!(snapshot.fetch_at(&"a".to_owned(), 6_000).unwrap(), None);
    assert_eq!(snapshot.all().unwrap().count(), 1);
}

#[test]
fn a_store_says_how_it_is_to_be_asked() {
    let mut windows = World::<Windowed<String>, i64>::new(WINDOW, StoreBackend::Memory);
    windows.fill(&[], &[]);
    let snapshot = windows.table.snapshot().unwrap();
    let error = snapshot.range(..).unwrap_err().to_string();
    assert!(
        error.contains("`fetch…`") && error.contains("KS0260"),
        "{error}"
    );
    assert!(matches!(
        snapshot.prefix(&"a".to_owned()),
        Err(QueryError::Windowed { .. })
    ));
    assert!(matches!(
        snapshot.get_as_of(
            &Windowed::new("a".to_owned(), TimeWindow { start: 0, end: 0 }),
            1
        ),
        Err(QueryError::Store { .. })
    ));

    let keys =
        World::<Windowed<String>, i64>::new(StoreKind::TimestampedKeyValue, StoreBackend::Memory);
    let snapshot = keys.table.snapshot().unwrap();
    let error = snapshot.fetch(&"a".to_owned(), ..).unwrap_err().to_string();
    assert!(
        error.contains("`get`") && error.contains("KS0261"),
        "{error}"
    );
    assert_eq!(snapshot.all().unwrap().count(), 0);
}

#[test]
fn a_snapshot_sees_one_commit_while_the_store_goes_on() {
    for backend in [StoreBackend::Lmdb, StoreBackend::Memory] {
        let mut world = World::<String, i64>::new(StoreKind::TimestampedKeyValue, backend);
        let put = |key, value| Put {
            key,
            time: 0,
            length: 0,
            value,
        };
        world.fill(&[put(1, Some(1)), put(4, Some(2))], &[]);
        let World {
            table, partitions, ..
        } = &mut world;
        let before = table.snapshot().unwrap();
        let mut entries = before.all().unwrap();
        assert_eq!(entries.next().unwrap().unwrap(), ("a".to_owned(), 1));
        for stores in partitions.iter_mut() {
            for key in KEYS {
                stores.put(0, key.as_bytes(), None).unwrap();
            }
            let checkpoint = stores.checkpoint().clone();
            stores.commit(checkpoint).unwrap();
        }
        assert_eq!(entries.next().unwrap().unwrap(), ("ab".to_owned(), 2));
        assert!(entries.next().is_none());
        assert_eq!(before.get(&"a".to_owned()).unwrap(), Some(1));
        assert_eq!(table.all().unwrap(), []);
    }
}
