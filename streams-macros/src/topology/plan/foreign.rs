//! Foreign-key joins: two internal topics between the sub-topologies of the two tables, and the store of subscriptions on the
//! right side. All of Kafka Streams' names follow from the join's.

use syn::{Type, parse_quote};

use super::super::model::{Node, NodeId, Topology};
use super::super::parse::OffsetReset;
use super::{Arm, Entry, Internal, Plan, Start, TopicRole, add_topic, facts, origin_topics};

/// Adds the topics of a node's foreign-key joins.
pub(super) fn topics<'a>(plan: &mut Plan<'a>, node: &'a Node, internal: &mut Internal) {
    let topology = plan.topology;
    let Some(chain) = node.chain() else { return };
    for (position, op) in chain.ops.iter().enumerate() {
        let Some(other) = facts::foreign_of(topology, node, position) else {
            continue;
        };
        let (subscriptions, responses) = types(topology, node, other);
        let [registration, response] = facts::foreign_topics(node, op);
        let registration = add_topic(
            plan,
            registration,
            TopicRole::Repartition,
            None,
            subscriptions,
        );
        let response = add_topic(plan, response, TopicRole::Repartition, None, responses);
        internal
            .foreign
            .insert((node.id, position), (registration, response));
    }
}

type Types = Option<(Type, Type)>;

/// The left node of a join, by the one whose chain begins with it.
fn left_types(topology: &Topology, node: &Node) -> Types {
    let input = node.chain()?.input?;
    topology.node(input).types.clone()
}

/// The types of subscriptions and of responses.
fn types(topology: &Topology, node: &Node, other: NodeId) -> (Types, Types) {
    let (Some((key, _)), Some((foreign_key, foreign_value))) = (
        left_types(topology, node),
        topology.node(other).types.clone(),
    ) else {
        return (None, None);
    };
    let subscriptions = (
        parse_quote!(__s::Option<#foreign_key>),
        parse_quote!(__s::Subscription<#key>),
    );
    let responses = (key, parse_quote!(__s::Response<#foreign_value>));
    (Some(subscriptions), Some(responses))
}

/// The types of the store of subscriptions.
pub(super) fn store_types(topology: &Topology, node: &Node, other: NodeId) -> Types {
    let (key, _) = left_types(topology, node)?;
    let (foreign_key, _) = topology.node(other).types.clone()?;
    Some((
        parse_quote!(__s::CombinedKey<#foreign_key, #key>),
        parse_quote!(__s::Subscription<#key>),
    ))
}

/// Where a segment that takes one of the topics reads it.
pub(super) fn entry(plan: &mut Plan<'_>, node: NodeId, segment: usize) {
    let (topic, sub) = match plan.nodes[node.0].segments[segment].start {
        Start::Subscribed { other, topic } => (topic, plan.home(other)),
        Start::Responded { topic } => (topic, plan.nodes[node.0].parts.first().copied()),
        _ => return,
    };
    let Some(sub) = sub else { return };
    let name = facts::foreign_source(&plan.topics[topic].name);
    plan.subtopologies[sub].sources.push(Entry {
        name,
        topic,
        offset_reset: OffsetReset::Earliest,
        node,
        received_by: Some((segment, Arm::Head)),
    });
}

/// Subscriptions are read together with the right table, answers with the left one; the two tables may have different counts.
pub(super) fn copartitioned(plan: &mut Plan<'_>, internal: &Internal) {
    let topology = plan.topology;
    for ((id, position), (registration, response)) in &internal.foreign {
        let node = topology.node(*id);
        let Some(other) = facts::foreign_of(topology, node, *position) else {
            continue;
        };
        let left = facts::origins_before(topology, *id, *position);
        let right = facts::origins_before(topology, other, usize::MAX);
        let here = plan.nodes[id.0].parts.first().copied();
        for (origins, topic, sub) in [
            (left, *response, here),
            (right, *registration, plan.home(other)),
        ] {
            let Some(sub) = sub else { continue };
            let mut topics: Vec<usize> = origins
                .iter()
                .flat_map(|origin| origin_topics(plan, internal, *origin))
                .chain([topic])
                .collect();
            topics.sort_unstable();
            topics.dedup();
            plan.subtopologies[sub].copartitioned.push(topics);
        }
    }
}
