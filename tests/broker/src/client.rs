//! An outside client: makes topics, writes and reads records, and shares no code with the transport under test.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication, TopicResult};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext};
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use crate::error::Error;

/// Brokers may be away for a while in a test that kills them.
const TIMEOUT: Duration = Duration::from_secs(180);

/// A way to a cluster. Cheap: it connects when it is used.
#[derive(Debug, Clone)]
pub struct Client {
    config: ClientConfig,
}

/// A record as it lies in a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The partition that it lies in.
    pub partition: i32,
    /// Where it lies in it.
    pub offset: i64,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value.
    pub value: Option<Vec<u8>>,
}

/// A group of the classic protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// `Stable`, `Empty`, `PreparingRebalance` …
    pub state: String,
    /// Who is in it, in no order.
    pub members: Vec<Member>,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// What the broker calls it; a new one after each join.
    pub id: String,
    /// What it calls itself.
    pub client_id: String,
    /// The partitions that it was assigned.
    pub partitions: BTreeSet<(String, i32)>,
}

impl Message {
    /// Its key as text; empty, if it has none.
    pub fn key_text(&self) -> String {
        String::from_utf8_lossy(self.key.as_deref().unwrap_or_default()).into_owned()
    }

    /// Its value as text; empty, if it has none.
    pub fn value_text(&self) -> String {
        String::from_utf8_lossy(self.value.as_deref().unwrap_or_default()).into_owned()
    }

    /// Its value as a big-endian number, which is Kafka's `Long`.
    pub fn value_long(&self) -> Option<i64> {
        let bytes = self.value.as_deref()?.try_into().ok()?;
        Some(i64::from_be_bytes(bytes))
    }
}

impl Client {
    /// Of the cluster with these `bootstrap.servers`.
    pub fn new(bootstrap: impl Into<String>) -> Self {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", bootstrap)
            .set("allow.auto.create.topics", "false")
            .set("reconnect.backoff.max.ms", "500");
        Client { config }
    }

    /// The same with a setting of librdkafka.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.config.set(key, value);
        self
    }

    /// Makes a topic and waits until it is there.
    ///
    /// # Errors
    ///
    /// [`Error::Client`].
    pub fn create_topic(&self, name: &str, partitions: i32) -> Result<(), Error> {
        self.create_topic_with(name, partitions, &[])
    }

    /// The same with settings of the topic.
    ///
    /// # Errors
    ///
    /// [`Error::Client`].
    pub fn create_topic_with(
        &self,
        name: &str,
        partitions: i32,
        settings: &[(&str, &str)],
    ) -> Result<(), Error> {
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(-1));
        for (key, value) in settings {
            topic = topic.set(key, value);
        }
        let what = format!("topic `{name}` cannot be made");
        let admin = self.admin()?;
        let options = AdminOptions::new().operation_timeout(Some(TIMEOUT));
        topic_result(&what, block_on(admin.create_topics([&topic], &options)))?;
        self.eventually(&what, || Ok(self.partitions(name)? == Some(partitions)))
    }

    /// Deletes a topic and waits until it is gone.
    ///
    /// # Errors
    ///
    /// [`Error::Client`].
    pub fn delete_topic(&self, name: &str) -> Result<(), Error> {
        let what = format!("topic `{name}` cannot be deleted");
        let admin = self.admin()?;
        let options = AdminOptions::new().operation_timeout(Some(TIMEOUT));
        topic_result(&what, block_on(admin.delete_topics(&[name], &options)))?;
        self.eventually(&what, || Ok(self.partitions(name)?.is_none()))
    }

    /// The names of all topics but Kafka's own.
    ///
    /// # Errors
    ///
    /// [`Error::Client`].
    pub fn topics(&self) -> Result<BTreeSet<String>, Error> {
        let consumer = self.consumer("read_committed")?;
        let metadata = consumer
            .fetch_metadata(None, TIMEOUT)
            .map_err(Error::client("topics cannot be listed"))?;
        let names = metadata.topics().iter().map(|t| t.name().to_owned());
        Ok(names.filter(|name| !name.starts_with("__")).collect())
    }

    /// How many partitions a topic has, if it exists.
    ///
    /// # Errors
    ///
    /// [`Error::Client`].
    pub fn partitions(&self, topic: &str) -> Result<Option<i32>, Error> {
        partitions(&self.consumer("read_committed")?, topic)
    }

    /// Appends records of keys and values, where Java's producer would, and waits until all replicas have them.
    ///
    /// # Errors
    ///
    /// [`Error::Client`] as soon as one is refused.
    pub fn produce<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        topic: &str,
        records: impl IntoIterator<Item = (K, V)>,
    ) -> Result<(), Error> {
        let records = records.into_iter().map(|(k, v)| (None, k, v));
        self.writer(topic)?.write(records)
    }

    /// The same into given partitions.
    ///
    /// # Errors
    ///
    /// [`Error::Client`] as soon as one is refused.
    pub fn produce_to<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        topic: &str,
        records: impl IntoIterator<Item = (i32, K, V)>,
    ) -> Result<(), Error> {
        let records = records.into_iter().map(|(p, k, v)| (Some(p), k, v));
        self.writer(topic)?.write(records)
    }

    /// For writing again and again with one connection.
    ///
    /// # Errors
    ///
    /// [`Error::Client`].
    pub fn writer(&self, topic: &str) -> Result<Writer, Error> {
        let mut config = self.config.clone();
        config
            .set("enable.idempotence", "true")
            .set("partitioner", "murmur2_random")
            .set("linger.ms", "5");
        let refused = Arc::new(AtomicUsize::new(0));
        let producer = config
            .create_with_context(Reports(Arc::clone(&refused)))
            .map_err(Error::client("there is no client"))?;
        Ok(Writer {
            producer,
            topic: topic.to_owned(),
            refused,
        })
    }

    /// Everything that is committed in a topic now, partition by partition in the order of offsets.
    ///
    /// # Errors
    ///
    /// [`Error::Client`].
    pub fn read(&self, topic: &str) -> Result<Vec<Message>, Error> {
        let mut reader = self.reader(topic)?;
        let mut messages = reader.read_to_end()?;
        messages.sort_by_key(|m| (m.partition, m.offset));
        Ok(messages)
    }

    /// Reads what is committed in a topic, from its beginning, as it comes.
    ///
    /// # Errors
    ///
    /// [`Error::Client`].
    pub fn reader(&self, topic: &str) -> Result<Reader, Error> {
        Reader::new(self, topic, "read_committed")
    }

    /// The same with what is not committed, or was aborted.
    ///
    /// # Errors
    ///
    /// [`Error::Client`].
    pub fn uncommitted_reader(&self, topic: &str) -> Result<Reader, Error> {
        Reader::new(self, topic, "read_uncommitted")
    }

    /// What a group has committed of a topic, by partition; `None` where it has not.
    ///
    /// # Errors
    ///
    /// [`Error::Client`].
    pub fn committed(&self, group: &str, topic: &str) -> Result<Vec<Option<i64>>, Error> {
        let what = || format!("offsets of group `{group}` cannot be read");
        let mut config = self.config.clone();
        config.set("group.id", group);
        let consumer: BaseConsumer = config.create().map_err(Error::client(what()))?;
        let count = partitions(&consumer, topic)?.unwrap_or(0);
        let mut asked = TopicPartitionList::new();
        asked.add_partition_range(topic, 0, count - 1);
        let found = consumer
            .committed_offsets(asked, TIMEOUT)
            .map_err(Error::client(what()))?;
        let offset = |o: Offset| match o {
            Offset::Offset(n) => Some(n),
            _ => None,
        };
        Ok(found
            .elements()
            .iter()
            .map(|e| offset(e.offset()))
            .collect())
    }

    /// A group, as the broker sees it; `None` where it knows none of that name.
    ///
    /// # Errors
    ///
    /// [`Error::Client`].
    pub fn group(&self, group: &str) -> Result<Option<Group>, Error> {
        let what = || format!("group `{group}` cannot be described");
        let consumer = self.consumer("read_committed")?;
        let list = consumer
            .fetch_group_list(Some(group), TIMEOUT)
            .map_err(Error::client(what()))?;
        Ok(list
            .groups()
            .iter()
            .find(|g| g.name() == group)
            .map(|g| Group {
                state: g.state().to_owned(),
                members: g
                    .members()
                    .iter()
                    .map(|m| Member {
                        id: m.id().to_owned(),
                        client_id: m.client_id().to_owned(),
                        partitions: assigned(m.assignment().unwrap_or_default())
                            .unwrap_or_default(),
                    })
                    .collect(),
            }))
    }

    fn admin(&self) -> Result<AdminClient<DefaultClientContext>, Error> {
        self.config
            .create()
            .map_err(Error::client("there is no client"))
    }

    fn consumer(&self, isolation: &str) -> Result<BaseConsumer, Error> {
        let mut config = self.config.clone();
        // It is never joined, but librdkafka wants a name.
        config
            .set("group.id", "outside-client")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "earliest")
            .set("fetch.wait.max.ms", "50")
            .set("isolation.level", isolation);
        config.create().map_err(Error::client("there is no client"))
    }

    fn eventually(
        &self,
        what: &str,
        mut holds: impl FnMut() -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let deadline = Instant::now() + TIMEOUT;
        while !holds()? {
            if Instant::now() > deadline {
                return Err(Error::client(what)(format!("not within {TIMEOUT:?}")));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

/// Writes to one topic, where Java's producer would.
pub struct Writer {
    producer: BaseProducer<Reports>,
    topic: String,
    refused: Arc<AtomicUsize>,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer")
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

impl Writer {
    /// Appends records, each into its partition or else by its key, and waits until all replicas have them.
    ///
    /// # Errors
    ///
    /// [`Error::Client`] when one is refused.
    pub fn write<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &mut self,
        records: impl IntoIterator<Item = (Option<i32>, K, V)>,
    ) -> Result<(), Error> {
        let what = || format!("records for `{}` cannot be written", self.topic);
        let before = self.refused.load(Ordering::Relaxed);
        for (partition, key, value) in records {
            let mut record = BaseRecord::to(&self.topic)
                .key(key.as_ref())
                .payload(value.as_ref());
            record.partition = partition;
            while let Err((error, back)) = self.producer.send(record) {
                if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                    return Err(Error::client(what())(error));
                }
                self.producer.poll(Duration::from_millis(10));
                record = back;
            }
            self.producer.poll(Duration::ZERO);
        }
        // Not `flush`, which waits a tenth of a second at least.
        let deadline = Instant::now() + TIMEOUT;
        while self.producer.in_flight_count() > 0 {
            if Instant::now() > deadline {
                return Err(Error::client(what())(format!("not within {TIMEOUT:?}")));
            }
            self.producer.poll(Duration::from_millis(1));
        }
        match self.refused.load(Ordering::Relaxed) - before {
            0 => Ok(()),
            n => Err(Error::client(what())(format!("{n} were refused"))),
        }
    }
}

/// Reads one topic as it grows.
pub struct Reader {
    consumer: BaseConsumer,
    topic: String,
    partitions: i32,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

impl Reader {
    fn new(client: &Client, topic: &str, isolation: &str) -> Result<Self, Error> {
        let what = || format!("topic `{topic}` cannot be read");
        let consumer = client.consumer(isolation)?;
        let partitions = partitions(&consumer, topic)?
            .ok_or("there is no such topic")
            .map_err(Error::client(what()))?;
        let mut assigned = TopicPartitionList::new();
        for partition in 0..partitions {
            assigned
                .add_partition_offset(topic, partition, Offset::Beginning)
                .map_err(Error::client(what()))?;
        }
        consumer.assign(&assigned).map_err(Error::client(what()))?;
        Ok(Reader {
            consumer,
            topic: topic.to_owned(),
            partitions,
        })
    }

    /// What has come since the last call, waiting so long at most for something to come.
    ///
    /// # Errors
    ///
    /// [`Error::Client`].
    pub fn poll(&mut self, within: Duration) -> Result<Vec<Message>, Error> {
        let mut messages = Vec::new();
        let deadline = Instant::now() + within;
        loop {
            let wait = if messages.is_empty() {
                deadline.saturating_duration_since(Instant::now())
            } else {
                Duration::ZERO
            };
            match self.next(wait)? {
                Next::Message(message) => messages.push(message),
                Next::End(_) => {}
                Next::Nothing if !messages.is_empty() || Instant::now() >= deadline => {
                    return Ok(messages);
                }
                Next::Nothing => {}
            }
        }
    }

    /// Reads until the end of every partition has been seen. Meant for a new reader: ends are told once each.
    fn read_to_end(&mut self) -> Result<Vec<Message>, Error> {
        let (mut messages, mut ended) = (Vec::new(), BTreeSet::new());
        let deadline = Instant::now() + TIMEOUT;
        while ended.len() < usize::try_from(self.partitions).unwrap_or(0) {
            match self.next(Duration::from_millis(100))? {
                Next::Message(message) => {
                    ended.remove(&message.partition);
                    messages.push(message);
                }
                Next::End(partition) => {
                    ended.insert(partition);
                }
                Next::Nothing if Instant::now() > deadline => {
                    let what = format!("the end of topic `{}` cannot be reached", self.topic);
                    return Err(Error::client(what)(format!("not within {TIMEOUT:?}")));
                }
                Next::Nothing => {}
            }
        }
        Ok(messages)
    }

    fn next(&mut self, wait: Duration) -> Result<Next, Error> {
        match self.consumer.poll(wait) {
            None => Ok(Next::Nothing),
            Some(Ok(message)) => Ok(Next::Message(Message {
                partition: message.partition(),
                offset: message.offset(),
                timestamp: message.timestamp().to_millis().unwrap_or(-1),
                key: message.key().map(<[u8]>::to_vec),
                value: message.payload().map(<[u8]>::to_vec),
            })),
            Some(Err(KafkaError::PartitionEOF(partition))) => Ok(Next::End(partition)),
            // Brokers come and go in these tests.
            Some(Err(error)) if is_passing(&error) => Ok(Next::Nothing),
            Some(Err(error)) => {
                let what = format!("topic `{}` cannot be read", self.topic);
                Err(Error::client(what)(error))
            }
        }
    }
}

enum Next {
    Message(Message),
    End(i32),
    Nothing,
}

fn is_passing(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::Resolve
                // It was there when the reader began; not every broker may have heard of it.
                | RDKafkaErrorCode::UnknownTopicOrPartition
        )
    )
}

fn partitions(consumer: &BaseConsumer, topic: &str) -> Result<Option<i32>, Error> {
    let what = format!("topic `{topic}` cannot be described");
    let metadata = consumer
        .fetch_metadata(Some(topic), TIMEOUT)
        .map_err(Error::client(what))?;
    let found = metadata.topics().iter().find(|t| t.name() == topic);
    let count = found
        .filter(|t| t.error().is_none())
        .map(|t| t.partitions().len());
    Ok(count.and_then(|n| i32::try_from(n).ok()).filter(|n| *n > 0))
}

/// The partitions in a member's assignment: version, then topics with their partitions, then what is of no interest.
fn assigned(mut bytes: &[u8]) -> Option<BTreeSet<(String, i32)>> {
    fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
        let (head, rest) = bytes.split_first_chunk()?;
        *bytes = rest;
        Some(*head)
    }
    let mut found = BTreeSet::new();
    let _version: [u8; 2] = take(&mut bytes)?;
    for _ in 0..u32::from_be_bytes(take(&mut bytes)?) {
        let length = usize::from(u16::from_be_bytes(take(&mut bytes)?));
        let (topic, rest) = bytes.split_at_checked(length)?;
        bytes = rest;
        let topic = String::from_utf8_lossy(topic);
        for _ in 0..u32::from_be_bytes(take(&mut bytes)?) {
            found.insert((topic.to_string(), i32::from_be_bytes(take(&mut bytes)?)));
        }
    }
    Some(found)
}

fn topic_result(what: &str, result: Result<Vec<TopicResult>, KafkaError>) -> Result<(), Error> {
    for one in result.map_err(Error::client(what))? {
        one.map_err(|(_, code)| Error::client(what)(code))?;
    }
    Ok(())
}

/// Counts what was not delivered.
struct Reports(Arc<AtomicUsize>);

impl ClientContext for Reports {}

impl ProducerContext for Reports {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_err() {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The client library answers from threads of its own, so waiting is all there is to do.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}
