//! Operators that see whole records: headers and timestamps are read, changed and added, the key is kept or not.

use kstreams::exceptions::LogAndContinue;
use kstreams::prelude::*;
use kstreams::test_driver::TestDriverOptions;

use crate::read;

#[topology(application_id = "records")]
struct Records {
    #[source(topic = "in", partitions = 2)]
    input: KStream<String, String>,

    /// The key comes from a header; without one, from the value. What counts behind it is repartitioned.
    #[from(input.map_record(|mut r| {
        let region = r.headers.last("region").and_then(|h| h.value.clone());
        r.headers.remove("region");
        r.headers.add("seen", "1");
        let key = region.map_or(r.value.clone(), |r| String::from_utf8_lossy(&r).into_owned());
        r.with_key(key)
    }))]
    #[sink(topic = "by-region", partitions = 2)]
    by_region: KStream<String, String>,
    #[from(by_region.group_by_key().count())]
    #[sink(topic = "counts", partitions = 2)]
    counts: KTable<String, i64>,

    /// The key stays, so what counts behind it needs no repartition topic.
    #[from(input.map_record_values(|mut r| {
        r.timestamp += 100;
        let text = format!("{}{}", r.value, r.headers.len());
        r.with_value(text)
    }))]
    #[sink(topic = "numbered", partitions = 2)]
    numbered: KStream<String, String>,
    #[from(numbered.group_by_key().count())]
    #[sink(topic = "kept", partitions = 2)]
    kept: KTable<String, i64>,

    #[from(input.try_map_record(|r| match r.headers.last("key") {
        Some(header) if header.value.is_none() => Err("a key of null"),
        _ => Ok(r),
    }))]
    #[sink(topic = "checked", partitions = 2)]
    checked: KStream<String, String>,
    #[from(input.try_map_record_values(date))]
    #[sink(topic = "dated", partitions = 2)]
    dated: KStream<String, String>,
}

#[test]
fn headers_and_timestamps_are_the_closures() {
    let t = Records::builder().test_driver().unwrap();
    t.reset(
        TestDriverOptions::new().config(
            StreamsConfig::new()
                .cache_max_bytes(0)
                .processing_exception_handler(LogAndContinue),
        ),
    )
    .unwrap();
    t.input
        .send("a", "7")
        .at(1)
        .header("region", b"north")
        .header("h", b"x");
    t.input.send("a", "-8").at(2);
    t.commit().unwrap();
    let records = t.read_raw("by-region").unwrap();
    let headers = |n: usize| -> Vec<(&str, Option<&[u8]>)> {
        let headers = records[n].headers.iter();
        headers
            .map(|h| (h.key.as_str(), h.value.as_deref()))
            .collect()
    };
    assert_eq!(records[0].key.as_deref(), Some(&b"north"[..]));
    assert_eq!(headers(0), [("h", Some(&b"x"[..])), ("seen", Some(b"1"))]);
    assert_eq!(records[1].key.as_deref(), Some(&b"-8"[..]));
    assert_eq!(headers(1), [("seen", Some(&b"1"[..]))]);
    assert_eq!(read(&t, "counts"), ["north=1@1", "-8=1@2"]);
    assert_eq!(read(&t, "numbered"), ["a=72@101", "a=-80@102"]);
    assert_eq!(read(&t, "kept"), ["a=1@101", "a=2@102"]);
    assert_eq!(read(&t, "checked"), ["a=7@1", "a=-8@2"]);
    // A record cannot have a timestamp before 1970: that is a failure of the node.
    assert_eq!(read(&t, "dated"), ["a=7@7"]);
    assert_eq!(t.dropped_records_total(), 1);
}

#[test]
fn only_a_changed_key_is_repartitioned() {
    let topics = Records::builder().test_driver().unwrap().topics().unwrap();
    let internal: Vec<&String> = topics
        .iter()
        .filter(|t| t.ends_with("-repartition"))
        .collect();
    assert_eq!(internal, ["records-counts-repartition"]);
}

#[test]
fn a_negative_timestamp_names_its_node() {
    let t = Records::builder().test_driver().unwrap();
    t.reset(TestDriverOptions::new()).unwrap();
    let error = t.input.send("a", "-8").at(2).pipe().unwrap_err();
    assert!(
        error.to_string().contains(
            "`dated` failed on offset 0 of in-0: a record's timestamp may not be negative, and this one's was made -8"
        ),
        "{error}"
    );
}

fn date(
    mut record: FixedKeyRecord<String, String>,
) -> Result<FixedKeyRecord<String, String>, std::num::ParseIntError> {
    record.timestamp = record.value.parse()?;
    Ok(record)
}

/// Forwards at the time that the value says.
#[processor(out = (String, String))]
struct Dated;

impl Processor<String, String> for Dated {
    fn process(
        &mut self,
        record: Record<String, String>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        let timestamp = record.value.parse()?;
        cx.forward(Record::new(record.key, record.value, timestamp))
    }
}

#[processor(fixed_key, out(early = (String, String), late = (String, String)))]
struct Redated;

impl FixedKeyProcessor<String, String> for Redated {
    fn process(
        &mut self,
        mut record: FixedKeyRecord<String, String>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        record.timestamp = record.value.parse()?;
        let output = if record.timestamp < 100 {
            Self::EARLY
        } else {
            Self::LATE
        };
        cx.forward_to(output, record)
    }
}

#[topology(application_id = "dates")]
struct Dates {
    #[source(topic = "in", partitions = 1)]
    input: KStream<String, String>,
    #[from(input.process(Dated::new()))]
    #[sink(topic = "dated", partitions = 1)]
    dated: KStream<String, String>,
    #[from(input.process_values(Redated::new()))]
    redated: (),
    #[from(redated.early)]
    #[sink(topic = "early", partitions = 1)]
    early: KStream<String, String>,
    #[from(redated.late)]
    #[sink(topic = "late", partitions = 1)]
    late: KStream<String, String>,
}

/// Kafka Streams refuses such a record when it is made.
#[test]
fn a_processor_that_forwards_a_negative_timestamp_fails() {
    let t = Dates::builder().test_driver().unwrap();
    let config = StreamsConfig::new()
        .cache_max_bytes(0)
        .processing_exception_handler(LogAndContinue)
        .dead_letter_queue("dlq");
    t.reset(TestDriverOptions::new().config(config)).unwrap();
    for (at, time) in (1..).zip(["0", "-5", "200"]) {
        t.input.send("a", time).at(at);
    }
    t.commit().unwrap();
    assert_eq!(read(&t, "dated"), ["a=0@0", "a=200@200"]);
    assert_eq!(read(&t, "early"), ["a=0@0"]);
    assert_eq!(read(&t, "late"), ["a=200@200"]);
    // Both processors were asked, each about the same record.
    assert_eq!(read(&t, "dlq"), ["a=-5@2", "a=-5@2"]);
    let stopping = Dates::builder().test_driver().unwrap();
    let error = stopping.input.send("a", "-5").at(1).pipe().unwrap_err();
    let expected = "`dated` failed on offset 0 of in-0: a record's timestamp may not be negative, and this one's was made -5";
    assert!(error.to_string().contains(expected), "{error}");
}
