//! Sinks in generated code: which topic, and by which partitioner.

use proc_macro2::TokenStream;
use quote::quote_spanned;
use syn::Expr;
use syn::spanned::Spanned as _;

use super::super::kinds::Shape;
use super::super::parse::{SinkTopic, ungrouped};
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
                let send = ident_at("send_to", choose.span());
                let topics = numbers(&planned.topics);
                let record = if table {
                    mixed!(&__s::TableChain(__s::Clone::clone(&r)).to_stream())
                } else {
                    mixed!(&r)
                };
                if planned.sink.partitioner.is_some() {
                    let (way, by) = by(planned);
                    let send = ident_at(&format!("send_to_{way}"), by.span());
                    return mixed! {
                        #cx.#send(#record, #choose, &[#(#topics),*], &[#(#names),*], #by)
                    };
                }
                mixed!(#cx.#send(#record, #choose, &[#(#topics),*], &[#(#names),*]))
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
