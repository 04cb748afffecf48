//! Facts that only rustc can decide, as small items beside the generated code: partition counts behind consts.

use proc_macro2::TokenStream;
use quote::quote_spanned;

use super::emit::{Emit, at};
use super::model::NodeId;
use super::parse::Partitions;
use super::plan::facts::{self, Origin};

/// Expands to item-level consts (an inline `const` is invisible to `cargo check`), one per pair of counts of which at least one
/// is a const:
/// ```text
/// const _: () = __s::copartitioned("enriched", "join", "orders", ORDERS, "customers", 4);
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
            out.extend(quote_spanned! {place=>
                const _: () = __s::copartitioned(
                    #name, #operator, #first, #first_count, #other, #other_count,
                );
            });
        }
    }
    out
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
