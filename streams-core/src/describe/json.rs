//! Layer 1. A topology as JSON: the whole descriptor, for tools.

use serde_json::{Value, json};

use super::topic_name;
use crate::topology::{
    Changelog, NodeKind, OffsetReset, SinkTopic, StoreBackend, StoreFormat, StoreKind, TopicRole,
    TopologyDescriptor,
};

/// The topology as JSON. Internal topics are named without the application's prefix, as in the text.
#[must_use]
pub fn json(topology: &TopologyDescriptor) -> Value {
    json!({
        "name": topology.name,
        "application_id": topology.application_id,
        "topics": topology.topics.iter().map(|t| json!({
            "name": t.name,
            "role": role(t.role),
            "partitions": t.partitions,
            "key": t.key.name,
            "value": t.value.name,
        })).collect::<Vec<_>>(),
        "stores": topology.stores.iter().map(|s| json!({
            "name": s.name,
            "node": s.node,
            "kind": match s.kind {
                StoreKind::KeyValue => "key-value",
                StoreKind::TimestampedKeyValue => "timestamped-key-value",
                StoreKind::Versioned { .. } => "versioned-key-value",
                StoreKind::Window { .. } => "window",
                StoreKind::TimestampedWindow { .. } => "timestamped-window",
                StoreKind::Session { .. } => "session",
                StoreKind::JoinBuffer { .. } => "join-buffer",
                StoreKind::SuppressBuffer => "suppress-buffer",
            },
            "backend": match s.backend {
                StoreBackend::Lmdb => "lmdb",
                StoreBackend::Memory => "memory",
            },
            "format": match s.format {
                StoreFormat::Default | StoreFormat::Logged => "default",
                StoreFormat::Headers => "headers",
            },
            "cache": s.cache,
            "changelog": match s.changelog {
                Changelog::None => None,
                Changelog::Internal(topic) | Changelog::Source(topic) => Some(topic_name(topology, topic)),
            },
            "key": s.key.name,
            "value": s.value.name,
        })).collect::<Vec<_>>(),
        "subtopologies": topology.subtopologies.iter().enumerate().map(|(id, s)| json!({
            "id": id,
            "sources": s.sources.iter().map(|source| json!({
                "node": source.node,
                "topic": topic_name(topology, source.topic),
                "offset_reset": match source.offset_reset {
                    OffsetReset::Earliest => "earliest",
                    OffsetReset::Latest => "latest",
                    OffsetReset::None => "none",
                },
            })).collect::<Vec<_>>(),
            "copartitioned": s.copartitioned.iter()
                .map(|group| group.iter().map(|&t| topic_name(topology, t)).collect())
                .collect::<Vec<Vec<_>>>(),
            "nodes": s.nodes.iter().map(|n| {
                let mut node = json!({
                    "name": n.name,
                    "stores": n.stores,
                    "children": n.children,
                    "parents": n.parents,
                });
                kind(topology, &n.kind, &mut node);
                node
            }).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "globals": topology.globals.iter().map(|g| json!({
            "node": g.node,
            "topic": topic_name(topology, g.topic),
            "store": topology.stores.get(g.store).map(|s| s.name),
        })).collect::<Vec<_>>(),
    })
}

/// Adds what only this kind of node has.
fn kind(topology: &TopologyDescriptor, kind: &NodeKind, node: &mut Value) {
    let (name, field, value) = match kind {
        NodeKind::Source { topics } => ("source", "topics", topic_names(topology, topics)),
        NodeKind::Processor { operator } => ("processor", "operator", json!(operator)),
        NodeKind::Sink {
            topic: SinkTopic::Static(topic),
        } => ("sink", "topics", topic_names(topology, &[*topic])),
        NodeKind::Sink {
            topic: SinkTopic::PerRecord(topics),
        } => ("sink", "topics_per_record", topic_names(topology, topics)),
    };
    if let Value::Object(node) = node {
        node.insert("kind".to_owned(), json!(name));
        node.insert(field.to_owned(), value);
    }
}

fn topic_names(topology: &TopologyDescriptor, topics: &[usize]) -> Value {
    topics
        .iter()
        .map(|&t| topic_name(topology, t))
        .collect::<Vec<_>>()
        .into()
}

fn role(role: TopicRole) -> &'static str {
    match role {
        TopicRole::Source => "source",
        TopicRole::Sink => "sink",
        TopicRole::SourceAndSink => "source-and-sink",
        TopicRole::Repartition => "repartition",
        TopicRole::Changelog => "changelog",
    }
}
