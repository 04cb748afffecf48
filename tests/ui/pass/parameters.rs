//! A struct with parameters of many types, used by `self` in closures, in any order of the builder's calls.
#![deny(warnings)]

use kstreams::prelude::*;
use std::collections::BTreeMap;

/// Parameters of all kinds.
#[topology(application_id = "app")]
pub struct App {
    limit: u64,
    prefix: String,
    names: BTreeMap<u64, &'static str>,
    #[source(topic = "orders")]
    orders: KStream<String, u64>,
    #[from(orders.filter(|k, o| *o > self.limit && k.starts_with(&self.prefix)).map_values(|o| self.name(o)))]
    #[sink(topic = "named")]
    named: KStream<String, String>,
}

impl App {
    fn name(&self, order: u64) -> String {
        self.names.get(&order).copied().unwrap_or("unknown").to_owned()
    }
}

fn main() -> kstreams::Result<()> {
    let _ = App::builder().names(BTreeMap::new()).limit(3).prefix("a".to_owned()).test_driver()?;
    Ok(())
}
