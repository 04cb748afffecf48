//! Topologies that no scenario of `tests/vectors` has: `xtask compare` plays random input through them and through Java's (`tests/recorder`).

mod cogroups;
mod errors;
mod lookups;
mod processors;
mod stream_joins;
mod streams;
mod suppress;
mod table_joins;
mod tables;
mod windows;

use super::Entry;
pub(crate) use super::entry;

pub(crate) fn all() -> impl Iterator<Item = Entry> {
    [
        windows::entries(),
        cogroups::entries(),
        suppress::entries(),
        stream_joins::entries(),
        lookups::entries(),
        table_joins::entries(),
        tables::entries(),
        streams::entries(),
        processors::entries(),
        errors::entries(),
    ]
    .into_iter()
    .flatten()
}

/// What Java's string concatenation makes of a null.
fn text(value: Option<String>) -> String {
    value.unwrap_or_else(|| "null".to_owned())
}

fn or_null(value: Option<&String>) -> &str {
    value.map_or("null", String::as_str)
}

fn last12(text: &str) -> String {
    let skipped = text.chars().count().saturating_sub(12);
    text.chars().skip(skipped).collect()
}
