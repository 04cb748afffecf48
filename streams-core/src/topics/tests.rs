//! Tests of the resolution of topics.

use super::*;
use crate::topology::{
    NodeDescriptor, NodeKind, OffsetReset, SinkTopic, SourceDescriptor, SourceTimestamps,
    StoreBackend, StoreDescriptor, StoreFormat, StoreKind, TopicRole, TypeDescriptor,
};
use crate::transport::embedded::EmbeddedLog;
use crate::transport::{TopicInfo, Transport};

const fn topic(name: &'static str, role: TopicRole, partitions: Option<u32>) -> TopicDescriptor {
    let bytes = TypeDescriptor::inferred();
    TopicDescriptor {
        name,
        role,
        partitions,
        key: bytes,
        value: bytes,
    }
}

const fn source(topic: usize) -> SourceDescriptor {
    SourceDescriptor {
        node: "node",
        topic,
        offset_reset: OffsetReset::Earliest,
        timestamps: SourceTimestamps::Configured,
    }
}

const fn sink(topic: usize) -> NodeDescriptor {
    let kind = NodeKind::Sink {
        topic: SinkTopic::Static(topic),
    };
    NodeDescriptor {
        name: "sink",
        kind,
        stores: &[],
        children: &[],
        parents: &[],
    }
}

const STORE: StoreDescriptor = StoreDescriptor {
    name: "b",
    node: "b",
    kind: StoreKind::TimestampedKeyValue,
    backend: StoreBackend::Memory,
    format: StoreFormat::Default,
    cache: false,
    changelog: Changelog::None,
    changelog_config: &[],
    key: TypeDescriptor::inferred(),
    value: TypeDescriptor::inferred(),
};

/// a (not declared) -> a-repartition, joined with table b (not declared).
static REKEYED_JOIN: TopologyDescriptor = TopologyDescriptor {
    name: "App",
    application_id: "app",
    topics: &[
        topic("a", TopicRole::Source, None),
        topic("b", TopicRole::Source, None),
        topic("a-repartition", TopicRole::Repartition, None),
        topic("b-changelog", TopicRole::Changelog, None),
    ],
    stores: &[StoreDescriptor {
        changelog: Changelog::Internal(3),
        ..STORE
    }],
    subtopologies: &[
        SubtopologyDescriptor {
            sources: &[source(0)],
            stores: &[],
            nodes: &[sink(2)],
            copartitioned: &[],
            times: &[],
        },
        SubtopologyDescriptor {
            sources: &[source(2), source(1)],
            stores: &[0],
            nodes: &[],
            copartitioned: &[&[2, 1]],
            times: &[],
        },
    ],
    globals: &[],
};

/// a joined with table b, neither declared.
const JOIN: TopologyDescriptor = TopologyDescriptor {
    name: "App",
    application_id: "app",
    topics: &[
        topic("a", TopicRole::Source, None),
        topic("b", TopicRole::Source, None),
    ],
    stores: &[],
    subtopologies: &[SubtopologyDescriptor {
        sources: &[source(0), source(1)],
        stores: &[],
        nodes: &[],
        copartitioned: &[&[0, 1]],
        times: &[],
    }],
    globals: &[],
};

/// Name, partitions, settings.
type Described<'a> = (&'a str, u32, &'a [(&'a str, &'a str)]);

/// A log with these topics.
fn log_with(topics: &[Described<'_>]) -> Box<dyn Admin> {
    let mut admin = EmbeddedLog::in_memory().admin().unwrap();
    for (name, partitions, config) in topics {
        let config = config
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let topic = TopicInfo {
            name: (*name).to_owned(),
            partitions: *partitions,
            config: config.collect(),
        };
        admin.create_topic(&topic).unwrap();
    }
    admin
}

fn on_log(
    descriptor: &'static TopologyDescriptor,
    topics: &[(&str, u32)],
) -> Result<Vec<u32>, String> {
    let topics: Vec<_> = topics
        .iter()
        .map(|(name, n)| (*name, *n, &[][..]))
        .collect();
    let mut admin = log_with(&topics);
    let resolved = resolve(
        descriptor,
        &StreamsConfig::new(),
        &BTreeMap::new(),
        &mut *admin,
    );
    resolved
        .map(|r| r.partitions.to_vec())
        .map_err(|e| e.to_string())
}

#[test]
fn a_repartition_topic_takes_the_count_of_what_it_is_joined_with() {
    assert_eq!(
        on_log(&REKEYED_JOIN, &[("a", 7), ("b", 3)]),
        Ok(vec![7, 3, 3, 3])
    );
    assert_eq!(
        on_log(&REKEYED_JOIN, &[("a", 2), ("b", 5)]),
        Ok(vec![2, 5, 5, 5])
    );
}

static JOINED: TopologyDescriptor = JOIN;

#[test]
fn joined_topics_of_different_counts_are_refused() {
    assert_eq!(on_log(&JOINED, &[("a", 4), ("b", 4)]), Ok(vec![4, 4]));
    let refused = on_log(&JOINED, &[("a", 4), ("b", 3)]).unwrap_err();
    assert!(
        refused.contains("`a` (4 partitions), `b` (3 partitions)") && refused.contains("KS03"),
        "{refused}"
    );
}

#[test]
fn internal_topics_have_kafka_streams_settings_and_keep_them() {
    let log = EmbeddedLog::in_memory();
    let mut admin = log.admin().unwrap();
    for name in ["a", "b"] {
        let (name, config) = (name.to_owned(), BTreeMap::new());
        admin
            .create_topic(&TopicInfo {
                name,
                partitions: 1,
                config,
            })
            .unwrap();
    }
    let mut run = || {
        resolve(
            &REKEYED_JOIN,
            &StreamsConfig::new(),
            &BTreeMap::new(),
            &mut *admin,
        )
        .map(|_| ())
    };
    run().unwrap();
    run().unwrap();
    let topics = admin
        .describe_topics(&["app-a-repartition", "app-b-changelog"])
        .unwrap();
    let config = |n: usize, key: &str| {
        topics[n]
            .as_ref()
            .unwrap()
            .config
            .get(key)
            .cloned()
            .unwrap()
    };
    assert_eq!(
        (config(0, "retention.ms"), config(0, "cleanup.policy")),
        ("-1".to_owned(), "delete".to_owned())
    );
    assert_eq!(config(0, "segment.bytes"), "52428800");
    assert_eq!(config(1, "cleanup.policy"), "compact");

    let mut admin = EmbeddedLog::in_memory().admin().unwrap();
    for (name, policy) in [
        ("a", "delete"),
        ("b", "delete"),
        ("app-b-changelog", "delete"),
    ] {
        let config = BTreeMap::from([("cleanup.policy".to_owned(), policy.to_owned())]);
        admin
            .create_topic(&TopicInfo {
                name: name.to_owned(),
                partitions: 1,
                config,
            })
            .unwrap();
    }
    let refused = resolve(
        &REKEYED_JOIN,
        &StreamsConfig::new(),
        &BTreeMap::new(),
        &mut *admin,
    )
    .unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("loses the oldest keys of a store"),
        "{refused}"
    );
}

#[test]
fn everything_that_does_not_fit_is_told_at_once() {
    static DECLARED: TopologyDescriptor = TopologyDescriptor {
        topics: &[
            topic("a", TopicRole::Source, Some(4)),
            topic("b", TopicRole::Source, Some(4)),
            topic("c", TopicRole::Sink, Some(2)),
            topic("s-changelog", TopicRole::Changelog, None),
        ],
        stores: &[StoreDescriptor {
            changelog: Changelog::Internal(3),
            ..STORE
        }],
        subtopologies: &[SubtopologyDescriptor {
            sources: &[source(0), source(1)],
            stores: &[0],
            nodes: &[sink(2)],
            copartitioned: &[&[0, 1]],
            times: &[],
        }],
        ..JOIN
    };
    let changelog = [("cleanup.policy", "compact,delete"), ("retention.ms", "1")];
    let mut admin = log_with(&[("b", 3, &[]), ("app-s-changelog", 9, &changelog)]);
    let config = StreamsConfig::new();
    let error = resolve(&DECLARED, &config, &BTreeMap::new(), &mut *admin).unwrap_err();
    let Error::Topology(TopologyError::Several { problems }) = &error else {
        panic!("{error:?}");
    };
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let expected = [
        "topic `a`, read by `node`, does not exist",
        "topic `b` has 3 partitions, but the topology declares `partitions = 4`",
        "topic `c`, written by the topology, does not exist",
        "internal topic `app-s-changelog` has 9 partitions, but the topology needs 4",
        "internal topic `app-s-changelog` has `cleanup.policy=compact,delete`",
        "internal topic `app-s-changelog` has `retention.ms=1`",
        "co-partitioning: `a` (4 partitions), `b` (3 partitions)",
    ];
    assert_eq!(texts.len(), expected.len(), "{texts:#?}");
    for (text, expected) in texts.iter().zip(expected) {
        assert!(text.starts_with(expected), "{text}");
    }
    assert_eq!(error.to_string().matches("\n  - ").count(), expected.len());
    // Nothing was made meanwhile.
    assert_eq!(admin.list_topics().unwrap().len(), 2);
    // What may be created is no problem.
    let config = config.create_topics(true);
    let checked = check(&DECLARED, &config, &mut *admin).unwrap();
    assert_eq!(checked.problems().count(), expected.len());
    let mut admin = log_with(&[]);
    let resolved = resolve(&DECLARED, &config, &BTreeMap::new(), &mut *admin).unwrap();
    assert_eq!(resolved.partitions.to_vec(), [4, 4, 2, 4]);
}

#[test]
fn the_stores_own_settings_win_over_the_configuration_and_that_over_the_library() {
    static OWN: TopologyDescriptor = TopologyDescriptor {
        topics: &[
            topic("a", TopicRole::Source, None),
            topic("s-changelog", TopicRole::Changelog, None),
            topic("r-repartition", TopicRole::Repartition, None),
        ],
        stores: &[StoreDescriptor {
            changelog: Changelog::Internal(1),
            changelog_config: &[("segment.ms", "3"), ("cleanup.policy", "compact,delete")],
            ..STORE
        }],
        subtopologies: &[SubtopologyDescriptor {
            sources: &[source(0)],
            stores: &[0],
            nodes: &[sink(2)],
            copartitioned: &[],
            times: &[],
        }],
        ..JOIN
    };
    let config = StreamsConfig::new()
        .with("topic.segment.ms", "2")
        .and_then(|c| c.with("topic.segment.bytes", "1000"))
        .unwrap();
    let mut admin = log_with(&[("a", 1, &[])]);
    for _ in 0..2 {
        // The second run finds what the first one made.
        resolve(&OWN, &config, &BTreeMap::new(), &mut *admin).unwrap();
    }
    let topics = admin
        .describe_topics(&["app-s-changelog", "app-r-repartition"])
        .unwrap();
    let config = |n: usize| topics[n].as_ref().unwrap().config.clone();
    let of = |pairs: &[(&str, &str)]| {
        let pairs = pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        pairs.collect::<BTreeMap<_, _>>()
    };
    let changelog = of(&[
        ("cleanup.policy", "compact,delete"),
        ("message.timestamp.type", "CreateTime"),
        ("segment.bytes", "1000"),
        ("segment.ms", "3"),
    ]);
    assert_eq!(config(0), changelog);
    let repartition = of(&[
        ("cleanup.policy", "delete"),
        ("message.timestamp.type", "CreateTime"),
        ("retention.ms", "-1"),
        ("segment.bytes", "1000"),
        ("segment.ms", "2"),
    ]);
    assert_eq!(config(1), repartition);
}

#[test]
fn a_repartition_topic_that_is_compacted_or_ages_is_refused() {
    for (key, value) in [("cleanup.policy", "compact"), ("retention.ms", "1000")] {
        let settings = [(key, value)];
        let mut admin = log_with(&[
            ("a", 1, &[]),
            ("b", 1, &[]),
            ("app-a-repartition", 1, &settings),
        ]);
        let config = StreamsConfig::new();
        let refused = resolve(&REKEYED_JOIN, &config, &BTreeMap::new(), &mut *admin).unwrap_err();
        let refused = refused.to_string();
        assert!(refused.contains(&format!("`{key}={value}`")), "{refused}");
        assert!(refused.contains("KS0307"), "{refused}");
    }
}
