//! Which tables say the old value with an update, as Kafka Streams decides it: a filter asks its input, so that rows that it
//! neither let pass before nor does now leave no tombstones.

use std::collections::BTreeSet;

use super::super::kinds::Shape;
use super::super::model::{Chain, Node, NodeId, Op, Topology};
use super::facts;

/// A table in a chain: the one before the operator at this position; the chain's length is the node's own.
type Place = (NodeId, usize);

/// Whether a node's store has to say old values.
pub(crate) fn is_asked(topology: &Topology, node: &Node) -> bool {
    let position = match node.chain() {
        Some(chain) => chain
            .stateful()
            .map_or(chain.ops.len(), |position| position + 1),
        None => 0,
    };
    asked(topology, (node.id, position), &mut BTreeSet::new())
}

/// Whether somebody asks the table before the operator at `position` for old values.
pub(crate) fn is_asked_at(topology: &Topology, node: &Node, position: usize) -> bool {
    asked(topology, (node.id, position), &mut BTreeSet::new())
}

/// Whether the input of the filter at `position` can say old values, so that it can tell absent rows.
pub(crate) fn input_can_say(topology: &Topology, node: &Node, position: usize) -> bool {
    can_say(topology, (node.id, position), &mut BTreeSet::new())
}

/// Whether the `map_values` at `position` would get old values that only others asked for; its function must not see them.
pub(crate) fn told_unasked(topology: &Topology, node: &Node, position: usize) -> bool {
    let Some(input) = node.chain().and_then(|chain| chain.input) else {
        return false;
    };
    // Within a chain nobody else listens.
    position == 0
        && !asks(topology, node, 0, &mut BTreeSet::new())
        && can_say(topology, end_of(topology, input), &mut BTreeSet::new())
        && asked(topology, end_of(topology, input), &mut BTreeSet::new())
}

/// Whether the `transform_values` at `position` is asked for old values, has none of its own to tell, and its input can say them.
pub(crate) fn transforms_old(topology: &Topology, node: &Node, position: usize) -> bool {
    asks(topology, node, position, &mut BTreeSet::new()) && input_can_say(topology, node, position)
}

fn is_filter(op: &Op) -> bool {
    on_table(op) && (op.is("filter") || op.is("filter_not"))
}

fn is_map(op: &Op) -> bool {
    on_table(op)
        && (op.is("map_values") || op.is("map_values_with_key") || op.is("transform_values"))
}

fn on_table(op: &Op) -> bool {
    op.known().is_some_and(|row| row.on == Shape::Table)
}

/// Whether the operator at `position` ends in the node's own store.
fn is_materialized(topology: &Topology, node: &Node, chain: &Chain, position: usize) -> bool {
    position + 1 == chain.ops.len()
        && chain.stateful().is_none()
        && facts::has_store(topology, node)
}

/// A table can say old values if it has a store, or is a filter or `map_values` without one of a table that can.
fn can_say(topology: &Topology, place: Place, seen: &mut BTreeSet<Place>) -> bool {
    if !seen.insert(place) {
        return false;
    }
    let (id, position) = place;
    let node = topology.node(id);
    let Some(chain) = node.chain() else {
        return facts::has_store(topology, node);
    };
    let Some(last) = position.checked_sub(1) else {
        return chain
            .input
            .is_some_and(|input| can_say(topology, end_of(topology, input), seen));
    };
    let Some(op) = chain.ops.get(last) else {
        return false;
    };
    if chain.stateful() == Some(last) || is_materialized(topology, node, chain, last) {
        return true;
    }
    facts::joins_tables(op)
        || facts::is_suppression(op)
        || (is_filter(op) || is_map(op)) && can_say(topology, (id, last), seen)
}

/// A table is asked for old values if a filter or a foreign-key join reads it, or a `map_values` without a store that is asked itself; the left table of
/// a left join, both of an outer join, and both of any join that is asked itself.
fn asked(topology: &Topology, place: Place, seen: &mut BTreeSet<Place>) -> bool {
    if !seen.insert(place) {
        return false;
    }
    let (id, position) = place;
    let node = topology.node(id);
    let here = node.chain().and_then(|chain| chain.ops.get(position));
    if here.is_some() {
        return asks(topology, node, position, seen);
    }
    topology.readers(id).any(|edge| {
        let reader = topology.node(edge.to);
        match edge.op {
            None => asks(topology, reader, 0, seen),
            Some(op) => asks_other(topology, reader, op, seen),
        }
    })
}

/// Whether the operator at `position` asks the other table that it names.
fn asks_other(
    topology: &Topology,
    node: &Node,
    position: usize,
    seen: &mut BTreeSet<Place>,
) -> bool {
    let Some(op) = node.chain().and_then(|chain| chain.ops.get(position)) else {
        return false;
    };
    facts::joins_foreign(op)
        || facts::joins_tables(op)
            && (op.base_name().starts_with("outer_join")
                || asked(topology, (node.id, position + 1), seen))
}

/// Whether the operator at `position` asks its input.
fn asks(topology: &Topology, node: &Node, position: usize, seen: &mut BTreeSet<Place>) -> bool {
    let Some(chain) = node.chain() else {
        return false;
    };
    let Some(op) = chain.ops.get(position) else {
        return position == 0 && asked(topology, (node.id, 0), seen);
    };
    if facts::joins_tables(op) {
        let name = op.base_name();
        return name.starts_with("left_join")
            || name.starts_with("outer_join")
            || asked(topology, (node.id, position + 1), seen);
    }
    is_filter(op)
        || facts::joins_foreign(op)
        || regroups(op)
        || is_map(op)
            && !is_materialized(topology, node, chain, position)
            && asked(topology, (node.id, position + 1), seen)
}

/// Whether an operator keeps updates as they come, like the source of a table.
pub(crate) fn begins_table(op: &Op) -> bool {
    op.is("to_table") || facts::joins_foreign(op)
}

/// A table whose rows are grouped anew has to be told the old ones, and so does a suppression.
fn regroups(op: &Op) -> bool {
    on_table(op) && op.is("group_by") || facts::is_suppression(op)
}

/// Whether a node that keeps the updates of a topic or stream as they come has a store only because an operator after it cannot
/// do without old values. Kafka Streams gives it to the first table of the chain, not to filters and `map_values` between.
pub(crate) fn forces_store(topology: &Topology, node: &Node) -> bool {
    let end = match node.chain() {
        None if node.source().is_some() => 0,
        Some(chain) if chain.ops.last().is_some_and(begins_table) => chain.ops.len(),
        _ => return false,
    };
    is_forced(topology, (node.id, end), &mut BTreeSet::new())
}

/// Whether an operator, at once or behind filters and `map_values`, cannot do without the old values of the table that the
/// operator at `position` of a chain yields.
pub(crate) fn forced_after(topology: &Topology, id: NodeId, position: usize) -> bool {
    is_forced(topology, (id, position + 1), &mut BTreeSet::new())
}

fn is_forced(topology: &Topology, place: Place, seen: &mut BTreeSet<Place>) -> bool {
    if !seen.insert(place) {
        return false;
    }
    let (id, position) = place;
    let node = topology.node(id);
    if node.chain().is_some_and(|chain| position < chain.ops.len()) {
        return forces(topology, node, position, seen);
    }
    topology
        .readers(id)
        .filter(|edge| edge.op.is_none())
        .any(|edge| forces(topology, topology.node(edge.to), 0, seen))
}

/// Whether the operator at `position` cannot do without the old values of its input.
fn forces(topology: &Topology, node: &Node, position: usize, seen: &mut BTreeSet<Place>) -> bool {
    let Some(chain) = node.chain() else {
        return false;
    };
    let Some(op) = chain.ops.get(position) else {
        return position == 0 && is_forced(topology, (node.id, 0), seen);
    };
    regroups(op)
        || (is_filter(op) || is_map(op))
            && !is_materialized(topology, node, chain, position)
            && is_forced(topology, (node.id, position + 1), seen)
}

fn end_of(topology: &Topology, id: NodeId) -> Place {
    (
        id,
        topology.node(id).chain().map_or(0, |chain| chain.ops.len()),
    )
}
