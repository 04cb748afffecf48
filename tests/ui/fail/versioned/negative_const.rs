//! A history behind a const is checked as any other.
use kstreams::prelude::*;

const HISTORY: i64 = -1;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "a")]
    #[store(versioned = HISTORY)]
    table: KTable<String, u64>,
}

fn main() {}
