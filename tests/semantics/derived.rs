//! Joins with tables that have no store of their own: what they find is what a store would have, by windows too; what fails
//! while a row is made is a failure of the record that looks it up.

use std::sync::{Arc, Mutex};

use kstreams::Topology as _;
use kstreams::exceptions::{
    ErrorHandlerContext, ProcessingException, ProcessingExceptionHandler, Response,
};
use kstreams::prelude::*;
use kstreams::test_driver::{TestDriver, TestDriverOptions};
use proptest::prelude::*;

use crate::read;

/// The same topology twice: its derived tables without a store, and with one.
macro_rules! joins {
    ($name:ident, $id:literal $(, $store:meta)?) => {
        #[topology(application_id = $id)]
        struct $name {
            #[source(topic = "records", partitions = 3)]
            records: KStream<String, String>,
            #[source(topic = "orders", partitions = 3)]
            orders: KTable<String, i64>,
            #[source(topic = "customers", partitions = 2)]
            customers: KTable<i64, String>,
            #[source(topic = "notes", partitions = 3)]
            notes: KTable<String, String>,

            #[from(orders.filter(|_, o| o % 3 != 0).map_values(|o| o + 100))]
            $(#[$store])?
            odd: KTable<String, i64>,
            #[from(customers.filter_not(|_, name| name.starts_with('C')))]
            $(#[$store])?
            known: KTable<i64, String>,
            #[from(odd.left_join(notes, |o, n| format!("{o}{}", n.map_or("", String::as_str))))]
            $(#[$store])?
            noted: KTable<String, String>,

            #[from(records.left_join(noted, |r, n| format!("{r}+{}", n.map_or("none", String::as_str))))]
            #[sink(topic = "looked-up", partitions = 3)]
            looked_up: KStream<String, String>,
            #[from(odd.left_join_on(known, |_, o| o % 4, |o, c| format!("{o}+{}", c.map_or("none", String::as_str))))]
            #[sink(topic = "left", partitions = 3)]
            left: KTable<String, String>,
            #[from(noted.join_on(known, |_, n| i64::try_from(n.len() % 4).ok(), |n, c| format!("{n}+{c}")))]
            #[sink(topic = "inner", partitions = 3)]
            inner: KTable<String, String>,
        }
    };
}

joins!(Storeless, "storeless");
joins!(Stored, "stored", store);

/// A record of the topic of that number.
type Input = (usize, &'static str, i64, bool, i64);

fn inputs() -> impl Strategy<Value = Vec<Input>> {
    let input = (
        0..4_usize,
        prop::sample::select(vec!["a", "b", "c", "d"]),
        0..12_i64,
        prop::bool::weighted(0.75),
        0..100_i64,
    );
    prop::collection::vec(input, 1..60)
}

fn send(t: &TestDriver, &(topic, key, number, exists, at): &Input) {
    let name = ["Ann", "Bob", "Cy"][usize::try_from(number % 3).expect("it is not negative")];
    let record = format!("r{number}");
    let (number, customer) = (number.to_be_bytes(), (number % 4).to_be_bytes());
    let (topic, key, value): (_, _, &[u8]) = match topic {
        0 => ("records", key.as_bytes(), record.as_bytes()),
        1 => ("orders", key.as_bytes(), &number),
        2 => ("customers", &customer[..], name.as_bytes()),
        _ => ("notes", key.as_bytes(), name.as_bytes()),
    };
    let value = (exists || topic == "records").then_some(value);
    t.pipe_raw(topic, Some(key), value, at, Headers::new())
        .expect("it is processed");
}

const OUTPUTS: [&str; 3] = ["looked-up", "left", "inner"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Each record finds what a store would have had, and the joins say the same, record for record.
    #[test]
    fn rows_are_those_that_a_store_would_have(inputs in inputs()) {
        let options = || TestDriverOptions::new().cache_max_bytes(0);
        let (stored, storeless) = (
            Stored::builder().test_driver_with(options()).expect("a driver"),
            Storeless::builder().test_driver_with(options()).expect("a driver"),
        );
        for input in &inputs {
            send(&stored, input);
            send(&storeless, input);
            for topic in OUTPUTS {
                prop_assert_eq!(read(&storeless, topic), read(&stored, topic), "{} after {:?}", topic, input);
            }
        }
    }
}

#[topology(application_id = "by-windows")]
struct ByWindows {
    #[source(topic = "clicks", partitions = 1)]
    clicks: KStream<String, String>,
    #[source(topic = "asks", partitions = 1)]
    asks: KStream<Windowed<String>, String>,
    #[source(topic = "names", partitions = 1)]
    names: KTable<i64, String>,
    #[source(topic = "wanted", partitions = 1)]
    wanted: KTable<String, i64>,

    #[from(clicks.group_by_key().windowed_by(tumbling("10ms")).count())]
    #[store(retention = "1m")]
    counts: KTable<Windowed<String>, i64>,
    #[from(counts.filter(|w, _| w.end() <= 20).map_values_with_key(|w, n| format!("{n}..{}", w.end())))]
    early: KTable<Windowed<String>, String>,

    #[from(asks.left_join(early, |a, e| format!("{a}+{}", e.map_or("none", String::as_str))))]
    #[sink(topic = "answers", partitions = 1)]
    answers: KStream<Windowed<String>, String>,
    #[from(early.join_on(names, |_, e| e.len() as i64, |e, n| format!("{e}+{n}")))]
    named: KTable<Windowed<String>, String>,
    #[from(named.to_stream().map(|w, v| (w.end(), v)))]
    #[sink(topic = "named", partitions = 1)]
    by_end: KStream<i64, Option<String>>,
    #[from(wanted.left_join_on(
        early,
        |k, w| Windowed::<String>::new(k.clone(), TimeWindow { start: *w, end: w + 10 }),
        |w, e| format!("{w}+{}", e.map_or("none", String::as_str)),
    ))]
    #[sink(topic = "found", partitions = 1)]
    found: KTable<String, String>,
}

/// The functions that make a row of a table by windows see where its window ends, though no bytes say it.
#[test]
fn windows_of_rows_that_are_looked_up_have_their_ends() {
    let options = TestDriverOptions::new().cache_max_bytes(0);
    let t = ByWindows::builder()
        .test_driver_with(options)
        .expect("a driver");
    t.names.send(5, "Ann").at(0);
    t.clicks.send("a", "x").at(11);
    t.clicks.send("a", "x").at(21);
    for start in [10, 20] {
        let window = TimeWindow {
            start,
            end: i64::MAX,
        };
        t.asks
            .send(Windowed::<String>::new("a".to_owned(), window), "?")
            .at(30);
    }
    let answers: Vec<_> = t
        .answers
        .read()
        .into_iter()
        .map(|r| (r.key.start(), r.value))
        .collect();
    assert_eq!(
        answers,
        [(10, "?+1..20".to_owned()), (20, "?+none".to_owned())]
    );

    assert_eq!(read(&t, "named"), ["20=1..20+Ann@11"]);
    t.wanted.send("a", 10).at(40);
    t.wanted.send("a", 20).at(41);
    assert_eq!(read(&t, "found"), ["a=10+1..20@40", "a=20+none@41"]);
}

/// Notes each failure as `node topic-offset`, and goes on.
#[derive(Default)]
struct Noted(Arc<Mutex<Vec<String>>>);

impl ProcessingExceptionHandler for Noted {
    fn handle_error(&self, context: &ErrorHandlerContext<'_>, _: &ProcessingException) -> Response {
        let (node, topic) = (context.processor_node_id(), context.topic());
        let note = format!("{node} {topic}-{}", context.offset());
        self.0.lock().expect("the notes").push(note);
        Response::resume()
    }
}

#[topology(application_id = "failing-rows")]
struct FailingRows {
    #[source(topic = "records", partitions = 1)]
    records: KStream<String, String>,
    #[source(topic = "texts", partitions = 1)]
    texts: KTable<String, String>,
    #[source(topic = "rows", partitions = 1)]
    rows: KTable<String, String>,
    #[from(texts.try_map_values(|text| text.parse::<i64>()))]
    numbers: KTable<String, i64>,
    #[from(numbers.filter(|_, n| *n > 0))]
    positive: KTable<String, i64>,

    #[from(records.left_join(positive, |r, n| format!("{r}+{}", n.map_or(0, |n| *n))))]
    #[sink(topic = "looked-up")]
    looked_up: KStream<String, String>,
    #[from(rows.left_join(positive, |r, n| format!("{r}+{}", n.map_or(0, |n| *n))))]
    #[sink(topic = "joined")]
    joined: KTable<String, String>,
    #[from(rows.left_join_on(positive, |key, _| key.clone(), |r, n| format!("{r}+{}", n.map_or(0, |n| *n))))]
    #[sink(topic = "named")]
    named: KTable<String, String>,
}

/// A row that cannot be made is not a row that is not there: the record that looks it up is dropped.
#[test]
fn a_row_that_fails_drops_the_record_that_looks_it_up() {
    let notes = Arc::default();
    let config = StreamsConfig::new()
        .cache_max_bytes(0)
        .processing_exception_handler(Noted(Arc::clone(&notes)));
    let options = TestDriverOptions::new().config(config).cache_max_bytes(0);
    let t = FailingRows::builder()
        .test_driver_with(options)
        .expect("a driver");
    t.texts.send("a", "7").at(1);
    t.texts.send("b", "?").at(2);
    t.texts.send("c", "-7").at(3);
    let taken = || std::mem::take(&mut *notes.lock().expect("the notes"));
    assert_eq!(taken(), ["numbers texts-1"]);
    for (at, key) in [(4, "a"), (5, "b"), (6, "c"), (7, "d")] {
        t.records.send(key, "r").at(at);
    }
    assert_eq!(read(&t, "looked-up"), ["a=r+7@4", "c=r+0@6", "d=r+0@7"]);
    assert_eq!(taken(), ["numbers records-1"]);
    for (at, key) in [(8, "a"), (9, "b"), (10, "c")] {
        t.rows.send(key, "r").at(at);
    }
    assert_eq!(read(&t, "joined"), ["a=r+7@8", "c=r+0@10"]);
    assert_eq!(read(&t, "named"), ["a=r+7@8", "c=r+0@10"]);
    let failed = taken();
    assert_eq!(failed.len(), 2, "{failed:?}");
    assert!(
        failed.iter().all(|note| note.starts_with("numbers ")),
        "{failed:?}"
    );
}

#[topology(application_id = "suppressed")]
struct Suppressed {
    #[source(topic = "records", partitions = 1)]
    records: KStream<String, String>,
    #[source(topic = "texts", partitions = 1)]
    texts: KTable<String, String>,
    #[source(topic = "others", partitions = 1)]
    others: KTable<String, String>,
    #[from(texts.suppress(until_time_limit("10ms")))]
    held: KTable<String, String>,
    #[from(records.left_join(held, |r, h| format!("{r}+{}", h.map_or("none", String::as_str))))]
    #[sink(topic = "looked-up")]
    looked_up: KStream<String, String>,
    /// The suppression and the join in one chain, with filters around.
    #[from(texts
        .filter(|_, text| !text.contains('x'))
        .suppress(until_time_limit("10ms"), name = "within")
        .map_values(|text| text.to_uppercase())
        .outer_join(others, |t, o| format!("{}+{}", t.map_or("none", String::as_str), o.map_or("none", String::as_str))))]
    #[sink(topic = "joined")]
    joined: KTable<String, String>,
}

/// A row is what the suppression let go last, whoever asks for it, and a row that is looked up does not wait.
#[test]
fn rows_of_suppressed_tables_are_those_that_were_let_go() {
    let options = TestDriverOptions::new().cache_max_bytes(0);
    let t = Suppressed::builder()
        .test_driver_with(options)
        .expect("a driver");
    t.texts.send("a", "1").at(0);
    t.records.send("a", "r").at(1);
    t.others.send("a", "o").at(2);
    assert_eq!(read(&t, "looked-up"), ["a=r+none@1"]);
    assert_eq!(read(&t, "joined"), ["a=none+o@2"]);
    // Ten milliseconds later it has left.
    t.texts.send("b", "1").at(10);
    assert_eq!(read(&t, "joined"), ["a=1+o@2"]);
    t.records.send("a", "r").at(11);
    t.texts.send("a", "2").at(12);
    t.texts.send("b", "xx").at(13);
    t.records.send("a", "r").at(14);
    assert_eq!(read(&t, "looked-up"), ["a=r+1@11", "a=r+1@14"]);
    t.others.send("a", "p").at(15);
    t.others.send("b", "q").at(16);
    assert_eq!(read(&t, "joined"), ["a=1+p@15", "b=none+q@16"]);
    t.texts.send("c", "3").at(30);
    let mut joined = read(&t, "joined");
    joined.sort();
    assert_eq!(joined, ["a=2+p@15", "b=none+q@16"]);
    t.others.delete("b").at(31);
    t.records.send("b", "r").at(32);
    assert_eq!(read(&t, "joined"), ["b=null@31"]);
    assert_eq!(read(&t, "looked-up"), ["b=r+xx@32"]);
    let stores: Vec<_> = Suppressed::TOPOLOGY.stores.iter().map(|s| s.name).collect();
    assert_eq!(stores, ["texts", "others", "held-store", "within-store"]);
}
