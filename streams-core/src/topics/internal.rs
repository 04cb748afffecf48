//! Layer 4. The topics that an application owns: Kafka Streams' settings for them, and which settings of existing ones lose
//! data.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::StreamsConfig;
use crate::error::TopologyError;
use crate::topology::{Changelog, StoreDescriptor, StoreKind, TopicRole, TopologyDescriptor};
use crate::transport::TopicInfo;

const CHANGELOG: &[(&str, &str)] = &[
    ("cleanup.policy", "compact"),
    ("message.timestamp.type", "CreateTime"),
];

const REPARTITION: &[(&str, &str)] = &[
    ("cleanup.policy", "delete"),
    ("message.timestamp.type", "CreateTime"),
    // Nothing goes by age; what was processed is deleted by offset (`repartition.purge.interval.ms`).
    ("retention.ms", "-1"),
    ("segment.bytes", "52428800"),
];

/// `windowstore.changelog.additional.retention.ms` of Kafka Streams; fixed for versioned stores there.
const ADDITIONAL_RETENTION_MS: i64 = 24 * 60 * 60 * 1000;

/// The settings of a topic that is ours: Kafka Streams', `topic.…` of the configuration over them, the store's own over both.
pub(super) fn settings(
    descriptor: &TopologyDescriptor,
    topic: usize,
    config: &StreamsConfig,
) -> BTreeMap<String, String> {
    let owned = |(k, v): &(&str, &str)| ((*k).to_owned(), (*v).to_owned());
    let role = descriptor.topics.get(topic).map(|t| t.role);
    let library = match role {
        Some(TopicRole::Changelog) => CHANGELOG,
        Some(TopicRole::Repartition) => REPARTITION,
        _ => return BTreeMap::new(),
    };
    let mut all: BTreeMap<String, String> = library.iter().map(owned).collect();
    let logged = |s: &&StoreDescriptor| s.changelog == Changelog::Internal(topic);
    if let Some(store) = descriptor.stores.iter().find(logged) {
        all.extend(of_kind(store.kind));
    }
    if let Some(store) = descriptor.stores.iter().find(logged)
        && let Some(retention) = store.kind.retention_ms()
    {
        let policy = match store.kind {
            // Each value has a key of its own.
            StoreKind::Window {
                duplicates: true, ..
            } => "delete",
            _ => "compact,delete",
        };
        all.insert("cleanup.policy".to_owned(), policy.to_owned());
        let more = config.window_changelog_additional_retention.as_millis();
        let more = i64::try_from(more).unwrap_or(i64::MAX);
        let retention = retention.saturating_add(more).to_string();
        all.insert("retention.ms".to_owned(), retention);
    }
    all.extend(config.topic_config.clone());
    let stores = descriptor.stores.iter();
    for store in stores.filter(|s| s.changelog == Changelog::Internal(topic)) {
        all.extend(store.changelog_config.iter().map(owned));
    }
    all
}

/// What a changelog needs for its store's sake.
fn of_kind(kind: StoreKind) -> Option<(String, String)> {
    match kind {
        // A compaction would take away the past that a restore needs. A day is for clocks that disagree, as in Kafka Streams.
        StoreKind::Versioned { retention } => {
            let lag = retention.saturating_add(ADDITIONAL_RETENTION_MS);
            Some(("min.compaction.lag.ms".to_owned(), lag.to_string()))
        }
        _ => None,
    }
}

/// What is wrong with a topic of ours that is there.
pub(super) fn problems(
    role: TopicRole,
    wanted: &TopicInfo,
    found: &TopicInfo,
) -> Vec<TopologyError> {
    let mut problems = Vec::new();
    if wanted.partitions > 0 && found.partitions != wanted.partitions {
        problems.push(TopologyError::InternalTopic {
            topic: wanted.name.clone(),
            expected: wanted.partitions,
            actual: found.partitions,
        });
    }
    let kept = match role {
        TopicRole::Changelog => "the oldest keys of a store",
        _ => "records that are not processed yet",
    };
    let mut check = |key: &'static str, default: &str, what: &'static str, fits: Fits| {
        let Some(actual) = found.config.get(key) else {
            return;
        };
        let expected = wanted.config.get(key).map_or(default, String::as_str);
        if !fits(expected, actual) {
            problems.push(TopologyError::InternalTopicConfig {
                topic: wanted.name.clone(),
                key,
                expected: expected.to_owned(),
                actual: actual.clone(),
                what,
            });
        }
    };
    check("cleanup.policy", "delete", kept, same_words);
    check(
        "message.timestamp.type",
        "CreateTime",
        "the records' own timestamps",
        |expected, actual| expected == actual,
    );
    let policy = found.config.get("cleanup.policy");
    let deletes = policy.is_none_or(|p| words(p).contains("delete"));
    if deletes {
        check("retention.ms", "-1", kept, keeps_as_long);
        check("retention.bytes", "-1", kept, keeps_as_long);
    }
    problems
}

/// Whether an actual value will do for the expected one.
type Fits = fn(&str, &str) -> bool;

fn words(policy: &str) -> BTreeSet<&str> {
    policy.split(',').map(str::trim).collect()
}

fn same_words(expected: &str, actual: &str) -> bool {
    words(expected) == words(actual)
}

/// -1 is for ever. What is no number is the log's to judge.
fn keeps_as_long(expected: &str, actual: &str) -> bool {
    match (expected.trim().parse::<i64>(), actual.trim().parse::<i64>()) {
        (_, Ok(-1)) => true,
        (Ok(-1), Ok(_)) => false,
        (Ok(expected), Ok(actual)) => actual >= expected,
        _ => true,
    }
}
