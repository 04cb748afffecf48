//! Partition counts that differ within a sub-topology.

use kstreams::prelude::*;

use crate::read;

/// A merge needs no equal counts: the sub-topology has as many tasks as its largest topic has partitions, and the smaller
/// topics are read by the first of them.
#[topology(application_id = "unequal")]
struct Unequal {
    #[source(topic = "one", partitions = 1)]
    one: KStream<String, String>,
    #[source(topics("two", "three"), partitions = 2)]
    others: KStream<String, String>,
    #[from(others.repartition(5))]
    spread: KStream<String, String>,
    #[from(spread.merge(one).merge(others).group_by(|k, _| k.clone()).count())]
    #[sink(topic = "counts")]
    counts: KTable<String, i64>,
}

#[test]
fn merged_streams_may_have_different_partition_counts() {
    let t = Unequal::builder().test_driver().unwrap();
    for key in ["a", "b", "c", "d", "e"] {
        t.one.send(key, "x").at(1);
        t.pipe_raw("two", Some(key.as_bytes()), Some(b"y"), 2, Headers::new())
            .unwrap();
        t.pipe_raw("three", Some(key.as_bytes()), Some(b"z"), 3, Headers::new())
            .unwrap();
    }
    t.restart().unwrap();
    t.one.send("a", "x").at(4);
    let mut all = read(&t, "counts");
    all.sort();
    let expected = ["a=1", "a=2", "a=3", "a=4", "a=5", "a=6", "b=1", "b=2"];
    let counts: Vec<&str> = all.iter().filter_map(|r| r.split('@').next()).collect();
    assert_eq!(counts[..8], expected);
    assert_eq!(counts.len(), 26);
}
