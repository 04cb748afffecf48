//! The record cache before a table: what is held back, and what leaves it when, in which form.

use streams_core::context::{TaskContext, TaskContextParts};
use streams_core::error::TaskResult;
use streams_core::exceptions::ErrorHandlers;
use streams_core::generated::{Flushed, SubTopology, unknown_source};
use streams_core::record::{Headers, RawRecord, TaskId};
use streams_core::store::{StoreSettings, StoreSpec, TaskStores};
use streams_core::table::TableStore;
use streams_core::timestamps::TimestampExtractor;
use streams_core::topology::{
    Changelog, OffsetReset, SourceDescriptor, SourceTimestamps, StoreBackend, StoreDescriptor,
    StoreFormat, StoreKind, SubtopologyDescriptor, TopicDescriptor, TopicRole, TopologyDescriptor,
    TypeDescriptor,
};

const TEXT: TypeDescriptor = TypeDescriptor::of::<String>("String");

const fn topic(name: &'static str, role: TopicRole) -> TopicDescriptor {
    TopicDescriptor {
        name,
        role,
        partitions: Some(1),
        key: TEXT,
        value: TEXT,
    }
}

/// `table(in, as 't').toStream().to(out)`
static TOPOLOGY: TopologyDescriptor = TopologyDescriptor {
    name: "Table",
    application_id: "app",
    topics: &[
        topic("in", TopicRole::Source),
        topic("out", TopicRole::Sink),
        topic("t-changelog", TopicRole::Changelog),
    ],
    stores: &[StoreDescriptor {
        name: "t",
        node: "t",
        kind: StoreKind::TimestampedKeyValue,
        backend: StoreBackend::Memory,
        format: StoreFormat::Default,
        cache: true,
        changelog: Changelog::Internal(2),
        changelog_config: &[],
        key: TEXT,
        value: TEXT,
    }],
    subtopologies: &[SubtopologyDescriptor {
        sources: &[SourceDescriptor {
            node: "t",
            topic: 0,
            offset_reset: OffsetReset::Earliest,
            timestamps: SourceTimestamps::Configured,
        }],
        stores: &[0],
        nodes: &[],
        copartitioned: &[],
        times: &[],
    }],
    globals: &[],
};

struct Table(TableStore<String, String>);

impl SubTopology for Table {
    fn process(&mut self, source: usize, raw: RawRecord<'_>, cx: &mut TaskContext) -> TaskResult {
        if source != 0 {
            return Err(unknown_source(source));
        }
        let Some(r) = cx.decode_table::<String, String>(raw)? else {
            return Ok(());
        };
        let Some(r) = self.0.source(r, cx)? else {
            return Ok(());
        };
        cx.send_change(1, &r)
    }
    fn flushed(&mut self, _: usize, entry: Flushed<'_>, cx: &mut TaskContext) -> TaskResult {
        let r = self.0.flushed(entry, cx)?;
        let old = r.value.old.clone();
        let r = r.map_new(|new| match (new, old) {
            (Some(new), Some(old)) => Some(format!("{old}>{new}")),
            (new, _) => new,
        });
        cx.send_change(1, &r)
    }
}

/// To leave the expectation readable: what was there before, if the store says so, goes before the value.
trait MapNew {
    fn map_new(self, f: impl FnOnce(Option<String>) -> Option<String>) -> Self;
}
impl MapNew for streams_core::record::Record<String, streams_core::record::Change<String>> {
    fn map_new(mut self, f: impl FnOnce(Option<String>) -> Option<String>) -> Self {
        self.value.new = f(self.value.new.take());
        self
    }
}

struct Task {
    code: Table,
    cx: TaskContext,
}

impl Task {
    fn new(cache_max_bytes: usize, table: TableStore<String, String>) -> Task {
        let specs = [StoreSpec {
            name: "t".into(),
            backend: StoreBackend::Memory,
            segments: None,
        }];
        let parts = TaskContextParts {
            topology: &TOPOLOGY,
            task: TaskId {
                subtopology: 0,
                partition: 0,
            },
            topics: TOPOLOGY.topics.iter().map(|t| t.name.into()).collect(),
            partitions: [1, 1, 1].into(),
            stores: TaskStores::in_memory(&specs, &StoreSettings::default()).unwrap(),
            cache_max_bytes,
            globals: vec![],
            clock: std::sync::Arc::new(streams_core::time::ManualClock::new(0)),
            emit_interval_ms: 0,
            errors: ErrorHandlers::default(),
            timestamp_extractor: TimestampExtractor::default(),
        };
        Task {
            code: Table(table),
            cx: TaskContext::new(parts).unwrap(),
        }
    }

    fn put(&mut self, key: &str, value: Option<&str>, timestamp: i64) {
        let mut headers = Headers::new();
        headers.add("from", timestamp.to_string());
        let raw = RawRecord {
            key: Some(key.as_bytes()),
            value: value.map(str::as_bytes),
            timestamp,
            headers: &headers,
        };
        self.cx.process(&mut self.code, 0, timestamp, raw).unwrap();
    }

    /// `topic key=value@timestamp`, with `+` where there are headers.
    fn sent(&mut self) -> Vec<String> {
        let text =
            |b: Option<&[u8]>| b.map_or("null".into(), |b| String::from_utf8(b.into()).unwrap());
        let all = self.cx.outbox().iter().map(|o| {
            let headers = if o.headers.is_empty() { "" } else { "+" };
            let topic = TOPOLOGY.topics[o.topic].name;
            format!(
                "{topic} {}={}@{}{headers}",
                text(o.key),
                text(o.value),
                o.timestamp.unwrap()
            )
        });
        let all = all.collect();
        self.cx.outbox_mut().clear();
        all
    }
}

#[test]
fn without_a_cache_every_update_goes_on_at_once() {
    let mut t = Task::new(0, TableStore::new(0));
    t.put("a", Some("1"), 10);
    t.put("a", Some("1"), 5);
    t.put("b", None, 7);
    let expected = [
        "t-changelog a=1@10",
        "out a=1@10+",
        "t-changelog a=1@5",
        "out a=1@5+",
        "t-changelog b=null@7",
        "out b=null@7+",
    ];
    assert_eq!(t.sent(), expected);
    t.cx.flush(&mut t.code).unwrap();
    assert!(t.sent().is_empty());
}

#[test]
fn a_flush_passes_on_the_last_update_of_each_key_in_the_order_of_updates() {
    let mut t = Task::new(10_000, TableStore::new(0));
    t.put("a", Some("1"), 10);
    t.put("b", Some("2"), 11);
    t.put("a", Some("3"), 4);
    assert!(t.sent().is_empty(), "held back");
    t.cx.flush(&mut t.code).unwrap();
    assert_eq!(
        t.sent(),
        [
            "t-changelog b=2@11",
            "out b=2@11+",
            "t-changelog a=3@4",
            "out a=3@4+"
        ]
    );
    t.cx.flush(&mut t.code).unwrap();
    assert!(t.sent().is_empty(), "clean");
}

#[test]
fn a_deletion_of_what_never_was_goes_nowhere() {
    let mut t = Task::new(10_000, TableStore::new(0));
    t.put("a", Some("1"), 10);
    t.put("a", None, 12);
    t.put("b", None, 13);
    t.cx.flush(&mut t.code).unwrap();
    assert!(t.sent().is_empty());
    t.put("a", Some("1"), 14);
    t.cx.flush(&mut t.code).unwrap();
    t.put("a", None, 12);
    t.cx.flush(&mut t.code).unwrap();
    assert_eq!(t.sent()[2..], ["t-changelog a=null@12", "out a=null@12+"]);
}

#[test]
fn old_values_are_those_of_the_last_flush() {
    let mut t = Task::new(10_000, TableStore::new(0).sending_old_values());
    for (value, timestamp) in [("1", 1), ("2", 2)] {
        t.put("a", Some(value), timestamp);
    }
    t.cx.flush(&mut t.code).unwrap();
    t.put("a", Some("3"), 3);
    t.put("a", Some("4"), 4);
    t.cx.flush(&mut t.code).unwrap();
    let out: Vec<_> = t
        .sent()
        .into_iter()
        .filter(|s| s.starts_with("out"))
        .collect();
    assert_eq!(out, ["out a=2@2+", "out a=2>4@4+"]);
}

#[test]
fn a_full_cache_lets_go_of_a_store_s_updates() {
    let mut t = Task::new(300, TableStore::new(0));
    for i in 0..20 {
        t.put(&format!("key{i}"), Some("value"), i);
    }
    let sent = t.sent();
    assert!(
        !sent.is_empty() && t.cx.cache().size_in_bytes() <= 300,
        "{sent:?}"
    );
    t.cx.flush(&mut t.code).unwrap();
    let all: Vec<String> = [sent, t.sent()]
        .concat()
        .into_iter()
        .filter(|s| s.starts_with("out"))
        .collect();
    let expected: Vec<String> = (0..20).map(|i| format!("out key{i}=value@{i}+")).collect();
    assert_eq!(all, expected, "each once, in order");
}

#[test]
fn an_abort_forgets_what_was_not_committed() {
    let mut t = Task::new(10_000, TableStore::new(0));
    t.put("a", Some("1"), 1);
    t.cx.flush(&mut t.code).unwrap();
    t.put("a", Some("2"), 2);
    t.cx.abort();
    assert!(t.sent().is_empty());
    t.cx.flush(&mut t.code).unwrap();
    assert!(t.sent().is_empty());
    assert_eq!(t.cx.stores_mut().get(0, b"a").unwrap(), None);
}
