//! Rules of stores: which nodes have one, and to which field it belongs.

use super::{at, chains, type_text};
use crate::ctxt::Ctxt;
use crate::topology::kinds::{Key, Operator, Shape, State};
use crate::topology::model::{Chain, Node, Op, Origin, Topology};
use crate::topology::plan::{facts, old_values};
use crate::topology::stream_join::{self, joins_streams};
use crate::topology::windows;

// A store holds the rows of a table. Streams carry records on and keep none; the copy of a global table is never logged or cached,
// because its topic is its log.
pub(super) fn stores_are_on_tables(cx: &Ctxt, topology: &Topology) {
    for node in &topology.nodes {
        let Some(store) = &node.store else { continue };
        let owns = node.chain().is_some_and(|chain| chain.stateful().is_some())
            || stream_join::of_node(node).is_some();
        match node.shape {
            Shape::Stream | Shape::Nothing if !owns => cx.error(
                "KS0402",
                &store.attribute.meta,
                format!(
                    "`{}` is {}, which keeps nothing: `#[store]` belongs on a `KTable`, or behind an aggregation",
                    node.name,
                    if node.shape == Shape::Nothing { "the end of a chain" } else { "a stream" },
                ),
            ),
            Shape::GlobalTable => {
                let cache = store.cache.as_ref().map(|value| ("cache", at(value)));
                let changelog = store.changelog.as_ref().map(|value| ("changelog", at(value)));
                let settings = store.changelog_config.first();
                let settings = settings.map(|(key, _)| ("changelog_config", at(key)));
                for (option, value) in cache.into_iter().chain(changelog).chain(settings) {
                    cx.error(
                        "KS0405",
                        value,
                        format!(
                            "`{option}` says nothing about the global table `{}`: its topic is its log, and it is never \
                             cached; remove it",
                            node.name
                        ),
                    );
                }
            }
            _ => {}
        }
    }
}

// A store has its field's name, so that it can be configured, queried and found again after the next change of the topology. A
// chain that would need a second one names its middle.
pub(super) fn stores_belong_to_fields(cx: &Ctxt, topology: &Topology) {
    for (node, chain) in chains(topology) {
        let clear = super::is_clear(chain);
        if clear && let Some((table, join)) = looked_up_in_passing(topology, node, chain) {
            let op = &chain.ops[table];
            let message = format!(
                "the join with `{}` looks up rows of the table that `{}` begins, which needs a store: give that a field of its \
                 own, and start `{}` there:\n\n{}",
                join,
                op.name,
                node.name,
                field_to_paste(topology, node, chain, table)
            );
            let text = format!("`{}` begins a table", op.name);
            cx.error_with("KS0403", join, message, [(at(&op.name), text)]);
            continue;
        }
        if clear && let Some(join) = chain.ops.iter().skip(1).position(facts::joins_foreign) {
            let (before, joins) = (&chain.ops[join], &chain.ops[join + 1]);
            let message = format!(
                "`{}` looks up rows of the table before it when answers come, which needs a store: give that a field of its \
                 own, and start `{}` there:\n\n{}",
                joins.name,
                node.name,
                field_to_paste(topology, node, chain, join)
            );
            let text = format!("`{}` yields the table", before.name);
            cx.error_with("KS0403", &joins.name, message, [(at(&before.name), text)]);
            continue;
        }
        let owning = owning(topology, node, chain);
        let Some(first) = owning.first().copied().filter(|_| clear) else {
            continue;
        };
        let Some(op) = chain.ops.get(first) else {
            continue;
        };
        if let Some(second) = owning.get(1).and_then(|second| chain.ops.get(*second)) {
            let message = format!(
                "`{}` and `{}` each need a store, and `{}` has room for one: give the first a field of its own, and start \
                 `{}` there:\n\n{}",
                op.name,
                second.name,
                node.name,
                node.name,
                field_to_paste(topology, node, chain, first)
            );
            let text = format!("`{}` needs a store", op.name);
            cx.error_with("KS0403", &second.name, message, [(at(&op.name), text)]);
        } else if old_values::begins_table(op) {
            let message = format!(
                "`{}` needs a store here, because rows that are grouped anew have to be known as they were: give it a field \
                 of its own, and start `{}` there:\n\n{}",
                op.name,
                node.name,
                field_to_paste(topology, node, chain, first)
            );
            cx.error("KS0403", &op.name, message);
        } else if !facts::store_is_fields(node)
            && node.shape == Shape::Table
            && let Some(join) = facts::looked_up(topology, node.id)
        {
            let message = format!(
                "`{}` needs a store, and so does the join with `{}`, which looks up what its chain yields in the end: give the \
                 first a field of its own, and start `{}` there:\n\n{}",
                op.name,
                node.name,
                node.name,
                field_to_paste(topology, node, chain, first)
            );
            let text = format!(
                "`{}` joins with `{}` here",
                topology.node(join.to).name,
                node.name
            );
            cx.error_with("KS0403", &op.name, message, [(at(&join.place), text)]);
        } else if !facts::store_is_fields(node)
            && node.shape == Shape::Table
            && let Some(store) = &node.store
        {
            let message = format!(
                "`#[store]` keeps what `{}` declares, but `{}` in the middle of its chain needs a store too: give it a field \
                 of its own, and start `{}` there:\n\n{}",
                node.name,
                op.name,
                node.name,
                field_to_paste(topology, node, chain, first)
            );
            cx.error("KS0403", &store.attribute.meta, message);
        }
    }
}

// The other side's records enter a chain's code at its join: those of tables with the rows that they belong to, those of streams by
// themselves. Where no repartition topic lies between, there is room for one of the two.
pub(super) fn joins_of_tables_and_of_streams_are_apart(cx: &Ctxt, topology: &Topology) {
    for (node, chain) in chains(topology) {
        for (position, op) in chain.ops.iter().enumerate() {
            let of_streams = op.known().is_some_and(joins_streams);
            if !of_streams || !facts::meets(topology, node, position) {
                continue;
            }
            let is_behind = |at: &usize| facts::repartitions_before(topology, node.id, *at);
            let begin = (0..=position).rev().find(is_behind).unwrap_or(0);
            let before =
                (begin..position).find(|at| chain.ops.get(*at).is_some_and(facts::joins_tables));
            let Some(tables) = before else { continue };
            let first = &chain.ops[tables];
            let message = format!(
                "`{}` joins two streams, and `{}` before it two tables: a chain has room for one of them. Give the first a field \
                 of its own, and start `{}` there:\n\n{}",
                op.name,
                first.name,
                node.name,
                field_to_paste(topology, node, chain, tables)
            );
            let text = format!("`{}` joins two tables", first.name);
            cx.error_with("KS0403", &op.name, message, [(at(&first.name), text)]);
        }
    }
}

/// A `to_table` in the middle of a chain whose rows are looked up, and the name in the join that does.
fn looked_up_in_passing<'t>(
    topology: &'t Topology,
    node: &'t Node,
    chain: &'t Chain,
) -> Option<(usize, &'t proc_macro2::Ident)> {
    let table = chain.ops.iter().rposition(old_values::begins_table)?;
    let behind = chain.ops.get(table + 1..)?;
    let join = behind.iter().find(|op| facts::joins_tables(op));
    if let Some((name, _)) = join.and_then(|op| op.other.as_ref()) {
        return Some((table, name));
    }
    let viewed = facts::is_viewed(topology, node);
    let edge = facts::looked_up(topology, node.id).filter(|_| viewed)?;
    Some((table, &edge.place))
}

/// The operators of a chain that own a store. `to_table` does in the middle of one where rows are grouped anew after it.
fn owning(topology: &Topology, node: &Node, chain: &Chain) -> Vec<usize> {
    let owns = |position: usize, op: &Op| {
        op.known()
            .is_some_and(|row| row.state == State::Owns || joins_streams(row))
            || old_values::begins_table(op)
                && position + 1 < chain.ops.len()
                && old_values::forced_after(topology, node.id, position)
    };
    let positions = chain.ops.iter().enumerate();
    positions
        .filter(|(position, op)| owns(*position, op))
        .map(|(position, _)| position)
        .collect()
}

/// Whether a node's chain would need a second store.
pub(super) fn needs_two(topology: &Topology, node: &Node) -> bool {
    node.chain()
        .is_some_and(|chain| owning(topology, node, chain).len() > 1)
}

/// The chain up to its store, as a field. Types that only rustc knows are left to the user.
fn field_to_paste(topology: &Topology, node: &Node, chain: &Chain, position: usize) -> String {
    let ops: Vec<String> = chain
        .ops
        .iter()
        .take(position + 1)
        .map(|op| format!(".{}{}", op.name, written_arguments(op)))
        .collect();
    let keeps_key = chain
        .ops
        .iter()
        .take(position)
        .all(|op| op.known().is_some_and(|row| row.key == Key::Keeps));
    let key = chain
        .input
        .filter(|_| keeps_key)
        .and_then(|input| topology.node(input).key())
        .map_or_else(|| "K".to_owned(), type_text);
    let last = chain.ops.get(position);
    let by_windows = last
        .and_then(Op::known)
        .is_some_and(Operator::aggregates_windows);
    let key = match windows::of_chain(chain).filter(|_| by_windows) {
        Some(of) if of.kind.is_session() => format!("Windowed<{key}, SessionWindow>"),
        Some(_) => format!("Windowed<{key}>"),
        None => key,
    };
    let value = if last.is_some_and(|op| op.is("count")) {
        "i64"
    } else {
        "V"
    };
    let name = last.map_or_else(String::new, |op| op.name.to_string());
    let shape = match last.and_then(Op::known) {
        Some(row) if joins_streams(row) => "KStream",
        _ => "KTable",
    };
    format!(
        "    #[from({}{})]\n    {}_{name}: {shape}<{key}, {value}>,",
        chain.base,
        ops.concat(),
        node.name
    )
}

/// The arguments as the user wrote them, where the compiler still has the text.
fn written_arguments(op: &Op) -> String {
    if let Some(text) = op.parens.source_text() {
        return text;
    }
    let args: Vec<String> = op
        .args
        .iter()
        .map(|arg| super::compact(&at(arg).to_string()))
        .collect();
    let name = op
        .given_name()
        .map(|name| format!("name = \"{}\"", name.value()));
    format!(
        "({})",
        args.into_iter().chain(name).collect::<Vec<_>>().join(", ")
    )
}

// A store field is shared by processors; one that no processor names would be kept, logged and restored for nobody.
pub(super) fn store_fields_are_used(cx: &Ctxt, topology: &Topology) {
    for node in &topology.nodes {
        let is_used = topology.readers(node.id).next().is_some();
        if matches!(node.origin, Origin::Shared) && !node.incomplete && !is_used {
            cx.error(
                "KS0404",
                &node.name,
                format!(
                    "no node uses the store `{}`: it would be kept and restored for nobody; remove it",
                    node.name
                ),
            );
        }
    }
}
