//! `table-suppress-*`, `win-suppress-*`: tables whose updates are held back.

use kstreams::prelude::*;

use super::{Entry, entry};

pub(crate) fn entries() -> Vec<Entry> {
    let generated = &[("KTABLE-SUPPRESS-STATE-STORE-0000000003", "rare-store")];
    vec![
        entry!("table-suppress-time-limit", TimeLimit),
        entry!("table-suppress-max-records", MaxRecords).names(generated),
        entry!("table-suppress-zero-limit", ZeroLimit).names(generated),
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
