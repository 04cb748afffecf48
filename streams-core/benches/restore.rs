//! How fast a store is restored from an empty directory, and how fast LMDB takes the same records in bulk. `cargo bench -p streams-core
//! --bench restore` on the embedded log; `-- kafka` on a broker of its own as well; `--records=N` for another number.
#![allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "an expansion is among it"
)]

#[path = "../tests/golden/word_count.rs"]
mod word_count;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kafka_broker::Cluster;
use streams_core::config::{ProcessingGuarantee, StateRestoreListener, StreamsConfig};
use streams_core::outbox::{Outbox, Outgoing};
use streams_core::query::QueryRegistry;
use streams_core::record::{Headers, TaskId, TopicPartition};
use streams_core::runtime::{State, start_on};
use streams_core::state_dir::StateDirectory;
use streams_core::store::{StoreSettings, StoreSpec, TaskStores};
use streams_core::topology::StoreBackend;
use streams_core::transport::embedded::{EmbeddedLog, EmbeddedLogOptions};
use streams_core::transport::kafka::KafkaTransport;
use streams_core::transport::{ProducerSpec, TopicInfo, Transport};
use word_count::WordCount;

const CHANGELOG: &str = "word-count-counts-changelog";
const SOON: Duration = Duration::from_secs(300);

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |a: &String| a.strip_prefix("--records=")?.parse().ok();
    let records: u64 = arguments.iter().find_map(number).unwrap_or(1_000_000);
    println!("{records} records of as many 16-byte keys in no order, 8-byte values, one partition");
    bulk(records);
    let dir = tempfile::tempdir().expect("a directory");
    let log = EmbeddedLog::open(dir.path().join("log"), EmbeddedLogOptions::default());
    restore(
        "embedded log",
        Arc::new(log.expect("a log")),
        records,
        dir.path(),
    );
    if arguments.iter().any(|a| a == "kafka") {
        let cluster = Cluster::start(1).expect("a broker");
        let config = StreamsConfig::kafka(cluster.bootstrap());
        let transport = KafkaTransport::new(&config).expect("a transport");
        let dir = tempfile::tempdir().expect("a directory");
        restore("Kafka", Arc::new(transport), records, dir.path());
    }
}

fn key(i: u64) -> String {
    format!("{:016x}", i.wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

/// LMDB alone: batches as the restorer makes them.
fn bulk(records: u64) {
    for batch in [10_000, 250_000, records] {
        let dir = tempfile::tempdir().expect("a directory");
        let state = StateDirectory::open(dir.path(), "bench", uuid::Uuid::new_v4);
        let task = TaskId {
            subtopology: 0,
            partition: 0,
        };
        let directory = state.and_then(|s| s.task(task)).expect("a directory");
        let spec = StoreSpec {
            name: "store".into(),
            backend: StoreBackend::Lmdb,
            segments: None,
        };
        let mut stores =
            TaskStores::open(directory, &[spec], &StoreSettings::default()).expect("stores");
        let keys: Vec<String> = (0..records).map(key).collect();
        let begin = Instant::now();
        let mut offset = 0;
        for batch in keys.chunks(usize::try_from(batch).unwrap_or(usize::MAX)) {
            offset += batch.len() as i64;
            let entries = batch.iter().map(|k| (k.as_bytes(), Some(&[7_u8; 16][..])));
            stores.restore(0, entries, offset).expect("room");
        }
        report(
            &format!("LMDB, {batch} records a transaction"),
            records,
            begin.elapsed(),
        );
    }
}

fn report(what: &str, records: u64, took: Duration) {
    let rate = records as f64 / took.as_secs_f64() / 1e6;
    println!("{what:48} {took:8.2?} {rate:6.2} M/s");
}

/// When the restore began and ended.
#[derive(Default)]
struct Times(Mutex<Vec<Instant>>);

impl StateRestoreListener for Times {
    fn on_restore_start(&self, _: &TopicPartition, _: &str, _: i64, _: i64) {
        self.0.lock().expect("no panic").push(Instant::now());
    }
    fn on_restore_end(&self, _: &TopicPartition, _: &str, _: u64) {
        self.0.lock().expect("no panic").push(Instant::now());
    }
}

fn restore(what: &str, log: Arc<dyn Transport>, records: u64, dir: &Path) {
    let mut admin = log.admin().expect("an admin client");
    for name in ["lines", "counts", CHANGELOG] {
        let config = if name == CHANGELOG {
            [("cleanup.policy".to_owned(), "compact".to_owned())].into()
        } else {
            [].into()
        };
        let name = name.to_owned();
        let info = TopicInfo {
            name,
            partitions: 1,
            config,
        };
        admin.create_topic(&info).expect("a topic");
    }
    fill(&*log, records);
    for round in 0..2 {
        let times = Arc::new(Times::default());
        let config = StreamsConfig::new()
            .processing_guarantee(ProcessingGuarantee::ExactlyOnceV2)
            .state_dir(dir.join(format!("state-{round}")))
            .on_restore(times.clone());
        let queries = QueryRegistry::new(1);
        let app = Arc::new(WordCount::new(&queries));
        let app = start_on(app, queries, config, log.clone()).expect("it starts");
        assert!(
            app.streams().wait_for(State::Running, SOON),
            "{}",
            app.state()
        );
        assert_eq!(app.streams().statistics().restored, records);
        app.close().expect("it ends");
        if let [begin, end] = times.0.lock().expect("no panic")[..] {
            report(&format!("restore from {what}"), records, end - begin);
        }
    }
}

fn fill(log: &dyn Transport, records: u64) {
    let spec = ProducerSpec {
        client_id: "bench".to_owned(),
        transactional_id: None,
    };
    let mut producer = log.producer(&spec).expect("a producer");
    let headers = Headers::new();
    let keys: Vec<String> = (0..records).map(key).collect();
    for batch in keys.chunks(10_000) {
        let mut outbox = Outbox::default();
        for key in batch {
            outbox.push(Outgoing {
                topic: 0,
                partition: Some(0),
                key: Some(key.as_bytes()),
                value: Some(&[7; 8]),
                timestamp: Some(1),
                headers: &headers,
            });
        }
        producer.send(&outbox, &[CHANGELOG.into()]).expect("room");
        producer.flush().expect("it is written");
    }
}
