//! Reads scenario files: the format of `tests/vectors/README.md` as Rust types, bytes already encoded.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::serdes;

/// One scenario file.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) config: BTreeMap<String, String>,
    pub(crate) initial_wall_clock_ms: i64,
    pub(crate) internal_topics: BTreeMap<String, BTreeMap<String, Value>>,
    pub(crate) steps: Vec<Step>,
    /// Outputs, repartition and changelog topics in one map: a topic's records, in order.
    pub(crate) records: BTreeMap<String, Vec<Written>>,
    pub(crate) stores: BTreeMap<String, StoreContent>,
    pub(crate) side_effects: Option<Vec<SideEffect>>,
    pub(crate) error: Option<ExpectedError>,
    pub(crate) dropped_records_total: u64,
}

/// What the driver is told to do.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Pipe(Input),
    AdvanceWallClock(i64),
}

/// A record to pipe in, as bytes.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    pub(crate) topic: String,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) timestamp: i64,
    pub(crate) headers: Headers,
}

pub(crate) type Headers = Vec<(String, Option<Vec<u8>>)>;

/// A record that a topology wrote, theirs or ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) after_step: usize,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    /// `None` where Kafka Streams gave the producer no timestamp.
    pub(crate) timestamp: Option<i64>,
    pub(crate) headers: Headers,
}

/// The final content of a store. Entries stay JSON: the format has no bytes for them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct StoreContent {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) persistent: bool,
    #[serde(default)]
    pub(crate) entries: Vec<Value>,
}

/// What a function of the topology logged.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct SideEffect {
    pub(crate) after_step: usize,
    pub(crate) text: String,
}

/// How a scenario ends that fails.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ExpectedError {
    pub(crate) after_step: usize,
    pub(crate) class: String,
    pub(crate) root_cause_class: Option<String>,
}

#[derive(Deserialize)]
struct File {
    name: String,
    description: String,
    config: BTreeMap<String, String>,
    initial_wall_clock_ms: i64,
    topics: BTreeMap<String, Topic>,
    internal_topics: BTreeMap<String, BTreeMap<String, Value>>,
    inputs: Vec<Map<String, Value>>,
    outputs: BTreeMap<String, Vec<Map<String, Value>>>,
    repartitions: BTreeMap<String, Vec<Map<String, Value>>>,
    changelogs: BTreeMap<String, Vec<Map<String, Value>>>,
    stores: BTreeMap<String, StoreFile>,
    side_effects: Option<Vec<SideEffect>>,
    error: Option<ExpectedError>,
    dropped_records_total: u64,
}

#[derive(Deserialize)]
struct StoreFile {
    #[serde(flatten)]
    content: StoreContent,
    num_records: Option<u64>,
    min_timestamp: Option<i64>,
}

/// What is known of a buffer, as its only entry.
fn buffered(file: StoreFile) -> StoreContent {
    let mut content = file.content;
    if let Some(records) = file.num_records {
        let first = file.min_timestamp;
        content.entries = vec![json!({ "num_records": records, "min_timestamp": first })];
    }
    content
}

#[derive(Deserialize)]
struct Topic {
    key: String,
    value: String,
}

/// The scenarios of a folder, by name. Files that are no scenario (byte formats, descriptions) are left out.
pub(crate) fn folder(dir: &Path) -> Vec<Scenario> {
    let mut paths: Vec<_> = std::fs::read_dir(dir)
        .unwrap_or_else(|e| panic!("{}: {e}", dir.display()))
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .collect();
    paths.sort();
    paths.iter().filter_map(|path| scenario(path)).collect()
}

impl Scenario {
    /// The topics that records are piped into.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().filter_map(|step| match step {
            Step::Pipe(input) => Some(input.topic.as_str()),
            Step::AdvanceWallClock(_) => None,
        })
    }
}

fn scenario(path: &Path) -> Option<Scenario> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let json: Value =
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    json.get("inputs")?;
    let file: File =
        serde_json::from_value(json).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let steps = file
        .inputs
        .iter()
        .map(|step| self::step(step, &file.topics))
        .collect();
    let mut records = BTreeMap::new();
    for group in [&file.outputs, &file.repartitions, &file.changelogs] {
        for (topic, written) in group {
            records.insert(topic.clone(), written.iter().map(self::written).collect());
        }
    }
    Some(Scenario {
        name: file.name,
        description: file.description,
        config: file.config,
        initial_wall_clock_ms: file.initial_wall_clock_ms,
        internal_topics: file.internal_topics,
        steps,
        records,
        stores: file
            .stores
            .into_iter()
            .map(|(k, s)| (k, buffered(s)))
            .collect(),
        side_effects: file.side_effects,
        error: file.error,
        dropped_records_total: file.dropped_records_total,
    })
}

fn step(step: &Map<String, Value>, topics: &BTreeMap<String, Topic>) -> Step {
    if let Some(ms) = step.get("advance_wall_clock_ms") {
        return Step::AdvanceWallClock(ms.as_i64().expect("milliseconds"));
    }
    let topic = step["topic"].as_str().expect("a topic").to_owned();
    let serdes = topics
        .get(&topic)
        .unwrap_or_else(|| panic!("topic `{topic}` is not declared"));
    let bytes = |field: &str, serde: &str| match step.get(&format!("{field}_b64")) {
        Some(b64) => serdes::base64(b64),
        None => serdes::encode(serde, &step[field]),
    };
    Step::Pipe(Input {
        key: bytes("key", &serdes.key),
        value: bytes("value", &serdes.value),
        timestamp: step["ts"].as_i64().expect("a timestamp"),
        headers: headers(step.get("headers")),
        topic,
    })
}

fn written(record: &Map<String, Value>) -> Written {
    Written {
        after_step: record["after_step"]
            .as_u64()
            .and_then(|n| n.try_into().ok())
            .expect("a step"),
        key: serdes::base64(&record["key_b64"]),
        value: serdes::base64(&record["value_b64"]),
        timestamp: record["ts"].as_i64(),
        headers: headers(record.get("headers")),
    }
}

fn headers(json: Option<&Value>) -> Headers {
    let list = json
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    list.iter()
        .map(|header| {
            let value = match header.get("value_b64") {
                Some(b64) => serdes::base64(b64),
                None => header["value"]
                    .as_str()
                    .map(|text| text.as_bytes().to_vec()),
            };
            (
                header["key"].as_str().expect("a header's name").to_owned(),
                value,
            )
        })
        .collect()
}
