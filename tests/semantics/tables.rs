//! When a filtered table forwards a tombstone: Kafka Streams' `KTableFilter`, with and without stores around it.

use kstreams::prelude::*;

use crate::read;

/// Every kind of filter: after a table without a store, after one with, after an aggregation, through a `map_values`.
#[topology(application_id = "filters")]
struct Filters {
    #[source(topic = "plain")]
    plain: KTable<String, i64>,
    #[from(plain.filter(|_, v| *v > 3))]
    #[sink(topic = "plain-unstored")]
    plain_unstored: KTable<String, i64>,
    #[from(plain.filter(|_, v| *v > 3))]
    #[store]
    #[sink(topic = "plain-stored")]
    plain_stored: KTable<String, i64>,

    #[source(topic = "kept")]
    #[store]
    kept: KTable<String, i64>,
    #[from(kept.filter(|_, v| *v > 3))]
    #[sink(topic = "kept-unstored")]
    kept_unstored: KTable<String, i64>,
    #[from(kept.map_values(|v| v * 10).filter_not(|_, v| *v <= 30))]
    #[sink(topic = "kept-mapped")]
    kept_mapped: KTable<String, i64>,
    #[from(kept.filter(|_, v| *v > 3))]
    #[store]
    #[sink(topic = "kept-stored")]
    kept_stored: KTable<String, i64>,
}

#[test]
fn a_filter_of_a_table_without_a_store_forwards_every_tombstone() {
    let t = Filters::builder().test_driver().unwrap();
    for (v, at) in [(1, 0), (5, 1), (2, 2), (1, 3)] {
        t.plain.send("a", v).at(at);
    }
    t.plain.delete("a").at(4);
    let expected = ["a=null@0", "a=5@1", "a=null@2", "a=null@3", "a=null@4"];
    assert_eq!(read(&t, "plain-unstored"), expected);
    assert_eq!(read(&t, "plain-stored"), expected);
    assert_eq!(read(&t, "filters-plain_stored-changelog"), expected);
}

#[test]
fn a_filter_of_a_table_with_a_store_leaves_out_rows_that_were_and_are_not_there() {
    let t = Filters::builder().test_driver().unwrap();
    for (v, at) in [(1, 0), (5, 1), (6, 2), (2, 3), (1, 4)] {
        t.kept.send("a", v).at(at);
    }
    t.kept.delete("a").at(5);
    let expected = ["a=5@1", "a=6@2", "a=null@3"];
    assert_eq!(read(&t, "kept-unstored"), expected);
    assert_eq!(read(&t, "kept-stored"), expected);
    assert_eq!(read(&t, "filters-kept_stored-changelog"), expected);
    assert_eq!(read(&t, "kept-mapped"), ["a=50@1", "a=60@2", "a=null@3"]);
}

/// A count's first update says 0 as its old value, which a filter sees too.
#[topology(application_id = "counts")]
struct FilteredCounts {
    #[source(topic = "in")]
    input: KStream<String, String>,
    #[from(input.group_by_key().count())]
    counts: KTable<String, i64>,
    #[from(counts.filter(|_, n| *n > 2))]
    #[sink(topic = "many")]
    many: KTable<String, i64>,
    #[from(counts.filter(|_, n| *n < 1))]
    #[sink(topic = "none")]
    none: KTable<String, i64>,
}

#[test]
fn the_first_count_has_the_old_value_zero() {
    let t = FilteredCounts::builder().test_driver().unwrap();
    for at in 0..4 {
        t.input.send("a", "x").at(at);
    }
    assert_eq!(read(&t, "many"), ["a=3@2", "a=4@3"]);
    assert_eq!(read(&t, "none"), ["a=null@0"]);
}

/// A table that is filtered and, by a filter after it, asked for old values itself.
#[topology(application_id = "twice")]
struct FilteredTwice {
    #[source(topic = "in")]
    input: KTable<String, i64>,
    #[from(input.filter(|_, v| *v > 3))]
    #[store]
    #[sink(topic = "first")]
    first: KTable<String, i64>,
    #[from(first.filter(|_, v| *v > 6))]
    #[sink(topic = "second")]
    second: KTable<String, i64>,
}

#[test]
fn a_stored_filter_that_is_asked_for_old_values_leaves_out_absent_rows_too() {
    let t = FilteredTwice::builder().test_driver().unwrap();
    for (v, at) in [(1, 0), (5, 1), (8, 2), (4, 3), (2, 4), (1, 5)] {
        t.input.send("a", v).at(at);
    }
    assert_eq!(read(&t, "first"), ["a=5@1", "a=8@2", "a=4@3", "a=null@4"]);
    assert_eq!(read(&t, "second"), ["a=8@2", "a=null@3"]);
}

/// An update with the same value is an update; so is a tombstone of a row that is not there.
#[topology(application_id = "updates")]
struct Updates {
    #[source(topic = "in")]
    #[store]
    #[sink(topic = "out")]
    table: KTable<String, String>,
}

#[test]
fn every_record_of_a_table_is_an_update() {
    let t = Updates::builder().test_driver().unwrap();
    t.table.send("a", "x").at(5);
    t.table.send("a", "x").at(6);
    t.table.send("a", "x").at(2);
    t.table.delete("b").at(7);
    let expected = ["a=x@5", "a=x@6", "a=x@2", "b=null@7"];
    assert_eq!(read(&t, "out"), expected);
    assert_eq!(read(&t, "updates-table-changelog"), expected);
    assert_eq!(t.table.all().unwrap(), [("a".to_owned(), "x".to_owned())]);
}

/// A filter beside a `map_values` asks the table for old values; the `map_values` is not called with them.
#[topology(application_id = "beside")]
struct Beside {
    #[source(topic = "in")]
    #[store]
    input: KTable<String, i64>,
    #[from(input.filter(|_, v| *v > 3))]
    #[sink(topic = "large")]
    large: KTable<String, i64>,
    #[from(input.map_values(|v| {
        CALLS.with(|calls| calls.set(calls.get() + 1));
        v + 1
    }))]
    #[sink(topic = "next")]
    next: KTable<String, i64>,
}

thread_local! {
    static CALLS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

#[test]
fn a_function_sees_old_values_only_where_something_after_it_asks() {
    let t = Beside::builder().test_driver().unwrap();
    for (v, at) in [(1, 0), (5, 1), (6, 2)] {
        t.input.send("a", v).at(at);
    }
    assert_eq!(read(&t, "next"), ["a=2@0", "a=6@1", "a=7@2"]);
    assert_eq!(read(&t, "large"), ["a=5@1", "a=6@2"]);
    assert_eq!(CALLS.get(), 3);
}

/// A `map_values` that yields null leaves no value for the operators after it, in the same chain as in another field.
#[topology(application_id = "absent")]
struct Absent {
    #[source(topic = "in")]
    #[store]
    input: KTable<String, i64>,
    #[from(input.map_values(|v| (v > 3).then_some(v)))]
    mapped: KTable<String, Option<i64>>,
    #[from(mapped.filter_not(|_, v| v.is_some_and(|v| v > 6)))]
    #[sink(topic = "apart")]
    apart: KTable<String, Option<i64>>,
    #[from(input.map_values(|v| (v > 3).then_some(v)).filter_not(|_, v| v.is_some_and(|v| v > 6)))]
    #[sink(topic = "together")]
    together: KTable<String, Option<i64>>,
    #[from(input.map_values(|v| (v > 3).then_some(v)).map_values(|v| format!("{v:?}")))]
    #[sink(topic = "again")]
    again: KTable<String, String>,
}

#[test]
fn a_mapped_null_is_no_value_for_the_next_operator() {
    let t = Absent::builder().test_driver().unwrap();
    for (v, at) in [(1, 0), (5, 1), (2, 2), (8, 3), (1, 4)] {
        t.input.send("a", v).at(at);
    }
    assert_eq!(read(&t, "apart"), ["a=5@1", "a=null@2"]);
    assert_eq!(read(&t, "together"), ["a=5@1", "a=null@2"]);
    let again = [
        "a=null@0",
        "a=Some(5)@1",
        "a=null@2",
        "a=Some(8)@3",
        "a=null@4",
    ];
    assert_eq!(read(&t, "again"), again);
}
