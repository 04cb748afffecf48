//! `agg-*`: count, reduce, aggregate, with and without a repartition before them.

use kstreams::prelude::*;

use super::{Entry, entry};

pub(crate) fn entries() -> Vec<Entry> {
    vec![
        entry!("agg-aggregate", Aggregate),
        entry!("agg-count", Count),
        entry!("agg-count-cached-flatmap", CountCachedFlatMap),
        entry!("agg-count-unnamed", CountUnnamed)
            .names(&[("KSTREAM-AGGREGATE-STATE-STORE-0000000001", "counts")]),
        entry!("agg-groupby-repartition", GroupByRepartition),
        entry!("agg-logging-disabled", LoggingDisabled),
        entry!("agg-map-then-group", MapThenGroup),
        entry!("agg-merged-repartition-optimized", MergedRepartition),
        entry!("agg-reduce", Reduce),
        entry!("agg-two-stage", TwoStage),
        entry!("err-null-key-groupbykey", Reduce),
    ]
}

/// Java's `split(" ")`: empty words at the end are left out, unless there is no blank at all.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
    while text.contains(' ') && words.last().is_some_and(String::is_empty) {
        words.pop();
    }
    words
}

#[topology(application_id = "vec")]
struct Aggregate {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.group_by_key().aggregate(
        || "0".to_owned(),
        |_, v, agg| (v != "reset").then(|| format!("{agg}+{v}")),
    ))]
    #[sink(topic = "out")]
    agg: KTable<String, Option<String>>,
}

#[topology(application_id = "vec")]
struct Count {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.group_by_key().count())]
    #[sink(topic = "out")]
    counts: KTable<String, i64>,
}

#[topology(application_id = "vec")]
struct CountCachedFlatMap {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input
        .flat_map_values(|v| v.as_deref().map(words).unwrap_or_default())
        .group_by_key()
        .count())]
    #[sink(topic = "out")]
    counts: KTable<String, i64>,
}

#[topology(application_id = "vec")]
struct CountUnnamed {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.group_by_key().count())]
    #[sink(topic = "out")]
    counts: KTable<String, i64>,
}

#[topology(application_id = "vec")]
struct GroupByRepartition {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input
        .group_by(
            |_, v| match v.as_deref() {
                None => Some("n".to_owned()),
                Some("nokey") => None,
                Some(v) => v.chars().next().map(String::from),
            },
            name = "by-first",
        )
        .count())]
    #[sink(topic = "out")]
    counts: KTable<String, i64>,
}

#[topology(application_id = "vec")]
struct LoggingDisabled {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.group_by_key().count())]
    #[store(name = "c", changelog = false)]
    #[sink(topic = "out")]
    counts: KTable<String, i64>,
}

#[topology(application_id = "vec")]
struct MapThenGroup {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input
        .map(|k, v| (v, k))
        .group_by_key(name = "gk")
        .aggregate(String::new, |_, v, agg| agg + &v + ";"))]
    agg: KTable<String, String>,
    #[from(agg.to_stream().map_values(|v| v.to_uppercase()))]
    #[sink(topic = "out")]
    upper: KStream<String, String>,
}

#[topology(application_id = "vec")]
struct Reduce {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.group_by_key().reduce(|agg, v| agg + "+" + &v))]
    #[store(name = "r")]
    #[sink(topic = "out")]
    sums: KTable<String, String>,
}

#[topology(application_id = "vec")]
struct TwoStage {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.group_by_key().count())]
    #[store(name = "c1")]
    counts: KTable<String, i64>,
    #[from(counts.group_by(|_, n| (format!("n{n}"), *n)).count())]
    #[store(name = "c2")]
    #[sink(topic = "out")]
    histogram: KTable<String, i64>,
}

#[topology(application_id = "vec", optimization = "all")]
struct MergedRepartition {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.select_key(|_, v| v.clone()))]
    by_value: KStream<Option<String>, Option<String>>,
    #[from(by_value.group_by_key(name = "one").count())]
    #[store(name = "c1")]
    #[sink(topic = "c")]
    counts: KTable<String, i64>,
    #[from(by_value.group_by_key(name = "two").reduce(|a, b| a + "+" + &b))]
    #[store(name = "r1")]
    #[sink(topic = "r")]
    sums: KTable<String, String>,
}
