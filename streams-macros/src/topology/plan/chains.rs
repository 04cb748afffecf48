//! Chains to segments: each segment becomes a method, each step a few lines of it.

use super::super::kinds::{Partitioning, Shape};
use super::super::model::{Chain, Node, NodeId, Origin};
use super::{
    Child, Internal, NodePlan, Plan, Segment, SinkPlan, Start, Step, TopicRole, add_topic, facts,
    topic_index,
};
use crate::topology::parse::SinkTopic;

/// Adds the repartition topics of a node's chain.
pub(super) fn repartition_topics<'a>(plan: &mut Plan<'a>, node: &'a Node, internal: &mut Internal) {
    let Some(chain) = node.chain() else { return };
    for (position, op) in chain.ops.iter().enumerate() {
        if !facts::repartitions_before(plan.topology, node.id, position) {
            continue;
        }
        let name = format!(
            "{}-repartition",
            facts::repartition_name(node, chain, position)
        );
        let last = position + 1 == chain.ops.len() && op.is("repartition");
        let types = if last { node.types.clone() } else { None };
        let topic = add_topic(
            plan,
            name,
            TopicRole::Repartition,
            op.partitions.as_ref(),
            types,
        );
        internal.insert((node.id, position), topic);
    }
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
    let children = children(plan, node.id);
    let mut out = NodePlan {
        segments: Vec::new(),
        parts: Vec::new(),
        store: None,
        children,
        sinks,
    };
    let listens = !out.sinks.is_empty() || !out.children.is_empty();
    match &node.origin {
        Origin::Source(_) if node.shape == Shape::GlobalTable => {}
        Origin::Source(_) => out.segments = source(plan, node, listens),
        Origin::Derived(chain) => out.segments = derived(plan, node, chain, internal, listens),
        Origin::Shared | Origin::Poisoned => {}
    }
    out
}

/// The readers that a node calls, in the order of their fields; the branches of a split are one, at the first one's place.
fn children(plan: &Plan<'_>, id: NodeId) -> Vec<Child> {
    let topology = plan.topology;
    let mut children: Vec<Child> = Vec::new();
    let mut splits: Vec<(Option<String>, usize)> = Vec::new();
    for edge in topology.readers(id) {
        let Some(chain) = topology.node(edge.to).chain() else {
            continue;
        };
        match edge.op {
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
            Some(op) if chain.ops[op].is("merge") => {
                let merges = chain.ops[..=op].iter().filter(|op| op.is("merge")).count();
                children.push(Child::Node(edge.to, merges));
            }
            Some(_) => {}
        }
    }
    children
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
        if let Some(topic) = internal.get(&(node.id, position)) {
            let keeps_null_keys = match op.known().map(|row| row.partitioning) {
                Some(Partitioning::ByKeyOrNull) => true,
                Some(Partitioning::ByKey) => {
                    facts::left_join_after(plan.topology, node.id, position)
                }
                _ => false,
            };
            cut.repartition(*topic, position, keeps_null_keys);
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
        } else {
            cut.step(Step::Operator(position));
        }
    }
    if chain.yields != Some(Shape::Nothing) {
        if !matches!(cut.now.start, Start::Merged { ends: true, .. }) {
            cut.step(Step::Declare);
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

    /// Ends the current segment with a call of the next.
    fn next(&mut self, start: Start) {
        let index = self.done.len() + 1;
        self.step(Step::Next(index));
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
