//! The contract's cases about topics, partitions and records.

use std::sync::Arc;
use std::time::{Duration, Instant};

use streams_core::outbox::{Outbox, Outgoing};
use streams_core::record::{Header, Headers};
use streams_core::transport::{OffsetRange, TransportError};

use super::*;

pub(crate) fn records_keep_their_order_and_offsets(h: Box<dyn Harness>) {
    let t = h.transport();
    let name = created(&*t, "order", 2);
    let mut producer = plain_producer(&*t);
    for round in 0..20 {
        let texts: Vec<(String, String)> = (0..50)
            .map(|i| (format!("k{i}"), format!("v{}", round * 50 + i)))
            .collect();
        let records: Vec<(&str, &str)> = texts.iter().map(|(k, v)| (&**k, &**v)).collect();
        producer
            .send(&outbox(1, &records), std::slice::from_ref(&name))
            .unwrap();
        if round % 3 == 0 {
            patiently(|| producer.flush());
        }
    }
    let ends = patiently(|| producer.flush());
    let records = read_all(&*t, &at(&name, 1), 0);
    assert_eq!(records.len(), 1000);
    assert!(records.windows(2).all(|w| w[0].offset < w[1].offset));
    for (i, record) in records.iter().enumerate() {
        assert_eq!(text(record.value.as_ref()), format!("v{i}"));
        assert_eq!(text(record.key.as_ref()), format!("k{}", i % 50));
    }
    assert!(read_all(&*t, &at(&name, 0), 0).is_empty());
    // What the flush tells, if it tells, is the next offset.
    let end = records.last().unwrap().offset + 1;
    assert!(ends.iter().all(|e| *e == (at(&name, 1), end)), "{ends:?}");
    // From the middle.
    let from = records[617].offset;
    assert_eq!(read_all(&*t, &at(&name, 1), from), records[617..]);
}

pub(crate) fn nulls_headers_and_timestamps_survive(h: Box<dyn Harness>) {
    let t = h.transport();
    let name = created(&*t, "nulls", 1);
    let none = Headers::new();
    let mut some = Headers::new();
    some.add("a", &b"1"[..]);
    some.push(Header {
        key: "b".to_owned(),
        value: None,
    });
    some.add("a", &b""[..]);
    let record = |key, value, timestamp, headers| Outgoing {
        topic: 0,
        partition: Some(0),
        key,
        value,
        timestamp,
        headers,
    };
    let mut out = Outbox::default();
    out.push(record(None, None, Some(7), &none));
    out.push(record(Some(b""), Some(b""), Some(3), &some));
    out.push(record(Some(b"k"), None, Some(1_234_567_890_123), &none));
    out.push(record(None, Some(b"\x00\xff"), None, &some));
    let mut producer = plain_producer(&*t);
    producer.send(&out, std::slice::from_ref(&name)).unwrap();
    patiently(|| producer.flush());
    let records = read_all(&*t, &at(&name, 0), 0);
    let parts = |i: usize| (records[i].key.as_deref(), records[i].value.as_deref());
    assert_eq!(parts(0), (None, None));
    assert_eq!(parts(1), (Some(&b""[..]), Some(&b""[..])));
    assert_eq!(parts(2), (Some(&b"k"[..]), None));
    assert_eq!(parts(3), (None, Some(&b"\x00\xff"[..])));
    let timestamps: Vec<i64> = records.iter().map(|r| r.timestamp).collect();
    assert_eq!(timestamps[..3], [7, 3, 1_234_567_890_123]);
    assert!(
        timestamps[3] >= 0,
        "the producer's clock stamps what has no timestamp"
    );
    assert_eq!(
        records
            .iter()
            .map(|r| r.headers.clone())
            .collect::<Vec<_>>(),
        [none.clone(), some.clone(), none, some]
    );
}

pub(crate) fn records_without_a_partition_find_one(h: Box<dyn Harness>) {
    let t = h.transport();
    let name = created(&*t, "spread", 3);
    let mut out = Outbox::default();
    let headers = Headers::new();
    for i in 0..30 {
        let text = format!("{i}");
        // A key goes where Kafka's partitioner sends it; nulls are spread.
        let key = (i % 2 == 0).then_some(&b"abc"[..]);
        out.push(Outgoing {
            topic: 0,
            partition: None,
            key,
            value: Some(text.as_bytes()),
            timestamp: Some(0),
            headers: &headers,
        });
    }
    let mut producer = plain_producer(&*t);
    producer.send(&out, std::slice::from_ref(&name)).unwrap();
    patiently(|| producer.flush());
    let mut keyed = Vec::new();
    let mut others = 0;
    for partition in 0..3 {
        for record in read_all(&*t, &at(&name, partition), 0) {
            match record.key {
                Some(_) => keyed.push(partition),
                None => others += 1,
            }
        }
    }
    // murmur2("abc") = 479470107; modulo 3 = 0
    assert_eq!(keyed, [0; 15]);
    assert_eq!(others, 15);
}

pub(crate) fn a_failed_send_queues_nothing(h: Box<dyn Harness>) {
    let t = h.transport();
    let name = unique("limited");
    admin(&*t)
        .create_topic(&topic(&name, 1, &[("max.message.bytes", "1000")]))
        .unwrap();
    let name: Arc<str> = name.into();
    let mut producer = plain_producer(&*t);
    producer
        .send(&outbox(0, &[("a", "1")]), std::slice::from_ref(&name))
        .unwrap();
    let large = "x".repeat(2000);
    let error = producer
        .send(
            &outbox(0, &[("b", "2"), ("c", &large)]),
            std::slice::from_ref(&name),
        )
        .unwrap_err();
    assert!(
        matches!(
            &error,
            TransportError::RecordTooLarge {
                limit: Some(1000),
                ..
            }
        ),
        "{error:?}"
    );
    assert!(error.to_string().contains(&*name), "{error}");
    let error = producer
        .send(&outbox(1, &[("d", "3")]), std::slice::from_ref(&name))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("partition {name}-1 does not exist")
    );
    producer
        .send(&outbox(0, &[("e", "4")]), std::slice::from_ref(&name))
        .unwrap();
    patiently(|| producer.flush());
    assert_eq!(values(&*t, &name, 0), ["1", "4"]);
}

pub(crate) fn topics_are_created_once(h: Box<dyn Harness>) {
    let t = h.transport();
    let mut admin = admin(&*t);
    let name = unique("once");
    let wanted = topic(&name, 3, &[("cleanup.policy", "compact")]);
    admin.create_topic(&wanted).unwrap();
    admin.create_topic(&wanted).unwrap();
    let found = admin.describe_topics(&[&name, "no-such-topic"]).unwrap();
    let info = found[0].clone().unwrap();
    assert_eq!((info.name.as_str(), info.partitions), (&*name, 3));
    assert_eq!(
        info.config.get("cleanup.policy").map(String::as_str),
        Some("compact")
    );
    assert_eq!(found[1], None);
    assert!(admin.list_topics().unwrap().iter().any(|i| i.name == name));
    let error = admin.create_topic(&topic(&name, 4, &[])).unwrap_err();
    assert!(
        matches!(error, TransportError::InvalidTopic { .. }),
        "{error:?}"
    );
    let text = error.to_string();
    assert!(
        text.contains('3') && text.contains('4') && text.contains(&*name),
        "{text}"
    );
}

pub(crate) fn bad_topics_are_refused(h: Box<dyn Harness>) {
    let mut admin = admin(&*h.transport());
    for bad in [
        topic("with space", 1, &[]),
        topic("", 1, &[]),
        topic(&unique("none"), 0, &[]),
        topic(&unique("policy"), 1, &[("cleanup.policy", "burn")]),
        topic(&unique("number"), 1, &[("retention.ms", "soon")]),
    ] {
        let result = admin.create_topic(&bad);
        assert!(
            matches!(result, Err(TransportError::InvalidTopic { .. })),
            "{bad:?}: {result:?}"
        );
    }
}

pub(crate) fn what_is_not_there_is_named(h: Box<dyn Harness>) {
    let t = h.transport();
    let name = created(&*t, "named", 1);
    let missing: Arc<str> = "no-such-topic".into();
    let mut producer = plain_producer(&*t);
    let sent = producer
        .send(&outbox(0, &[("a", "1")]), std::slice::from_ref(&missing))
        .and_then(|()| producer.flush().map(drop));
    assert!(
        matches!(&sent, Err(TransportError::UnknownTopic(n)) if **n == *missing),
        "{sent:?}"
    );
    let mut consumer = t.consumer("test").unwrap();
    for (partition, word) in [(at(&missing, 0), "no-such-topic"), (at(&name, 1), &*name)] {
        let result = consumer.assign(&[(partition.clone(), 0)]);
        assert!(result.unwrap_err().to_string().contains(word));
        assert!(
            admin(&*t)
                .offsets(&[partition])
                .unwrap_err()
                .to_string()
                .contains(word)
        );
    }
}

pub(crate) fn consumers_assign_move_pause_and_leave(h: Box<dyn Harness>) {
    let t = h.transport();
    let name = created(&*t, "assign", 3);
    for partition in 0..3 {
        let value = format!("p{partition}");
        produce(&*t, &name, partition, &[("k", &value), ("k", "second")]);
    }
    let mut consumer = t.consumer("test").unwrap();
    consumer.assign(&[(at(&name, 0), 0)]).unwrap();
    assert_eq!(poll_records(&mut *consumer, 2).len(), 1);
    // One more; the first one goes on where it is.
    consumer.assign(&[(at(&name, 1), 0)]).unwrap();
    let got = poll_records(&mut *consumer, 2);
    assert_eq!(got.keys().collect::<Vec<_>>(), [&at(&name, 1)]);
    // Moved back.
    let first = got[&at(&name, 1)][0].offset;
    consumer.assign(&[(at(&name, 1), first)]).unwrap();
    assert_eq!(
        poll_records(&mut *consumer, 2)[&at(&name, 1)][0].offset,
        first
    );
    // Paused partitions rest, the others go on.
    consumer.pause(&[at(&name, 0)]);
    produce(&*t, &name, 0, &[("k", "late")]);
    produce(&*t, &name, 1, &[("k", "other")]);
    let got = poll_records(&mut *consumer, 1);
    assert_eq!(text(got[&at(&name, 1)][0].value.as_ref()), "other");
    consumer.resume(&[at(&name, 0)]);
    let got = poll_records(&mut *consumer, 1);
    assert_eq!(text(got[&at(&name, 0)][0].value.as_ref()), "late");
    // Taken away.
    consumer.unassign(&[at(&name, 0), at(&name, 1)]);
    produce(&*t, &name, 0, &[("k", "unseen")]);
    consumer.assign(&[(at(&name, 2), 0)]).unwrap();
    assert_eq!(
        poll_records(&mut *consumer, 2).keys().collect::<Vec<_>>(),
        [&at(&name, 2)]
    );
}

pub(crate) fn the_end_is_told_once(h: Box<dyn Harness>) {
    let t = h.transport();
    let name = created(&*t, "end", 1);
    let mut consumer = t.consumer("test").unwrap();
    consumer.assign(&[(at(&name, 0), 0)]).unwrap();
    let mut ends = |records: usize| {
        let (mut ends, mut seen, mut next) = (0, 0, 0);
        let mut at_end = false;
        until(|| {
            let mut fetched = Vec::new();
            consumer
                .poll(Duration::from_millis(50), 100, &mut fetched)
                .unwrap();
            for f in fetched {
                seen += f.records.len();
                ends += usize::from(f.at_end);
                (next, at_end) = (f.next_offset, f.at_end);
            }
            // Between two records there may be an end, too, where the second one comes later.
            at_end && seen >= records
        });
        // And nothing more after that.
        let mut fetched = Vec::new();
        consumer
            .poll(Duration::from_millis(50), 100, &mut fetched)
            .unwrap();
        assert!(fetched.is_empty(), "{fetched:?}");
        (ends, next)
    };
    assert_eq!(ends(0), (1, 0), "an empty partition");
    produce(&*t, &name, 0, &[("a", "1"), ("a", "2")]);
    let (_, next) = ends(2);
    let end = admin(&*t).offsets(&[at(&name, 0)]).unwrap()[0].end;
    assert_eq!(next, end);
}

pub(crate) fn a_poll_waits_for_a_commit(h: Box<dyn Harness>) {
    let t = h.transport();
    let name = created(&*t, "wait", 1);
    let mut consumer = t.consumer("test").unwrap();
    consumer.assign(&[(at(&name, 0), 0)]).unwrap();
    let mut fetched = Vec::new();
    consumer
        .poll(Duration::from_millis(100), 10, &mut fetched)
        .unwrap();
    fetched.clear();
    let writer = {
        let (t, name) = (t.clone(), name.clone());
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            produce(&*t, &name, 0, &[("a", "1")]);
        })
    };
    let begin = Instant::now();
    while fetched
        .iter()
        .all(|f: &streams_core::transport::Fetched| f.records.is_empty())
    {
        assert!(begin.elapsed() < PATIENCE);
        consumer.poll(PATIENCE, 10, &mut fetched).unwrap();
    }
    assert!(begin.elapsed() < PATIENCE / 2, "woken, not timed out");
    writer.join().unwrap();
}

pub(crate) fn a_zero_timeout_does_not_wait(h: Box<dyn Harness>) {
    let t = h.transport();
    let name = created(&*t, "zero", 1);
    let mut consumer = t.consumer("test").unwrap();
    let polls = |consumer: &mut dyn Consumer| {
        let mut lasted: Vec<Duration> = (0..100)
            .map(|_| {
                let begin = Instant::now();
                consumer.poll(Duration::ZERO, 10, &mut Vec::new()).unwrap();
                begin.elapsed()
            })
            .collect();
        // The machine may have other things to do during some of them.
        lasted.sort();
        assert!(lasted[50] < Duration::from_millis(10), "{lasted:?}");
    };
    polls(&mut *consumer);
    consumer.assign(&[(at(&name, 0), 0)]).unwrap();
    polls(&mut *consumer);
}

pub(crate) fn large_polls_are_shared_out(h: Box<dyn Harness>) {
    let t = h.transport();
    let name = created(&*t, "shares", 4);
    let texts: Vec<String> = (0..500).map(|i| i.to_string()).collect();
    let records: Vec<(&str, &str)> = texts.iter().map(|v| ("k", &**v)).collect();
    for partition in 0..4 {
        produce(&*t, &name, partition, &records);
    }
    let mut consumer = t.consumer("test").unwrap();
    let all: Vec<_> = (0..4).map(|p| (at(&name, p), 0)).collect();
    consumer.assign(&all).unwrap();
    let mut seen = [0_usize; 4];
    until(|| {
        let mut fetched = Vec::new();
        consumer
            .poll(Duration::from_millis(100), 70, &mut fetched)
            .unwrap();
        for f in fetched {
            let seen = &mut seen[usize::try_from(f.partition.partition).unwrap()];
            for record in f.records {
                assert_eq!(text(record.value.as_ref()), seen.to_string());
                *seen += 1;
            }
        }
        seen == [500; 4]
    });
}

pub(crate) fn deleted_records_are_out_of_range(h: Box<dyn Harness>) {
    let t = h.transport();
    let name = created(&*t, "purge", 1);
    produce(&*t, &name, 0, &[("a", "1"), ("b", "2")]);
    produce(&*t, &name, 0, &[("c", "3"), ("d", "4")]);
    let records = read_all(&*t, &at(&name, 0), 0);
    let mut admin = admin(&*t);
    let before = records[1].offset;
    admin.delete_records(&[(at(&name, 0), before)]).unwrap();
    let range = admin.offsets(&[at(&name, 0)]).unwrap()[0];
    assert_eq!(
        range,
        OffsetRange {
            start: before,
            end: records[3].offset + 1
        }
    );
    assert_eq!(values(&*t, &name, 0), ["2", "3", "4"]);
    let mut consumer = t.consumer("test").unwrap();
    consumer.assign(&[(at(&name, 0), 0)]).unwrap();
    let mut error = None;
    until(|| {
        error = consumer
            .poll(Duration::from_millis(100), 10, &mut Vec::new())
            .err();
        error.is_some()
    });
    let expected = at(&name, 0);
    assert!(
        matches!(&error, Some(TransportError::OffsetOutOfRange { partition, offset: 0 }) if *partition == expected),
        "{error:?}"
    );
    // Moved into the range, all is well; everything can be deleted, and the offsets go on.
    consumer.assign(&[(at(&name, 0), range.start)]).unwrap();
    assert_eq!(poll_records(&mut *consumer, 3).len(), 1);
    admin.delete_records(&[(at(&name, 0), range.end)]).unwrap();
    assert_eq!(values(&*t, &name, 0), Vec::<String>::new());
    produce(&*t, &name, 0, &[("e", "5")]);
    assert_eq!(values(&*t, &name, 0), ["5"]);
    assert!(read_all(&*t, &at(&name, 0), range.end)[0].offset >= range.end);
}

pub(crate) fn compaction_keeps_the_last_of_each_key(h: Box<dyn Harness>) {
    let t = h.transport();
    let name = unique("compact");
    let config = [
        ("cleanup.policy", "compact"),
        ("min.cleanable.dirty.ratio", "0.01"),
        ("segment.bytes", h.segment_bytes()),
        ("segment.ms", "100"),
    ];
    admin(&*t).create_topic(&topic(&name, 1, &config)).unwrap();
    let name: Arc<str> = name.into();
    let filler = "x".repeat(100);
    let mut last = BTreeMap::new();
    for round in 0..200 {
        let texts: Vec<(String, String)> = (0..50)
            .map(|i| {
                (
                    format!("k{}", (i * 7 + round) % 60),
                    format!("{round}-{i}-{filler}"),
                )
            })
            .collect();
        let records: Vec<(&str, &str)> = texts.iter().map(|(k, v)| (&**k, &**v)).collect();
        produce(&*t, &name, 0, &records);
        last.extend(texts);
    }
    let before = read_all(&*t, &at(&name, 0), 0);
    if !h.clean_up(&name) {
        return;
    }
    let end_now = admin(&*t).offsets(&[at(&name, 0)]).unwrap()[0].end;
    let mut after = read_all(&*t, &at(&name, 0), 0);
    assert_eq!(
        after.last().map(|r| r.offset + 1),
        Some(end_now),
        "offsets stay"
    );
    // What the cleaning itself may have written.
    after.retain(|r| r.key.as_deref() != Some(b"cleaned"));
    assert!(
        after.len() < 5000,
        "compacted: {} of 10000 are left",
        after.len()
    );
    let found: BTreeMap<String, String> = after
        .iter()
        .map(|r| (text(r.key.as_ref()), text(r.value.as_ref())))
        .collect();
    assert_eq!(found, last);
    // Each record is where it was.
    let known: BTreeMap<i64, &ConsumedRecord> = before.iter().map(|r| (r.offset, r)).collect();
    assert!(
        after
            .iter()
            .all(|r| known.get(&r.offset).is_none_or(|k| *k == r))
    );
    // A reader in a gap gets what comes after it.
    let gap = after[0].offset + 1;
    assert_eq!(read_all(&*t, &at(&name, 0), gap)[0].offset, after[1].offset);
}

pub(crate) fn everything_is_there_after_reopening(h: Box<dyn Harness>) {
    let t = h.transport();
    let name = created(&*t, "reopen", 2);
    produce(&*t, &name, 1, &[("a", "1"), ("b", "2")]);
    drop(t);
    let Some(h) = h.reopened() else { return };
    let t = h.transport();
    assert_eq!(values(&*t, &name, 1), ["1", "2"]);
    let info = admin(&*t).describe_topics(&[&name]).unwrap()[0]
        .clone()
        .unwrap();
    assert_eq!(info.partitions, 2);
    produce(&*t, &name, 1, &[("c", "3")]);
    assert_eq!(values(&*t, &name, 1), ["1", "2", "3"]);
}

pub(crate) fn a_deleted_topic_is_gone_with_its_records_and_offsets(h: Box<dyn Harness>) {
    let t = h.transport();
    let mut admin = admin(&*t);
    let (gone, kept) = (created(&*t, "gone", 3), created(&*t, "kept", 1));
    let group = unique("deletes");
    for name in [&gone, &kept] {
        produce(&*t, name, 0, &[("k", "1"), ("k", "2")]);
        admin.alter_committed(&group, &[(at(name, 0), 1)]).unwrap();
    }
    admin.delete_topics(&[&gone, "no-such-topic"]).unwrap();
    assert_eq!(admin.describe_topics(&[&gone]).unwrap(), [None]);
    let looked_at = admin.offsets(&[at(&gone, 0)]);
    assert!(
        matches!(&looked_at, Err(TransportError::UnknownTopic(n)) if **n == *gone),
        "{looked_at:?}"
    );
    // Another one of its name has nothing of it.
    admin.create_topic(&topic(&gone, 1, &[])).unwrap();
    until(|| admin.committed(&group, &[at(&gone, 0)]).unwrap() == [None]);
    assert_eq!(values(&*t, &gone, 0), [""; 0]);
    produce(&*t, &gone, 0, &[("k", "new")]);
    assert_eq!(values(&*t, &gone, 0), ["new"]);
    // The others are as they were.
    let offset = admin.committed(&group, &[at(&kept, 0)]).unwrap();
    assert_eq!(offset[0].as_ref().map(|c| c.offset), Some(1));
    assert_eq!(values(&*t, &kept, 0), ["1", "2"]);
}

pub(crate) fn a_log_tells_what_it_is_and_what_is_allowed(h: Box<dyn Harness>) {
    let t = h.transport();
    let mut admin = admin(&*t);
    let name = created(&*t, "allowed", 1);
    let log = admin.describe_log().unwrap();
    assert!(!log.id.is_empty(), "{log:?}");
    let resources = [
        Resource::Topic(&name),
        Resource::Topic("no-such-topic"),
        Resource::Group("no-such-group"),
        Resource::Cluster,
    ];
    let allowed = admin.allowed(&resources).unwrap();
    assert_eq!(allowed.len(), resources.len());
    // Whoever runs the tests made the topic, so it may also use it.
    if let Some(operations) = &allowed[0] {
        for operation in [Operation::Read, Operation::Write, Operation::Describe] {
            assert!(operations.contains(&operation), "{operations:?}");
        }
    }
}
