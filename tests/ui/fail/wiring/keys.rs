//! Tables whose key type says that there may be no key.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "settings")]
    settings: KTable<(), u64>,
    #[source(topic = "customers")]
    customers: GlobalKTable<Option<String>, u64>,
}

fn main() {}
