//! Tests of the resolution of topics.

use super::*;
use crate::topology::{NodeDescriptor, OffsetReset, SourceDescriptor, TypeDescriptor};
use crate::transport::Transport;
use crate::transport::embedded::EmbeddedLog;

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
    stores: &[crate::topology::StoreDescriptor {
        name: "b",
        node: "b",
        kind: crate::topology::StoreKind::TimestampedKeyValue,
        backend: crate::topology::StoreBackend::Memory,
        cache: false,
        changelog: Changelog::Internal(3),
        key: TypeDescriptor::inferred(),
        value: TypeDescriptor::inferred(),
    }],
    subtopologies: &[
        SubtopologyDescriptor {
            sources: &[source(0)],
            stores: &[],
            nodes: &[sink(2)],
            copartitioned: &[],
        },
        SubtopologyDescriptor {
            sources: &[source(2), source(1)],
            stores: &[0],
            nodes: &[],
            copartitioned: &[&[2, 1]],
        },
    ],
    globals: &[],
};

/// a joined with table b, neither declared.
static JOIN: TopologyDescriptor = TopologyDescriptor {
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
    }],
    globals: &[],
};

fn on_log(
    descriptor: &'static TopologyDescriptor,
    topics: &[(&str, u32)],
) -> Result<Vec<u32>, String> {
    let mut admin = EmbeddedLog::in_memory().admin().unwrap();
    for (name, partitions) in topics {
        let config = BTreeMap::new();
        admin
            .create_topic(&TopicInfo {
                name: (*name).to_owned(),
                partitions: *partitions,
                config,
            })
            .unwrap();
    }
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

#[test]
fn joined_topics_of_different_counts_are_refused() {
    assert_eq!(on_log(&JOIN, &[("a", 4), ("b", 4)]), Ok(vec![4, 4]));
    let refused = on_log(&JOIN, &[("a", 4), ("b", 3)]).unwrap_err();
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
