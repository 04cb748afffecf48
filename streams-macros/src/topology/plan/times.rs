//! Operators' times: which operators keep one, in which sub-topology, and under which name it is committed.

use super::super::model::{Chain, Node, NodeId, Topology};
use super::super::stream_join::{self, JoinKind};
use super::super::windows;
use super::{Internal, Plan, facts};

/// What an operator keeps a time for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeRole {
    /// The highest timestamp that the operator saw.
    Stream,
    /// The highest timestamp of the further input of a cogroup by windows that the operator at this position brings.
    Input(usize),
    /// Up to where windows were emitted when they closed.
    Emitted,
    /// The highest timestamp that the operator at this position saw: a join with a grace, or a suppression.
    Waiting(usize),
    /// The time of a record without partner up to which a join of streams last looked.
    Least,
    /// The wall clock's time before which such a join does not look again.
    NextSearch,
    /// The wall clock's time before which closed windows are not looked for again.
    NextEmission,
}

/// An operator's time.
#[derive(Debug, Clone)]
pub(crate) struct TimeSlot {
    pub(crate) node: NodeId,
    pub(crate) role: TimeRole,
    /// The name that it is committed under.
    pub(crate) name: String,
}

impl Plan<'_> {
    /// The local index of a node's time in its sub-topology.
    pub(crate) fn time(&self, node: NodeId, role: TimeRole) -> Option<usize> {
        let mut all = self.subtopologies.iter();
        all.find_map(|sub| {
            let is = |time: &TimeSlot| time.node == node && time.role == role;
            sub.times.iter().position(is)
        })
    }
}

/// Gives each sub-topology the times of its operators.
pub(super) fn slots(plan: &mut Plan<'_>, internal: &Internal) {
    let topology = plan.topology;
    for node in &topology.nodes {
        for (position, role) in asked(topology, node) {
            let part = facts::part_at(internal, node.id, position);
            let sub = plan.node(node.id).parts.get(part).copied();
            let Some(sub) = sub.and_then(|sub| plan.subtopologies.get_mut(sub)) else {
                continue;
            };
            sub.times.push(TimeSlot {
                node: node.id,
                role,
                name: name(topology, node, role),
            });
        }
    }
}

/// The times that a node's operators keep, each with the operator's position.
fn asked(topology: &Topology, node: &Node) -> Vec<(usize, TimeRole)> {
    let Some(chain) = node.chain() else {
        return Vec::new();
    };
    let mut times = Vec::new();
    for (position, op) in chain.ops.iter().enumerate() {
        let Some(row) = op.known() else { continue };
        if facts::waits(op) {
            times.push((position, TimeRole::Waiting(position)));
        }
        if stream_join::joins_streams(row) {
            times.push((position, TimeRole::Stream));
            let keeps = stream_join::kind(op) != JoinKind::Inner;
            if keeps && !stream_join::is_over_one_store(topology, node, position) {
                times.push((position, TimeRole::Least));
                times.push((position, TimeRole::NextSearch));
            }
        }
        if row.aggregates_windows() {
            times.push((position, TimeRole::Stream));
            for input in chain.cogrouped().into_iter().skip(1) {
                times.push((position, TimeRole::Input(input)));
            }
            if windows::emits_on_close(chain) {
                times.push((position, TimeRole::Emitted));
                times.push((position, TimeRole::NextEmission));
            }
        }
    }
    times
}

/// The name of a time. That of the last emission is the store's name, as in Kafka Streams, which writes it likewise; no store has a
/// colon in its name.
fn name(topology: &Topology, node: &Node, role: TimeRole) -> String {
    match role {
        TimeRole::Stream => format!("{}:stream-time", facts::plain(&node.name)),
        TimeRole::Input(position) => {
            let inputs = node.chain().map_or_else(Vec::new, Chain::cogrouped);
            let number = inputs.iter().position(|input| *input == position);
            let number = number.unwrap_or_default();
            format!(
                "{}-cogroup-agg-{number}:stream-time",
                facts::plain(&node.name)
            )
        }
        TimeRole::Emitted => facts::store_name(node),
        TimeRole::Waiting(position) => {
            let inner = facts::inner_stores(topology, node).into_iter();
            let mut store = inner.filter(|inner| inner.op == position).map(|i| i.name);
            format!("{}:stream-time", store.next_back().unwrap_or_default())
        }
        TimeRole::NextEmission => format!("{}:next-emission", facts::plain(&node.name)),
        TimeRole::NextSearch => format!("{}:next-search", facts::plain(&node.name)),
        TimeRole::Least => format!("{}:least-unmatched", facts::plain(&node.name)),
    }
}
