//! Facts that only rustc can decide, as small items beside the generated code: partition counts behind consts.

use proc_macro2::TokenStream;
use quote::quote_spanned;
use syn::spanned::Spanned as _;

use super::emit::{Emit, at, milliseconds, stream_join::ms};
use super::kinds::Shape;
use super::model::{Node, NodeId, Op, Topology};
use super::parse::Partitions;
use super::plan::facts::{self, Origin};
use super::stream_join::{self, Given};
use super::suppression::Until;
use super::windows::Time;

/// Expands to item-level consts (an inline `const` is invisible to `cargo check`), one per pair of counts of which at least one
/// is a const:
/// ```text
/// const _: () = __s::copartitioned("enriched", "join", "orders", ORDERS, "customers", 4, ("…(", ")…"));
/// ```
pub(super) fn of(emit: &Emit<'_>) -> TokenStream {
    let topology = emit.plan.topology;
    let mut out = TokenStream::new();
    for group in facts::copartition_groups(topology, &facts::internal(topology)) {
        let node = topology.node(group.node);
        let Some(op) = node.chain().and_then(|chain| chain.ops.get(group.op)) else {
            continue;
        };
        let counts: Vec<_> = group
            .origins
            .iter()
            .filter_map(|origin| declared_count(emit, *origin))
            .collect();
        let Some(((first, first_count), others)) = counts.split_first() else {
            continue;
        };
        for (other, other_count) in others {
            let literal = |count: &Partitions| matches!(count, Partitions::Literal(..));
            if literal(first_count) && literal(other_count) {
                continue;
            }
            let (name, operator) = (facts::plain(&node.name), op.name.to_string());
            let (first, other) = (name_of(emit, *first), name_of(emit, *other));
            let place = at(op.name.span());
            let (mend, rest) = mend(op);
            out.extend(quote_spanned! {place=>
                const _: () = __s::copartitioned(
                    #name, #operator, #first, #first_count, #other, #other_count, (#mend, #rest),
                );
            });
        }
    }
    for node in &topology.nodes {
        out.extend(join_windows(topology, node));
    }
    out.extend(super::emit::windows::obligations(emit));
    out
}

/// What there is but equal counts, around the count that one side may be given.
fn mend(op: &Op) -> (&'static str, &'static str) {
    match op.known().map(|row| (row.on, row.with)) {
        Some((Shape::Stream, Some(Shape::Table))) => {
            ("add `.repartition(", ")`, or make one a GlobalKTable")
        }
        Some((Shape::Table, _)) => (
            "or send one through a field of its own, `.to_stream().repartition(",
            ").to_table()`",
        ),
        _ => ("or add `.repartition(", ")`"),
    }
}

/// Times behind consts, each an item-level const:
/// ```text
/// const _: () = __s::not_negative("the history", "customers", __s::Milliseconds(HISTORY).get(), "KS0430");
/// ```
pub(super) fn of_times(emit: &Emit<'_>) -> TokenStream {
    let mut out = TokenStream::new();
    for node in &emit.plan.topology.nodes {
        let name = facts::plain(&node.name);
        let history = node.store.as_ref().and_then(|o| o.versioned.as_ref());
        if let Some((time @ Time::Const(_), _)) = history {
            out.extend(not_negative("the history", &name, time, "KS0430"));
        }
        let ops = node.chain().map_or(&[][..], |chain| &chain.ops);
        for op in ops {
            let of_table = op
                .known()
                .is_some_and(|row| row.on == Shape::Stream && row.with == Some(Shape::Table));
            let until = op.suppression.as_ref().map(|wanted| &wanted.until);
            if let Some(Until::TimeLimit(time @ Time::Const(_))) = until {
                out.extend(not_negative("the time limit", &name, time, "KS0434"));
            }
            if let (true, Some(time @ Time::Const(_))) = (of_table, &op.grace) {
                out.extend(not_negative("the grace", &name, time, "KS0431"));
            }
        }
    }
    out
}

fn not_negative(what: &str, node: &str, time: &Time, code: &str) -> TokenStream {
    let ms = milliseconds(time);
    let place = at(time.span());
    quote_spanned! {place=> const _: () = __s::not_negative(#what, #node, #ms, #code); }
}

/// Expands to `const _: () = __s::join_windows("paid", BEFORE, AFTER, GRACE);` and the same of `join_keeps`, where one of them is a
/// const.
fn join_windows(topology: &Topology, node: &Node) -> Option<TokenStream> {
    let (_, op) = stream_join::of_node(node)?;
    let join = op.stream_join.as_ref()?;
    let times = [join.before(), join.after(), join.grace()];
    let is_const = |given: &Option<&Given>| given.is_some_and(|given| given.time.ms().is_none());
    if !times.iter().any(is_const) {
        return None;
    }
    let [before, after, grace] = times.map(|given| ms(given.map(|given| &given.time)));
    let name = facts::plain(&node.name);
    let place = at(op.name.span());
    let keeps = (!stream_join::may_be_over_one_store(topology)).then(|| {
        quote_spanned! {place=> const _: () = __s::join_keeps(#name, #before, #after, #grace); }
    });
    Some(quote_spanned! {place=>
        const _: () = __s::join_windows(#name, #before, #after, #grace);
        #keeps
    })
}

fn name_of(emit: &Emit<'_>, id: NodeId) -> String {
    facts::plain(&emit.plan.topology.node(id).name)
}

/// The declared count of a source or of an explicit repartition; one that `runtime` decides has none.
fn declared_count<'p>(emit: &Emit<'p>, origin: Origin) -> Option<(NodeId, &'p Partitions)> {
    let topology = emit.plan.topology;
    let (id, count) = match origin {
        Origin::Source(id) => (id, topology.node(id).source()?.partitions.as_ref()?),
        Origin::Repartition(id, op) => (
            id,
            topology
                .node(id)
                .chain()?
                .ops
                .get(op)?
                .partitions
                .as_ref()?,
        ),
        Origin::OtherRepartition(..) => return None,
    };
    (!matches!(count, Partitions::Runtime(_))).then_some((id, count))
}
