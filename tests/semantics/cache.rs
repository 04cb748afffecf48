//! The record cache, as `CachingKeyValueStore` and `NamedCache` have it: what is held back, merged and let go, in which order.

use kstreams::prelude::*;
use kstreams::test_driver::TestDriverOptions;

use crate::read;

#[topology(application_id = "cached")]
struct Cached {
    #[source(topic = "in")]
    input: KStream<String, String>,
    #[source(topic = "rows")]
    #[store]
    #[sink(topic = "rows-out")]
    rows: KTable<String, String>,
    #[from(input.group_by_key().count())]
    #[sink(topic = "out")]
    counts: KTable<String, i64>,
    #[from(counts.filter(|_, n| *n > 2))]
    #[sink(topic = "many")]
    many: KTable<String, i64>,
}

fn cached(bytes: usize) -> CachedTestDriver {
    let t = Cached::builder().test_driver().unwrap();
    t.reset(TestDriverOptions::new().cache_max_bytes(bytes))
        .unwrap();
    t
}

#[test]
fn a_commit_lets_go_the_last_update_of_each_key_in_the_order_of_updates() {
    let t = cached(1 << 20);
    for (key, at) in [("b", 1), ("a", 2), ("c", 3), ("b", 4), ("a", 1)] {
        t.input
            .send(key, "x")
            .at(at)
            .header("h", format!("{key}{at}"));
    }
    assert_eq!(read(&t, "out"), Vec::<String>::new());
    assert_eq!(t.counts.get("a").unwrap(), Some(2), "reads see the cache");
    t.commit().unwrap();
    // Timestamps are the aggregate's; headers are those of the last record.
    assert_eq!(read(&t, "out"), ["c=1@3", "b=2@4", "a=2@2"]);
    assert_eq!(
        read(&t, "cached-counts-changelog"),
        ["c=1@3", "b=2@4", "a=2@2"]
    );
    t.commit().unwrap();
    assert_eq!(
        read(&t, "out"),
        Vec::<String>::new(),
        "what is clean is not let go again"
    );
}

#[test]
fn a_filter_after_a_cached_table_sees_what_was_let_go_before() {
    let t = cached(1 << 20);
    for at in 0..2 {
        t.input.send("a", "x").at(at);
    }
    t.commit().unwrap();
    for at in 2..5 {
        t.input.send("a", "x").at(at);
    }
    t.commit().unwrap();
    assert_eq!(read(&t, "many"), ["a=5@4"]);
}

#[test]
fn a_tombstone_of_a_key_that_the_store_never_had_goes_nowhere() {
    let t = cached(1 << 20);
    t.rows.send("a", "1").at(1);
    t.rows.delete("a").at(2);
    t.rows.delete("b").at(3);
    t.rows.send("c", "1").at(4);
    t.commit().unwrap();
    assert_eq!(read(&t, "rows-out"), ["c=1@4"]);
    assert_eq!(read(&t, "cached-rows-changelog"), ["c=1@4"]);
    t.rows.delete("c").at(5);
    t.commit().unwrap();
    assert_eq!(read(&t, "rows-out"), ["c=null@5"]);
}

#[test]
fn a_full_cache_lets_go_the_least_recently_used_and_all_that_is_dirty() {
    let t = cached(600);
    for n in 0..42 {
        t.input.send(format!("key-{n:02}"), "x").at(n);
    }
    let early = read(&t, "out");
    assert!(
        !early.is_empty() && early.len() < 42,
        "{} let go before the commit",
        early.len()
    );
    assert_eq!(early[0], "key-00=1@0", "the oldest first");
    t.commit().unwrap();
    let all: Vec<String> = early.into_iter().chain(read(&t, "out")).collect();
    let expected: Vec<String> = (0..42).map(|n| format!("key-{n:02}=1@{n}")).collect();
    assert_eq!(all, expected);
}

#[test]
fn a_crash_loses_the_cache_and_reads_the_input_again() {
    let t = Cached::builder().test_driver().unwrap();
    let options = TestDriverOptions::new().cache_max_bytes(1 << 20);
    t.reset(options.guarantee(ProcessingGuarantee::ExactlyOnceV2))
        .unwrap();
    t.input.send("a", "x").at(1);
    t.commit().unwrap();
    t.input.send("a", "x").at(2);
    t.crash().unwrap();
    t.input.send("a", "x").at(3);
    t.commit().unwrap();
    assert_eq!(read(&t, "out"), ["a=1@1", "a=3@3"]);
}
