//! Layer 1. A topology as a picture: one graph of topics, nodes and stores, written as Mermaid or as DOT.

use std::fmt::Write as _;

use super::{global_source, per_record, topic_name};
use crate::topology::{NodeKind, SinkTopic, TopologyDescriptor};

/// What a picture shows, by ids that both notations accept.
#[derive(Debug, Default)]
struct Picture {
    /// Topics that nodes read or write: id and name.
    topics: Vec<(String, String)>,
    /// A box for each sub-topology: title, nodes and stores.
    parts: Vec<Part>,
    /// From, to.
    edges: Vec<(String, String)>,
    /// Node and the store that it uses.
    uses: Vec<(String, String)>,
}

#[derive(Debug, Default)]
struct Part {
    title: String,
    nodes: Vec<(String, String)>,
    stores: Vec<(String, String)>,
}

/// The topology as a Mermaid flow chart, which code hosts and wikis render in place.
#[must_use]
pub fn mermaid(topology: &TopologyDescriptor) -> String {
    let picture = draw(topology);
    let mut out = String::from("flowchart TD\n");
    for (id, name) in &picture.topics {
        let _ = writeln!(out, "  {id}[/{}/]", quoted(name));
    }
    for (i, part) in picture.parts.iter().enumerate() {
        let _ = writeln!(out, "  subgraph part{i} [{}]", quoted(&part.title));
        for (id, name) in &part.nodes {
            let _ = writeln!(out, "    {id}[{}]", quoted(name));
        }
        for (id, name) in &part.stores {
            let _ = writeln!(out, "    {id}[({})]", quoted(name));
        }
        out.push_str("  end\n");
    }
    for (from, to) in &picture.edges {
        let _ = writeln!(out, "  {from} --> {to}");
    }
    for (node, store) in &picture.uses {
        let _ = writeln!(out, "  {node} -.- {store}");
    }
    out
}

/// The topology in Graphviz' language: `app describe --format dot | dot -Tsvg > topology.svg`.
#[must_use]
pub fn dot(topology: &TopologyDescriptor) -> String {
    let picture = draw(topology);
    let mut out = String::new();
    let _ = writeln!(
        out,
        "digraph {} {{\n  node [shape=box];",
        quoted(topology.application_id)
    );
    for (id, name) in &picture.topics {
        let _ = writeln!(out, "  {id} [label={}, shape=parallelogram];", quoted(name));
    }
    for (i, part) in picture.parts.iter().enumerate() {
        let _ = writeln!(
            out,
            "  subgraph cluster{i} {{\n    label={};",
            quoted(&part.title)
        );
        for (id, name) in &part.nodes {
            let _ = writeln!(out, "    {id} [label={}];", quoted(name));
        }
        for (id, name) in &part.stores {
            let _ = writeln!(out, "    {id} [label={}, shape=cylinder];", quoted(name));
        }
        out.push_str("  }\n");
    }
    for (from, to) in &picture.edges {
        let _ = writeln!(out, "  {from} -> {to};");
    }
    for (node, store) in &picture.uses {
        let _ = writeln!(out, "  {node} -> {store} [dir=none, style=dashed];");
    }
    out.push_str("}\n");
    out
}

/// Names are identifiers, topic names or Rust paths, none of which holds a quote; should one, it must not end the label.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "'"))
}

fn draw(topology: &TopologyDescriptor) -> Picture {
    let mut picture = Picture::default();
    for (id, subtopology) in topology.subtopologies.iter().enumerate() {
        let mut part = Part {
            title: format!("Sub-topology {id}"),
            ..Part::default()
        };
        let node_id = |name: &str| {
            let position = subtopology.nodes.iter().position(|n| n.name == name);
            position.map(|i| format!("n{id}_{i}"))
        };
        for node in subtopology.nodes {
            let Some(this) = node_id(node.name) else {
                continue;
            };
            part.nodes.push((this.clone(), node.name.to_owned()));
            for child in node.children {
                picture
                    .edges
                    .extend(node_id(child).map(|child| (this.clone(), child)));
            }
            for store in node.stores {
                let store_id = picture.store(topology, &mut part, store);
                picture.uses.push((this.clone(), store_id));
            }
            match node.kind {
                NodeKind::Source { topics } => {
                    for &topic in topics {
                        let topic = picture.topic(topic.to_string(), topic_name(topology, topic));
                        picture.edges.push((topic, this.clone()));
                    }
                }
                NodeKind::Processor { .. } => {}
                NodeKind::Sink {
                    topic: SinkTopic::Static(topic),
                } => {
                    let topic = picture.topic(topic.to_string(), topic_name(topology, topic));
                    picture.edges.push((this, topic));
                }
                NodeKind::Sink {
                    topic: SinkTopic::PerRecord(topics),
                } => {
                    let topic = picture.topic(format!("any_{this}"), &per_record(topology, topics));
                    picture.edges.push((this, topic));
                }
            }
        }
        picture.parts.push(part);
    }
    for (i, global) in topology.globals.iter().enumerate() {
        let id = topology.subtopologies.len() + i;
        let (source, node) = (format!("g{i}_source"), format!("g{i}"));
        let mut part = Part {
            title: format!("Sub-topology {id}, global: every instance has it whole"),
            ..Part::default()
        };
        part.nodes
            .push((source.clone(), global_source(global.node)));
        part.nodes.push((node.clone(), global.node.to_owned()));
        if let Some(store) = topology.stores.get(global.store) {
            let store = picture.store(topology, &mut part, store.name);
            picture.uses.push((node.clone(), store));
        }
        let topic = picture.topic(global.topic.to_string(), topic_name(topology, global.topic));
        picture.edges.push((topic, source.clone()));
        picture.edges.push((source, node));
        picture.parts.push(part);
    }
    picture
}

impl Picture {
    /// The id of a topic, which is drawn once.
    fn topic(&mut self, id: String, name: &str) -> String {
        let id = format!("t{id}");
        if !self.topics.iter().any(|(known, _)| *known == id) {
            self.topics.push((id.clone(), name.to_owned()));
        }
        id
    }

    /// The id of a store, which is drawn once, in the box of the first node that uses it.
    fn store(&mut self, topology: &TopologyDescriptor, part: &mut Part, name: &str) -> String {
        let index = topology
            .stores
            .iter()
            .position(|s| s.name == name)
            .unwrap_or_default();
        let id = format!("s{index}");
        if !self.uses.iter().any(|(_, known)| *known == id) {
            part.stores.push((id.clone(), name.to_owned()));
        }
        id
    }
}
