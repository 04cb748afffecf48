//! Sinks in generated code: which topic, and by which partitioner.

use proc_macro2::TokenStream;
use quote::quote_spanned;
use syn::Expr;
use syn::spanned::Spanned as _;

use super::super::kinds::Shape;
use super::super::model::Topology;
use super::super::parse::{SinkTopic, TopicSet, ungrouped};
use super::super::plan::SinkPlan;
use super::steps::Method;
use super::{ident_at, number, numbers};

impl Method<'_> {
    /// Writes a record, or a table's update, to the topics of a sink.
    pub(super) fn send(&self, planned: &SinkPlan<'_>) -> TokenStream {
        let cx = self.context();
        let (key, value) = self.emit.types(self.node.id);
        let table = self.node.shape == Shape::Table;
        match &planned.sink.topic {
            SinkTopic::Static(_) if planned.sink.partitioner.is_some() => {
                let (way, by) = by(planned);
                let change = if table { "change_" } else { "" };
                let send = ident_at(&format!("send_{change}{way}"), by.span());
                let index = number(planned.topics.first().copied().unwrap_or_default());
                let types = match way {
                    "by" => mixed!(#key, #value, _),
                    _ => mixed!(#key, #value),
                };
                mixed!(#cx.#send::<#types>(#index, &r, #by))
            }
            SinkTopic::Static(topic) => {
                let send = ident_at(if table { "send_change" } else { "send" }, topic.span());
                let index = number(planned.topics.first().copied().unwrap_or_default());
                mixed!(#cx.#send::<#key, #value>(#index, &r))
            }
            SinkTopic::PerRecord(choose, names) => {
                let record = if table {
                    mixed!(&__s::TableChain(__s::Clone::clone(&r)).to_stream())
                } else {
                    mixed!(&r)
                };
                let (way, by, span) = match &planned.sink.partitioner {
                    Some(expr) => {
                        let (way, by) = partitioner(expr);
                        let span = by.span();
                        (format!("_{way}"), mixed!(, #by), span)
                    }
                    None => (String::new(), TokenStream::new(), choose.span()),
                };
                let topics = numbers(&planned.topics);
                let with_context = planned.sink.topic.takes_context();
                let (given, record, choose) = if with_context {
                    let in_context = ident_at("in_context", choose.span());
                    (
                        Some(mixed! {
                            let names = #cx.topics();
                            let record = #record;
                            let context = #cx.record_context(record, &names);
                        }),
                        mixed!(record),
                        mixed!(|key, value| __s::#in_context(#choose, key, value, &context)),
                    )
                } else {
                    (None, record, mixed!(#choose))
                };
                let sent = match &planned.sink.set {
                    Some(set) => {
                        let send = ident_at(&format!("send_to_one{way}"), span);
                        let set = &set.item.ident;
                        let types = match way.as_str() {
                            "_by" => mixed!(_, _, #set, _, _),
                            _ => mixed!(_, _, #set, _),
                        };
                        mixed!(#cx.#send::<#types>(#record, #choose, &[#(#topics),*] #by))
                    }
                    None => {
                        let send = ident_at(&format!("send_to{way}"), span);
                        mixed!(#cx.#send(#record, #choose, &[#(#topics),*], &[#(#names),*] #by))
                    }
                };
                match given {
                    Some(given) => mixed!({ #given #sent }),
                    None => sent,
                }
            }
        }
    }
}

/// The enum of each sink that declares its topics by one, and what it is to the topology.
pub(crate) fn topic_sets(topology: &Topology, facade: &TokenStream) -> TokenStream {
    let sinks = topology.nodes.iter().flat_map(|node| &node.sinks);
    let sets = sinks.filter_map(|sink| sink.set.as_ref());
    sets.map(|set| topic_set(set, facade)).collect()
}

/// Expands to:
/// ```text
/// #[derive(Debug, …)]
/// enum Route { Orders, … }
/// impl Topic for Route {
///     const ALL: &'static [Self] = &[Self::Orders, …];
///     fn name(self) -> &'static str { match self { Self::Orders => "orders", … } }
///     fn index(self) -> usize { match self { Self::Orders => 0, … } }
/// }
/// ```
fn topic_set(set: &TopicSet, facade: &TokenStream) -> TokenStream {
    let (item, name) = (&set.item, &set.item.ident);
    let (variants, topics): (Vec<_>, Vec<_>) = set.topics.iter().cloned().unzip();
    let places = (0..topics.len()).map(number);
    mixed! {
        #[derive(::core::fmt::Debug, ::core::clone::Clone, ::core::marker::Copy, ::core::cmp::PartialEq, ::core::cmp::Eq, ::core::hash::Hash)]
        #item
        #[automatically_derived]
        impl #facade::__private::Topic for #name {
            const ALL: &'static [Self] = &[#(Self::#variants),*];
            #[inline]
            fn name(self) -> &'static str {
                match self {
                    #(Self::#variants => #topics,)*
                }
            }
            #[inline]
            fn index(self) -> usize {
                match self {
                    #(Self::#variants => #places,)*
                }
            }
        }
    }
}

/// A sink's partitioner.
fn by(planned: &SinkPlan<'_>) -> (&'static str, TokenStream) {
    match &planned.sink.partitioner {
        Some(expr) => partitioner(expr),
        None => ("by", TokenStream::new()),
    }
}

/// A partitioner as an argument, and how the function is called that takes it: `…_by` a closure, `…_partitioned` anything else.
pub(super) fn partitioner(expr: &Expr) -> (&'static str, TokenStream) {
    if let Expr::Closure(_) = ungrouped(expr) {
        return ("by", mixed!(#expr));
    }
    let span = super::at(expr.span());
    ("partitioned", quote_spanned!(span=> &#expr))
}
