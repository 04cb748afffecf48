//! The engine with code written by hand: commits, crashes, repartitions, what is retried and what is given up.

mod restores;
mod simulation;

use std::collections::BTreeMap;

use super::engine::Engine;
use super::*;
use crate::context::TaskContext;
use crate::edge::edge;
use crate::error::TaskResult;
use crate::generated::{
    Bound, Flushed, SubTopology, TaskOf, unknown_source, unknown_store, unknown_subtopology,
};
use crate::record::{Change, RawRecord, Record, TopicPartition};
use crate::table::TableStore;
use crate::task::SubTopologies;
use crate::topology::*;
use crate::transport::fault::{Fault, FaultRates, FaultTransport, Faults};

/// words -> split =counts-repartition=> count -> counts
struct Words;
struct Split;
struct Count {
    counts: TableStore<String, i64>,
}

const fn topic<K: crate::serde::Serde, V: crate::serde::Serde>(
    name: &'static str,
    role: TopicRole,
    partitions: Option<u32>,
) -> TopicDescriptor {
    TopicDescriptor {
        name,
        role,
        partitions,
        key: TypeDescriptor::of::<K>("K"),
        value: TypeDescriptor::of::<V>("V"),
    }
}

static TOPOLOGY: TopologyDescriptor = TopologyDescriptor {
    name: "Words",
    application_id: "words",
    topics: &[
        topic::<(), String>("lines", TopicRole::Source, Some(3)),
        topic::<String, i64>("counts", TopicRole::Sink, Some(2)),
        topic::<String, String>("counts-repartition", TopicRole::Repartition, None),
        topic::<String, i64>("counts-changelog", TopicRole::Changelog, None),
    ],
    stores: &[StoreDescriptor {
        name: "counts",
        node: "counts",
        kind: StoreKind::TimestampedKeyValue,
        backend: StoreBackend::Lmdb,
        format: StoreFormat::Default,
        cache: true,
        changelog: Changelog::Internal(3),
        changelog_config: &[],
        key: TypeDescriptor::of::<String>("String"),
        value: TypeDescriptor::of::<i64>("i64"),
    }],
    subtopologies: &[
        SubtopologyDescriptor {
            sources: &[SourceDescriptor {
                node: "lines",
                topic: 0,
                offset_reset: OffsetReset::Earliest,
                timestamps: SourceTimestamps::Configured,
            }],
            stores: &[],
            nodes: &[NodeDescriptor {
                name: "counts-repartition-sink",
                kind: NodeKind::Sink {
                    topic: SinkTopic::Static(2),
                },
                stores: &[],
                children: &[],
                parents: &[],
            }],
            copartitioned: &[],
            times: &[],
        },
        SubtopologyDescriptor {
            sources: &[SourceDescriptor {
                node: "counts",
                topic: 2,
                offset_reset: OffsetReset::Earliest,
                timestamps: SourceTimestamps::Configured,
            }],
            stores: &[0],
            nodes: &[],
            copartitioned: &[],
            times: &[],
        },
    ],
    globals: &[],
};

impl TaskOf<Words> for Split {
    fn process(
        &mut self,
        _: &Words,
        source: usize,
        raw: RawRecord<'_>,
        cx: &mut TaskContext,
    ) -> TaskResult {
        if source != 0 {
            return Err(unknown_source(source));
        }
        let Some(line) = cx.decode::<(), String>(raw)? else {
            return Ok(());
        };
        for word in line.value.split(' ') {
            let record = Record::new(word.to_owned(), word.to_owned(), line.timestamp);
            edge().send(2, record, cx)?;
        }
        Ok(())
    }
    fn flushed(
        &mut self,
        _: &Words,
        store: usize,
        _: Flushed<'_>,
        _: &mut TaskContext,
    ) -> TaskResult {
        Err(unknown_store(store))
    }
}

struct Node;

impl TaskOf<Words> for Count {
    fn process(
        &mut self,
        _: &Words,
        source: usize,
        raw: RawRecord<'_>,
        cx: &mut TaskContext,
    ) -> TaskResult {
        if source != 0 {
            return Err(unknown_source(source));
        }
        let Some(word) = cx.decode::<String, String>(raw)? else {
            return Ok(());
        };
        match self.counts.grouped(word).count::<Node>(cx)? {
            Some(update) => cx.send_change::<String, i64>(1, &update),
            None => Ok(()),
        }
    }
    fn flushed(
        &mut self,
        _: &Words,
        _: usize,
        entry: Flushed<'_>,
        cx: &mut TaskContext,
    ) -> TaskResult {
        let update: Record<String, Change<i64>> = self.counts.flushed(entry, cx)?;
        cx.send_change::<String, i64>(1, &update)
    }
}

fn code() -> SubTopologies {
    let app = Arc::new(Words);
    Arc::new(move |index| -> TaskResult<Box<dyn SubTopology>> {
        match index {
            0 => Ok(Box::new(Bound {
                app: app.clone(),
                task: Split,
            })),
            1 => Ok(Box::new(Bound {
                app: app.clone(),
                task: Count {
                    counts: TableStore::new(0),
                },
            })),
            other => Err(unknown_subtopology(other)),
        }
    })
}

fn engine(options: TestDriverOptions) -> Engine {
    Engine::new(&TOPOLOGY, code(), options).unwrap()
}

fn send(engine: &mut Engine, line: &str, at: Timestamp, partition: i32) {
    engine
        .pipe(
            "lines",
            Some(partition),
            None,
            Some(line.as_bytes()),
            Some(at),
            Headers::new(),
        )
        .unwrap();
}

fn number(bytes: &[u8]) -> i64 {
    i64::from_be_bytes(bytes.try_into().unwrap())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn counts(engine: &mut Engine) -> BTreeMap<String, i64> {
    let entries = engine.store_entries("counts").unwrap();
    entries
        .iter()
        .map(|e| (text(&e.key), number(&e.value)))
        .collect()
}

/// What was written for each word, in order.
fn written(engine: &mut Engine) -> BTreeMap<String, Vec<i64>> {
    let mut all: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for (_, record) in engine.read_placed("counts").unwrap() {
        all.entry(text(&record.key.unwrap()))
            .or_default()
            .push(number(&record.value.unwrap()));
    }
    all
}

fn expected(pairs: &[(&str, i64)]) -> BTreeMap<String, i64> {
    pairs
        .iter()
        .map(|(word, n)| ((*word).to_owned(), *n))
        .collect()
}

const EOS: ProcessingGuarantee = ProcessingGuarantee::ExactlyOnceV2;
/// How often calls fail, in ten thousand.
const RATES: FaultRates = FaultRates {
    retriable: 100,
    abortable: 150,
    fenced: 60,
    unusable: 60,
    unusable_after_commit: 60,
    crash_before_commit: 150,
    crash_after_commit: 200,
};
const COMMIT: Duration = Duration::from_millis(100);

#[test]
fn a_repartition_topic_has_as_many_partitions_as_the_largest_source_before_it() {
    let mut engine = engine(TestDriverOptions::new());
    let mut topics: Vec<_> = engine.topics().unwrap();
    topics.sort();
    assert_eq!(
        topics,
        [
            "counts",
            "lines",
            "words-counts-changelog",
            "words-counts-repartition"
        ]
    );
    for partition in 0..3 {
        send(&mut engine, "a b c d e f g h i j", 1, partition);
    }
    assert!(counts(&mut engine).values().all(|n| *n == 3));
    assert_eq!(counts(&mut engine).len(), 10);
}

#[test]
fn a_restart_goes_on_where_the_last_commit_was() {
    for state in [TestState::Memory, TestState::Lmdb] {
        for guarantee in [EOS, ProcessingGuarantee::AtLeastOnce] {
            let mut engine = engine(
                TestDriverOptions::new()
                    .guarantee(guarantee)
                    .state(state)
                    .workers(2),
            );
            send(&mut engine, "a b a", 1, 0);
            engine.restart().unwrap();
            send(&mut engine, "b", 2, 1);
            engine.restart().unwrap();
            assert_eq!(
                counts(&mut engine),
                expected(&[("a", 2), ("b", 2)]),
                "{state:?} {guarantee:?}"
            );
        }
    }
}

#[test]
fn a_crash_loses_what_was_not_committed_and_does_it_again() {
    let mut engine = engine(
        TestDriverOptions::new()
            .guarantee(EOS)
            .state(TestState::Lmdb),
    );
    send(&mut engine, "a b", 1, 0);
    assert_eq!(written(&mut engine), BTreeMap::new(), "read committed");
    engine.crash().unwrap();
    engine.advance(COMMIT).unwrap();
    engine.advance(COMMIT).unwrap();
    send(&mut engine, "a", 2, 0);
    engine.advance(COMMIT).unwrap();
    engine.advance(COMMIT).unwrap();
    assert_eq!(
        written(&mut engine),
        [("a".to_owned(), vec![1, 2]), ("b".to_owned(), vec![1])].into()
    );
}

#[test]
fn the_record_cache_holds_updates_back_until_the_commit() {
    let mut engine = engine(TestDriverOptions::new().cache_max_bytes(1 << 20));
    send(&mut engine, "a a a", 1, 0);
    assert_eq!(written(&mut engine), BTreeMap::new());
    assert_eq!(
        counts(&mut engine),
        expected(&[("a", 3)]),
        "the driver sees everything"
    );
    engine.advance(Duration::from_secs(30)).unwrap();
    assert_eq!(written(&mut engine), [("a".to_owned(), vec![3])].into());
    assert_eq!(
        engine.read_placed("words-counts-changelog").unwrap().len(),
        1
    );
}

#[test]
fn a_full_write_buffer_commits_early() {
    let mut options = TestDriverOptions::new().guarantee(EOS);
    options.config = options
        .config
        .commit_every(Duration::from_secs(3_600))
        .write_buffer_max_bytes(1);
    let mut engine = engine(options);
    send(&mut engine, "a b c", 1, 0);
    engine.commit().unwrap();
    engine.crash().unwrap();
    assert_eq!(
        counts(&mut engine),
        expected(&[("a", 1), ("b", 1), ("c", 1)])
    );
}

#[test]
fn only_the_tail_of_a_changelog_is_restored() {
    let mut engine = engine(
        TestDriverOptions::new()
            .guarantee(EOS)
            .state(TestState::Lmdb),
    );
    for _ in 0..50 {
        send(&mut engine, "a b c d", 1, 0);
    }
    engine.advance(COMMIT).unwrap();
    engine.commit().unwrap();
    engine.crash().unwrap();
    let stats = engine.stats();
    assert_eq!((stats.restored, stats.wiped), (0, 0), "LMDB has it all");
    assert_eq!(counts(&mut engine).values().sum::<i64>(), 200);
    let mut memory = self::engine(TestDriverOptions::new().guarantee(EOS));
    send(&mut memory, "a b c d", 1, 0);
    memory.commit().unwrap();
    memory.commit().unwrap();
    memory.crash().unwrap();
    assert_eq!(
        memory.stats().restored,
        4,
        "memory starts from the beginning"
    );
}

/// A repartition topic of two partitions read together with a topic of four that is not ours.
static MERGED: TopologyDescriptor = TopologyDescriptor {
    name: "Merged",
    application_id: "merged",
    topics: &[
        topic::<String, String>("ours", TopicRole::Repartition, Some(2)),
        topic::<String, String>("theirs", TopicRole::Source, Some(4)),
    ],
    stores: &[],
    subtopologies: &[SubtopologyDescriptor {
        sources: &[
            SourceDescriptor {
                node: "ours",
                topic: 0,
                offset_reset: OffsetReset::Earliest,
                timestamps: SourceTimestamps::Configured,
            },
            SourceDescriptor {
                node: "theirs",
                topic: 1,
                offset_reset: OffsetReset::Earliest,
                timestamps: SourceTimestamps::Configured,
            },
        ],
        stores: &[],
        nodes: &[],
        copartitioned: &[],
        times: &[],
    }],
    globals: &[],
};

struct Ignore;

impl SubTopology for Ignore {
    fn process(&mut self, _: usize, _: RawRecord<'_>, _: &mut TaskContext) -> TaskResult {
        Ok(())
    }
    fn flushed(&mut self, _: usize, _: Flushed<'_>, _: &mut TaskContext) -> TaskResult {
        Ok(())
    }
}

#[test]
fn only_our_own_repartition_topics_are_purged() {
    let mut options = TestDriverOptions::new();
    options.purge = true;
    let code: SubTopologies = Arc::new(|_| Ok(Box::new(Ignore)));
    let mut engine = Engine::new(&MERGED, code, options).unwrap();
    for topic in ["merged-ours", "theirs"] {
        for partition in [0, 1] {
            let value = Some(&b"v"[..]);
            engine
                .pipe(
                    topic,
                    Some(partition),
                    value,
                    value,
                    Some(1),
                    Headers::new(),
                )
                .unwrap();
        }
    }
    for partition in [2, 3] {
        let value = Some(&b"v"[..]);
        engine
            .pipe(
                "theirs",
                Some(partition),
                value,
                value,
                Some(1),
                Headers::new(),
            )
            .unwrap();
    }
    engine.advance(Duration::from_secs(31)).unwrap();
    let starts = engine.starts(&["merged-ours", "theirs"]);
    assert_eq!(starts, [vec![1, 1], vec![0, 0, 0, 0]]);
}

#[test]
fn state_that_is_ahead_of_the_log_is_built_anew() {
    let mut engine = engine(
        TestDriverOptions::new()
            .guarantee(EOS)
            .state(TestState::Lmdb),
    );
    send(&mut engine, "a b c", 1, 0);
    engine.commit().unwrap();
    engine.commit().unwrap();
    engine.lose_log();
    assert_eq!(counts(&mut engine), BTreeMap::new());
    assert!(engine.stats().wiped > 0, "the state was thrown away");
    send(&mut engine, "a", 1, 0);
    engine.commit().unwrap();
    engine.commit().unwrap();
    engine.crash().unwrap();
    assert_eq!(counts(&mut engine), expected(&[("a", 1)]));
}

#[test]
fn a_transient_failure_is_retried_as_long_as_configured_and_then_told() {
    let mut engine = engine(TestDriverOptions::new().on_demand());
    let faults = Faults::seeded(1, FaultRates::default());
    engine.wrap_transport(|inner| FaultTransport::new(inner, faults.clone()));
    send(&mut engine, "a", 1, 0);
    faults.set_rates(FaultRates {
        retriable: 10_000,
        ..FaultRates::default()
    });
    for _ in 0..3 {
        engine.step_worker(0).unwrap();
        engine.tick(Duration::from_secs(99));
    }
    faults.set_rates(FaultRates::default());
    engine.run().unwrap();
    assert_eq!(
        counts(&mut engine),
        expected(&[("a", 1)]),
        "what passes leaves no trace"
    );

    faults.set_rates(FaultRates {
        retriable: 10_000,
        ..FaultRates::default()
    });
    engine.step_worker(0).unwrap();
    engine.tick(Duration::from_secs(299));
    engine.step_worker(0).unwrap();
    engine.tick(Duration::from_secs(1));
    let error = engine.step_worker(0).unwrap_err().to_string();
    assert!(
        error.starts_with("gave up after 300s of retries (`task.timeout.ms`)"),
        "{error}"
    );
}

#[test]
fn what_is_rolled_back_for_ever_is_given_up() {
    let mut engine = engine(TestDriverOptions::new().on_demand().guarantee(EOS));
    let faults = Faults::seeded(1, FaultRates::default());
    engine.wrap_transport(|inner| FaultTransport::new(inner, faults.clone()));
    send(&mut engine, "a", 1, 0);
    faults.set_rates(FaultRates {
        abortable: 10_000,
        ..FaultRates::default()
    });
    let failed = (0..100).find_map(|_| {
        engine.tick(Duration::from_secs(20));
        engine.step_worker(0).err()
    });
    let error = failed.expect("an end").to_string();
    assert!(error.starts_with("gave up after 300s"), "{error}");
}

#[test]
fn state_of_a_task_that_left_is_kept_for_its_return_and_then_removed() {
    let mut options = TestDriverOptions::new()
        .guarantee(EOS)
        .state(TestState::Lmdb)
        .workers(2)
        .on_demand();
    options.config = options
        .config
        .with("state.cleanup.delay.ms", "10m")
        .unwrap();
    let mut engine = engine(options);
    send(&mut engine, "a b c d e f g h", 1, 0);
    for _ in 0..2 {
        engine.run().unwrap();
        engine.commit().unwrap();
    }
    let all = engine.task_directories();
    assert_eq!(all.len(), 3, "{all:?}");
    // An instance of another host has had it once.
    engine.leave_directory("1_7");
    let minutes = |n: u64| Duration::from_secs(60 * n);
    for _ in 0..10 {
        engine.tick(minutes(1));
        engine.run().unwrap();
    }
    let mut with_it = all.clone();
    with_it.push("1_7".to_owned());
    assert_eq!(engine.task_directories(), with_it, "kept for its return");
    engine.tick(minutes(1));
    engine.run().unwrap();
    assert_eq!(
        engine.task_directories(),
        all,
        "what is owned stays, however old"
    );
    engine.remove_worker();
    engine.run().unwrap();
    engine.tick(minutes(60));
    engine.run().unwrap();
    assert_eq!(
        engine.task_directories(),
        all,
        "the other worker has it now"
    );
    assert_eq!(engine.stats().restored, 0, "nothing had to be restored");
}
