//! A table whose source topic is its changelog (`optimization = "all"`): what is restored is what was processed.

use kstreams::prelude::*;
use kstreams::test_driver::{TestDriverOptions, TestState};

use crate::read;

#[topology(application_id = "reused", optimization = "all")]
struct Reused {
    #[source(topic = "rows")]
    #[store]
    #[sink(topic = "out")]
    rows: KTable<String, i64>,
}

fn driver(state: TestState) -> ReusedTestDriver {
    let t = Reused::builder().test_driver().unwrap();
    let config = StreamsConfig::new().cache_max_bytes(0);
    let config = config
        .with("deserialization.exception.handler", "continue")
        .unwrap();
    let options = TestDriverOptions::new().config(config).state(state);
    t.reset(options.guarantee(ProcessingGuarantee::ExactlyOnceV2))
        .unwrap();
    t
}

/// Kafka Streams restores the bytes of a record that its handler skipped (KAFKA-10493's kin), and fails at the next read.
#[test]
fn records_that_were_skipped_are_not_restored() {
    for state in [TestState::Memory, TestState::Lmdb] {
        let t = driver(state);
        t.rows.send("a", 1).at(1);
        t.rows.send("b", 2).at(2);
        t.pipe_raw("rows", Some(b"a"), Some(b"no number"), 3, Headers::new())
            .unwrap();
        t.pipe_raw("rows", None, Some(&7_i64.to_be_bytes()), 4, Headers::new())
            .unwrap();
        t.rows.delete("b").at(5);
        t.rows.send("c", 3).at(6);
        t.commit().unwrap();
        let expected = [("a".to_owned(), 1), ("c".to_owned(), 3)];
        assert_eq!(t.rows.all().unwrap(), expected);
        t.crash().unwrap();
        assert_eq!(t.rows.all().unwrap(), expected, "{state:?}");
        t.restart().unwrap();
        assert_eq!(t.rows.all().unwrap(), expected, "{state:?}");
    }
}

#[test]
fn what_was_not_committed_comes_as_input() {
    for state in [TestState::Memory, TestState::Lmdb] {
        let t = driver(state);
        t.rows.send("a", 1).at(1);
        t.commit().unwrap();
        t.rows.send("a", 2).at(2);
        t.rows.send("b", 1).at(3);
        t.crash().unwrap();
        t.commit().unwrap();
        let expected = [("a".to_owned(), 2), ("b".to_owned(), 1)];
        assert_eq!(t.rows.all().unwrap(), expected, "{state:?}");
        assert_eq!(read(&t, "out"), ["a=1@1", "a=2@2", "b=1@3"], "{state:?}");
    }
}

/// Kafka Streams reads a record's bytes before it looks at its timestamp.
#[test]
fn a_record_that_is_skipped_needs_no_timestamp() {
    let t = driver(TestState::Memory);
    t.pipe_raw("rows", Some(b"a"), Some(b"no number"), -1, Headers::new())
        .unwrap();
    assert_eq!(t.dropped_records_total(), 1);
    let without_time = t.pipe_raw("rows", None, Some(&[0; 8]), -1, Headers::new());
    let error = without_time.unwrap_err().to_string();
    assert!(
        error.contains("record 1 in rows-0 has the negative timestamp -1"),
        "{error}"
    );
}
