//! Rules of splits: the `branch` and `otherwise` fields of one stream.

use quote::ToTokens as _;

use super::{at, chains};
use crate::ctxt::Ctxt;
use crate::topology::kinds::Shape;
use crate::topology::model::{Node, NodeId, Op, Topology};

/// The branches of one split, in the order of their fields.
struct Split<'a> {
    of: NodeId,
    name: Option<String>,
    branches: Vec<(&'a Node, &'a Op)>,
}

fn splits(topology: &Topology) -> Vec<Split<'_>> {
    let mut splits: Vec<Split<'_>> = Vec::new();
    for (node, chain) in chains(topology) {
        let (Some(op), Some(of)) = (chain.branch(), chain.input) else {
            continue;
        };
        if topology.node(of).shape != Shape::Stream {
            continue;
        }
        let name = op.split().map(|name| name.value());
        match splits
            .iter_mut()
            .find(|split| split.of == of && split.name == name)
        {
            Some(split) => split.branches.push((node, op)),
            None => splits.push(Split {
                of,
                name,
                branches: vec![(node, op)],
            }),
        }
    }
    splits
}

// A split divides a named stream among fields. In the middle of a chain there is no name by which the other branches could
// refer to what is divided.
pub(super) fn branches_come_first(cx: &Ctxt, topology: &Topology) {
    for (node, chain) in chains(topology) {
        for op in chain.ops.iter().skip(1) {
            if op.known().is_some() && (op.is("branch") || op.is("otherwise")) {
                cx.error(
                    "KS0128",
                    &op.name,
                    format!(
                        "`{}` divides a stream that has a name: give what comes before it a field of its own, and start \
                         `{}` there: `#[from(that_field.{}(…))]`",
                        op.name, node.name, op.name
                    ),
                );
            }
        }
    }
}

// The first branch that matches takes a record, `otherwise` takes the rest: so it comes last, once, and after at least one branch.
pub(super) fn otherwise_comes_last(cx: &Ctxt, topology: &Topology) {
    for split in splits(topology) {
        let of = &topology.node(split.of).name;
        if split.branches.iter().all(|(_, op)| op.is("otherwise"))
            && let Some((node, op)) = split.branches.first()
        {
            cx.error(
                "KS0129",
                &op.name,
                format!(
                    "`{}` takes what the branches of `{of}` leave, and `{of}` has none: write \
                     `#[from({of}.branch(|key, value| …))]` on a field before it, or read `{of}` without a split",
                    node.name
                ),
            );
        }
        let mut rest: Option<&Op> = None;
        for (node, op) in &split.branches {
            match (op.is("otherwise"), rest) {
                (true, None) => rest = Some(op),
                (true, Some(first)) => {
                    cx.error_with(
                        "KS0129",
                        &op.name,
                        format!(
                            "`{of}` has two `otherwise`: a second one gets no records; a second split of the same stream \
                             has a name of its own, `split = \"…\"` in each of its branches",
                        ),
                        [(
                            at(&first.name),
                            format!("the first `otherwise` of `{of}` takes all the rest here"),
                        )],
                    );
                }
                (false, Some(first)) => cx.error_with(
                    "KS0129",
                    &op.name,
                    format!(
                        "the branch `{}` comes after the `otherwise` of `{of}` and would get no records: move its field \
                         before it",
                        node.name
                    ),
                    [(
                        at(&first.name),
                        format!("the `otherwise` of `{of}` takes all the rest here: it belongs last"),
                    )],
                ),
                _ => {}
            }
        }
    }
}

// Two branches with the same predicate: the second never gets a record.
pub(super) fn predicates_differ(cx: &Ctxt, topology: &Topology) {
    for split in splits(topology) {
        let mut seen: Vec<(&Node, &syn::Expr, String)> = Vec::new();
        for (node, op) in &split.branches {
            let Some(predicate) = op.args.first() else {
                continue;
            };
            let text = predicate.to_token_stream().to_string();
            let Some((first, place, _)) = seen.iter().find(|(_, _, other)| *other == text) else {
                seen.push((node, predicate, text));
                continue;
            };
            cx.error_with(
                "KS0129",
                predicate,
                format!(
                    "the branch `{}` has the same predicate as `{}`, which takes every record first: change one of them",
                    node.name, first.name
                ),
                [(at(place), format!("`{}` takes these records", first.name))],
            );
        }
    }
}
