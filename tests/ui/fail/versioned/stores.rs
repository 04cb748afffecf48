//! Stores that cannot keep the past.
use std::time::Duration;

use kstreams::prelude::*;

const FOR_EVER: Duration = Duration::from_secs(3600);

#[topology(application_id = "app")]
struct App {
    #[source(topic = "a")]
    #[store(versioned = "1h", kind = memory)]
    in_memory: KTable<String, u64>,
    #[source(topic = "b")]
    #[store(versioned = FOR_EVER, cache = true)]
    cached: KTable<String, u64>,
    #[source(topic = "c")]
    #[store(versioned = "1h")]
    global: GlobalKTable<String, u64>,
    #[source(topic = "d")]
    #[store(versioned = "-1h")]
    negative: KTable<String, u64>,
    #[source(topic = "e")]
    #[store(versioned = "one hour")]
    unreadable: KTable<String, u64>,
}

fn main() {}
