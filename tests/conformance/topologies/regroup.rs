//! `table-groupby-*`: a table's rows grouped anew, with adder and subtractor.

use kstreams::prelude::*;

use super::{Entry, entry};

pub(crate) fn entries() -> Vec<Entry> {
    const INPUT: &[(&str, &str)] = &[("in-STATE-STORE-0000000000", "input")];
    vec![
        entry!("table-groupby-aggregate", Aggregate).names(INPUT),
        entry!("table-groupby-count", Count).names(INPUT),
        entry!("table-groupby-reduce", Reduce).names(INPUT),
        entry!("long-table-groupby", Long),
        entry!("table-headers-format", KnowingHeaders),
    ]
}

/// `g-7` is an amount of 7 in group `g`; `x` is no group.
fn group_of(row: &str) -> (Option<String>, String) {
    match row.split_once('-') {
        Some((group, amount)) => ((group != "x").then(|| group.to_owned()), amount.to_owned()),
        None => (None, String::new()),
    }
}

#[topology(application_id = "vec")]
struct Aggregate {
    #[source(topic = "in")]
    input: KTable<String, String>,
    #[from(input.group_by(|_, row| group_of(row)).aggregate(
        String::new,
        |_, n, all| format!("{all}+{n}"),
        |_, n, all| format!("{all}-{n}"),
    ))]
    #[store(name = "agg")]
    #[sink(topic = "out")]
    sums: KTable<String, String>,
}

#[topology(application_id = "vec")]
struct Count {
    #[source(topic = "in")]
    input: KTable<String, String>,
    #[from(input.group_by(|_, color| (color.clone(), color.clone())).count())]
    #[store(name = "n")]
    #[sink(topic = "out")]
    counts: KTable<String, i64>,
}

#[topology(application_id = "vec")]
struct Reduce {
    #[source(topic = "in")]
    input: KTable<String, i32>,
    #[from(input.group_by(|k, n| (k.chars().take(1).collect::<String>(), *n)).reduce(|a, n| a + n, |a, n| a - n))]
    #[store(name = "sum")]
    #[sink(topic = "out")]
    sums: KTable<String, i32>,
}

#[topology(application_id = "vec")]
struct Long {
    #[source(topic = "in")]
    #[store(name = "t")]
    input: KTable<String, String>,
    #[from(input.group_by(|_, n| (format!("g{}", number(n) % 3), n.clone())).aggregate(
        String::new,
        |_, n, all| Some(with(&all, &n)),
        |_, n, all| without(&all, &n),
    ))]
    #[store(name = "agg")]
    #[sink(topic = "out")]
    lists: KTable<String, Option<String>>,
}

fn number(text: &str) -> i32 {
    text.parse().unwrap_or_default()
}

/// A sorted list with one more.
fn with(list: &str, n: &str) -> String {
    let mut all: Vec<&str> = list.split(',').filter(|s| !s.is_empty()).collect();
    all.push(n);
    all.sort_by_key(|n| number(n));
    all.join(",")
}

/// A list with one less; `None` where nothing is left.
fn without(list: &str, n: &str) -> Option<String> {
    let mut all: Vec<&str> = list.split(',').collect();
    if let Some(at) = all.iter().position(|s| *s == n) {
        all.remove(at);
    }
    (!all.is_empty()).then(|| all.join(","))
}

#[topology(application_id = "vec", store_format = "headers")]
struct KnowingHeaders {
    #[source(topic = "in")]
    #[store]
    t: KTable<String, String>,
    #[from(t.group_by(|_, v| (v.clone(), v.clone())).count())]
    #[sink(topic = "out")]
    n: KTable<String, i64>,
}
