//! Errors that nobody took care of: a thread is replaced, or all instances stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kafka_broker::{Client, Cluster, temp_dir};
use kstreams::exceptions::StreamThreadExceptionResponse;
use kstreams::prelude::*;
use kstreams::{Running, State};

use crate::instances::{error_of, eventually, here, wait_until_running};
use crate::records::{Feed, counted_exactly_once, fresh, wait_for_records};
use crate::{Cases, shared};

pub(crate) fn cases() -> Cases {
    shared![
        a_replaced_thread_goes_on_and_counts_exactly_once,
        one_instance_shuts_down_all_of_the_application,
        the_thread_of_global_tables_asks_too,
    ]
    .into()
}

/// How often the records of [`Stumbling`] may still fail.
static FAILURES: AtomicUsize = AtomicUsize::new(0);

#[topology(application_id = "stumbling")]
struct Stumbling {
    #[source(topic = "stumbling-in", partitions = 3)]
    input: KStream<String, String>,
    #[from(input.try_map_values(stumble).group_by_key().count())]
    #[sink(topic = "stumbling-out", partitions = 3)]
    #[store]
    counts: KTable<String, i64>,
}

fn stumble(text: String) -> Result<String, &'static str> {
    let fails = |left: usize| left.checked_sub(1);
    match FAILURES.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fails) {
        Ok(_) => Err("it stumbles"),
        Err(_) => Ok(text),
    }
}

fn a_replaced_thread_goes_on_and_counts_exactly_once(cluster: &Cluster) {
    let client = Client::new(cluster.bootstrap());
    fresh(
        &client,
        "stumbling",
        &[("stumbling-in", 3), ("stumbling-out", 3)],
    );
    let dir = temp_dir().expect("a directory");
    let asked = Arc::new(AtomicUsize::new(0));
    let config = here(cluster, dir.path(), &[("num.stream.threads", "2")])
        .uncaught_exception_handler({
            let asked = asked.clone();
            move |_: &dyn std::error::Error| {
                asked.fetch_add(1, Ordering::SeqCst);
                StreamThreadExceptionResponse::ReplaceThread
            }
        });
    let app = Stumbling::builder().start(config).expect("it starts");
    wait_until_running(&app);
    let feed = Feed::start(&client, "stumbling-in");
    wait_for_records(&client, "stumbling-out", 50);
    // Twice in a row, and once more later: the thread that replaces may fail, too.
    for (failures, so_far) in [(2, 2), (1, 3)] {
        FAILURES.store(failures, Ordering::SeqCst);
        eventually("it has stumbled", || asked.load(Ordering::SeqCst) == so_far);
        eventually("it runs again", || app.state() == State::Running);
        std::thread::sleep(Duration::from_millis(300));
    }
    let counts = feed.stop_after(Duration::from_millis(500));
    counted_exactly_once(&client, "stumbling-out", &counts);
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    assert_eq!(app.streams().stream_threads().len(), 2);
    app.close().expect("it ends in order");
}

#[topology(application_id = "doomed")]
struct Doomed {
    #[source(topic = "doomed-in", partitions = 2)]
    input: KStream<String, String>,
    #[from(input.try_filter(|_, text| if text == "end" { Err("the end") } else { Ok(true) }).group_by_key().count())]
    #[sink(topic = "doomed-out", partitions = 2)]
    #[store]
    counts: KTable<String, i64>,
}

/// Three instances: two have a task each, one is idle. All stop; one that starts afterwards, with the record mended, does not.
fn one_instance_shuts_down_all_of_the_application(cluster: &Cluster) {
    let client = Client::new(cluster.bootstrap());
    fresh(&client, "doomed", &[("doomed-in", 2), ("doomed-out", 2)]);
    for guarantee in ["exactly_once_v2", "at_least_once"] {
        let dirs = [(); 3].map(|()| temp_dir().expect("a directory"));
        let start = |dir: &std::path::Path| {
            let settings = [("processing.guarantee", guarantee)];
            let config = here(cluster, dir, &settings).uncaught_exception_handler(
                |_: &dyn std::error::Error| StreamThreadExceptionResponse::ShutdownApplication,
            );
            Doomed::builder().start(config).expect("it starts")
        };
        let apps: Vec<Running<Doomed>> = dirs.iter().map(|dir| start(dir.path())).collect();
        apps.iter().for_each(wait_until_running);
        let before = client.read("doomed-out").expect("it can be read").len();
        let keys = (0..20).map(|n| (format!("key {n}"), "go on"));
        client
            .produce("doomed-in", keys)
            .expect("it can be written");
        wait_for_records(&client, "doomed-out", before + 20);
        client
            .produce("doomed-in", [("key 0", "end")])
            .expect("it can be written");
        let errors: Vec<String> = apps.into_iter().map(error_of).collect();
        let failed = errors.iter().filter(|e| e.contains("the end")).count();
        let asked = errors
            .iter()
            .filter(|e| e.contains("asked all instances"))
            .count();
        assert_eq!((failed, asked), (1, 2), "{guarantee}: {errors:#?}");

        // One that is started later is not meant. It skips what stopped the others.
        let settings = [
            ("processing.guarantee", guarantee),
            ("processing.exception.handler", "continue"),
        ];
        let later = Doomed::builder().start(here(cluster, dirs[0].path(), &settings));
        let later = later.expect("it starts");
        wait_until_running(&later);
        let marker = format!("after {guarantee}");
        client
            .produce("doomed-in", [(marker.as_str(), "go on")])
            .expect("it can be written");
        eventually("the application goes on", || {
            let all = client.read("doomed-out").expect("it can be read");
            all.iter().any(|message| message.key_text() == marker)
        });
        wait_until_running(&later);
        later.close().expect("it ends in order");
    }
}

#[topology(application_id = "asking")]
struct Asking {
    #[source(topic = "asking-names", partitions = 1)]
    names: GlobalKTable<String, i64>,
    #[source(topic = "asking-in", partitions = 2)]
    input: KStream<String, String>,
    #[from(input.join(names, |key, _| key.clone(), |_, number| *number))]
    #[sink(topic = "asking-out", partitions = 2)]
    output: KStream<String, i64>,
}

/// Both instances read the global table; one skips what is no number, the other one's handler is asked.
fn the_thread_of_global_tables_asks_too(cluster: &Cluster) {
    let client = Client::new(cluster.bootstrap());
    let cases = [
        (StreamThreadExceptionResponse::ReplaceThread, State::Running),
        (
            StreamThreadExceptionResponse::ShutdownClient,
            State::Running,
        ),
        (
            StreamThreadExceptionResponse::ShutdownApplication,
            State::Error,
        ),
    ];
    for (response, of_the_other) in cases {
        let topics = [("asking-names", 1), ("asking-in", 2), ("asking-out", 2)];
        fresh(&client, "asking", &topics);
        let dirs = [(); 2].map(|()| temp_dir().expect("a directory"));
        let asked = Arc::new(AtomicUsize::new(0));
        let config = here(cluster, dirs[0].path(), &[]).uncaught_exception_handler({
            let asked = asked.clone();
            move |_: &dyn std::error::Error| {
                asked.fetch_add(1, Ordering::SeqCst);
                response
            }
        });
        let asking = Asking::builder().start(config).expect("it starts");
        let skips = [("deserialization.exception.handler", "continue")];
        let other = Asking::builder().start(here(cluster, dirs[1].path(), &skips));
        let other = other.expect("it starts");
        wait_until_running(&asking);
        wait_until_running(&other);
        client
            .produce("asking-names", [("one", "no number")])
            .expect("it can be written");
        let error = error_of(asking);
        assert!(error.contains("asking-names-0"), "{response:?}: {error}");
        assert_eq!(asked.load(Ordering::SeqCst), 1, "{response:?}");
        if of_the_other == State::Error {
            let error = error_of(other);
            assert!(error.contains("asked all instances"), "{error}");
        } else {
            // It has both tasks now.
            client
                .produce("asking-names", [("two", 2_i64.to_be_bytes())])
                .expect("it can be written");
            eventually("it follows the table", || {
                other.names.get(&"two".to_owned()).ok().flatten() == Some(2)
            });
            let keys = (0..10).map(|_| ("two", "x"));
            client
                .produce("asking-in", keys)
                .expect("it can be written");
            wait_for_records(&client, "asking-out", 10);
            wait_until_running(&other);
            other.close().expect("it ends in order");
        }
    }
}
