//! Plan to code: a task struct per sub-topology, a method per node, the static description, builder and test driver.
//! Cannot fail, and decides nothing.

macro_rules! mixed {
    ($($tokens:tt)*) => {
        ::quote::quote_spanned!(::proc_macro2::Span::mixed_site()=> $($tokens)*)
    };
}

mod aggregations;
mod builder;
mod descriptor;
mod foreign;
mod globals;
mod meetings;
mod methods;
mod processors;
mod sinks;
pub(crate) mod stand_in;
mod steps;
pub(super) mod stream_join;
mod task;
mod waiting;
pub(super) mod windows;

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{ToTokens, format_ident};
use syn::Type;
use syn::ext::IdentExt as _;

use super::model::{Node, NodeId};
use super::obligations;
use super::plan::{Plan, Start};
use super::windows::Time;
use crate::paths;

/// What every part of the emitter needs.
pub(super) struct Emit<'p> {
    pub(super) plan: &'p Plan<'p>,
    /// The user's struct.
    pub(super) app: &'p Ident,
    /// Where the facade is.
    pub(super) facade: TokenStream,
}

/// Expands to:
/// ```text
/// pub struct Shop { … }            // the user's, without our attributes
/// enum Route { … }                 // of a sink that declares its topics by one
/// pub struct ShopBuilder<…> { … }  // and ShopTestDriver
/// const _: () = {
///     use ::kstreams::__private as __s;
///     static TOPOLOGY: __s::TopologyDescriptor = …;
///     struct ShopTask0 { … }
///     impl __s::TaskOf<Shop> for ShopTask0 { … }
///     trait __Nodes { … }
///     impl __Nodes for Shop { … }
///     impl __s::Topology for Shop { … }
/// };
/// ```
pub(crate) fn topology(plan: &Plan<'_>) -> TokenStream {
    let item = &plan.topology.item;
    let emit = Emit {
        plan,
        app: &item.ident,
        facade: paths::facade(plan.topology.args.krate.as_ref()).into_token_stream(),
    };
    let item = struct_item(plan);
    let (outside, inside) = builder::builder(&emit);
    let descriptor = descriptor::topology(&emit);
    let processors = processors::declarations(&emit);
    let tasks: TokenStream = (0..plan.subtopologies.len())
        .map(|sub| task::task(&emit, sub))
        .collect();
    let globals = globals::task(&emit);
    let nodes = methods::nodes(&emit);
    let topology = task::topology(&emit);
    let markers = markers(&emit);
    let mut obligations = obligations::of(&emit);
    obligations.extend(obligations::of_times(&emit));
    let facade = &emit.facade;
    // What the user allows of the struct is allowed of what it makes.
    let allowed = plan
        .topology
        .item
        .attrs
        .iter()
        .filter(|attribute| attribute.path().is_ident("allow"));
    let sets = sinks::topic_sets(plan.topology, facade);
    mixed! {
        #item
        #sets
        #outside
        #(#allowed)*
        const _: () = {
            use #facade::__private as __s;
            #[allow(unused_imports)]
            use __s::{
                Aggregate as _, AggregateRows as _, MergeSessions as _, NotNullKey as _, NotNullValue as _,
                PresentRows as _, SessionAggregate as _, ToStream as _, Undescribed as _,
                WindowedAggregate as _,
            };
            #descriptor
            #markers
            #processors
            #tasks
            #globals
            #nodes
            #topology
            #inside
            #obligations
        };
    }
}

/// The user's struct. Only the runtime reads most node fields, so the compiler may not call them dead.
fn struct_item(plan: &Plan<'_>) -> TokenStream {
    let mut item = plan.topology.item.clone();
    for field in &mut item.fields {
        if field
            .ident
            .as_ref()
            .is_some_and(|name| plan.topology.find(name).is_some())
        {
            field.attrs.push(syn::parse_quote!(#[allow(dead_code)]));
        }
    }
    item.into_token_stream()
}

/// A type per node that bears its name, for messages of the typed layer.
fn markers(emit: &Emit<'_>) -> TokenStream {
    let names = emit.plan.topology.nodes.iter().map(|node| &node.name);
    mixed! {
        /// The nodes' names, as types for messages.
        #[allow(non_camel_case_types, dead_code, missing_debug_implementations)]
        mod __node {
            #( pub(super) enum #names {} )*
        }
    }
}

impl Emit<'_> {
    pub(super) fn task_name(&self, sub: usize) -> Ident {
        Ident::new(
            &format!("{}Task{sub}", self.app.unraw()),
            Span::mixed_site(),
        )
    }

    /// The method of a segment: the node's name, `…_merged`, `…_changed`; never that of another field.
    pub(super) fn method_name(&self, id: NodeId, segment: usize) -> Ident {
        let topology = self.plan.topology;
        let name = &topology.node(id).name;
        let segments = &self.plan.node(id).segments;
        let mut method = match segments.get(segment).map(|segment| &segment.start) {
            Some(Start::Merged { number: 1, .. }) => format_ident!("{name}_merged"),
            Some(Start::Merged { number, .. }) => format_ident!("{name}_merged{number}"),
            Some(Start::Changed(..)) => format_ident!("{name}_changed"),
            Some(Start::Subscribed { .. }) => format_ident!("{name}_subscribed"),
            Some(Start::Foreign(_)) => format_ident!("{name}_foreign"),
            Some(Start::Responded { .. }) => format_ident!("{name}_responded"),
            Some(Start::Processed(position)) => {
                let before = segments.iter().filter(
                    |segment| matches!(segment.start, Start::Processed(other) if other < *position),
                );
                match before.count() {
                    0 => format_ident!("{name}_processed"),
                    n => format_ident!("{name}_processed{}", n + 1),
                }
            }
            Some(Start::Source | Start::Input(_)) | None => return name.clone(),
        };
        while topology.find(&method).is_some() {
            method = format_ident!("{method}_");
        }
        method
    }

    /// The enum of a segment that repartition topics split. Two fields that differ in underscores only get numbers.
    pub(super) fn at_name(&self, id: NodeId, segment: usize) -> Ident {
        let method = camel(&self.method_name(id, segment).unraw().to_string());
        let same = |other: &Node| {
            let methods = 0..self.plan.node(other.id).segments.len().max(1);
            methods
                .map(|segment| camel(&self.method_name(other.id, segment).unraw().to_string()))
                .any(|other| other == method)
        };
        let alike = self
            .plan
            .topology
            .nodes
            .iter()
            .filter(|other| same(other))
            .count();
        let number = if alike > 1 {
            format!("{}", id.0)
        } else {
            String::new()
        };
        mixed_ident(&format!("{}{method}{number}At", self.app.unraw()))
    }

    /// The sub-topology of a segment's head.
    pub(super) fn head_task(&self, id: NodeId, segment: usize) -> Ident {
        let planned = self.plan.node(id);
        let start = planned.segments.get(segment).map(|segment| &segment.start);
        if let Some(Start::Subscribed { other, .. } | Start::Foreign(other)) = start {
            return self.task_name(self.plan.home(*other).unwrap_or_default());
        }
        let part = planned
            .segments
            .get(segment)
            .map_or(0, |segment| segment.part);
        self.task_name(planned.parts.get(part).copied().unwrap_or_default())
    }

    /// `__node::customers`.
    pub(super) fn marker(&self, node: &Node) -> TokenStream {
        let name = &node.name;
        mixed!(__node::#name)
    }

    /// The types of the records of a node.
    pub(super) fn types(&self, id: NodeId) -> (TokenStream, TokenStream) {
        match &self.plan.topology.node(id).types {
            Some((key, value)) => (key.to_token_stream(), value.to_token_stream()),
            None => (mixed!(()), mixed!(())),
        }
    }
}

/// The user's location with the macro's hygiene: errors point at the user's word, locals stay ours.
pub(crate) fn at(span: Span) -> Span {
    Span::mixed_site().located_at(span)
}

/// A name of ours at the user's location.
pub(super) fn ident_at(name: &str, span: Span) -> Ident {
    Ident::new(name, at(span))
}

/// `KeyValueStore`, as a store's field has it.
pub(super) fn store_type(node: &Node) -> Ident {
    mixed_ident(&node.type_name)
}

/// `per_product` to `PerProduct`.
fn camel(name: &str) -> String {
    name.split('_')
        .map(|word| {
            let mut letters = word.chars();
            letters.next().map_or_else(String::new, |first| {
                first.to_uppercase().chain(letters).collect()
            })
        })
        .collect()
}

/// A type as a person writes it: `Windowed<CustomerId>`.
pub(crate) fn type_text(ty: &Type) -> String {
    let mut text = ty.to_token_stream().to_string();
    for (spaced, tight) in [
        ("__s :: ", ""),
        (" :: ", "::"),
        (":: ", "::"),
        (" < ", "<"),
        (" >", ">"),
        ("< ", "<"),
        (" ,", ","),
        ("& ", "&"),
    ] {
        text = text.replace(spaced, tight);
    }
    text
}

/// The milliseconds of a time, an `i64`.
pub(super) fn milliseconds(time: &Time) -> TokenStream {
    match time {
        Time::Literal(ms, _) => Literal::i64_unsuffixed(*ms).into_token_stream(),
        Time::Const(expr) => mixed!(__s::Milliseconds(#expr).get()),
    }
}

/// `3`, as a person writes it: without the type.
pub(super) fn number(n: usize) -> Literal {
    Literal::usize_unsuffixed(n)
}

/// Several of them.
pub(super) fn numbers(list: &[usize]) -> Vec<Literal> {
    list.iter().copied().map(number).collect()
}

/// A name of ours.
pub(super) fn mixed_ident(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}
