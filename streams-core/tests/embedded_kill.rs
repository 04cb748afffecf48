//! SIGKILL at random moments: every transaction that the embedded log acknowledged is there, whole, and none is there by half.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use streams_core::lmdb::Durability;
use streams_core::outbox::{Outbox, Outgoing};
use streams_core::record::{Headers, TopicPartition};
use streams_core::transport::embedded::{EmbeddedLog, EmbeddedLogOptions};
use streams_core::transport::{CommittedOffset, GroupMetadata, ProducerSpec, TopicInfo, Transport};

const ROUNDS: u32 = 24;
/// More of them, each longer, where a slow machine got nowhere.
const MOST_ROUNDS: u32 = 10 * ROUNDS;
/// The child's directory; without it, the child's test does nothing.
const DIR: &str = "KSTREAMS_TEST_LOG_DIR";
/// `sync` or not.
const SYNC: &str = "KSTREAMS_TEST_LOG_SYNC";
const TOPICS: [&str; 3] = ["plain", "compacted", "short"];
const PARTITIONS: i32 = 3;
const GROUP: &str = "killed";

fn open(dir: &Path, durability: Durability) -> EmbeddedLog {
    EmbeddedLog::open(
        dir,
        EmbeddedLogOptions {
            durability,
            ..EmbeddedLogOptions::default()
        },
    )
    .unwrap()
}

fn names() -> Vec<Arc<str>> {
    TOPICS.iter().map(|t| Arc::from(*t)).collect()
}

/// How many records transaction `n` writes to each partition of `plain`.
fn records_of(n: u64) -> u64 {
    1 + n % 7
}

/// Transaction `n`: its number in records of all partitions of `plain`, one in each other topic, and as the group's offset.
fn transaction(n: u64) -> Outbox {
    let mut out = Outbox::default();
    let value = format!("{n}");
    let large = vec![b'x'; usize::try_from(n % 5 * 3_000).unwrap()];
    let key = format!("k{}", n % 50);
    for partition in 0..PARTITIONS {
        for _ in 0..records_of(n) {
            push(&mut out, 0, partition, &key, value.as_bytes());
        }
    }
    push(&mut out, 1, 0, &key, value.as_bytes());
    push(&mut out, 2, 0, &key, &large);
    out
}

fn push(out: &mut Outbox, topic: usize, partition: i32, key: &str, value: &[u8]) {
    out.push(Outgoing {
        topic,
        partition: Some(partition),
        key: Some(key.as_bytes()),
        value: Some(value),
        timestamp: Some(0),
        headers: &Headers::new(),
    });
}

fn offset_partition() -> TopicPartition {
    TopicPartition::new("plain", 0)
}

/// Where the group says that the log stands.
fn committed(log: &EmbeddedLog) -> u64 {
    let offsets = log
        .admin()
        .unwrap()
        .committed(GROUP, &[offset_partition()])
        .unwrap();
    offsets[0]
        .as_ref()
        .map_or(0, |o| u64::try_from(o.offset).unwrap())
}

/// The child: commits one transaction after the other, and says so on its standard output.
#[test]
fn child_commits_until_it_is_killed() {
    let Some(dir) = std::env::var_os(DIR) else {
        return;
    };
    let durability = if std::env::var_os(SYNC).is_some() {
        Durability::Sync
    } else {
        Durability::NoSync
    };
    let log = open(Path::new(&dir), durability);
    let spec = ProducerSpec {
        client_id: "child".to_owned(),
        transactional_id: Some("child".to_owned()),
    };
    let mut producer = log.producer(&spec).unwrap();
    producer.init().unwrap();
    let mut out = std::io::stdout();
    writeln!(out, "\nready").unwrap();
    for n in committed(&log) + 1.. {
        producer.begin().unwrap();
        producer.send(&transaction(n), &names()).unwrap();
        let offset = CommittedOffset {
            offset: i64::try_from(n).unwrap(),
            metadata: String::new(),
        };
        producer
            .send_offsets(
                &GroupMetadata::outside(GROUP),
                &[(offset_partition(), offset)],
            )
            .unwrap();
        producer.commit().unwrap();
        writeln!(out, "committed {n}").unwrap();
        out.flush().unwrap();
    }
}

fn kill_and_look(sync: bool) {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path(), Durability::Sync);
    for (topic, config) in TOPICS.iter().zip([
        vec![],
        vec![
            ("cleanup.policy", "compact"),
            ("segment.bytes", "4096"),
            ("min.cleanable.dirty.ratio", "0.1"),
        ],
        vec![("retention.bytes", "100000")],
    ]) {
        let config = config
            .into_iter()
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect();
        let partitions = u32::try_from(PARTITIONS).unwrap();
        log.admin()
            .unwrap()
            .create_topic(&TopicInfo {
                name: (*topic).to_owned(),
                partitions,
                config,
            })
            .unwrap();
    }
    drop(log);
    let mut random: u64 = 42;
    let mut killed_at = Vec::new();
    for round in 0..MOST_ROUNDS {
        if round >= ROUNDS && killed_at.last() > killed_at.first() {
            break;
        }
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "child_commits_until_it_is_killed", "--nocapture"])
            .env(DIR, dir.path());
        if sync {
            command.env(SYNC, "1");
        }
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        lines
            .by_ref()
            .find(|l| l.as_ref().unwrap() == "ready")
            .unwrap()
            .unwrap();
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(Duration::from_micros(random >> 47) * (1 + round / ROUNDS));
        child.kill().unwrap();
        let acknowledged = lines
            .map_while(Result::ok)
            .filter_map(|l| {
                l.strip_prefix("committed ")
                    .and_then(|n| n.parse::<u64>().ok())
            })
            .last();
        child.wait().unwrap();
        let log = open(dir.path(), Durability::Sync);
        let there = committed(&log);
        killed_at.push(there);
        assert!(
            acknowledged.is_none_or(|n| n <= there),
            "{acknowledged:?} was acknowledged, {there} are there"
        );
        check(&log, there);
    }
    assert!(
        killed_at.last() > killed_at.first(),
        "it got on: {killed_at:?}"
    );
}

/// Exactly the transactions up to `last` are in the log, each whole.
fn check(log: &EmbeddedLog, last: u64) {
    let values = |topic: &str, partition| {
        let partition = TopicPartition::new(topic, partition);
        let range = log
            .admin()
            .unwrap()
            .offsets(std::slice::from_ref(&partition))
            .unwrap()[0];
        let mut consumer = log.consumer("check").unwrap();
        consumer.assign(&[(partition, range.start)]).unwrap();
        let mut fetched = Vec::new();
        let mut records = Vec::new();
        let mut at_end = false;
        while !at_end {
            consumer.poll(Duration::ZERO, 10_000, &mut fetched).unwrap();
            at_end = fetched.iter().any(|f| f.at_end);
            records.extend(fetched.drain(..).flat_map(|f| f.records));
        }
        (range, records)
    };
    for partition in 0..PARTITIONS {
        let mut expected = (1..=last).flat_map(|n| (0..records_of(n)).map(move |_| n));
        let (range, records) = values("plain", partition);
        for (offset, record) in (0..).zip(&records) {
            assert_eq!(record.offset, offset);
            let n: u64 = std::str::from_utf8(record.value.as_ref().unwrap())
                .unwrap()
                .parse()
                .unwrap();
            assert_eq!(Some(n), expected.next());
        }
        assert_eq!(expected.next(), None);
        assert_eq!(range.end, i64::try_from(records.len()).unwrap());
    }
    let (range, records) = values("compacted", 0);
    assert_eq!(range.end, i64::try_from(last).unwrap());
    let newest: BTreeMap<_, _> = records
        .iter()
        .map(|r| {
            (
                r.key.clone().unwrap(),
                String::from_utf8(r.value.clone().unwrap().to_vec()).unwrap(),
            )
        })
        .collect();
    for n in last.saturating_sub(49).max(1)..=last {
        assert_eq!(newest[format!("k{}", n % 50).as_bytes()], n.to_string());
    }
    let (range, records) = values("short", 0);
    assert_eq!(range.end, i64::try_from(last).unwrap());
    assert_eq!(
        records.len(),
        usize::try_from(range.end - range.start).unwrap()
    );
}

#[cfg(unix)]
#[test]
fn killed_while_waiting_for_the_disk() {
    kill_and_look(true);
}

#[cfg(unix)]
#[test]
fn killed_without_waiting_for_the_disk() {
    kill_and_look(false);
}
