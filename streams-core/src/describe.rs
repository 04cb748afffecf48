//! Layer 1. A topology as a person reads it: Kafka's own `describe()` text, Mermaid, DOT and JSON. Uses `topology` only.

mod json;
mod order;
mod picture;

use std::fmt::Write as _;

use crate::topology::{NodeDescriptor, NodeKind, SinkTopic, TopologyDescriptor};

pub use json::json;
pub use picture::{dot, mermaid};

/// What Kafka Streams' `Topology.describe().toString()` prints, to the last blank: tools that read it (and tests that
/// compare it) work unchanged. As there, internal topics lack the application's prefix.
#[must_use]
pub fn text(topology: &TopologyDescriptor) -> String {
    let mut out = String::from("Topologies:\n ");
    for (id, subtopology) in topology.subtopologies.iter().enumerate() {
        // Writing to a `String` cannot fail, here and below.
        let _ = writeln!(out, "  Sub-topology: {id}");
        let ordered = order::nodes(subtopology.nodes);
        for node in &ordered {
            write_node(&mut out, topology, node);
        }
        out.push('\n');
    }
    for (i, global) in topology.globals.iter().enumerate() {
        let id = topology.subtopologies.len() + i;
        let (node, source) = (global.node, global_source(global.node));
        let topic = topic_name(topology, global.topic);
        let store = topology.stores.get(global.store).map_or("", |s| s.name);
        let _ = write!(
            out,
            "  Sub-topology: {id} for global store (will not generate tasks)\n    \
             Source: {source} (topics: [{topic}])\n      --> {node}\n    \
             Processor: {node} (stores: [{store}])\n      --> none\n      <-- {source}\n"
        );
    }
    out
}

/// The source node before a global table's processor, named as Kafka Streams derives it.
fn global_source(node: &str) -> String {
    format!("{node}-source")
}

fn write_node(out: &mut String, topology: &TopologyDescriptor, node: &order::Ordered<'_>) {
    let NodeDescriptor {
        name, kind, stores, ..
    } = node.node;
    let (children, parents) = (names(&node.children), names(&node.parents));
    let _ = match kind {
        NodeKind::Source { topics } => {
            let topics: Vec<&str> = topics.iter().map(|&t| topic_name(topology, t)).collect();
            let topics = order::java_set(&topics).join(", ");
            writeln!(
                out,
                "    Source: {name} (topics: [{topics}])\n      --> {children}"
            )
        }
        NodeKind::Processor { .. } => {
            let stores = order::java_set(stores).join(", ");
            writeln!(
                out,
                "    Processor: {name} (stores: [{stores}])\n      --> {children}\n      <-- {parents}"
            )
        }
        NodeKind::Sink { topic } => {
            let topic = match topic {
                SinkTopic::Static(topic) => format!("topic: {}", topic_name(topology, *topic)),
                SinkTopic::PerRecord(topics) => {
                    format!("extractor class: {}", per_record(topology, topics))
                }
            };
            writeln!(out, "    Sink: {name} ({topic})\n      <-- {parents}")
        }
    };
}

fn names(names: &[&str]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

/// The name of a topic; empty for an index that is not there, which the macro never emits.
fn topic_name(topology: &TopologyDescriptor, index: usize) -> &'static str {
    topology.topics.get(index).map_or("", |t| t.name)
}

/// What stands for the topic of a sink that chooses per record: the declared topics, if there are any.
fn per_record(topology: &TopologyDescriptor, topics: &[usize]) -> String {
    if topics.is_empty() {
        return "any topic".to_owned();
    }
    let names: Vec<&str> = topics.iter().map(|&t| topic_name(topology, t)).collect();
    names.join(" | ")
}
