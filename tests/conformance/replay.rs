//! Plays a scenario's steps on the test driver and gathers what the topology did, under one of several schedules.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kstreams::descriptor::{
    Changelog, StoreBackend, StoreDescriptor, StoreFormat, StoreKind, TopicRole,
};
use kstreams::error::{Error, TaskError, TaskFailure};
use kstreams::test_driver::{StoreEntry, TestDriver, TestDriverOptions, TestState};
use kstreams::{Header, Headers, ProcessingGuarantee, StreamsConfig};
use serde_json::{Value, json};

use crate::compare::{Actual, ActualError, At, ErrorKind};
use crate::effects;
use crate::loader::{Input, Scenario, SideEffect, Step, StoreContent, Written};
use crate::topologies::Entry;

/// Where state lies, and after how many steps everything is killed and restored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    backend: Backend,
    guarantee: ProcessingGuarantee,
    kill_after_every: Option<usize>,
    /// A record cache in place of the scenario's own.
    cache_max_bytes: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    Memory,
    Disk,
}

impl Schedule {
    pub(crate) fn once(backend: Backend) -> Self {
        Schedule {
            backend,
            guarantee: ProcessingGuarantee::AtLeastOnce,
            kill_after_every: None,
            cache_max_bytes: None,
        }
    }

    pub(crate) fn with_kills(backend: Backend, after_every: usize) -> Self {
        Schedule {
            kill_after_every: Some(after_every),
            ..Self::once(backend)
        }
    }

    /// Whether anything is killed.
    pub(crate) fn kills(self) -> bool {
        self.kill_after_every.is_some()
    }

    pub(crate) fn with_cache(self, max_bytes: usize) -> Self {
        Schedule {
            cache_max_bytes: Some(max_bytes),
            ..self
        }
    }

    pub(crate) fn exactly_once(self) -> Self {
        Schedule {
            guarantee: ProcessingGuarantee::ExactlyOnceV2,
            ..self
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, {:?}", self.backend, self.guarantee)?;
        if let Some(k) = self.kill_after_every {
            write!(f, ", killed after every {k} steps")?;
        }
        match self.cache_max_bytes {
            Some(bytes) => write!(f, ", cache of {bytes} bytes"),
            None => Ok(()),
        }
    }
}

/// What a topology does with a scenario's steps; the error is that of a driver that cannot even begin or be looked into.
pub(crate) fn run(
    scenario: &Scenario,
    entry: &Entry,
    schedule: Schedule,
) -> kstreams::Result<Actual> {
    let mut config = config(scenario)?;
    if let Some(bytes) = schedule.cache_max_bytes {
        config = config.cache_max_bytes(bytes);
    }
    let options = TestDriverOptions::like_topology_test_driver()
        .config(config)
        .guarantee(schedule.guarantee)
        .now_ms(scenario.initial_wall_clock_ms)
        .state(match schedule.backend {
            Backend::Memory => TestState::Memory,
            Backend::Disk => TestState::Lmdb,
        });
    let driver = (entry.start)(options)?;
    effects::take();
    let mut actual = Actual::default();
    let inputs: BTreeSet<&str> = scenario.inputs().collect();
    for (step, todo) in scenario.steps.iter().enumerate() {
        if schedule
            .kill_after_every
            .is_some_and(|k| step > 0 && step % k == 0)
        {
            driver.kill_and_restore()?;
        }
        let result = match todo {
            Step::Pipe(input) => pipe(&driver, input),
            Step::AdvanceWallClock(ms) => driver.advance(Duration::from_millis(
                (*ms).try_into().expect("forward in time"),
            )),
        };
        for text in effects::take() {
            actual.side_effects.push(SideEffect {
                after_step: step,
                text,
            });
        }
        for topic in driver.topics()? {
            let records = driver.read_raw(&topic)?;
            if inputs.contains(topic.as_str()) {
                continue;
            }
            let written = records.into_iter().map(|record| Written {
                after_step: step,
                key: record.key.map(|bytes| bytes.to_vec()),
                value: record.value.map(|bytes| bytes.to_vec()),
                timestamp: Some(record.timestamp),
                headers: record
                    .headers
                    .iter()
                    .map(|h| {
                        (
                            h.key.clone(),
                            h.value.as_ref().map(|bytes| shown(&h.key, bytes)),
                        )
                    })
                    .collect(),
            });
            actual.records.entry(topic).or_default().extend(written);
        }
        if let Err(e) = result {
            actual.error = Some(failure(step, &e));
            break;
        }
    }
    actual.dropped_records_total = driver.dropped_records_total();
    actual.stores = stores(entry, &driver)?;
    actual.internal_topics = internal_topics(entry, &driver)?;
    Ok(actual)
}

fn pipe(driver: &TestDriver, input: &Input) -> kstreams::Result {
    let headers: Headers = input
        .headers
        .iter()
        .map(|(key, value)| Header {
            key: key.clone(),
            value: value.clone().map(Into::into),
        })
        .collect();
    let Input {
        topic,
        key,
        value,
        timestamp,
        ..
    } = input;
    driver.pipe_raw(topic, key.as_deref(), value.as_deref(), *timestamp, headers)
}

/// The scenario's configuration, but for what a topology's struct says itself (`topology.optimization`, `dsl.store.format`) and what its types
/// say (default serdes).
fn config(scenario: &Scenario) -> kstreams::Result<StreamsConfig> {
    let mut config = StreamsConfig::new();
    for (key, value) in &scenario.config {
        let value = match key.as_str() {
            "application.id"
            | "default.key.serde"
            | "default.value.serde"
            | "topology.optimization"
            | "dsl.store.format" => continue,
            _ => value,
        };
        config = config.with(key, value)?;
    }
    Ok(config)
}

/// A header's value, as the vectors have it: they leave out what stands in a stack trace.
fn shown(name: &str, value: &[u8]) -> Vec<u8> {
    if name == "__streams.errors.stacktrace" && !value.is_empty() {
        b"(omitted)".to_vec()
    } else {
        value.to_vec()
    }
}

fn failure(step: usize, error: &Error) -> ActualError {
    let (kind, at) = match error {
        Error::Task(error) => task_failure(error),
        _ => (ErrorKind::Other, None),
    };
    ActualError {
        after_step: step,
        kind,
        at,
        text: error.to_string(),
    }
}

fn task_failure(error: &TaskError) -> (ErrorKind, Option<At>) {
    match error.failure() {
        TaskFailure::Deserialization {
            topic,
            partition,
            offset,
            node,
            ..
        } => {
            let node = Some((*node).to_owned());
            let at = At {
                node,
                topic: topic.clone(),
                partition: *partition,
                offset: *offset,
            };
            (ErrorKind::Deserialization, Some(at))
        }
        TaskFailure::Processing {
            topic,
            partition,
            offset,
            node,
            ..
        } => {
            let at = At {
                node: Some((*node).to_owned()),
                topic: topic.clone(),
                partition: *partition,
                offset: *offset,
            };
            (ErrorKind::Processing, Some(at))
        }
        TaskFailure::SuppressBufferFull {
            partition, offset, ..
        } => {
            let at = At {
                node: None,
                topic: partition.topic.to_string(),
                partition: partition.partition,
                offset: *offset,
            };
            (ErrorKind::Processing, Some(at))
        }
        TaskFailure::NegativeTimestamp {
            partition, offset, ..
        } => {
            let topic = partition.topic.to_string();
            let at = At {
                node: None,
                topic,
                partition: partition.partition,
                offset: *offset,
            };
            (ErrorKind::Timestamp, Some(at))
        }
        TaskFailure::InTask { source, .. } => task_failure(source),
        _ => (ErrorKind::Other, None),
    }
}

fn stores(entry: &Entry, driver: &TestDriver) -> kstreams::Result<BTreeMap<String, StoreContent>> {
    let mut stores = BTreeMap::new();
    for store in entry.topology.stores {
        let mut entries = Vec::new();
        for StoreEntry {
            key,
            value,
            timestamp,
        } in driver.store_entries(store.name)?
        {
            // The vectors show the keys of a foreign-key join's subscriptions as bytes.
            let key = match store.key.name.starts_with("CombinedKey") {
                true => json!({ "b64": STANDARD.encode(&key) }),
                false => (store.key.to_json)(Some(&key))?,
            };
            let value = (store.value.to_json)(Some(&value))?;
            entries.extend(as_shown(store.kind, key, value, timestamp));
        }
        if matches!(store.kind, StoreKind::Versioned { .. }) {
            entries = versions(store, driver)?;
        }
        if let Some((records, first)) = driver.store_waiting(store.name)? {
            let first = (records > 0).then_some(first);
            entries = vec![json!({ "num_records": records, "min_timestamp": first })];
        }
        let suffix = match store.format {
            StoreFormat::Headers => "-with-headers",
            StoreFormat::Default | StoreFormat::Logged => "",
        };
        let content = StoreContent {
            kind: match store.kind {
                StoreKind::KeyValue => "key-value".into(),
                StoreKind::TimestampedKeyValue => format!("timestamped-key-value{suffix}"),
                StoreKind::Versioned { .. } => "versioned-key-value".into(),
                StoreKind::Window { .. } => "window".into(),
                StoreKind::TimestampedWindow { .. } => format!("timestamped-window{suffix}"),
                StoreKind::Session { .. } => "session".into(),
                // Those of Kafka Streams are in memory, ours on disk: scenarios say nothing of it.
                StoreKind::JoinBuffer { .. } | StoreKind::SuppressBuffer => {
                    "suppress-buffer".into()
                }
            },
            persistent: store.backend == StoreBackend::Lmdb && !is_buffer(store.kind),
            entries,
        };
        stores.insert(store.name.to_owned(), content);
    }
    Ok(stores)
}

pub(crate) fn is_buffer(kind: StoreKind) -> bool {
    matches!(
        kind,
        StoreKind::JoinBuffer { .. } | StoreKind::SuppressBuffer
    )
}

/// An entry as the vectors show it: windows by key and start, a list of records without partner one by one.
fn as_shown(kind: StoreKind, key: Value, value: Value, timestamp: Option<i64>) -> Vec<Value> {
    let one = |value: Value| match (kind, timestamp) {
        (StoreKind::Window { .. }, _) => {
            json!({ "key": key["key"], "start": key["start"], "value": value })
        }
        (StoreKind::TimestampedWindow { .. }, ts) => {
            json!({ "key": key["key"], "start": key["start"], "value": value, "ts": ts })
        }
        (StoreKind::Session { .. }, _) => {
            json!({ "key": key["key"], "start": key["start"], "end": key["end"], "value": value })
        }
        (_, Some(ts)) => json!({ "key": key, "value": value, "ts": ts }),
        (_, None) => json!({ "key": key, "value": value }),
    };
    match value {
        Value::Array(records) if key["side"].is_string() => records.into_iter().map(one).collect(),
        value => vec![one(value)],
    }
}

/// A versioned store's keys, each with its past.
fn versions(store: &StoreDescriptor, driver: &TestDriver) -> kstreams::Result<Vec<Value>> {
    let mut entries = Vec::new();
    for key in driver.store_versions(store.name)? {
        let mut versions = Vec::new();
        for version in key.versions {
            let value = (store.value.to_json)(Some(&version.value))?;
            versions.push(
                json!({ "value": value, "valid_from": version.valid_from, "valid_to": version.valid_to }),
            );
        }
        let key = (store.key.to_json)(Some(&key.key))?;
        entries.push(json!({ "key": key, "versions": versions }));
    }
    Ok(entries)
}

/// Topics of the topology's own, as they were created, and source topics that serve as changelogs.
fn internal_topics(
    entry: &Entry,
    driver: &TestDriver,
) -> kstreams::Result<BTreeMap<String, BTreeMap<String, String>>> {
    let topology = entry.topology;
    let mut topics = BTreeMap::new();
    for topic in topology.topics {
        let kind = match topic.role {
            TopicRole::Repartition => "repartition",
            TopicRole::Changelog => "changelog",
            _ => continue,
        };
        let name = format!("{}-{}", topology.application_id, topic.name);
        let mut config = driver.topic_config(&name)?;
        config.insert("kind".into(), kind.into());
        if let Some(count) = topic.partitions {
            config.insert("partitions".into(), count.to_string());
        }
        topics.insert(name, config);
    }
    let of_global_tables: Vec<usize> = topology.globals.iter().map(|global| global.store).collect();
    for (index, store) in topology.stores.iter().enumerate() {
        if let Changelog::Source(topic) = store.changelog
            && !of_global_tables.contains(&index)
        {
            let config = [
                ("kind", "changelog"),
                ("cleanup.policy", "compact"),
                ("message.timestamp.type", "CreateTime"),
            ];
            let config = config.map(|(key, value)| (key.to_owned(), value.to_owned()));
            topics.insert(topology.topics[topic].name.to_owned(), config.into());
        }
    }
    Ok(topics)
}
