//! Chains to segments: each segment becomes a method, each step a few lines of it.

use proc_macro2::Ident;
use syn::Type;

use super::super::kinds::{Operator, Partitioning, Shape};
use super::super::model::{Chain, Node, NodeId, Op, Origin};
use super::{
    Child, Internal, NodePlan, Plan, Segment, SinkPlan, Start, Step, TopicRole, add_topic, facts,
    foreign, processors, topic_index,
};
use crate::topology::parse::{Partitions, SinkTopic};

/// Adds the repartition topics of a node's chain, and those of the other sides of its operators.
pub(super) fn repartition_topics<'a>(plan: &mut Plan<'a>, node: &'a Node, internal: &mut Internal) {
    foreign::topics(plan, node, internal);
    let Some(chain) = node.chain() else { return };
    for position in 0..=chain.ops.len() {
        let place = (node.id, position);
        let op = chain.ops.get(position);
        if facts::repartitions_before(plan.topology, node.id, position) {
            let name = facts::repartition_name(plan.topology, node, chain, position);
            let last = match op {
                Some(op) => position + 1 == chain.ops.len() && op.is("repartition"),
                None => true,
            };
            let types = if last { node.types.clone() } else { None };
            let partitions = op.and_then(|op| op.partitions.as_ref());
            let topic = repartition_topic(plan, &name, partitions, types);
            internal.chains.insert(place, topic);
        }
        if let Some(op) = op
            && facts::repartitions_other(plan.topology, node.id, position)
        {
            let name = facts::other_repartition_name(node, op);
            let other = op.other.as_ref().and_then(|(_, id)| *id);
            let types = other.and_then(|id| plan.topology.node(id).types.clone());
            let topic = repartition_topic(plan, &name, None, types);
            internal.others.insert(place, topic);
        }
    }
}

fn repartition_topic<'a>(
    plan: &mut Plan<'a>,
    name: &str,
    partitions: Option<&'a Partitions>,
    types: Option<(Type, Type)>,
) -> usize {
    let name = format!("{name}-repartition");
    add_topic(plan, name, TopicRole::Repartition, partitions, types)
}

/// A node's segments, sinks and children.
pub(super) fn plan_node<'a>(plan: &Plan<'a>, node: &'a Node, internal: &Internal) -> NodePlan<'a> {
    let sinks = node
        .sinks
        .iter()
        .map(|sink| SinkPlan {
            sink,
            topics: match &sink.topic {
                SinkTopic::Static(topic) => vec![topic_index(plan, &topic.value())],
                SinkTopic::PerRecord(_, topics) => topics
                    .iter()
                    .map(|topic| topic_index(plan, &topic.value()))
                    .collect(),
            },
        })
        .collect();
    let children = children(plan, node.id, None);
    let outputs = processors::outputs(plan, node);
    let mut out = NodePlan {
        segments: Vec::new(),
        parts: Vec::new(),
        store: None,
        inner: Vec::new(),
        children,
        outputs,
        sinks,
    };
    let listens = !out.sinks.is_empty() || !out.children.is_empty();
    match &node.origin {
        Origin::Source(_) if node.is_global() => {}
        Origin::Source(_) => out.segments = source(plan, node, listens),
        Origin::Derived(chain) => out.segments = derived(plan, node, chain, internal, listens),
        Origin::Shared | Origin::Poisoned => {}
    }
    out
}

/// The readers that a node, or one of its outputs, calls, in the order of their fields; the branches of a split are one, at the first one's place.
pub(super) fn children(plan: &Plan<'_>, id: NodeId, output: Option<&Ident>) -> Vec<Child> {
    let topology = plan.topology;
    let mut children: Vec<Child> = Vec::new();
    let mut splits: Vec<(Option<String>, usize)> = Vec::new();
    for edge in topology.readers(id) {
        let Some(chain) = topology.node(edge.to).chain() else {
            continue;
        };
        match edge.op {
            None if chain.output.as_ref() != output => {}
            None => match chain.branch() {
                Some(op) => {
                    let split = op.split().map(|name| name.value());
                    match splits.iter().find(|(name, _)| *name == split) {
                        Some((_, at)) => {
                            if let Some(Child::Split(branches)) = children.get_mut(*at) {
                                branches.push(edge.to);
                            }
                        }
                        None => {
                            splits.push((split, children.len()));
                            children.push(Child::Split(vec![edge.to]));
                        }
                    }
                }
                None => children.push(Child::Node(edge.to, 0)),
            },
            Some(op) if output.is_none() && chain.ops[op].is("merge") => {
                let merges = chain.ops[..=op].iter().filter(|op| op.is("merge")).count();
                children.push(Child::Node(edge.to, merges));
            }
            Some(op) if facts::meets(topology, topology.node(edge.to), op) => {
                children.push(Child::Other(edge.to, meetings(chain, op)));
            }
            Some(op) if facts::joins_foreign(&chain.ops[op]) => {
                children.push(Child::Foreign(edge.to));
            }
            Some(_) => {}
        }
    }
    children
}

/// How many two-sided operators a chain has up to this position.
fn meetings(chain: &Chain, position: usize) -> usize {
    let two_sided = |op: &&Op| op.known().is_some_and(Operator::has_two_sides);
    chain.ops[..=position].iter().filter(two_sided).count()
}

fn source(plan: &Plan<'_>, node: &Node, listens: bool) -> Vec<Segment> {
    let segment = |start, steps| Segment {
        start,
        steps,
        part: 0,
    };
    if node.shape != Shape::Table {
        return vec![segment(Start::Source, vec![Step::Deliver])];
    }
    let types = node
        .types
        .clone()
        .filter(|_| facts::has_store(plan.topology, node));
    match types {
        None => vec![segment(Start::Source, vec![Step::Read, Step::Deliver])],
        Some(_) if !listens => vec![segment(Start::Source, vec![Step::Put])],
        Some((key, value)) => vec![
            segment(Start::Source, vec![Step::Put, Step::Next(1)]),
            segment(Start::Changed(Box::new((key, value))), vec![Step::Deliver]),
        ],
    }
}

/// Cuts a chain at merges, and where updates of the node's store come out of the cache.
fn derived(
    plan: &Plan<'_>,
    node: &Node,
    chain: &Chain,
    internal: &Internal,
    listens: bool,
) -> Vec<Segment> {
    let Some(input) = chain.input else {
        return Vec::new();
    };
    let mut cut = Cut {
        done: Vec::new(),
        now: Segment {
            start: Start::Input(input),
            steps: Vec::new(),
            part: 0,
        },
        repartitions: 0,
        part: 0,
    };
    let has_store = facts::has_store(plan.topology, node);
    let last = chain.ops.len().wrapping_sub(1);
    let mut merges = 0;
    for (position, op) in chain.ops.iter().enumerate() {
        if let Some(topic) = internal.chains.get(&(node.id, position)) {
            let keeps_null_keys = match op.known().map(|row| row.partitioning) {
                Some(Partitioning::ByKeyOrNull) => true,
                Some(Partitioning::ByKey) => {
                    op.known().is_some_and(|row| row.on != Shape::GroupedTable)
                        && facts::left_join_after(plan.topology, node.id, position)
                }
                _ if facts::merges_at(plan.topology, node.id, position) => {
                    facts::left_join_after(plan.topology, node.id, position - 1)
                }
                _ => false,
            };
            cut.repartition(*topic, position, keeps_null_keys);
        }
        if facts::meets(plan.topology, node, position)
            && let Some((_, Some(other))) = op.other
        {
            cut.step(Step::Meet {
                number: meetings(chain, position),
                position,
                other,
                topic: internal.others.get(&(node.id, position)).copied(),
            });
        }
        if let (Some((registration, response)), Some((_, Some(other)))) = (
            internal.foreign.get(&(node.id, position)).copied(),
            &op.other,
        ) {
            cut.foreign(position, *other, registration, response);
        }
        if op.is("merge")
            && let Some((_, Some(other))) = op.other
        {
            merges += 1;
            cut.next(Start::Merged {
                other,
                number: merges,
                ends: position == last,
            });
        } else if chain.stateful() == Some(position) {
            cut.step(Step::Operator(position));
            if position == last && !listens {
                return cut.end();
            }
            let types = facts::store_types(node);
            let Some((key, value)) = types else {
                cut.step(Step::Update);
                continue;
            };
            cut.next(Start::Changed(Box::new((key, value))));
            if position == last {
                cut.step(Step::Deliver);
                return cut.end();
            }
        } else if op.is("to_table") && position == last && has_store {
            cut.step(Step::Put);
            return store_end(cut, node, listens);
        } else if op.is("process") || op.is("process_values") {
            cut.step(Step::Operator(position));
            cut.next(Start::Processed(position));
        } else {
            cut.step(Step::Operator(position));
        }
    }
    if let Some(topic) = internal.chains.get(&(node.id, chain.ops.len())) {
        let keeps = facts::left_join_after(plan.topology, node.id, last);
        cut.repartition(*topic, chain.ops.len(), keeps);
    }
    if chain.yields != Some(Shape::Nothing) {
        if !matches!(cut.now.start, Start::Merged { ends: true, .. }) {
            cut.step(Step::Declare);
        }
        if facts::is_viewed(plan.topology, node) {
            cut.step(Step::Found);
        }
        if has_store && chain.stateful().is_none() {
            cut.step(Step::Materialize);
            return store_end(cut, node, listens);
        }
        cut.step(Step::Deliver);
    }
    cut.end()
}

/// After the node's store: a segment of its own if anybody listens.
fn store_end(mut cut: Cut, node: &Node, listens: bool) -> Vec<Segment> {
    if listens && let Some((key, value)) = node.types.clone() {
        cut.next(Start::Changed(Box::new((key, value))));
        cut.step(Step::Deliver);
    }
    cut.end()
}

/// Segments under construction.
struct Cut {
    done: Vec<Segment>,
    now: Segment,
    /// Repartition topics of the current segment.
    repartitions: usize,
    part: usize,
}

impl Cut {
    fn step(&mut self, step: Step) {
        self.now.steps.push(step);
    }

    fn repartition(&mut self, topic: usize, before: usize, keeps_null_keys: bool) {
        self.repartitions += 1;
        self.part += 1;
        self.step(Step::Repartition {
            number: self.repartitions,
            topic,
            before,
            keeps_null_keys,
        });
    }

    /// The parts of a foreign-key join, each entered by itself: the last is where joined rows appear.
    fn foreign(&mut self, position: usize, other: NodeId, registration: usize, response: usize) {
        let topic = registration;
        self.step(Step::Subscribe { position, topic });
        self.begin(Start::Subscribed { other, topic });
        let topic = response;
        self.step(Step::Answer { position, topic });
        self.begin(Start::Foreign(other));
        self.step(Step::AnswerAll { position, topic });
        self.begin(Start::Responded { topic });
    }

    /// Ends the current segment with a call of the next.
    fn next(&mut self, start: Start) {
        let index = self.done.len() + 1;
        self.step(Step::Next(index));
        self.begin(start);
    }

    /// Begins the next segment.
    fn begin(&mut self, start: Start) {
        let next = Segment {
            start,
            steps: Vec::new(),
            part: self.part,
        };
        self.done.push(std::mem::replace(&mut self.now, next));
        self.repartitions = 0;
    }

    fn end(mut self) -> Vec<Segment> {
        self.done.push(self.now);
        self.done
    }
}
