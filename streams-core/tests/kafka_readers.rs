//! What goes wrong with Kafka's consumers and admin clients: brokers that are away, topics that change, rights that are missing.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka_broker::{Case, Client, Cluster, Options, unique};
use streams_core::config::StreamsConfig;
use streams_core::record::TopicPartition;
use streams_core::transport::kafka::KafkaTransport;
use streams_core::transport::{
    Admin, Consumer, Fetched, OffsetRange, ProducerSpec, TopicInfo, Transport, TransportError,
};

/// How long anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(180);

fn main() -> ExitCode {
    kafka_broker::main(vec![
        Case::new("positions_pass_markers_and_aborted_records", positions),
        Case::new("nothing_is_lost_behind_an_end_or_a_pause", nothing_is_lost),
        Case::new("a_partition_that_is_moved_stays_paused", moved),
        Case::new("partitions_that_are_added_are_found", added),
        Case::new("a_topic_deleted_under_its_reader_is_named", deleted),
        Case::new("what_is_refused_says_why", refused),
        Case::own("readers_outlive_their_broker", away),
        Case::own("an_absent_cluster_is_named", absent),
        Case::own("wrong_credentials_are_told_at_once", wrong_credentials),
        Case::own("one_broker_of_three_may_be_gone", one_of_three),
    ])
}

fn transport(cluster: &Cluster) -> KafkaTransport {
    KafkaTransport::new(&StreamsConfig::kafka(cluster.bootstrap())).unwrap()
}

fn admin(transport: &KafkaTransport) -> Box<dyn Admin> {
    transport.admin().unwrap()
}

fn created(transport: &KafkaTransport, base: &str, partitions: u32) -> Arc<str> {
    let topic = TopicInfo {
        name: unique(base),
        partitions,
        config: std::collections::BTreeMap::new(),
    };
    admin(transport).create_topic(&topic).unwrap();
    topic.name.into()
}

fn reading(transport: &KafkaTransport, partitions: &[(TopicPartition, i64)]) -> Box<dyn Consumer> {
    let mut consumer = transport.consumer("test-consumer").unwrap();
    consumer.assign(partitions).unwrap();
    consumer
}

fn at(topic: &Arc<str>, partition: i32) -> TopicPartition {
    TopicPartition::new(topic.clone(), partition)
}

fn write(client: &Client, topic: &str, partition: i32, values: &[&str]) {
    let records = values.iter().map(|value| (partition, "k", *value));
    client.produce_to(topic, records).unwrap();
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < PATIENCE, "waited in vain until {what}");
    }
}

fn poll(consumer: &mut dyn Consumer) -> Vec<Fetched> {
    let mut fetched = Vec::new();
    consumer
        .poll(Duration::from_millis(100), 1000, &mut fetched)
        .unwrap();
    fetched
}

/// Polls until an end is told; the values, and the offset after them.
fn read(consumer: &mut dyn Consumer) -> (Vec<String>, i64) {
    let (mut values, mut next, mut ended) = (Vec::new(), -1, false);
    until("an end is reached", || {
        for fetched in poll(consumer) {
            (next, ended) = (fetched.next_offset, fetched.at_end);
            values.extend(texts(&fetched));
        }
        ended
    });
    (values, next)
}

fn texts(fetched: &Fetched) -> Vec<String> {
    let text = |value: &bytes::Bytes| String::from_utf8_lossy(value).into_owned();
    let records = fetched.records.iter();
    records.filter_map(|r| r.value.as_ref().map(text)).collect()
}

fn positions(cluster: &Cluster) {
    let transport = transport(cluster);
    let client = Client::new(cluster.bootstrap());
    let topic = created(&transport, "positions", 1);
    let mut consumer = reading(&transport, &[(at(&topic, 0), 0)]);
    assert_eq!(read(&mut *consumer), (vec![], 0));
    let mut producer = transport
        .producer(&ProducerSpec {
            client_id: "test".to_owned(),
            transactional_id: Some(unique("positions")),
        })
        .unwrap();
    producer.init().unwrap();
    let mut asked = admin(&transport);
    let end = |admin: &mut dyn Admin| admin.offsets(&[at(&topic, 0)]).unwrap()[0].end;
    let mut transaction = |values: &[&str], commit: bool| {
        let mut outbox = streams_core::outbox::Outbox::default();
        for value in values {
            outbox.push(streams_core::outbox::Outgoing {
                topic: 0,
                partition: Some(0),
                key: None,
                value: Some(value.as_bytes()),
                timestamp: Some(1),
                headers: &streams_core::record::Headers::new(),
            });
        }
        let written = end(&mut *asked) + i64::try_from(values.len()).unwrap();
        producer.begin().unwrap();
        producer
            .send(&outbox, std::slice::from_ref(&topic))
            .unwrap();
        if commit {
            producer.commit().unwrap();
        } else {
            until("the records are there", || end(&mut *asked) == written);
            producer.abort().unwrap();
        }
    };
    let mut admin = admin(&transport);
    let mut end_is = |end: i64| {
        until("the marker is there", || {
            admin.offsets(&[at(&topic, 0)]).unwrap() == [OffsetRange { start: 0, end }]
        });
    };
    // Two records and a marker.
    transaction(&["1", "2"], true);
    end_is(3);
    let mut values = Vec::new();
    let mut next = 0;
    until("it is past the marker", || {
        for fetched in poll(&mut *consumer) {
            values.extend(texts(&fetched));
            next = fetched.next_offset;
        }
        next == 3
    });
    assert_eq!(values, ["1", "2"]);
    // Three that nobody sees, and a marker.
    transaction(&["a", "b", "c"], false);
    end_is(7);
    until("it is past the aborted records", || {
        for fetched in poll(&mut *consumer) {
            assert_eq!(texts(&fetched), [""; 0]);
            next = fetched.next_offset;
        }
        next == 7
    });
    // Whoever goes on from there, goes on with the next record.
    write(&client, &topic, 0, &["3"]);
    assert_eq!(read(&mut *consumer), (vec!["3".to_owned()], 8));
    let mut another = reading(&transport, &[(at(&topic, 0), 7)]);
    assert_eq!(read(&mut *another), (vec!["3".to_owned()], 8));
}

/// librdkafka's own pausing goes back to a position that is one too far after an end.
fn nothing_is_lost(cluster: &Cluster) {
    let transport = transport(cluster);
    let client = Client::new(cluster.bootstrap());
    let topic = created(&transport, "behind", 2);
    let both = [at(&topic, 0), at(&topic, 1)];
    let mut consumer = reading(&transport, &[(both[0].clone(), 0), (both[1].clone(), 0)]);
    let mut seen = [Vec::new(), Vec::new()];
    let mut expected = Vec::new();
    for round in 0..20 {
        let text = round.to_string();
        if round % 3 == 0 {
            consumer.pause(&both);
        }
        for partition in 0..2 {
            write(&client, &topic, partition, &[&text]);
        }
        expected.push(text);
        if round % 3 == 0 {
            let before = poll(&mut *consumer);
            assert!(before.iter().all(|f| f.records.is_empty()), "{before:?}");
            consumer.resume(&both);
        }
        until("both partitions have it", || {
            for fetched in poll(&mut *consumer) {
                let partition = usize::try_from(fetched.partition.partition).unwrap();
                seen[partition].extend(texts(&fetched));
            }
            seen.iter().all(|s| s.len() >= expected.len())
        });
        assert_eq!(seen, [expected.clone(), expected.clone()]);
    }
}

fn moved(cluster: &Cluster) {
    let transport = transport(cluster);
    let client = Client::new(cluster.bootstrap());
    let topic = created(&transport, "moved", 2);
    for partition in 0..2 {
        write(&client, &topic, partition, &["1", "2"]);
    }
    let mut consumer = reading(&transport, &[(at(&topic, 0), 0)]);
    assert_eq!(read(&mut *consumer).0, ["1", "2"]);
    consumer.pause(&[at(&topic, 0)]);
    consumer
        .assign(&[(at(&topic, 0), 1), (at(&topic, 1), 0)])
        .unwrap();
    assert_eq!(read(&mut *consumer).0, ["1", "2"], "of the other one only");
    consumer.resume(&[at(&topic, 0)]);
    assert_eq!(read(&mut *consumer).0, ["2"]);
}

fn added(cluster: &Cluster) {
    let transport = transport(cluster);
    let client = Client::new(cluster.bootstrap());
    let topic = created(&transport, "added", 1);
    let mut consumer = reading(&transport, &[(at(&topic, 0), 0)]);
    let missing = consumer.assign(&[(at(&topic, 1), 0)]).unwrap_err();
    assert!(
        matches!(&missing, TransportError::UnknownPartition(p) if *p == at(&topic, 1)),
        "{missing}"
    );
    // Deleted and made anew with more of them.
    let mut admin = admin(&transport);
    admin.delete_topics(&[&topic]).unwrap();
    let info = TopicInfo {
        name: topic.to_string(),
        partitions: 3,
        config: std::collections::BTreeMap::new(),
    };
    admin.create_topic(&info).unwrap();
    write(&client, &topic, 2, &["there"]);
    consumer.unassign(&[at(&topic, 0)]);
    consumer.assign(&[(at(&topic, 2), 0)]).unwrap();
    assert_eq!(read(&mut *consumer).0, ["there"]);
}

fn deleted(cluster: &Cluster) {
    let transport = transport(cluster);
    let client = Client::new(cluster.bootstrap());
    let (gone, kept) = (
        created(&transport, "gone", 1),
        created(&transport, "kept", 1),
    );
    let mut consumer = reading(&transport, &[(at(&gone, 0), 0), (at(&kept, 0), 0)]);
    write(&client, &gone, 0, &["1"]);
    until("it has been read", || {
        poll(&mut *consumer).iter().any(|f| !f.records.is_empty())
    });
    admin(&transport).delete_topics(&[&gone]).unwrap();
    let mut told = None;
    until("the reader is told", || {
        let polled = consumer.poll(Duration::from_millis(100), 100, &mut Vec::new());
        told = polled.err();
        told.is_some()
    });
    assert!(
        matches!(&told, Some(TransportError::UnknownTopic(topic)) if **topic == *gone),
        "{told:?}"
    );
    // Once it is let go, the other one is read as before.
    consumer.unassign(&[at(&gone, 0)]);
    write(&client, &kept, 0, &["2"]);
    let mut values = Vec::new();
    until("the other one is read", || {
        values.extend(poll(&mut *consumer).iter().flat_map(texts));
        !values.is_empty()
    });
    assert_eq!(values, ["2"]);
}

fn refused(cluster: &Cluster) {
    let transport = transport(cluster);
    let mut admin = admin(&transport);
    let name = unique("refused");
    let topic = |key: &str, value: &str| TopicInfo {
        name: name.clone(),
        partitions: 1,
        config: [(key.to_owned(), value.to_owned())].into(),
    };
    for (info, replicas, words) in [
        (topic("retention.ms", "soon"), None, "retention.ms"),
        (topic("no.such.setting", "1"), None, "no.such.setting"),
        (topic("retention.ms", "1"), Some(7), "replication"),
    ] {
        let error = admin.create_replicated(&info, replicas).unwrap_err();
        assert!(
            matches!(&error, TransportError::InvalidTopic { topic, .. } if *topic == name),
            "{error:?}"
        );
        let text = error.to_string().to_lowercase();
        assert!(text.contains(words) && text.contains(&name), "{text}");
    }
    assert_eq!(admin.describe_topics(&[&name]).unwrap(), [None]);
    // Before the end of what is there, and only there, records can be deleted.
    let compacted = topic("cleanup.policy", "compact");
    admin.create_topic(&compacted).unwrap();
    let beyond = admin.delete_records(&[(TopicPartition::new(&*name, 0), 5)]);
    let text = beyond.unwrap_err().to_string();
    assert!(text.contains(&name), "{text}");
}

fn away() {
    let cluster = Options::default().start().unwrap();
    let transport = transport(&cluster);
    let client = Client::new(cluster.bootstrap());
    let topic = created(&transport, "away", 1);
    write(&client, &topic, 0, &["1"]);
    let mut admin = admin(&transport);
    let mut consumer = reading(&transport, &[(at(&topic, 0), 0)]);
    assert_eq!(read(&mut *consumer).0, ["1"]);
    cluster.kill(0).unwrap();
    // Nothing to read is no error: who has to commit finds out.
    assert!(poll(&mut *consumer).is_empty());
    let asked = admin.offsets(&[at(&topic, 0)]).unwrap_err();
    assert!(matches!(asked, TransportError::Retriable(_)), "{asked:?}");
    let broker = cluster.bootstrap();
    assert!(asked.to_string().contains(&broker), "{asked}");
    cluster.restart(0).unwrap();
    write(&client, &topic, 0, &["2"]);
    let mut values = Vec::new();
    until("it is read", || {
        values.extend(poll(&mut *consumer).iter().flat_map(texts));
        !values.is_empty()
    });
    assert_eq!(values, ["2"]);
    until("it is answered", || admin.offsets(&[at(&topic, 0)]).is_ok());
}

fn absent() {
    // A port that nobody listens at, as it is given back at once.
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let address = format!("127.0.0.1:{port}");
    let transport = KafkaTransport::new(&StreamsConfig::kafka(&address)).unwrap();
    let begin = Instant::now();
    let mut admin = admin(&transport);
    let partition = TopicPartition::new("any", 0);
    let assigned = transport
        .consumer("test-consumer")
        .unwrap()
        .assign(&[(partition.clone(), 0)]);
    for error in [
        admin.describe_topics(&["any"]).unwrap_err(),
        admin.list_topics().unwrap_err(),
        admin.describe_log().unwrap_err(),
        assigned.unwrap_err(),
    ] {
        assert!(matches!(error, TransportError::Retriable(_)), "{error:?}");
        assert!(error.to_string().contains(&address), "{error}");
    }
    assert!(begin.elapsed() < PATIENCE * 2);
}

fn wrong_credentials() {
    let cluster = Options::default().user("alice", "right").start().unwrap();
    let log_in = |password: &str| {
        let mut config = StreamsConfig::kafka(cluster.sasl_bootstrap().unwrap());
        for (key, value) in [
            ("security.protocol", "SASL_PLAINTEXT"),
            ("sasl.mechanism", "PLAIN"),
            ("sasl.username", "alice"),
            ("sasl.password", password),
        ] {
            config.set(key, value).unwrap();
        }
        KafkaTransport::new(&config).unwrap()
    };
    let right = log_in("right");
    let topic = created(&right, "credentials", 1);
    let mut consumer = reading(&right, &[(at(&topic, 0), 0)]);
    assert_eq!(read(&mut *consumer), (vec![], 0));

    let wrong = log_in("wrong");
    let mut admin = admin(&wrong);
    let info = TopicInfo {
        name: unique("refused"),
        partitions: 1,
        config: std::collections::BTreeMap::new(),
    };
    let mut consumer = wrong.consumer("test-consumer").unwrap();
    for error in [
        admin.describe_topics(&["any"]).unwrap_err(),
        admin.create_topic(&info).unwrap_err(),
        admin.describe_log().unwrap_err(),
        admin.committed("any", &[at(&topic, 0)]).unwrap_err(),
        consumer.assign(&[(at(&topic, 0), 0)]).unwrap_err(),
    ] {
        assert!(
            matches!(error, TransportError::Unauthenticated(_)),
            "{error:?}"
        );
        assert!(error.to_string().contains("uthentication"), "{error}");
        assert!(!error.to_string().contains("wrong"), "{error}");
    }
}

fn one_of_three() {
    let cluster = Options::brokers(3).start().unwrap();
    let transport = transport(&cluster);
    let client = Client::new(cluster.bootstrap());
    // Made at one broker, read at once through others.
    for _ in 0..5 {
        let topic = created(&transport, "three", 3);
        let all: Vec<_> = (0..3).map(|p| (at(&topic, p), 0)).collect();
        let mut consumer = reading(&transport, &all);
        poll(&mut *consumer);
    }
    let topic = created(&transport, "three", 3);
    let all: Vec<_> = (0..3).map(|p| (at(&topic, p), 0)).collect();
    let mut consumer = reading(&transport, &all);
    let mut seen = 0;
    for broker in 0..3 {
        cluster.kill(broker).unwrap();
        for partition in 0..3 {
            write(&client, &topic, partition, &["v"]);
        }
        seen += 3;
        let mut count = 0;
        until("all partitions are read", || {
            count += poll(&mut *consumer)
                .iter()
                .map(|f| f.records.len())
                .sum::<usize>();
            count >= 3
        });
        assert_eq!(count, 3);
        let all: Vec<_> = (0..3).map(|p| at(&topic, p)).collect();
        let mut admin = admin(&transport);
        until("the ends are told", || {
            admin
                .offsets(&all)
                .is_ok_and(|ends| ends.iter().map(|r| r.end).sum::<i64>() == seen)
        });
        cluster.restart(broker).unwrap();
    }
}
