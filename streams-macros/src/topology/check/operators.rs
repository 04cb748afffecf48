//! Rules of one operator in its chain: its name, what it is called on, its arguments.

use proc_macro2::{Ident, TokenStream};
use quote::ToTokens as _;
use syn::ext::IdentExt as _;
use syn::{Expr, ExprClosure};

use super::{at, chains, either};
use crate::ctxt::Ctxt;
use crate::topology::kinds::{self, Operator, Param, Shape};
use crate::topology::model::{Chain, Meaning, Op, Topology};
use crate::topology::parse::{OptValue, SinkTopic, list, literal_text, nearest, ungrouped};

/// What an operator is called on, if that is clear.
fn receiver(topology: &Topology, chain: &Chain, position: usize) -> Option<Shape> {
    match position.checked_sub(1) {
        None => chain.input.map(|id| topology.node(id).shape),
        Some(before) => chain.ops.get(before)?.known().map(|row| row.yields),
    }
}

// The operators have Kafka Streams' names in snake case. A name that is none is misspelt, or written as in Java.
pub(super) fn operators_exist(cx: &Ctxt, topology: &Topology) {
    for (_, chain) in chains(topology) {
        for (position, op) in chain.ops.iter().enumerate() {
            if !matches!(op.meaning, Meaning::UnknownName) {
                continue;
            }
            let shape = receiver(topology, chain, position);
            let offered: Vec<&str> = match shape {
                Some(shape) => kinds::offered_by(shape),
                None => kinds::names(),
            };
            let hint = match like(&op.name, &offered).or_else(|| like(&op.name, &kinds::names())) {
                Some(near) => format!("did you mean `{near}`?"),
                None => match shape {
                    Some(shape) if !offered.is_empty() => {
                        format!("{shape} has {}", list(&plain(&offered)))
                    }
                    _ => "docs/operators.md lists them all".to_owned(),
                },
            };
            cx.error(
                "KS0120",
                &op.name,
                format!("there is no operator `{}`; {hint}", op.name),
            );
        }
    }
}

/// The operator nearest to a name, which may be written in camel case.
fn like(name: &Ident, known: &[&str]) -> Option<String> {
    let name = snake(&name.unraw().to_string());
    nearest(&name, known.iter().copied())
}

fn snake(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_uppercase() {
            if !out.is_empty() {
                out.push('_');
            }
            out.extend(c.to_lowercase());
        } else {
            out.push(c);
        }
    }
    out
}

/// Without the forms whose functions may fail: a list of everything would be twice as long.
fn plain<'n>(offered: &[&'n str]) -> Vec<&'n str> {
    let has_base = |name: &str| {
        name.strip_prefix("try_")
            .is_some_and(|base| offered.contains(&base))
    };
    offered
        .iter()
        .copied()
        .filter(|name| !has_base(name))
        .collect()
}

/// What may follow a grouping, as calls.
fn calls(offered: &[&str]) -> Vec<String> {
    let offered = plain(offered).into_iter();
    offered.map(|name| format!("`.{name}(…)`")).collect()
}

// A stream, a grouped stream, a table and a global table have different operators.
pub(super) fn operators_fit_what_they_are_called_on(cx: &Ctxt, topology: &Topology) {
    for (_, chain) in chains(topology) {
        for (position, op) in chain.ops.iter().enumerate() {
            let Meaning::WrongReceiver(shape) = op.meaning else {
                continue;
            };
            let (before, place) = match position.checked_sub(1).and_then(|i| chain.ops.get(i)) {
                Some(before) => (format!("`{}` yields {shape}", before.name), &before.name),
                None => (format!("`{}` is {shape}", chain.base), &chain.base),
            };
            let (code, message) = wrong_receiver(&op.name, shape, place, &before);
            match chain.input.filter(|_| position == 0) {
                Some(input) => {
                    let node = topology.node(input);
                    let text = format!("`{}` is declared {shape} here", node.name);
                    cx.error_with(code, &op.name, message, [(at(&node.ty), text)]);
                }
                None => cx.error(code, &op.name, message),
            }
        }
    }
}

/// What is wrong with an operator called `name` on this shape, which the node or operator at `place` has.
fn wrong_receiver(
    name: &Ident,
    shape: Shape,
    place: &Ident,
    before: &str,
) -> (&'static str, String) {
    let offering: Vec<Shape> = kinds::rows(&name.to_string()).map(|row| row.on).collect();
    let of_grouped = offering.contains(&Shape::GroupedStream);
    let offered = kinds::offered_by(shape);
    match shape {
        Shape::GroupedStream
        | Shape::GroupedTable
        | Shape::WindowedStream
        | Shape::CogroupedStream
        | Shape::WindowedCogroup => {
            if shape == Shape::WindowedCogroup && name == "emit" {
                let message = "a cogroup sends every update of its windows, as in Kafka Streams: it has no `emit`; for final \
                               results put `.suppress(until_window_closes())` behind its `aggregate`";
                return ("KS0122", message.to_owned());
            }
            let of_cogroup = matches!(shape, Shape::CogroupedStream | Shape::WindowedCogroup);
            if of_cogroup && (name == "count" || name == "reduce") {
                let message = format!(
                    "the inputs of a cogroup bring their aggregators themselves: it ends with `.aggregate(|| …)`, which takes \
                     the initial value, not with `{name}`"
                );
                return ("KS0122", message);
            }
            let calls = calls(&offered);
            let message = format!(
                "`{place}` is followed by an aggregation ({}), not by `{name}`: put `{name}` before it, or behind the \
                 aggregation",
                either(&calls)
            );
            ("KS0122", message)
        }
        Shape::Nothing => {
            let message = format!(
                "nothing flows behind `{place}`, so `{name}` gets no records: use `peek` to look at records and pass them on"
            );
            ("KS0127", message)
        }
        Shape::Store => {
            let message =
                format!("`{place}` is a store, and carries no records that `{name}` could take");
            ("KS0121", message)
        }
        Shape::GlobalTable => {
            let message = format!(
                "`{place}` is a global table, which is only read through joins: \
                 `stream.join({place}, |key, value| …, |value, row| …)`; to derive from its topic, declare it `KTable`"
            );
            ("KS0121", message)
        }
        Shape::Stream if of_grouped => {
            let message = format!(
                "`{name}` aggregates a grouped stream, and {before}: group first, `.group_by_key().{name}(…)` or \
                 `.group_by(|key, value| …).{name}(…)`"
            );
            ("KS0121", message)
        }
        Shape::Table if of_grouped && !offering.contains(&Shape::GroupedTable) => {
            let message = format!(
                "`{name}` belongs to streams, and {before}: aggregate its updates, `.to_stream().group_by_key().{name}(…)`"
            );
            ("KS0121", message)
        }
        Shape::Table if of_grouped => {
            let message = format!(
                "`{name}` aggregates a grouped table, and {before}: group first, `.group_by(|key, row| …).{name}(…)`, or \
                 aggregate its updates, `.to_stream().group_by_key().{name}(…)`"
            );
            ("KS0121", message)
        }
        Shape::Stream | Shape::Table => {
            let (other, conversion) = match shape {
                Shape::Stream => (Shape::Table, "to_table"),
                _ => (Shape::Stream, "to_stream"),
            };
            let back = name == "to_stream" || name == "to_table";
            let mend = match offering.contains(&other) && !back {
                true => format!(
                    ": `.{conversion}().{name}(…)`, or what {shape} offers: {}",
                    list(&plain(&offered))
                ),
                false => String::new(),
            };
            let message = format!(
                "`{name}` is an operator of {}, and {before}{mend}",
                shapes(&offering)
            );
            ("KS0121", message)
        }
    }
}

fn shapes(shapes: &[Shape]) -> String {
    let mut words: Vec<String> = Vec::new();
    for shape in shapes {
        let word = shape.words().to_owned();
        if !words.contains(&word) {
            words.push(word);
        }
    }
    either(&words)
}

// A join's other side is a table or a global table, a merge's a stream: the other node's type decides which join it is.
pub(super) fn operators_fit_the_other_node(cx: &Ctxt, topology: &Topology) {
    for (_, chain) in chains(topology) {
        for (position, op) in chain.ops.iter().enumerate() {
            let (Meaning::WrongOther(other), Some((place, Some(id)))) = (op.meaning, &op.other)
            else {
                continue;
            };
            let shape = receiver(topology, chain, position);
            let fitting: Vec<Shape> = kinds::rows(&op.name.to_string())
                .filter(|row| Some(row.on) == shape)
                .filter_map(|row| row.with)
                .collect();
            let mend = match (other, shape) {
                (Shape::Table, _) if fitting.contains(&Shape::Stream) => {
                    format!(
                        "; give its updates a field of their own, `#[from({place}.to_stream())]`"
                    )
                }
                (Shape::GlobalTable, Some(Shape::Table)) => {
                    format!(
                        "; declare `{place}` as `KTable`, or join the table's `.to_stream()` with it"
                    )
                }
                _ => String::new(),
            };
            let node = topology.node(*id);
            cx.error_with(
                "KS0123",
                place,
                format!(
                    "`{}` takes {}, and `{place}` is {other}{mend}",
                    op.name,
                    shapes(&fitting)
                ),
                [(at(&node.ty), format!("`{place}` is declared {other} here"))],
            );
        }
    }
}

// A grouping only says by what the next operator aggregates: alone it is no node.
pub(super) fn groupings_are_aggregated(cx: &Ctxt, topology: &Topology) {
    for (_, chain) in chains(topology) {
        let Some(last) = chain.ops.last() else {
            continue;
        };
        let Some(row) = last.known() else {
            continue;
        };
        if row.yields.is_grouping() {
            let mends = calls(&kinds::offered_by(row.yields));
            cx.error(
                "KS0122",
                &last.name,
                format!(
                    "`{}` only says by what to aggregate: add {} behind it",
                    last.name,
                    either(&mends)
                ),
            );
        }
    }
}

// The table of operators says what each takes. Types are rustc's business, number and form are ours: a wrong one would give
// errors inside generated code.
pub(super) fn arguments_fit(cx: &Ctxt, topology: &Topology) {
    for (_, chain) in chains(topology) {
        for (position, op) in chain.ops.iter().enumerate() {
            match op.meaning {
                Meaning::Known(row) => arguments_of(cx, topology, op, row),
                Meaning::Unclear if op.other.is_none() => {
                    if let Some(shape) = receiver(topology, chain, position) {
                        names_no_node(cx, topology, op, shape);
                    }
                }
                _ => {}
            }
        }
    }
}

fn arguments_of(cx: &Ctxt, topology: &Topology, op: &Op, row: &'static Operator) {
    let given_by_option = usize::from(op.is("repartition") && op.option("partitions").is_some());
    let most = row.params.len();
    let least = most - row.optional;
    let given = op.args.len() + given_by_option;
    if given < least || given > most {
        let expected = match (least, most) {
            (0, 0) => "no arguments".to_owned(),
            (1, 1) => "one argument".to_owned(),
            (least, most) if least == most => format!("{most} arguments"),
            (least, most) => format!("{least} to {most} arguments"),
        };
        let hint = match row.with {
            Some(Shape::Table) if given == most + 1 => {
                ": a key mapper belongs to joins with a global table"
            }
            Some(Shape::GlobalTable) if given + 1 == most => {
                ": the key mapper says which row of the global table belongs to a record"
            }
            _ => "",
        };
        cx.error(
            "KS0124",
            &op.name,
            format!(
                "`{}` takes {expected}, and {} given: `.{}`{hint}",
                op.name,
                match given {
                    0 => "none is".to_owned(),
                    1 => "one is".to_owned(),
                    n => format!("{n} are"),
                },
                row.signature()
            ),
        );
        return;
    }
    for (param, arg) in row.params.iter().zip(&op.args) {
        let Param::Function { role, .. } = param else {
            continue;
        };
        let what = match ungrouped(arg) {
            Expr::Path(path)
                if path
                    .path
                    .get_ident()
                    .is_some_and(|name| topology.find(name).is_some()) =>
            {
                "the name of a node"
            }
            Expr::Lit(_) => "a literal",
            Expr::Assign(_) => "an assignment",
            _ => continue,
        };
        cx.error(
            "KS0124",
            arg,
            format!(
                "the {role} of `{}` is a closure or the path of a function, not {what}: `.{}`",
                op.name,
                row.signature()
            ),
        );
    }
}

/// A join or merge whose first argument is no name at all.
fn names_no_node(cx: &Ctxt, topology: &Topology, op: &Op, shape: Shape) {
    let rows: Vec<_> = kinds::rows(&op.name.to_string())
        .filter(|row| row.on == shape)
        .collect();
    let signatures: Vec<_> = rows
        .iter()
        .map(|row| format!("`.{}`", row.signature()))
        .collect();
    let swapped = op.args.iter().skip(1).find_map(|arg| match ungrouped(arg) {
        Expr::Path(path) => path
            .path
            .get_ident()
            .filter(|name| topology.find(name).is_some()),
        _ => None,
    });
    let hint = match swapped {
        Some(name) => format!("; `{name}` comes first"),
        None => String::new(),
    };
    let place: TokenStream = match op.args.first() {
        Some(arg) => at(arg),
        None => at(&op.name),
    };
    cx.error(
        "KS0124",
        place,
        format!(
            "the first argument of `{}` is the name of the other node{hint}: {}",
            op.name,
            either(&signatures)
        ),
    );
}

// Named options are the table's, each at most once, and `name` is a literal: it becomes the name of topics.
pub(super) fn options_fit(cx: &Ctxt, topology: &Topology) {
    for (_, chain) in chains(topology) {
        for op in &chain.ops {
            let Some(row) = op.known() else {
                continue;
            };
            for (position, opt) in op.options.iter().enumerate() {
                let name = opt.name.to_string();
                let of_streams = matches!(name.as_str(), "within" | "before" | "after");
                if of_streams && matches!(row.with, Some(Shape::Table | Shape::GlobalTable)) {
                    // Said by a rule of its own.
                } else if !row.options.contains(&name.as_str()) {
                    let hint = match nearest(&name, row.options.iter().copied()) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => format!("it takes {}", list(row.options)),
                    };
                    cx.error(
                        "KS0110",
                        &opt.name,
                        format!("`{}` has no option `{name}`; {hint}", op.name),
                    );
                } else if op
                    .options
                    .iter()
                    .take(position)
                    .any(|other| other.name == opt.name)
                {
                    cx.error(
                        "KS0112",
                        &opt.name,
                        format!("`{name}` is given twice to `{}`", op.name),
                    );
                } else if matches!(name.as_str(), "partitioner" | "other_partitioner")
                    && !matches!(opt.value, OptValue::Is(_))
                {
                    cx.error(
                        "KS0113",
                        &opt.name,
                        format!(
                            "`{name}` is written `{name} = by_region`, with a function, a closure or a `StreamPartitioner`"
                        ),
                    );
                } else if matches!(name.as_str(), "name" | "split")
                    && !matches!(&opt.value, OptValue::Is(expr) if literal_text(expr).is_some())
                {
                    cx.error(
                        "KS0113",
                        &opt.name,
                        format!("`{name}` is written `{name} = \"…\"`, with a string literal"),
                    );
                }
            }
        }
    }
}

// rustc would say the same at the call inside generated code, after all wiring errors; here it is said at once, with what the
// operator passes.
pub(super) fn closures_take_what_they_are_given(cx: &Ctxt, topology: &Topology) {
    for (_, chain) in chains(topology) {
        for op in &chain.ops {
            let Some(row) = op.known() else {
                continue;
            };
            // Too few or too many arguments are reported as such: which is which is unclear.
            if op.args.len() > row.params.len() || op.args.len() + row.optional < row.params.len() {
                continue;
            }
            for (param, arg) in row.params.iter().zip(&op.args) {
                if let (Param::Function { role, takes, gives }, Expr::Closure(closure)) =
                    (param, ungrouped(arg))
                {
                    let what = format!("the {role} of `{}`", op.name);
                    closure_takes(cx, &what, takes, gives, closure);
                }
            }
        }
    }
    for source in topology.nodes.iter().filter_map(|node| node.source()) {
        if let Some(timestamp) = &source.timestamp
            && let Expr::Closure(closure) = ungrouped(timestamp)
        {
            let takes = &["&Record<K, V>", "i64"];
            closure_takes(cx, "a timestamp extractor", takes, "i64", closure);
        }
    }
    let of_sinks = topology.nodes.iter().flat_map(|node| &node.sinks);
    let of_sinks = of_sinks.filter_map(|sink| sink.partitioner.as_ref());
    let of_ops = chains(topology).flat_map(|(_, chain)| &chain.ops);
    for partitioner in of_sinks.chain(of_ops.filter_map(Op::any_partitioner)) {
        if let Expr::Closure(closure) = ungrouped(partitioner) {
            let takes = &["&str", "&K", "&V", "u32"];
            closure_takes(cx, "a partitioner", takes, "impl IntoPartitions", closure);
        }
    }
    for sink in topology.nodes.iter().flat_map(|node| &node.sinks) {
        if let SinkTopic::PerRecord(expr, _) = &sink.topic
            && let Expr::Closure(closure) = ungrouped(expr)
            && !sink.topic.takes_context()
        {
            let gives = match &sink.set {
                Some(set) => set.item.ident.to_string(),
                None => "impl AsRef<str>".to_owned(),
            };
            closure_takes(cx, "a sink's topic", &["&K", "&V"], &gives, closure);
        }
    }
}

fn closure_takes(cx: &Ctxt, what: &str, takes: &[&str], gives: &str, closure: &ExprClosure) {
    let given = closure.inputs.len();
    if given == takes.len() {
        return;
    }
    let names: Vec<String> = closure
        .inputs
        .iter()
        .map(|pat| pat.to_token_stream().to_string())
        .collect();
    // The value is what closures are mostly about: one parameter too few leaves out the key, one too many has it in front.
    let mend = match takes {
        [key, ..] if *key == "&K" && given + 1 == takes.len() => {
            format!("|{}|", [vec!["_".to_owned()], names].concat().join(", "))
        }
        _ if given == takes.len() + 1 => {
            format!("|{}|", names.get(1..).unwrap_or_default().join(", "))
        }
        _ => format!("|{}|", takes.join(", ")),
    };
    let mut place = closure.inputs_begin.to_token_stream();
    closure.inputs.to_tokens(&mut place);
    closure.inputs_end.to_tokens(&mut place);
    let count = |n: usize| match n {
        0 => "no parameters".to_owned(),
        1 => "one parameter".to_owned(),
        n => format!("{n} parameters"),
    };
    cx.error(
        "KS0125",
        place,
        format!(
            "{what} takes {}, `|{}| -> {gives}`, and this closure has {}: write `{mend} …`",
            count(takes.len()),
            takes.join(", "),
            count(given)
        ),
    );
}
