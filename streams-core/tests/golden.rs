//! The reference for the macro: what `#[topology]` makes of `Shop` and `WordCount`, written by hand, compiled and run.
//!
//! Decisions about shape, where the generated code has to look like this:
//! - Names of the runtime come from `__s` only (`::kstreams::__private` there, `streams_core::__private` here), also
//!   `__s::Some`, `__s::Ok`, so that nothing the user shadows matters. Traits: the seven of the `use __s::{… as _}` line.
//! - Handles are `Copy` indexes: `TableStore::new(index in SubtopologyDescriptor::stores)`,
//!   `GlobalTable::new(index in TopologyDescriptor::globals)`. `TOPOLOGY.topics` lists changelog topics too.
//! - Where a null would be dropped and counted, one line each, before the operator, key first:
//!   `let Some(r) = __s::Keyed(r).not_null_key_counted(cx) else {…};` and `__s::Valued(r).not_null_value_counted(cx)`.
//!   count, reduce, aggregate and inner stream-table join: both lines. Left stream-table join, and joins with a global table:
//!   the value's line only. They cost nothing where the type has no null.
//! - Before a repartition topic: `__s::Keyed(r).not_null_key()` (not counted); not before a left join's.
//! - Joins name both sides for messages: `t.customers.joining(r).between::<enriched, customers>().join(f, cx)?`, the same
//!   for global tables. Markers are local `enum`s of the fields' names.
//! - A table with record `Record<K, Option<V>>` at its head (source, to_table): with a store `t.x.source(r, cx)?`, without
//!   `ops::to_table(r)`. A to_table field: `__s::Updates(__s::Valued(r).nullable()).declared::<Node, K, V>()` comes before it.
//! - Table operators work on `Record<K, Change<V>>`; at the end `__s::TableChain(r).declared::<Node, K, V>()`, then, with a store of
//!   its own, `t.x.materialize(r, cx)?`.
//! - Old values, as Kafka Streams has them. A table *can say* them if it has a store, or is a `filter`/`filter_not`/`map_values`
//!   without one of a table that can. A table is *asked* for them if a `filter`/`filter_not` reads it, or a `map_values` without a
//!   store that is asked itself. One with a store that is asked: `TableStore::new(i).sending_old_values()`.
//!   After `filter`/`filter_not` of a table that can say them: without a store of its own
//!   `let Some(r) = __s::ops::not_absent(r) else {…};`, with one `materialize_filtered` in place of `materialize` (the latter also
//!   where this table itself is asked). Otherwise every tombstone goes on, as in `table-filter` of the vectors.
//! - `to_stream`: `__s::TableChain(r).to_stream()` and `.to_stream_present()` (flatten `Option` values by themselves).
//! - `aggregate` is one spelling for `KTable<K, A>` and `KTable<K, Option<A>>` (the trait `Aggregate` is imported); with
//!   `Option<A>` the aggregator takes `A` and returns `Option<A>`.
//! - A node's changed method (`customers_changed`) exists if anybody listens; with no listener `flushed` only returns `Ok(())`.
//! - `merge`: `__s::Chain(r).merged::<node, other, K, V>()` before the tail's method, `K` and `V` the other node's declared types.
//! - `for_each` takes `|&K, V|`. A per-record topic: `cx.send_to(&r, f, &[indexes], &["names"])?`; of a table
//!   `cx.send_to(&__s::ops::to_stream(r), …)`.
//! - An error inside a chain is `?`: there is nothing else to do with it.
#![allow(missing_docs, unreachable_pub, reason = "an expansion")]

#[path = "golden/shop.rs"]
mod shop;
#[path = "golden/word_count.rs"]
mod word_count;

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use shop::{Customer, Enriched, Line, Order, Product, Shop};
use streams_core::__private::{self as __s, Serde, SubTopology, Topology};
use streams_core::context::{TaskContext, TaskContextParts};
use streams_core::exceptions::ErrorHandlers;
use streams_core::query::{ByteReader, ByteSnapshot, ReadError};
use streams_core::record::{Headers, RawRecord, TaskId, Timestamp};
use streams_core::store::{SingleSnapshot, StoreSettings, StoreSpec, TaskStores};
use streams_core::timestamps::TimestampExtractor;
use streams_core::topology::{StoreBackend, StoreKind};
use word_count::WordCount;

/// A task without a runtime around it.
struct Task {
    code: Box<dyn SubTopology>,
    cx: TaskContext,
}

/// Topic, partition, key, value, timestamp.
type Sent = (
    usize,
    Option<i32>,
    Vec<u8>,
    Option<Vec<u8>>,
    Option<Timestamp>,
);

impl Task {
    fn new<T: Topology>(
        app: &Arc<T>,
        subtopology: usize,
        globals: Vec<Arc<dyn ByteReader>>,
    ) -> Self {
        let topology = T::TOPOLOGY;
        let stores = topology.subtopologies[subtopology].stores.iter();
        let specs: Vec<_> = stores
            .map(|i| StoreSpec {
                name: topology.stores[*i].name.into(),
                backend: StoreBackend::Memory,
                segments: None,
            })
            .collect();
        let parts = TaskContextParts {
            topology,
            task: TaskId {
                subtopology,
                partition: 1,
            },
            topics: topology.topics.iter().map(|t| t.name.into()).collect(),
            partitions: topology
                .topics
                .iter()
                .map(|t| t.partitions.unwrap_or(4))
                .collect(),
            stores: TaskStores::in_memory(&specs, &StoreSettings::default()).unwrap(),
            cache_max_bytes: 0,
            globals,
            clock: std::sync::Arc::new(streams_core::time::ManualClock::new(0)),
            emit_interval_ms: 0,
            errors: ErrorHandlers::default(),
            timestamp_extractor: TimestampExtractor::default(),
        };
        let code = T::subtopology(app, subtopology).unwrap();
        Task {
            code,
            cx: TaskContext::new(parts).unwrap(),
        }
    }

    fn process(
        &mut self,
        source: usize,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        timestamp: Timestamp,
    ) -> Vec<Sent> {
        let headers = Headers::new();
        let raw = RawRecord {
            key,
            value,
            timestamp,
            headers: &headers,
        };
        self.cx.process(&mut *self.code, source, 0, raw).unwrap();
        let sent = self.cx.outbox().iter().map(|o| {
            (
                o.topic,
                o.partition,
                o.key.unwrap_or_default().to_vec(),
                o.value.map(<[u8]>::to_vec),
                o.timestamp,
            )
        });
        let sent = sent.collect();
        self.cx.outbox_mut().clear();
        sent
    }
}

fn bytes(value: &impl Serde) -> Vec<u8> {
    let mut out = Vec::new();
    value.serialize(&mut out).unwrap();
    out
}

#[test]
fn a_word_count_counts_words() {
    let app = Arc::new(WordCount::new(&__s::QueryRegistry::new(1)));
    let mut split = Task::new(&app, 0, vec![]);
    let mut count = Task::new(&app, 1, vec![]);
    let mut results = Vec::new();
    for (timestamp, line) in [(10, "a b a"), (5, "a")] {
        for (topic, partition, key, value, timestamp) in
            split.process(0, None, Some(line.as_bytes()), timestamp)
        {
            assert_eq!(topic, 2);
            assert_eq!(
                partition,
                Some(streams_core::partitioner::partition_for_key(&key, 4))
            );
            results.extend(count.process(0, Some(&key), value.as_deref(), timestamp.unwrap()));
        }
    }
    let sent = |topic, key: &str, n: i64, timestamp| {
        let partition = if topic == 3 {
            1
        } else {
            streams_core::partitioner::partition_for_key(key.as_bytes(), 4)
        };
        (
            topic,
            Some(partition),
            key.as_bytes().to_vec(),
            Some(n.to_be_bytes().to_vec()),
            Some(timestamp),
        )
    };
    let expected: Vec<Sent> = [("a", 1), ("b", 1), ("a", 2), ("a", 3)]
        .into_iter()
        .flat_map(|(key, n)| [sent(3, key, n, 10), sent(1, key, n, 10)])
        .collect();
    assert_eq!(results, expected);
}

struct OneProduct;
impl ByteReader for OneProduct {
    fn get(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool, ReadError> {
        if key == b"pen" {
            value.extend_from_slice(&[0; 8]);
            value.extend(bytes(&Product {
                title: "A pen".into(),
            }));
        }
        Ok(key == b"pen")
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
        let mut pen = Vec::new();
        self.get(b"pen", &mut pen)?;
        let rows = [(b"pen".to_vec(), pen)].into();
        let kind = StoreKind::TimestampedKeyValue;
        Ok(Box::new(SingleSnapshot::of_rows(rows, kind, None)))
    }
}

#[test]
fn a_shop_joins_branches_and_repartitions() {
    let app = Arc::new(Shop::new(100, &__s::QueryRegistry::new(3)));
    let mut task = Task::new(&app, 0, vec![Arc::new(OneProduct)]);
    let customer = bytes(&Customer { name: "Ann".into() });
    assert_eq!(
        task.process(1, Some(b"c1"), Some(&customer), 7)[0].0,
        8,
        "the changelog"
    );
    assert!(task.process(1, None, Some(&customer), 7).is_empty());
    assert_eq!(task.cx.dropped_records(), 1);

    let order = |total, product: &str| {
        bytes(&Order {
            total,
            product: product.into(),
            lines: vec![Line {
                product: product.into(),
            }],
        })
    };
    let sent = task.process(0, Some(b"c1"), Some(&order(600, "pen")), 9);
    let enriched = Enriched {
        total: 600,
        customer: "Ann".into(),
        product: "pen".into(),
        title: Some("A pen".into()),
    };
    let topics: Vec<usize> = sent.iter().map(|s| s.0).collect();
    assert_eq!(
        topics,
        [3, 4, 6],
        "enriched, large, per_product-repartition"
    );
    assert_eq!(sent[0].3.as_deref(), Some(bytes(&enriched).as_slice()));

    let sent = task.process(0, Some(b"c1"), Some(&order(100, "ink")), 10);
    let enriched = Enriched {
        total: 100,
        customer: "Ann".into(),
        product: "ink".into(),
        title: None,
    };
    let topics: Vec<usize> = sent.iter().map(|s| s.0).collect();
    assert_eq!(
        topics,
        [3, 5, 6],
        "enriched, small, per_product-repartition"
    );
    assert_eq!(sent[0].3.as_deref(), Some(bytes(&enriched).as_slice()));

    let repartitioned = sent[2].clone();
    let mut count = Task::new(&app, 1, vec![]);
    let sent = count.process(0, Some(&repartitioned.2), repartitioned.3.as_deref(), 10);
    assert_eq!(sent.iter().map(|s| s.0).collect::<Vec<_>>(), [9, 7]);
    assert_eq!(
        task.process(0, Some(b"nobody"), Some(&order(100, "ink")), 11)
            .len(),
        1,
        "no customer: only counted"
    );
    assert_eq!(
        task.process(0, Some(b"c1"), Some(&order(99, "ink")), 12)
            .len(),
        1,
        "filtered: only counted"
    );
}
