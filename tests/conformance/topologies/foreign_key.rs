//! `join-fk-*`: tables joined by a foreign key.

use kstreams::prelude::*;
use serde_json::{Value, json};

use super::{Entry, entry};

pub(crate) fn entries() -> Vec<Entry> {
    const NAMES: &[(&str, &str)] = &[
        (
            "KTABLE-FK-JOIN-SUBSCRIPTION-REGISTRATION-0000000004-topic",
            "joined-subscription-registration-topic",
        ),
        (
            "KTABLE-FK-JOIN-SUBSCRIPTION-RESPONSE-0000000012-topic",
            "joined-subscription-response-topic",
        ),
        (
            "KTABLE-FK-JOIN-SUBSCRIPTION-STATE-STORE-0000000008",
            "joined-subscription-store",
        ),
        ("KTABLE-FK-JOIN-OUTPUT-STATE-STORE-0000000017", "joined"),
    ];
    const SOURCES: &[(&str, &str)] = &[
        ("left-STATE-STORE-0000000000", "left"),
        ("right-STATE-STORE-0000000003", "right"),
    ];
    vec![
        entry!("join-fk-inner", Inner).names(NAMES),
        entry!("join-fk-key-extractor", KeyExtractor).names(NAMES),
        entry!("join-fk-left", Left).names(NAMES),
        entry!("join-fk-left-unmaterialized", LeftUnmaterialized).names(SOURCES),
        entry!("join-fk-then-groupby", ThenGroupBy).names(NAMES),
        entry!("long-fk-left", Left).names(NAMES),
    ]
}

/// `fk/rest`; without a slash there is no foreign key.
fn foreign_key(row: &str) -> Option<String> {
    row.split_once('/').map(|(key, _)| key.to_owned())
}

fn both(left: &str, right: Option<&String>) -> String {
    format!("{left}+{}", right.map_or("null", String::as_str))
}

#[topology(application_id = "vec")]
struct Inner {
    #[source(topic = "left")]
    #[store(name = "lt")]
    left: KTable<String, String>,
    #[source(topic = "right")]
    #[store(name = "rt")]
    right: KTable<String, String>,
    #[from(left.join_on(right, |_, row| foreign_key(row), |l, r| both(l, Some(r))))]
    #[sink(topic = "out")]
    joined: KTable<String, String>,
}

#[topology(application_id = "vec")]
struct KeyExtractor {
    #[source(topic = "orders")]
    #[store(name = "ot")]
    orders: KTable<i64, Json<Value>>,
    #[source(topic = "customers")]
    #[store(name = "ct")]
    customers: KTable<i32, String>,
    #[from(orders.join_on(
        customers,
        |id, order| order.0["c"].as_i64().unwrap_or(*id) as i32,
        |order, name| Json(json!({ "c": order.0["c"].as_i64().unwrap_or(-1), "name": name })),
    ))]
    #[store(name = "m", kind = memory)]
    #[sink(topic = "out")]
    joined: KTable<i64, Json<Value>>,
}

#[topology(application_id = "vec")]
struct Left {
    #[source(topic = "left")]
    #[store(name = "lt")]
    left: KTable<String, String>,
    #[source(topic = "right")]
    #[store(name = "rt")]
    right: KTable<String, String>,
    #[from(left.left_join_on(right, |_, row| foreign_key(row), |l, r| both(l, r)))]
    #[store(name = "jt")]
    #[sink(topic = "out")]
    joined: KTable<String, String>,
}

#[topology(application_id = "vec")]
struct LeftUnmaterialized {
    #[source(topic = "left")]
    left: KTable<String, String>,
    #[source(topic = "right")]
    right: KTable<String, String>,
    #[from(left.left_join_on(right, |_, row| foreign_key(row), |l, r| both(l, r), name = "fkj"))]
    #[sink(topic = "out")]
    joined: KTable<String, String>,
}

#[topology(application_id = "vec")]
struct ThenGroupBy {
    #[source(topic = "left")]
    #[store(name = "lt")]
    left: KTable<String, String>,
    #[source(topic = "right")]
    #[store(name = "rt")]
    right: KTable<String, String>,
    #[from(left.join_on(right, |_, row| foreign_key(row), |l, r| both(l, Some(r))))]
    joined: KTable<String, String>,
    #[from(joined.group_by(|_, row| (name_of(row), row.clone())).count())]
    #[store(name = "per")]
    per: KTable<String, i64>,
    #[from(per.to_stream().map_values(|n| n.to_string()))]
    #[sink(topic = "out")]
    shown: KStream<String, String>,
}

fn name_of(row: &str) -> Option<String> {
    row.split_once('+').map(|(_, name)| name.to_owned())
}
