//! The running application on the embedded log: states, threads that come and go, start-up checks, failures, queries.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kstreams::config::{ProcessingGuarantee, StreamsConfig};
use kstreams::exceptions::{LogAndContinue, StreamThreadExceptionResponse};
use kstreams::outbox::{Outbox, Outgoing};
use kstreams::prelude::*;
use kstreams::transport::embedded::{EmbeddedLog, EmbeddedLogOptions};
use kstreams::transport::{
    CommittedOffset, Consumer, GroupMetadata, ProducerSpec, TopicInfo, Transport,
};
use kstreams::{Error, Running, State};
use tempfile::TempDir;

#[topology(application_id = "words")]
struct Words {
    #[source(topic = "lines", partitions = 4)]
    lines: KStream<(), String>,
    #[from(lines.flat_map_values(|line| line.split(' ').map(str::to_owned)).group_by(|_, word| word.clone()).count())]
    #[sink(topic = "counts", partitions = 2)]
    #[store]
    counts: KTable<String, i64>,
}

#[topology(application_id = "numbers")]
struct Numbers {
    #[source(topic = "numbers", partitions = 1)]
    numbers: KStream<String, i64>,
    #[source(topic = "names", partitions = 2)]
    names: GlobalKTable<i64, String>,
    #[from(numbers.join(names, |_, number| *number, |number, name| format!("{number} is {name}")))]
    #[sink(topic = "named", partitions = 1)]
    named: KStream<String, String>,
}

#[topology(application_id = "rows", optimization = "all")]
struct Rows {
    #[source(topic = "rows", partitions = 1)]
    #[store]
    rows: KTable<String, i64>,
}

#[topology(application_id = "panics")]
struct Panics {
    #[source(topic = "lines", partitions = 4)]
    lines: KStream<String, String>,
    #[from(lines.filter(|_, line| { assert!(line != "x"); true }).group_by_key().count())]
    #[store]
    counts: KTable<String, i64>,
}

/// Nothing here takes that long unless it hangs.
const SOON: Duration = Duration::from_secs(120);

fn config(dir: &TempDir) -> StreamsConfig {
    StreamsConfig::embedded(dir.path().join("log"))
        .create_topics(true)
        .cache_max_bytes(0)
        .commit_every(Duration::from_millis(20))
        .poll(Duration::from_millis(5))
}

fn log(dir: &TempDir) -> EmbeddedLog {
    EmbeddedLog::open(dir.path().join("log"), EmbeddedLogOptions::default()).unwrap()
}

fn create(log: &EmbeddedLog, name: &str, partitions: u32) {
    let config = BTreeMap::new();
    log.admin()
        .unwrap()
        .create_topic(&TopicInfo {
            name: name.to_owned(),
            partitions,
            config,
        })
        .unwrap();
}

fn produce(log: &EmbeddedLog, topic: &str, records: &[(Option<&[u8]>, &[u8])]) {
    let spec = ProducerSpec {
        client_id: "test".to_owned(),
        transactional_id: None,
    };
    let mut producer = log.producer(&spec).unwrap();
    let mut outbox = Outbox::default();
    for (key, value) in records {
        let (headers, timestamp) = (Headers::new(), Some(1));
        let (key, value) = (*key, Some(*value));
        outbox.push(Outgoing {
            topic: 0,
            partition: None,
            key,
            value,
            timestamp,
            headers: &headers,
        });
    }
    producer.send(&outbox, &[topic.into()]).unwrap();
    producer.flush().unwrap();
}

fn consume(log: &EmbeddedLog, topic: &str, partitions: i32) -> Vec<(String, Vec<u8>)> {
    let mut consumer = log.consumer("test").unwrap();
    let all: Vec<_> = (0..partitions)
        .map(|p| (kstreams::TopicPartition::new(topic, p), 0))
        .collect();
    consumer.assign(&all).unwrap();
    let (mut fetched, mut records) = (Vec::new(), Vec::new());
    loop {
        Consumer::poll(&mut *consumer, Duration::ZERO, 1_000, &mut fetched).unwrap();
        let before = records.len();
        for record in fetched.drain(..).flat_map(|f| f.records) {
            let key = String::from_utf8(record.key.unwrap().to_vec()).unwrap();
            records.push((key, record.value.unwrap().to_vec()));
        }
        if records.len() == before {
            return records;
        }
    }
}

/// Waits until the table says what is expected.
fn eventually<A>(app: &Running<A>, expected: impl Fn(&A) -> bool) {
    let deadline = Instant::now() + SOON;
    while !expected(app) {
        let state = app.state();
        assert!(
            Instant::now() < deadline,
            "not within {SOON:?}; the application is {state}"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn total(app: &Words) -> i64 {
    app.counts
        .all()
        .map(|all| all.iter().map(|(_, n)| n).sum())
        .unwrap_or_default()
}

#[test]
fn states_are_told_to_listeners_and_to_async_code() {
    let dir = tempfile::tempdir().unwrap();
    let app = Words::builder().start(config(&dir)).unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    app.streams().on_state_change({
        let told = told.clone();
        move |_, state| told.lock().unwrap().push(state)
    });
    assert!(app.streams().wait_for(State::Running, SOON));
    let streams = app.streams().clone();
    let mut states = app.state_changes();
    assert_eq!(*states.borrow_and_update(), State::Running);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let closing = std::thread::spawn(move || app.close());
    runtime.block_on(async {
        streams.closed().await.unwrap();
        assert!(states.changed().await.is_ok());
    });
    closing.join().unwrap().unwrap();
    assert_eq!(streams.state(), State::NotRunning);
    let told = told.lock().unwrap().clone();
    assert!(
        told.ends_with(&[State::PendingShutdown, State::NotRunning]),
        "{told:?}"
    );
    let refused = streams.add_stream_thread().unwrap_err().to_string();
    assert_eq!(
        refused,
        "the application is NOT_RUNNING: adding a stream thread needs a running one"
    );
}

#[test]
fn a_listener_may_close_the_application() {
    let dir = tempfile::tempdir().unwrap();
    let log = log(&dir);
    create(&log, "lines", 4);
    let app = Words::builder().start(config(&dir)).unwrap();
    assert!(app.streams().wait_for(State::Running, SOON));
    let streams = app.streams().clone();
    // A failure is told on the thread that failed, which cannot wait for itself.
    app.streams().on_state_change(move |_, state| {
        if state == State::PendingError {
            streams.close().unwrap_err();
        }
    });
    produce(&log, "lines", &[(None, b"\xff")]);
    assert!(app.streams().wait_for(State::Error, SOON));
    app.close().unwrap_err();
}

#[test]
fn a_table_whose_topic_is_shorter_than_the_groups_offset_is_read_anew() {
    let dir = tempfile::tempdir().unwrap();
    let log = log(&dir);
    create(&log, "rows", 1);
    produce(&log, "rows", &[(Some(b"a"), &7_i64.to_be_bytes())]);
    // As after the topic was deleted and made anew, which leaves a group's offsets behind.
    let spec = ProducerSpec {
        client_id: "test".to_owned(),
        transactional_id: Some("test".to_owned()),
    };
    let mut producer = log.producer(&spec).unwrap();
    let committed = CommittedOffset {
        offset: 100,
        metadata: String::new(),
    };
    producer.init().unwrap();
    producer.begin().unwrap();
    producer
        .send_offsets(
            &GroupMetadata::outside("rows"),
            &[(kstreams::TopicPartition::new("rows", 0), committed)],
        )
        .unwrap();
    producer.commit().unwrap();
    let app = Rows::builder().start(config(&dir)).unwrap();
    assert!(app.streams().wait_for(State::Running, SOON));
    eventually(&app, |app| {
        app.rows.get(&"a".to_owned()).is_ok_and(|n| n == Some(7))
    });
    app.close().unwrap();
}

/// Of several threads: the others must not get the tasks of the one that panics while it still has their state open.
#[test]
fn a_panic_is_the_error_and_not_what_follows_from_it() {
    for _ in 0..10 {
        let dir = tempfile::tempdir().unwrap();
        let log = log(&dir);
        create(&log, "lines", 4);
        let config = config(&dir).num_stream_threads(3);
        let app = Panics::builder().start(config).unwrap();
        assert!(app.streams().wait_for(State::Running, SOON));
        produce(&log, "lines", &[(Some(b"a"), b"y"), (Some(b"a"), b"x")]);
        assert!(app.streams().wait_for(State::Error, SOON));
        let error = app.close().unwrap_err().to_string();
        assert!(error.contains("panicked: assertion failed"), "{error}");
    }
}

#[test]
fn threads_come_and_go_and_every_record_counts_once() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(&dir)
        .processing_guarantee(ProcessingGuarantee::ExactlyOnceV2)
        .num_stream_threads(2);
    let log = log(&dir);
    create(&log, "lines", 4);
    let app = Words::builder().start(&config).unwrap();
    for round in 0..6 {
        for _ in 0..20 {
            produce(&log, "lines", &[(None, b"a b c d e f g"), (None, b"a a a")]);
        }
        match round {
            0 | 1 => assert!(
                app.streams()
                    .add_stream_thread()
                    .unwrap()
                    .contains("-StreamThread-")
            ),
            3 | 4 => assert!(app.streams().remove_stream_thread().unwrap().is_some()),
            _ => {}
        }
    }
    assert_eq!(app.streams().stream_threads().len(), 2);
    eventually(&app, |app| total(app) == 6 * 20 * 10);
    assert_eq!(app.counts.get(&"a".to_owned()).unwrap(), Some(480));
    assert_eq!(app.counts.get(&"zebra".to_owned()).unwrap(), None);
    app.close().unwrap();

    let mut written: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for (word, count) in consume(&log, "counts", 2) {
        written
            .entry(word)
            .or_default()
            .push(i64::from_be_bytes(count.try_into().unwrap()));
    }
    for (word, counts) in written {
        let sent = if word == "a" { 480 } else { 120 };
        assert_eq!(counts, (1..=sent).collect::<Vec<_>>(), "{word}");
    }
}

#[test]
fn a_restart_goes_on_and_two_instances_on_one_state_directory_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let log = log(&dir);
    create(&log, "lines", 4);
    for times in 1..=3 {
        produce(&log, "lines", &[(None, b"a b")]);
        let app = Words::builder().start(config(&dir)).unwrap();
        eventually(&app, |app| total(app) == 2 * times);
        let second = Words::builder().start(config(&dir)).unwrap_err();
        assert!(second.to_string().contains("state"), "{second}");
        if times == 2 {
            drop(app); // stops as `close` does
        } else {
            let streams = app.streams().clone();
            app.close().unwrap();
            let done = streams.statistics();
            // A line and its two words; the state was there, so nothing was restored.
            assert_eq!((done.processed, done.dropped), (3, 0), "{done:?}");
            assert_eq!((done.restored, done.wiped), (0, 0), "{done:?}");
            assert!(done.commits > 0 && done.aborts == 0, "{done:?}");
        }
    }
}

#[test]
fn topics_that_do_not_fit_are_refused_before_the_first_record() {
    let dir = tempfile::tempdir().unwrap();
    let log = log(&dir);
    let start = || match Words::builder().start(config(&dir).create_topics(false)) {
        Err(Error::Topology(e)) => e.to_string(),
        other => panic!("{other:?}"),
    };
    let missing = start();
    assert!(
        missing.contains("topic `lines`, read by `lines`, does not exist"),
        "{missing}"
    );
    assert!(
        missing.contains("topics create") && missing.contains("4 partitions"),
        "{missing}"
    );

    create(&log, "lines", 4);
    assert!(start().starts_with("topic `counts`, written by the topology, does not exist"));

    create(&log, "counts", 3);
    let wrong = start();
    assert!(
        wrong.starts_with(
            "topic `counts` has 3 partitions, but the topology declares `partitions = 2`"
        ),
        "{wrong}"
    );
}

#[test]
fn an_internal_topic_of_another_size_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    create(&log(&dir), "words-counts-changelog", 7);
    let Err(Error::Topology(e)) = Words::builder().start(config(&dir)) else {
        panic!("started")
    };
    let text = e.to_string();
    assert!(
        text.starts_with(
            "internal topic `words-counts-changelog` has 7 partitions, but the topology needs 4"
        ),
        "{text}"
    );
}

#[test]
fn a_log_must_be_named() {
    let unset = Words::builder()
        .start(StreamsConfig::new())
        .unwrap_err()
        .to_string();
    assert!(
        unset.contains("StreamsConfig::kafka") && unset.contains("StreamsConfig::embedded"),
        "{unset}"
    );
}

#[test]
fn a_record_that_cannot_be_read_stops_the_application_or_is_skipped() {
    let dir = tempfile::tempdir().unwrap();
    let log = log(&dir);
    create(&log, "numbers", 1);
    produce(&log, "numbers", &[(Some(b"k"), b"three")]);
    let app = Numbers::builder().start(config(&dir)).unwrap();
    assert!(app.streams().wait_for(State::Error, SOON));
    let failure = app.close().unwrap_err().to_string();
    assert!(
        failure.contains("the value of offset 0 of numbers-0 cannot be read by `numbers`"),
        "{failure}"
    );
    assert!(failure.contains("5 bytes, but `i64` has 8"), "{failure}");

    produce(&log, "names", &[(Some(&7_i64.to_be_bytes()), b"seven")]);
    produce(&log, "numbers", &[(Some(b"k"), &7_i64.to_be_bytes())]);
    let config = config(&dir).deserialization_exception_handler(LogAndContinue);
    let app = Numbers::builder().start(config).unwrap();
    eventually(&app, |_| !consume(&log, "named", 1).is_empty());
    assert_eq!(
        consume(&log, "named", 1),
        [("k".to_owned(), b"7 is seven".to_vec())]
    );
    app.close().unwrap();
}

#[test]
fn a_global_table_is_complete_before_the_first_record_and_follows_its_topic() {
    let dir = tempfile::tempdir().unwrap();
    let log = log(&dir);
    create(&log, "names", 2);
    create(&log, "numbers", 1);
    let names: Vec<([u8; 8], String)> = (0..500_i64)
        .map(|n| (n.to_be_bytes(), format!("number {n}")))
        .collect();
    let records: Vec<(Option<&[u8]>, &[u8])> = names
        .iter()
        .map(|(k, v)| (Some(k.as_slice()), v.as_bytes()))
        .collect();
    produce(&log, "names", &records);
    produce(&log, "numbers", &[(Some(b"k"), &499_i64.to_be_bytes())]);
    let app = Numbers::builder().start(config(&dir)).unwrap();
    eventually(&app, |_| !consume(&log, "named", 1).is_empty());
    assert_eq!(
        consume(&log, "named", 1),
        [("k".to_owned(), b"499 is number 499".to_vec())]
    );
    assert_eq!(app.names.get(&3).unwrap(), Some("number 3".to_owned()));
    produce(&log, "names", &[(Some(&3_i64.to_be_bytes()), b"three")]);
    eventually(&app, |app| {
        app.names.get(&3).unwrap().as_deref() == Some("three")
    });
    app.close().unwrap();
}

#[test]
fn state_of_another_application_or_on_an_unwritable_path_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "not a directory").unwrap();
    let refused = Words::builder()
        .start(config(&dir).state_dir(Path::new(&file)))
        .unwrap_err()
        .to_string();
    assert!(refused.contains("file"), "{refused}");
}

#[topology(application_id = "fragile")]
struct Fragile {
    #[source(topic = "numbers", partitions = 1)]
    numbers: KStream<String, i64>,
    #[from(numbers.map_values(|n| if n == 13 { panic!("unlucky") } else { n }))]
    #[sink(topic = "lucky", partitions = 1)]
    lucky: KStream<String, i64>,
}

#[test]
fn a_closure_that_panics_stops_the_application_visibly() {
    let dir = tempfile::tempdir().unwrap();
    let log = log(&dir);
    create(&log, "numbers", 1);
    let app = Fragile::builder().start(config(&dir)).unwrap();
    assert!(app.streams().wait_for(State::Running, SOON));
    produce(&log, "numbers", &[(Some(b"k"), &13_i64.to_be_bytes())]);
    assert!(app.streams().wait_for(State::Error, SOON));
    let failure = app.close().unwrap_err().to_string();
    assert!(failure.contains("panicked"), "{failure}");
}

/// How often the records of [`Stumbling`] may still fail.
static FAILURES: AtomicUsize = AtomicUsize::new(0);

#[topology(application_id = "stumbling")]
struct Stumbling {
    #[source(topic = "lines", partitions = 4)]
    lines: KStream<String, String>,
    #[from(lines.try_filter(|_, _| stumble()).group_by_key().count())]
    #[sink(topic = "counts", partitions = 4)]
    #[store]
    counts: KTable<String, i64>,
}

fn stumble() -> Result<bool, &'static str> {
    let left = |n: usize| n.checked_sub(1);
    match FAILURES.fetch_update(Ordering::SeqCst, Ordering::SeqCst, left) {
        Ok(_) => Err("it stumbles"),
        Err(_) => Ok(true),
    }
}

#[topology(application_id = "doomed")]
struct Doomed {
    #[source(topic = "lines", partitions = 4)]
    lines: KStream<String, String>,
    #[from(lines.try_filter(|_, line| if line == "end" { Err("the end") } else { Ok(true) }).group_by_key().count())]
    #[store]
    counts: KTable<String, i64>,
}

#[test]
fn a_replaced_thread_goes_on_and_counts_exactly_once() {
    let dir = TempDir::new().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let handler = {
        let asked = asked.clone();
        move |_: &dyn std::error::Error| {
            asked.fetch_add(1, Ordering::SeqCst);
            StreamThreadExceptionResponse::ReplaceThread
        }
    };
    let config = config(&dir)
        .processing_guarantee(ProcessingGuarantee::ExactlyOnceV2)
        .uncaught_exception_handler(handler);
    let app = Stumbling::builder().start(config).unwrap();
    assert!(app.streams().wait_for(State::Running, SOON));
    let log = log(&dir);
    let mut sent = 0;
    for round in 1..=3 {
        FAILURES.store(1, Ordering::SeqCst);
        for n in 0..40 {
            produce(&log, "lines", &[(Some(&[b'a' + n % 4]), b"go on")]);
            sent += 1;
        }
        eventually(&app, |app| {
            asked.load(Ordering::SeqCst) == round
                && app
                    .counts
                    .all()
                    .is_ok_and(|all| all.iter().map(|(_, n)| n).sum::<i64>() == sent)
        });
    }
    assert!(app.streams().wait_for(State::Running, SOON));
    app.close().unwrap();
    let mut updates: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for (key, value) in consume(&log, "counts", 4) {
        let count = i64::from_be_bytes(value.try_into().unwrap());
        updates.entry(key).or_default().push(count);
    }
    assert_eq!(updates.len(), 4);
    for (key, counts) in updates {
        assert!(counts.iter().copied().eq(1..=30), "{key}: {counts:?}");
    }
}

/// Whether the next record of [`Stopping`] fails.
static STOPS: AtomicBool = AtomicBool::new(false);

#[topology(application_id = "stopping")]
struct Stopping {
    #[source(topic = "lines", partitions = 4)]
    lines: KStream<String, String>,
    #[from(lines.try_filter(|_, _| if STOPS.swap(false, Ordering::SeqCst) { Err("no more") } else { Ok(true) }).group_by_key().count())]
    #[sink(topic = "counts", partitions = 4)]
    #[store]
    counts: KTable<String, i64>,
}

/// The other goes on with the tasks of the one that shut down, exactly once.
#[test]
fn one_instance_shuts_down_and_the_other_goes_on() {
    let dir = TempDir::new().unwrap();
    let states = [(); 2].map(|()| TempDir::new().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let config = |state: &TempDir| {
        let asked = asked.clone();
        config(&dir)
            .state_dir(state.path())
            .processing_guarantee(ProcessingGuarantee::ExactlyOnceV2)
            .uncaught_exception_handler(move |error: &dyn std::error::Error| {
                asked.lock().unwrap().push(error.to_string());
                StreamThreadExceptionResponse::ShutdownClient
            })
    };
    let apps = states
        .each_ref()
        .map(|state| Stopping::builder().start(config(state)).unwrap());
    for app in &apps {
        assert!(app.streams().wait_for(State::Running, SOON));
    }
    let log = log(&dir);
    let send = || {
        for key in [b"a", b"b", b"c", b"d", b"e", b"f"] {
            produce(&log, "lines", &[(Some(key), b"go on")]);
        }
    };
    send();
    eventually(&apps[0], |_| consume(&log, "counts", 4).len() == 6);
    STOPS.store(true, Ordering::SeqCst);
    send();
    eventually(&apps[0], |_| {
        apps.iter().any(|app| app.state() == State::Error)
    });
    let [mut other, mut failed] = apps;
    if other.state() == State::Error {
        std::mem::swap(&mut other, &mut failed);
    }
    let error = failed.close().unwrap_err().to_string();
    assert!(error.contains("no more"), "{error}");
    send();
    eventually(&other, |_| consume(&log, "counts", 4).len() == 18);
    assert!(other.streams().wait_for(State::Running, SOON));
    let asked = std::mem::take(&mut *asked.lock().unwrap());
    assert_eq!(asked.len(), 1, "the other is not asked: {asked:?}");
    assert!(error.ends_with(&asked[0]), "{error}");
    other.close().unwrap();
    let mut counts = BTreeMap::<String, Vec<i64>>::new();
    for (key, value) in consume(&log, "counts", 4) {
        let count = i64::from_be_bytes(value.try_into().unwrap());
        counts.entry(key).or_default().push(count);
    }
    assert!(counts.values().all(|of| of == &[1, 2, 3]), "{counts:?}");
}

/// The one that is told gets the task of the one that failed; one that starts later is not meant.
#[test]
fn one_instance_shuts_down_all_of_the_application() {
    for (guarantee, threads) in [
        (ProcessingGuarantee::AtLeastOnce, 1),
        (ProcessingGuarantee::ExactlyOnceV2, 1),
        (ProcessingGuarantee::ExactlyOnceV2, 3),
    ] {
        let (dir, states) = (
            TempDir::new().unwrap(),
            [(); 2].map(|()| TempDir::new().unwrap()),
        );
        let config = |state: &TempDir| {
            config(&dir)
                .state_dir(state.path())
                .num_stream_threads(threads)
                .processing_guarantee(guarantee)
                .uncaught_exception_handler(|_: &dyn std::error::Error| {
                    StreamThreadExceptionResponse::ShutdownApplication
                })
        };
        let apps = states
            .each_ref()
            .map(|state| Doomed::builder().start(config(state)).unwrap());
        for app in &apps {
            assert!(
                app.streams().wait_for(State::Running, SOON),
                "{guarantee:?}"
            );
        }
        produce(&log(&dir), "lines", &[(Some(b"a"), b"end")]);
        let errors = apps.map(|app| {
            assert!(app.streams().wait_for(State::Error, SOON), "{guarantee:?}");
            app.close().unwrap_err().to_string()
        });
        let says = |text: &str| errors.iter().filter(|e| e.contains(text)).count();
        assert_eq!(
            (says("the end"), says("asked all instances")),
            (1, 1),
            "{errors:?}"
        );

        let later = config(&states[0]).processing_exception_handler(LogAndContinue);
        let later = Doomed::builder().start(later).unwrap();
        assert!(later.streams().wait_for(State::Running, SOON));
        produce(&log(&dir), "lines", &[(Some(b"a"), b"go on")]);
        eventually(&later, |app| {
            app.counts.get(&"a".to_owned()).is_ok_and(|n| n == Some(1))
        });
        later.close().unwrap();
    }
}
