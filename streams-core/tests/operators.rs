//! Tables, aggregations and joins against what Apache Kafka Streams 4.3.1 wrote, byte for byte, without a runtime around them:
//! each scenario's sub-topology is the few lines that generated code would have.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use streams_core::__private as __s;
use streams_core::context::{TaskContext, TaskContextParts};
use streams_core::error::TaskResult;
use streams_core::exceptions::ErrorHandlers;
use streams_core::generated::{Flushed, SubTopology, unknown_source, unknown_store};
use streams_core::global_table::GlobalTable;
use streams_core::ops;
use streams_core::query::{ByteReader, ByteSnapshot, ReadError};
use streams_core::record::{Header, Headers, RawRecord, TaskId};
use streams_core::store::{SingleSnapshot, StoreSettings, StoreSpec, TaskStores};
use streams_core::table::TableStore;
use streams_core::timestamps::TimestampExtractor;
use streams_core::topology::{
    Changelog, GlobalDescriptor, KeptBy, OffsetReset, SourceDescriptor, SourceTimestamps,
    StoreBackend, StoreDescriptor, StoreFormat, StoreKind, SubtopologyDescriptor, TopicDescriptor,
    TopicRole, TopologyDescriptor, TypeDescriptor,
};

/// The scenario's topics and stores; the first `sources` topics are read by the task, the next one by a global table if
/// `global` is set, the rest is written.
struct Scenario {
    name: &'static str,
    sources: &'static [&'static str],
    global: Option<&'static str>,
    stores: &'static [&'static str],
}

type Process = fn(usize, RawRecord<'_>, &mut TaskContext) -> TaskResult;

struct Code(Process);

impl SubTopology for Code {
    fn process(&mut self, source: usize, raw: RawRecord<'_>, cx: &mut TaskContext) -> TaskResult {
        (self.0)(source, raw, cx)
    }
    fn flushed(&mut self, store: usize, _: Flushed<'_>, _: &mut TaskContext) -> TaskResult {
        Err(unknown_store(store))
    }
}

/// The topic that every scenario writes.
const OUT: usize = 0;

fn leak<T>(list: Vec<T>) -> &'static [T] {
    Box::leak(list.into_boxed_slice())
}

/// Topics: `out`, sources, the global table's, changelogs. Leaked, as a test's may be.
fn topology(scenario: &Scenario, changelog: bool) -> &'static TopologyDescriptor {
    let bytes = TypeDescriptor::inferred();
    let topic = |name, role| TopicDescriptor {
        name,
        role,
        partitions: Some(1),
        key: bytes,
        value: bytes,
    };
    let mut topics = vec![topic("out", TopicRole::Sink)];
    topics.extend(
        scenario
            .sources
            .iter()
            .map(|name| topic(name, TopicRole::Source)),
    );
    let global = topics.len();
    topics.extend(scenario.global.map(|name| topic(name, TopicRole::Source)));
    let first_changelog = topics.len();
    topics.extend(
        scenario
            .stores
            .iter()
            .map(|name| topic(name, TopicRole::Changelog)),
    );
    let stores = scenario
        .stores
        .iter()
        .enumerate()
        .map(|(i, name)| StoreDescriptor {
            name,
            node: name,
            kind: StoreKind::TimestampedKeyValue,
            backend: StoreBackend::Memory,
            format: StoreFormat::Default,
            cache: true,
            changelog: if changelog {
                Changelog::Internal(first_changelog + i)
            } else {
                Changelog::None
            },
            changelog_config: &[],
            key: bytes,
            value: bytes,
        });
    let sources = scenario
        .sources
        .iter()
        .enumerate()
        .map(|(i, name)| SourceDescriptor {
            node: name,
            topic: i + 1,
            offset_reset: OffsetReset::Earliest,
            timestamps: SourceTimestamps::Configured,
        });
    let globals = scenario.global.map(|node| GlobalDescriptor {
        node,
        topic: global,
        store: usize::MAX,
        kept_by: KeptBy::Topic,
    });
    Box::leak(Box::new(TopologyDescriptor {
        name: "Vec",
        application_id: "vec",
        topics: leak(topics),
        stores: leak(stores.collect()),
        subtopologies: leak(vec![SubtopologyDescriptor {
            sources: leak(sources.collect()),
            stores: leak((0..scenario.stores.len()).collect()),
            nodes: &[],
            copartitioned: &[],
            times: &[],
        }]),
        globals: leak(globals.into_iter().collect()),
    }))
}

#[derive(Debug, Default)]
struct Global(Mutex<BTreeMap<Vec<u8>, Vec<u8>>>);

impl ByteReader for Global {
    fn get(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool, ReadError> {
        let map = self.0.lock().unwrap();
        let found = map.get(key);
        value.extend_from_slice(found.map_or(&[], Vec::as_slice));
        Ok(found.is_some())
    }
    fn range(
        &self,
        _: Bound<&[u8]>,
        _: Bound<&[u8]>,
        _: &mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), ReadError> {
        Ok(())
    }
    fn snapshot(&self) -> Result<Box<dyn ByteSnapshot>, ReadError> {
        let rows = self.0.lock().unwrap().clone();
        let kind = StoreKind::TimestampedKeyValue;
        Ok(Box::new(SingleSnapshot::of_rows(rows, kind, None)))
    }
}

/// Key or value of a step, by the topic's serde.
fn bytes(step: &Value, part: &str, serde: &Value) -> Option<Vec<u8>> {
    if let Some(raw) = step.get(format!("{part}_b64")) {
        return Some(BASE64_STANDARD.decode(raw.as_str().unwrap()).unwrap());
    }
    match (serde.as_str().unwrap(), &step[part]) {
        (_, Value::Null) => None,
        ("string", text) => Some(text.as_str().unwrap().into()),
        ("int", n) => Some(
            i32::try_from(n.as_i64().unwrap())
                .unwrap()
                .to_be_bytes()
                .into(),
        ),
        ("long", n) => Some(n.as_i64().unwrap().to_be_bytes().into()),
        (other, _) => unimplemented!("{other}"),
    }
}

fn headers(step: &Value) -> Headers {
    let list = step
        .get("headers")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let header = |h: &Value| Header {
        key: h["key"].as_str().unwrap().to_owned(),
        value: Some(h["value"].as_str().unwrap().to_owned().into()),
    };
    list.map(header).collect()
}

/// Topic, step, key, value, timestamp, headers.
type Sent = (
    String,
    usize,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
    Option<i64>,
    Headers,
);

fn expected(vector: &Value) -> Vec<Sent> {
    let mut all = Vec::new();
    for part in ["outputs", "changelogs"] {
        for (topic, records) in vector[part].as_object().unwrap() {
            for r in records.as_array().unwrap() {
                let decode = |b: &Value| b.as_str().map(|b| BASE64_STANDARD.decode(b).unwrap());
                let step = usize::try_from(r["after_step"].as_i64().unwrap()).unwrap();
                all.push((
                    topic.clone(),
                    step,
                    decode(&r["key_b64"]),
                    decode(&r["value_b64"]),
                    r["ts"].as_i64(),
                    headers(r),
                ));
            }
        }
    }
    all
}

fn replay(scenario: &Scenario, process: Process) {
    let path = format!(
        "{}/../tests/vectors/{}.json",
        env!("CARGO_MANIFEST_DIR"),
        scenario.name
    );
    let vector: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let has_changelog = |name: &str| {
        name.is_empty()
            || vector["changelogs"]
                .get(format!("vec-{name}-changelog"))
                .is_some()
    };
    let changelog = scenario.stores.iter().all(|s| has_changelog(s));
    let topology = topology(scenario, changelog);
    let specs: Vec<StoreSpec> = scenario
        .stores
        .iter()
        .map(|name| StoreSpec {
            name: (*name).into(),
            backend: StoreBackend::Memory,
            segments: None,
        })
        .collect();
    let global = Arc::new(Global::default());
    let full_name = |t: &TopicDescriptor| match t.role {
        TopicRole::Changelog => format!("vec-{}-changelog", t.name).into(),
        _ => t.name.into(),
    };
    let mut cx = TaskContext::new(TaskContextParts {
        topology,
        task: TaskId {
            subtopology: 0,
            partition: 0,
        },
        topics: topology.topics.iter().map(full_name).collect(),
        partitions: topology.topics.iter().map(|_| 1).collect(),
        stores: TaskStores::in_memory(&specs, &StoreSettings::default()).unwrap(),
        cache_max_bytes: 0,
        globals: scenario
            .global
            .iter()
            .map(|_| Arc::clone(&global) as Arc<dyn ByteReader>)
            .collect(),
        clock: std::sync::Arc::new(streams_core::time::ManualClock::new(0)),
        emit_interval_ms: 0,
        errors: ErrorHandlers::default(),
        timestamp_extractor: TimestampExtractor::default(),
    })
    .unwrap();

    let mut sent: Vec<Sent> = Vec::new();
    let mut dropped_global = 0;
    for (step, input) in vector["inputs"].as_array().unwrap().iter().enumerate() {
        let topic = input["topic"].as_str().unwrap();
        let serdes = &vector["topics"][topic];
        let key = bytes(input, "key", &serdes["key"]);
        let value = bytes(input, "value", &serdes["value"]);
        let timestamp = input["ts"].as_i64().unwrap();
        if scenario.global == Some(topic) {
            let mut map = global.0.lock().unwrap();
            match (key, value) {
                (None, _) => dropped_global += 1,
                (Some(key), Some(value)) => {
                    map.insert(key, [&timestamp.to_be_bytes()[..], &value].concat());
                }
                (Some(key), None) => {
                    map.remove(&key);
                }
            }
            continue;
        }
        let source = scenario.sources.iter().position(|s| *s == topic).unwrap();
        let headers = headers(input);
        let raw = RawRecord {
            key: key.as_deref(),
            value: value.as_deref(),
            timestamp,
            headers: &headers,
        };
        cx.process(&mut Code(process), source, 0, raw).unwrap();
        cx.flush(&mut Code(process)).unwrap();
        sent.extend(cx.outbox().iter().map(|o| {
            let topic = full_name(&topology.topics[o.topic]).to_string();
            let owned = |b: Option<&[u8]>| b.map(<[u8]>::to_vec);
            (
                topic,
                step,
                owned(o.key),
                owned(o.value),
                o.timestamp,
                o.headers.clone(),
            )
        }));
        cx.outbox_mut().clear();
    }
    let mut expected = expected(&vector);
    // The vectors order within a topic only.
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    sent.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(!sent.is_empty());
    assert_eq!(sent, expected, "{}", scenario.name);
    let dropped = cx.dropped_records() + dropped_global;
    assert_eq!(
        Some(dropped),
        vector["dropped_records_total"].as_u64(),
        "{}",
        scenario.name
    );
}

/// The node's marker.
enum Node {}
enum Right {}

type Text = Option<String>;
const STRINGS: TableStore<String, String> = TableStore::new(0);

/// What every aggregation begins with: a nullable stream, its nulls dropped.
macro_rules! grouped {
    ($raw:ident, $cx:ident) => {{
        let Some(r) = $cx.decode::<Text, Text>($raw)? else {
            return Ok(());
        };
        let Some(r) = __s::Keyed(r).not_null_key_counted($cx) else {
            return Ok(());
        };
        let Some(r) = __s::Valued(r).not_null_value_counted($cx) else {
            return Ok(());
        };
        r
    }};
}

#[test]
fn count_counts() {
    const COUNTS: TableStore<String, i64> = TableStore::new(0);
    for (name, store) in [("agg-count", "counts"), ("agg-logging-disabled", "c")] {
        let scenario = Scenario {
            name,
            sources: &["in"],
            global: None,
            stores: leak(vec![store]),
        };
        replay(&scenario, |_, raw, cx| {
            let r = grouped!(raw, cx);
            let Some(r) = COUNTS.grouped(r).count::<Node>(cx)? else {
                return Ok(());
            };
            cx.send_change::<String, i64>(OUT, &r)
        });
    }
}

#[test]
fn reduce_takes_the_first_value_as_it_is() {
    for name in ["agg-reduce", "err-null-key-groupbykey"] {
        let scenario = Scenario {
            name,
            sources: &["in"],
            global: None,
            stores: &["r"],
        };
        replay(&scenario, |_, raw, cx| {
            let r = grouped!(raw, cx);
            let reduced = STRINGS
                .grouped(r)
                .reduce::<Node>(|a, v| format!("{a}+{v}"), cx)?;
            let Some(r) = reduced else { return Ok(()) };
            cx.send_change::<String, String>(OUT, &r)
        });
    }
}

#[test]
fn aggregate_deletes_where_the_aggregator_says_none() {
    const AGG: TableStore<String, Text> = TableStore::new(0);
    let scenario = Scenario {
        name: "agg-aggregate",
        sources: &["in"],
        global: None,
        stores: &["agg"],
    };
    replay(&scenario, |_, raw, cx| {
        let r = grouped!(raw, cx);
        let aggregated = AGG.grouped(r).aggregate::<Node>(
            || "0".to_owned(),
            |_, v, a| {
                if v == "reset" {
                    None
                } else {
                    Some(format!("{a}+{v}"))
                }
            },
            cx,
        )?;
        let Some(r) = aggregated else { return Ok(()) };
        let r = __s::TableChain(r).to_stream();
        cx.send::<String, Text>(OUT, &r)
    });
}

#[test]
fn a_source_table_overwrites_and_forwards_everything() {
    for name in ["table-source", "table-source-optimized"] {
        let scenario = Scenario {
            name,
            sources: &["in"],
            global: None,
            stores: &["t"],
        };
        replay(&scenario, |_, raw, cx| {
            let Some(r) = cx.decode_table::<String, String>(raw)? else {
                return Ok(());
            };
            let Some(r) = STRINGS.source(r, cx)? else {
                return Ok(());
            };
            cx.send_change::<String, String>(OUT, &r)
        });
    }
    let scenario = Scenario {
        name: "table-source-unmaterialized",
        sources: &["in"],
        global: None,
        stores: &[],
    };
    replay(&scenario, |_, raw, cx| {
        let Some(r) = cx.decode_table::<String, String>(raw)? else {
            return Ok(());
        };
        cx.send_change::<String, String>(OUT, &ops::to_table(r))
    });
}

#[test]
fn to_table_drops_null_keys_and_deletes_by_null() {
    let scenario = Scenario {
        name: "stateless-to-table",
        sources: &["in"],
        global: None,
        stores: &["t"],
    };
    replay(&scenario, |_, raw, cx| {
        let Some(r) = cx.decode::<Text, Text>(raw)? else {
            return Ok(());
        };
        let Some(r) = __s::Keyed(r).not_null_key_counted(cx) else {
            return Ok(());
        };
        let r = __s::Updates(__s::Valued(r).nullable()).declared::<Node, String, String>();
        let Some(r) = STRINGS.source(r, cx)? else {
            return Ok(());
        };
        cx.send_change::<String, String>(OUT, &r)
    });
}

#[test]
fn a_filtered_table_turns_what_fails_into_tombstones() {
    let scenario = Scenario {
        name: "table-filter",
        sources: &["in"],
        global: None,
        stores: &[],
    };
    replay(&scenario, |_, raw, cx| {
        let Some(r) = cx.decode_table::<String, i32>(raw)? else {
            return Ok(());
        };
        let r = ops::table_filter(ops::to_table(r), |_, v| *v > 3);
        cx.send_change::<String, i32>(OUT, &r)
    });
    const SRC: TableStore<String, i32> = TableStore::new(0);
    const BIG: TableStore<String, i32> = TableStore::new(1);
    let scenario = Scenario {
        name: "table-filter-materialized",
        sources: &["in"],
        global: None,
        stores: &["src", "big"],
    };
    replay(&scenario, |_, raw, cx| {
        let Some(r) = cx.decode_table::<String, i32>(raw)? else {
            return Ok(());
        };
        let Some(r) = SRC.source(r, cx)? else {
            return Ok(());
        };
        let r = ops::table_filter(r, |_, v| *v > 3);
        let Some(r) = BIG.materialize_filtered(r, cx)? else {
            return Ok(());
        };
        cx.send_change::<String, i32>(OUT, &r)
    });
}

#[test]
fn a_mapped_table_may_map_to_nothing() {
    const LEN: TableStore<String, Option<i64>> = TableStore::new(0);
    let scenario = Scenario {
        name: "table-map-values-materialized",
        sources: &["in"],
        global: None,
        stores: &["len"],
    };
    replay(&scenario, |_, raw, cx| {
        let Some(r) = cx.decode_table::<String, String>(raw)? else {
            return Ok(());
        };
        let r = ops::table_map_values(ops::to_table(r), |v| {
            if v == "nil" {
                None
            } else {
                i64::try_from(v.len()).ok()
            }
        });
        let r = __s::TableChain(r).declared::<Node, String, Option<i64>>();
        let Some(r) = LEN.materialize(r, cx)? else {
            return Ok(());
        };
        cx.send_change::<String, Option<i64>>(OUT, &r)
    });
}

#[test]
fn a_stream_joins_a_table() {
    let scenario = Scenario {
        name: "join-st-inner",
        sources: &["left", "right"],
        global: None,
        stores: &["t"],
    };
    replay(&scenario, |source, raw, cx| match source {
        0 => {
            let r = grouped!(raw, cx);
            let joined = STRINGS.joining(r).between::<Node, Right>();
            let Some(r) = joined.join(|s, t| format!("{s}+{t}"), cx)? else {
                return Ok(());
            };
            cx.send::<String, String>(OUT, &r)
        }
        1 => {
            let Some(r) = cx.decode_table::<String, String>(raw)? else {
                return Ok(());
            };
            STRINGS.source(r, cx).map(drop)
        }
        other => Err(unknown_source(other)),
    });
    let scenario = Scenario {
        name: "join-st-left",
        ..scenario
    };
    replay(&scenario, |source, raw, cx| match source {
        0 => {
            let Some(r) = cx.decode::<Text, Text>(raw)? else {
                return Ok(());
            };
            let Some(r) = __s::Valued(r).not_null_value_counted(cx) else {
                return Ok(());
            };
            let joined = STRINGS
                .joining(r)
                .between::<Node, Right>()
                .left_join_with_key(
                    |k, s, t| format!("{}:{s}+{}", null(k.as_ref()), null(t)),
                    cx,
                )?;
            let Some(r) = joined else { return Ok(()) };
            cx.send::<Text, String>(OUT, &r)
        }
        1 => {
            let Some(r) = cx.decode_table::<String, String>(raw)? else {
                return Ok(());
            };
            STRINGS.source(r, cx).map(drop)
        }
        other => Err(unknown_source(other)),
    });
}

fn null(text: Option<&String>) -> &str {
    text.map_or("null", String::as_str)
}

fn customer(order: &str) -> Text {
    order
        .split_once('/')
        .map(|(customer, _)| customer.to_owned())
}

#[test]
fn a_stream_joins_a_global_table() {
    const CUSTOMERS: GlobalTable<String, String> = GlobalTable::new(0);
    let scenario = Scenario {
        name: "join-gk-inner",
        sources: &["orders"],
        global: Some("customers"),
        stores: &[],
    };
    replay(&scenario, |_, raw, cx| {
        let Some(r) = cx.decode::<Text, Text>(raw)? else {
            return Ok(());
        };
        let Some(r) = __s::Valued(r).not_null_value_counted(cx) else {
            return Ok(());
        };
        let joined = CUSTOMERS.joining(r).between::<Node, Right>().join(
            |_, o| customer(o),
            |o, c| format!("{o}+{c}"),
            cx,
        )?;
        let Some(r) = joined else { return Ok(()) };
        cx.send::<Text, String>(OUT, &r)
    });
    let scenario = Scenario {
        name: "join-gk-left",
        ..scenario
    };
    replay(&scenario, |_, raw, cx| {
        let Some(r) = cx.decode::<Text, Text>(raw)? else {
            return Ok(());
        };
        let Some(r) = __s::Valued(r).not_null_value_counted(cx) else {
            return Ok(());
        };
        let joined = CUSTOMERS
            .joining(r)
            .between::<Node, Right>()
            .left_join_with_key(
                |_, o| customer(o),
                |k, o, c| format!("{}:{o}+{}", null(k.as_ref()), null(c)),
                cx,
            )?;
        let Some(r) = joined else { return Ok(()) };
        cx.send::<Text, String>(OUT, &r)
    });
}
