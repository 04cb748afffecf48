//! `stateless-*`: record by record, branches, repartition, `to_table`.

use kstreams::prelude::*;

use super::{Entry, entry};
use crate::effects::log;

pub(crate) fn entries() -> Vec<Entry> {
    vec![
        entry!("stateless-filter", Filter),
        entry!("stateless-filter-not", FilterNot),
        entry!("stateless-flat-map", FlatMap),
        entry!("stateless-flat-map-values", FlatMapValues),
        entry!("stateless-map", Map),
        entry!("stateless-map-values-with-key", MapValuesWithKey),
        entry!("stateless-merge", Merge),
        entry!("stateless-peek-foreach", PeekForEach),
        entry!("stateless-repartition", Repartition),
        entry!("stateless-select-key", SelectKey),
        entry!("stateless-split-default", SplitDefault),
        entry!("stateless-to-dynamic-value", ToDynamicValue),
        entry!("stateless-to-table", ToTable),
        entry!("stateless-to-table-rekeyed", ToTableRekeyed)
            .names(&[("KSTREAM-TOTABLE-0000000002", "table")]),
    ]
}

/// Text as Java's `+` shows it.
fn text(value: Option<&String>) -> &str {
    value.map_or("null", String::as_str)
}

/// Java counts UTF-16 units.
fn length(value: &str) -> usize {
    value.encode_utf16().count()
}

fn first_character(value: &str) -> Option<String> {
    value.chars().next().map(String::from)
}

#[topology(application_id = "vec")]
struct Filter {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.filter(|_, v| v.as_ref().is_some_and(|v| length(v).is_multiple_of(2))))]
    #[sink(topic = "out")]
    even: KStream<Option<String>, Option<String>>,
}

#[topology(application_id = "vec")]
struct FilterNot {
    #[source(topic = "in")]
    input: KStream<Option<i32>, Option<String>>,
    #[from(input.filter_not(|k, _| k.is_some_and(|k| k % 3 == 0)))]
    #[sink(topic = "out")]
    rest: KStream<Option<i32>, Option<String>>,
}

#[topology(application_id = "vec")]
struct FlatMap {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.flat_map(|k, v| {
        let words = v.as_deref().unwrap_or_default().split(' ').filter(|word| !word.is_empty());
        words.map(|word| (word.to_owned(), k.clone())).collect::<Vec<_>>()
    }))]
    #[sink(topic = "out")]
    words: KStream<String, Option<String>>,
}

#[topology(application_id = "vec")]
struct FlatMapValues {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.flat_map_values_with_key(|k, v| match text(v.as_ref()) {
        "none" => vec![],
        "nulls" => vec![None, None],
        v => vec![Some(v.to_uppercase()), Some(format!("{v}/{}", text(k.as_ref())))],
    }))]
    #[sink(topic = "out")]
    both: KStream<Option<String>, Option<String>>,
}

#[topology(application_id = "vec")]
struct Map {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.map(|k, v| {
        let length = v.map(|v| length(&v) as i64);
        (k.unwrap_or_else(|| "none".into()) + "!", length)
    }))]
    #[sink(topic = "out")]
    lengths: KStream<String, Option<i64>>,
}

#[topology(application_id = "vec")]
struct MapValuesWithKey {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.map_values_with_key(|k, v| match text(v.as_ref()) {
        "nil" => None,
        v => Some(format!("{}={v}", text(k.as_ref()))),
    }))]
    #[sink(topic = "out")]
    pairs: KStream<Option<String>, Option<String>>,
}

#[topology(application_id = "vec")]
struct Merge {
    #[source(topic = "left")]
    left: KStream<Option<String>, Option<String>>,
    #[source(topic = "right")]
    right: KStream<Option<String>, Option<String>>,
    #[from(right.map_values(|v| format!("R:{}", text(v.as_ref()))))]
    tagged: KStream<Option<String>, String>,
    #[from(left.map_values(|v| format!("L:{}", text(v.as_ref()))).merge(tagged))]
    #[sink(topic = "out")]
    all: KStream<Option<String>, String>,
}

#[topology(application_id = "vec")]
struct PeekForEach {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.peek(|k, v| log(format!("peek {} {}", text(k.as_ref()), text(v.as_ref())))))]
    #[sink(topic = "out")]
    seen: KStream<Option<String>, Option<String>>,
    #[from(seen.for_each(|k, v| log(format!("each {} {}", text(k.as_ref()), text(v.as_ref())))))]
    each: (),
}

#[topology(application_id = "vec")]
struct Repartition {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input
        .select_key(|_, v| v.as_deref().and_then(first_character))
        .repartition(name = "by-first"))]
    #[sink(topic = "out")]
    out: KStream<String, Option<String>>,
}

#[topology(application_id = "vec")]
struct SelectKey {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.select_key(|_, v| v.as_deref().and_then(first_character)))]
    #[sink(topic = "out")]
    out: KStream<Option<String>, Option<String>>,
}

#[topology(application_id = "vec")]
struct SplitDefault {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<i32>>,
    #[from(input.branch(|_, v| v.is_some_and(|v| v < 10)))]
    #[sink(topic = "small")]
    small: KStream<Option<String>, Option<i32>>,
    #[from(input.branch(|_, v| v.is_some_and(|v| v > 5)))]
    #[sink(topic = "big")]
    big: KStream<Option<String>, Option<i32>>,
    #[from(input.otherwise())]
    #[sink(topic = "rest")]
    rest: KStream<Option<String>, Option<i32>>,
}

#[topology(application_id = "vec")]
struct ToDynamicValue {
    #[source(topic = "in")]
    #[sink(topic = |_, v| match v.as_deref() {
        None => "dyn-null".to_owned(),
        Some(v) => format!("dyn-{}", first_character(v).unwrap_or_default()),
    })]
    input: KStream<Option<String>, Option<String>>,
}

#[topology(application_id = "vec")]
struct ToTable {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.to_table())]
    #[store(name = "t")]
    #[sink(topic = "out")]
    table: KTable<String, String>,
}

#[topology(application_id = "vec")]
struct ToTableRekeyed {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.select_key(|_, v| v.clone().filter(|v| v != "nokey")).to_table())]
    #[sink(topic = "out")]
    table: KTable<String, String>,
}
