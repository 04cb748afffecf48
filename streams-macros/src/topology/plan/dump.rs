//! The plan as text and as Mermaid, for snapshot tests: a change of the graph shows in review.

use std::fmt::Write as _;

#[cfg(test)]
use super::Changelog;
use super::Plan;
use super::describe::DescribedKind;
#[cfg(test)]
use crate::topology::parse::Partitions;

impl Plan<'_> {
    /// Everything that was decided, line by line.
    #[cfg(test)]
    pub(crate) fn to_text(&self) -> String {
        let mut out = format!("application {}\n", self.application_id);
        for (index, topic) in self.topics.iter().enumerate() {
            let partitions = match topic.partitions {
                Some(Partitions::Literal(n, _)) => format!(", {n} partitions"),
                Some(other) => format!(", {} partitions", quote::ToTokens::to_token_stream(other)),
                None => String::new(),
            };
            let _ = writeln!(
                out,
                "topic {index} {} ({:?}{partitions})",
                topic.name, topic.role
            );
        }
        for (index, store) in self.stores.iter().enumerate() {
            let changelog = match store.changelog {
                Changelog::None => "not logged".to_owned(),
                Changelog::Internal(topic) => format!("logged to topic {topic}"),
                Changelog::Source(topic) => format!("restored from source topic {topic}"),
            };
            let cache = if store.cache { "cached" } else { "not cached" };
            let _ = writeln!(
                out,
                "store {index} {} ({:?}, {cache}, {changelog})",
                store.name, store.backend
            );
        }
        for global in &self.globals {
            let name = &self.topology.node(global.node).name;
            let _ = writeln!(
                out,
                "global {name}: topic {}, store {}",
                global.topic, global.store
            );
        }
        for (index, sub) in self.subtopologies.iter().enumerate() {
            let _ = writeln!(out, "sub-topology {index}: {}", self.summary(index));
            for (number, source) in sub.sources.iter().enumerate() {
                let _ = writeln!(
                    out,
                    "  source {number} {} reads topic {}",
                    source.name, source.topic
                );
            }
            for node in &sub.nodes {
                let kind = match &node.kind {
                    DescribedKind::Source(topics) => format!("source {topics:?}"),
                    DescribedKind::Processor(operator) => operator.clone(),
                    DescribedKind::Sink(topic) => format!("sink [{topic}]"),
                    DescribedKind::SinkPerRecord(topics) => format!("sink per record {topics:?}"),
                };
                let stores = if node.stores.is_empty() {
                    String::new()
                } else {
                    format!(" stores {}", node.stores.join(", "))
                };
                let children = if node.children.is_empty() {
                    String::new()
                } else {
                    format!(" -> {}", node.children.join(", "))
                };
                let _ = writeln!(out, "  {}: {kind}{stores}{children}", node.name);
            }
            for group in &sub.copartitioned {
                let _ = writeln!(out, "  co-partitioned: topics {group:?}");
            }
        }
        out
    }

    /// The same graph as a picture.
    #[cfg(test)]
    pub(crate) fn to_mermaid(&self) -> String {
        let mut out = String::from("flowchart TB\n");
        for (index, sub) in self.subtopologies.iter().enumerate() {
            let _ = writeln!(out, "  subgraph sub{index}[Sub-topology {index}]");
            for node in &sub.nodes {
                let _ = writeln!(out, "    {index}.{}[{}]", node.name, node.name);
            }
            for node in &sub.nodes {
                for child in &node.children {
                    let _ = writeln!(out, "    {index}.{} --> {index}.{child}", node.name);
                }
            }
            out.push_str("  end\n");
        }
        out
    }

    /// "orders, customers -> enriched, large": what a sub-topology reads and writes.
    pub(crate) fn summary(&self, index: usize) -> String {
        let sub = &self.subtopologies[index];
        let reads: Vec<&str> = sub
            .sources
            .iter()
            .map(|source| self.topics[source.topic].name.as_str())
            .collect();
        let mut writes: Vec<&str> = Vec::new();
        for node in &sub.nodes {
            let topics: &[usize] = match &node.kind {
                DescribedKind::Sink(topic) => std::slice::from_ref(topic),
                DescribedKind::SinkPerRecord(topics) => topics,
                DescribedKind::Source(_) | DescribedKind::Processor(_) => &[],
            };
            writes.extend(topics.iter().map(|topic| self.topics[*topic].name.as_str()));
        }
        let stores: Vec<&str> = sub
            .stores
            .iter()
            .map(|store| self.stores[*store].name.as_str())
            .collect();
        let mut out = reads.join(", ");
        if !stores.is_empty() {
            let _ = write!(out, ", stores {}", stores.join(", "));
        }
        if !writes.is_empty() {
            let _ = write!(out, " -> {}", writes.join(", "));
        }
        out
    }
}
