//! What goes wrong with Kafka's producers and groups: each error's class, and that the class holds what it promises.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use kafka_broker::{Case, Client, Cluster, Options, unique};
use streams_core::config::StreamsConfig;
use streams_core::error::{ErrorClass, transport_class};
use streams_core::outbox::{Outbox, Outgoing};
use streams_core::record::{Headers, TopicPartition};
use streams_core::topology::OffsetReset;
use streams_core::transport::kafka::KafkaTransport;
use streams_core::transport::{
    CommittedOffset, GroupMetadata, Membership, MembershipEvent, MembershipSpec, Producer,
    ProducerSpec, SubtopologySources, Transport, TransportError,
};

/// How long anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(180);

fn main() -> ExitCode {
    kafka_broker::main(vec![
        Case::new("a_newer_producer_fences_the_older", fenced_producer),
        Case::new("an_expired_transaction_costs_the_producer", expired),
        Case::new("a_stale_generation_is_abortable", stale_generation),
        Case::new("an_unknown_member_is_abortable", unknown_member),
        Case::new("nobody_commits_from_outside_a_group_with_members", outsider),
        Case::new("a_member_is_fenced_by_its_successor", fenced_member),
        Case::new("a_member_that_leaves_is_gone_at_once", left),
        Case::new("a_member_that_does_not_poll_loses_its_tasks", not_polling),
        Case::new("a_record_too_large_is_named", too_large),
        Case::new(
            "a_record_that_only_the_broker_finds_too_large",
            refused_by_broker,
        ),
        Case::new("no_batch_is_larger_than_its_topic_takes", small_batches),
        Case::new("a_deleted_topic_is_named", deleted_topic),
        Case::new("a_deleted_topic_is_not_waited_for", awaited_topic),
        Case::new("a_timestamp_of_zero_stays_next_to_zero", timestamp_zero),
        Case::own("brokers_that_are_away_come_back", away),
        Case::own("no_call_waits_for_a_broker_that_died", each_broker_dies),
        Case::own("wrong_credentials_are_told_at_once", wrong_credentials),
    ])
}

fn config(bootstrap: &str) -> StreamsConfig {
    StreamsConfig::kafka(bootstrap)
        .with("consumer.session.timeout.ms", "6000")
        .and_then(|c| c.with("consumer.heartbeat.interval.ms", "300"))
        .expect("settings of Kafka's clients")
}

fn client(cluster: &Cluster) -> Client {
    Client::new(cluster.bootstrap())
}

fn transport(cluster: &Cluster) -> KafkaTransport {
    with(cluster, &[])
}

fn with(cluster: &Cluster, settings: &[(&str, &str)]) -> KafkaTransport {
    let mut config = config(&cluster.bootstrap());
    for (key, value) in settings {
        config
            .set(key, value)
            .expect("a setting of Kafka's clients");
    }
    KafkaTransport::new(&config).unwrap()
}

fn topic(client: &Client, base: &str, partitions: i32) -> Arc<str> {
    let name = unique(base);
    client.create_topic(&name, partitions).unwrap();
    name.into()
}

fn plain(transport: &KafkaTransport) -> Box<dyn Producer> {
    let spec = ProducerSpec {
        client_id: "test".to_owned(),
        transactional_id: None,
    };
    transport.producer(&spec).unwrap()
}

/// A transactional producer after `init`.
fn transactional(transport: &KafkaTransport, id: &str) -> Box<dyn Producer> {
    let spec = ProducerSpec {
        client_id: "test".to_owned(),
        transactional_id: Some(id.to_owned()),
    };
    let mut producer = transport.producer(&spec).unwrap();
    patiently(|| producer.init());
    producer
}

/// Repeats what may be repeated: on a fresh broker coordinators are not there at once.
fn patiently<T>(mut ask: impl FnMut() -> Result<T, TransportError>) -> T {
    let mut answer = None;
    until("a broker answers", || match ask() {
        Err(TransportError::Retriable(_)) => false,
        other => {
            answer = Some(other.unwrap());
            true
        }
    });
    answer.unwrap()
}

fn outbox(values: &[&[u8]]) -> Outbox {
    let mut outbox = Outbox::default();
    for value in values {
        outbox.push(Outgoing {
            topic: 0,
            partition: Some(0),
            key: Some(b"k"),
            value: Some(value),
            timestamp: Some(1),
            headers: &Headers::new(),
        });
    }
    outbox
}

fn send(producer: &mut dyn Producer, topic: &Arc<str>, value: &str) {
    let sent = producer.send(&outbox(&[value.as_bytes()]), std::slice::from_ref(topic));
    sent.unwrap();
}

fn offset(topic: &Arc<str>, offset: i64) -> Vec<(TopicPartition, CommittedOffset)> {
    let metadata = "time".to_owned();
    vec![(
        TopicPartition::new(topic.clone(), 0),
        CommittedOffset { offset, metadata },
    )]
}

fn spec(group: &str, member: &str, topics: &[&Arc<str>]) -> MembershipSpec {
    MembershipSpec {
        group: group.to_owned(),
        member: member.to_owned(),
        subtopologies: vec![SubtopologySources {
            subtopology: 0,
            topics: topics
                .iter()
                .map(|t| ((*t).clone(), OffsetReset::Earliest))
                .collect(),
        }],
    }
}

/// A member that was told its first assignment.
fn joined(transport: &KafkaTransport, spec: &MembershipSpec) -> Box<dyn Membership> {
    let mut member = transport.membership(spec).unwrap();
    until("the member has joined", || {
        let events = member.poll().unwrap();
        events
            .iter()
            .any(|e| matches!(e, MembershipEvent::Assigned(_)))
    });
    member
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < PATIENCE, "in vain waited until {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn values(client: &Client, topic: &str) -> Vec<String> {
    let messages = client.read(topic).unwrap();
    messages
        .iter()
        .map(kafka_broker::Message::value_text)
        .collect()
}

#[track_caller]
fn assert_class<T: std::fmt::Debug>(
    result: Result<T, TransportError>,
    class: ErrorClass,
) -> String {
    match result {
        Ok(value) => panic!("{value:?} where {class:?} was expected"),
        Err(e) => {
            assert_eq!(transport_class(&e), class, "{e}");
            e.to_string()
        }
    }
}

fn fenced_producer(cluster: &Cluster) {
    let (client, transport) = (client(cluster), transport(cluster));
    let name = topic(&client, "fenced", 1);
    let id = unique("fenced");
    for step in ["send_offsets", "commit", "flush and commit"] {
        let mut old = transactional(&transport, &id);
        old.begin().unwrap();
        send(&mut *old, &name, "zombie");
        let mut new = transactional(&transport, &id);
        let refused = match step {
            "send_offsets" => {
                let group = GroupMetadata::outside(unique("fenced"));
                old.send_offsets(&group, &offset(&name, 1))
            }
            "commit" => old.commit().map(drop),
            _ => {
                // What a fenced producer sends is refused by the report.
                send(&mut *old, &name, "zombie");
                old.commit().map(drop)
            }
        };
        let text = assert_class(refused, ErrorClass::Fenced);
        assert!(text.contains(&id), "{text}");
        assert_class(old.begin(), ErrorClass::Fenced);
        assert_class(old.abort(), ErrorClass::Fenced);
        new.begin().unwrap();
        send(&mut *new, &name, step);
        new.commit().unwrap();
    }
    until("the markers are written", || {
        values(&client, &name) == ["send_offsets", "commit", "flush and commit"]
    });
}

fn expired(cluster: &Cluster) {
    let (client, transport) = (
        client(cluster),
        with(cluster, &[("producer.transaction.timeout.ms", "10000")]),
    );
    let name = topic(&client, "expired", 1);
    let id = unique("expired");
    let mut producer = transactional(&transport, &id);
    producer.begin().unwrap();
    send(&mut *producer, &name, "lost");
    // It is in the log, and behind it stands what others write, until the broker ends it.
    let mut uncommitted = client.uncommitted_reader(&name).unwrap();
    let group = GroupMetadata::outside(unique("expired"));
    producer.send_offsets(&group, &offset(&name, 1)).unwrap();
    until("the record is in the log", || {
        !uncommitted
            .poll(Duration::from_millis(100))
            .unwrap()
            .is_empty()
    });
    client.produce(&name, [("k", "behind")]).unwrap();
    until("the transaction has expired", || {
        values(&client, &name) == ["behind"]
    });
    let text = assert_class(producer.commit(), ErrorClass::LostProducer);
    assert!(text.contains("transaction.timeout.ms = 10000"), "{text}");
    // A new one takes its place.
    assert_class(producer.begin(), ErrorClass::LostProducer);
    let mut producer = transactional(&transport, &id);
    producer.begin().unwrap();
    send(&mut *producer, &name, "kept");
    producer.commit().unwrap();
    until("it is there", || {
        values(&client, &name) == ["behind", "kept"]
    });
}

fn stale_generation(cluster: &Cluster) {
    let (client, transport) = (client(cluster), transport(cluster));
    let name = topic(&client, "stale", 2);
    let group = unique("stale");
    let mut first = joined(&transport, &spec(&group, "m0", &[&name]));
    let stale = first.group_metadata();
    let mut second = transport.membership(&spec(&group, "m1", &[&name])).unwrap();
    let mut had = 0;
    until("both have tasks", || {
        for event in first.poll().unwrap() {
            match event {
                MembershipEvent::Revoked(tasks) => {
                    // Until they are released they are its own, and it may commit.
                    first.commit(&offset(&name, 1)).unwrap();
                    first.released(&tasks).unwrap();
                }
                MembershipEvent::Assigned(tasks) => had = tasks.len(),
                MembershipEvent::Lost(tasks) => panic!("{tasks:?} lost"),
            }
        }
        second.poll().unwrap();
        had == 1
    });
    assert!(first.group_metadata().generation > stale.generation);
    let mut producer = transactional(&transport, &unique("stale"));
    producer.begin().unwrap();
    send(&mut *producer, &name, "lost");
    assert_class(
        producer.send_offsets(&stale, &offset(&name, 7)),
        ErrorClass::Corrupted,
    );
    assert_class(producer.commit(), ErrorClass::Corrupted);
    producer.abort().unwrap();
    producer.begin().unwrap();
    send(&mut *producer, &name, "kept");
    let now = first.group_metadata();
    producer.send_offsets(&now, &offset(&name, 8)).unwrap();
    producer.commit().unwrap();
    until("only that is there", || values(&client, &name) == ["kept"]);
    until("its offsets are, too", || {
        client.committed(&group, &name).unwrap()[0] == Some(8)
    });
}

fn unknown_member(cluster: &Cluster) {
    let (client, transport) = (client(cluster), transport(cluster));
    let name = topic(&client, "unknown", 1);
    let spec = spec(&unique("unknown"), "m0", &[&name]);
    let mut member = joined(&transport, &spec);
    let metadata = member.group_metadata();
    let mut producer = transactional(&transport, &unique("unknown"));
    for stranger in [
        GroupMetadata {
            member: "stranger".to_owned(),
            instance: None,
            ..metadata.clone()
        },
        GroupMetadata {
            member: "stranger".to_owned(),
            instance: Some("stranger".to_owned()),
            ..metadata.clone()
        },
    ] {
        producer.begin().unwrap();
        assert_class(
            producer.send_offsets(&stranger, &offset(&name, 1)),
            ErrorClass::Corrupted,
        );
        producer.abort().unwrap();
    }
    member.leave().unwrap();
    producer.begin().unwrap();
    assert_class(
        producer.send_offsets(&metadata, &offset(&name, 1)),
        ErrorClass::Corrupted,
    );
    producer.abort().unwrap();
    assert_class(member.commit(&offset(&name, 1)), ErrorClass::Corrupted);
    // Nor by what it is told after it left.
    producer.begin().unwrap();
    assert_class(
        producer.send_offsets(&member.group_metadata(), &offset(&name, 1)),
        ErrorClass::Corrupted,
    );
    producer.abort().unwrap();
    assert_eq!(client.committed(&spec.group, &name).unwrap(), [None]);
}

fn outsider(cluster: &Cluster) {
    let (client, transport) = (client(cluster), transport(cluster));
    let name = topic(&client, "outside", 1);
    let spec = spec(&unique("outside"), "m0", &[&name]);
    let outside = GroupMetadata::outside(spec.group.as_str());
    let mut producer = transactional(&transport, &unique("outside"));
    producer.begin().unwrap();
    producer.send_offsets(&outside, &offset(&name, 3)).unwrap();
    producer.commit().unwrap();
    let mut member = joined(&transport, &spec);
    producer.begin().unwrap();
    assert_class(
        producer.send_offsets(&outside, &offset(&name, 9)),
        ErrorClass::Corrupted,
    );
    producer.abort().unwrap();
    until("the first ones are there", || {
        client.committed(&spec.group, &name).unwrap() == [Some(3)]
    });
    member.leave().unwrap();
    producer.begin().unwrap();
    producer.send_offsets(&outside, &offset(&name, 4)).unwrap();
    producer.commit().unwrap();
    until("without members it may again", || {
        client.committed(&spec.group, &name).unwrap() == [Some(4)]
    });
}

fn fenced_member(cluster: &Cluster) {
    let (client, transport) = (client(cluster), transport(cluster));
    let name = topic(&client, "successor", 2);
    let spec = spec(&unique("successor"), "m0", &[&name]);
    let mut old = joined(&transport, &spec);
    let metadata = old.group_metadata();
    let mut new = joined(&transport, &spec);
    let mut producer = transactional(&transport, &unique("successor"));
    producer.begin().unwrap();
    let refused = producer.send_offsets(&metadata, &offset(&name, 1));
    assert_class(refused, ErrorClass::Fenced);
    let refused = old.commit(&offset(&name, 1));
    assert!(
        matches!(
            refused,
            Err(TransportError::Abortable(_) | TransportError::Fenced(_))
        ),
        "{refused:?}"
    );
    let mut last = Ok(Vec::new());
    until("the old one is told", || {
        last = old.poll();
        last.is_err()
    });
    assert_class(last, ErrorClass::Fenced);
    assert_class(old.poll(), ErrorClass::Fenced);
    // The successor stays what it is.
    assert!(new.poll().unwrap().is_empty());
    new.commit(&offset(&name, 2)).unwrap();
    assert_eq!(client.committed(&spec.group, &name).unwrap()[0], Some(2));
    drop(old);
    assert!(new.poll().unwrap().is_empty());
    let group = client.group(&spec.group).unwrap().unwrap();
    assert_eq!(group.members.len(), 1, "{group:?}");
}

fn left(cluster: &Cluster) {
    // Longer than it takes to look whether a place is kept.
    let (client, transport) = (
        client(cluster),
        with(cluster, &[("consumer.session.timeout.ms", "120000")]),
    );
    let name = topic(&client, "left", 1);
    let spec = spec(&unique("left"), "m0", &[&name]);
    let mut member = joined(&transport, &spec);
    member.leave().unwrap();
    let group = client.group(&spec.group).unwrap();
    assert!(
        group.as_ref().is_none_or(|g| g.members.is_empty()),
        "{group:?}"
    );
    // One that vanishes keeps its place for its successor.
    let member = joined(&transport, &spec);
    drop(member);
    let group = client.group(&spec.group).unwrap().unwrap();
    assert_eq!(group.members.len(), 1, "{group:?}");
    // Neither is there anything to leave for one that never joined, or twice.
    let mut member = transport.membership(&spec).unwrap();
    member.leave().unwrap();
    let mut member = joined(&transport, &spec);
    member.leave().unwrap();
    member.leave().unwrap();
}

fn not_polling(cluster: &Cluster) {
    let (client, transport) = (
        client(cluster),
        with(cluster, &[("consumer.max.poll.interval.ms", "6000")]),
    );
    let name = topic(&client, "idle", 1);
    let spec = spec(&unique("idle"), "m0", &[&name]);
    let mut member = joined(&transport, &spec);
    let metadata = member.group_metadata();
    until("the group has given it up", || {
        let group = client.group(&spec.group).unwrap();
        group.is_none_or(|g| g.members.is_empty())
    });
    let mut producer = transactional(&transport, &unique("idle"));
    producer.begin().unwrap();
    assert_class(
        producer.send_offsets(&metadata, &offset(&name, 1)),
        ErrorClass::Corrupted,
    );
    assert_class(member.commit(&offset(&name, 1)), ErrorClass::Corrupted);
    let mut events = Vec::new();
    until("it has its task back", || {
        events.extend(member.poll().unwrap());
        matches!(events.last(), Some(MembershipEvent::Assigned(_)))
    });
    assert!(
        matches!(&events[..], [MembershipEvent::Lost(lost), MembershipEvent::Assigned(new)] if lost == new),
        "{events:?}"
    );
    member.commit(&offset(&name, 1)).unwrap();
}

fn too_large(cluster: &Cluster) {
    let (client, transport) = (client(cluster), transport(cluster));
    let name = unique("limited");
    let limit = [("max.message.bytes", "1000")];
    client.create_topic_with(&name, 1, &limit).unwrap();
    let name: Arc<str> = name.into();
    let mut producer = transactional(&transport, &unique("limited"));
    producer.begin().unwrap();
    send(&mut *producer, &name, "before");
    let large = [b'x'; 2000];
    let refused = producer.send(&outbox(&[b"with", &large]), std::slice::from_ref(&name));
    let text = assert_class(refused, ErrorClass::Fatal);
    assert!(
        text.contains(&*name) && text.contains("2001") && text.contains("= 1000"),
        "{text}"
    );
    producer.commit().unwrap();
    until("what was sent before is there", || {
        values(&client, &name) == ["before"]
    });
}

fn refused_by_broker(cluster: &Cluster) {
    // Compressed it might fit, so that the broker has to say.
    let (client, transport) = (
        client(cluster),
        with(cluster, &[("producer.compression.type", "gzip")]),
    );
    let name = unique("limited");
    let limit = [("max.message.bytes", "1000")];
    client.create_topic_with(&name, 1, &limit).unwrap();
    let name: Arc<str> = name.into();
    let mut state = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    })
    .take(3000)
    .collect();
    let zeros = vec![0; 3000];
    let mut producer = transactional(&transport, &unique("limited"));
    producer.begin().unwrap();
    let topics = std::slice::from_ref(&name);
    producer.send(&outbox(&[&noise]), topics).unwrap();
    let refused = producer.commit();
    assert!(
        matches!(&refused, Err(TransportError::RecordTooLarge { topic, limit: Some(1000), .. }) if **topic == *name),
        "{refused:?}"
    );
    assert_class(producer.commit(), ErrorClass::Corrupted);
    producer.abort().unwrap();
    // The broker would refuse what comes next, too: its number does not follow.
    assert_class(producer.begin(), ErrorClass::LostProducer);
    let mut producer = plain(&transport);
    producer.send(&outbox(&[&noise]), topics).unwrap();
    assert_class(producer.flush(), ErrorClass::Fatal);
    producer.send(&outbox(&[&zeros]), topics).unwrap();
    producer.flush().unwrap();
    until("only what fits is there", || {
        let messages = client.read(&name).unwrap();
        messages.len() == 1 && messages[0].value.as_deref() == Some(&zeros[..])
    });
}

/// librdkafka fills batches of a megabyte, whatever a topic takes, and the broker refuses them whole.
fn small_batches(cluster: &Cluster) {
    let (client, transport) = (client(cluster), transport(cluster));
    let name = unique("small-batches");
    let limit = [("max.message.bytes", "2000")];
    client.create_topic_with(&name, 2, &limit).unwrap();
    let name: Arc<str> = name.into();
    let value = [b'v'; 90];
    let mut producer = transactional(&transport, &unique("small-batches"));
    producer.begin().unwrap();
    for _ in 0..20 {
        producer
            .send(&outbox(&[&value[..]; 100]), std::slice::from_ref(&name))
            .unwrap();
    }
    producer.commit().unwrap();
    until("all are there", || values(&client, &name).len() == 2_000);
}

fn deleted_topic(cluster: &Cluster) {
    let (client, transport) = (
        client(cluster),
        with(
            cluster,
            &[
                ("producer.topic.metadata.propagation.max.ms", "1000"),
                ("consumer.topic.metadata.refresh.interval.ms", "500"),
            ],
        ),
    );
    let name = topic(&client, "deleted", 1);
    let mut producer = plain(&transport);
    send(&mut *producer, &name, "1");
    producer.flush().unwrap();
    let mut member = joined(&transport, &spec(&unique("deleted"), "m0", &[&name]));
    client.delete_topic(&name).unwrap();
    send(&mut *producer, &name, "2");
    let mut last = Ok(());
    until("the producer names it", || {
        last = producer.flush().map(drop);
        !matches!(last, Ok(()) | Err(TransportError::Retriable(_)))
    });
    let text = assert_class(last, ErrorClass::Fatal);
    assert_eq!(text, format!("topic `{name}` does not exist"));
    let text = assert_class(
        producer.send(&outbox(&[b"3"]), std::slice::from_ref(&name)),
        ErrorClass::Fatal,
    );
    assert_eq!(text, format!("topic `{name}` does not exist"));
    let mut last = Ok(Vec::new());
    until("the member names it", || {
        last = member.poll();
        for event in last.iter().flatten() {
            if let MembershipEvent::Revoked(tasks) = event {
                member.released(tasks).unwrap();
            }
        }
        last.is_err()
    });
    let text = assert_class(last, ErrorClass::Fatal);
    assert_eq!(text, format!("topic `{name}` does not exist"));
}

/// librdkafka would look for the topic for ten minutes before it said so.
fn awaited_topic(cluster: &Cluster) {
    let waits = [
        ("producer.topic.metadata.propagation.max.ms", "600000"),
        ("consumer.topic.metadata.refresh.interval.ms", "600000"),
    ];
    let (client, transport) = (client(cluster), with(cluster, &waits));
    let (name, kept) = (topic(&client, "awaited", 1), topic(&client, "kept", 1));
    let mut producer = plain(&transport);
    for topic in [&kept, &name] {
        send(&mut *producer, topic, "1");
    }
    producer.flush().unwrap();
    let mut member = joined(&transport, &spec(&unique("awaited"), "m0", &[&kept, &name]));
    member.commit(&offset(&name, 1)).unwrap();
    client.delete_topic(&name).unwrap();
    let expected = format!("topic `{name}` does not exist");
    for (what, call) in [
        (
            "the member names it",
            &mut (|| member.commit(&offset(&name, 1))) as &mut dyn FnMut() -> _,
        ),
        ("the producer names it", &mut || {
            let sent = producer.send(&outbox(&[b"2"]), std::slice::from_ref(&name));
            sent.and_then(|()| producer.flush().map(drop))
        }),
    ] {
        let mut last = Ok(());
        until(what, || {
            last = call();
            !matches!(last, Err(TransportError::Retriable(_)))
        });
        assert_eq!(assert_class(last, ErrorClass::Fatal), expected, "{what}");
    }
}

fn timestamp_zero(cluster: &Cluster) {
    let (client, transport) = (client(cluster), transport(cluster));
    let name = topic(&client, "epoch", 1);
    let mut outbox = Outbox::default();
    for timestamp in [Some(0), Some(5), None] {
        outbox.push(Outgoing {
            topic: 0,
            partition: Some(0),
            key: None,
            value: Some(b""),
            timestamp,
            headers: &Headers::new(),
        });
    }
    let mut producer = plain(&transport);
    producer.send(&outbox, std::slice::from_ref(&name)).unwrap();
    producer.flush().unwrap();
    let messages = client.read(&name).unwrap();
    let timestamps: Vec<i64> = messages.iter().map(|m| m.timestamp).collect();
    assert_eq!(timestamps[..2], [1, 5]);
    assert!(timestamps[2] > 1_000_000_000_000, "{timestamps:?}");
}

fn away() {
    let cluster = Options::default().start().unwrap();
    let client = client(&cluster);
    let transport = with(
        &cluster,
        &[
            ("producer.transaction.timeout.ms", "600000"),
            ("consumer.session.timeout.ms", "300000"),
        ],
    );
    let name = topic(&client, "away", 1);
    let spec = spec(&unique("away"), "m0", &[&name]);
    let mut member = joined(&transport, &spec);
    let mut producer = transactional(&transport, &unique("away"));
    let mut other = plain(&transport);
    producer.begin().unwrap();
    send(&mut *producer, &name, "1");
    send(&mut *other, &name, "0");
    other.flush().unwrap();
    // Of two records on their way the broker may refuse the first one while it still looks for the transaction, and the second
    // one then for its number: that would end the transaction.
    let mut uncommitted = client.uncommitted_reader(&name).unwrap();
    let mut there = 0;
    until("both are in the log", || {
        there += uncommitted.poll(Duration::from_millis(100)).unwrap().len();
        there == 2
    });
    cluster.kill(0).unwrap();
    send(&mut *producer, &name, "2");
    send(&mut *other, &name, "3");
    assert_class(other.flush(), ErrorClass::Retriable);
    assert_class(member.commit(&offset(&name, 1)), ErrorClass::Retriable);
    assert!(member.poll().unwrap().is_empty(), "it waits for the broker");
    // A commit of which nobody knows how far it came.
    assert_class(producer.commit(), ErrorClass::Retriable);
    // Another client cannot even begin.
    let mut new = transport
        .producer(&ProducerSpec {
            client_id: "test".to_owned(),
            transactional_id: Some(unique("away")),
        })
        .unwrap();
    assert_class(new.init(), ErrorClass::Retriable);
    cluster.restart(0).unwrap();
    until("the commit is through", || match producer.commit() {
        Ok(_) => true,
        Err(e) => {
            assert_eq!(transport_class(&e), ErrorClass::Retriable, "{e}");
            false
        }
    });
    until("so is the flush", || match other.flush() {
        Ok(_) => true,
        Err(e) => {
            assert_eq!(transport_class(&e), ErrorClass::Retriable, "{e}");
            false
        }
    });
    until("everything is there", || {
        let mut all = values(&client, &name);
        all.sort();
        all == ["0", "1", "2", "3"]
    });
    // And it goes on.
    until("a new one begins", || new.init().is_ok());
    producer.begin().unwrap();
    send(&mut *producer, &name, "4");
    producer.commit().unwrap();
    until("the member may commit again", || {
        for event in member.poll().unwrap() {
            if let MembershipEvent::Revoked(tasks) = event {
                member.released(&tasks).unwrap();
            }
        }
        member.commit(&offset(&name, 1)).is_ok()
    });
    // An abort that nobody answers does not hang either.
    producer.begin().unwrap();
    send(&mut *producer, &name, "5");
    cluster.kill(0).unwrap();
    send(&mut *producer, &name, "6");
    let aborted = producer.abort();
    assert!(
        matches!(aborted, Ok(()) | Err(TransportError::Retriable(_))),
        "{aborted:?}"
    );
}

/// Whichever broker dies, and with it coordinators of groups and of transactions: no call waits for it without end. librdkafka
/// forgets who waits for a coordinator that its other brokers do not know any more; a stream thread stood still for minutes, and
/// its group with it.
fn each_broker_dies() {
    let cluster = Options::brokers(3).start().unwrap();
    let name = topic(&client(&cluster), "dying", 1);
    let stop = Arc::new(AtomicBool::new(false));
    // Enough groups and transactional ids that each broker coordinates some.
    let committed = Arc::new([const { AtomicU64::new(0) }; 6]);
    let threads: Vec<JoinHandle<()>> = (0..committed.len())
        .map(|n| {
            let (transport, name, stop) = (transport(&cluster), name.clone(), stop.clone());
            let committed = committed.clone();
            thread::spawn(move || commit_until(&stop, &transport, &name, &committed[n]))
        })
        .collect();
    // Groups have two coordinators, so one of them at least is among these.
    for broker in 0..2 {
        let before = committed.each_ref().map(|n| n.load(Ordering::Relaxed));
        until("each thread commits", || {
            let mut both = committed.iter().zip(before);
            both.all(|(now, before)| now.load(Ordering::Relaxed) > before)
        });
        cluster.kill(broker).unwrap();
        // Until the others have given it up.
        thread::sleep(Duration::from_secs(6));
        cluster.restart(broker).unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    until("each call has returned", || {
        threads.iter().all(JoinHandle::is_finished)
    });
    for thread in threads {
        thread.join().unwrap();
    }
}

/// Commits one transaction after the other, as an application would that goes on whatever happens.
fn commit_until(
    stop: &AtomicBool,
    transport: &KafkaTransport,
    topic: &Arc<str>,
    committed: &AtomicU64,
) {
    let id = unique("dying");
    let group = GroupMetadata {
        group: id.clone(),
        member: String::new(),
        generation: -1,
        instance: None,
    };
    let spec = ProducerSpec {
        client_id: "test".to_owned(),
        transactional_id: Some(id),
    };
    let mut next = 1;
    while !stop.load(Ordering::Relaxed) {
        let mut producer = transport.producer(&spec).unwrap();
        let mut one = |next| {
            producer.init()?;
            producer.begin()?;
            producer.send_offsets(&group, &offset(topic, next))?;
            producer.commit()
        };
        let ended = loop {
            match one(next) {
                Ok(_) if stop.load(Ordering::Relaxed) => return,
                Ok(_) => next += 1,
                Err(e) => break e,
            }
            committed.fetch_add(1, Ordering::Relaxed);
        };
        let class = transport_class(&ended);
        assert!(class != ErrorClass::Fatal, "{ended:?}");
    }
}

fn wrong_credentials() {
    let cluster = Options::default().user("alice", "right").start().unwrap();
    let bootstrap = cluster.sasl_bootstrap().unwrap();
    let log_in = |password: &str| {
        let mut config = config(&bootstrap);
        for (key, value) in [
            ("security.protocol", "SASL_PLAINTEXT"),
            ("sasl.mechanism", "PLAIN"),
            ("sasl.username", "alice"),
            ("sasl.password", password),
        ] {
            config.set(key, value).unwrap();
        }
        let spec = ProducerSpec {
            client_id: "test".to_owned(),
            transactional_id: Some(unique("credentials")),
        };
        let transport = KafkaTransport::new(&config).unwrap();
        transport.producer(&spec).unwrap().init()
    };
    log_in("right").unwrap();
    let text = assert_class(log_in("wrong"), ErrorClass::Fatal);
    assert!(text.contains("uthentication"), "{text}");
}
