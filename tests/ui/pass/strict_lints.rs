//! Generated code is clean under rustc's strict lints and under the ones that clippy's pedantic group would raise.
#![deny(
    warnings,
    missing_docs,
    unreachable_pub,
    missing_debug_implementations,
    unused_qualifications,
    elided_lifetimes_in_paths,
    single_use_lifetimes,
    unused_lifetimes,
    unused_results,
    trivial_casts,
    trivial_numeric_casts,
    let_underscore_drop,
    redundant_lifetimes,
    meta_variable_misuse,
    unit_bindings,
    explicit_outlives_requirements,
    unsafe_code
)]
#![deny(clippy::pedantic)]

use kstreams::prelude::*;

/// An app with a node of every kind.
#[topology(application_id = "app")]
#[derive(Debug)]
pub struct App {
    limit: u64,
    /// Orders.
    #[source(topic = "orders", partitions = 6)]
    pub orders: KStream<String, u64>,
    /// Customers.
    #[source(topic = "customers", partitions = 6)]
    pub customers: KTable<String, u64>,
    #[source(topic = "products")]
    products: GlobalKTable<u64, String>,
    #[from(orders.filter(|_, o| *o > self.limit).join(customers, |o, c| o + c).left_join(products, |_, o| *o, |o, p| {
        format!("{o} {}", p.map_or("?", String::as_str))
    }))]
    #[sink(topic = "joined")]
    joined: KStream<String, String>,
    #[from(joined.branch(|_, o| o.len() > 10))]
    #[sink(topic = "large")]
    large: KStream<String, String>,
    #[from(joined.otherwise())]
    #[sink(topic = |_, o| o.as_str(), topics("small", "tiny"))]
    small: KStream<String, String>,
    #[from(orders.flat_map_values(|o| [*o, *o]).group_by(|_, o| *o % 10).aggregate(u64::default, |_, o, n| n + o))]
    #[store(kind = memory)]
    sums: KTable<u64, u64>,
    #[from(sums.filter(|_, s| *s > 3).map_values(|s| s + 1))]
    #[store]
    large_sums: KTable<u64, u64>,
    #[from(large_sums.to_stream().for_each(|k, s| assert!(s.is_some(), "{k}")))]
    printed: (),
}

/// Called by `tests/lints.rs`, which clippy sees.
pub(crate) fn main() {
    drop(App::builder().limit(1));
}
