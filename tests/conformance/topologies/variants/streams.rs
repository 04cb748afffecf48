//! Streams, branches and aggregations without windows.

use kstreams::prelude::*;

use super::{Entry, entry, last12, text};

pub(crate) fn entries() -> Vec<Entry> {
    vec![
        entry!("agg-v-reduce-cached", Reduced),
        entry!("agg-v-reduce-null", ReducedNull),
        entry!("agg-v-aggregate-null-cached", AggregatedNull),
        entry!("agg-v-merge-three", MergedThree),
        entry!("agg-v-flat-map", FlatMapped),
        entry!("agg-v-flat-map-cached", FlatMappedValues),
        entry!("agg-v-repartition", Repartitioned),
        entry!("agg-v-two-aggregates", TwoAggregates),
        entry!("agg-v-two-aggregates-optimized", TwoAggregatesOptimized),
        entry!("agg-v-then-filter-cached", ThenFilter),
        entry!("agg-v-then-filter", ThenFilter),
        entry!("agg-v-filtered-to-stream-count", FilteredThenCount),
        entry!("agg-v-in-memory", InMemory),
        entry!("agg-v-headers-cached", Headers),
        entry!("agg-v-headers", Headers),
        entry!("agg-v-small-cache", SmallCache),
        entry!("stateless-v-merge-three", MergeThree),
        entry!("stateless-v-split", Split),
        entry!("stateless-v-split-nested", SplitNested),
        entry!("stateless-v-dynamic-headers", DynamicHeaders),
        entry!("stateless-v-dynamic-context", DynamicContext),
        entry!("stateless-v-dynamic-context-cached", DynamicContext),
        entry!("stateless-v-diamond", Diamond),
        entry!("stateless-v-two-sinks", TwoSinks),
        entry!("stateless-v-two-topics", TwoTopics),
        entry!("stateless-v-repartition-twice", RepartitionTwice),
        entry!("stateless-v-repartition-nulls", RepartitionNulls),
        entry!("stateless-v-through-own-topic", ThroughOwnTopic),
    ]
}

macro_rules! aggregated {
    ($name:ident [$($option:tt)*] [$($kept:tt)*] $store:ident: $value:ty, $($chain:tt)*) => {
        #[topology(application_id = "vec" $($option)*)]
        struct $name {
            #[source(topic = "in")]
            input: KStream<Option<String>, Option<String>>,
            #[from(input.$($chain)*)]
            #[store($($kept)*)]
            #[sink(topic = "out")]
            $store: KTable<String, $value>,
        }
    };
}

aggregated!(Reduced [] [] r: String, group_by_key().reduce(|x, y| last12(&(x + &y))));
aggregated!(ReducedNull [] [] r: Option<String>, group_by_key().reduce(|x, y| (y != "x").then(|| last12(&(x + &y)))));
aggregated!(AggregatedNull [] [] r: Option<String>, group_by_key()
    .aggregate(|| "i".to_owned(), |_, v, a| (v != "x").then(|| last12(&(a + &v)))));
aggregated!(Headers [, store_format = "headers"] [] r: Option<String>, group_by_key()
    .aggregate(|| "i".to_owned(), |_, v, a| (v != "x").then(|| last12(&(a + &v)))));
aggregated!(InMemory [] [kind = memory] n: i64, group_by_key().count());
aggregated!(FlatMapped [] [] r: String, flat_map(|k, v| match v {
    None => vec![],
    Some(v) => vec![(Some(v.clone()), k.clone()), (Some("all".to_owned()), Some(v.clone()))],
}).group_by_key(name = "g").reduce(|x, y| last12(&(x + &y))));
aggregated!(FlatMappedValues [] [] r: String, flat_map_values(|v| match v {
    None => vec![],
    Some(v) => vec![v.clone(), format!("{v}!"), v.clone()],
}).group_by_key().reduce(|x, y| last12(&(x + &y))));
aggregated!(SmallCache [] [] r: String, flat_map(|k, v| match v {
    None => vec![],
    Some(v) => vec![
        (k.clone(), v.clone()),
        (Some("all".to_owned()), v.clone()),
        (k.clone(), format!("{v}!")),
    ],
}).group_by_key(name = "g").reduce(|x, y| last12(&(x + &y))));
aggregated!(Repartitioned [] [] n: i64, select_key(|_, v| v.clone()).repartition(1, name = "rp").group_by_key().count());

#[topology(application_id = "vec")]
struct MergedThree {
    #[source(topic = "a", partitions = 1)]
    a: KStream<Option<String>, Option<String>>,
    #[source(topic = "b", partitions = 1)]
    b: KStream<Option<String>, Option<String>>,
    #[source(topic = "c", partitions = 1)]
    c: KStream<Option<String>, Option<String>>,
    #[from(a.merge(b).merge(c).group_by_key().count())]
    #[sink(topic = "out")]
    n: KTable<String, i64>,
}

macro_rules! two_aggregates {
    ($name:ident $($option:tt)*) => {
        #[topology(application_id = "vec" $($option)*)]
        struct $name {
            #[source(topic = "in")]
            input: KStream<Option<String>, Option<String>>,
            #[from(input.select_key(|_, v| v.clone()).repartition(name = "by"))]
            by: KStream<String, Option<String>>,
            #[from(by.group_by_key().count())]
            #[sink(topic = "out")]
            n: KTable<String, i64>,
            #[from(by.group_by_key().reduce(|x, y| last12(&(x + &y))))]
            #[sink(topic = "sums")]
            r: KTable<String, String>,
        }
    };
}

two_aggregates!(TwoAggregates);
two_aggregates!(TwoAggregatesOptimized, optimization = "all");

#[topology(application_id = "vec")]
struct ThenFilter {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.group_by_key().count())]
    n: KTable<String, i64>,
    #[from(n.filter(|_, n| *n % 2 == 0).map_values(|n| format!("n{n}")))]
    #[sink(topic = "out")]
    even: KTable<String, String>,
}

#[topology(application_id = "vec")]
struct FilteredThenCount {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.group_by_key().count())]
    n: KTable<String, i64>,
    #[from(n.filter(|_, n| *n % 2 == 0).to_stream().group_by_key(name = "again").count())]
    #[sink(topic = "out")]
    n2: KTable<String, i64>,
}

#[topology(application_id = "vec")]
struct MergeThree {
    #[source(topic = "a")]
    a: KStream<Option<String>, Option<String>>,
    #[source(topic = "b")]
    b: KStream<Option<String>, Option<String>>,
    #[source(topic = "c")]
    c: KStream<Option<String>, Option<String>>,
    #[from(c.filter(|_, v| v.is_some()))]
    some: KStream<Option<String>, Option<String>>,
    #[from(a.map_values(|v| Some(format!("A{}", text(v)))).merge(b).merge(some))]
    #[sink(topic = "out")]
    all: KStream<Option<String>, Option<String>>,
}

#[topology(application_id = "vec")]
struct Split {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.branch(|_, v| v.as_deref().is_some_and(|v| v < "3")).map_values(|v| text(v) + "!"))]
    #[sink(topic = "low")]
    low: KStream<Option<String>, String>,
    #[from(input.branch(|k, _| k.as_deref() == Some("c")))]
    #[sink(topic = "c")]
    c: KStream<Option<String>, Option<String>>,
}

#[topology(application_id = "vec")]
struct SplitNested {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.branch(|_, v| v.is_some()))]
    some: KStream<Option<String>, Option<String>>,
    #[from(some.branch(|_, v| v.as_deref() < Some("3")))]
    #[sink(topic = "low")]
    low: KStream<Option<String>, Option<String>>,
    #[from(some.otherwise())]
    #[sink(topic = "high")]
    high: KStream<Option<String>, Option<String>>,
    #[from(input.otherwise())]
    #[sink(topic = "nulls")]
    nulls: KStream<Option<String>, Option<String>>,
}

#[topology(application_id = "vec")]
struct DynamicHeaders {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.map_values(|v| text(v) + "!"))]
    #[sink(topic = |_, _, context| match context.headers.last("h") {
        None => "plain",
        Some(_) => "with-header",
    })]
    marked: KStream<Option<String>, String>,
}

#[topology(application_id = "vec")]
struct DynamicContext {
    #[source(topics("a", "b"), partitions = 1)]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.group_by_key().count())]
    #[sink(topic = |key, _, context| format!(
        "{}-{}-{key}",
        context.topic.unwrap_or("none"),
        context.timestamp % 3 + context.offset % 2,
    ))]
    n: KTable<String, i64>,
}

#[topology(application_id = "vec")]
struct Diamond {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.map_values(|v| text(v) + "1").merge(second))]
    #[sink(topic = "out")]
    both: KStream<Option<String>, String>,
    #[from(input.map_values(|v| text(v) + "2"))]
    second: KStream<Option<String>, String>,
}

#[topology(application_id = "vec")]
struct TwoSinks {
    #[source(topic = "in")]
    #[sink(topic = "copy")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.filter(|_, v| v.is_some()).select_key(|_, v| v.clone()))]
    #[sink(topic = "out")]
    by_value: KStream<Option<String>, Option<String>>,
}

#[topology(application_id = "vec")]
struct TwoTopics {
    #[source(topics("a", "b"))]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.map_values(|v| text(v) + "!"))]
    #[sink(topic = "out")]
    marked: KStream<Option<String>, String>,
}

#[topology(application_id = "vec")]
struct RepartitionTwice {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.select_key(|_, v| v.clone()).repartition(name = "one").map(|k, v: Option<String>| (v, k)).repartition(name = "two"))]
    #[sink(topic = "out")]
    turned: KStream<String, String>,
}

#[topology(application_id = "vec")]
struct RepartitionNulls {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.map_values(|v| v.filter(|v| v != "x")).repartition(name = "one"))]
    #[sink(topic = "out")]
    same: KStream<String, Option<String>>,
}

#[topology(application_id = "vec")]
struct ThroughOwnTopic {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.map_values(|v| text(v) + "!"))]
    #[sink(topic = "middle")]
    marked: KStream<Option<String>, String>,
    #[source(topic = "middle")]
    middle: KStream<Option<String>, String>,
    #[from(middle.group_by_key().count())]
    #[sink(topic = "out")]
    n: KTable<String, i64>,
}
