//! Joiners and aggregators that fail: the handler is asked once for each record, with the node's name; what it drops changes no
//! state, and the next record goes on from there.

use std::sync::{Arc, Mutex};

use kstreams::exceptions::{
    ErrorHandlerContext, ProcessingException, ProcessingExceptionHandler, Response,
};
use kstreams::prelude::*;
use kstreams::test_driver::{TestDriver, TestDriverOptions};

use crate::read;

/// Notes each failure as `node topic-offset: error`, and goes on with a dead letter.
#[derive(Default)]
struct Noted(Arc<Mutex<Vec<String>>>);

impl ProcessingExceptionHandler for Noted {
    fn handle_error(
        &self,
        context: &ErrorHandlerContext<'_>,
        error: &ProcessingException,
    ) -> Response {
        self.0.lock().expect("the notes").push(format!(
            "{} {}-{}: {error}",
            context.processor_node_id(),
            context.topic(),
            context.offset()
        ));
        Response::resume().with_dead_letters(context.dead_letter(error))
    }
}

pub(crate) type Notes = Arc<Mutex<Vec<String>>>;

/// Starts the driver anew with a handler that notes, and no record cache.
pub(crate) fn noting(t: &TestDriver) -> Notes {
    let notes = Notes::default();
    let config = StreamsConfig::new()
        .cache_max_bytes(0)
        .processing_exception_handler(Noted(notes.clone()))
        .dead_letter_queue("dlq");
    let options = TestDriverOptions::new().config(config).cache_max_bytes(0);
    t.reset(options).expect("the driver");
    notes
}

pub(crate) fn taken(notes: &Notes) -> Vec<String> {
    std::mem::take(&mut notes.lock().expect("the notes"))
}

/// A driver that fails at the first failure: what the application says, and no state and no output of it.
fn failing(t: &TestDriver) {
    let options = TestDriverOptions::new().cache_max_bytes(0);
    t.reset(options).expect("the driver");
}

fn add(sum: i64, text: &str) -> Result<i64, String> {
    match text.parse::<i64>() {
        Ok(n) => Ok(sum + n),
        Err(e) => Err(format!("{text}: {e}")),
    }
}

fn append(all: String, text: String) -> Result<String, &'static str> {
    match text.as_str() {
        "bad" => Err("a bad value"),
        _ => Ok(format!("{all}{text}")),
    }
}

#[topology(application_id = "aggregations")]
struct Aggregations {
    #[source(topic = "in", partitions = 1)]
    input: KStream<String, String>,

    #[from(input.group_by_key().try_aggregate(|| 0, |_, v, sum| add(sum, &v)))]
    #[sink(topic = "sums")]
    sums: KTable<String, i64>,
    #[from(input.group_by_key().try_reduce(append))]
    #[sink(topic = "texts")]
    texts: KTable<String, String>,
    /// In a chain whose store's types rustc infers.
    #[from(input.group_by_key()
        .try_aggregate(|| 0_i64, |_, v, sum| add(sum, &v))
        .to_stream()
        .map_values(|sum| sum.to_string()))]
    #[sink(topic = "inferred")]
    inferred: KStream<String, String>,
    /// Functions that may also delete the key.
    #[from(input.group_by_key().try_reduce(|a, b| append(a, b).map(|all| Some(all).filter(|all| all != "120"))))]
    #[sink(topic = "deletable")]
    deletable: KTable<String, Option<String>>,
    #[from(input.group_by_key().try_aggregate(|| 0, |_, v, sum| add(sum, &v).map(|sum| Some(sum).filter(|_| v != "0"))))]
    #[sink(topic = "deletable-sums")]
    deletable_sums: KTable<String, Option<i64>>,
}

#[test]
fn an_aggregator_that_fails_leaves_the_aggregate_as_it_was() {
    let t = Aggregations::builder().test_driver().unwrap();
    let notes = noting(&t);
    t.input.send("a", "1").at(1);
    t.input.send("a", "bad").at(9);
    t.input.send("a", "2").at(2);
    t.input.send("a", "0").at(3);
    t.commit().unwrap();
    // The timestamp of a record that was dropped is in nothing either.
    assert_eq!(read(&t, "sums"), ["a=1@1", "a=3@2", "a=3@3"]);
    assert_eq!(read(&t, "texts"), ["a=1@1", "a=12@2", "a=120@3"]);
    assert_eq!(read(&t, "inferred"), ["a=1@1", "a=3@2", "a=3@3"]);
    assert_eq!(read(&t, "deletable"), ["a=1@1", "a=12@2", "a=null@3"]);
    assert_eq!(read(&t, "deletable-sums"), ["a=1@1", "a=3@2", "a=null@3"]);
    let number = "in-1: bad: invalid digit found in string";
    assert_eq!(
        taken(&notes),
        [
            format!("sums {number}"),
            "texts in-1: a bad value".to_owned(),
            format!("inferred {number}"),
            "deletable in-1: a bad value".to_owned(),
            format!("deletable_sums {number}"),
        ]
    );
    assert_eq!(t.sums.all().unwrap(), [("a".to_owned(), 3)]);
    assert_eq!(read(&t, "dlq"), ["a=bad@9"; 5]);
    assert_eq!(t.dropped_records_total(), 5);
}

#[test]
fn by_default_an_aggregator_that_fails_stops_the_task() {
    let t = Aggregations::builder().test_driver().unwrap();
    failing(&t);
    t.input.send("a", "1").at(1).pipe().unwrap();
    let error = t.input.send("a", "bad").at(2).pipe().unwrap_err();
    assert!(
        error
            .to_string()
            .contains("`sums` failed on offset 1 of in-0: bad: invalid digit"),
        "{error}"
    );
}

#[topology(application_id = "windows")]
struct Windows {
    #[source(topic = "in", partitions = 1)]
    input: KStream<String, String>,

    #[from(input.group_by_key().windowed_by(tumbling("10ms")).try_aggregate(|| 0, |_, v, sum| add(sum, &v)))]
    #[sink(topic = "tumbling")]
    tumbling: KTable<Windowed<String>, i64>,
    #[from(input.group_by_key().windowed_by(hopping("10ms").advance_by("5ms").grace("1m")).try_reduce(append))]
    #[sink(topic = "hopping")]
    hopping: KTable<Windowed<String>, String>,
    #[from(input.group_by_key().windowed_by(sliding("10ms")).try_aggregate(String::new, |_, v, all| append(all, v)))]
    #[sink(topic = "sliding")]
    sliding: KTable<Windowed<String>, String>,
    #[from(input.group_by_key().windowed_by(session("10ms").grace("1m")).try_aggregate(
        String::new,
        |_, v, all| append(all, v),
        |_, one: String, other| if one == "1" && other == "9" { Err("never together") } else { Ok(one + &other) },
    ))]
    #[sink(topic = "sessions")]
    sessions: KTable<Windowed<String, SessionWindow>, String>,
    /// In a chain whose store's types rustc infers.
    #[from(input.group_by_key().windowed_by(tumbling("10ms"))
        .try_aggregate(|| 0_i64, |_, v, sum| add(sum, &v))
        .to_stream()
        .map(|k, sum| (k.key, sum.to_string())))]
    #[sink(topic = "inferred")]
    inferred: KStream<String, String>,
}

/// Values and timestamps of what a topic has.
fn values(t: &TestDriver, topic: &str) -> Vec<String> {
    let records = t.read_raw(topic).expect("the topic");
    let shown = records.iter().map(|r| match &r.value {
        Some(bytes) => match <[u8; 8]>::try_from(bytes.as_ref()) {
            Ok(number) => format!("{}@{}", i64::from_be_bytes(number), r.timestamp),
            Err(_) => format!("{}@{}", String::from_utf8_lossy(bytes), r.timestamp),
        },
        None => format!("null@{}", r.timestamp),
    });
    shown.collect()
}

#[test]
fn a_windows_aggregator_that_fails_leaves_the_window_as_it_was() {
    let t = Windows::builder().test_driver().unwrap();
    let notes = noting(&t);
    t.input.send("a", "1").at(11);
    t.input.send("a", "bad").at(13);
    t.input.send("a", "2").at(12);
    t.commit().unwrap();
    assert_eq!(values(&t, "tumbling"), ["1@11", "3@12"]);
    assert_eq!(values(&t, "hopping"), ["1@11", "1@11", "12@12", "12@12"]);
    // The time that the failed record had counts: the window that ended at 12 has closed.
    assert_eq!(values(&t, "sliding"), ["1@11", "2@12"]);
    assert_eq!(values(&t, "sessions"), ["1@11", "null@11", "12@12"]);
    assert_eq!(values(&t, "inferred"), ["1@11", "3@12"]);
    // Once for each node, although the record is in two windows of `hopping`.
    let nodes: Vec<String> = taken(&notes)
        .iter()
        .filter_map(|note| note.split(' ').next().map(str::to_owned))
        .collect();
    assert_eq!(
        nodes,
        ["tumbling", "hopping", "sliding", "sessions", "inferred"]
    );
}

/// As in Kafka Streams, windows that were updated before the one that fails keep it, and the ones after it are left out.
#[test]
fn of_several_windows_the_first_that_fails_is_the_last() {
    let t = Windows::builder().test_driver().unwrap();
    let notes = noting(&t);
    t.input.send("a", "7").at(17);
    t.commit().unwrap();
    assert_eq!(values(&t, "hopping"), ["7@17", "7@17"]);
    taken(&notes);
    // The windows of 9 begin at 0 and 5; nothing is there, so its first value is taken as it is.
    t.input.send("a", "bad").at(9);
    t.commit().unwrap();
    assert_eq!(values(&t, "hopping"), ["bad@9", "bad@9"]);
    // Those of 12 begin at 5 and 10.
    t.input.send("a", "bad").at(12);
    t.input.send("a", "8").at(18);
    t.commit().unwrap();
    assert_eq!(values(&t, "hopping"), ["78@18", "78@18"]);
    let hopping = taken(&notes);
    let hopping: Vec<&String> = hopping
        .iter()
        .filter(|n| n.starts_with("hopping"))
        .collect();
    assert_eq!(hopping, ["hopping in-2: a bad value"]);
}

/// Kafka Streams has taken the sessions out by the time the aggregator fails.
#[test]
fn sessions_that_a_failing_record_would_have_merged_stay() {
    let t = Windows::builder().test_driver().unwrap();
    let notes = noting(&t);
    t.input.send("a", "1").at(100);
    t.input.send("a", "3").at(118);
    t.commit().unwrap();
    assert_eq!(values(&t, "sessions"), ["1@100", "3@118"]);
    t.input.send("a", "bad").at(109);
    t.commit().unwrap();
    assert!(values(&t, "sessions").is_empty());
    t.input.send("a", "2").at(109);
    t.commit().unwrap();
    assert_eq!(values(&t, "sessions"), ["null@100", "null@118", "132@118"]);
    // A merger that fails leaves them, too.
    t.input.send("b", "1").at(100);
    t.input.send("b", "9").at(118);
    t.input.send("b", "5").at(109);
    t.commit().unwrap();
    assert_eq!(values(&t, "sessions"), ["1@100", "9@118"]);
    let sessions: Vec<String> = taken(&notes)
        .into_iter()
        .filter(|note| note.starts_with("sessions"))
        .collect();
    assert_eq!(
        sessions,
        [
            "sessions in-2: a bad value",
            "sessions in-6: never together"
        ]
    );
}

#[topology(application_id = "cogroups")]
struct Cogroups {
    #[source(topic = "in", partitions = 1)]
    input: KStream<String, String>,
    #[source(topic = "other", partitions = 1)]
    other: KStream<String, i64>,

    #[from(input.group_by_key()
        .try_cogroup(|_, v, sum| add(sum, &v))
        .cogroup(other, |_, n, sum| sum + n)
        .aggregate(|| 0))]
    #[sink(topic = "sums")]
    sums: KTable<String, i64>,
    #[from(other.group_by_key()
        .cogroup(|_, n, all| format!("{all}{n}"))
        .try_cogroup(input, |_, v, all| append(all, v))
        .windowed_by(session("10ms").grace("1m"))
        .aggregate(String::new, |_, one, other| one + &other))]
    #[sink(topic = "sessions")]
    sessions: KTable<Windowed<String, SessionWindow>, String>,
    /// In a chain whose store's types rustc infers.
    #[from(other.group_by_key()
        .cogroup(|_, n, all| format!("{all}{n}"))
        .try_cogroup(input, |_, v, all| append(all, v))
        .windowed_by(tumbling("10ms"))
        .aggregate(String::new)
        .to_stream()
        .map(|k, all| (k.key, all)))]
    #[sink(topic = "inferred")]
    inferred: KStream<String, String>,
}

#[test]
fn an_input_of_a_cogroup_that_fails_leaves_the_aggregate_as_it_was() {
    let t = Cogroups::builder().test_driver().unwrap();
    let notes = noting(&t);
    t.input.send("a", "1").at(11);
    t.other.send("a", 2).at(12);
    t.input.send("a", "bad").at(13);
    t.other.send("a", 3).at(14);
    t.commit().unwrap();
    assert_eq!(values(&t, "sums"), ["1@11", "3@12", "6@14"]);
    assert_eq!(values(&t, "inferred"), ["1@11", "12@12", "123@14"]);
    assert_eq!(
        values(&t, "sessions"),
        ["1@11", "null@11", "12@12", "null@12", "123@14"]
    );
    assert_eq!(
        taken(&notes),
        [
            "sums in-1: bad: invalid digit found in string",
            "sessions in-1: a bad value",
            "inferred in-1: a bad value",
        ]
    );
}

#[topology(application_id = "regrouped")]
struct Regrouped {
    #[source(topic = "rows", partitions = 1)]
    rows: KTable<String, String>,

    /// A row is `group value`; 3 can be put in and not taken out again.
    #[from(rows.group_by(|_, row| split(row)).try_aggregate(
        || 0,
        |_, v, sum| add(sum, &v),
        |_, v, sum: i64| if v == "3" { Err("stays") } else { Ok(sum - v.parse::<i64>().unwrap_or(0)) },
    ))]
    #[sink(topic = "sums", partitions = 1)]
    sums: KTable<String, i64>,
    #[from(rows.group_by(|_, row| split(row)).try_reduce(append, |all: String, v| {
        if v == "3" { Err("stays") } else { Ok(all.replacen(&v, "", 1)) }
    }))]
    #[sink(topic = "texts", partitions = 1)]
    texts: KTable<String, String>,
    #[from(rows.group_by(|_, row| split(row))
        .try_aggregate(|| 0_i64, |_, v, sum| add(sum, &v), |_, v, sum: i64| add(-sum, &v).map(|sum| -sum))
        .to_stream()
        .map_values(|sum| sum * 10))]
    #[sink(topic = "inferred", partitions = 1)]
    inferred: KStream<String, i64>,
}

fn split(row: &str) -> (String, String) {
    let (group, value) = row.split_once(' ').unwrap_or((row, ""));
    (group.to_owned(), value.to_owned())
}

#[test]
fn adders_and_subtractors_that_fail_leave_the_group_as_it_was() {
    let t = Regrouped::builder().test_driver().unwrap();
    let notes = noting(&t);
    t.rows.send("a", "g 1").at(1);
    t.rows.send("b", "g 3").at(2);
    t.rows.send("c", "g bad").at(3);
    t.commit().unwrap();
    assert_eq!(read(&t, "sums"), ["g=1@1", "g=4@2"]);
    assert_eq!(read(&t, "texts"), ["g=1@1", "g=13@2"]);
    assert_eq!(read(&t, "inferred"), ["g=10@1", "g=40@2"]);
    assert_eq!(taken(&notes).len(), 3);
    // The subtractor fails, and the adder of the same update is not called.
    t.rows.send("b", "g 5").at(4);
    t.rows.send("a", "g 2").at(5);
    t.commit().unwrap();
    assert_eq!(read(&t, "sums"), ["g=5@5"]);
    assert_eq!(read(&t, "texts"), ["g=32@5"]);
    assert_eq!(read(&t, "inferred"), ["g=60@4", "g=70@5"]);
    let noted = taken(&notes);
    assert_eq!(noted.len(), 2, "{noted:?}");
    assert!(
        noted.iter().all(|note| note.ends_with(": stays")),
        "{noted:?}"
    );
    assert!(
        noted[0].starts_with("sums ") && noted[1].starts_with("texts "),
        "{noted:?}"
    );
}

fn meet(left: &str, right: &str) -> Result<String, &'static str> {
    if left == "bad" || right == "bad" {
        return Err("do not fit");
    }
    Ok(format!("{left}+{right}"))
}

#[topology(application_id = "stream-joins")]
struct StreamJoins {
    #[source(topic = "in", partitions = 1)]
    input: KStream<String, String>,
    #[source(topic = "table", partitions = 1)]
    table: KTable<String, String>,
    #[source(topic = "versioned", partitions = 1)]
    #[store(versioned = "1h")]
    versioned: KTable<String, String>,
    #[source(topic = "global", partitions = 1)]
    global: GlobalKTable<String, String>,

    #[from(input.try_join(table, |l, r| meet(&l, r)))]
    #[sink(topic = "inner")]
    inner: KStream<String, String>,
    #[from(input.try_left_join_with_key(table, |k, l, r| meet(&l, r.map_or(k, |r| r))))]
    #[sink(topic = "left")]
    left: KStream<String, String>,
    #[from(input.try_join(global, |_, v| v.clone(), |l, r| meet(&l, r)))]
    #[sink(topic = "global-inner")]
    global_inner: KStream<String, String>,
    #[from(input.try_left_join(global, |k, _| k.clone(), |l, r| meet(&l, r.map_or("none", |r| r))))]
    #[sink(topic = "global-left")]
    global_left: KStream<String, String>,
    /// Records wait here for the table.
    #[from(input.try_join(versioned, |l, r| meet(&l, r), grace("5ms")))]
    #[sink(topic = "waiting")]
    waiting: KStream<String, String>,
}

#[test]
fn a_joiner_that_fails_drops_the_streams_record() {
    let t = StreamJoins::builder().test_driver().unwrap();
    let notes = noting(&t);
    t.pipe_raw("global", Some(b"bad"), Some(b"r"), 0, Headers::new())
        .unwrap();
    t.pipe_raw("global", Some(b"1"), Some(b"r"), 0, Headers::new())
        .unwrap();
    t.table.send("a", "r").at(0);
    t.versioned.send("a", "r").at(0);
    t.input.send("a", "1").at(1);
    t.input.send("a", "bad").at(2);
    t.input.send("a", "1").at(3);
    t.input.send("b", "1").at(10);
    t.commit().unwrap();
    assert_eq!(read(&t, "inner"), ["a=1+r@1", "a=1+r@3"]);
    assert_eq!(read(&t, "left"), ["a=1+r@1", "a=1+r@3", "b=1+b@10"]);
    assert_eq!(read(&t, "global-inner"), ["a=1+r@1", "a=1+r@3", "b=1+r@10"]);
    assert_eq!(
        read(&t, "global-left"),
        ["a=1+none@1", "a=1+none@3", "b=1+none@10"]
    );
    // What waited leaves when time goes on, and each by itself: the one after the failing one is joined.
    assert_eq!(read(&t, "waiting"), ["a=1+r@1", "a=1+r@3"]);
    assert_eq!(
        taken(&notes),
        [
            "inner in-1: do not fit",
            "left in-1: do not fit",
            "global_inner in-1: do not fit",
            "global_left in-1: do not fit",
            "waiting in-1: do not fit",
        ]
    );
}

#[topology(application_id = "mapped-keys")]
struct MappedKeys {
    #[source(topic = "in", partitions = 1)]
    input: KStream<String, String>,
    #[source(topic = "rows", partitions = 1)]
    rows: KTable<String, String>,
    #[source(topic = "global", partitions = 1)]
    global: GlobalKTable<i64, String>,
    #[source(topic = "right", partitions = 1)]
    right: KTable<i64, String>,

    #[from(input.try_join(global, |_, v| v.parse::<i64>(), |l, r| meet(&l, r)))]
    #[sink(topic = "inner")]
    inner: KStream<String, String>,
    #[from(input.try_left_join_with_key(global, |_, v| v.parse::<i64>().map(Some), |_, l, r| meet(&l, r.map_or("none", |r| r))))]
    #[sink(topic = "left")]
    left: KStream<String, String>,
    #[from(rows.try_join_on(right, |_, row| row.parse::<i64>(), |l, r| meet(l, r)))]
    #[sink(topic = "foreign")]
    foreign: KTable<String, String>,
    #[from(rows.try_left_join_on(right, |_, row| row.parse::<i64>().map(Some), |l, r| meet(l, r.map_or("none", |r| r))))]
    #[sink(topic = "foreign-left")]
    foreign_left: KTable<String, String>,
}

#[test]
fn a_key_that_cannot_be_found_drops_the_record() {
    let t = MappedKeys::builder().test_driver().unwrap();
    let notes = noting(&t);
    t.pipe_raw(
        "global",
        Some(&1_i64.to_be_bytes()),
        Some(b"r"),
        0,
        Headers::new(),
    )
    .unwrap();
    t.right.send(1, "r").at(0);
    for (at, value) in (1..).zip(["1", "x", "2"]) {
        t.input.send("a", value).at(at);
    }
    t.commit().unwrap();
    assert_eq!(read(&t, "inner"), ["a=1+r@1"]);
    assert_eq!(read(&t, "left"), ["a=1+r@1", "a=2+none@3"]);
    assert_eq!(
        taken(&notes),
        [
            "inner in-1: invalid digit found in string",
            "left in-1: invalid digit found in string",
        ]
    );
    // A row that has no foreign key changes nothing, and the one after it is not taken for a change of the bad one.
    for (at, value) in (11..).zip(["1", "x", "1"]) {
        t.rows.send("a", value).at(at);
    }
    t.commit().unwrap();
    assert_eq!(read(&t, "foreign"), ["a=1+r@11", "a=1+r@13"]);
    assert_eq!(read(&t, "foreign-left"), ["a=1+r@11", "a=1+r@13"]);
    let mut noted = taken(&notes);
    noted.sort();
    assert_eq!(
        noted,
        [
            "foreign rows-1: invalid digit found in string",
            "foreign_left rows-1: invalid digit found in string",
        ]
    );
}

#[topology(application_id = "pairs")]
struct Pairs {
    #[source(topic = "left", partitions = 1)]
    left: KStream<String, String>,
    #[source(topic = "right", partitions = 1)]
    right: KStream<String, String>,

    #[from(left.try_join(right, |l, r| meet(l, r), within("10ms")))]
    #[sink(topic = "inner")]
    inner: KStream<String, String>,
    #[from(left.try_left_join(right, |l, r| meet(l, r.map_or("none", |r| r)), within("10ms")))]
    #[sink(topic = "left-joined")]
    left_joined: KStream<String, String>,
    #[from(left.try_outer_join_with_key(right, |_, l, r| meet(l.map_or("none", |l| l), r.map_or("none", |r| r)), within("10ms")))]
    #[sink(topic = "outer")]
    outer: KStream<String, String>,
}

#[test]
fn a_joiner_of_streams_that_fails_ends_what_the_record_meets() {
    let t = Pairs::builder().test_driver().unwrap();
    let notes = noting(&t);
    t.left.send("a", "1").at(1);
    t.left.send("a", "bad").at(2);
    t.left.send("a", "3").at(3);
    t.right.send("a", "r").at(4);
    t.commit().unwrap();
    // As in Kafka Streams, it meets nobody after the one that fails: there is one dead letter for it.
    assert_eq!(read(&t, "inner"), ["a=1+r@4"]);
    assert_eq!(read(&t, "left-joined"), ["a=1+r@4"]);
    assert_eq!(read(&t, "outer"), ["a=1+r@4"]);
    assert_eq!(
        taken(&notes),
        [
            "inner right-0: do not fit",
            "left_joined right-0: do not fit",
            "outer right-0: do not fit",
        ]
    );
    assert_eq!(read(&t, "dlq"), ["a=r@4"; 3]);
    // The record is in the window all the same, as in Kafka Streams: the next one meets it.
    t.left.send("a", "5").at(5);
    t.commit().unwrap();
    assert_eq!(read(&t, "inner"), ["a=5+r@5"]);
}

/// Records whose window closed are others than the one that is processed: one that fails takes only itself along.
#[test]
fn a_record_without_partner_that_fails_keeps_no_other_from_leaving() {
    let t = Pairs::builder().test_driver().unwrap();
    let notes = noting(&t);
    t.left.send("a", "1").at(1);
    t.left.send("b", "bad").at(2);
    t.left.send("c", "3").at(3);
    t.left.send("d", "4").at(100);
    t.commit().unwrap();
    assert_eq!(read(&t, "left-joined"), ["a=1+none@1", "c=3+none@3"]);
    assert_eq!(read(&t, "outer"), ["a=1+none@1", "c=3+none@3"]);
    assert_eq!(
        taken(&notes),
        ["left_joined left-3: do not fit", "outer left-3: do not fit"]
    );
}

#[topology(application_id = "table-joins")]
struct TableJoins {
    #[source(topic = "left", partitions = 1)]
    left: KTable<String, String>,
    #[source(topic = "right", partitions = 1)]
    right: KTable<String, String>,

    #[from(left.try_join(right, |l, r| meet(l, r)))]
    #[store]
    #[sink(topic = "inner")]
    inner: KTable<String, String>,
    #[from(left.try_left_join(right, |l, r| meet(l, r.map_or("none", |r| r))).filter(|_, v| v != "3+r"))]
    #[sink(topic = "left-joined")]
    left_joined: KTable<String, String>,
    #[from(left.try_outer_join_with_key(right, |_, l, r| meet(l.map_or("none", |l| l), r.map_or("none", |r| r))))]
    #[sink(topic = "outer")]
    outer: KTable<String, String>,
    /// The foreign key is the row itself.
    #[from(left.try_join_on(right, |_, l| format!("f{l}"), |l, r| meet(l, r)))]
    #[store]
    #[sink(topic = "foreign")]
    foreign: KTable<String, String>,
    #[from(left.try_left_join_on(right, |_, l| Some(format!("f{l}")), |l, r| meet(l, r.map_or("none", |r| r))))]
    #[sink(topic = "foreign-left")]
    foreign_left: KTable<String, String>,
}

#[test]
fn a_joiner_of_tables_that_fails_leaves_the_row_as_it_was() {
    let t = TableJoins::builder().test_driver().unwrap();
    let notes = noting(&t);
    t.right.send("a", "r").at(1);
    t.right.send("f1", "foreign").at(1);
    t.right.send("fbad", "foreign").at(1);
    t.left.send("a", "1").at(2);
    t.left.send("a", "bad").at(3);
    t.commit().unwrap();
    assert_eq!(read(&t, "inner"), ["a=1+r@2"]);
    assert_eq!(t.inner.get("a").unwrap().as_deref(), Some("1+r"));
    assert_eq!(read(&t, "left-joined"), ["a=1+r@2"]);
    assert_eq!(read(&t, "foreign-left"), ["a=1+foreign@2"]);
    assert_eq!(read(&t, "foreign"), ["a=1+foreign@2"]);
    assert_eq!(t.foreign.get("a").unwrap().as_deref(), Some("1+foreign"));
    let outer = read(&t, "outer");
    assert_eq!(
        outer.last().map(String::as_str),
        Some("a=1+r@2"),
        "{outer:?}"
    );
    let mut noted: Vec<String> = taken(&notes)
        .iter()
        .filter_map(|note| note.split(' ').next().map(str::to_owned))
        .collect();
    noted.sort();
    assert_eq!(
        noted,
        ["foreign", "foreign_left", "inner", "left_joined", "outer"]
    );
    t.left.send("a", "3").at(4);
    t.commit().unwrap();
    assert_eq!(read(&t, "inner"), ["a=3+r@4"]);
}
