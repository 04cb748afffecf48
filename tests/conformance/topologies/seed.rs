//! `seed-*` and `papi-route-by-json-type`: small real programs.

use kstreams::prelude::*;
use serde_json::{Value, json};

use super::{Entry, entry};

pub(crate) fn entries() -> Vec<Entry> {
    vec![
        entry!("seed-branch-by-value", BranchByValue),
        entry!("seed-global-table", GlobalTable),
        entry!("seed-orders-addresses", OrdersAddresses),
        entry!("seed-route-by-type", RouteByType),
        entry!("papi-route-by-json-type", RouteByJsonType),
    ]
}

#[topology(application_id = "vec")]
struct BranchByValue {
    #[source(topic = "messages")]
    messages: KStream<Option<String>, Option<String>>,
    #[from(messages.branch(|_, v| v.as_deref().is_some_and(|v| v.starts_with("ERROR"))))]
    #[sink(topic = "errors")]
    errors: KStream<Option<String>, Option<String>>,
    #[from(messages.branch(|_, v| v.as_deref().is_some_and(|v| v.starts_with("WARN"))))]
    #[sink(topic = "warnings")]
    warnings: KStream<Option<String>, Option<String>>,
    #[from(messages.otherwise())]
    #[sink(topic = "rest")]
    rest: KStream<Option<String>, Option<String>>,
}

#[topology(application_id = "vec")]
struct GlobalTable {
    #[source(topic = "orders")]
    orders: KStream<Option<String>, Option<Json<Value>>>,
    #[source(topic = "products")]
    #[store(name = "products-store")]
    products: GlobalKTable<String, String>,
    #[from(orders.join(
        products,
        |_, order| order["product"].as_str().map(str::to_owned),
        |order, name| Json(json!({ "id": order["id"], "name": name })),
    ))]
    #[sink(topic = "enriched")]
    enriched: KStream<Option<String>, Json<Value>>,
}

#[topology(application_id = "vec")]
struct OrdersAddresses {
    #[source(topic = "orders", partitions = 1)]
    orders: KStream<Option<String>, Option<Json<Value>>>,
    #[source(topic = "addresses", partitions = 1)]
    #[store(name = "addresses-store")]
    addresses: KTable<String, Json<Value>>,
    #[from(orders.join(addresses, |order, address| Json(json!({ "order": order.0, "address": address.0 }))))]
    #[sink(topic = "shipping")]
    shipping: KStream<String, Json<Value>>,
}

#[topology(application_id = "vec")]
struct RouteByType {
    #[source(topic = "events")]
    #[sink(
        topic = |_, event| match event.as_ref().and_then(|event| event["type"].as_str()) {
            Some("order") => "orders",
            Some("payment") => "payments",
            _ => "unknown",
        },
        topics("orders", "payments", "unknown")
    )]
    events: KStream<Option<String>, Option<Json<Value>>>,
}

#[topology(application_id = "vec")]
struct RouteByJsonType {
    #[source(topic = "in")]
    #[sink(
        topic = |_, value| match value.as_deref() {
            Some(Value::String(_)) => "text",
            Some(Value::Number(_)) => "number",
            Some(Value::Object(_)) => "object",
            _ => "other",
        },
        topics("text", "number", "object", "other")
    )]
    input: KStream<Option<String>, Option<Json<Value>>>,
}
