//! A method per segment: the private trait of the nodes, its implementation for the user's struct, and the enums of the
//! methods that a repartition topic splits.

use std::cell::Cell;

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::quote_spanned;
use syn::spanned::Spanned as _;

use super::super::kinds::{Operator, Shape};
use super::super::model::{Node, NodeId, Op, Origin};
use super::super::plan::{Arm, Segment, Start, Step, facts, old_values};
use super::steps::{Flow, Method, edge, own_self};
use super::{Emit, globals, ident_at, meetings, mixed_ident, number, processors, windows};

/// Expands to:
/// ```text
/// enum ShopPerProductAt<'t> { Head(&'t mut ShopTask0, Record<…>), Repartitioned1(&'t mut ShopTask1, RawRecord<'t>) }
/// trait __Nodes { fn orders(&self, t: &mut ShopTask0, r: Record<…>, cx: &mut TaskContext) -> TaskResult; … }
/// impl __Nodes for Shop { … }
/// ```
pub(super) fn nodes(emit: &Emit<'_>) -> TokenStream {
    let (mut enums, mut signatures, mut methods) =
        (TokenStream::new(), TokenStream::new(), TokenStream::new());
    for node in &emit.plan.topology.nodes {
        if let Some((signature, method)) = extractor(emit, node) {
            signatures.extend(signature);
            methods.extend(method);
        }
        for (index, segment) in emit.plan.node(node.id).segments.iter().enumerate() {
            if emit.is_split(node.id, index) {
                enums.extend(at_enum(emit, node, index, segment));
            }
            let (signature, method) = method(emit, node, index, segment);
            signatures.extend(signature);
            methods.extend(method);
        }
    }
    for (maker_signatures, makers) in [processors::makers(emit), globals::makers(emit)] {
        signatures.extend(maker_signatures);
        methods.extend(makers);
    }
    let app = emit.app;
    mixed! {
        #enums
        trait __Nodes { #signatures }
        impl __Nodes for #app { #methods }
    }
}

/// `fn orders_timestamp(&self, raw, partition_time, cx)`, where a source has an extractor of its own.
fn extractor(emit: &Emit<'_>, node: &Node) -> Option<(TokenStream, TokenStream)> {
    let closure = facts::own_extractor(node)?;
    let receiver = own_self(&[closure]).unwrap_or_else(|| mixed_ident("self"));
    let name = emit.extractor_name(node);
    let (key, value) = emit.types(node.id);
    let value = match node.shape {
        Shape::Table => mixed!(__s::Option<#value>),
        _ => value,
    };
    let extract = ident_at("extract", closure.span());
    let doc = format!(
        " The timestamp of a record of {}.",
        facts::plain(&node.name)
    );
    let signature = mixed! {
        fn #name(
            &#receiver,
            raw: __s::RawRecord<'_>,
            partition_time: __s::Timestamp,
            cx: &mut __s::TaskContext,
        ) -> __s::TaskResult<__s::Option<__s::Timestamp>>
    };
    let method = mixed! {
        #[doc = #doc]
        #signature { cx.#extract::<#key, #value, _>(raw, partition_time, #closure) }
    };
    Some((mixed!(#signature;), method))
}

fn at_enum(emit: &Emit<'_>, node: &Node, index: usize, segment: &Segment) -> TokenStream {
    let name = emit.at_name(node.id, index);
    let head = emit.head_task(node.id, index);
    let record = match segment.start {
        Start::Responded { .. } => mixed!(__s::RawRecord<'t>),
        _ => record(emit, node, segment),
    };
    let parts = &emit.plan.node(node.id).parts;
    let doc = format!(
        " Where a record enters `{}`.",
        emit.method_name(node.id, index)
    );
    let (mut variants, mut tasks) = (Vec::new(), Vec::new());
    for step in &segment.steps {
        let Step::Repartition { number, .. } = step else {
            continue;
        };
        variants.push(repartitioned(*number));
        tasks.push(
            emit.task_name(
                parts
                    .get(segment.part + number)
                    .copied()
                    .unwrap_or_default(),
            ),
        );
    }
    let others = meetings::variants(emit, node.id, index, segment);
    let flushed = segment.steps.contains(&Step::Update).then(|| {
        let store = emit
            .plan
            .node(node.id)
            .store
            .and_then(|store| emit.plan.local_store(store));
        let task = emit.task_name(store.map_or(0, |(sub, _)| sub));
        mixed!(Flushed(&'t mut #task, __s::Flushed<'t>),)
    });
    mixed! {
        #[doc = #doc]
        enum #name<'t> {
            Head(&'t mut #head, #record),
            #( #variants(&'t mut #tasks, __s::RawRecord<'t>), )*
            #others
            #flushed
        }
    }
}

/// The variant by which a repartition topic's records enter.
pub(super) fn arm(arm: Arm) -> Ident {
    match arm {
        Arm::Repartitioned(number) => repartitioned(number),
        Arm::OtherRepartitioned(number) => meetings::other_repartitioned(number),
        Arm::Head => mixed_ident("Head"),
    }
}

/// `Repartitioned1`.
fn repartitioned(number: usize) -> Ident {
    mixed_ident(&format!("Repartitioned{number}"))
}

/// The record that a segment takes.
fn record(emit: &Emit<'_>, node: &Node, segment: &Segment) -> TokenStream {
    match &segment.start {
        Start::Source => {
            let (key, value) = emit.types(node.id);
            match node.shape {
                Shape::Table => mixed!(__s::Record<#key, __s::Option<#value>>),
                _ => mixed!(__s::Record<#key, #value>),
            }
        }
        Start::Input(input) => match node.chain().and_then(|chain| chain.output.as_ref()) {
            Some(output) => emit.output(emit.plan.topology.node(*input), output),
            None => of_node(emit, *input),
        },
        Start::Processed(position) => emit.processed(node.id, *position),
        Start::Merged { ends: true, .. } => of_node(emit, node.id),
        Start::Merged { other, .. } => of_node(emit, *other),
        Start::Changed(types) => {
            let (key, value) = &**types;
            mixed!(__s::Record<#key, __s::Change<#value>>)
        }
        Start::Subscribed { .. } | Start::Responded { .. } => mixed!(__s::RawRecord<'_>),
        Start::Foreign(other) => of_node(emit, *other),
    }
}

/// What a node hands to its readers.
pub(super) fn of_node(emit: &Emit<'_>, id: NodeId) -> TokenStream {
    let (key, value) = emit.types(id);
    match emit.plan.topology.node(id).shape {
        Shape::Table => mixed!(__s::Record<#key, __s::Change<#value>>),
        _ => mixed!(__s::Record<#key, #value>),
    }
}

/// The signature for the trait, and the method.
fn method(
    emit: &Emit<'_>,
    node: &Node,
    index: usize,
    segment: &Segment,
) -> (TokenStream, TokenStream) {
    let pasted = Method::pasted(emit, node, segment);
    let receiver = own_self(&pasted).unwrap_or_else(|| mixed_ident("self"));
    let method = Method {
        emit,
        node,
        segment,
        receiver: receiver.clone(),
        input: Cell::new(None),
        within: Cell::new((0, segment.steps.len())),
        uses_task: Cell::new(false),
        uses_context: Cell::new(false),
    };
    let name = emit.method_name(node.id, index);
    let doc = route(emit, node, segment);
    let result = mixed!(__s::TaskResult);
    // A panic of the user's is reported with the node's name.
    let in_node = (!pasted.is_empty()).then(|| {
        let node = facts::plain(&node.name);
        mixed!(let _in_node = __s::InNode(#node);)
    });
    if emit.is_split(node.id, index) {
        let body = arms(&method);
        let at = emit.at_name(node.id, index);
        let signature =
            mixed!(fn #name(&#receiver, at: #at<'_>, cx: &mut __s::TaskContext) -> #result);
        return (
            mixed!(#signature;),
            mixed!(#[doc = #doc] #signature { #in_node #body }),
        );
    }
    let (task, record) = (emit.head_task(node.id, index), record(emit, node, segment));
    let (initial, body) = (
        method.initializer(),
        method.steps(&segment.steps, Flow::STRAIGHT, false),
    );
    let body = mixed!(#initial #body);
    let signature = |t: &Ident, cx: &Ident| {
        mixed! {
            fn #name(&#receiver, #t: &mut #task, r: #record, #cx: &mut __s::TaskContext) -> #result
        }
    };
    let declared = signature(&mixed_ident("t"), &mixed_ident("cx"));
    let t = mixed_ident(if method.uses_task.get() { "t" } else { "_t" });
    let cx = mixed_ident(if method.uses_context.get() {
        "cx"
    } else {
        "_cx"
    });
    let defined = signature(&t, &cx);
    (
        mixed!(#declared;),
        mixed!(#[doc = #doc] #defined { #in_node #body }),
    )
}

/// A part of a split chain: how records enter it, and its steps.
struct Arms<'s> {
    /// The repartition's number and place, and whether it left null keys out; `None` is the head.
    entered: Option<(usize, Span, bool)>,
    steps: &'s [Step],
}

/// Cuts a segment behind its repartition topics.
fn cut<'s>(method: &Method<'_>, steps: &'s [Step]) -> Vec<Arms<'s>> {
    let mut arms = Vec::new();
    let (mut entered, mut begin) = (None, 0);
    for (index, step) in steps.iter().enumerate() {
        if let Step::Repartition {
            number,
            before,
            keeps_null_keys,
            ..
        } = step
        {
            arms.push(Arms {
                entered,
                steps: &steps[begin..=index],
            });
            let merged = facts::merges_at(method.emit.plan.topology, method.node.id, *before);
            let fresh = !keeps_null_keys && !merged;
            entered = Some((*number, method.made_before(*before), fresh));
            begin = index + 1;
        }
    }
    arms.push(Arms {
        entered,
        steps: &steps[begin..],
    });
    arms
}

/// A chain that repartition topics split, or that takes another node's records too: one arm per way in. Edges carry the types
/// across repartition topics. Where both sides of an operator meet, and where operators follow an aggregation whose store has
/// inferred types, the arms yield what goes on behind the `match`.
fn arms(method: &Method<'_>) -> TokenStream {
    let at = method.emit.at_name(method.node.id, index_of(method));
    let mut parts = &cut(method, &method.segment.steps)[..];
    let mut before = TokenStream::new();
    if method.segment.steps.contains(&Step::Update) {
        let store = inferred_store(method);
        before.extend(mixed!(let store = #store;));
    }
    for (number, place, _) in parts.iter().filter_map(|part| part.entered) {
        let (edge, made) = (edge(number), quote_spanned!(super::at(place)=> __s::edge()));
        before.extend(mixed!(let #edge = #made;));
    }
    before.extend(method.other_edges());
    before.extend(method.initializer());
    let mut stages = Vec::new();
    let mut begin = 0;
    while !parts.is_empty() {
        let last = parts
            .iter()
            .position(|part| method.junction(part.steps).is_some())
            .unwrap_or(parts.len() - 1);
        let (now, later) = parts.split_at(last + 1);
        let end = begin + now.iter().map(|part| part.steps.len()).sum::<usize>();
        method.within.set((begin, end));
        stages.push(stage(method, &at, now, !later.is_empty()));
        (parts, begin) = (later, end);
    }
    let mut rest = TokenStream::new();
    for Stage { ways, code } in stages.into_iter().rev() {
        rest = if rest.is_empty() {
            code
        } else {
            mixed! {
                let at = match at {
                    at @ (#ways) => __s::Ok(at),
                    at => __s::Err(at),
                };
                match at {
                    __s::Ok(at) => { #code }
                    __s::Err(at) => { #rest }
                }
            }
        };
    }
    mixed!(#before #rest)
}

/// A part of a method with the ways that lead into it. Rustc has to see what is sent to a repartition topic before it sees
/// what is received, so a part behind a junction stands behind it.
struct Stage {
    /// The patterns of its variants.
    ways: TokenStream,
    code: TokenStream,
}

/// The arms of some parts of a chain, of which the last may be a junction. Where others follow, it need not take every variant.
fn stage(method: &Method<'_>, at: &Ident, parts: &[Arms<'_>], others_follow: bool) -> Stage {
    let joining = parts
        .iter()
        .any(|part| method.junction(part.steps).is_some());
    let (mut arms, mut after) = (TokenStream::new(), TokenStream::new());
    let mut ways = Vec::new();
    let mut many = false;
    for Arms { entered, steps } in parts {
        method.uses_task.set(false);
        let fresh = entered.is_some_and(|(_, _, fresh)| fresh);
        let body = match method.junction(steps) {
            Some(junction) => {
                let looped = loops(method, &steps[..junction]);
                let flow = Flow {
                    looped: false,
                    updates: true,
                };
                let body = if junction == 0 {
                    method.crossing(flow)
                } else {
                    method.steps(&steps[..junction], flow, fresh)
                };
                let task = method.uses_task.get();
                let tail = Flow {
                    looped,
                    updates: false,
                };
                let tail = method.steps(&steps[junction..], tail, false);
                after = if looped {
                    let each = method.each();
                    mixed!(for #each in updates { #tail } __s::Ok(()))
                } else {
                    tail
                };
                if steps.contains(&Step::Update) {
                    arms.extend(flushed_arm(method, at, looped));
                    ways.push(mixed!(#at::Flushed(..)));
                }
                method.uses_task.set(task);
                many |= looped;
                if looped {
                    mixed!(let mut updates = __s::Vec::new(); #body)
                } else {
                    body
                }
            }
            None => {
                let body = method.steps(steps, Flow::STRAIGHT, fresh);
                if joining {
                    mixed!(return { #body };)
                } else {
                    body
                }
            }
        };
        let t = mixed_ident(if method.uses_task.get() { "t" } else { "_t" });
        arms.extend(match entered {
            None => {
                ways.push(mixed!(#at::Head(..)));
                mixed!(#at::Head(#t, r) => { #body })
            }
            Some((number, place, _)) => {
                let (variant, edge) = (repartitioned(*number), edge(*number));
                let receive = ident_at("receive", *place);
                ways.push(mixed!(#at::#variant(..)));
                mixed! {
                    #at::#variant(#t, raw) => {
                        let __s::Some(r) = #edge.#receive(raw, cx)? else { return __s::Ok(()); };
                        #body
                    }
                }
            }
        });
    }
    arms.extend(method.other_arms(at, many, &mut ways));
    arms.extend(method.row_arm(at, &mut ways));
    let is_first = method.within.get().0 == 0;
    let rest = if others_follow || !is_first {
        mixed!(_ => return __s::Ok(()),)
    } else {
        TokenStream::new()
    };
    let code = if joining {
        let crossed = method.crossed(many);
        let t = mixed_ident(if uses_task(&after) { "t" } else { "_t" });
        mixed! {
            let (#t #crossed) = match at { #arms #rest };
            #after
        }
    } else {
        mixed!(match at { #arms #rest })
    };
    Stage {
        ways: mixed!(#(#ways)|*),
        code,
    }
}

/// The record cache lets an update of the inferred store go.
fn flushed_arm(method: &Method<'_>, at: &Ident, looped: bool) -> TokenStream {
    let crossing = method.crossing(Flow {
        looped,
        updates: true,
    });
    if looped {
        mixed!(#at::Flushed(t, entry) => {
            let mut updates = __s::Vec::new();
            let r = store.flushed(entry, cx)?;
            #crossing
            (t, updates)
        })
    } else {
        mixed!(#at::Flushed(t, entry) => {
            let r = store.flushed(entry, cx)?;
            #crossing
        })
    }
}

/// Whether a `flat_map` makes several updates of one record.
fn loops(method: &Method<'_>, steps: &[Step]) -> bool {
    steps.iter().any(|step| {
        let Step::Operator(position) = step else {
            return false;
        };
        let op = method
            .node
            .chain()
            .and_then(|chain| chain.ops.get(*position));
        op.is_some_and(|op| {
            op.base_name().starts_with("flat_map") || facts::waits(op) || updates_windows(op)
        })
    })
}

/// Whether an operator may make several updates of one record: an aggregation by windows.
fn updates_windows(op: &Op) -> bool {
    op.known().is_some_and(Operator::aggregates_windows)
}

/// `__s::TableStore::new(0)`; a count's values are known.
fn inferred_store(method: &Method<'_>) -> TokenStream {
    let plan = method.emit.plan;
    let store = plan
        .node(method.node.id)
        .store
        .and_then(|store| plan.local_store(store));
    let counts = method
        .node
        .chain()
        .and_then(|chain| chain.ops.get(chain.stateful()?));
    let old = if old_values::is_asked(plan.topology, method.node) {
        mixed!(.sending_old_values())
    } else {
        TokenStream::new()
    };
    if let Some(of) = super::super::windows::of_node(method.node) {
        let local = store.map_or(0, |(_, local)| local);
        let value = if counts.is_some_and(|op| op.is("count")) {
            mixed!(i64)
        } else {
            mixed!(_)
        };
        let types = windows::inferred_types(of, &value);
        return windows::handle(method.emit, method.node, of, local, &types);
    }
    let local = number(store.map_or(0, |(_, local)| local));
    if counts.is_some_and(|op| op.is("count")) {
        mixed!(__s::TableStore::<_, i64>::new(#local)#old)
    } else {
        mixed!(__s::TableStore::new(#local)#old)
    }
}

/// Whether our own `t` occurs.
fn uses_task(tokens: &TokenStream) -> bool {
    tokens.clone().into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == "t",
        TokenTree::Group(group) => uses_task(&group.stream()),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

fn index_of(method: &Method<'_>) -> usize {
    let segments = &method.emit.plan.node(method.node.id).segments;
    segments
        .iter()
        .position(|segment| std::ptr::eq(segment, method.segment))
        .unwrap_or_default()
}

/// The route through a segment, as its doc line: ` orders -> filter -> join customers`.
fn route(emit: &Emit<'_>, node: &Node, segment: &Segment) -> String {
    let topology = emit.plan.topology;
    let mut words = vec![match &segment.start {
        Start::Source => match &node.origin {
            Origin::Source(source) => {
                let topics: Vec<_> = source.topics.iter().map(syn::LitStr::value).collect();
                format!("source {}", topics.join(", "))
            }
            _ => "source".to_owned(),
        },
        Start::Input(input) => facts::plain(&topology.node(*input).name),
        Start::Merged { other, .. } => format!(
            "(merged with {})",
            facts::plain(&topology.node(*other).name)
        ),
        Start::Changed(..) => format!("{} changed", facts::plain(&node.name)),
        Start::Foreign(other) => facts::plain(&topology.node(*other).name),
        Start::Subscribed { topic, .. } | Start::Responded { topic } => {
            format!("={}=", emit.plan.topics[*topic].name)
        }
        Start::Processed(_) => format!("{} processed", facts::plain(&node.name)),
    }];
    for step in &segment.steps {
        match step {
            Step::Operator(position) => {
                let Some(op) = node.chain().and_then(|chain| chain.ops.get(*position)) else {
                    continue;
                };
                words.push(match &op.other {
                    Some((other, _)) => format!("{} {other}", op.name),
                    None => op.name.to_string(),
                });
            }
            Step::Put | Step::Materialize => {
                words.push(format!("store {}", facts::store_name(node)));
            }
            Step::Repartition { topic, .. } => {
                words.push(format!("={}=", emit.plan.topics[*topic].name))
            }
            Step::Deliver => {
                let sinks = emit
                    .plan
                    .node(node.id)
                    .sinks
                    .iter()
                    .flat_map(|sink| &sink.topics);
                words.extend(sinks.map(|topic| format!("sink {}", emit.plan.topics[*topic].name)));
            }
            Step::Subscribe { topic, .. } => {
                words.push(format!("subscribe ={}=", emit.plan.topics[*topic].name));
            }
            Step::Answer { topic, .. } | Step::AnswerAll { topic, .. } => {
                words.push(format!("answer ={}=", emit.plan.topics[*topic].name));
            }
            Step::Next(_)
            | Step::Meet { .. }
            | Step::Update
            | Step::Found
            | Step::Declare
            | Step::Read => {}
        }
    }
    format!(" {}", words.join(" -> "))
}

impl Emit<'_> {
    /// The method of a source's extractor; never that of another field.
    pub(super) fn extractor_name(&self, node: &Node) -> Ident {
        let mut name = quote::format_ident!("{}_timestamp", node.name);
        while self.plan.topology.find(&name).is_some() {
            name = quote::format_ident!("{name}_");
        }
        name
    }

    /// Whether repartition topics split a segment's method into arms.
    pub(super) fn is_split(&self, id: NodeId, segment: usize) -> bool {
        self.plan
            .node(id)
            .segments
            .get(segment)
            .is_some_and(|segment| {
                segment.steps.iter().any(|step| {
                    matches!(
                        step,
                        Step::Repartition { .. } | Step::Meet { .. } | Step::Update | Step::Found
                    )
                })
            })
    }
}
