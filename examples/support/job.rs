//! What the examples share: a bounded job on the embedded log, or on Kafka. It sends the lines of files to a topic, each line once
//! whatever happens, and waits until the application has processed them.

#![allow(dead_code, reason = "each example uses a part of this")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kstreams::config::StreamsConfig;
use kstreams::descriptor::TopologyDescriptor;
use kstreams::outbox::{Outbox, Outgoing};
use kstreams::partitioner::partition_for_key;
use kstreams::runtime::open_log;
use kstreams::transport::{
    Admin, ConsumedRecord, Producer, ProducerSpec, TopicInfo, Transport, TransportError,
};
use kstreams::{
    Error, Headers, ProcessingGuarantee, Progress, Running, State, TopicPartition, Topology,
};
use serde::de::DeserializeOwned;

/// Lines sent in one transaction, together with the position in the file that they reach.
const LINES_PER_TRANSACTION: usize = 500;

/// Where a bounded job keeps its records.
#[derive(Debug, clap::Args)]
pub(crate) struct Place {
    /// Where log and state are kept; a temporary directory where none is given
    #[arg(long, value_name = "DIR")]
    embedded: Option<PathBuf>,
    /// A Kafka cluster instead
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "embedded")]
    bootstrap: Option<String>,
    /// A setting by its Kafka Streams name
    #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
    set: Vec<(String, String)>,
}

/// A log and what a bounded job does with it.
pub(crate) struct Job {
    log: Arc<dyn Transport>,
    config: StreamsConfig,
    /// Deleted at the end, where no place was given.
    _temporary: Option<tempfile::TempDir>,
    topology: &'static TopologyDescriptor,
}

/// A line as a record: its key and value.
pub(crate) type KeyAndValue = (Option<Vec<u8>>, Vec<u8>);

impl Job {
    /// Opens the log, with the topics that the topology declares.
    pub(crate) fn open<A: Topology>(place: Place) -> kstreams::Result<Job> {
        let mut temporary = None;
        let mut config = match (place.bootstrap, place.embedded) {
            (Some(servers), _) => StreamsConfig::kafka(servers),
            (None, Some(dir)) => StreamsConfig::embedded(dir),
            (None, None) => {
                let dir = tempfile::tempdir().map_err(io("a temporary directory"))?;
                StreamsConfig::embedded(temporary.insert(dir).path())
            }
        };
        config = config
            .processing_guarantee(ProcessingGuarantee::ExactlyOnceV2)
            .create_topics(true);
        for (key, value) in &place.set {
            config.set(key, value)?;
        }
        let job = Job {
            log: open_log(&config)?,
            config,
            _temporary: temporary,
            topology: A::TOPOLOGY,
        };
        let mut admin = job.log.admin()?;
        for topic in job.topology.topics.iter().filter(|t| !t.role.is_internal()) {
            create(
                admin.as_mut(),
                topic.name,
                topic.partitions.unwrap_or(1),
                &[],
            )?;
        }
        Ok(job)
    }

    /// The application's configuration: exactly once, on this log.
    pub(crate) fn config(&self) -> StreamsConfig {
        self.config.clone()
    }

    /// Sends what the log does not have yet of the lines of `file` to `topic`; `record` makes a record of a line, or none.
    ///
    /// The position in the file is written to a topic of its own in the transaction that writes the lines. So a job that
    /// is killed at any moment goes on where its last transaction ended, and a finished one adds nothing.
    pub(crate) fn feed(
        &self,
        file: &Path,
        topic: &str,
        mut record: impl FnMut(&str) -> Option<KeyAndValue>,
    ) -> kstreams::Result<()> {
        self.feed_dated(file, topic, |line| {
            record(line).map(|record| (record, None))
        })
    }

    /// As [`feed`](Self::feed), with the time of each record in milliseconds; the present where there is none.
    pub(crate) fn feed_dated(
        &self,
        file: &Path,
        topic: &str,
        mut record: impl FnMut(&str) -> Option<(KeyAndValue, Option<i64>)>,
    ) -> kstreams::Result<()> {
        let positions = format!("{}-file-positions", self.topology.application_id);
        let mut admin = self.log.admin()?;
        create(
            admin.as_mut(),
            &positions,
            1,
            &[("cleanup.policy", "compact")],
        )?;
        let partitions = partition_count(admin.as_mut(), topic)?;
        let mut producer = self.log.producer(&ProducerSpec {
            client_id: format!("{}-feed", self.topology.application_id),
            transactional_id: Some(format!("{}-feed", self.topology.application_id)),
        })?;
        // Ends what a killed predecessor left open; only then is the position final.
        producer.init()?;

        let path = file.canonicalize().map_err(io(file.display()))?;
        let name = path.to_string_lossy().into_owned();
        let mut position = self.position(&positions, &name)?;
        let mut input = File::open(&path).map_err(io(file.display()))?;
        let length = input.metadata().map_err(io(file.display()))?.len();
        if position > length {
            return Err(other(format!(
                "{}: {position} bytes of it are in the log, but it has only {length}: for another text take another --embedded DIR",
                file.display()
            )));
        }
        input
            .seek(SeekFrom::Start(position))
            .map_err(io(file.display()))?;
        let mut input = BufReader::new(input);

        let topics: [Arc<str>; 2] = [topic.into(), positions.into()];
        let mut outbox = Outbox::default();
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = input
                .read_until(b'\n', &mut line)
                .map_err(io(file.display()))?;
            position += read as u64;
            let text = String::from_utf8_lossy(&line);
            let line_end = ['\r', '\n'];
            let parsed = (read > 0)
                .then(|| record(text.trim_end_matches(line_end)))
                .flatten();
            if let Some(((key, value), timestamp)) = parsed {
                let partition = key.as_ref().map(|k| partition_for_key(k, partitions));
                push(&mut outbox, 0, partition, key.as_deref(), &value, timestamp);
            }
            if outbox.len() >= LINES_PER_TRANSACTION || (read == 0 && !outbox.is_empty()) {
                push(
                    &mut outbox,
                    1,
                    Some(0),
                    Some(name.as_bytes()),
                    position.to_string().as_bytes(),
                    None,
                );
                commit(producer.as_mut(), &outbox, &topics)?;
                outbox.clear();
            }
            if read == 0 {
                return Ok(());
            }
        }
    }

    /// Sends a file of JSON lines, with the key, and the time if there is one, that `describe` finds in each; a line that is no
    /// `T` is told and left out.
    pub(crate) fn feed_json<T: DeserializeOwned>(
        &self,
        file: &Path,
        topic: &str,
        describe: impl Fn(&T) -> (&String, Option<i64>),
    ) -> kstreams::Result<()> {
        self.feed_dated(file, topic, |line| {
            if line.is_empty() {
                return None;
            }
            match serde_json::from_str::<T>(line) {
                Ok(value) => {
                    let (key, at) = describe(&value);
                    let record = (Some(key.as_bytes().to_vec()), line.as_bytes().to_vec());
                    Some((record, at))
                }
                Err(error) => {
                    eprintln!("{}: `{line}`: {error}", file.display());
                    None
                }
            }
        })
    }

    /// How many bytes of a file are in the log.
    fn position(&self, positions: &str, file: &str) -> kstreams::Result<u64> {
        let records = self.read(positions)?;
        let last = records
            .iter()
            .rev()
            .find(|r| r.key.as_deref() == Some(file.as_bytes()));
        let text = last.and_then(|r| std::str::from_utf8(r.value.as_deref()?).ok());
        Ok(text.and_then(|t| t.parse().ok()).unwrap_or(0))
    }

    /// Waits until the application has processed everything that is in its topics.
    pub(crate) fn wait_until_processed<A: Topology>(
        &self,
        app: &Running<A>,
    ) -> kstreams::Result<()> {
        let mut admin = self.log.admin()?;
        loop {
            if matches!(
                app.state(),
                State::PendingError | State::Error | State::NotRunning
            ) {
                // Closing tells why.
                app.streams().close()?;
                return Err(other("the application has stopped"));
            }
            // Twice, as the first may have read one topic before another task wrote to it. And running, or there is nothing
            // that could be queried.
            if app.state() == State::Running
                && self.is_done(admin.as_mut())?
                && self.is_done(admin.as_mut())?
            {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Whether nothing is behind; also `false` where the log cannot tell yet, as while a transaction is open.
    fn is_done(&self, admin: &mut dyn Admin) -> kstreams::Result<bool> {
        match Progress::of(self.topology, admin) {
            Err(Error::Transport(TransportError::Retriable(_))) => Ok(false),
            other => Ok(other?.behind == 0),
        }
    }

    /// Everything that is in a topic now, partition by partition.
    pub(crate) fn read(&self, topic: &str) -> kstreams::Result<Vec<ConsumedRecord>> {
        let mut admin = self.log.admin()?;
        let partitions = all_partitions(admin.as_mut(), topic)?;
        let ranges = admin.offsets(&partitions)?;
        let from: Vec<_> = partitions
            .into_iter()
            .zip(ranges.iter().map(|r| r.start))
            .collect();
        let mut consumer = self.log.consumer("job")?;
        consumer.assign(&from)?;
        let mut unread: BTreeMap<TopicPartition, i64> = from
            .iter()
            .zip(&ranges)
            .filter(|(_, range)| range.start < range.end)
            .map(|((partition, _), range)| (partition.clone(), range.end))
            .collect();
        let mut by_partition: BTreeMap<TopicPartition, Vec<ConsumedRecord>> = BTreeMap::new();
        while !unread.is_empty() {
            let mut fetched = Vec::new();
            consumer.poll(Duration::from_millis(100), 10_000, &mut fetched)?;
            for batch in fetched {
                let end = unread.get(&batch.partition).copied();
                if batch.at_end || end.is_some_and(|end| batch.next_offset >= end) {
                    unread.remove(&batch.partition);
                }
                by_partition
                    .entry(batch.partition)
                    .or_default()
                    .extend(batch.records);
            }
        }
        Ok(by_partition.into_values().flatten().collect())
    }
}

fn commit(
    producer: &mut dyn Producer,
    outbox: &Outbox,
    topics: &[Arc<str>],
) -> Result<(), TransportError> {
    producer.begin()?;
    producer.send(outbox, topics)?;
    producer.commit().map(drop)
}

fn push(
    outbox: &mut Outbox,
    topic: usize,
    partition: Option<i32>,
    key: Option<&[u8]>,
    value: &[u8],
    timestamp: Option<i64>,
) {
    let headers = &Headers::new();
    let value = Some(value);
    outbox.push(Outgoing {
        topic,
        partition,
        key,
        value,
        timestamp,
        headers,
    });
}

fn create(
    admin: &mut dyn Admin,
    name: &str,
    partitions: u32,
    config: &[(&str, &str)],
) -> Result<(), TransportError> {
    let config = config
        .iter()
        .map(|&(k, v)| (k.to_owned(), v.to_owned()))
        .collect();
    admin.create_topic(&TopicInfo {
        name: name.to_owned(),
        partitions,
        config,
    })
}

fn partition_count(admin: &mut dyn Admin, topic: &str) -> Result<u32, TransportError> {
    let found = admin
        .describe_topics(&[topic])?
        .into_iter()
        .flatten()
        .next();
    found
        .map(|t| t.partitions)
        .ok_or_else(|| TransportError::UnknownTopic(topic.to_owned()))
}

fn all_partitions(
    admin: &mut dyn Admin,
    topic: &str,
) -> Result<Vec<TopicPartition>, TransportError> {
    let count = i32::try_from(partition_count(admin, topic)?).unwrap_or(i32::MAX);
    Ok((0..count).map(|p| TopicPartition::new(topic, p)).collect())
}

/// An error of reading or writing `what`.
pub(crate) fn io(what: impl std::fmt::Display) -> impl FnOnce(std::io::Error) -> Error {
    move |source| Error::Io {
        what: what.to_string(),
        source,
    }
}

/// An error in words.
pub(crate) fn other(why: impl Into<String>) -> Error {
    Error::Other(why.into().into())
}

/// Where the examples' data files lie.
pub(crate) fn data(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples/data")
        .join(file)
}

/// `KEY=VALUE` of `--set`.
fn setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
        None => Err(format!("`{text}` is no `KEY=VALUE`")),
    }
}
