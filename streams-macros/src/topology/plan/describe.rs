//! The nodes as Kafka Streams would describe them: one per operator, with sources, sinks and the three nodes of a repartition.

use std::collections::BTreeMap;

use super::super::kinds::{Shape, State};
use super::super::model::{Chain, Node, NodeId, Op, Origin};
use super::{Internal, Plan, SinkPlan, facts};
use crate::topology::parse::SinkTopic;

/// A node of the description.
#[derive(Debug, Clone)]
pub(crate) struct DescribedNode {
    pub(crate) name: String,
    pub(crate) kind: DescribedKind,
    pub(crate) stores: Vec<String>,
    pub(crate) children: Vec<String>,
    pub(crate) parents: Vec<String>,
}

#[derive(Debug, Clone)]
pub(crate) enum DescribedKind {
    /// Topics by index.
    Source(Vec<usize>),
    /// The operator's name.
    Processor(String),
    /// Always this topic.
    Sink(usize),
    /// One of these, chosen per record.
    SinkPerRecord(Vec<usize>),
}

/// Nodes under construction: each with its sub-topology, links by index.
#[derive(Default)]
struct Graph {
    nodes: Vec<(DescribedNode, usize)>,
    links: Vec<(usize, usize)>,
}

impl Graph {
    fn add(&mut self, sub: usize, name: String, kind: DescribedKind, stores: Vec<String>) -> usize {
        let node = DescribedNode {
            name,
            kind,
            stores,
            children: Vec::new(),
            parents: Vec::new(),
        };
        self.nodes.push((node, sub));
        self.nodes.len() - 1
    }
}

/// Describes every node, each sub-topology in topological order.
pub(super) fn nodes(plan: &mut Plan<'_>, internal: &Internal) {
    let mut graph = Graph::default();
    // Where each field's records enter (its chain's first node, its merges) and leave.
    let mut ends: BTreeMap<NodeId, Ends> = BTreeMap::new();
    for node in &plan.topology.nodes {
        if let Some(end) = node_ends(plan, internal, &mut graph, node) {
            ends.insert(node.id, end);
        }
    }
    // A node's own sinks come before what other fields derive from it.
    for node in &plan.topology.nodes {
        let Some(end) = ends.get(&node.id) else {
            continue;
        };
        let (exit, home) = (end.exit, plan.home(node.id).unwrap_or_default());
        for (number, sink) in plan.node(node.id).sinks.iter().enumerate() {
            let sink = graph.add(home, sink_name(node, number), sink_kind(sink), Vec::new());
            if let Some(exit) = exit {
                graph.links.push((exit, sink));
            }
        }
    }
    for edge in &plan.topology.edges {
        let from = ends.get(&edge.from).and_then(|end| end.exit);
        let to = ends.get(&edge.to).and_then(|end| match edge.op {
            None => end.entry,
            Some(op) => end.merges.get(&op).copied(),
        });
        if let (Some(from), Some(to)) = (from, to) {
            graph.links.push((from, to));
        }
    }
    for sub in 0..plan.subtopologies.len() {
        plan.subtopologies[sub].nodes = in_order(&graph, sub);
    }
}

/// `enriched-sink`, `enriched-sink-2`.
fn sink_name(node: &Node, number: usize) -> String {
    let name = facts::plain(&node.name);
    match number {
        0 => format!("{name}-sink"),
        n => format!("{name}-sink-{}", n + 1),
    }
}

fn sink_kind(sink: &SinkPlan<'_>) -> DescribedKind {
    match &sink.sink.topic {
        SinkTopic::Static(_) => {
            DescribedKind::Sink(sink.topics.first().copied().unwrap_or_default())
        }
        SinkTopic::PerRecord(..) => DescribedKind::SinkPerRecord(sink.topics.clone()),
    }
}

#[derive(Default)]
struct Ends {
    entry: Option<usize>,
    exit: Option<usize>,
    merges: BTreeMap<usize, usize>,
}

fn node_ends(plan: &Plan<'_>, internal: &Internal, graph: &mut Graph, node: &Node) -> Option<Ends> {
    let parts = &plan.node(node.id).parts;
    let own_store: Vec<String> = plan
        .node(node.id)
        .store
        .map(|store| plan.stores[store].name.clone())
        .into_iter()
        .collect();
    match &node.origin {
        Origin::Source(source) => {
            let sub = *parts.first()?;
            let topics = source
                .topics
                .iter()
                .map(|topic| super::topic_index(plan, &topic.value()))
                .collect();
            let kind = DescribedKind::Source(topics);
            let mut exit = graph.add(sub, facts::source_node_name(node), kind, Vec::new());
            if node.shape == Shape::Table {
                let kind = DescribedKind::Processor("table".to_owned());
                let table = graph.add(sub, facts::plain(&node.name), kind, own_store);
                graph.links.push((exit, table));
                exit = table;
            }
            Some(Ends {
                entry: None,
                exit: Some(exit),
                merges: BTreeMap::new(),
            })
        }
        Origin::Derived(chain) => Some(chain_ends(plan, internal, graph, node, chain, &own_store)),
        Origin::Shared | Origin::Poisoned => None,
    }
}

fn chain_ends(
    plan: &Plan<'_>,
    internal: &Internal,
    graph: &mut Graph,
    node: &Node,
    chain: &Chain,
    own_store: &[String],
) -> Ends {
    let parts = &plan.node(node.id).parts;
    let mut ends = Ends::default();
    let mut part = 0;
    let names = operator_names(node, chain);
    for (position, op) in chain.ops.iter().enumerate() {
        let sub = |part: usize| parts.get(part).copied().unwrap_or_default();
        if let Some(topic) = internal.get(&(node.id, position)) {
            let name = &plan.topics[*topic].name;
            let kind = DescribedKind::Processor("filter".to_owned());
            let filter = graph.add(sub(part), format!("{name}-filter"), kind, Vec::new());
            chain_link(graph, &mut ends, filter);
            let sink = graph.add(
                sub(part),
                format!("{name}-sink"),
                DescribedKind::Sink(*topic),
                Vec::new(),
            );
            graph.links.push((filter, sink));
            part += 1;
            let kind = DescribedKind::Source(vec![*topic]);
            ends.exit = Some(graph.add(sub(part), format!("{name}-source"), kind, Vec::new()));
        }
        let Some(name) = &names[position] else {
            continue;
        };
        let stores = op_stores(plan, op, position, chain, own_store);
        let kind = DescribedKind::Processor(op.name.to_string());
        let index = graph.add(sub(part), name.clone(), kind, stores);
        chain_link(graph, &mut ends, index);
        if op.is("merge") {
            ends.merges.insert(position, index);
        }
    }
    if chain.ops.is_empty() {
        let kind = DescribedKind::Processor("from".to_owned());
        let sub = parts.first().copied().unwrap_or_default();
        let index = graph.add(sub, facts::plain(&node.name), kind, Vec::new());
        chain_link(graph, &mut ends, index);
    }
    ends
}

/// Appends a node to the chain.
fn chain_link(graph: &mut Graph, ends: &mut Ends, index: usize) {
    match ends.exit {
        Some(exit) => graph.links.push((exit, index)),
        None => ends.entry = Some(index),
    }
    ends.exit = Some(index);
}

/// The last operator has the field's name, earlier ones `<field>-<operator>`, `<field>-<operator>-2`. `None` for what is no node
/// in Kafka Streams either: `group_by_key` and `repartition`.
pub(crate) fn operator_names(node: &Node, chain: &Chain) -> Vec<Option<String>> {
    let field = facts::plain(&node.name);
    let silent = |op: &Op| op.is("group_by_key") || op.is("repartition");
    let last = chain.ops.iter().rposition(|op| !silent(op));
    let mut used: BTreeMap<String, usize> = BTreeMap::new();
    chain
        .ops
        .iter()
        .enumerate()
        .map(|(position, op)| {
            if silent(op) {
                return None;
            }
            let own_name = op.known().is_some_and(|row| row.with.is_some());
            if own_name && let Some(name) = op.given_name() {
                return Some(name.value());
            }
            if Some(position) == last && position + 1 == chain.ops.len() {
                return Some(field.clone());
            }
            let count = used.entry(op.name.to_string()).or_default();
            *count += 1;
            Some(match *count {
                1 => format!("{field}-{}", op.name),
                n => format!("{field}-{}-{n}", op.name),
            })
        })
        .collect()
}

/// The stores that an operator uses. Global ones are not listed, as in Kafka Streams.
fn op_stores(
    plan: &Plan<'_>,
    op: &Op,
    position: usize,
    chain: &Chain,
    own_store: &[String],
) -> Vec<String> {
    match op.known().map(|row| row.state) {
        Some(State::Owns) => own_store.to_vec(),
        Some(State::OwnsIfMaterialized)
            if position + 1 == chain.ops.len() && chain.stateful().is_none() =>
        {
            own_store.to_vec()
        }
        Some(State::OfOther) => {
            let Some((_, Some(other))) = op.other else {
                return Vec::new();
            };
            if plan.topology.node(other).shape == Shape::GlobalTable {
                return Vec::new();
            }
            plan.node(other)
                .store
                .map(|store| plan.stores[store].name.clone())
                .into_iter()
                .collect()
        }
        _ => Vec::new(),
    }
}

/// A sub-topology's nodes, parents before children, otherwise in the order of the fields.
fn in_order(graph: &Graph, sub: usize) -> Vec<DescribedNode> {
    let mut left: Vec<usize> = (0..graph.nodes.len())
        .filter(|i| graph.nodes[*i].1 == sub)
        .collect();
    let mut done: Vec<usize> = Vec::new();
    while !left.is_empty() {
        let ready = left.iter().position(|i| {
            graph
                .links
                .iter()
                .all(|(from, to)| to != i || !left.contains(from))
        });
        // A cycle was refused by the checks; whatever is left then keeps its order.
        done.push(left.remove(ready.unwrap_or(0)));
    }
    done.into_iter()
        .map(|index| {
            let mut node = graph.nodes[index].0.clone();
            let name = |i: &usize| graph.nodes[*i].0.name.clone();
            node.children = graph
                .links
                .iter()
                .filter(|(from, _)| *from == index)
                .map(|(_, to)| name(to))
                .collect();
            node.parents = graph
                .links
                .iter()
                .filter(|(_, to)| *to == index)
                .map(|(from, _)| name(from))
                .collect();
            node
        })
        .collect()
}
