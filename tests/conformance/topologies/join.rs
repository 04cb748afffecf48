//! `join-st-*` and `join-gk-*`: a stream with a table, a stream with a global table.

use kstreams::prelude::*;

use super::{Entry, entry};

pub(crate) fn entries() -> Vec<Entry> {
    vec![
        entry!("join-st-inner", StreamTable),
        entry!("join-st-left", StreamTableLeft),
        entry!("join-st-left-rekeyed", StreamTableLeftRekeyed),
        entry!("join-gk-inner", Global),
        entry!("join-gk-left", GlobalLeft),
    ]
}

fn or_null(value: Option<&String>) -> &str {
    value.map_or("null", String::as_str)
}

fn before_slash(value: &str) -> Option<String> {
    value.split_once('/').map(|(before, _)| before.to_owned())
}

#[topology(application_id = "vec")]
struct StreamTable {
    #[source(topic = "left", partitions = 1)]
    left: KStream<Option<String>, Option<String>>,
    #[source(topic = "right", partitions = 1)]
    #[store(name = "t")]
    right: KTable<String, String>,
    #[from(left.join(right, |s, t| format!("{s}+{t}")))]
    #[sink(topic = "out")]
    joined: KStream<String, String>,
}

#[topology(application_id = "vec")]
struct StreamTableLeft {
    #[source(topic = "left", partitions = 1)]
    left: KStream<Option<String>, Option<String>>,
    #[source(topic = "right", partitions = 1)]
    #[store(name = "t")]
    right: KTable<String, String>,
    #[from(left.left_join_with_key(right, |k, s, t| format!("{}:{s}+{}", or_null(k.as_ref()), or_null(t))))]
    #[sink(topic = "out")]
    joined: KStream<Option<String>, String>,
}

#[topology(application_id = "vec")]
struct StreamTableLeftRekeyed {
    #[source(topic = "left", partitions = 1)]
    left: KStream<Option<String>, Option<String>>,
    #[source(topic = "right", partitions = 1)]
    #[store(name = "t")]
    right: KTable<String, String>,
    #[from(left
        .select_key(|_, v| v.as_deref().and_then(before_slash))
        .left_join(right, |s, t| format!("{s}+{}", or_null(t)), name = "j1"))]
    #[sink(topic = "out")]
    joined: KStream<Option<String>, String>,
}

#[topology(application_id = "vec")]
struct Global {
    #[source(topic = "orders")]
    orders: KStream<Option<String>, Option<String>>,
    #[source(topic = "customers")]
    #[store(name = "gt")]
    customers: GlobalKTable<String, String>,
    #[from(orders.join(customers, |_, o| before_slash(o), |o, c| format!("{o}+{c}")))]
    #[sink(topic = "out")]
    joined: KStream<Option<String>, String>,
}

#[topology(application_id = "vec")]
struct GlobalLeft {
    #[source(topic = "orders")]
    orders: KStream<Option<String>, Option<String>>,
    #[source(topic = "customers")]
    #[store(name = "gt")]
    customers: GlobalKTable<String, String>,
    #[from(orders.left_join_with_key(
        customers,
        |_, o| before_slash(o),
        |k, o, c| format!("{}:{o}+{}", or_null(k.as_ref()), or_null(c)),
    ))]
    #[sink(topic = "out")]
    joined: KStream<Option<String>, String>,
}
