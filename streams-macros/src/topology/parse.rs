//! The attribute grammar: tokens to syntax with spans. Knows one field at a time; keeps what parsed and marks the rest poisoned.

mod join_store;
mod options;
mod topic_set;

use proc_macro2::{Ident, Span, TokenStream};
use syn::ext::IdentExt as _;
use syn::parse::Parser as _;
use syn::punctuated::Punctuated;
use syn::{
    Attribute, Expr, Fields, ItemStruct, LitBool, LitInt, LitStr, Path, Token, Type, Visibility,
};

pub(crate) use self::join_store::{JoinStore, join_store};
pub(crate) use self::options::{Opt, OptValue, list, literal_text, nearest, ungrouped};
use self::options::{
    attribute_options, boolean, expression, is_word, malformed, options_of, settings, text, texts,
    word,
};
pub(crate) use self::topic_set::TopicSet;
use super::kinds::{self, Shape};
use super::windows::{self, Time};
use crate::ctxt::Ctxt;

/// The annotated struct as it was written.
#[derive(Debug)]
pub(crate) struct Syntax {
    /// The struct without our attributes.
    pub(crate) item: ItemStruct,
    pub(crate) args: TopologyArgs,
    pub(crate) fields: Vec<FieldSyntax>,
}

/// `#[topology(…)]`.
#[derive(Debug, Default)]
pub(crate) struct TopologyArgs {
    pub(crate) application_id: Option<LitStr>,
    pub(crate) lock: Option<LitStr>,
    pub(crate) optimization: Option<LitStr>,
    pub(crate) store_format: Option<StoreFormat>,
    pub(crate) krate: Option<Path>,
}

/// A field: a node, or a parameter if it has no attribute of ours and no node type.
#[derive(Debug)]
pub(crate) struct FieldSyntax {
    pub(crate) name: Ident,
    pub(crate) vis: Visibility,
    /// The type as written.
    pub(crate) ty: Type,
    /// What the type declares; `None` is a plain field.
    pub(crate) declared: Option<Declared>,
    pub(crate) origin: Option<OriginSyntax>,
    pub(crate) sinks: Vec<Sink>,
    pub(crate) store: Option<StoreOptions>,
    /// Whether any attribute of ours was there, even a malformed one.
    pub(crate) annotated: bool,
    /// Whether an attribute of ours had a mistake: what it would have said is unknown.
    pub(crate) incomplete: bool,
    /// The names inside its chain: where the chain is poisoned, rules take these nodes as read.
    pub(crate) mentions: Vec<Ident>,
}

/// What a field's type says.
#[derive(Debug, Clone)]
pub(crate) struct Declared {
    pub(crate) shape: Shape,
    /// `KStream`, `KeyValueStore`, as written.
    pub(crate) type_name: String,
    /// The key and value types; `None` for `()` and for a type without its two arguments.
    pub(crate) types: Option<(Type, Type)>,
}

#[derive(Debug)]
pub(crate) enum OriginSyntax {
    Source(Box<Source>),
    From(ChainSyntax),
    /// The attribute is there and did not parse; the error is recorded.
    Poisoned,
}

/// `#[source(…)]`.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) attribute: Attribute,
    pub(crate) topics: Vec<LitStr>,
    pub(crate) pattern: Option<LitStr>,
    pub(crate) partitions: Option<Partitions>,
    pub(crate) partitioner: Option<Expr>,
    pub(crate) timestamp: Option<Expr>,
    pub(crate) offset_reset: Option<(OffsetReset, Expr)>,
    /// `global`: every instance has all of it.
    pub(crate) global: Option<Ident>,
    /// What makes the processor of a global store.
    pub(crate) process: Option<Expr>,
}

/// `partitions = …`.
#[derive(Debug, Clone)]
pub(crate) enum Partitions {
    Literal(u32, LitInt),
    /// Any other const expression, usually a path.
    Const(Expr),
    /// `runtime`: checked at start-up.
    Runtime(Ident),
}

impl quote::ToTokens for Partitions {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Partitions::Literal(_, literal) => literal.to_tokens(tokens),
            Partitions::Const(expr) => expr.to_tokens(tokens),
            Partitions::Runtime(ident) => ident.to_tokens(tokens),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OffsetReset {
    Earliest,
    Latest,
    None,
}

/// `#[sink(…)]`.
#[derive(Debug)]
pub(crate) struct Sink {
    pub(crate) attribute: Attribute,
    pub(crate) topic: SinkTopic,
    /// The enum that the closure returns, where the topics are declared by one.
    pub(crate) set: Option<TopicSet>,
    pub(crate) partitions: Option<Partitions>,
    pub(crate) partitioner: Option<Expr>,
}

#[derive(Debug)]
pub(crate) enum SinkTopic {
    Static(LitStr),
    /// A closure or path; the topics among which it chooses, if declared.
    PerRecord(Expr, Vec<LitStr>),
}

impl SinkTopic {
    /// Whether it is a closure that also takes what a record has beside key and value.
    pub(crate) fn takes_context(&self) -> bool {
        match self {
            SinkTopic::Static(_) => false,
            SinkTopic::PerRecord(expr, _) => {
                matches!(ungrouped(expr), Expr::Closure(closure) if closure.inputs.len() == 3)
            }
        }
    }
}

/// `#[store(…)]`.
#[derive(Debug)]
pub(crate) struct StoreOptions {
    pub(crate) attribute: Attribute,
    pub(crate) kind: Option<(StoreKind, Ident)>,
    pub(crate) cache: Option<LitBool>,
    pub(crate) changelog: Option<LitBool>,
    /// Settings of the changelog's topic, by name.
    pub(crate) changelog_config: Vec<(LitStr, LitStr)>,
    /// How long windows are kept.
    pub(crate) retention: Option<Time>,
    /// The size of windows, where a field does not follow from windows.
    pub(crate) window_size: Option<Time>,
    pub(crate) name: Option<LitStr>,
    /// How long the past is kept, and where that is said.
    pub(crate) versioned: Option<(Time, Ident)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoreKind {
    Lmdb,
    Memory,
}

/// `store_format = "…"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoreFormat {
    Default,
    Headers,
}

/// `#[from(base.op(…).op(…))]`.
#[derive(Debug)]
pub(crate) struct ChainSyntax {
    pub(crate) base: Ident,
    /// The output of the base that it reads: `router.large`.
    pub(crate) output: Option<Ident>,
    pub(crate) ops: Vec<OpSyntax>,
}

/// One call in a chain.
#[derive(Debug)]
pub(crate) struct OpSyntax {
    pub(crate) name: Ident,
    /// From the opening parenthesis to the closing one.
    pub(crate) parens: Span,
    pub(crate) args: Vec<Expr>,
    pub(crate) options: Vec<Opt>,
}

/// Parses the struct and its attributes. `Err` only where there is no struct to speak of.
pub(crate) fn topology(cx: &Ctxt, args: TokenStream, item: TokenStream) -> syn::Result<Syntax> {
    let mut item: ItemStruct = syn::parse2(item).map_err(|error| {
        syn::Error::new(
            error.span(),
            "`#[topology]` goes on a struct with named fields [KS0100]",
        )
    })?;
    let args = topology_args(cx, args, &item);
    if !item.generics.params.is_empty() {
        cx.error(
            "KS0100",
            &item.generics,
            "a topology cannot be generic: its topics and stores need concrete types",
        );
        item.generics = syn::Generics::default();
    }
    let mut fields = Vec::new();
    match &mut item.fields {
        Fields::Named(named) => {
            for field in &mut named.named {
                fields.extend(field_syntax(cx, field));
            }
        }
        Fields::Unnamed(_) | Fields::Unit => cx.error(
            "KS0100",
            &item.ident,
            "a topology is a struct with named fields: each field is a node or a parameter",
        ),
    }
    Ok(Syntax { item, args, fields })
}

fn topology_args(cx: &Ctxt, args: TokenStream, item: &ItemStruct) -> TopologyArgs {
    let mut out = TopologyArgs::default();
    let errors = cx.count();
    let Some(options) = options_of(cx, "topology", |p| p.parse2(args)) else {
        return out;
    };
    for opt in options {
        match opt.name.unraw().to_string().as_str() {
            "application_id" => out.application_id = text(cx, &opt),
            "lock" => out.lock = text(cx, &opt),
            "optimization" => out.optimization = optimization(cx, &opt),
            "store_format" => out.store_format = store_format(cx, &opt),
            "crate" => match &opt.value {
                OptValue::Is(Expr::Path(path)) => out.krate = Some(path.path.clone()),
                _ => malformed(cx, &opt, "`crate = path::to::kstreams`"),
            },
            _ => {}
        }
    }
    if out.application_id.is_none() && cx.count() == errors {
        cx.error(
            "KS0111",
            &item.ident,
            "this topology has no application id; write `#[topology(application_id = \"…\")]`: it names the group, \
             the internal topics and the state directory",
        );
    }
    out
}

/// Kafka's values of `topology.optimization`: `none`, `all`, or a list of single ones.
fn optimization(cx: &Ctxt, opt: &Opt) -> Option<LitStr> {
    let value = text(cx, opt)?;
    for word in value.value().split(',').map(str::trim) {
        match word {
            "none"
            | "all"
            | "reuse.ktable.source.topics"
            | "merge.repartition.topics"
            | "single.store.self.join" => {}
            _ => cx.error(
                "KS0113",
                &value,
                format!(
                    "`{word}` is no optimization; there are `none`, `all`, `reuse.ktable.source.topics`, \
                     `merge.repartition.topics` and `single.store.self.join`"
                ),
            ),
        }
    }
    Some(value)
}

/// Kafka's values of `dsl.store.format`.
fn store_format(cx: &Ctxt, opt: &Opt) -> Option<StoreFormat> {
    let value = text(cx, opt)?;
    match value.value().to_ascii_lowercase().as_str() {
        "default" => Some(StoreFormat::Default),
        "headers" => Some(StoreFormat::Headers),
        word => {
            cx.error(
                "KS0113",
                &value,
                format!("`{word}` is no format of stores; there are `default` and `headers`"),
            );
            None
        }
    }
}

/// Reads one field and takes our attributes off it.
fn field_syntax(cx: &Ctxt, field: &mut syn::Field) -> Option<FieldSyntax> {
    let name = field.ident.clone()?;
    let mut out = FieldSyntax {
        name,
        vis: field.vis.clone(),
        ty: field.ty.clone(),
        declared: declared(&field.ty),
        origin: None,
        sinks: Vec::new(),
        store: None,
        annotated: false,
        incomplete: false,
        mentions: Vec::new(),
    };
    let errors = cx.count();
    for attribute in std::mem::take(&mut field.attrs) {
        if attribute.path().is_ident("source") {
            out.annotated = true;
            let origin = source(cx, &attribute).map_or(OriginSyntax::Poisoned, |source| {
                OriginSyntax::Source(Box::new(source))
            });
            set_origin(cx, &mut out, &attribute, origin);
        } else if attribute.path().is_ident("from") {
            out.annotated = true;
            let origin = chain(cx, &attribute).map_or(OriginSyntax::Poisoned, OriginSyntax::From);
            identifiers(
                quote::ToTokens::to_token_stream(&attribute.meta),
                &mut out.mentions,
            );
            set_origin(cx, &mut out, &attribute, origin);
        } else if attribute.path().is_ident("sink") {
            out.annotated = true;
            out.sinks.extend(sink(cx, &attribute));
        } else if attribute.path().is_ident("store") {
            out.annotated = true;
            if out.store.is_some() {
                cx.error("KS0112", &attribute, "a field has one `#[store]`");
            } else {
                out.store = store(cx, &attribute);
            }
        } else if let Some(meant) = misspelt(&attribute).filter(|_| out.declared.is_some()) {
            out.annotated = true;
            cx.error(
                "KS0110",
                attribute.path(),
                format!(
                    "there is no attribute `#[{}]`; did you mean `#[{meant}]`?",
                    path_text(attribute.path())
                ),
            );
            identifiers(
                quote::ToTokens::to_token_stream(&attribute.meta),
                &mut out.mentions,
            );
            if matches!(meant, "source" | "from") {
                out.origin = Some(OriginSyntax::Poisoned);
            }
        } else {
            if attribute.path().is_ident("cfg") && out.declared.is_some() {
                cx.error(
                    "KS0100",
                    &attribute,
                    "a node cannot be conditional: the topology would differ between builds of one application",
                );
            }
            field.attrs.push(attribute);
        }
    }
    out.incomplete = cx.count() > errors;
    Some(out)
}

/// Our attribute that somebody meant: one letter off. Asked only on nodes; other fields may have attributes of a derive.
fn misspelt(attribute: &Attribute) -> Option<&'static str> {
    let name = attribute.path().get_ident()?.to_string();
    ["source", "from", "sink", "store"]
        .into_iter()
        .find(|known| strsim::osa_distance(&name, known) == 1)
}

fn path_text(path: &Path) -> String {
    path.get_ident().map(Ident::to_string).unwrap_or_default()
}

fn identifiers(tokens: TokenStream, out: &mut Vec<Ident>) {
    for tree in tokens {
        match tree {
            proc_macro2::TokenTree::Ident(ident) => out.push(ident),
            proc_macro2::TokenTree::Group(group) => identifiers(group.stream(), out),
            _ => {}
        }
    }
}

fn set_origin(cx: &Ctxt, field: &mut FieldSyntax, attribute: &Attribute, origin: OriginSyntax) {
    if field.origin.is_some() {
        cx.error(
            "KS0112",
            attribute,
            format!(
                "`{}` has two origins: a node has one `#[source(…)]` or one `#[from(…)]`",
                field.name
            ),
        );
        field.origin = Some(OriginSyntax::Poisoned);
    } else {
        field.origin = Some(origin);
    }
}

/// What a type declares. Arguments of `macro_rules!` come in invisible groups.
fn declared(ty: &Type) -> Option<Declared> {
    match ty {
        Type::Group(group) => declared(&group.elem),
        Type::Paren(paren) => declared(&paren.elem),
        Type::Tuple(tuple) if tuple.elems.is_empty() => Some(Declared {
            shape: Shape::Nothing,
            type_name: "()".to_owned(),
            types: None,
        }),
        Type::Path(path) => {
            let segment = path.path.segments.last()?;
            let type_name = segment.ident.to_string();
            let shape = match type_name.as_str() {
                "KStream" => Shape::Stream,
                "KTable" => Shape::Table,
                "GlobalKTable" => Shape::GlobalTable,
                "KeyValueStore"
                | "TimestampedKeyValueStore"
                | "WindowStore"
                | "SessionStore"
                | "VersionedStore" => Shape::Store,
                _ => return None,
            };
            Some(Declared {
                shape,
                type_name,
                types: two_types(&segment.arguments),
            })
        }
        _ => None,
    }
}

pub(crate) fn two_types(arguments: &syn::PathArguments) -> Option<(Type, Type)> {
    let syn::PathArguments::AngleBracketed(arguments) = arguments else {
        return None;
    };
    let mut types = arguments.args.iter().filter_map(|argument| match argument {
        syn::GenericArgument::Type(ty) => Some(ty.clone()),
        _ => None,
    });
    let pair = (types.next()?, types.next()?);
    types.next().is_none().then_some(pair)
}

fn source(cx: &Ctxt, attribute: &Attribute) -> Option<Source> {
    let errors = cx.count();
    let options = attribute_options(cx, "source", attribute)?;
    let mut out = Source {
        attribute: attribute.clone(),
        topics: Vec::new(),
        pattern: None,
        partitions: None,
        partitioner: None,
        timestamp: None,
        offset_reset: None,
        global: None,
        process: None,
    };
    for opt in options {
        match opt.name.to_string().as_str() {
            "topic" => out.topics.extend(text(cx, &opt)),
            "topics" => out.topics.extend(texts(cx, &opt).unwrap_or_default()),
            "pattern" => out.pattern = text(cx, &opt),
            "partitions" => out.partitions = partitions(cx, &opt),
            "partitioner" => out.partitioner = expression(cx, &opt),
            "timestamp" => out.timestamp = expression(cx, &opt),
            "offset_reset" => out.offset_reset = offset_reset(cx, &opt),
            "global" => match &opt.value {
                OptValue::Flag => out.global = Some(opt.name.clone()),
                _ => malformed(cx, &opt, "`global`, without a value"),
            },
            "process" => out.process = expression(cx, &opt),
            _ => {}
        }
    }
    if out.topics.is_empty() && out.pattern.is_none() && cx.count() == errors {
        cx.error(
            "KS0111",
            attribute,
            "`#[source]` needs its topic: `#[source(topic = \"…\")]`",
        );
    }
    (cx.count() == errors).then_some(out)
}

fn sink(cx: &Ctxt, attribute: &Attribute) -> Option<Sink> {
    let errors = cx.count();
    let options = attribute_options(cx, "sink", attribute)?;
    let (mut topic, mut topics, mut count, mut partitioner) = (None, Vec::new(), None, None);
    let mut set = None;
    let mut given = false;
    for opt in options {
        match opt.name.to_string().as_str() {
            "topic" => {
                given = true;
                topic = expression(cx, &opt);
            }
            "topics" => match opt.value {
                OptValue::Enum(item) => {
                    let (declared, names) = topic_set::topic_set(cx, item);
                    (set, topics) = (Some(declared), names);
                }
                _ => topics = listed_topics(cx, &opt),
            },
            "partitions" => count = partitions(cx, &opt),
            "partitioner" => partitioner = expression(cx, &opt),
            _ => {}
        }
    }
    if !given && cx.count() == errors {
        cx.error(
            "KS0111",
            attribute,
            "`#[sink]` needs its topic: `#[sink(topic = \"…\")]`",
        );
    }
    let topic = topic?;
    let topic = match literal_text(&topic) {
        Some(name) => {
            if let Some(other) = topics.first() {
                cx.error(
                    "KS0114",
                    other,
                    "`topics(…)` lists what a closure chooses among, and this sink always writes to one topic; \
                     for a second topic write a second `#[sink(topic = \"…\")]`",
                );
            }
            SinkTopic::Static(name)
        }
        None => match ungrouped(&topic) {
            Expr::Closure(_) | Expr::Path(_) => SinkTopic::PerRecord(topic, topics),
            other => {
                cx.error(
                    "KS0113",
                    other,
                    "a sink's topic is a string literal, or a closure that chooses it: `topic = |key, value| …`",
                );
                return None;
            }
        },
    };
    Some(Sink {
        attribute: attribute.clone(),
        topic,
        set,
        partitions: count,
        partitioner,
    })
}

fn listed_topics(cx: &Ctxt, opt: &Opt) -> Vec<LitStr> {
    let names = match &opt.value {
        OptValue::List(list) => list.iter().map(literal_text).collect(),
        _ => None,
    };
    names.unwrap_or_else(|| {
        malformed(
            cx,
            opt,
            "`topics(\"…\", \"…\")`, with string literals, or `topics(enum Route { Orders = \"…\" })`",
        );
        Vec::new()
    })
}

fn store(cx: &Ctxt, attribute: &Attribute) -> Option<StoreOptions> {
    let options = attribute_options(cx, "store", attribute)?;
    let mut out = StoreOptions {
        attribute: attribute.clone(),
        kind: None,
        cache: None,
        changelog: None,
        changelog_config: Vec::new(),
        retention: None,
        window_size: None,
        name: None,
        versioned: None,
    };
    for opt in options {
        match opt.name.to_string().as_str() {
            "kind" => out.kind = store_kind(cx, &opt),
            "cache" => out.cache = boolean(cx, &opt),
            "changelog" => out.changelog = boolean(cx, &opt),
            "changelog_config" => out.changelog_config = settings(cx, &opt).unwrap_or_default(),
            "name" => out.name = text(cx, &opt),
            "versioned" => {
                let history = expression(cx, &opt).and_then(|expr| windows::time(cx, &expr));
                out.versioned = history.map(|history| (history, opt.name.clone()));
            }
            "window_size" => {
                out.window_size = expression(cx, &opt).and_then(|expr| windows::time(cx, &expr));
            }
            "retention" => {
                out.retention = expression(cx, &opt).and_then(|expr| windows::time(cx, &expr));
            }
            _ => {}
        }
    }
    if let (Some(changelog), Some((key, _))) = (&out.changelog, out.changelog_config.first())
        && !changelog.value
    {
        let message = "`changelog = false` leaves no topic that these settings could be for: remove one of them";
        cx.error("KS0113", key, message);
    }
    Some(out)
}

fn store_kind(cx: &Ctxt, opt: &Opt) -> Option<(StoreKind, Ident)> {
    let ident = word(&opt.value);
    match ident.as_ref().map(ToString::to_string).as_deref() {
        Some("lmdb") => ident.map(|ident| (StoreKind::Lmdb, ident)),
        Some("memory") => ident.map(|ident| (StoreKind::Memory, ident)),
        _ => {
            malformed(cx, opt, "`kind = lmdb` or `kind = memory`");
            None
        }
    }
}

fn offset_reset(cx: &Ctxt, opt: &Opt) -> Option<(OffsetReset, Expr)> {
    let OptValue::Is(expr) = &opt.value else {
        malformed(cx, opt, "`offset_reset = earliest`");
        return None;
    };
    let reset = match word(&opt.value).map(|word| word.to_string()).as_deref() {
        Some("earliest") => OffsetReset::Earliest,
        Some("latest") => OffsetReset::Latest,
        Some("none") => OffsetReset::None,
        _ => {
            if matches!(expr, Expr::Call(call) if is_word(&call.func, "by_duration")) {
                cx.error(
                    "KS0190",
                    expr,
                    "`by_duration` is one that this version of kstreams does not have yet",
                );
            } else {
                malformed(cx, opt, "`offset_reset = earliest`, `latest` or `none`");
            }
            return None;
        }
    };
    Some((reset, expr.clone()))
}

pub(crate) fn partitions(cx: &Ctxt, opt: &Opt) -> Option<Partitions> {
    match &opt.value {
        OptValue::Is(expr) => partition_count(cx, expr),
        _ => {
            malformed(
                cx,
                opt,
                "`partitions = 6`, a const, or `partitions = runtime`",
            );
            None
        }
    }
}

/// A partition count: a literal from 1, a const expression, or `runtime`.
pub(crate) fn partition_count(cx: &Ctxt, expr: &Expr) -> Option<Partitions> {
    match ungrouped(expr) {
        Expr::Lit(lit) => {
            let syn::Lit::Int(int) = &lit.lit else {
                cx.error("KS0113", expr, "a partition count is a whole number");
                return None;
            };
            match int.base10_parse::<u32>() {
                Ok(n) if n >= 1 && n <= i32::MAX as u32 => {
                    Some(Partitions::Literal(n, int.clone()))
                }
                _ => {
                    cx.error(
                        "KS0113",
                        expr,
                        "a topic has at least 1 and at most 2147483647 partitions",
                    );
                    None
                }
            }
        }
        Expr::Path(path) if path.path.is_ident("runtime") => {
            path.path.get_ident().cloned().map(Partitions::Runtime)
        }
        other => Some(Partitions::Const(other.clone())),
    }
}

/// Takes a chain apart: `base.op(…).op(…)`.
fn chain(cx: &Ctxt, attribute: &Attribute) -> Option<ChainSyntax> {
    let mut expr = match attribute.parse_args::<Expr>() {
        Ok(expr) => expr,
        Err(error) => {
            cx.syntax(&error);
            return None;
        }
    };
    let mut ops = Vec::new();
    loop {
        match expr {
            Expr::MethodCall(call) => {
                if let Some(turbofish) = &call.turbofish {
                    cx.error(
                        "KS0113",
                        turbofish,
                        "operators take no type arguments: fields declare the types",
                    );
                }
                ops.push(op(call.method, call.paren_token.span.join(), call.args));
                expr = *call.receiver;
            }
            Expr::Group(group) => expr = *group.expr,
            Expr::Paren(paren) => expr = *paren.expr,
            Expr::Path(ref path) => match path.path.get_ident() {
                Some(base) => {
                    ops.reverse();
                    return Some(ChainSyntax {
                        base: base.clone(),
                        output: None,
                        ops,
                    });
                }
                None => break,
            },
            Expr::Field(ref field) => match (ungrouped(&field.base), &field.member) {
                (Expr::Path(path), syn::Member::Named(output)) => match path.path.get_ident() {
                    Some(base) => {
                        ops.reverse();
                        return Some(ChainSyntax {
                            base: base.clone(),
                            output: Some(output.clone()),
                            ops,
                        });
                    }
                    None => break,
                },
                _ => break,
            },
            _ => break,
        }
    }
    cx.error(
        "KS0113",
        &expr,
        "a chain starts with the name of a node: `orders.filter(…)`",
    );
    None
}

/// Tells named options from positional arguments.
fn op(name: Ident, parens: Span, all: Punctuated<Expr, Token![,]>) -> OpSyntax {
    let operator = name.to_string();
    let (mut args, mut options) = (Vec::new(), Vec::new());
    for expr in all {
        match named(&operator, &expr) {
            Some(opt) => options.push(opt),
            None => match chained(&operator, &expr) {
                Some(several) => options.extend(several),
                None => args.push(expr),
            },
        }
    }
    OpSyntax {
        name,
        parens,
        args,
        options,
    }
}

/// `name = "…"` is an assignment to Rust's parser, `within("5m")` a call.
fn named(operator: &str, expr: &Expr) -> Option<Opt> {
    match expr {
        Expr::Assign(assign) => {
            let Expr::Path(path) = &*assign.left else {
                return None;
            };
            let name = path.path.get_ident()?.clone();
            Some(Opt {
                name,
                value: OptValue::Is((*assign.right).clone()),
            })
        }
        Expr::Call(call) => {
            let Expr::Path(path) = &*call.func else {
                return None;
            };
            let name = path.path.get_ident()?.clone();
            if !kinds::has_option(operator, &name.to_string()) {
                return None;
            }
            Some(Opt {
                name,
                value: OptValue::List(call.args.iter().cloned().collect()),
            })
        }
        _ => None,
    }
}

/// `within("5m").grace("1m")`: the same as `within("5m"), grace("1m")`.
fn chained(operator: &str, expr: &Expr) -> Option<Vec<Opt>> {
    let Expr::MethodCall(call) = expr else {
        return None;
    };
    let mut options = match ungrouped(&call.receiver) {
        receiver @ Expr::Call(_) => {
            vec![named(operator, receiver).filter(|opt| opt.name == "within")?]
        }
        receiver => chained(operator, receiver)?,
    };
    options.push(Opt {
        name: call.method.clone(),
        value: OptValue::List(call.args.iter().cloned().collect()),
    });
    Some(options)
}
