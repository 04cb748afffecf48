//! Restoring off the stream threads: what goes on meanwhile, who takes tasks away, what is told, and what goes wrong.
#![allow(missing_docs, unreachable_pub, reason = "an expansion is among it")]

#[path = "golden/word_count.rs"]
mod word_count;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use streams_core::config::{ProcessingGuarantee, StateRestoreListener, StreamsConfig};
use streams_core::outbox::{Outbox, Outgoing};
use streams_core::query::QueryRegistry;
use streams_core::record::{Headers, TopicPartition};
use streams_core::runtime::{Running, State, start_on};
use streams_core::transport::embedded::EmbeddedLog;
use streams_core::transport::fault::{FaultRates, FaultTransport, Faults};
use streams_core::transport::{ProducerSpec, TopicInfo, Transport};
use word_count::WordCount;

const SOON: Duration = Duration::from_secs(120);
const CHANGELOG: &str = "word-count-counts-changelog";
/// A word of each of the two partitions of `counts`.
const WORDS: [&str; 2] = ["a", "d"];

/// A log whose readers can be held up, and where the state lies.
struct World {
    log: Arc<dyn Transport>,
    faults: Faults,
    dir: tempfile::TempDir,
    told: Arc<Told>,
}

impl World {
    /// Everything is counted `times` times, and what was counted is gone from disk.
    fn to_restore(times: i64) -> World {
        let log = EmbeddedLog::in_memory();
        for name in ["lines", "counts"] {
            let info = TopicInfo {
                name: name.to_owned(),
                partitions: 2,
                config: BTreeMap::new(),
            };
            log.admin().unwrap().create_topic(&info).unwrap();
        }
        let faults = Faults::none();
        let world = World {
            log: Arc::new(FaultTransport::new(Arc::new(log), faults.clone())),
            faults,
            dir: tempfile::tempdir().unwrap(),
            told: Arc::new(Told::default()),
        };
        let app = world.start("before", 1);
        assert!(app.wait_for(State::Running));
        for _ in 0..times {
            world.send("a d");
        }
        eventually(|| world.written() == expected(times));
        app.close().unwrap();
        world.told.0.lock().unwrap().clear();
        world
    }

    fn config(&self, state: &str, threads: usize) -> StreamsConfig {
        StreamsConfig::new()
            .processing_guarantee(ProcessingGuarantee::ExactlyOnceV2)
            .commit_every(Duration::from_millis(10))
            .poll(Duration::from_millis(5))
            .cache_max_bytes(0)
            .num_stream_threads(threads)
            .state_dir(self.dir.path().join(state))
            .on_restore(self.told.clone())
    }

    fn start(&self, state: &str, threads: usize) -> App {
        let queries = QueryRegistry::new(1);
        let app = Arc::new(WordCount::new(&queries));
        App(start_on(app, queries, self.config(state, threads), self.log.clone()).unwrap())
    }

    fn send(&self, line: &str) {
        self.write("lines", 0, None, line.as_bytes());
    }

    fn write(&self, topic: &str, partition: i32, key: Option<&[u8]>, value: &[u8]) {
        let spec = ProducerSpec {
            client_id: "test".to_owned(),
            transactional_id: None,
        };
        let mut outbox = Outbox::default();
        outbox.push(Outgoing {
            topic: 0,
            partition: Some(partition),
            key,
            value: Some(value),
            timestamp: Some(1),
            headers: &Headers::new(),
        });
        let mut producer = self.log.producer(&spec).unwrap();
        producer.send(&outbox, &[topic.into()]).unwrap();
        producer.flush().unwrap();
    }

    /// The last count of each word.
    fn written(&self) -> BTreeMap<String, i64> {
        let mut consumer = self.log.consumer("test").unwrap();
        let all = [0, 1].map(|p| (TopicPartition::new("counts", p), 0));
        consumer.assign(&all).unwrap();
        let (mut fetched, mut counts) = (Vec::new(), BTreeMap::new());
        loop {
            consumer.poll(Duration::ZERO, 1_000, &mut fetched).unwrap();
            let records: Vec<_> = fetched.drain(..).flat_map(|f| f.records).collect();
            if records.is_empty() {
                return counts;
            }
            for record in records {
                let word = String::from_utf8(record.key.unwrap().to_vec()).unwrap();
                let count = record.value.unwrap().as_ref().try_into().unwrap();
                counts.insert(word, i64::from_be_bytes(count));
            }
        }
    }

    /// Readers see nothing of the changelog of a partition.
    fn hold(&self, partition: i32) {
        self.faults
            .hold(TopicPartition::new(CHANGELOG, partition), 0);
    }
}

struct App(Running<WordCount>);

impl App {
    fn wait_for(&self, state: State) -> bool {
        self.0.streams().wait_for(state, SOON)
    }

    fn close(self) -> streams_core::error::Result {
        self.0.close()
    }
}

fn expected(times: i64) -> BTreeMap<String, i64> {
    WORDS.map(|word| (word.to_owned(), times)).into()
}

fn eventually(is: impl Fn() -> bool) {
    for _ in 0..12_000 {
        if is() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("not in time");
}

/// What a restore listener was told, and on which threads.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Told {
    fn push(&self, what: &str, partition: &TopicPartition, more: &str) {
        let thread = std::thread::current().name().unwrap_or_default().to_owned();
        let thread = thread
            .split("-StateUpdater-")
            .nth(1)
            .unwrap_or("?")
            .to_owned();
        let told = format!("{what} {} on {thread}{more}", partition.partition);
        self.0.lock().unwrap().push(told);
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    fn count(&self, what: &str) -> usize {
        self.all().iter().filter(|t| t.starts_with(what)).count()
    }
}

impl StateRestoreListener for Told {
    fn on_restore_start(&self, partition: &TopicPartition, _: &str, from: i64, to: i64) {
        self.push("start", partition, &format!(": {from} to {to}"));
    }
    fn on_batch_restored(&self, partition: &TopicPartition, _: &str, next: i64, n: u64) {
        self.push("batch", partition, &format!(": {n} up to {next}"));
    }
    fn on_restore_end(&self, partition: &TopicPartition, _: &str, total: u64) {
        self.push("end", partition, &format!(": {total}"));
    }
    fn on_restore_suspended(&self, partition: &TopicPartition, _: &str, total: u64) {
        self.push("suspended", partition, &format!(": {total}"));
    }
}

#[test]
fn other_tasks_of_the_thread_go_on_while_one_is_restored() {
    let world = World::to_restore(3);
    world.hold(1);
    let app = world.start("after", 1);
    // The one thread has all four tasks; three of them process.
    world.send("a d");
    eventually(|| world.written().values().sum::<i64>() == 7);
    let restoring = app.0.streams().restoring();
    assert_eq!(restoring.len(), 1, "{restoring:?}");
    assert_eq!(restoring[0].partition, TopicPartition::new(CHANGELOG, 1));
    assert_eq!(
        (restoring[0].store, restoring[0].starting_offset),
        ("counts", 0)
    );
    assert_eq!((restoring[0].offset, restoring[0].ending_offset), (0, 3));
    assert_eq!(app.0.state(), State::Rebalancing);
    world.faults.release();
    assert!(app.wait_for(State::Running));
    eventually(|| world.written() == expected(4));
    assert!(app.0.streams().restoring().is_empty());
    let done = app.0.streams().statistics();
    assert_eq!((done.restored, done.wiped), (6, 0), "{done:?}");
    app.close().unwrap();
    let told = world.told.all();
    for partition in 0..2 {
        let of_it: Vec<&String> = told
            .iter()
            .filter(|t| t.split(' ').nth(1) == Some(if partition == 0 { "0" } else { "1" }))
            .collect();
        let expected = [
            format!("start {partition} on 1: 0 to 3"),
            format!("batch {partition} on 1: 3 up to 3"),
            format!("end {partition} on 1: 3"),
        ];
        assert_eq!(of_it, expected.iter().collect::<Vec<_>>());
    }
}

#[test]
fn a_task_that_is_being_restored_moves_on_and_an_application_that_restores_closes() {
    let world = World::to_restore(3);
    world.hold(0);
    world.hold(1);
    let app = world.start("after", 1);
    eventually(|| app.0.streams().restoring().len() == 2);
    app.0.streams().add_stream_thread().unwrap();
    // Of the two tasks at least one goes to the new thread, and begins anew there.
    eventually(|| world.told.count("suspended") > 0 && app.0.streams().restoring().len() == 2);
    app.close().unwrap();
    let told = world.told.all();
    assert!(told.iter().any(|t| t.contains("on 2")), "{told:?}");
    assert_eq!(
        world.told.count("suspended"),
        world.told.count("start"),
        "{told:?}"
    );

    world.faults.release();
    let app = world.start("after", 2);
    world.send("a d");
    eventually(|| world.written() == expected(4));
    assert_eq!(app.0.streams().statistics().wiped, 0);
    app.close().unwrap();
}

#[test]
fn what_passes_is_retried_on_the_updaters_thread() {
    let world = World::to_restore(3);
    world.hold(1);
    let app = world.start("after", 1);
    eventually(|| app.0.streams().restoring().len() == 1);
    world.faults.set_rates(FaultRates {
        retriable: 3_000,
        ..FaultRates::default()
    });
    world.faults.release();
    assert!(app.wait_for(State::Running));
    world.faults.set_rates(FaultRates::default());
    world.send("a d");
    eventually(|| world.written() == expected(4));
    app.close().unwrap();
}

#[test]
fn a_changelog_record_that_cannot_be_restored_stops_the_application_and_is_named() {
    let world = World::to_restore(1);
    world.write(CHANGELOG, 1, Some(b"word"), b"no number");
    let app = world.start("after", 1);
    assert!(app.wait_for(State::Error));
    let error = app.close().unwrap_err().to_string();
    let place =
        format!("offset 1 of changelog {CHANGELOG}-1 cannot be restored into store `counts`");
    assert!(error.contains(&place), "{error}");
    assert!(error.contains("9 bytes, but `i64` has 8"), "{error}");
    assert!(
        Path::new(world.dir.path())
            .join("after/word-count")
            .exists()
    );
}

#[test]
fn a_listener_that_panics_stops_the_application() {
    struct Panics;
    impl StateRestoreListener for Panics {
        fn on_restore_start(&self, _: &TopicPartition, _: &str, _: i64, _: i64) {
            panic!("a listener's mistake");
        }
    }
    let world = World::to_restore(1);
    let queries = QueryRegistry::new(1);
    let app = Arc::new(WordCount::new(&queries));
    let config = world.config("after", 2).on_restore(Arc::new(Panics));
    let app = App(start_on(app, queries, config, world.log.clone()).unwrap());
    assert!(app.wait_for(State::Error));
    let error = app.close().unwrap_err().to_string();
    assert!(error.contains("it panicked"), "{error}");
}
