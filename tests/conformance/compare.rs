//! What a run gave against what Kafka Streams gave. Stops at the first difference and shows what is around it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::Value;

use crate::loader::{ExpectedError, Scenario, SideEffect, StoreContent, Written};
use crate::names::Names;
use crate::serdes::show;
use crate::topologies::Entry;

/// What a run gave.
#[derive(Debug, Default)]
pub(crate) struct Actual {
    /// Every topic but those that are only piped into: its records, in order.
    pub(crate) records: BTreeMap<String, Vec<Written>>,
    pub(crate) stores: BTreeMap<String, StoreContent>,
    /// Repartition and changelog topics with their settings; a source topic that serves as a changelog too.
    pub(crate) internal_topics: BTreeMap<String, BTreeMap<String, String>>,
    pub(crate) side_effects: Vec<SideEffect>,
    pub(crate) error: Option<ActualError>,
    pub(crate) dropped_records_total: u64,
}

/// How a run failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ActualError {
    pub(crate) after_step: usize,
    pub(crate) kind: ErrorKind,
    /// Topic, partition and offset of the record that it failed at.
    pub(crate) at: Option<At>,
    pub(crate) text: String,
}

/// Where a record failed: at which node, where the error says so, and which record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct At {
    pub(crate) node: Option<String>,
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

/// What Kafka Streams says with an exception's class, and we with a variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    Deserialization,
    Timestamp,
    Processing,
    Other,
}

impl ErrorKind {
    fn of(error: &ExpectedError) -> Self {
        let simple = |class: &str| class.rsplit('.').next().map(str::to_owned);
        let cause = error.root_cause_class.as_deref().and_then(simple);
        match (simple(&error.class).as_deref(), cause.as_deref()) {
            (_, Some("SerializationException")) => ErrorKind::Deserialization,
            (Some("StreamsException"), None) => ErrorKind::Timestamp,
            (Some("StreamsException"), Some(_)) => ErrorKind::Processing,
            _ => ErrorKind::Other,
        }
    }
}

/// The first difference, for a reader.
pub(crate) fn first_difference(
    scenario: &Scenario,
    names: &Names,
    actual: &Actual,
) -> Option<String> {
    error(scenario, actual)
        .or_else(|| records(scenario, names, actual))
        .or_else(|| stores(scenario, names, actual))
        .or_else(|| internal_topics(scenario, names, actual))
        .or_else(|| side_effects(scenario, actual))
        .or_else(|| {
            let (expected, got) = (scenario.dropped_records_total, actual.dropped_records_total);
            (expected != got).then(|| format!("dropped records: expected {expected}, got {got}"))
        })
}

fn error(scenario: &Scenario, actual: &Actual) -> Option<String> {
    let (expected, got) = (&scenario.error, &actual.error);
    let same = match (expected, got) {
        (None, None) => true,
        (Some(expected), Some(got)) => {
            expected.after_step == got.after_step
                && ErrorKind::of(expected) == got.kind
                && got
                    .at
                    .as_ref()
                    .is_some_and(|at| at_step(scenario, got.after_step, at))
        }
        _ => false,
    };
    (!same).then(|| {
        let expected = expected.as_ref().map(|e| {
            let (topic, offset) = failing_record(scenario, e.after_step);
            format!(
                "{:?} after step {}, {topic}-0 offset {offset}",
                ErrorKind::of(e),
                e.after_step
            )
        });
        format!("error:\n  expected {expected:?}\n  got      {got:?}")
    })
}

fn at_step(scenario: &Scenario, step: usize, at: &At) -> bool {
    // What a punctuator fails at is no record.
    if at.topic.is_empty() {
        return at.offset == -1;
    }
    let (topic, offset) = failing_record(scenario, step);
    at.topic == topic && at.partition == 0 && at.offset == offset
}

/// Topic and offset of the record that a step piped in: all goes to partition 0, offsets count per topic.
fn failing_record(scenario: &Scenario, step: usize) -> (&str, i64) {
    let topic = |index: usize| match &scenario.steps[index] {
        crate::loader::Step::Pipe(input) => Some(input.topic.as_str()),
        crate::loader::Step::AdvanceWallClock(_) => None,
    };
    let failing = topic(step).unwrap_or_default();
    let offset = (0..step)
        .filter(|&index| topic(index) == Some(failing))
        .count();
    (failing, offset.try_into().expect("an offset"))
}

fn records(scenario: &Scenario, names: &Names, actual: &Actual) -> Option<String> {
    let expected: BTreeMap<String, &[Written]> = scenario
        .records
        .iter()
        .map(|(topic, list)| (names.ours(topic), list.as_slice()))
        .collect();
    let topics: BTreeSet<&String> = expected.keys().chain(actual.records.keys()).collect();
    topics.into_iter().find_map(|topic| {
        let got = actual
            .records
            .get(topic)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let expected = expected.get(topic).copied().unwrap_or_default();
        let (expected, got) = comparable(scenario, expected, got);
        let at = (0..expected.len().max(got.len())).find(|&i| expected.get(i) != got.get(i))?;
        let mut text = format!("topic {topic}, record {at}:\n");
        for i in at.saturating_sub(2)..at {
            let _ = writeln!(text, "  both     {}", line(expected.get(i)));
        }
        for i in at..at + 3 {
            let _ = writeln!(text, "  expected {}", line(expected.get(i)));
        }
        for i in at..at + 3 {
            let _ = writeln!(text, "  got      {}", line(got.get(i)));
        }
        Some(text)
    })
}

/// Where Kafka Streams gave the producer no timestamp, it takes the wall clock. What a suppression logs at a commit is in no
/// defined order.
fn comparable(
    scenario: &Scenario,
    expected: &[Written],
    got: &[Written],
) -> (Vec<Written>, Vec<Written>) {
    let (mut expected, mut got) = (expected.to_vec(), got.to_vec());
    let mut now = scenario.initial_wall_clock_ms;
    let mut clock = Vec::new();
    for step in &scenario.steps {
        if let crate::loader::Step::AdvanceWallClock(ms) = step {
            now += ms;
        }
        clock.push(now);
    }
    for record in expected.iter_mut().filter(|r| r.timestamp.is_none()) {
        record.timestamp = clock.get(record.after_step).copied();
    }
    let format = |record: &Written| record.headers.iter().any(|(key, _)| key == "v");
    if expected.iter().any(format) {
        for list in [&mut expected, &mut got] {
            list.sort_by(|a, b| (a.after_step, &a.key).cmp(&(b.after_step, &b.key)));
        }
    }
    (expected, got)
}

fn line(record: Option<&Written>) -> String {
    let Some(record) = record else {
        return "-".into();
    };
    let headers: Vec<_> = record
        .headers
        .iter()
        .map(|(k, v)| format!("{k}={}", show(v.as_deref())))
        .collect();
    format!(
        "after step {:2}  {} -> {}  ts {:?}  headers [{}]",
        record.after_step,
        show(record.key.as_deref()),
        show(record.value.as_deref()),
        record.timestamp,
        headers.join(", ")
    )
}

/// Leaves out of both sides' window stores what has expired. While it still lies in the record cache it can be read; a kill takes the
/// cache away.
pub(crate) fn forget_expired(scenario: &mut Scenario, entry: &Entry, actual: &mut Actual) {
    for store in entry.topology.stores.iter().filter(|s| s.cache) {
        let Some(retention) = store.kind.retention_ms() else {
            continue;
        };
        let time = |entry: &Value| entry.get("end").unwrap_or(&entry["start"]).as_i64();
        let (theirs, ours) = (&mut scenario.stores, &mut actual.stores);
        let theirs = theirs
            .iter_mut()
            .filter(|(name, _)| entry.names.ours(name) == store.name);
        let contents: Vec<&mut StoreContent> = theirs
            .map(|(_, content)| content)
            .chain(ours.get_mut(store.name))
            .collect();
        let entries = contents.iter().flat_map(|c| &c.entries);
        let latest = entries.filter_map(time).max().unwrap_or_default();
        for content in contents {
            content
                .entries
                .retain(|e| time(e).is_some_and(|time| time > latest.saturating_sub(retention)));
        }
    }
}

/// The first difference of the stores alone.
pub(crate) fn stores(scenario: &Scenario, names: &Names, actual: &Actual) -> Option<String> {
    // Who records for a folder of their own may leave stores out: the changelogs tell as much.
    if scenario.stores.is_empty() && std::env::var_os("KSTREAMS_VECTORS").is_some() {
        return None;
    }
    let expected: BTreeMap<String, &StoreContent> = scenario
        .stores
        .iter()
        .map(|(store, content)| (names.ours(store), content))
        .collect();
    let stores: BTreeSet<&String> = expected.keys().chain(actual.stores.keys()).collect();
    stores.into_iter().find_map(
        |store| match (expected.get(store), actual.stores.get(store)) {
            (Some(expected), Some(got)) if **expected == *got => None,
            (expected, got) => {
                let show = |content: Option<&StoreContent>| {
                    content.map_or("no such store".into(), |content| {
                        let mut text =
                            format!("{}, persistent {}", content.kind, content.persistent);
                        for entry in &content.entries {
                            let _ = write!(text, "\n    {entry}");
                        }
                        text
                    })
                };
                let expected = show(expected.copied());
                Some(format!(
                    "store {store}:\n  expected {expected}\n  got      {}",
                    show(got)
                ))
            }
        },
    )
}

fn internal_topics(scenario: &Scenario, names: &Names, actual: &Actual) -> Option<String> {
    let text = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    let expected: BTreeMap<String, BTreeMap<String, String>> = scenario
        .internal_topics
        .iter()
        .map(|(topic, config)| {
            let config = config
                .iter()
                .map(|(key, value)| (key.clone(), text(value)))
                .collect();
            (names.ours(topic), config)
        })
        .collect();
    (expected != actual.internal_topics).then(|| {
        let got = &actual.internal_topics;
        format!("internal topics:\n  expected {expected:#?}\n  got      {got:#?}")
    })
}

fn side_effects(scenario: &Scenario, actual: &Actual) -> Option<String> {
    let expected = scenario.side_effects.as_deref().unwrap_or_default();
    let got = &actual.side_effects;
    (expected != got).then(|| format!("side effects:\n  expected {expected:?}\n  got      {got:?}"))
}
