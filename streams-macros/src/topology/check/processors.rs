//! Rules of processors: how they are named, which stores they get, and what their outputs are called. What a processor itself
//! declares only rustc knows; its rules are consts in `streams_core::processor`.

use super::{at, chains};
use crate::ctxt::Ctxt;
use crate::topology::kinds::Shape;
use crate::topology::model::{Chain, Node, NodeId, Op, Topology};
use crate::topology::parse::{StoreKind, nearest};
use crate::topology::plan::facts;
use crate::topology::plan::processors::has_outputs;

/// The processors that chains call.
fn calls(topology: &Topology) -> impl Iterator<Item = (&Node, &Chain, usize, &Op)> {
    chains(topology).flat_map(|(node, chain)| {
        let ops = chain.ops.iter().enumerate();
        ops.filter(|(_, op)| op.is_processor() && op.known().is_some())
            .map(move |(position, op)| (node, chain, position, op))
    })
}

// Each task has a processor of its own, and a struct of handles to keep it in: its type has to be read off the call that makes it.
pub(super) fn processors_are_made_by_their_type(cx: &Ctxt, topology: &Topology) {
    for (_, _, _, op) in calls(topology) {
        let Some(arg) = op.args.first() else { continue };
        if op.processor().is_none() {
            cx.error(
                "KS0132",
                arg,
                format!(
                    "`{}` takes a call of a function of the processor's own type, which tells the type: \
                     `.{}(FraudAlerts::new(…))`",
                    op.name, op.name
                ),
            );
        }
    }
}

// A processor is given store fields, tables and global tables of its topology. Streams keep nothing.
pub(super) fn given_stores_exist(cx: &Ctxt, topology: &Topology) {
    for (node, _, _, op) in calls(topology) {
        for (number, given) in op.stores.iter().enumerate() {
            let Some(id) = given.node else {
                let names: Vec<String> = topology
                    .nodes
                    .iter()
                    .filter(|node| keeps_state(node))
                    .map(|node| facts::plain(&node.name))
                    .collect();
                let near = nearest(&given.place.to_string(), names.iter().map(String::as_str));
                let hint = match near {
                    Some(near) => format!("; did you mean `{near}`?"),
                    None => format!(
                        ": declare it, `#[store] {}: KeyValueStore<K, V>`, and every processor that is given it shares it",
                        given.place
                    ),
                };
                cx.error(
                    "KS0435",
                    &given.place,
                    format!("there is no store `{}`{hint}", given.place),
                );
                continue;
            };
            let store = topology.node(id);
            if !store.is_poisoned() && !keeps_state(store) {
                cx.error_with(
                    "KS0435",
                    &given.place,
                    format!(
                        "`{}` is {}, which keeps no state that `{}` could share: a processor gets store fields, tables and \
                         global tables",
                        given.place, store.shape, node.name
                    ),
                    [(at(&store.ty), format!("`{}` is declared here", store.name))],
                );
            }
            let twice = op
                .stores
                .iter()
                .take(number)
                .any(|g| g.field == given.field);
            if twice {
                cx.error(
                    "KS0112",
                    &given.field,
                    format!("the store `{}` is given twice", given.field),
                );
            }
        }
    }
}

fn keeps_state(node: &Node) -> bool {
    matches!(node.shape, Shape::Store | Shape::Table | Shape::GlobalTable)
}

// Windows have a size and, as sessions and versions, a time for which they are kept; other stores have neither. As of processors'
// own stores.
pub(super) fn store_fields_say_their_times(cx: &Ctxt, topology: &Topology) {
    for node in &topology.nodes {
        let options = node.store.as_ref();
        let size = options.and_then(|options| options.window_size.as_ref());
        let retention = options.and_then(|options| options.retention.as_ref());
        if node.shape != Shape::Store {
            if let Some(size) = size {
                cx.error(
                    "KS0114",
                    size,
                    format!(
                        "`window_size` is for `WindowStore` fields, and `{}` is {}: its windows say their size themselves; remove it",
                        node.name, node.shape
                    ),
                );
            }
            continue;
        }
        if node.incomplete {
            continue;
        }
        let missing = match &*node.type_name {
            "WindowStore" if size.is_none() || retention.is_none() => {
                "its windows' size and for how long they are kept: `#[store(window_size = \"10m\", retention = \"1h\")]`"
            }
            "SessionStore" | "VersionedStore" if retention.is_none() => {
                "the time for which it keeps what is past: `#[store(retention = \"1h\")]`"
            }
            _ => "",
        };
        if !missing.is_empty() {
            let place = options.map_or_else(|| at(&node.ty), |options| at(&options.attribute.meta));
            cx.error(
                "KS0111",
                place,
                format!("the {} `{}` needs {missing}", node.type_name, node.name),
            );
        }
        let by_key = matches!(
            &*node.type_name,
            "KeyValueStore" | "TimestampedKeyValueStore"
        );
        let misplaced = [
            (
                "window_size",
                size.filter(|_| node.type_name != "WindowStore"),
            ),
            ("retention", retention.filter(|_| by_key)),
        ];
        for (option, time) in misplaced {
            if let Some(time) = time {
                cx.error(
                    "KS0114",
                    time,
                    format!(
                        "`{option}` says nothing about the {} `{}`: remove it",
                        node.type_name, node.name
                    ),
                );
            }
        }
        store_options_fit(cx, node);
    }
}

/// What is for tables, or for stores with a changelog.
fn store_options_fit(cx: &Ctxt, node: &Node) {
    let Some(options) = &node.store else { return };
    if let (Some((StoreKind::Memory, kind)), "VersionedStore") = (&options.kind, &*node.type_name) {
        let message = format!(
            "`{}` keeps its past on disk: there are no versioned stores in memory; remove `kind = memory`",
            node.name
        );
        cx.error("KS0430", kind, message);
    }
    let versioned = options.versioned.as_ref();
    if let Some((_, place)) = versioned {
        let message = format!(
            "`versioned` is for tables: a store of processors with a past is a `VersionedStore`, and `{}` is a {}",
            node.name, node.type_name
        );
        cx.error("KS0114", place, message);
    }
    let cache = options.cache.as_ref().map(|value| ("cache", at(value)));
    let changelog = options
        .changelog
        .as_ref()
        .map(|value| ("changelog", at(value)));
    let settings = options.changelog_config.first();
    let settings = settings.map(|(key, _)| ("changelog_config", at(key)));
    if node.is_global_store() {
        for (option, value) in cache.into_iter().chain(changelog).chain(settings) {
            cx.error(
                "KS0405",
                value,
                format!(
                    "`{option}` says nothing about the global store `{}`: its topic is its log, and it is never cached; remove it",
                    node.name
                ),
            );
        }
    } else if let Some((_, value)) = cache {
        cx.error(
            "KS0405",
            value,
            format!(
                "`cache` says nothing about `{}`: stores of processors are never cached; remove it",
                node.name
            ),
        );
    }
}

// A task has the part of a shared store that belongs to its partition: behind a change of the key the records of one key meet in
// different tasks, and so in different parts.
pub(super) fn shared_stores_are_partitioned(cx: &Ctxt, topology: &Topology) {
    if super::inputs::is_cyclic(topology) {
        return;
    }
    for (node, _, position, op) in calls(topology) {
        let local = op.stores.iter().find(|given| {
            let store = given.node.map(|id| topology.node(id));
            store.is_some_and(|store| {
                store.shape == Shape::Table
                    || store.shape == Shape::Store && store.source().is_none()
            })
        });
        let (Some(given), Some(by)) = (local, facts::rekeyed_by(topology, node.id, position))
        else {
            continue;
        };
        if op.is("transform_values") {
            continue;
        }
        cx.error(
            "KS0330",
            &op.name,
            format!(
                "`{}` uses the store `{}`, and in `{}` it gets records whose keys `{by}` changed: records of one key would \
                 meet in different tasks; put `.repartition()` before `.{}(…)`",
                op.name, given.place, node.name, op.name
            ),
        );
    }
}

// A shared store makes its users one sub-topology; those before and behind a repartition topic are two.
pub(super) fn shared_stores_are_on_one_side(cx: &Ctxt, topology: &Topology) {
    if super::inputs::is_cyclic(topology) {
        return;
    }
    for store in topology
        .nodes
        .iter()
        .filter(|node| node.shape == Shape::Store && !node.is_global_store())
    {
        let users: Vec<_> = topology
            .readers(store.id)
            .filter_map(|edge| Some((edge, edge.op?)))
            .collect();
        for (number, (edge, op)) in users.iter().enumerate() {
            let origins = facts::origins_before(topology, edge.to, *op);
            // Wherever it is declared: fields come in the order of their declaration, not of their records.
            let before = users.iter().enumerate().find(|(other, (user, op))| {
                let user = (user.to, *op);
                *other != number
                    && origins
                        .iter()
                        .any(|origin| splits(topology, user, *origin, &origins))
            });
            let Some((_, (other, _))) = before else {
                continue;
            };
            cx.error_with(
                "KS0332",
                &edge.place,
                format!(
                    "`{}` is used before and behind a repartition topic: these are two sub-topologies with other keys in \
                     each partition; give each side a store of its own",
                    store.name
                ),
                [(self::at(&other.place), format!("`{}` is used here before it", store.name))],
            );
        }
    }
}

/// Whether a repartition topic lies between an operator and others, whose records come from `origins`.
fn splits(
    topology: &Topology,
    user: (NodeId, usize),
    topic: facts::Origin,
    origins: &[facts::Origin],
) -> bool {
    match topic {
        facts::Origin::Source(_) => false,
        facts::Origin::Repartition(id, at) => facts::fills(topology, user, (id, at)),
        // A stream that meets itself under another key is one sub-topology with what comes before that.
        facts::Origin::OtherRepartition(id, at) => {
            let (user, op) = user;
            let own = facts::origins_before(topology, user, op);
            facts::fills_other(topology, user, (id, at))
                && !own.iter().any(|origin| origins.contains(origin))
        }
    }
}

// A processor with several outputs has no records of its own: each output is read by its name.
pub(super) fn outputs_are_of_processors(cx: &Ctxt, topology: &Topology) {
    for (_, chain) in chains(topology) {
        let (Some(output), Some(input)) = (&chain.output, chain.input) else {
            continue;
        };
        let node = topology.node(input);
        if node.is_poisoned() || has_outputs(node) {
            continue;
        }
        let processed = node
            .chain()
            .and_then(|chain| chain.ops.last())
            .is_some_and(Op::is_processor);
        let mend = if processed {
            format!(
                "`{}` is declared as {}, so its processor has one output: declare it `()` and let the processor name its outputs, \
                 or read `{}` itself",
                node.name, node.shape, node.name
            )
        } else {
            format!(
                "only a processor has outputs with names, and `{}` ends in none",
                node.name
            )
        };
        cx.error_with(
            "KS0131",
            output,
            format!("there is no `{}.{output}`: {mend}", node.name),
            [(at(&node.ty), format!("`{}` is declared here", node.name))],
        );
    }
}
