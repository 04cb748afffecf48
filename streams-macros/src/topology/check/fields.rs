//! Rules of a field: its type against its origin, its sinks, and what its closures touch.

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::ext::IdentExt as _;

use super::{at, chains, type_text};
use crate::ctxt::Ctxt;
use crate::topology::kinds::Shape;
use crate::topology::model::{Node, Op, Origin, Topology};
use crate::topology::parse::{SinkTopic, Source};
use crate::topology::plan::processors;

// The field's type says what its node is, and other chains read it as that: it must be what its own chain yields.
pub(super) fn fields_declare_what_chains_yield(cx: &Ctxt, topology: &Topology) {
    for (node, chain) in chains(topology) {
        let Some(yields) = chain.yields else {
            continue;
        };
        // A chain without operators is the node that it names.
        let last = chain.ops.last().map_or(&chain.base, |op| &op.name);
        let clear = super::is_clear(chain);
        if yields == node.shape || yields.is_grouping() || !clear || processors::has_outputs(node) {
            continue;
        }
        let mend = match yields {
            Shape::Nothing => {
                format!(
                    "declare `{}: ()`, or use `peek`, which passes the records on",
                    node.name
                )
            }
            _ => format!(
                "declare `{}: {}`{}",
                node.name,
                declared_as(node, yields),
                converted(node, yields)
            ),
        };
        let message = format!(
            "`{}` is declared `{}`, {}, but its chain yields {yields}: {mend}",
            node.name,
            type_text(&node.ty),
            node.shape,
        );
        let text = format!("`{last}` yields {yields}");
        cx.error_with("KS0126", &node.ty, message, [(at(last), text)]);
    }
}

/// The field's type in the shape that the chain yields, with its own key and value types where it has them.
fn declared_as(node: &Node, shape: Shape) -> String {
    match (&node.types, shape) {
        (Some((key, value)), Shape::Stream) => {
            format!("KStream<{}, {}>", type_text(key), type_text(value))
        }
        (Some((key, value)), Shape::Table) => {
            format!("KTable<{}, {}>", type_text(key), type_text(value))
        }
        _ => shape.field_type().to_owned(),
    }
}

fn converted(node: &Node, yields: Shape) -> &'static str {
    match (yields, node.shape) {
        (Shape::Table, Shape::Stream) => {
            ", and read its updates in another field with `.to_stream()`"
        }
        (Shape::Stream, Shape::Table) => ", or add `.to_table()`",
        (Shape::Stream, Shape::GlobalTable) | (Shape::Table, Shape::GlobalTable) => {
            "; a global table is read whole from a topic: `#[source(topic = \"…\")]`"
        }
        (Shape::Stream, Shape::Nothing) => ", or end the chain with `.for_each(…)`",
        _ => "",
    }
}

// A topic is read as a stream, a table or a global table. `()` is the end of a chain.
pub(super) fn fields_declare_what_is_read(cx: &Ctxt, topology: &Topology) {
    for node in &topology.nodes {
        let Origin::Source(source) = &node.origin else {
            continue;
        };
        if node.shape == Shape::Store {
            global_stores_say_who_keeps_them(cx, node, source);
        } else if let Some(option) = stores_only(source) {
            cx.error(
                "KS0114",
                &option,
                format!(
                    "`global` and `process` are for stores that a processor keeps, and `{}` is {}; a topic that every instance \
                     reads whole, as it is, is a `GlobalKTable<K, V>` without them",
                    node.name, node.shape
                ),
            );
        }
        if node.shape == Shape::Nothing {
            cx.error_with(
                "KS0126",
                &node.ty,
                format!(
                    "`{}` reads a topic, so its type says how: `KStream<K, V>`, `KTable<K, V>` or `GlobalKTable<K, V>`, not `{}`",
                    node.name,
                    type_text(&node.ty)
                ),
                [(at(&source.attribute.meta), format!("`{}` reads a topic here", node.name))],
            );
        }
        if node.shape != Shape::Stream
            && let Some(second) = source.topics.get(1)
        {
            cx.error(
                "KS0114",
                second,
                format!(
                    "`{}` is {}, which has one topic: rows of two topics would overwrite each other; several topics are \
                     read as a `KStream`",
                    node.name, node.shape
                ),
            );
        }
    }
}

fn stores_only(source: &Source) -> Option<TokenStream> {
    let global = source.global.as_ref().map(at);
    global.or_else(|| source.process.as_ref().map(at))
}

/// `global, process = …`, with a call that tells the processor's type.
fn global_stores_say_who_keeps_them(cx: &Ctxt, node: &Node, source: &Source) {
    let name = &node.name;
    match (&source.global, &source.process) {
        (Some(_), Some(made)) if node.keeper().is_none() => cx.error(
            "KS0132",
            made,
            "`process` takes a call of a function of the processor's own type, which tells the type: \
             `process = UpperCase::new()`",
        ),
        (Some(_), Some(_)) => {}
        (Some(global), None) => cx.error(
            "KS0111",
            global,
            format!(
                "the global store `{name}` needs a processor that keeps it, `#[source(topic = \"…\", global, process = \
                 UpperCase::new())]`; a topic whose records are the entries is a `GlobalKTable<K, V>`"
            ),
        ),
        (None, Some(made)) => cx.error(
            "KS0111",
            made,
            format!(
                "a processor keeps a store of a topic only where every instance has all of it: write `global` beside \
                 `process`, or read the topic as a `KStream` and give `{name}` to a processor of it, `stores({name})`"
            ),
        ),
        (None, None) => cx.error_with(
            "KS0126",
            &node.ty,
            format!(
                "`{name}` reads a topic, so its type says how: `KStream<K, V>`, `KTable<K, V>` or `GlobalKTable<K, V>`, not \
                 `{}`; a store that a processor keeps is `#[source(topic = \"…\", global, process = UpperCase::new())]`",
                type_text(&node.ty)
            ),
            [(at(&source.attribute.meta), format!("`{name}` reads a topic here"))],
        ),
    }
}

// `self` in a closure is the app's parameters. A node there would be a hidden edge: another task's state, at another time, of
// which neither the plan nor a restart knows.
pub(super) fn closures_touch_no_nodes(cx: &Ctxt, topology: &Topology) {
    for node in &topology.nodes {
        let args = node
            .chain()
            .into_iter()
            .flat_map(|chain| &chain.ops)
            .flat_map(|op| &op.args);
        let sinks = node.sinks.iter().filter_map(|sink| match &sink.topic {
            SinkTopic::PerRecord(expr, _) => Some(expr),
            SinkTopic::Static(_) => None,
        });
        let timestamp = node.source().and_then(|source| source.timestamp.as_ref());
        let keeper = node.source().and_then(|source| source.process.as_ref());
        let ops = node.chain().into_iter().flat_map(|chain| &chain.ops);
        let partitioners = node
            .sinks
            .iter()
            .filter_map(|sink| sink.partitioner.as_ref())
            .chain(ops.filter_map(Op::any_partitioner));
        let exprs = args.chain(sinks).chain(timestamp).chain(keeper);
        for expr in exprs.chain(partitioners) {
            let mut touched = Vec::new();
            fields_of_self(at(expr), &mut touched);
            for name in touched {
                if let Some(other) = topology.find(&name) {
                    let mend = match other.shape {
                        Shape::Table => format!("join it instead: `.join({name}, |value, row| …)`"),
                        Shape::GlobalTable => {
                            format!(
                                "join it instead: `.join({name}, |key, value| …, |value, row| …)`"
                            )
                        }
                        Shape::Stream => format!("merge or join it instead: `.merge({name})`"),
                        _ => "closures read parameters only".to_owned(),
                    };
                    cx.error_with(
                        "KS0130",
                        &name,
                        format!(
                            "`self.{name}` is a node: inside a closure `self` is the app's parameters, and a query would \
                             see another moment's state; {mend}"
                        ),
                        [(at(&other.name), format!("`{name}` is {} of this topology", other.shape))],
                    );
                }
            }
        }
    }
}

/// The fields that are read as `self.name`, also inside macros. A method call is the user's own.
fn fields_of_self(tokens: TokenStream, out: &mut Vec<Ident>) {
    let trees: Vec<TokenTree> = tokens.into_iter().collect();
    for (position, tree) in trees.iter().enumerate() {
        if let TokenTree::Group(group) = tree {
            fields_of_self(group.stream(), out);
        }
        let (TokenTree::Ident(name), Some(dot), Some(receiver)) = (
            tree,
            position.checked_sub(1).and_then(|at| trees.get(at)),
            position.checked_sub(2).and_then(|at| trees.get(at)),
        ) else {
            continue;
        };
        let is_field = matches!(dot, TokenTree::Punct(dot) if dot.as_char() == '.')
            && matches!(receiver, TokenTree::Ident(receiver) if receiver == "self");
        let is_call = matches!(
            trees.get(position + 1),
            Some(TokenTree::Group(group)) if group.delimiter() == proc_macro2::Delimiter::Parenthesis
        );
        if is_field && !is_call {
            out.push(name.clone());
        }
    }
}

// A global table is a copy of its topic, `()` is the end of a chain, a store has no records: none of them can be written on.
pub(super) fn sinks_are_on_what_can_be_written(cx: &Ctxt, topology: &Topology) {
    for node in &topology.nodes {
        let why = match node.shape {
            Shape::Stream | Shape::Table => continue,
            Shape::GlobalTable => {
                "a global table is a copy of its topic; read it as a `KTable` to write it elsewhere"
            }
            Shape::Nothing => {
                "nothing flows out of `for_each`; use `peek`, which passes the records on, with a `KStream` field"
            }
            _ => "a store carries no records",
        };
        for sink in &node.sinks {
            cx.error(
                "KS0109",
                &sink.attribute.meta,
                format!("`{}` cannot be written to a topic: {why}", node.name),
            );
        }
    }
}

// The same topic twice in one node would write every record twice.
pub(super) fn sinks_write_a_topic_once(cx: &Ctxt, topology: &Topology) {
    for node in &topology.nodes {
        let mut seen: Vec<&syn::LitStr> = Vec::new();
        for sink in &node.sinks {
            let SinkTopic::Static(topic) = &sink.topic else {
                continue;
            };
            match seen.iter().find(|first| first.value() == topic.value()) {
                None => seen.push(topic),
                Some(first) => cx.error_with(
                    "KS0108",
                    topic,
                    format!(
                        "`{}` writes the topic `{}` twice: each record would be there two times; remove one",
                        node.name,
                        topic.value()
                    ),
                    [(at(first), format!("`{}` writes `{}` here", node.name, topic.value()))],
                ),
            }
        }
    }
}

// A global table is read whole, by every instance, in no task: where a group would begin does not matter to it.
pub(super) fn source_options_say_something(cx: &Ctxt, topology: &Topology) {
    for node in &topology.nodes {
        let Some(source) = node.source().filter(|_| node.is_global()) else {
            continue;
        };
        let reset = source
            .offset_reset
            .as_ref()
            .map(|(_, expr)| ("offset_reset", expr));
        let partitioner = source
            .partitioner
            .as_ref()
            .map(|expr| ("partitioner", expr));
        let timestamp = source.timestamp.as_ref().map(|expr| ("timestamp", expr));
        for (option, expr) in reset.into_iter().chain(partitioner).chain(timestamp) {
            cx.error(
                "KS0114",
                expr,
                format!(
                    "`{option}` says nothing about `{}`: every instance reads all of {}'s topic; remove it",
                    node.name,
                    if node.shape == Shape::Store { "a global store" } else { "a global table" },
                ),
            );
        }
    }
}

// A table is rows by key. `()` is the type of records without a key, and a null key is never a row: Kafka Streams drops them all.
pub(super) fn tables_have_keys(cx: &Ctxt, topology: &Topology) {
    for node in &topology.nodes {
        let is_table = matches!(node.shape, Shape::Table | Shape::GlobalTable);
        let Some(key) = node.key().filter(|_| is_table && !node.is_poisoned()) else {
            continue;
        };
        let text = type_text(key);
        if text == "()" {
            cx.error(
                "KS0115",
                key,
                format!(
                    "`{}` is a table, which is rows by key, and `()` is the type of records without one: declare the key's \
                     type, or read the topic as a `KStream`",
                    node.name.unraw()
                ),
            );
        } else if let Some(inner) = text
            .strip_prefix("Option<")
            .and_then(|rest| rest.strip_suffix('>'))
        {
            cx.error(
                "KS0115",
                key,
                format!(
                    "a row of the table `{}` always has a key (records without one are dropped and counted): declare \
                     `{inner}` instead of `{text}`",
                    node.name.unraw()
                ),
            );
        }
    }
}
