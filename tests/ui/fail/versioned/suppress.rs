//! Suppressions that cannot be, or say nothing.
use std::time::Duration;

use kstreams::prelude::*;

const BEFORE: Duration = Duration::from_secs(3600);

#[topology(application_id = "app")]
struct App {
    #[source(topic = "a")]
    #[store(versioned = "1h")]
    versioned: KTable<String, u64>,
    #[from(versioned.filter(|_, v| *v > 0).suppress(until_time_limit(BEFORE)))]
    #[sink(topic = "b")]
    past: KTable<String, u64>,
    #[source(topic = "c")]
    table: KTable<String, u64>,
    #[from(table.suppress(until_window_closes()))]
    #[sink(topic = "d")]
    windowless: KTable<String, u64>,
    #[from(table.suppress(until_time_limit("1m").shut_down_when_full()))]
    #[sink(topic = "e")]
    never_full: KTable<String, u64>,
    #[from(table.suppress(until_time_limit("1m").max_records(1).unbounded()))]
    #[sink(topic = "f")]
    both: KTable<String, u64>,
    #[from(table.suppress(until_time_limit("-1m")))]
    #[sink(topic = "g")]
    negative: KTable<String, u64>,
    #[from(table.suppress(until_windows_close()))]
    #[sink(topic = "h")]
    misspelt: KTable<String, u64>,
    #[from(table.suppress(until_time_limit("1m").max_record(1)))]
    #[sink(topic = "i")]
    unknown: KTable<String, u64>,
    #[from(table.suppress(until_time_limit()))]
    #[sink(topic = "j")]
    limitless: KTable<String, u64>,
    #[from(table.suppress("1m"))]
    #[sink(topic = "k")]
    no_call: KTable<String, u64>,
    #[from(table.suppress(until_window_closes().max_records(1).emit_early_when_full()))]
    #[sink(topic = "l")]
    early: KTable<String, u64>,
    #[source(topic = "m")]
    stream: KStream<String, u64>,
    #[from(stream.group_by_key().windowed_by(unlimited()).count().suppress(until_window_closes()))]
    #[sink(topic = "n")]
    endless: KTable<Windowed<String>, i64>,
}

fn main() {}
