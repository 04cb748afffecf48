//! What a record costs in the embedded log: `cargo bench -p streams-core --bench embedded_log`. Prints nanoseconds of CPU per record.

use std::sync::Arc;
use std::time::{Duration, Instant};

use streams_core::lmdb::Durability;
use streams_core::outbox::{Outbox, Outgoing};
use streams_core::record::{Headers, TopicPartition};
use streams_core::transport::embedded::{EmbeddedLog, EmbeddedLogOptions};
use streams_core::transport::{ProducerSpec, TopicInfo, Transport};

const PARTITIONS: i32 = 4;

/// Records of keys from `first` on, in four partitions.
fn outbox(first: usize, records: usize) -> Outbox {
    let mut out = Outbox::default();
    let headers = Headers::new();
    for i in first..first + records {
        let key = format!("key-{i:012}");
        out.push(Outgoing {
            topic: 0,
            partition: Some(i32::try_from(i % 4).unwrap_or_default()),
            key: Some(key.as_bytes()),
            value: Some(&[b'v'; 100]),
            timestamp: Some(0),
            headers: &headers,
        });
    }
    out
}

fn measure(name: &str, log: &EmbeddedLog, per_commit: usize, commits: usize) {
    let topic: Arc<str> = name.into();
    let config = [("cleanup.policy".to_owned(), "delete".to_owned())].into();
    let info = TopicInfo {
        name: name.to_owned(),
        partitions: 4,
        config,
    };
    let mut admin = log.admin().expect("an admin client");
    admin.create_topic(&info).expect("a topic");
    let transactional_id = Some(name.to_owned());
    let spec = ProducerSpec {
        client_id: name.to_owned(),
        transactional_id,
    };
    let mut producer = log.producer(&spec).expect("a producer");
    producer.init().expect("an epoch");
    let out = outbox(0, per_commit);
    let records = (per_commit * commits) as u128;

    let (begin, cpu) = (Instant::now(), cpu_time());
    for _ in 0..commits {
        producer.begin().expect("a transaction");
        producer
            .send(&out, std::slice::from_ref(&topic))
            .expect("room");
        producer.commit().expect("a commit");
    }
    let (write, write_cpu) = (begin.elapsed(), cpu_time() - cpu);

    let mut consumer = log.consumer(name).expect("a consumer");
    let all: Vec<_> = (0..PARTITIONS)
        .map(|p| (TopicPartition::new(topic.clone(), p), 0))
        .collect();
    consumer.assign(&all).expect("the partitions");
    let mut read = 0;
    let mut fetched = Vec::new();
    let cpu = cpu_time();
    while read < records {
        consumer
            .poll(Duration::ZERO, 1000, &mut fetched)
            .expect("records");
        read += fetched
            .drain(..)
            .map(|f| f.records.len() as u128)
            .sum::<u128>();
    }
    let read_cpu = cpu_time() - cpu;
    println!(
        "{name:>16}: write {:>6}, read {:>5} ns of CPU a record; a commit of {per_commit} takes {} us",
        write_cpu.as_nanos() / records,
        read_cpu.as_nanos() / records,
        write.as_micros() / commits as u128,
    );
}

/// A changelog of 100,000 keys, each written 50 times: what its compaction adds, and what is left.
fn compacted(name: &str, log: &EmbeddedLog) {
    let topic: Arc<str> = name.into();
    let config = [("cleanup.policy".to_owned(), "compact".to_owned())].into();
    let info = TopicInfo {
        name: name.to_owned(),
        partitions: 4,
        config,
    };
    log.admin()
        .and_then(|mut admin| admin.create_topic(&info))
        .expect("a topic");
    let spec = ProducerSpec {
        client_id: name.to_owned(),
        transactional_id: None,
    };
    let mut producer = log.producer(&spec).expect("a producer");
    let parts: Vec<Outbox> = (0..100).map(|i| outbox(i * 1000, 1000)).collect();
    let (begin, cpu) = (Instant::now(), cpu_time());
    let mut slowest = Duration::ZERO;
    for out in std::iter::repeat_n(&parts, 50).flatten() {
        let begin = cpu_time();
        producer
            .send(out, std::slice::from_ref(&topic))
            .expect("room");
        producer.flush().expect("a commit");
        slowest = slowest.max(cpu_time() - begin);
    }
    let (write, write_cpu) = (begin.elapsed(), cpu_time() - cpu);
    let mut consumer = log.consumer(name).expect("a consumer");
    let all: Vec<_> = (0..PARTITIONS)
        .map(|p| (TopicPartition::new(topic.clone(), p), 0))
        .collect();
    consumer.assign(&all).expect("the partitions");
    let (mut left, mut ends) = (0, 0);
    while ends < PARTITIONS {
        let mut fetched = Vec::new();
        consumer
            .poll(Duration::ZERO, 100_000, &mut fetched)
            .expect("records");
        left += fetched.iter().map(|f| f.records.len()).sum::<usize>();
        ends += fetched.iter().map(|f| i32::from(f.at_end)).sum::<i32>();
    }
    println!(
        "{name:>16}: write {:>6} ns of CPU a record, slowest commit {} us; {left} of 5000000 records left, {} ms",
        write_cpu.as_nanos() / 5_000_000,
        slowest.as_micros(),
        write.as_millis(),
    );
}

/// What this thread has computed, in and for this process: other load on the machine does not count.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let ns = stat
        .split(' ')
        .next()
        .and_then(|n| n.parse().ok())
        .unwrap_or_default();
    Duration::from_nanos(ns)
}

fn main() {
    compacted("memory-compacted", &EmbeddedLog::in_memory());
    let dir = tempfile::tempdir().expect("a directory");
    let options = EmbeddedLogOptions {
        durability: Durability::NoSync,
        ..EmbeddedLogOptions::default()
    };
    compacted(
        "disk-compacted",
        &EmbeddedLog::open(dir.path(), options).expect("a log"),
    );
    let size = dir
        .path()
        .join("data.mdb")
        .metadata()
        .map_or(0, |m| m.len());
    println!("{:>16}  {} MB on disk", "", size >> 20);
    for per_commit in [10_000, 100, 1] {
        let commits = (1_000_000 / per_commit).min(50_000);
        measure(
            &format!("memory-{per_commit}"),
            &EmbeddedLog::in_memory(),
            per_commit,
            commits,
        );
    }
    for (durability, word, most) in [
        (Durability::NoSync, "disk", 20_000),
        (Durability::Sync, "disk-sync", 300),
    ] {
        for per_commit in [10_000, 100, 1] {
            let dir = tempfile::tempdir().expect("a directory");
            let options = EmbeddedLogOptions {
                durability,
                ..EmbeddedLogOptions::default()
            };
            let log = EmbeddedLog::open(dir.path(), options).expect("a log");
            let commits = (500_000 / per_commit).min(most);
            measure(&format!("{word}-{per_commit}"), &log, per_commit, commits);
        }
    }
}
