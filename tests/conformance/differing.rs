//! `tests/vectors/differences.toml`: where our records differ from Kafka Streams' on purpose, and what ours are.

use std::fmt::Write as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::loader::{Scenario, Written};

/// A topic of a scenario that has other records than Kafka Streams' run.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Difference {
    pub(crate) scenario: String,
    pub(crate) topic: String,
    reason: String,
    records: Vec<Record>,
}

#[derive(Debug, Clone, Deserialize)]
struct Record {
    after_step: usize,
    key: Option<String>,
    value: Option<String>,
    ts: Option<i64>,
    #[serde(default)]
    headers: Vec<(String, String)>,
}

#[derive(Deserialize)]
struct File {
    difference: Vec<Difference>,
}

fn path(vectors: &Path) -> std::path::PathBuf {
    vectors.join("differences.toml")
}

/// What is listed.
pub(crate) fn listed(vectors: &Path) -> Vec<Difference> {
    let text = std::fs::read_to_string(path(vectors)).expect("the list of differences is there");
    let file: File = toml::from_str(&text).expect("the list of differences is TOML");
    file.difference
}

impl Difference {
    /// Our records.
    pub(crate) fn records(&self) -> Vec<Written> {
        let bytes = |text: &String| STANDARD.decode(text).expect("base64");
        let records = self.records.iter().map(|record| Written {
            after_step: record.after_step,
            key: record.key.as_ref().map(bytes),
            value: record.value.as_ref().map(bytes),
            timestamp: record.ts,
            headers: record
                .headers
                .iter()
                .map(|(name, value)| (name.clone(), Some(bytes(value))))
                .collect(),
        });
        records.collect()
    }
}

/// Puts our records in the place of Kafka Streams'.
pub(crate) fn apply(scenario: &mut Scenario, differences: &[Difference]) {
    for difference in differences.iter().filter(|d| d.scenario == scenario.name) {
        let records = difference.records();
        scenario.records.insert(difference.topic.clone(), records);
    }
}

/// Writes what we have got now into the list. The comment at its head stays.
pub(crate) fn bless(vectors: &Path, records: impl Fn(&Difference) -> Vec<Written>) {
    let path = path(vectors);
    let text = std::fs::read_to_string(&path).expect("the list of differences is there");
    let head = text.split("[[difference]]").next().unwrap_or_default();
    let mut out = head.to_owned();
    let base64 = |bytes: &Vec<u8>| STANDARD.encode(bytes);
    for difference in listed(vectors) {
        let Difference {
            scenario,
            topic,
            reason,
            ..
        } = &difference;
        let _ = writeln!(
            out,
            "[[difference]]\nscenario = {scenario:?}\ntopic = {topic:?}\nreason = {reason:?}\nrecords = ["
        );
        for record in records(&difference) {
            let mut fields = vec![format!("after_step = {}", record.after_step)];
            fields.extend(
                record
                    .key
                    .as_ref()
                    .map(|k| format!("key = {:?}", base64(k))),
            );
            fields.extend(
                record
                    .value
                    .as_ref()
                    .map(|v| format!("value = {:?}", base64(v))),
            );
            fields.extend(record.timestamp.map(|ts| format!("ts = {ts}")));
            if !record.headers.is_empty() {
                let headers = record.headers.iter().map(|(name, value)| {
                    format!(
                        "[{name:?}, {:?}]",
                        base64(value.as_ref().unwrap_or(&Vec::new()))
                    )
                });
                let headers: Vec<String> = headers.collect();
                fields.push(format!("headers = [{}]", headers.join(", ")));
            }
            let _ = writeln!(out, "    {{ {} }},", fields.join(", "));
        }
        out += "]\n\n";
    }
    std::fs::write(path, out.trim_end().to_owned() + "\n").expect("the list can be written");
}
