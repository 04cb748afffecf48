//! Tables joined with tables, by their keys and by foreign keys.

use kstreams::prelude::*;

use super::{Entry, entry, last12, or_null};

pub(crate) fn entries() -> Vec<Entry> {
    vec![
        entry!("join-v-tt-counts", Counts),
        entry!("join-v-tt-counts-cached", CountsCached),
        entry!("join-v-tt-chain", Chain),
        entry!("join-v-tt-versioned", Versioned),
        entry!("join-v-tt-half-versioned", HalfVersioned),
        entry!("join-v-tt-versioned-store", VersionedStore),
        entry!("join-v-tt-itself", Itself),
        entry!("join-v-tt-mapped-both", MappedBoth),
        entry!("join-v-tt-mapped-both-cached", MappedBothCached),
        entry!("join-v-tt-stores-both", StoresBoth),
        entry!("join-v-tt-then-groupby", ThenGroupBy),
        entry!("join-v-tt-then-groupby-cached", ThenGroupByCached),
        entry!("join-v-tt-regrouped", Regrouped),
        entry!("join-v-tt-to-tables", ToTables),
        entry!("join-v-tt-headers", Headers),
        entry!("join-v-tt-optimized", Optimized),
        entry!("join-v-fk-left-aggregated", FkLeftAggregated),
        entry!("join-v-fk-filtered-stores", FkFilteredStores),
        entry!("join-v-fk-self", FkSelf),
        entry!("join-v-fk-left-cached", FkLeft),
        entry!("join-v-fk-inner-cached", FkInner),
        entry!("join-v-fk-versioned-right", FkVersionedRight),
        entry!("join-v-fk-versioned-both", FkVersionedBoth),
        entry!("join-v-fk-chain", FkChain),
        entry!("join-v-fk-then-filter", FkThenFilter),
        entry!("join-v-fk-then-reduce", FkThenReduce),
        entry!("join-v-fk-then-join", FkThenJoin),
        entry!("join-v-fk-headers", FkHeaders),
        entry!("join-v-fk-of-joined", FkOfJoined),
        entry!("join-v-fk-optimized", FkOptimized),
        entry!("join-v-fk-by-key", FkByKey),
    ]
}

fn slash(left: Option<&i64>, right: Option<&i64>) -> String {
    let shown = |n: Option<&i64>| n.map_or("null".to_owned(), i64::to_string);
    format!("{}/{}", shown(left), shown(right))
}

fn plus(left: Option<&String>, right: Option<&String>) -> String {
    format!("{}+{}", or_null(left), or_null(right))
}

#[topology(application_id = "vec")]
struct Counts {
    #[source(topic = "left", partitions = 1)]
    left: KStream<Option<String>, Option<String>>,
    #[source(topic = "right", partitions = 1)]
    right: KStream<Option<String>, Option<String>>,
    #[from(left.group_by_key().count())]
    l: KTable<String, i64>,
    #[from(right.group_by_key().count())]
    r: KTable<String, i64>,
    #[from(l.outer_join(r, slash))]
    #[sink(topic = "out")]
    j: KTable<String, String>,
}

#[topology(application_id = "vec")]
struct CountsCached {
    #[source(topic = "left", partitions = 1)]
    left: KStream<Option<String>, Option<String>>,
    #[source(topic = "right", partitions = 1)]
    right: KStream<Option<String>, Option<String>>,
    #[from(left.group_by_key().count())]
    l: KTable<String, i64>,
    #[from(right.group_by_key().count())]
    r: KTable<String, i64>,
    #[from(l.left_join(r, |l, r| slash(Some(l), r)))]
    #[store]
    #[sink(topic = "out")]
    j: KTable<String, String>,
}

#[topology(application_id = "vec")]
struct Chain {
    #[source(topic = "a", partitions = 1)]
    #[store]
    ta: KTable<String, String>,
    #[source(topic = "c", partitions = 1)]
    #[store]
    tc: KTable<String, String>,
    #[source(topic = "d", partitions = 1)]
    #[store]
    td: KTable<String, String>,
    #[source(topic = "e", partitions = 1)]
    #[store]
    te: KTable<String, String>,
    #[from(ta
        .left_join(tc, |l, r| plus(Some(l), r))
        .outer_join(td, plus)
        .join(te, |l, r| plus(Some(l), Some(r))))]
    #[sink(topic = "out")]
    j: KTable<String, String>,
}

/// Two source tables, with the options of topology and stores.
macro_rules! tables {
    ($name:ident [$($option:tt)*] [$($left:tt)*] [$($right:tt)*] [$(#[$joined:meta])*] $($chain:tt)*) => {
        #[topology(application_id = "vec" $($option)*)]
        struct $name {
            #[source(topic = "left", partitions = 1)]
            #[store($($left)*)]
            l: KTable<String, String>,
            #[source(topic = "right", partitions = 1)]
            #[store($($right)*)]
            r: KTable<String, String>,
            #[from(l.$($chain)*)]
            $(#[$joined])*
            #[sink(topic = "out")]
            j: KTable<String, String>,
        }
    };
}

tables!(Versioned [] [versioned = "1s"] [versioned = "1s"] [] outer_join(r, plus));
tables!(HalfVersioned [] [versioned = "1s"] [] [] left_join(r, |l, r| plus(Some(l), r)));
tables!(VersionedStore [] [versioned = "1s"] [versioned = "1s"] [#[store(versioned = "1s")]] join(r, |l, r| plus(Some(l), Some(r))));
tables!(Headers [, store_format = "headers"] [] [] [#[store]] outer_join(r, plus));
tables!(Optimized [, optimization = "all"] [] [] [#[store]] left_join(r, |l, r| plus(Some(l), r)));

#[topology(application_id = "vec")]
struct Itself {
    #[source(topic = "in")]
    #[store]
    t: KTable<String, String>,
    #[from(t.map_values(|v| (v != "x").then(|| v + "!")))]
    m: KTable<String, Option<String>>,
    #[from(t.left_join(m, |l, r| plus(Some(l), r.and_then(Option::as_ref))))]
    #[sink(topic = "out")]
    j: KTable<String, String>,
}

#[topology(application_id = "vec")]
struct MappedBoth {
    #[source(topic = "left", partitions = 1)]
    #[store]
    l: KTable<String, String>,
    #[source(topic = "right", partitions = 1)]
    #[store]
    r: KTable<String, String>,
    #[from(l.map_values(|v| v + "!"))]
    m: KTable<String, String>,
    #[from(r.filter(|_, v| v != "x"))]
    f: KTable<String, String>,
    #[from(m.outer_join(f, plus))]
    #[sink(topic = "out")]
    j: KTable<String, String>,
}

#[topology(application_id = "vec")]
struct MappedBothCached {
    #[source(topic = "left", partitions = 1)]
    #[store]
    l: KTable<String, String>,
    #[source(topic = "right", partitions = 1)]
    #[store]
    r: KTable<String, String>,
    #[from(l.map_values(|v| v + "!"))]
    m: KTable<String, String>,
    #[from(r.filter(|_, v| v != "x"))]
    f: KTable<String, String>,
    #[from(m.outer_join(f, plus))]
    #[store]
    #[sink(topic = "out")]
    j: KTable<String, String>,
}

#[topology(application_id = "vec")]
struct StoresBoth {
    #[source(topic = "left", partitions = 1)]
    #[store]
    l: KTable<String, String>,
    #[source(topic = "right", partitions = 1)]
    #[store]
    r: KTable<String, String>,
    #[from(l.map_values(|v| v + "!"))]
    #[store]
    m: KTable<String, String>,
    #[from(r.filter(|_, v| v != "x"))]
    #[store]
    f: KTable<String, String>,
    #[from(m.join(f, |l, r| plus(Some(l), Some(r))))]
    #[store]
    j: KTable<String, String>,
    #[from(j.filter(|_, v| !v.starts_with('2')))]
    #[sink(topic = "out")]
    some: KTable<String, String>,
}

fn behind_plus(row: &str) -> Option<String> {
    row.split_once('+').map(|(_, right)| right.to_owned())
}

macro_rules! grouped {
    ($name:ident [$(#[$joined:meta])*]) => {
        #[topology(application_id = "vec")]
        struct $name {
            #[source(topic = "left", partitions = 1)]
            #[store]
            l: KTable<String, String>,
            #[source(topic = "right", partitions = 1)]
            #[store]
            r: KTable<String, String>,
            #[from(l.outer_join(r, plus))]
            $(#[$joined])*
            j: KTable<String, String>,
            #[from(j.group_by(|_, v| (behind_plus(v), v.clone()), name = "by").aggregate(
                String::new,
                |_, v, a| last12(&format!("{a}+{v}")),
                |_, v, a| last12(&format!("{a}-{v}")),
            ))]
            #[sink(topic = "out")]
            agg: KTable<String, String>,
        }
    };
}

grouped!(ThenGroupBy []);
grouped!(ThenGroupByCached [#[store]]);

#[topology(application_id = "vec")]
struct Regrouped {
    #[source(topic = "in", partitions = 1)]
    #[store]
    t: KTable<String, String>,
    #[from(t.group_by(|k, v| (v.clone(), k.clone()), name = "by").count())]
    per: KTable<String, i64>,
    #[from(t.left_join(per, |v, n| format!("{v}/{}", n.map_or("null".to_owned(), i64::to_string))))]
    #[sink(topic = "out")]
    j: KTable<String, String>,
}

#[topology(application_id = "vec")]
struct ToTables {
    #[source(topic = "left", partitions = 1)]
    left: KStream<Option<String>, Option<String>>,
    #[source(topic = "right", partitions = 1)]
    right: KStream<Option<String>, Option<String>>,
    #[from(left.select_key(|_, v| v.clone()).repartition(name = "rp").to_table())]
    #[store]
    l: KTable<String, String>,
    #[from(right.to_table())]
    #[store]
    r: KTable<String, String>,
    #[from(l.outer_join(r, plus))]
    #[sink(topic = "out")]
    j: KTable<String, String>,
}

fn foreign_key(row: &str) -> Option<String> {
    row.split_once('/').map(|(key, _)| key.to_owned())
}

#[topology(application_id = "vec")]
struct FkLeftAggregated {
    #[source(topic = "left")]
    left: KStream<Option<String>, Option<String>>,
    #[source(topic = "right")]
    right: KStream<Option<String>, Option<String>>,
    #[from(left.group_by_key().reduce(|_, y| y))]
    l: KTable<String, String>,
    #[from(right.group_by_key().reduce(|x, y| last12(&(x + &y))))]
    r: KTable<String, String>,
    #[from(l.left_join_on(r, |_, row| foreign_key(row), |l, r| plus(Some(l), r), name = "joined"))]
    #[store]
    #[sink(topic = "out")]
    j: KTable<String, String>,
}

#[topology(application_id = "vec")]
struct FkFilteredStores {
    #[source(topic = "left")]
    #[store]
    l: KTable<String, String>,
    #[source(topic = "right")]
    #[store]
    r: KTable<String, String>,
    #[from(l.filter(|_, v| v != "q/1"))]
    #[store]
    lf: KTable<String, String>,
    #[from(r.map_values(|v| (v != "x").then(|| v + "!")))]
    #[store]
    rm: KTable<String, Option<String>>,
    #[from(lf.join_on(rm, |_, row| foreign_key(row), |l, r| plus(Some(l), r.as_ref()), name = "joined"))]
    #[store]
    #[sink(topic = "out")]
    j: KTable<String, String>,
}

#[topology(application_id = "vec")]
struct FkSelf {
    #[source(topic = "in")]
    #[store]
    t: KTable<String, String>,
    #[from(t.left_join_on(t, |_, row| foreign_key(row), |l, r| plus(Some(l), r), name = "joined"))]
    #[store]
    #[sink(topic = "out")]
    j: KTable<String, String>,
}

macro_rules! foreign {
    ($name:ident [$($option:tt)*] [$($left:tt)*] [$($right:tt)*] [$(#[$joined:meta])*] inner) => {
        foreign!(@ $name [$($option)*] [$($left)*] [$($right)*] [$(#[$joined])*]
            join_on(r, |_, row| foreign_key(row), |l, r| plus(Some(l), Some(r)), name = "joined"));
    };
    ($name:ident [$($option:tt)*] [$($left:tt)*] [$($right:tt)*] [$(#[$joined:meta])*] left) => {
        foreign!(@ $name [$($option)*] [$($left)*] [$($right)*] [$(#[$joined])*]
            left_join_on(r, |_, row| foreign_key(row), |l, r| plus(Some(l), r), name = "joined"));
    };
    (@ $name:ident [$($option:tt)*] [$($left:tt)*] [$($right:tt)*] [$(#[$joined:meta])*] $($chain:tt)*) => {
        #[topology(application_id = "vec" $($option)*)]
        struct $name {
            #[source(topic = "left")]
            #[store($($left)*)]
            l: KTable<String, String>,
            #[source(topic = "right")]
            #[store($($right)*)]
            r: KTable<String, String>,
            #[from(l.$($chain)*)]
            $(#[$joined])*
            #[sink(topic = "out")]
            j: KTable<String, String>,
        }
    };
}

foreign!(FkLeft [] [] [] [#[store]] left);
foreign!(FkInner [] [] [] [] inner);
foreign!(FkVersionedRight [] [] [versioned = "1s"] [#[store]] left);
foreign!(FkVersionedBoth [] [versioned = "1s"] [versioned = "1s"] [#[store]] inner);
foreign!(FkHeaders [, store_format = "headers"] [] [] [#[store]] left);
foreign!(FkOptimized [, optimization = "all"] [] [] [#[store]] left);
foreign!(@ FkByKey [] [] [] [#[store]] left_join_on(
    r,
    |k, row| (row != "nokey").then(|| if k == "a" { "p".to_owned() } else { "q".to_owned() }),
    |l, r| plus(Some(l), r),
    name = "joined",
));

#[topology(application_id = "vec")]
struct FkChain {
    #[source(topic = "left")]
    #[store]
    l: KTable<String, String>,
    #[source(topic = "right")]
    #[store]
    r: KTable<String, String>,
    #[source(topic = "other")]
    #[store]
    t: KTable<String, String>,
    #[from(l.join_on(r, |_, row| foreign_key(row), |l, r| plus(Some(l), Some(r)), name = "one"))]
    #[store]
    o: KTable<String, String>,
    #[from(o.left_join_on(t, |_, row| row.chars().last().map(String::from), |l, r| plus(Some(l), r), name = "two"))]
    #[store]
    #[sink(topic = "out")]
    j: KTable<String, String>,
}

#[topology(application_id = "vec")]
struct FkThenFilter {
    #[source(topic = "left")]
    #[store]
    l: KTable<String, String>,
    #[source(topic = "right")]
    #[store]
    r: KTable<String, String>,
    #[from(l.left_join_on(r, |_, row| foreign_key(row), |l, r| plus(Some(l), r), name = "joined"))]
    j: KTable<String, String>,
    #[from(j.filter(|_, v| !v.ends_with('x')).map_values(|v| v + "!"))]
    #[sink(topic = "out")]
    some: KTable<String, String>,
}

#[topology(application_id = "vec")]
struct FkThenReduce {
    #[source(topic = "left")]
    #[store]
    l: KTable<String, String>,
    #[source(topic = "right")]
    #[store]
    r: KTable<String, String>,
    #[from(l.left_join_on(r, |_, row| foreign_key(row), |l, r| plus(Some(l), r), name = "joined"))]
    #[store]
    j: KTable<String, String>,
    #[from(j.group_by(|_, v| (behind_plus(v), v.clone()), name = "by").aggregate(
        String::new,
        |_, v, a| last12(&format!("{a}+{v}")),
        |_, v, a| last12(&format!("{a}-{v}")),
    ))]
    #[sink(topic = "out")]
    agg: KTable<String, String>,
}

#[topology(application_id = "vec")]
struct FkThenJoin {
    #[source(topic = "left", partitions = 1)]
    #[store]
    l: KTable<String, String>,
    #[source(topic = "right", partitions = 1)]
    #[store]
    r: KTable<String, String>,
    #[source(topic = "other", partitions = 1)]
    #[store]
    o: KTable<String, String>,
    #[from(l.join_on(r, |_, row| foreign_key(row), |l, r| plus(Some(l), Some(r)), name = "joined"))]
    #[store]
    j: KTable<String, String>,
    #[from(j.left_join(o, |j, o| plus(Some(j), o)))]
    #[sink(topic = "out")]
    all: KTable<String, String>,
}

#[topology(application_id = "vec")]
struct FkOfJoined {
    #[source(topic = "left", partitions = 1)]
    #[store]
    l: KTable<String, String>,
    #[source(topic = "other", partitions = 1)]
    #[store]
    o: KTable<String, String>,
    #[source(topic = "right")]
    #[store]
    r: KTable<String, String>,
    #[from(l.join(o, |l, o| plus(Some(l), Some(o))))]
    #[store]
    lo: KTable<String, String>,
    #[from(lo.left_join_on(r, |_, row| foreign_key(row), |l, r| plus(Some(l), r), name = "joined"))]
    #[store]
    #[sink(topic = "out")]
    j: KTable<String, String>,
}
