//! Nulls: what is dropped and counted, dropped without counting, or kept; and records on their way to topics by name.

use kstreams::prelude::*;

use crate::read;

#[topology(application_id = "nulls")]
struct Nulls {
    #[source(topic = "in", partitions = 2)]
    input: KStream<Option<String>, Option<String>>,
    #[source(topic = "names", partitions = 2)]
    names: KTable<String, String>,
    #[source(topic = "global")]
    global: GlobalKTable<String, String>,

    #[from(input.select_key(|_, v| v.clone()))]
    by_value: KStream<Option<String>, Option<String>>,
    #[from(by_value.repartition(name = "plain"))]
    #[sink(topic = "repartitioned")]
    repartitioned: KStream<String, Option<String>>,
    #[from(by_value.left_join(names, |v, n| format!("{v}+{}", n.map_or("-", String::as_str)), name = "left"))]
    #[sink(topic = "left")]
    left: KStream<Option<String>, String>,
    #[from(by_value.join(names, |v, n| format!("{v}+{n}"), name = "inner"))]
    #[sink(topic = "inner")]
    inner: KStream<String, String>,
    #[from(input.left_join_with_key(
        global,
        |k, v| k.clone().or(Some(v.clone())),
        |k, v, g| format!("{k:?} {v} {g:?}"),
    ))]
    #[sink(topic = "with-global")]
    with_global: KStream<Option<String>, String>,
    #[from(by_value.group_by(|k, _| k.clone(), name = "grouped").reduce(|a, b| a + &b))]
    reduced: KTable<String, String>,
}

#[test]
fn nulls_are_dropped_where_a_key_is_needed_and_kept_where_it_is_not() {
    let t = Nulls::builder().test_driver().unwrap();
    t.names.send("x", "Ann").at(0);
    t.global.send("x", "Globe").at(0);
    t.input.send(None, Some("x".to_owned())).at(1);
    t.input.send(Some("k".to_owned()), None).at(2);
    t.input
        .send(Some("k".to_owned()), Some("y".to_owned()))
        .at(3);

    assert_eq!(read(&t, "nulls-plain-repartition"), ["x=x@1", "y=y@3"]);
    assert_eq!(read(&t, "repartitioned"), ["x=x@1", "y=y@3"]);
    assert_eq!(
        read(&t, "nulls-left-repartition").len(),
        3,
        "null keys travel to a left join"
    );
    assert_eq!(read(&t, "left"), ["x=x+Ann@1", "y=y+-@3"]);
    assert_eq!(read(&t, "nulls-inner-repartition"), ["x=x@1", "y=y@3"]);
    assert_eq!(read(&t, "inner"), ["x=x+Ann@1"]);
    assert_eq!(
        read(&t, "with-global"),
        ["null=None x Some(\"Globe\")@1", "k=Some(\"k\") y None@3"]
    );
    // Counted: the null value at the left join and at the global join. Not counted: null keys before repartition topics.
    assert_eq!(t.dropped_records_total(), 2);
}

/// A left join lets null keys into every repartition topic before it, near or far; who needs a key drops and counts them.
#[topology(application_id = "relaxed")]
struct Relaxed {
    #[source(topic = "in", partitions = 2)]
    input: KStream<Option<String>, Option<String>>,
    #[source(topic = "names", partitions = 2)]
    names: KTable<String, String>,
    #[from(input.select_key(|_, v| v.clone().filter(|v| v != "none")))]
    by_value: KStream<Option<String>, Option<String>>,
    #[from(by_value.group_by_key(name = "near").count())]
    counts: KTable<String, i64>,
    #[from(counts.to_stream().left_join(names, |n, name| format!("{n}+{name:?}")))]
    #[sink(topic = "near")]
    near: KStream<String, String>,
    #[from(by_value.to_table())]
    #[store]
    rows: KTable<String, String>,
    #[source(topic = "more", partitions = 2)]
    more: KStream<String, Option<String>>,
    #[from(rows.to_stream())]
    changes: KStream<String, Option<String>>,
    #[from(more.merge(changes).left_join(names, |v, name| format!("{v}+{name:?}")))]
    #[sink(topic = "merged")]
    merged: KStream<String, String>,
    #[from(by_value.join(names, |v, name| v + name, name = "inner"))]
    #[sink(topic = "inner")]
    inner: KStream<String, String>,
}

#[test]
fn null_keys_enter_every_repartition_topic_before_a_left_join() {
    let t = Relaxed::builder().test_driver().unwrap();
    t.input
        .send(Some("k".to_owned()), Some("x".to_owned()))
        .at(1);
    t.input
        .send(Some("k".to_owned()), Some("none".to_owned()))
        .at(2);
    assert_eq!(
        read(&t, "relaxed-near-repartition"),
        ["x=x@1", "null=none@2"]
    );
    assert_eq!(
        read(&t, "relaxed-rows-repartition"),
        ["x=x@1", "null=none@2"]
    );
    assert_eq!(read(&t, "relaxed-inner-repartition"), ["x=x@1"]);
    assert_eq!(read(&t, "near"), ["x=1+None@1"]);
    assert_eq!(t.dropped_records_total(), 2);
}

/// Null values go through a repartition topic; the operator after it decides.
#[topology(application_id = "null-values")]
struct NullValues {
    #[source(topic = "in")]
    input: KStream<String, Option<String>>,
    #[from(input.select_key(|k, _| k.to_uppercase()).to_table())]
    #[store]
    #[sink(topic = "out")]
    table: KTable<String, String>,
    #[from(input.group_by(|k, _| k.to_uppercase()).count())]
    counts: KTable<String, i64>,
}

#[test]
fn null_values_pass_a_repartition_topic() {
    let t = NullValues::builder().test_driver().unwrap();
    t.input.send("a", Some("1".to_owned())).at(1);
    t.input.send("a", None).at(2);
    assert_eq!(
        read(&t, "null-values-table-repartition"),
        ["A=1@1", "A=null@2"]
    );
    assert_eq!(read(&t, "out"), ["A=1@1", "A=null@2"]);
    assert_eq!(t.table.all().unwrap(), []);
    assert_eq!(t.counts.get("A").unwrap(), Some(1));
    assert_eq!(t.dropped_records_total(), 1, "the null value at the count");
}

/// A record's topic is whatever its closure says, declared or not, also for a table.
#[topology(application_id = "routing")]
struct Routing {
    #[source(topic = "in")]
    #[sink(topic = |_, v| format!("by-{}", v.len()))]
    input: KStream<String, String>,
    #[from(input.group_by(|_, v| v.clone()).count())]
    #[sink(topic = |k, _| if k.len() > 1 { "long" } else { "short" }, topics("long", "short"))]
    counts: KTable<String, i64>,
}

#[test]
fn a_closure_routes_each_record() {
    let t = Routing::builder().test_driver().unwrap();
    t.input.send("k", "a").at(1);
    t.input.send("k", "bb").at(2);
    t.input.send("k", "a").at(3);
    assert_eq!(read(&t, "by-1"), ["k=a@1", "k=a@3"]);
    assert_eq!(read(&t, "by-2"), ["k=bb@2"]);
    assert_eq!(read(&t, "short"), ["a=1@1", "a=2@3"]);
    assert_eq!(read(&t, "long"), ["bb=1@2"]);
}

/// A `None` of a reducer or aggregator deletes the key. The tombstone that goes on has the aggregate's time; the one in the
/// changelog has that of the record.
#[topology(application_id = "deletions")]
struct Deletions {
    #[source(topic = "in")]
    input: KStream<String, i64>,
    #[from(input.group_by_key().reduce(|a, b| (b != 0).then_some(a + b)))]
    #[sink(topic = "sums")]
    sums: KTable<String, Option<i64>>,
    #[from(input.group_by_key().aggregate(String::new, |_, v, all| (v != 0).then(|| format!("{all},{v}"))))]
    #[sink(topic = "lists")]
    lists: KTable<String, Option<String>>,
    #[from(sums.to_stream().filter(|_, sum| sum.is_some()).map_values(|sum| sum.unwrap_or_default()))]
    #[sink(topic = "kept")]
    kept: KStream<String, i64>,
}

#[test]
fn none_deletes_a_key() {
    let t = Deletions::builder().test_driver().unwrap();
    for (v, at) in [(1, 10), (2, 20), (0, 15), (5, 12), (0, 30)] {
        t.input.send("a", v).at(at);
    }
    let forwarded = ["a=1@10", "a=3@20", "a=null@20", "a=5@12", "a=null@30"];
    assert_eq!(read(&t, "sums"), forwarded);
    let logged = ["a=1@10", "a=3@20", "a=null@15", "a=5@12", "a=null@30"];
    assert_eq!(read(&t, "deletions-sums-changelog"), logged);
    assert_eq!(read(&t, "lists").len(), 5);
    assert_eq!(read(&t, "kept"), ["a=1@10", "a=3@20", "a=5@12"]);
    assert_eq!(t.sums.all().unwrap(), []);
    t.input.send("a", 0).at(40);
    assert_eq!(
        read(&t, "sums"),
        ["a=0@40"],
        "a first value is taken as it is"
    );
    assert_eq!(read(&t, "lists"), ["a=null@40"]);
}
