//! The nodes as Kafka Streams would describe them: one per operator, with sources, sinks and the three nodes of a repartition.

use std::collections::BTreeMap;

use super::super::kinds::{Operator, Shape, State};
use super::super::model::{Chain, Node, NodeId, Op, Origin};
use super::super::stream_join::joins_streams;
use super::{Internal, Plan, SinkPlan, facts};
use crate::topology::parse::SinkTopic;

/// A node of the description.
#[derive(Debug, Clone)]
pub(crate) struct DescribedNode {
    pub(crate) name: String,
    pub(crate) kind: DescribedKind,
    pub(crate) stores: Vec<String>,
    /// The operator that calls a processor, whose own stores only rustc knows.
    pub(crate) processor: Option<(NodeId, usize)>,
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
            processor: None,
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
    // Where each field's records enter (its chain's first node, its merges and joins) and leave.
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
            Some(op) => end.others.get(&op).copied(),
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

/// A chain's first and last node, and where the nodes that its operators name enter.
#[derive(Default)]
struct Ends {
    entry: Option<usize>,
    exit: Option<usize>,
    others: BTreeMap<usize, usize>,
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
                others: BTreeMap::new(),
            })
        }
        Origin::Derived(chain) => Some(chain_ends(plan, internal, graph, node, chain, &own_store)),
        Origin::Shared | Origin::Poisoned => None,
    }
}

/// A chain under description.
struct Describing<'d, 'p> {
    plan: &'d Plan<'p>,
    internal: &'d Internal,
    graph: &'d mut Graph,
    node: &'d Node,
    chain: &'d Chain,
    own_store: &'d [String],
    ends: Ends,
    /// The inputs of a cogroup so far.
    inputs: Vec<usize>,
}

impl Describing<'_, '_> {
    /// The sub-topology of a part of the chain.
    fn sub(&self, part: usize) -> usize {
        let parts = &self.plan.node(self.node.id).parts;
        parts.get(part).copied().unwrap_or_default()
    }

    /// The three nodes of a repartition topic; the first and the last.
    fn repartition(&mut self, topic: usize, from: usize, to: usize) -> (usize, usize) {
        let name = &self.plan.topics[topic].name;
        let kind = DescribedKind::Processor("filter".to_owned());
        let filter = self
            .graph
            .add(from, format!("{name}-filter"), kind, Vec::new());
        let (sink, source) = self.topic(topic, from, to);
        self.graph.links.push((filter, sink));
        (filter, source)
    }

    /// The two nodes of an internal topic.
    fn topic(&mut self, topic: usize, from: usize, to: usize) -> (usize, usize) {
        let name = &self.plan.topics[topic].name;
        let kind = DescribedKind::Sink(topic);
        let sink = self
            .graph
            .add(from, format!("{name}-sink"), kind, Vec::new());
        let kind = DescribedKind::Source(vec![topic]);
        let source = self
            .graph
            .add(to, format!("{name}-source"), kind, Vec::new());
        (sink, source)
    }

    /// Where the records of an operator's other node enter: at `node`, or before its repartition topic.
    fn enter(&mut self, op: &Op, position: usize, sub: usize, node: usize) {
        let mut enters = node;
        if let Some(topic) = self.internal.others.get(&(self.node.id, position)) {
            let named = op.other.as_ref().and_then(|(_, id)| *id);
            let from = named.and_then(|id| self.plan.home(id)).unwrap_or_default();
            let (filter, source) = self.repartition(*topic, from, sub);
            self.graph.links.push((source, node));
            enters = filter;
        }
        self.ends.others.insert(position, enters);
    }

    /// Each input of a cogroup is a node that uses the store.
    fn cogroup(&mut self, op: &Op, position: usize, sub: usize) {
        let name = facts::plain(&self.node.name);
        let name = format!("{name}-cogroup-agg-{}", self.inputs.len());
        let kind = DescribedKind::Processor(op.name.to_string());
        let input = self.graph.add(sub, name, kind, self.own_store.to_vec());
        if self.inputs.is_empty() {
            chain_link(self.graph, &mut self.ends, input);
        } else {
            self.enter(op, position, sub, input);
        }
        self.inputs.push(input);
    }

    /// What all inputs of a cogroup forward to.
    fn cogrouped(&mut self, op: &Op, sub: usize, name: &str) {
        let kind = DescribedKind::Processor(op.name.to_string());
        let merged = self.graph.add(sub, name.to_owned(), kind, Vec::new());
        for input in self.inputs.drain(..) {
            self.graph.links.push((input, merged));
        }
        self.ends.exit = Some(merged);
    }

    /// An operator of two sides is three nodes: one per side, and what both forward to.
    fn two_sides(&mut self, op: &Op, position: usize, sub: usize, name: &str) {
        let stores = side_stores(self.plan, self.node, self.chain, position);
        let (this, other) = (format!("{name}-join-this"), format!("{name}-join-other"));
        let kind = || DescribedKind::Processor(op.name.to_string());
        let this = self.graph.add(sub, this, kind(), stores.this);
        let other = self.graph.add(sub, other, kind(), stores.other);
        let merged = op_stores(self.plan, op, position, self.chain, self.own_store);
        let merged = self.graph.add(sub, name.to_owned(), kind(), merged);
        chain_link(self.graph, &mut self.ends, this);
        self.graph.links.push((this, merged));
        self.graph.links.push((other, merged));
        self.ends.exit = Some(merged);
        self.enter(op, position, sub, other);
    }

    /// A join of streams is five nodes: on each side what keeps the records and what joins them, and what both forward to.
    fn two_streams(&mut self, op: &Op, position: usize, sub: usize, name: &str) {
        let inner = facts::inner_stores(self.plan.topology, self.node);
        let named = |role: &str| {
            let of_role = inner.iter().find(|i| i.op == position && i.role == role);
            of_role.map(|inner| inner.name.clone())
        };
        let stores = |roles: [&str; 2]| roles.into_iter().filter_map(named).collect();
        let kind = || DescribedKind::Processor(op.name.to_string());
        let mut add = |suffix: &str, stores: Vec<String>| {
            self.graph
                .add(sub, format!("{name}{suffix}"), kind(), stores)
        };
        let this = add("-this-windowed", stores(["left", ""]));
        let other = add("-other-windowed", stores(["right", ""]));
        let from_this = add("-this-join", stores(["right", "outer"]));
        let from_other = add("-other-join", stores(["left", "outer"]));
        let merged = add("", Vec::new());
        chain_link(self.graph, &mut self.ends, this);
        for link in [
            (this, from_this),
            (other, from_other),
            (from_this, merged),
            (from_other, merged),
        ] {
            self.graph.links.push(link);
        }
        self.ends.exit = Some(merged);
        self.enter(op, position, sub, other);
    }
}

impl Describing<'_, '_> {
    /// A foreign-key join is five processors, and its two topics.
    fn foreign_key(&mut self, op: &Op, position: usize, sub: usize, name: &str) {
        let place = (self.node.id, position);
        let (Some((registration, response)), Some((_, Some(other)))) =
            (self.internal.foreign.get(&place).copied(), &op.other)
        else {
            return;
        };
        let right = self.plan.home(*other).unwrap_or_default();
        let join = facts::operator_name(self.node, op);
        let subscriptions: Vec<String> = facts::inner_stores(self.plan.topology, self.node)
            .into_iter()
            .filter(|inner| inner.op == position)
            .map(|inner| inner.name)
            .collect();
        let left_rows = self
            .chain
            .input
            .map_or_else(Vec::new, |id| rows_of(self.plan, id));
        let right_rows = rows_of(self.plan, *other);
        let own = self.own_store.to_vec();
        let own = if position + 1 == self.chain.ops.len() {
            own
        } else {
            Vec::new()
        };
        let mut processor = |sub, suffix: &str, stores| {
            let kind = DescribedKind::Processor(op.name.to_string());
            self.graph
                .add(sub, format!("{join}-{suffix}"), kind, stores)
        };
        let send = processor(sub, "subscription-registration-processor", Vec::new());
        let receive = processor(right, "subscription-receive", subscriptions.clone());
        let look_up = processor(right, "subscription-join-foreign", right_rows);
        let update = processor(right, "foreign-join-subscription", subscriptions);
        let resolve = processor(sub, "subscription-response-resolver", left_rows);
        let kind = DescribedKind::Processor(op.name.to_string());
        let result = self.graph.add(sub, name.to_owned(), kind, own);
        let (asked, asking) = self.foreign_topic(registration, sub, right);
        let (answered, answers) = self.foreign_topic(response, right, sub);
        self.graph.links.extend([
            (send, asked),
            (asking, receive),
            (receive, look_up),
            (look_up, answered),
            (update, answered),
            (answers, resolve),
            (resolve, result),
        ]);
        chain_link(self.graph, &mut self.ends, send);
        self.ends.exit = Some(result);
        self.ends.others.insert(position, update);
    }

    /// The sink and the source of a foreign-key join's topic.
    fn foreign_topic(&mut self, topic: usize, from: usize, to: usize) -> (usize, usize) {
        let name = facts::foreign_source(&self.plan.topics[topic].name);
        let sink = format!("{}-sink", name.trim_end_matches("-source"));
        let kind = DescribedKind::Sink(topic);
        let sink = self.graph.add(from, sink, kind, Vec::new());
        let kind = DescribedKind::Source(vec![topic]);
        (sink, self.graph.add(to, name, kind, Vec::new()))
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
    let mut describing = Describing {
        plan,
        internal,
        graph,
        node,
        chain,
        own_store,
        ends: Ends::default(),
        inputs: Vec::new(),
    };
    let mut part = 0;
    let names = operator_names(node, chain);
    for position in 0..=chain.ops.len() {
        if let Some(topic) = internal.chains.get(&(node.id, position)) {
            let (from, to) = (describing.sub(part), describing.sub(part + 1));
            // What a table's `group_by` sends has a key already.
            let op = chain.ops.get(position).and_then(Op::known);
            let keyed = op.is_some_and(|row| row.on == Shape::GroupedTable);
            let (first, source) = if keyed {
                describing.topic(*topic, from, to)
            } else {
                describing.repartition(*topic, from, to)
            };
            chain_link(describing.graph, &mut describing.ends, first);
            part += 1;
            describing.ends.exit = Some(source);
        }
        let (Some(op), Some(Some(name))) = (chain.ops.get(position), names.get(position)) else {
            continue;
        };
        let sub = describing.sub(part);
        if op.is("cogroup") {
            describing.cogroup(op, position, sub);
            continue;
        }
        if op.known().is_some_and(Operator::aggregates_cogroup) {
            describing.cogrouped(op, sub, name);
            continue;
        }
        if internal.foreign.contains_key(&(node.id, position)) {
            describing.foreign_key(op, position, sub, name);
            continue;
        }
        if facts::meets(plan.topology, node, position) {
            if op.known().is_some_and(joins_streams) {
                describing.two_streams(op, position, sub, name);
            } else {
                describing.two_sides(op, position, sub, name);
            }
            continue;
        }
        let mut stores = op_stores(plan, op, position, chain, own_store);
        let inner = facts::inner_stores(plan.topology, node).into_iter();
        stores.extend(inner.filter(|i| i.op == position).map(|i| i.name));
        let kind = DescribedKind::Processor(op.name.to_string());
        let index = describing.graph.add(sub, name.clone(), kind, stores);
        if op.is_processor()
            && let Some((described, _)) = describing.graph.nodes.get_mut(index)
        {
            described.processor = Some((node.id, position));
        }
        chain_link(describing.graph, &mut describing.ends, index);
        if op.is("merge") {
            describing.ends.others.insert(position, index);
        }
    }
    if chain.ops.is_empty() {
        let kind = DescribedKind::Processor("from".to_owned());
        let sub = describing.sub(0);
        let name = facts::plain(&node.name);
        let index = describing.graph.add(sub, name, kind, Vec::new());
        chain_link(describing.graph, &mut describing.ends, index);
    }
    describing.ends
}

/// The stores that each side of an operator uses.
#[derive(Default)]
struct SideStores {
    this: Vec<String>,
    other: Vec<String>,
}

/// A side of a join of tables looks up the other one; that of another operator uses the inner stores.
fn side_stores(plan: &Plan<'_>, node: &Node, chain: &Chain, position: usize) -> SideStores {
    let Some(op) = chain.ops.get(position) else {
        return SideStores::default();
    };
    if !facts::joins_tables(op) {
        let inner = facts::inner_stores(plan.topology, node).into_iter();
        let stores: Vec<String> = inner
            .filter(|inner| inner.op == position)
            .map(|inner| inner.name)
            .collect();
        return SideStores {
            this: stores.clone(),
            other: stores,
        };
    }
    let other = op.other.as_ref().and_then(|(_, id)| *id);
    SideStores {
        this: other.map_or_else(Vec::new, |id| rows_of(plan, id)),
        other: rows_before(plan, node, chain, position),
    }
}

/// The stores in which a table's rows are looked up.
fn rows_of(plan: &Plan<'_>, id: NodeId) -> Vec<String> {
    let node = plan.topology.node(id);
    match (plan.node(id).store, node.chain()) {
        (Some(store), _) => vec![plan.stores[store].name.clone()],
        (None, Some(chain)) => rows_before(plan, node, chain, chain.ops.len()),
        (None, None) => Vec::new(),
    }
}

/// The stores in which the rows before an operator are looked up.
fn rows_before(plan: &Plan<'_>, node: &Node, chain: &Chain, position: usize) -> Vec<String> {
    let ops = &chain.ops[..position.min(chain.ops.len())];
    let mut stores = match (chain.stateful().filter(|at| *at < position), chain.input) {
        (Some(_), _) => {
            let own = plan.node(node.id).store;
            own.map(|store| plan.stores[store].name.clone())
                .into_iter()
                .collect()
        }
        (None, Some(input)) => rows_of(plan, input),
        (None, None) => Vec::new(),
    };
    for inner in facts::inner_stores(plan.topology, node) {
        if ops.get(inner.op).is_some_and(facts::is_suppression) {
            stores.push(inner.name);
        }
    }
    for op in ops.iter().filter(|op| facts::joins_tables(op)) {
        if let Some((_, Some(other))) = op.other {
            for store in rows_of(plan, other) {
                if !stores.contains(&store) {
                    stores.push(store);
                }
            }
        }
    }
    stores
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
    let silent = |op: &Op| {
        ["group_by_key", "repartition", "windowed_by", "emit"]
            .iter()
            .any(|name| op.is(name))
    };
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
            let own_name = op.known().is_some_and(|row| row.with.is_some()) || op.is("suppress");
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
    let given = op.stores.iter().filter_map(|given| {
        let node = plan.topology.node(given.node?);
        let global = plan.globals.iter().any(|global| global.node == node.id);
        let store = plan.node(node.id).store.filter(|_| !global)?;
        Some(plan.stores[store].name.clone())
    });
    let mut stores: Vec<String> = given.collect();
    stores.extend(kept_stores(plan, op, position, chain, own_store));
    stores
}

/// The stores that an operator keeps, or joins with.
fn kept_stores(
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
            rows_of(plan, other)
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
