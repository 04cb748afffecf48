//! What the benches on Kafka share: a broker of their own, its input, and what a process has used so far.

#![allow(dead_code, reason = "each bench uses its part")]

use std::fs;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kafka_broker::{Cluster, Options};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};

pub(crate) type Failure = Box<dyn std::error::Error>;

/// Partitions of every topic.
pub(crate) const PARTITIONS: i32 = 4;
const WAIT: Duration = Duration::from_secs(30);

/// One broker, as big as its work needs: it is not what is measured, but it must not slow it down.
pub(crate) fn broker() -> Result<Cluster, Failure> {
    let broker = Options::brokers(1).property("log.cleaner.enable", "false");
    Ok(broker.start()?)
}

/// Creates topics.
pub(crate) fn create_topics(bootstrap: &str, topics: &[&str]) -> Result<(), Failure> {
    let client = kafka_broker::Client::new(bootstrap);
    for topic in topics {
        client.create_topic(topic, PARTITIONS)?;
    }
    Ok(())
}

/// Writes `count` records that `record` makes, key and value, in turns over the partitions of their keys.
pub(crate) fn fill(
    bootstrap: &str,
    topic: &str,
    count: u64,
    mut record: impl FnMut(u64) -> (String, String),
) -> Result<(), Failure> {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("linger.ms", "50")
        .set("queue.buffering.max.messages", "500000")
        .create()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as i64;
    for i in 0..count {
        let (key, value) = record(i);
        let partition = kstreams::partitioner::partition_for_key(key.as_bytes(), PARTITIONS as u32);
        let mut next = BaseRecord::to(topic)
            .partition(partition)
            // Brokers delete what is older than a week.
            .timestamp(now + (i / 1_000) as i64)
            .key(&key)
            .payload(&value);
        loop {
            match producer.send(next) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    producer.poll(Duration::from_millis(5));
                    next = back;
                }
                Err((e, _)) => return Err(e.into()),
            }
        }
        if i % 1_000 == 0 {
            producer.poll(Duration::ZERO);
        }
    }
    Ok(producer.flush(WAIT)?)
}

/// Looks at offsets, from outside.
pub(crate) struct Offsets(BaseConsumer);

impl Offsets {
    /// Of a group.
    pub(crate) fn new(bootstrap: &str, group: &str) -> Result<Self, Failure> {
        let consumer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("group.id", group)
            .create()?;
        Ok(Offsets(consumer))
    }

    /// How many records of a topic are not committed by the group, counting markers of transactions.
    pub(crate) fn lag(&self, topic: &str) -> Result<i64, Failure> {
        let mut list = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            list.add_partition(topic, partition);
        }
        let mut lag = 0;
        for found in self.0.committed_offsets(list, WAIT)?.elements() {
            let (_, end) = self.0.fetch_watermarks(topic, found.partition(), WAIT)?;
            lag += match found.offset() {
                Offset::Offset(next) => end - next,
                _ => end,
            };
        }
        Ok(lag)
    }

    /// The sum of the end offsets of a topic.
    pub(crate) fn end(&self, topic: &str) -> Result<i64, Failure> {
        let ends = (0..PARTITIONS).map(|p| self.0.fetch_watermarks(topic, p, WAIT));
        let ends: Result<Vec<_>, _> = ends.collect();
        Ok(ends?.iter().map(|(_, end)| end).sum())
    }
}

/// What a process has used since it began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Used {
    /// User and system time of all of its threads.
    pub(crate) cpu: Duration,
    /// The most memory that it had at a time (`VmHWM`), in bytes.
    pub(crate) peak: u64,
}

impl Used {
    /// By a process that still runs.
    pub(crate) fn by(pid: u32) -> Result<Self, Failure> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The second field is a name in parentheses, which may hold anything; the third follows the last one.
        let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks: u64 = rest
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse::<u64>().ok())
            .sum();
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<u64>().ok())
            .ok_or("no VmHWM")?;
        Ok(Used {
            // A tick is a hundredth of a second on every Linux.
            cpu: Duration::from_millis(ticks * 10),
            peak: peak * 1024,
        })
    }
}

/// Waits until something holds, looking every `every`.
pub(crate) fn wait_until(
    what: &str,
    every: Duration,
    within: Duration,
    mut holds: impl FnMut() -> Result<bool, Failure>,
) -> Result<(), Failure> {
    let deadline = Instant::now() + within;
    while !holds()? {
        if Instant::now() > deadline {
            return Err(format!("{what}: not within {within:?}").into());
        }
        std::thread::sleep(every);
    }
    Ok(())
}

/// The same numbers at each run.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new() -> Self {
        Random(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}
