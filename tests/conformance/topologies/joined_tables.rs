//! `join-tt-*`: tables joined with tables.

use kstreams::prelude::*;

use super::{Entry, entry};

pub(crate) fn entries() -> Vec<Entry> {
    vec![
        entry!("join-tt-inner", Inner),
        entry!("join-tt-inner-materialized", InnerMaterialized).names(&[
            ("left-STATE-STORE-0000000000", "left"),
            ("right-STATE-STORE-0000000003", "right"),
        ]),
        entry!("join-tt-cached", Cached),
        entry!("join-tt-left", Left),
        entry!("join-tt-outer", Outer),
        entry!("join-tt-self-derived", SelfDerived),
        entry!("join-tt-three", Three).names(&[
            ("a-STATE-STORE-0000000000", "a"),
            ("b-STATE-STORE-0000000003", "b"),
            ("c-STATE-STORE-0000000009", "c"),
        ]),
    ]
}

fn or_null(value: Option<&String>) -> &str {
    value.map_or("null", String::as_str)
}

#[topology(application_id = "vec")]
struct Inner {
    #[source(topic = "left", partitions = 1)]
    #[store(name = "lt")]
    left: KTable<String, String>,
    #[source(topic = "right", partitions = 1)]
    #[store(name = "rt")]
    right: KTable<String, String>,
    #[from(left.join(right, |l, r| format!("{l}+{r}")))]
    #[sink(topic = "out")]
    joined: KTable<String, String>,
}

#[topology(application_id = "vec")]
struct InnerMaterialized {
    #[source(topic = "left", partitions = 1)]
    left: KTable<String, String>,
    #[source(topic = "right", partitions = 1)]
    right: KTable<String, String>,
    #[from(left.join(right, |l, r| format!("{l}+{r}")))]
    #[store(name = "jt")]
    #[sink(topic = "out")]
    joined: KTable<String, String>,
}

#[topology(application_id = "vec")]
struct Cached {
    #[source(topic = "left", partitions = 1)]
    #[store(name = "lt")]
    left: KTable<String, String>,
    #[source(topic = "right", partitions = 1)]
    #[store(name = "rt")]
    right: KTable<String, String>,
    #[from(left.join(right, |l, r| format!("{l}+{r}")))]
    #[store(name = "jt")]
    #[sink(topic = "out")]
    joined: KTable<String, String>,
}

#[topology(application_id = "vec")]
struct Left {
    #[source(topic = "left", partitions = 1)]
    #[store(name = "lt")]
    left: KTable<String, String>,
    #[source(topic = "right", partitions = 1)]
    #[store(name = "rt")]
    right: KTable<String, String>,
    #[from(left.left_join(right, |l, r| format!("{l}+{}", or_null(r))))]
    #[sink(topic = "out")]
    joined: KTable<String, String>,
}

#[topology(application_id = "vec")]
struct Outer {
    #[source(topic = "left", partitions = 1)]
    #[store(name = "lt")]
    left: KTable<String, String>,
    #[source(topic = "right", partitions = 1)]
    #[store(name = "rt")]
    right: KTable<String, String>,
    #[from(left.outer_join(right, |l, r| format!("{}+{}", or_null(l), or_null(r))))]
    #[sink(topic = "out")]
    joined: KTable<String, String>,
}

#[topology(application_id = "vec")]
struct Three {
    #[source(topic = "a", partitions = 1)]
    a: KTable<String, String>,
    #[source(topic = "b", partitions = 1)]
    b: KTable<String, String>,
    #[source(topic = "c", partitions = 1)]
    c: KTable<String, String>,
    #[from(a
        .join(b, |a, b| format!("{a}+{b}"))
        .left_join(c, |ab, c| format!("{ab}+{}", or_null(c)))
        .filter(|_, abc| !abc.contains('x')))]
    #[sink(topic = "out")]
    joined: KTable<String, String>,
}

fn number_or_null(value: Option<&i32>) -> String {
    value.map_or("null".to_owned(), i32::to_string)
}

#[topology(application_id = "vec")]
struct SelfDerived {
    #[source(topic = "in", partitions = 1)]
    #[store(name = "t")]
    table: KTable<String, i32>,
    #[from(table.filter(|_, v| *v > 5))]
    large: KTable<String, i32>,
    #[from(table.outer_join(large, |l, r| format!("{}/{}", number_or_null(l), number_or_null(r))))]
    #[sink(topic = "out")]
    joined: KTable<String, String>,
}
