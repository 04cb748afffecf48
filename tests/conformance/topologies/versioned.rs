//! `table-versioned-*`, `join-st-versioned*`: tables that keep the past, and joins with the value of a record's own time.

use kstreams::prelude::*;

use super::{Entry, entry};

pub(crate) fn entries() -> Vec<Entry> {
    vec![
        entry!("table-versioned-source", Source),
        entry!("table-versioned-filter", Filter),
        entry!("join-st-versioned", StreamTable),
        entry!("join-st-versioned-grace", StreamTableGrace),
    ]
}

#[topology(application_id = "vec")]
struct Source {
    #[source(topic = "in")]
    #[store(name = "v", versioned = "100ms")]
    #[sink(topic = "out")]
    table: KTable<String, String>,
}

#[topology(application_id = "vec")]
struct Filter {
    #[source(topic = "in")]
    #[store(name = "v", versioned = "1s")]
    table: KTable<String, i32>,
    #[from(table.filter(|_, v| *v > 3))]
    #[store(name = "f", versioned = "1s")]
    #[sink(topic = "out")]
    large: KTable<String, i32>,
}

#[topology(application_id = "vec")]
struct StreamTable {
    #[source(topic = "left", partitions = 1)]
    left: KStream<Option<String>, Option<String>>,
    #[source(topic = "right", partitions = 1)]
    #[store(name = "v", versioned = "1s")]
    right: KTable<String, String>,
    #[from(left.join(right, |s, t| format!("{s}+{t}")))]
    #[sink(topic = "out")]
    joined: KStream<String, String>,
}

#[topology(application_id = "vec")]
struct StreamTableGrace {
    #[source(topic = "left", partitions = 1)]
    left: KStream<Option<String>, Option<String>>,
    #[source(topic = "right", partitions = 1)]
    #[store(name = "v", versioned = "1s")]
    right: KTable<String, String>,
    #[from(left.join(right, |s, t| format!("{s}+{t}"), name = "jg", grace("50ms")))]
    #[sink(topic = "out")]
    joined: KStream<String, String>,
}
