//! `join-*-derived*` and their like: joins with tables that have no store, whose rows are made of those of the tables behind.

use kstreams::prelude::*;

use super::{Entry, entry};

pub(crate) fn entries() -> Vec<Entry> {
    vec![
        entry!("join-st-derived", StreamTable),
        entry!("join-st-derived-versioned", Versioned),
        entry!("join-st-derived-versioned-grace", VersionedGrace),
        entry!("join-fk-derived", ForeignKey),
        entry!("join-fk-of-joined", ForeignKeyOfJoined),
        entry!("join-st-transformed", StreamTransformed),
        entry!("join-st-suppressed", StreamSuppressed),
        entry!("join-tt-transformed", TableTransformed),
        entry!("join-fk-transformed", ForeignKeyTransformed),
    ]
}

fn passes(value: &str) -> bool {
    !value.contains('x')
}

fn mapped(key: &str, value: String) -> Option<String> {
    (!value.contains("nil")).then(|| format!("{value}.{key}"))
}

fn or_null(value: Option<&String>) -> &str {
    value.map_or("null", String::as_str)
}

fn shown(value: Option<&Option<String>>) -> &str {
    or_null(value.and_then(Option::as_ref))
}

fn foreign_key(row: &str) -> Option<String> {
    row.split_once('/').map(|(key, _)| key.to_owned())
}

#[topology(application_id = "vec")]
struct StreamTable {
    #[source(topic = "left", partitions = 1)]
    left: KStream<Option<String>, Option<String>>,
    #[source(topic = "right", partitions = 1)]
    #[store(name = "t")]
    right: KTable<String, String>,
    #[from(right.filter(|_, v| passes(v)).map_values_with_key(|k, v| mapped(k, v)))]
    derived: KTable<String, Option<String>>,
    #[from(left.left_join_with_key(derived, |k, l, r| format!("{}:{l}+{}", or_null(k.as_ref()), shown(r))))]
    #[sink(topic = "out")]
    joined: KStream<Option<String>, String>,
}

/// Each operator in a field of its own: rows are made step by step.
#[topology(application_id = "vec")]
struct Versioned {
    #[source(topic = "left", partitions = 1)]
    left: KStream<Option<String>, Option<String>>,
    #[source(topic = "right", partitions = 1)]
    #[store(name = "v", versioned = "1s")]
    right: KTable<String, String>,
    #[from(right.filter(|_, v| passes(v)))]
    filtered: KTable<String, String>,
    #[from(filtered.map_values_with_key(|k, v| mapped(k, v)))]
    derived: KTable<String, Option<String>>,
    #[from(left.left_join(derived, |l, r| format!("{l}+{}", shown(r))))]
    #[sink(topic = "out")]
    joined: KStream<Option<String>, String>,
}

#[topology(application_id = "vec")]
struct VersionedGrace {
    #[source(topic = "left", partitions = 1)]
    left: KStream<Option<String>, Option<String>>,
    #[source(topic = "right", partitions = 1)]
    #[store(name = "v", versioned = "1s")]
    right: KTable<String, String>,
    #[from(right.filter(|_, v| passes(v)).map_values_with_key(|k, v| mapped(k, v)))]
    derived: KTable<String, Option<String>>,
    #[from(left.join(derived, |l, r| format!("{l}+{}", shown(Some(r))), name = "jg", grace("50ms")))]
    #[sink(topic = "out")]
    joined: KStream<String, String>,
}

#[topology(application_id = "vec")]
struct ForeignKey {
    #[source(topic = "left")]
    #[store(name = "lt")]
    left: KTable<String, String>,
    #[source(topic = "right")]
    #[store(name = "rt")]
    right: KTable<String, String>,
    #[from(left.filter(|_, v| passes(v)).map_values_with_key(|k, v| mapped(k, v)))]
    left_rows: KTable<String, Option<String>>,
    #[from(right.filter(|_, v| passes(v)).map_values_with_key(|k, v| mapped(k, v)))]
    right_rows: KTable<String, Option<String>>,
    #[from(left_rows.left_join_on(
        right_rows,
        |_, row| row.as_deref().and_then(foreign_key),
        |l, r| format!("{}+{}", shown(Some(l)), shown(r)),
        name = "fkj",
    ))]
    #[sink(topic = "out")]
    joined: KTable<String, String>,
}

#[topology(application_id = "vec")]
struct ForeignKeyOfJoined {
    #[source(topic = "a", partitions = 1)]
    #[store(name = "at")]
    a: KTable<String, String>,
    #[source(topic = "b", partitions = 1)]
    #[store(name = "bt")]
    b: KTable<String, String>,
    #[source(topic = "c", partitions = 1)]
    #[store(name = "ct")]
    c: KTable<String, String>,
    #[source(topic = "d", partitions = 1)]
    #[store(name = "dt")]
    d: KTable<String, String>,
    #[from(a.join(b, |l, r| format!("{l}+{r}")))]
    left: KTable<String, String>,
    #[from(c.outer_join(d, |l, r| format!("{}+{}", or_null(l), or_null(r))))]
    right: KTable<String, String>,
    #[from(left.join_on(right, |_, row| foreign_key(row), |l, r| format!("{l}+{r}"), name = "fkj"))]
    #[sink(topic = "out")]
    joined: KTable<String, String>,
}

/// With a value where the table has none.
#[processor]
struct Filled;

impl ValueTransformer<String, String> for Filled {
    type Value = String;

    fn transform(
        &mut self,
        key: &String,
        value: Option<String>,
        _: &mut Context<'_, Self>,
    ) -> ProcessingResult<Option<String>> {
        Ok(match value {
            Some(value) => mapped(key, value),
            None => Some("c1/none".to_owned()),
        })
    }
}

#[topology(application_id = "vec")]
struct StreamTransformed {
    #[source(topic = "left", partitions = 1)]
    left: KStream<Option<String>, Option<String>>,
    #[source(topic = "right", partitions = 1)]
    #[store(name = "t")]
    right: KTable<String, String>,
    #[from(right.transform_values(Filled::new()))]
    filled: KTable<String, String>,
    #[from(left.left_join(filled, |l, r| format!("{l}+{}", or_null(r))))]
    #[sink(topic = "out")]
    joined: KStream<Option<String>, String>,
}

#[topology(application_id = "vec")]
struct TableTransformed {
    #[source(topic = "left", partitions = 1)]
    #[store(name = "lt")]
    left: KTable<String, String>,
    #[source(topic = "right", partitions = 1)]
    #[store(name = "rt")]
    right: KTable<String, String>,
    #[from(right.transform_values(Filled::new()))]
    filled: KTable<String, String>,
    #[from(left.left_join(filled, |l, r| format!("{l}+{}", or_null(r))))]
    #[sink(topic = "out")]
    joined: KTable<String, String>,
}

#[topology(application_id = "vec")]
struct ForeignKeyTransformed {
    #[source(topic = "left")]
    #[store(name = "lt")]
    left: KTable<String, String>,
    #[source(topic = "right")]
    #[store(name = "rt")]
    right: KTable<String, String>,
    #[from(left.transform_values(Filled::new()))]
    left_rows: KTable<String, String>,
    #[from(right.transform_values(Filled::new()))]
    right_rows: KTable<String, String>,
    #[from(left_rows.left_join_on(
        right_rows,
        |_, row| foreign_key(row),
        |l, r| format!("{l}+{}", or_null(r)),
        name = "fkj",
    ))]
    #[sink(topic = "out")]
    joined: KTable<String, String>,
}

#[topology(application_id = "vec")]
struct StreamSuppressed {
    #[source(topic = "left", partitions = 1)]
    left: KStream<Option<String>, Option<String>>,
    #[source(topic = "right", partitions = 1)]
    #[store(name = "t")]
    right: KTable<String, String>,
    #[from(right.suppress(until_time_limit("20ms"), name = "sup"))]
    held: KTable<String, String>,
    #[from(left.left_join(held, |l, r| format!("{l}+{}", or_null(r))))]
    #[sink(topic = "out")]
    joined: KStream<Option<String>, String>,
}
