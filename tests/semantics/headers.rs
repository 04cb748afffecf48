//! `store_format = "headers"`: which headers changelogs have, and what leaves the record cache, in either format.

use kstreams::prelude::*;
use kstreams::test_driver::{TestDriver, TestDriverOptions};

macro_rules! topology {
    ($name:ident, $format:literal) => {
        #[topology(application_id = "h", store_format = $format)]
        struct $name {
            #[source(topic = "rows")]
            #[store]
            rows: KTable<String, String>,
            #[source(topic = "rows-in-memory")]
            #[store(kind = memory)]
            in_memory: KTable<String, String>,
            #[source(topic = "in")]
            input: KStream<String, String>,
            #[from(input
                        .group_by_key()
                        .aggregate(String::new, |_, v, all| (v != "gone").then(|| all + &v)))]
            sums: KTable<String, Option<String>>,
            #[from(input.group_by_key().windowed_by(tumbling("10ms")).aggregate(
                        String::new,
                        |_, v, all| (v != "gone").then(|| all + &v),
                    ))]
            windows: KTable<Windowed<String>, Option<String>>,
            #[from(input.group_by_key().windowed_by(session("10ms")).count())]
            #[sink(topic = "sessions-out")]
            sessions: KTable<Windowed<String, SessionWindow>, i64>,
        }
    };
}

topology!(Knowing, "headers");
topology!(Plain, "default");

/// What a topic has: whether each record has a value, and the names of its headers.
fn headers(driver: &TestDriver, topic: &str) -> Vec<(bool, Vec<String>)> {
    let records = driver.read_raw(topic).unwrap();
    let names = |r: &kstreams::transport::ConsumedRecord| {
        let all = r.headers.iter();
        all.map(|header| header.key.clone()).collect()
    };
    records
        .iter()
        .map(|r| (r.value.is_some(), names(r)))
        .collect()
}

macro_rules! changelogs {
    ($topology:ty, $cache:expr) => {{
        let t = <$topology>::builder().test_driver().unwrap();
        t.reset(TestDriverOptions::new().cache_max_bytes($cache))
            .unwrap();
        for (name, value) in [("h", "x"), ("i", "gone")] {
            t.input.send("k", value).at(1).header(name, "1");
            t.commit().unwrap();
        }
        t.rows.send("k", "x").at(1).header("h", "1");
        t.in_memory.send("k", "x").at(1).header("h", "1");
        t.commit().unwrap();
        t.rows.delete("k").at(2).header("i", "1");
        t.in_memory.delete("k").at(2).header("i", "1");
        t.commit().unwrap();
        let of = |store: &str| headers(&t, &format!("h-{store}-changelog"));
        [of("rows"), of("in_memory"), of("sums"), of("windows")]
    }};
}

/// A value, and its tombstone with these headers.
fn logged(tombstone: &[&str]) -> Vec<(bool, Vec<String>)> {
    let names = tombstone.iter().map(|name| (*name).to_owned()).collect();
    vec![(true, Vec::new()), (false, names)]
}

#[test]
fn tombstones_of_tables_on_disk_are_logged_with_headers_of_their_record() {
    for cache in [0, 1 << 20] {
        let [rows, in_memory, sums, windows] = changelogs!(Knowing, cache);
        let names = logged(&["i"]);
        assert_eq!(
            (&rows, &sums, &windows),
            (&names, &names, &names),
            "cache {cache}"
        );
        assert_eq!(in_memory, logged(&[]), "cache {cache}");
    }
}

#[test]
fn changelogs_of_the_default_format_have_no_headers() {
    for cache in [0, 1 << 20] {
        assert_eq!(changelogs!(Plain, cache), [(); 4].map(|()| logged(&[])));
    }
}

macro_rules! sessions {
    ($topology:ty, $cache:expr) => {{
        let t = <$topology>::builder().test_driver().unwrap();
        t.reset(TestDriverOptions::new().cache_max_bytes($cache))
            .unwrap();
        for (name, at) in [("h", 1), ("i", 5)] {
            t.input.send("k", "x").at(at).header(name, "1");
            t.commit().unwrap();
        }
        (
            headers(&t, "h-sessions-changelog"),
            headers(&t, "sessions-out"),
        )
    }};
}

#[test]
fn a_session_that_leaves_the_cache_has_headers_in_the_default_format_alone() {
    let update = |value: bool, names: &[&str]| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        (value, names)
    };
    let plain = vec![update(true, &[]), update(false, &[]), update(true, &[])];
    let merged = vec![update(true, &[]), update(false, &["i"]), update(true, &[])];
    assert_eq!(sessions!(Knowing, 0), (merged.clone(), plain.clone()));
    assert_eq!(sessions!(Plain, 0), (plain.clone(), plain.clone()));
    assert_eq!(sessions!(Knowing, 1 << 20), (merged, plain.clone()));
    let from_cache = vec![
        update(true, &["h"]),
        update(false, &["i"]),
        update(true, &["i"]),
    ];
    assert_eq!(sessions!(Plain, 1 << 20), (plain, from_cache));
}

/// As the window stores of joins of streams, which the vectors show, and unlike tables.
#[topology(application_id = "fk")]
struct Subscribed {
    #[source(topic = "orders")]
    orders: KTable<String, String>,
    #[source(topic = "customers")]
    customers: KTable<String, String>,
    #[from(orders.join_on(customers, |_, o| o.clone(), |o, c| format!("{o}{c}")))]
    #[store]
    joined: KTable<String, String>,
}

#[test]
fn subscriptions_are_logged_with_the_headers_of_their_record() {
    let t = Subscribed::builder().test_driver().unwrap();
    t.reset(TestDriverOptions::new()).unwrap();
    t.customers.send("c", "x").at(1);
    t.orders.send("k", "c").at(2).header("h", "1");
    t.orders.delete("k").at(3).header("i", "1");
    let name = |name: &str| vec![name.to_owned()];
    assert_eq!(
        headers(&t, "fk-joined-subscription-store-changelog"),
        [(true, name("h")), (false, name("i"))]
    );
    assert_eq!(headers(&t, "fk-joined-changelog"), logged(&[]));
}
