//! `table-suppress-*`, `win-suppress-*`: tables whose updates are held back.

use kstreams::prelude::*;

use super::{Entry, entry};

pub(crate) fn entries() -> Vec<Entry> {
    let generated = &[("KTABLE-SUPPRESS-STATE-STORE-0000000003", "rare-store")];
    vec![
        entry!("table-suppress-time-limit", TimeLimit),
        entry!("table-suppress-max-records", MaxRecords).names(generated),
        entry!("table-suppress-zero-limit", ZeroLimit).names(generated),
        entry!("win-suppress-tumbling", Tumbling),
        entry!("long-suppress-window-closes", Tumbling),
        entry!("win-suppress-hopping", Hopping).names(generated),
        entry!("win-suppress-session", Session),
        entry!("win-suppress-time-limit", WindowedTimeLimit).names(generated),
        entry!("win-suppress-max-records-fail", Fails),
    ]
}

#[topology(application_id = "vec")]
struct TimeLimit {
    #[source(topic = "in")]
    #[store(name = "t")]
    table: KTable<String, String>,
    #[from(table.suppress(until_time_limit("100ms"), name = "sup"))]
    #[sink(topic = "out")]
    rare: KTable<String, String>,
}

#[topology(application_id = "vec")]
struct MaxRecords {
    #[source(topic = "in")]
    #[store(name = "t")]
    table: KTable<String, String>,
    #[from(table.suppress(until_time_limit("1s").max_records(2).emit_early_when_full()))]
    #[sink(topic = "out")]
    rare: KTable<String, String>,
}

#[topology(application_id = "vec")]
struct ZeroLimit {
    #[source(topic = "in")]
    #[store(name = "t")]
    table: KTable<String, String>,
    #[from(table.suppress(until_time_limit(0).max_bytes(100_000)))]
    #[sink(topic = "out")]
    rare: KTable<String, String>,
}

#[topology(application_id = "vec")]
struct Tumbling {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.group_by_key().windowed_by(tumbling("10ms").grace("5ms")).count())]
    #[store(name = "w")]
    counts: KTable<Windowed<String>, i64>,
    #[from(counts.suppress(until_window_closes(), name = "sup"))]
    #[sink(topic = "out")]
    results: KTable<Windowed<String>, i64>,
}

#[topology(application_id = "vec")]
struct Hopping {
    #[source(topic = "in")]
    input: KStream<Option<String>, i32>,
    #[from(input.group_by_key().windowed_by(hopping("12ms").advance_by("6ms").grace("3ms")).reduce(|a, b| a + b))]
    #[store(name = "w")]
    sums: KTable<Windowed<String>, i32>,
    #[from(sums.suppress(until_window_closes(), name = "rare").map_values(|v| -v))]
    #[sink(topic = "out")]
    negated: KTable<Windowed<String>, i32>,
}

#[topology(application_id = "vec")]
struct Session {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.group_by_key().windowed_by(session("10ms").grace("5ms")).count())]
    #[store(name = "s")]
    counts: KTable<Windowed<String, SessionWindow>, i64>,
    #[from(counts.suppress(until_window_closes(), name = "sup"))]
    #[sink(topic = "out")]
    results: KTable<Windowed<String, SessionWindow>, i64>,
}

#[topology(application_id = "vec")]
struct WindowedTimeLimit {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.group_by_key().windowed_by(tumbling("10ms").grace("50ms")).count())]
    #[store(name = "w")]
    counts: KTable<Windowed<String>, i64>,
    #[from(counts.suppress(until_time_limit("15ms"), name = "rare"))]
    #[sink(topic = "out")]
    rare: KTable<Windowed<String>, i64>,
}

#[topology(application_id = "vec")]
struct Fails {
    #[source(topic = "in")]
    input: KStream<Option<String>, Option<String>>,
    #[from(input.group_by_key().windowed_by(tumbling("10ms")).count())]
    #[store(name = "w")]
    counts: KTable<Windowed<String>, i64>,
    #[from(counts.suppress(until_window_closes().max_records(2).shut_down_when_full(), name = "sup"))]
    #[sink(topic = "out")]
    results: KTable<Windowed<String>, i64>,
}
