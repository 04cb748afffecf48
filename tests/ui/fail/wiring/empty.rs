//! A topology that reads no topic.
use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    limit: u64,
}

fn main() {}
