//! Suppressed tables: the windows that they are computed by, however far up, as Kafka Streams looks for them.

use std::collections::BTreeSet;

use super::super::kinds::Shape;
use super::super::model::{Node, NodeId, Topology};
use super::super::windows::Windows;

/// The windows of the table before the operator at `position`: of each aggregation that it comes of. `None` where part of it, or
/// all, comes of something else.
pub(crate) fn windows_before<'t>(
    topology: &'t Topology,
    node: &'t Node,
    position: usize,
) -> Option<Vec<&'t Windows>> {
    let mut found = Vec::new();
    gather(topology, node, position, &mut found, &mut BTreeSet::new()).then_some(found)
}

fn gather<'t>(
    topology: &'t Topology,
    node: &'t Node,
    position: usize,
    found: &mut Vec<&'t Windows>,
    seen: &mut BTreeSet<NodeId>,
) -> bool {
    let Some(chain) = node.chain() else {
        return false;
    };
    for op in chain.ops[..position.min(chain.ops.len())].iter().rev() {
        let Some(row) = op.known() else { return false };
        if let Some(windows) = &op.windows {
            found.push(windows);
            return true;
        }
        if row.yields == Shape::Table && row.on == Shape::GroupedStream {
            return false;
        }
        if row.has_two_sides() && row.on == Shape::Table {
            let other = op.other.as_ref().and_then(|(_, id)| *id);
            let of_other = other.is_some_and(|id| of_node(topology, id, found, seen));
            if !of_other {
                return false;
            }
        }
    }
    chain
        .input
        .is_some_and(|input| of_node(topology, input, found, seen))
}

fn of_node<'t>(
    topology: &'t Topology,
    id: NodeId,
    found: &mut Vec<&'t Windows>,
    seen: &mut BTreeSet<NodeId>,
) -> bool {
    if !seen.insert(id) {
        return true;
    }
    gather(topology, topology.node(id), usize::MAX, found, seen)
}
