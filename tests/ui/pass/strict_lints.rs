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
    #[sink(topic = |k, _| Shelf::of(k), topics(
        /// Where they are put.
        pub enum Shelf {
            /// In sight.
            Upper = "upper",
            /// Out of it.
            Lower = "lower",
        }
    ))]
    small: KStream<String, String>,
    #[from(orders.flat_map_values(|o| [*o, *o]).group_by(|_, o| *o % 10).aggregate(u64::default, |_, o, n| n + o))]
    #[store(kind = memory)]
    sums: KTable<u64, u64>,
    #[from(sums.filter(|_, s| *s > 3).map_values(|s| s + 1))]
    #[store]
    large_sums: KTable<u64, u64>,
    #[from(orders.try_join(customers, |o, c| o.checked_sub(*c).ok_or("too little")).map_record(|r| {
        let at = r.timestamp;
        r.with_key(at)
    }))]
    #[sink(topic = "differences")]
    differences: KStream<i64, u64>,
    #[from(orders
        .map_record_values(|r| {
            let headers = r.headers.len() as u64;
            r.with_value(headers)
        })
        .group_by_key()
        .try_aggregate(u64::default, |_, n, all| all.checked_add(n).ok_or("too many"))
        .map_values(|n| n + 1))]
    headers: KTable<String, u64>,
    #[from(orders.group_by_key().windowed_by(session("5m")).try_aggregate(
        || 0,
        |_, o, sum: u64| sum.checked_add(o).ok_or("too much"),
        |_, a, b| a.checked_add(b).ok_or("too much"),
    ))]
    sessions: KTable<Windowed<String, SessionWindow>, u64>,
    #[from(customers.group_by(|_, c| (*c % 10, *c)).try_reduce(
        |a, b| a.checked_add(b).ok_or("too much"),
        |a, b| a.checked_sub(b).ok_or("too little"),
    ))]
    per_digit: KTable<u64, u64>,
    #[from(orders.try_left_join(orders, |o, p| o.checked_add(p.copied().unwrap_or(0)).ok_or("too much"), within("5m")))]
    #[sink(topic = "pairs")]
    pairs: KStream<String, u64>,
    #[from(large_sums.to_stream().for_each(|k, s| assert!(s.is_some(), "{k}")))]
    printed: (),
}

impl Shelf {
    fn of(key: &str) -> Self {
        if key.is_empty() {
            Shelf::Lower
        } else {
            Shelf::Upper
        }
    }
}

/// Called by `tests/lints.rs`, which clippy sees.
pub(crate) fn main() {
    drop(App::builder().limit(1));
}
