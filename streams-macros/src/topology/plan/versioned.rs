//! Which tables keep the past, as Kafka Streams decides it: those whose store says so, and what is derived of them record by
//! record without a store of its own.

use std::collections::BTreeSet;

use super::super::kinds::Shape;
use super::super::model::{Chain, Node, NodeId, Op, Topology};
use super::super::windows::Time;
use super::facts;

/// For how long a node's own store keeps the past. A store that the table has only because somebody joins with it keeps it as
/// long as the table that it is derived of.
pub(crate) fn history<'t>(topology: &'t Topology, node: &'t Node) -> Option<&'t Time> {
    if !facts::has_store(topology, node) {
        return None;
    }
    match &node.store {
        Some(options) => options.versioned.as_ref().map(|(history, _)| history),
        None => {
            let chain = node.chain()?;
            let last = chain.ops.len().checked_sub(1)?;
            if chain.stateful().is_some() || !passes_on(chain.ops.get(last)?) {
                return None;
            }
            inherited(topology, node, chain, last, &mut BTreeSet::new())
        }
    }
}

/// Whether the updates of a node's table are those of a versioned one: some are of the past.
pub(crate) fn is_versioned(topology: &Topology, id: NodeId) -> bool {
    of_node(topology, id, &mut BTreeSet::new()).is_some()
}

/// Whether the table before the operator at `position` is a versioned one.
pub(crate) fn is_versioned_before(topology: &Topology, node: &Node, position: usize) -> bool {
    let Some(chain) = node.chain() else {
        return false;
    };
    inherited(topology, node, chain, position, &mut BTreeSet::new()).is_some()
}

fn of_node<'t>(
    topology: &'t Topology,
    id: NodeId,
    seen: &mut BTreeSet<NodeId>,
) -> Option<&'t Time> {
    let node = topology.node(id);
    if node.shape != Shape::Table || !seen.insert(id) {
        return None;
    }
    match node.chain() {
        None => history(topology, node),
        Some(chain) => inherited(topology, node, chain, chain.ops.len(), seen),
    }
}

/// The history of the table before the operator at `position`, or of the node itself at the end of its chain.
fn inherited<'t>(
    topology: &'t Topology,
    node: &'t Node,
    chain: &'t Chain,
    position: usize,
    seen: &mut BTreeSet<NodeId>,
) -> Option<&'t Time> {
    let Some(last) = position.checked_sub(1) else {
        return of_node(topology, chain.input?, seen);
    };
    let stored = chain.stateful() == Some(last)
        || last + 1 == chain.ops.len() && node.store.is_some() && node.shape == Shape::Table;
    if stored {
        let options = node.store.as_ref()?;
        return options.versioned.as_ref().map(|(history, _)| history);
    }
    if !passes_on(chain.ops.get(last)?) {
        return None;
    }
    inherited(topology, node, chain, last, seen)
}

/// Whether an operator without a store yields a versioned table of a versioned one.
fn passes_on(op: &Op) -> bool {
    const KEEP: &[&str] = &[
        "filter",
        "filter_not",
        "map_values",
        "map_values_with_key",
        "transform_values",
    ];
    op.known()
        .is_some_and(|row| row.on == Shape::Table && KEEP.iter().any(|name| op.is(name)))
}
