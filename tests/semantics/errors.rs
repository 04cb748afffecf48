//! Records that fail: to be read, processed, written. What goes on, what stops, what a dead letter says, and what is left of a
//! record that had done something before it failed.

use std::panic::catch_unwind;
use std::sync::Mutex;

use kstreams::exceptions::{
    ErrorHandlerContext, Exception, LogAndContinue, ProcessingException,
    ProcessingExceptionHandler, ProductionException, ProductionExceptionHandler,
    ProductionResponse, Response,
};
use kstreams::prelude::*;
use kstreams::test_driver::{TestDriver, TestDriverOptions, TestState};

use crate::read;

/// A line per kind of failure, by the value.
#[topology(application_id = "checked")]
struct Checked {
    #[source(topic = "in", partitions = 1)]
    input: KStream<String, String>,
    #[from(input.try_map_values(|v| match v.as_str() {
        "error" => Err("not a good value"),
        "panic" => panic!("no idea what to do with it"),
        _ => Ok(v),
    }))]
    #[sink(topic = "checked", partitions = 1)]
    checked: KStream<String, String>,
    #[from(checked.filter(|_, v| v == "huge").map_values(|v| v.repeat(500_000)))]
    #[sink(topic = "large", partitions = 1)]
    large: KStream<String, String>,
}

fn config() -> StreamsConfig {
    StreamsConfig::new()
        .cache_max_bytes(0)
        .deserialization_exception_handler(LogAndContinue)
        .processing_exception_handler(LogAndContinue)
        .production_exception_handler(LogAndContinue)
        .dead_letter_queue("dlq")
}

/// What a dead letter says, without the stack trace: key=value@timestamp, then exception, message, topic, partition, offset.
fn dead_letters(t: &TestDriver) -> Vec<String> {
    let letters = t.read_raw("dlq").expect("the dead-letter queue");
    let text = |bytes: Option<&[u8]>| bytes.map(|b| String::from_utf8_lossy(b).into_owned());
    letters
        .iter()
        .map(|letter| {
            let header = |name: &str| {
                let header = letter.headers.last(&format!("__streams.errors.{name}"));
                text(header.and_then(|h| h.value.as_deref())).unwrap_or_default()
            };
            assert!(header("stacktrace").starts_with(&header("exception")));
            format!(
                "{:?}={:?}@{} {}: {} ({}-{} {})",
                text(letter.key.as_deref()),
                text(letter.value.as_deref()),
                letter.timestamp,
                header("exception"),
                header("message"),
                header("topic"),
                header("partition"),
                header("offset"),
            )
        })
        .collect()
}

#[test]
fn each_kind_of_failure_becomes_a_dead_letter_under_either_guarantee() {
    for guarantee in [
        ProcessingGuarantee::AtLeastOnce,
        ProcessingGuarantee::ExactlyOnceV2,
    ] {
        let t = Checked::builder().test_driver().unwrap();
        let options = TestDriverOptions::new()
            .config(config())
            .guarantee(guarantee);
        t.reset(options).unwrap();
        t.input.send("a", "fine").at(1);
        t.input.send("a", "error").at(2).header("h", b"1");
        t.input.send("a", "panic").at(3);
        t.pipe_raw("in", Some(b"\xff"), Some(b"x"), 4, Headers::new())
            .unwrap();
        t.pipe_raw("in", Some(b"a"), None, 5, Headers::new())
            .unwrap();
        t.input.send("a", "huge").at(6);
        t.input.send("a", "fine too").at(7);
        t.commit().unwrap();
        assert_eq!(
            read(&t, "checked"),
            ["a=fine@1", "a=huge@6", "a=fine too@7"]
        );
        assert!(read(&t, "large").is_empty());
        let expected = [
            r#"Some("a")=Some("error")@2 &str: not a good value (in-0 1)"#,
            r#"Some("a")=Some("panic")@3 panic: no idea what to do with it (in-0 2)"#,
            "Some(\"\u{fffd}\")=Some(\"x\")@4 org.apache.kafka.common.errors.SerializationException: the key cannot be read: \
             not a `String`: invalid utf-8 sequence of 1 bytes from index 0 (in-0 3)",
            r#"Some("a")=None@5 org.apache.kafka.common.errors.SerializationException: the value cannot be read: null, but `alloc::string::String` is not nullable: read it as `Option<alloc::string::String>` (in-0 4)"#,
            r#"Some("a")=Some("huge")@6 org.apache.kafka.common.errors.RecordTooLargeException: a record of 2000025 bytes for topic `large` exceeds its max.message.bytes = 1048576 (in-0 5)"#,
        ];
        assert_eq!(dead_letters(&t), expected, "{guarantee:?}");
        assert_eq!(t.dropped_records_total(), 5);
        t.crash().unwrap();
        t.input.send("a", "still here").at(8);
        t.commit().unwrap();
        assert_eq!(read(&t, "checked"), ["a=still here@8"], "{guarantee:?}");
        assert!(dead_letters(&t).is_empty(), "{guarantee:?}");
    }
}

/// A dead letter has the headers of the record that failed, and they come first.
#[test]
fn a_dead_letter_keeps_headers() {
    let t = Checked::builder().test_driver().unwrap();
    t.reset(TestDriverOptions::new().config(config())).unwrap();
    t.input
        .send("a", "error")
        .at(2)
        .header("h", b"1")
        .pipe()
        .unwrap();
    t.commit().unwrap();
    let letters = t.read_raw("dlq").unwrap();
    let names: Vec<&str> = letters[0].headers.iter().map(|h| h.key.as_str()).collect();
    let of_errors = [
        "exception",
        "message",
        "stacktrace",
        "topic",
        "partition",
        "offset",
    ];
    let expected: Vec<String> = of_errors
        .iter()
        .map(|n| format!("__streams.errors.{n}"))
        .collect();
    assert_eq!(names[0], "h");
    assert_eq!(names[1..], expected);
}

#[test]
fn by_default_the_first_failure_stops_and_names_node_and_record() {
    for (value, expected) in [
        (
            "error",
            "`checked` failed on offset 1 of in-0: not a good value",
        ),
        (
            "panic",
            "`checked` failed on offset 1 of in-0: panicked: no idea",
        ),
        ("huge", "a record is not written"),
    ] {
        let t = Checked::builder().test_driver().unwrap();
        t.input.send("a", "fine").at(1);
        let error = t
            .input
            .send("a", value)
            .at(2)
            .pipe()
            .and_then(|()| t.commit())
            .unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

/// The table before the closure that fails, and the one after it.
#[topology(application_id = "half")]
struct HalfDone {
    #[source(topic = "in", partitions = 1)]
    input: KStream<String, i64>,
    #[from(input.group_by_key().count())]
    #[store]
    #[sink(topic = "counts", partitions = 1)]
    counts: KTable<String, i64>,
    #[from(counts.to_stream().map_values(|n| { assert_ne!(n, 2); n }))]
    #[sink(topic = "not-two", partitions = 1)]
    not_two: KStream<String, i64>,
}

/// As in Kafka Streams: what a record had done before it failed stays done, also in stores.
#[test]
fn what_was_done_before_a_failure_stays() {
    for state in [TestState::Memory, TestState::Lmdb] {
        for guarantee in [
            ProcessingGuarantee::AtLeastOnce,
            ProcessingGuarantee::ExactlyOnceV2,
        ] {
            let t = HalfDone::builder().test_driver().unwrap();
            let options = TestDriverOptions::new().config(config()).state(state);
            t.reset(options.guarantee(guarantee)).unwrap();
            for at in 1..=3 {
                t.input.send("a", 0).at(at);
                t.commit().unwrap();
            }
            assert_eq!(read(&t, "counts"), ["a=1@1", "a=2@2", "a=3@3"]);
            assert_eq!(read(&t, "not-two"), ["a=1@1", "a=3@3"]);
            t.crash().unwrap();
            assert_eq!(t.counts.get("a").unwrap(), Some(3));
            assert_eq!(dead_letters(&t).len(), 1);
        }
    }
}

/// What leaves the record cache after the update that fails is not lost with it.
#[test]
fn a_panic_while_the_record_cache_is_emptied_loses_no_other_update() {
    let t = HalfDone::builder().test_driver().unwrap();
    let config = config().cache_max_bytes(1 << 20);
    t.reset(TestDriverOptions::new().config(config)).unwrap();
    for (at, key) in (1..).zip(["a", "a", "b", "c", "c", "d"]) {
        t.input.send(key, 0).at(at);
    }
    t.commit().unwrap();
    let mut counts = read(&t, "counts");
    counts.sort();
    assert_eq!(counts, ["a=2@2", "b=1@3", "c=2@5", "d=1@6"]);
    let mut passed = read(&t, "not-two");
    passed.sort();
    assert_eq!(passed, ["b=1@3", "d=1@6"]);
    let letters = dead_letters(&t);
    assert_eq!(letters.len(), 2, "{letters:?}");
    assert!(
        letters[0].ends_with("(in-0 1)") && letters[1].ends_with("(in-0 4)"),
        "{letters:?}"
    );
}

/// An error of one of several records that a record became drops that one only.
#[topology(application_id = "words")]
struct Words {
    #[source(topic = "in", partitions = 1)]
    lines: KStream<(), String>,
    #[from(lines.flat_map_values(|l| l.split(' ').map(str::to_owned).collect::<Vec<_>>()).try_map_values(|w| w.parse::<i64>()))]
    #[sink(topic = "numbers", partitions = 1)]
    numbers: KStream<(), i64>,
    #[from(lines.try_filter(|_, l| l.get(..1).map(|c| c == "1").ok_or("an empty line")))]
    #[sink(topic = "ones", partitions = 1)]
    ones: KStream<(), String>,
    #[from(lines.try_flat_map(|_, l| l.parse::<usize>().map(|n| (0..n.min(3)).map(|i| (i.to_string(), i as i64)))))]
    #[sink(topic = "counted", partitions = 1)]
    counted: KStream<String, i64>,
    #[from(lines.try_for_each(|_, l| l.parse::<i64>().map(drop)))]
    looked_at: (),
    #[from(lines.try_map(|_, l| l.parse::<i64>().map(|n| (n, l))).group_by_key().count())]
    #[sink(topic = "counts", partitions = 1)]
    counts: KTable<i64, i64>,
}

#[test]
fn a_failed_one_of_several_records_leaves_the_others() {
    let t = Words::builder().test_driver().unwrap();
    t.reset(TestDriverOptions::new().config(config())).unwrap();
    t.lines.send((), "1 x 2").at(1);
    t.lines.send((), "12").at(2);
    t.lines.send((), "").at(3);
    t.commit().unwrap();
    assert_eq!(read(&t, "numbers"), ["null=1@1", "null=2@1", "null=12@2"]);
    assert_eq!(read(&t, "ones"), ["null=1 x 2@1", "null=12@2"]);
    assert_eq!(read(&t, "counted"), ["0=0@2", "1=1@2", "2=2@2"]);
    assert_eq!(read(&t, "counts"), ["12=1@2"]);
    // Four of the first line, none of the second, five of the empty one.
    assert_eq!(dead_letters(&t).len(), 9);
}

/// Decides by the node, and remembers what it saw.
struct ByNode(Mutex<Vec<String>>);

impl ProcessingExceptionHandler for &'static ByNode {
    fn handle_error(
        &self,
        context: &ErrorHandlerContext<'_>,
        error: &ProcessingException,
    ) -> Response {
        self.0.lock().unwrap().push(format!(
            "{context} at {} of {:?}={:?}: {error}",
            context.timestamp(),
            context.source_raw_key().map(String::from_utf8_lossy),
            context.source_raw_value().map(String::from_utf8_lossy),
        ));
        assert_ne!(
            context.source_raw_value(),
            Some(&b"12 x"[..]),
            "a bad handler"
        );
        Response::resume().with_dead_letters([context.dead_letter_to("mine", error)])
    }
}

#[test]
fn a_handler_of_ones_own_sees_the_record_and_sends_where_it_likes() {
    static SEEN: ByNode = ByNode(Mutex::new(Vec::new()));
    let t = Words::builder().test_driver().unwrap();
    let config = config().processing_exception_handler(&SEEN);
    t.reset(TestDriverOptions::new().config(config)).unwrap();
    t.lines.send((), "1 x").at(7).pipe().unwrap();
    t.commit().unwrap();
    let seen = SEEN.0.lock().unwrap().clone();
    assert_eq!(
        seen[0],
        r#"task 0_0, node `numbers`, offset 0 of in-0 at 7 of None=Some("1 x"): invalid digit found in string"#
    );
    assert_eq!(t.read_raw("mine").unwrap().len(), seen.len());
    // A handler that panics decides nothing.
    let error = t
        .lines
        .send((), "12 x")
        .at(8)
        .pipe()
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("the processing exception handler panicked")
            && error.contains("a bad handler"),
        "{error}"
    );
}

/// A type that some of whose values have no bytes.
#[derive(Debug, Clone)]
struct Even(i64);

impl Serde for Even {
    fn serialize(&self, out: &mut Vec<u8>) -> Result<(), kstreams::SerdeError> {
        if self.0 % 2 == 0 {
            return self.0.serialize(out);
        }
        Err(kstreams::SerdeError::Invalid {
            type_name: "Even",
            reason: "it is odd".to_owned(),
        })
    }
    fn deserialize(bytes: &[u8]) -> Result<Self, kstreams::SerdeError> {
        i64::deserialize(bytes).map(Even)
    }
}

#[topology(application_id = "evens")]
struct Evens {
    #[source(topic = "in", partitions = 1)]
    input: KStream<String, i64>,
    #[from(input.map_values(Even))]
    #[sink(topic = "even", partitions = 1)]
    even: KStream<String, Even>,
}

/// Says what it was asked.
struct Asked(Mutex<Vec<String>>);

impl ProductionExceptionHandler for &'static Asked {
    fn handle_error(
        &self,
        _: &ErrorHandlerContext<'_>,
        error: &ProductionException,
    ) -> ProductionResponse {
        self.0.lock().unwrap().push(format!("not written: {error}"));
        ProductionResponse::fail()
    }
    fn handle_serialization_error(
        &self,
        context: &ErrorHandlerContext<'_>,
        error: &ProductionException,
    ) -> ProductionResponse {
        self.0.lock().unwrap().push(format!(
            "{}: {}",
            context.processor_node_id(),
            error.message()
        ));
        ProductionResponse::resume().with_dead_letters(context.dead_letter(error))
    }
}

#[test]
fn a_value_without_bytes_is_a_production_error() {
    static ASKED: Asked = Asked(Mutex::new(Vec::new()));
    let t = Evens::builder().test_driver().unwrap();
    let config = config().production_exception_handler(&ASKED);
    t.reset(TestDriverOptions::new().config(config)).unwrap();
    for n in 1..=3 {
        t.input.send("a", n).at(n);
    }
    t.commit().unwrap();
    assert_eq!(read(&t, "even"), ["a=2@2"]);
    let expected = "even: the value for topic even cannot be written: not a `Even`: it is odd";
    assert_eq!(*ASKED.0.lock().unwrap(), [expected, expected]);
    assert_eq!(dead_letters(&t).len(), 2);
}

#[topology(application_id = "rates")]
struct Rates {
    #[source(topic = "amounts", partitions = 1)]
    amounts: KStream<String, i64>,
    #[source(topic = "rates")]
    rates: GlobalKTable<String, i64>,
    #[from(amounts.join(rates, |k, _| k.clone(), |amount, rate| amount * rate))]
    #[sink(topic = "converted", partitions = 1)]
    converted: KStream<String, i64>,
}

/// Where Kafka Streams has no dead letters for global tables.
#[test]
fn a_global_tables_bad_records_are_dead_letters_too() {
    let t = Rates::builder().test_driver().unwrap();
    t.reset(TestDriverOptions::new().config(config())).unwrap();
    t.rates.send("eur", 2).at(1);
    t.pipe_raw("rates", Some(b"usd"), Some(b"3"), 2, Headers::new())
        .unwrap();
    t.amounts.send("eur", 10).at(3);
    t.amounts.send("usd", 10).at(4);
    t.commit().unwrap();
    assert_eq!(read(&t, "converted"), ["eur=20@3"]);
    let expected = r#"Some("usd")=Some("3")@2 org.apache.kafka.common.errors.SerializationException: Size of data received by LongDeserializer is not 8 (rates-0 1)"#;
    assert_eq!(dead_letters(&t), [expected]);
    let stopping = Rates::builder().test_driver().unwrap();
    let error = stopping.pipe_raw("rates", Some(b"usd"), Some(b"3"), 2, Headers::new());
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("offset 0 of rates-0")
    );
}

/// Without handlers, nothing of the user's unwinds through the driver.
#[test]
fn a_panic_never_leaves_the_task() {
    let outcome = catch_unwind(|| {
        let t = Checked::builder().test_driver().unwrap();
        t.input
            .send("a", "panic")
            .at(1)
            .pipe()
            .map_err(|e| e.to_string())
    });
    assert!(outcome.expect("it was caught").is_err());
}
