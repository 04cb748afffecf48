//! Tables made of tables, and rows grouped anew.

use kstreams::prelude::*;

use super::{Entry, entry, last12};

pub(crate) fn entries() -> Vec<Entry> {
    vec![
        entry!("table-v-chain", Chain),
        entry!("table-v-chain-cached", Chain),
        entry!("table-v-chain-stores", ChainStores),
        entry!("table-v-chain-stores-cached", ChainStores),
        entry!("table-v-last-store", LastStore),
        entry!("table-v-unmaterialized-chain", UnmaterializedChain),
        entry!("table-v-filter-not-store", FilterNotStore),
        entry!("table-v-two-readers", TwoReaders),
        entry!("table-v-versioned-chain", VersionedChain),
        entry!("table-v-versioned-groupby", VersionedGroupBy),
        entry!("table-v-versioned-map-store", VersionedMapStore),
        entry!("table-v-versioned-short", VersionedShort),
        entry!("table-v-versioned-zero", VersionedZero),
        entry!("table-v-versioned-to-table", VersionedToTable),
        entry!("table-v-versioned-count", VersionedCount),
        entry!("table-v-versioned-reduce", VersionedReduce),
        entry!("table-v-to-table-again", ToTableAgain),
        entry!("table-v-to-table-unnamed-filter", ToTableFilter),
        entry!("table-v-to-table-cached", ToTableFilter),
        entry!("table-v-logging-off", LoggingOff),
        entry!("table-v-in-memory", InMemory),
        entry!("table-v-caching-off", CachingOff),
        entry!("table-v-headers-chain", HeadersChain),
        entry!("table-v-headers-cached", HeadersFilter),
        entry!("table-v-optimized-chain", OptimizedFilter),
        entry!("table-v-rekeyed-back", RekeyedBack)
            .names(&[("vec-back-repartition", "vec-back-repartition")]),
        entry!("table-v-groupby-reduce-text", Reduced),
        entry!("table-v-groupby-reduce-cached", Reduced),
        entry!("table-v-groupby-reduce-null", ReducedNull),
        entry!("table-v-groupby-aggregate-null", AggregatedNull),
        entry!("table-v-groupby-of-filter", GroupByOfFilter),
        entry!("table-v-groupby-of-map-store", GroupByOfMapStore),
        entry!("table-v-groupby-unmaterialized", GroupByUnmaterialized)
            .names(&[("in-STATE-STORE-0000000000", "t")]),
        entry!("table-v-groupby-twice", GroupByTwice),
        entry!("table-v-groupby-twice-cached", GroupByTwice),
        entry!("table-v-groupby-same-key", GroupBySameKey),
        entry!("table-v-groupby-two", GroupByCount),
        entry!("table-v-groupby-count-null-value", GroupByCountNullValue),
        entry!("table-v-aggregate-groupby", AggregateGroupBy),
        entry!("table-v-groupby-suppressed-store", GroupByThenFilterStore),
    ]
}

/// A source table `t` and a chain from it.
macro_rules! of_table {
    ($name:ident [$($option:tt)*] [$($kept:tt)*] $value:ty, $($chain:tt)*) => {
        #[topology(application_id = "vec" $($option)*)]
        struct $name {
            #[source(topic = "in")]
            #[store($($kept)*)]
            t: KTable<String, String>,
            #[from(t.$($chain)*)]
            #[sink(topic = "out")]
            out: KTable<String, $value>,
        }
    };
}

of_table!(Chain [] [] String, filter(|_, v| v != "x").map_values(|v| v + "!").filter_not(|_, v| v == "1!"));
of_table!(VersionedChain [] [versioned = "1s"] String, filter(|_, v| v != "x").map_values(|v| v + "!"));
of_table!(LoggingOff [] [changelog = false] String, filter(|_, v| v != "x"));
of_table!(InMemory [] [kind = memory] String, map_values(|v| v + "!"));
of_table!(CachingOff [] [cache = false] String, filter(|_, v| v != "x"));

#[topology(application_id = "vec")]
struct ChainStores {
    #[source(topic = "in")]
    #[store]
    t: KTable<String, String>,
    #[from(t.filter(|_, v| v != "x"))]
    #[store]
    f: KTable<String, String>,
    #[from(f.map_values(|v| (v != "1").then(|| v + "!")))]
    #[store]
    m: KTable<String, Option<String>>,
    #[from(m.filter_not(|_, v| v.as_deref() == Some("2!")))]
    #[store]
    #[sink(topic = "out")]
    g: KTable<String, Option<String>>,
}

#[topology(application_id = "vec")]
struct LastStore {
    #[source(topic = "in")]
    #[store]
    t: KTable<String, String>,
    #[from(t.filter(|_, v| v != "x").map_values(|v| (v != "1").then(|| v + "!")))]
    #[store]
    #[sink(topic = "out")]
    m: KTable<String, Option<String>>,
}

#[topology(application_id = "vec")]
struct UnmaterializedChain {
    #[source(topic = "in")]
    t: KTable<String, String>,
    #[from(t.filter(|_, v| v != "x").map_values(|v| (v != "1").then(|| v + "!")))]
    #[sink(topic = "out")]
    m: KTable<String, Option<String>>,
}

#[topology(application_id = "vec")]
struct FilterNotStore {
    #[source(topic = "in")]
    #[store]
    t: KTable<String, String>,
    #[from(t.filter_not(|_, v| v == "x"))]
    #[store]
    #[sink(topic = "out")]
    f: KTable<String, String>,
}

#[topology(application_id = "vec")]
struct TwoReaders {
    #[source(topic = "in")]
    #[store]
    t: KTable<String, String>,
    #[from(t.filter(|_, v| v != "x"))]
    #[sink(topic = "out")]
    some: KTable<String, String>,
    #[from(t.map_values(|v| v + "!"))]
    #[sink(topic = "mapped")]
    mapped: KTable<String, String>,
    #[from(t.to_stream().filter(|_, v| v.is_none()))]
    #[sink(topic = "gone")]
    gone: KStream<String, Option<String>>,
}

#[topology(application_id = "vec")]
struct VersionedGroupBy {
    #[source(topic = "in")]
    #[store(versioned = "1s")]
    t: KTable<String, String>,
    #[from(t.group_by(|_, v| (v.clone(), v.clone()), name = "by").count())]
    #[sink(topic = "out")]
    n: KTable<String, i64>,
}

#[topology(application_id = "vec")]
struct VersionedMapStore {
    #[source(topic = "in")]
    #[store(versioned = "1s")]
    t: KTable<String, String>,
    #[from(t.map_values(|v| (v != "x").then(|| v + "!")))]
    #[store]
    #[sink(topic = "out")]
    m: KTable<String, Option<String>>,
}

#[topology(application_id = "vec")]
struct VersionedShort {
    #[source(topic = "in")]
    #[store(versioned = "10ms")]
    #[sink(topic = "out")]
    t: KTable<String, String>,
}

#[topology(application_id = "vec")]
struct VersionedZero {
    #[source(topic = "in")]
    #[store(versioned = "0ms")]
    #[sink(topic = "out")]
    t: KTable<String, String>,
}

macro_rules! of_stream {
    ($name:ident [$($kept:tt)*] $store:ident: $value:ty, $($chain:tt)*) => {
        #[topology(application_id = "vec")]
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

of_stream!(VersionedToTable [versioned = "1s"] t: String, to_table());
of_stream!(VersionedCount [versioned = "1s"] n: i64, group_by_key().count());
of_stream!(VersionedReduce [versioned = "1s"] n: String, group_by_key().reduce(|x, y| last12(&(x + &y))));

#[topology(application_id = "vec")]
struct ToTableAgain {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.group_by_key().count())]
    n: KTable<String, i64>,
    #[from(n.to_stream().map_values(|n| n.to_string()).to_table())]
    #[store]
    #[sink(topic = "out")]
    again: KTable<String, String>,
}

#[topology(application_id = "vec")]
struct ToTableFilter {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.to_table())]
    #[store]
    t: KTable<String, String>,
    #[from(t.filter(|_, v| v.as_str() > "3"))]
    #[sink(topic = "out")]
    large: KTable<String, String>,
}

#[topology(application_id = "vec", store_format = "headers")]
struct HeadersChain {
    #[source(topic = "in")]
    #[store]
    t: KTable<String, String>,
    #[from(t.filter(|_, v| v != "x"))]
    #[store]
    f: KTable<String, String>,
    #[from(f.map_values(|v| (v != "1").then(|| v + "!")))]
    #[store]
    #[sink(topic = "out")]
    m: KTable<String, Option<String>>,
}

macro_rules! filtered {
    ($name:ident $($option:tt)*) => {
        #[topology(application_id = "vec", $($option)*)]
        struct $name {
            #[source(topic = "in")]
            #[store]
            t: KTable<String, String>,
            #[from(t.filter(|_, v| v != "x"))]
            #[store]
            #[sink(topic = "out")]
            f: KTable<String, String>,
        }
    };
}

filtered!(HeadersFilter store_format = "headers");
filtered!(OptimizedFilter optimization = "all");

#[topology(application_id = "vec")]
struct RekeyedBack {
    #[source(topic = "in")]
    #[store]
    t: KTable<String, String>,
    #[from(t.to_stream().map(|k, v: Option<String>| (v, Some(k))).to_table())]
    #[store]
    #[sink(topic = "out")]
    back: KTable<String, String>,
}

fn level(key: &str) -> String {
    if key < "c" { "low" } else { "high" }.to_owned()
}

macro_rules! regrouped {
    ($name:ident $value:ty, $($chain:tt)*) => {
        #[topology(application_id = "vec")]
        struct $name {
            #[source(topic = "in")]
            #[store]
            t: KTable<String, String>,
            #[from(t.$($chain)*)]
            #[sink(topic = "out")]
            r: KTable<String, $value>,
        }
    };
    (count $name:ident $($chain:tt)*) => {
        #[topology(application_id = "vec")]
        struct $name {
            #[source(topic = "in")]
            #[store]
            t: KTable<String, String>,
            #[from(t.$($chain)*.count())]
            #[sink(topic = "out")]
            n: KTable<String, i64>,
        }
    };
}

regrouped!(Reduced String, group_by(|k, v| ((v != "x").then(|| level(k)), v.clone()), name = "by")
    .reduce(|a, v| last12(&format!("{a}+{v}")), |a, v| last12(&format!("{a}-{v}"))));
regrouped!(ReducedNull Option<String>, group_by(|k, v| (level(k), v.clone()), name = "by").reduce(
    |a, v| (v != "3").then(|| last12(&format!("{a}+{v}"))),
    |a, v| (v != "5").then(|| last12(&format!("{a}-{v}"))),
));
regrouped!(AggregatedNull Option<String>, group_by(|k, v| (level(k), v.clone()), name = "by").aggregate(
    || "i".to_owned(),
    |_, v, a| (v != "3").then(|| last12(&format!("{a}+{v}"))),
    |_, v, a| (v != "5").then(|| last12(&format!("{a}-{v}"))),
));
regrouped!(GroupByOfFilter String, filter(|_, v| v != "x").group_by(|k, v| (v.clone(), k.clone()), name = "by").aggregate(
    String::new,
    |_, v, a| last12(&format!("{a}+{v}")),
    |_, v, a| last12(&format!("{a}-{v}")),
));
regrouped!(GroupBySameKey String, group_by(|k, v| (k.clone(), v.clone() + "!"), name = "by").aggregate(
    String::new,
    |_, v, a| last12(&format!("{a}+{v}")),
    |_, v, a| last12(&format!("{a}-{v}")),
));
regrouped!(count GroupByCount group_by(|k, v| (v.clone(), k.clone()), name = "by"));
regrouped!(count GroupByCountNullValue group_by(|_, v| ("g".to_owned(), (v != "x").then(|| v.clone())), name = "by"));

#[topology(application_id = "vec")]
struct GroupByOfMapStore {
    #[source(topic = "in")]
    #[store]
    t: KTable<String, String>,
    #[from(t.map_values(|v| (v != "x").then(|| v + "!")))]
    #[store]
    m: KTable<String, Option<String>>,
    #[from(m.group_by(|k, v| (v.clone(), k.clone()), name = "by").aggregate(
        String::new,
        |_, v, a| last12(&format!("{a}+{v}")),
        |_, v, a| last12(&format!("{a}-{v}")),
    ))]
    #[sink(topic = "out")]
    r: KTable<String, String>,
}

#[topology(application_id = "vec")]
struct GroupByUnmaterialized {
    #[source(topic = "in")]
    t: KTable<String, String>,
    #[from(t.map_values(|v| (v != "x").then(|| v + "!")).group_by(|k, v| (v.clone(), k.clone()), name = "by").count())]
    #[sink(topic = "out")]
    n: KTable<String, i64>,
}

#[topology(application_id = "vec")]
struct GroupByTwice {
    #[source(topic = "in")]
    #[store]
    t: KTable<String, String>,
    #[from(t.group_by(|k, v| (v.clone(), k.clone()), name = "by").count())]
    n: KTable<String, i64>,
    #[from(n.group_by(|k, n| (format!("n{n}"), k.clone()), name = "by-n").aggregate(
        String::new,
        |_, v, a| last12(&format!("{a}+{v}")),
        |_, v, a| last12(&format!("{a}-{v}")),
    ))]
    #[sink(topic = "out")]
    r: KTable<String, String>,
}

#[topology(application_id = "vec")]
struct AggregateGroupBy {
    #[source(topic = "in")]
    input: KStream<String, String>,
    #[from(input.group_by_key().aggregate(String::new, |_, v, a| (v != "x").then(|| last12(&(a + &v)))))]
    agg: KTable<String, Option<String>>,
    #[from(agg.group_by(|_, v| (v.as_ref().and_then(|v| v.chars().last()).map(String::from), v.clone()), name = "by").count())]
    #[sink(topic = "out")]
    n: KTable<String, i64>,
}

#[topology(application_id = "vec")]
struct GroupByThenFilterStore {
    #[source(topic = "in")]
    #[store]
    t: KTable<String, String>,
    #[from(t.group_by(|k, v| (v.clone(), k.clone()), name = "by").count())]
    n: KTable<String, i64>,
    #[from(n.filter(|_, n| *n > 1))]
    #[store]
    #[sink(topic = "out")]
    f: KTable<String, i64>,
}
