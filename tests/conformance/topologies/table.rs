//! `table-*`: source tables, filter and `map_values`, with and without stores.

use kstreams::prelude::*;

use super::{Entry, entry};

pub(crate) fn entries() -> Vec<Entry> {
    vec![
        entry!("table-filter", Filter),
        entry!("table-filter-materialized", FilterMaterialized),
        entry!("table-map-values", MapValues),
        entry!("table-map-values-materialized", MapValuesMaterialized),
        entry!("table-source", Source),
        entry!("table-source-optimized", SourceOptimized),
        entry!("table-source-unmaterialized", SourceUnmaterialized),
        entry!("table-to-stream-rekey", ToStreamRekey),
    ]
}

#[topology(application_id = "vec")]
struct Filter {
    #[source(topic = "in")]
    input: KTable<String, i32>,
    #[from(input.filter(|_, v| *v > 3))]
    #[sink(topic = "out")]
    big: KTable<String, i32>,
}

#[topology(application_id = "vec")]
struct FilterMaterialized {
    #[source(topic = "in")]
    #[store(name = "src")]
    input: KTable<String, i32>,
    #[from(input.filter(|_, v| *v > 3))]
    #[store]
    #[sink(topic = "out")]
    big: KTable<String, i32>,
}

#[topology(application_id = "vec")]
struct MapValues {
    #[source(topic = "in")]
    input: KTable<String, String>,
    #[from(input.map_values_with_key(|k, v| (v != "nil").then(|| format!("{k}:{v}"))))]
    #[sink(topic = "out")]
    pairs: KTable<String, Option<String>>,
}

#[topology(application_id = "vec")]
struct MapValuesMaterialized {
    #[source(topic = "in")]
    input: KTable<String, String>,
    #[from(input.map_values(|v| (v != "nil").then(|| v.encode_utf16().count() as i64)))]
    #[store(name = "len")]
    #[sink(topic = "out")]
    lengths: KTable<String, Option<i64>>,
}

#[topology(application_id = "vec")]
struct Source {
    #[source(topic = "in")]
    #[store(name = "t")]
    #[sink(topic = "out")]
    table: KTable<String, String>,
}

#[topology(application_id = "vec", optimization = "all")]
struct SourceOptimized {
    #[source(topic = "in")]
    #[store(name = "t")]
    #[sink(topic = "out")]
    table: KTable<String, String>,
}

#[topology(application_id = "vec")]
struct SourceUnmaterialized {
    #[source(topic = "in")]
    #[sink(topic = "out")]
    table: KTable<String, String>,
}

#[topology(application_id = "vec")]
struct ToStreamRekey {
    #[source(topic = "in")]
    table: KTable<String, String>,
    #[from(table.to_stream().select_key(|_, v| v.clone()))]
    #[sink(topic = "out")]
    by_value: KStream<Option<String>, Option<String>>,
    #[from(by_value.group_by_key().count())]
    #[store(name = "cnt")]
    #[sink(topic = "counts")]
    counts: KTable<String, i64>,
}
