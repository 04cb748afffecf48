//! An outside client of the broker, independent of the transport under test: makes topics, writes input, reads everything.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rdkafka::admin::{AdminClient, AdminOptions, ConfigSource, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

/// How long a record that must come may take.
const SOON: Duration = Duration::from_secs(240);
const WAIT: Duration = Duration::from_secs(120);

/// A record without its place, as bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Written {
    pub(crate) timestamp: i64,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
}

/// Each key's records in order. A key lives in one partition, and only the order within a key is fixed.
pub(crate) type ByKey = BTreeMap<(i32, Option<Vec<u8>>), Vec<Written>>;

/// A record to write.
pub(crate) struct Input {
    pub(crate) key: String,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) timestamp: i64,
    pub(crate) header: Option<&'static str>,
}

fn config(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    config
}

/// Deletes an application's group and topics, where an earlier run on the same cluster left them.
pub(crate) fn forget(bootstrap: &str, application: &str) -> Result<(), String> {
    let client = kafka_broker::Client::new(bootstrap);
    let prefix = format!("{application}-");
    let topics = client.topics().map_err(|e| e.to_string())?;
    let mut left = topics.iter().filter(|t| t.starts_with(&prefix)).peekable();
    if left.peek().is_none() {
        return Ok(());
    }
    for topic in left {
        client.delete_topic(topic).map_err(|e| e.to_string())?;
    }
    let admin: AdminClient<DefaultClientContext> =
        config(bootstrap).create().map_err(|e| e.to_string())?;
    let options = AdminOptions::new().operation_timeout(Some(WAIT));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(|e| e.to_string())?;
    let deleted = runtime.block_on(admin.delete_groups(&[application], &options));
    for result in deleted.map_err(|e| e.to_string())? {
        match result {
            Ok(_) | Err((_, RDKafkaErrorCode::GroupIdNotFound)) => {}
            Err((group, code)) => return Err(format!("{group}: {code}")),
        }
    }
    Ok(())
}

/// Creates topics with so many partitions each.
pub(crate) fn create_topics(
    bootstrap: &str,
    names: &[String],
    partitions: i32,
) -> Result<(), String> {
    let client = kafka_broker::Client::new(bootstrap);
    for name in names {
        let created = client.create_topic(name, partitions);
        created.map_err(|e| e.to_string())?;
    }
    Ok(())
}

/// Writes records, each where Kafka's own partitioner puts it.
pub(crate) fn produce(
    bootstrap: &str,
    topic: &str,
    partitions: u32,
    records: &[Input],
) -> Result<(), String> {
    let producer: BaseProducer = config(bootstrap)
        .set("enable.idempotence", "true")
        .create()
        .map_err(|e| e.to_string())?;
    for input in records {
        let key = input.key.as_bytes();
        let mut record = BaseRecord::to(topic)
            .partition(kstreams::partitioner::partition_for_key(key, partitions))
            .key(key)
            .timestamp(input.timestamp);
        if let Some(value) = &input.value {
            record = record.payload(value.as_slice());
        }
        if let Some(key) = input.header {
            let value = Some("of the input");
            record = record.headers(OwnedHeaders::new().insert(Header { key, value }));
        }
        producer.send(record).map_err(|(e, _)| e.to_string())?;
    }
    producer.flush(WAIT).map_err(|e| e.to_string())
}

/// Reads what is committed in topics, all of it, as it comes.
pub(crate) struct Reader {
    consumer: BaseConsumer,
    ends: Ends,
    partitions: Vec<(String, i32)>,
    pub(crate) topics: BTreeMap<String, ByKey>,
}

impl Reader {
    /// Begins at the beginning of topics that are there.
    pub(crate) fn new(bootstrap: &str, topics: &[String], partitions: i32) -> Result<Self, String> {
        let consumer: BaseConsumer = config(bootstrap)
            .set("group.id", "reads-without-a-group")
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_committed")
            .set("fetch.wait.max.ms", "20")
            .create()
            .map_err(|e| e.to_string())?;
        let all: Vec<(String, i32)> = topics
            .iter()
            .flat_map(|topic| (0..partitions).map(|p| (topic.clone(), p)))
            .collect();
        let mut list = TopicPartitionList::new();
        for (topic, partition) in &all {
            list.add_partition_offset(topic, *partition, Offset::Beginning)
                .map_err(|e| e.to_string())?;
        }
        consumer.assign(&list).map_err(|e| e.to_string())?;
        Ok(Reader {
            consumer,
            ends: Ends::new(bootstrap)?,
            partitions: all,
            topics: topics.iter().map(|t| (t.clone(), ByKey::new())).collect(),
        })
    }

    /// Reads to the ends as they are now. Nobody writes any more.
    pub(crate) fn read_to_end(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + SOON;
        let mut left = Vec::new();
        for (topic, partition) in &self.partitions {
            let end = self.ends.of(topic, *partition)?;
            left.push((topic.clone(), *partition, end));
        }
        loop {
            let positions = self.consumer.position().map_err(|e| e.to_string())?;
            left.retain(|(topic, partition, end)| {
                let at = positions.find_partition(topic, *partition);
                !at.is_some_and(|p| matches!(p.offset(), Offset::Offset(o) if o >= *end))
                    && *end > 0
            });
            if left.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!(
                    "the ends of {left:?} were not reached within {SOON:?}"
                ));
            }
            self.poll()?;
        }
    }

    fn poll(&mut self) -> Result<(), String> {
        match self.consumer.poll(Duration::from_millis(50)) {
            None => Ok(()),
            Some(Err(e)) => Err(e.to_string()),
            Some(Ok(message)) => {
                let headers = message.headers().map_or(Vec::new(), |headers| {
                    let each = headers.iter();
                    each.map(|h| (h.key.to_owned(), h.value.map(<[u8]>::to_vec)))
                        .collect()
                });
                let key = (message.partition(), message.key().map(<[u8]>::to_vec));
                let records = self.topics.entry(message.topic().to_owned()).or_default();
                records.entry(key).or_default().push(Written {
                    timestamp: message.timestamp().to_millis().unwrap_or(-1),
                    value: message.payload().map(<[u8]>::to_vec),
                    headers,
                });
                Ok(())
            }
        }
    }
}

/// Where logs end, with what is in transactions: their markers may still be on the way after the commit.
struct Ends(BaseConsumer);

impl Ends {
    fn new(bootstrap: &str) -> Result<Self, String> {
        let mut config = config(bootstrap);
        config
            .set("group.id", "reads-without-a-group")
            .set("isolation.level", "read_uncommitted");
        config.create().map(Ends).map_err(|e| e.to_string())
    }

    fn of(&self, topic: &str, partition: i32) -> Result<i64, String> {
        let ends = self.0.fetch_watermarks(topic, partition, WAIT);
        ends.map(|(_, end)| end).map_err(|e| e.to_string())
    }
}

/// How many records there are.
pub(crate) fn count(records: &ByKey) -> usize {
    records.values().map(Vec::len).sum()
}

/// What a group committed beside the offset of each partition.
pub(crate) type Metadata = BTreeMap<(String, i32), Beside>;

/// What is committed beside an offset: Kafka Streams' `TopicPartitionMetadata`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Beside {
    pub(crate) partition_time: i64,
    /// Times that processors keep there (`ProcessorMetadata`).
    pub(crate) processors: BTreeMap<String, i64>,
}

/// What a group committed beside its offsets of these topics, of all of which it must have some.
pub(crate) fn committed(
    bootstrap: &str,
    group: &str,
    topics: &[String],
    partitions: i32,
) -> Result<Metadata, String> {
    let consumer = group_consumer(bootstrap, group)?;
    let found = committed_by(&consumer, topics, partitions)?;
    let each = found.elements();
    each.iter()
        .map(|e| match e.offset() {
            Offset::Offset(_) => {
                let place = (e.topic().to_owned(), e.partition());
                let metadata = beside(e.metadata())
                    .ok_or_else(|| format!("{place:?}: `{}` beside the offset", e.metadata()))?;
                Ok((place, metadata))
            }
            other => Err(format!(
                "{}-{}: committed {other:?}",
                e.topic(),
                e.partition()
            )),
        })
        .collect()
}

fn group_consumer(bootstrap: &str, group: &str) -> Result<BaseConsumer, String> {
    let mut config = config(bootstrap);
    let consumer = config.set("group.id", group).create();
    consumer.map_err(|e| e.to_string())
}

fn committed_by(
    consumer: &BaseConsumer,
    topics: &[String],
    partitions: i32,
) -> Result<TopicPartitionList, String> {
    let mut wanted = TopicPartitionList::new();
    for topic in topics {
        for partition in 0..partitions {
            wanted.add_partition(topic, partition);
        }
    }
    let found = consumer.committed_offsets(wanted, WAIT);
    found.map_err(|e| e.to_string())
}

/// The text beside an offset: base64 of version, time, and processors' times by name.
fn beside(text: &str) -> Option<Beside> {
    let bytes = STANDARD.decode(text).ok()?;
    let (time, mut rest) = bytes.strip_prefix(&[2])?.split_first_chunk::<8>()?;
    let mut processors = BTreeMap::new();
    if let Some((count, entries)) = rest.split_first_chunk::<4>() {
        rest = entries;
        for _ in 0..u32::from_be_bytes(*count) {
            let (length, tail) = rest.split_first_chunk::<4>()?;
            let (name, tail) = tail.split_at_checked(u32::from_be_bytes(*length) as usize)?;
            let (time, tail) = tail.split_first_chunk::<8>()?;
            rest = tail;
            let name = String::from_utf8(name.to_vec()).ok()?;
            processors.insert(name, i64::from_be_bytes(*time));
        }
    }
    rest.is_empty().then_some(Beside {
        partition_time: i64::from_be_bytes(*time),
        processors,
    })
}

/// Waits until a group has committed all that is in its topics. Those come first that the others are written from: once a topic's end
/// is committed, what came of it is written.
pub(crate) fn caught_up(
    bootstrap: &str,
    group: &str,
    topics: &[String],
    partitions: i32,
) -> Result<(), String> {
    let (consumer, ends) = (group_consumer(bootstrap, group)?, Ends::new(bootstrap)?);
    let deadline = Instant::now() + SOON;
    for topic in topics {
        for partition in 0..partitions {
            loop {
                let end = ends.of(topic, partition)?;
                let found = committed_by(&consumer, std::slice::from_ref(topic), partitions)?;
                let at = found.find_partition(topic, partition).map(|e| e.offset());
                if end == 0 || at == Some(Offset::Offset(end)) {
                    break;
                }
                if Instant::now() > deadline {
                    return Err(format!(
                        "{topic}-{partition}: {at:?} is committed after {SOON:?}, not {end}"
                    ));
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
    Ok(())
}

/// What is set for a topic itself, by its name.
pub(crate) type Settings = BTreeMap<String, BTreeMap<String, String>>;

/// How topics are set.
pub(crate) fn settings(bootstrap: &str, topics: &[String]) -> Result<Settings, String> {
    let admin: AdminClient<DefaultClientContext> =
        config(bootstrap).create().map_err(|e| e.to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(|e| e.to_string())?;
    let asked: Vec<_> = topics.iter().map(|t| ResourceSpecifier::Topic(t)).collect();
    let told = runtime.block_on(admin.describe_configs(&asked, &AdminOptions::new()));
    let mut settings = Settings::new();
    for (topic, of) in topics.iter().zip(told.map_err(|e| e.to_string())?) {
        let of = of.map_err(|e| format!("{topic}: {e}"))?;
        let set = of.entries.into_iter();
        let set = set.filter(|entry| entry.source == ConfigSource::DynamicTopic);
        let set = set.map(|entry| (entry.name, entry.value.unwrap_or_default()));
        settings.insert(topic.clone(), set.collect());
    }
    Ok(settings)
}
