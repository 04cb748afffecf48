//! Streams joined with tables and with global tables.

use kstreams::prelude::*;

use super::{Entry, entry, last12, or_null};

pub(crate) fn entries() -> Vec<Entry> {
    vec![
        entry!("join-v-st-count", Count),
        entry!("join-v-st-left-reduced-cached", LeftReduced),
        entry!("join-v-st-own-count", OwnCount),
        entry!("join-v-st-own-count-cached", OwnCount),
        entry!("join-v-st-to-table", ToTable),
        entry!("join-v-st-filtered-store", FilteredStore),
        entry!("join-v-st-rekeyed-inner", RekeyedInner),
        entry!("join-v-st-twice", Twice),
        entry!("join-v-st-versioned-left-grace", VersionedLeftGrace),
        entry!("join-v-st-versioned-grace-rekeyed", VersionedGraceRekeyed),
        entry!("join-v-st-versioned-short", VersionedShort),
        entry!("join-v-st-versioned-grace-zero", VersionedGraceZero),
        entry!("join-v-st-joined-table", JoinedTable),
        entry!("join-v-st-then-count", ThenCount),
        entry!("join-v-st-headers", Headers),
        entry!("join-v-gk-key", GlobalKey),
        entry!("join-v-gk-null-mapped", GlobalNullMapped),
        entry!("join-v-gk-twice-then-count", GlobalTwice),
        entry!("join-v-gk-rekeyed", GlobalRekeyed),
    ]
}

#[topology(application_id = "vec")]
struct Count {
    #[source(topic = "left", partitions = 1)]
    left: KStream<Option<String>, Option<String>>,
    #[source(topic = "right", partitions = 1)]
    right: KStream<Option<String>, Option<String>>,
    #[from(right.group_by_key().count())]
    n: KTable<String, i64>,
    #[from(left.join(n, |v, n| format!("{v}/{n}")))]
    #[sink(topic = "out")]
    joined: KStream<String, String>,
}

#[topology(application_id = "vec")]
struct LeftReduced {
    #[source(topic = "left", partitions = 1)]
    left: KStream<Option<String>, Option<String>>,
    #[source(topic = "right", partitions = 1)]
    right: KStream<Option<String>, Option<String>>,
    #[from(right.group_by_key().reduce(|x, y| last12(&(x + &y))))]
    r: KTable<String, String>,
    #[from(left.left_join(r, |v, r| format!("{v}+{}", or_null(r))))]
    #[sink(topic = "out")]
    joined: KStream<Option<String>, String>,
}

#[topology(application_id = "vec")]
struct OwnCount {
    #[source(topic = "in", partitions = 1)]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.group_by_key().count())]
    n: KTable<String, i64>,
    #[from(input.left_join(n, |v, n| format!("{v}/{}", n.map_or("null".to_owned(), i64::to_string))))]
    #[sink(topic = "out")]
    joined: KStream<Option<String>, String>,
}

#[topology(application_id = "vec")]
struct ToTable {
    #[source(topic = "left", partitions = 1)]
    left: KStream<Option<String>, Option<String>>,
    #[source(topic = "right", partitions = 1)]
    right: KStream<Option<String>, Option<String>>,
    #[from(right.map_values(|v| v.filter(|v| v != "x")).to_table())]
    t: KTable<String, String>,
    #[from(left.join(t, |v, t| format!("{v}+{t}")))]
    #[sink(topic = "out")]
    joined: KStream<String, String>,
}

macro_rules! with_table {
    ($name:ident [$($option:tt)*] [$($store:tt)*] $key:ty, $($chain:tt)*) => {
        #[topology(application_id = "vec" $($option)*)]
        struct $name {
            #[source(topic = "left", partitions = 1)]
            left: KStream<Option<String>, Option<String>>,
            #[source(topic = "right", partitions = 1)]
            #[store($($store)*)]
            t: KTable<String, String>,
            #[from(left.$($chain)*)]
            #[sink(topic = "out")]
            joined: KStream<$key, String>,
        }
    };
}

with_table!(RekeyedInner [] [] String, map(|k, v: Option<String>| (v.filter(|v| v != "1"), k)).join(t, |v, t| format!("{v}+{t}"), name = "j"));
with_table!(VersionedLeftGrace [] [versioned = "1s"] Option<String>, left_join(t, |v, t| format!("{v}+{}", or_null(t)), name = "j", grace("20ms")));
with_table!(VersionedGraceRekeyed [] [versioned = "1s"] String, select_key(|_, v| v.clone()).join(t, |v, t| format!("{v}+{t}"), name = "j", grace("20ms")));
with_table!(VersionedShort [] [versioned = "30ms"] Option<String>, left_join(t, |v, t| format!("{v}+{}", or_null(t)), name = "j"));
with_table!(VersionedGraceZero [] [versioned = "100ms"] String, join(t, |v, t| format!("{v}+{t}"), name = "j", grace("0ms")));
with_table!(Headers [, store_format = "headers"] [] String, join(t, |v, t| format!("{v}+{t}"), name = "j"));

#[topology(application_id = "vec")]
struct FilteredStore {
    #[source(topic = "left", partitions = 1)]
    left: KStream<Option<String>, Option<String>>,
    #[source(topic = "right", partitions = 1)]
    #[store]
    r: KTable<String, String>,
    #[from(r.filter(|_, v| v != "x"))]
    #[store]
    t: KTable<String, String>,
    #[from(left.left_join(t, |v, t| format!("{v}+{}", or_null(t))))]
    #[sink(topic = "out")]
    joined: KStream<Option<String>, String>,
}

#[topology(application_id = "vec")]
struct Twice {
    #[source(topic = "left", partitions = 1)]
    left: KStream<Option<String>, Option<String>>,
    #[source(topic = "right", partitions = 1)]
    #[store]
    t: KTable<String, String>,
    #[source(topic = "other", partitions = 1)]
    #[store]
    o: KTable<String, String>,
    #[from(left.join(t, |v, t| format!("{v}+{t}"), name = "j").left_join(o, |v, o| format!("{v}+{}", or_null(o)), name = "j2"))]
    #[sink(topic = "out")]
    joined: KStream<String, String>,
}

#[topology(application_id = "vec")]
struct JoinedTable {
    #[source(topic = "left", partitions = 1)]
    left: KStream<Option<String>, Option<String>>,
    #[source(topic = "right", partitions = 1)]
    #[store]
    r: KTable<String, String>,
    #[source(topic = "other", partitions = 1)]
    #[store]
    o: KTable<String, String>,
    #[from(r.outer_join(o, |r, o| format!("{}+{}", or_null(r), or_null(o))))]
    #[store]
    t: KTable<String, String>,
    #[from(left.join(t, |v, t| format!("{v}+{t}")))]
    #[sink(topic = "out")]
    joined: KStream<String, String>,
}

#[topology(application_id = "vec")]
struct ThenCount {
    #[source(topic = "left", partitions = 1)]
    left: KStream<Option<String>, Option<String>>,
    #[source(topic = "right", partitions = 1)]
    #[store]
    t: KTable<String, String>,
    #[from(left.join(t, |v, t| format!("{v}+{t}")))]
    joined: KStream<String, String>,
    #[from(joined.group_by(|_, v| v.split_once('+').map(|(_, t)| t.to_owned()), name = "by").count())]
    #[sink(topic = "out")]
    n: KTable<String, i64>,
}

#[topology(application_id = "vec")]
struct GlobalKey {
    #[source(topic = "left")]
    left: KStream<Option<String>, Option<String>>,
    #[source(topic = "right")]
    #[store]
    gt: GlobalKTable<String, String>,
    #[from(left.left_join(gt, |k, _| k.clone(), |v, t| format!("{v}+{}", or_null(t))))]
    #[sink(topic = "out")]
    joined: KStream<Option<String>, String>,
}

#[topology(application_id = "vec")]
struct GlobalNullMapped {
    #[source(topic = "left")]
    left: KStream<Option<String>, Option<String>>,
    #[source(topic = "right")]
    #[store]
    gt: GlobalKTable<String, String>,
    #[from(left.left_join_with_key(
        gt,
        |_, v| (v != "1").then(|| v.clone()),
        |k, v, t| format!("{}:{v}+{}", or_null(k.as_ref()), or_null(t)),
    ))]
    #[sink(topic = "out")]
    joined: KStream<Option<String>, String>,
}

#[topology(application_id = "vec")]
struct GlobalTwice {
    #[source(topic = "left")]
    left: KStream<Option<String>, Option<String>>,
    #[source(topic = "right")]
    #[store]
    gt: GlobalKTable<String, String>,
    #[source(topic = "other")]
    #[store]
    go: GlobalKTable<String, String>,
    #[from(left
        .join(gt, |_, v| v.clone(), |v, t| format!("{v}+{t}"))
        .left_join_with_key(go, |k, _| k.clone(), |k, v, o| format!("{}:{v}+{}", or_null(k.as_ref()), or_null(o))))]
    joined: KStream<Option<String>, String>,
    #[from(joined.group_by_key(name = "grouped").count())]
    #[sink(topic = "out")]
    n: KTable<String, i64>,
}

#[topology(application_id = "vec")]
struct GlobalRekeyed {
    #[source(topic = "left")]
    left: KStream<Option<String>, Option<String>>,
    #[source(topic = "right")]
    #[store]
    gt: GlobalKTable<String, String>,
    #[from(left.select_key(|_, v| v.clone()).join(gt, |k, _| k.clone(), |v, t| format!("{v}+{t}")))]
    #[sink(topic = "out")]
    joined: KStream<Option<String>, String>,
}
