//! What keeps global stores: their processors, in a struct of their own that has all partitions of their topics.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Expr, Path};

use super::super::model::Node;
use super::super::plan::facts;
use super::{Emit, at, mixed_ident, number, steps, store_type};

/// A global store, and what keeps it.
struct Keeper<'p> {
    /// Its place among the topology's globals.
    index: usize,
    node: &'p Node,
    /// What makes the processor, and its type.
    made: &'p Expr,
    ty: Path,
}

fn keepers<'p>(emit: &Emit<'p>) -> Vec<Keeper<'p>> {
    let globals = emit.plan.globals.iter().enumerate();
    globals
        .filter_map(|(index, global)| {
            let node = emit.plan.topology.node(global.node);
            let (made, ty) = node.keeper()?;
            Some(Keeper {
                index,
                node,
                made,
                ty,
            })
        })
        .collect()
}

fn task_name(emit: &Emit<'_>) -> Ident {
    mixed_ident(&format!("{}Globals", facts::plain(emit.app)))
}

/// The function that makes the processor of a global store: `new_names_process`.
fn maker(emit: &Emit<'_>, node: &Node) -> Ident {
    let mut name = format_ident!(
        "new_{}_process",
        facts::plain(&node.name),
        span = Span::mixed_site()
    );
    while emit.plan.topology.find(&name).is_some() {
        name = format_ident!("{name}_", span = Span::mixed_site());
    }
    name
}

/// A global store as other processors see it.
pub(super) fn read_only(node: &Node) -> Ident {
    mixed_ident(match &*node.type_name {
        "WindowStore" => "ReadOnlyWindowStore",
        "SessionStore" => "ReadOnlySessionStore",
        "VersionedStore" => "ReadOnlyVersionedStore",
        _ => "ReadOnlyKeyValueStore",
    })
}

/// The types of a topic that a processor alone reads, as it takes them.
pub(super) fn types_taken(emit: &Emit<'_>, topic: usize) -> Option<(TokenStream, TokenStream)> {
    let mut keepers = keepers(emit).into_iter();
    let keeper = keepers.find(|keeper| emit.plan.globals[keeper.index].topic == topic)?;
    let ty = &keeper.ty;
    let span = at(keeper.made.span());
    Some((
        quote_spanned!(span=> __s::keys_taken::<#ty, _, _>()),
        quote_spanned!(span=> __s::values_taken::<#ty, _, _>()),
    ))
}

/// Expands to:
/// ```text
/// const _: () = __s::keeps_one_store::<UpperCase>("names");
/// struct ShopGlobals { names: __s::ProcessorSlot<UpperCase> }
/// impl __s::TaskOf<Shop> for ShopGlobals { fn process(…) fn flushed(…) fn init(…) fn close(…) }
/// ```
pub(super) fn task(emit: &Emit<'_>) -> Option<TokenStream> {
    let keepers = keepers(emit);
    if keepers.is_empty() {
        return None;
    }
    let (app, name) = (emit.app, task_name(emit));
    let (mut fields, mut arms) = (TokenStream::new(), TokenStream::new());
    let (mut inits, mut closes) = (TokenStream::new(), TokenStream::new());
    let mut obligations = TokenStream::new();
    for keeper in &keepers {
        let (field, ty) = (&keeper.node.name, &keeper.ty);
        let (index, span) = (number(keeper.index), at(keeper.made.span()));
        let text = facts::plain(field);
        let process = quote_spanned!(span=> __s::process_global);
        let (init, close) = (
            super::ident_at("init", span),
            super::ident_at("close", span),
        );
        fields.extend(mixed!(#field: __s::ProcessorSlot<#ty>,));
        let call = quote_spanned!(span=> #process(self, |t| &mut t.#field, raw, cx));
        arms.extend(mixed!(#index => #call,));
        inits.extend(mixed!(self.#field.#init(cx)?;));
        closes.extend(mixed!(self.#field.#close();));
        obligations.extend(quote_spanned! {span=>
            const _: () = __s::keeps_one_store::<#ty>(#text);
        });
    }
    Some(mixed! {
        #obligations
        /// What keeps the global stores.
        #[derive(Debug)]
        struct #name { #fields }
        #[automatically_derived]
        impl __s::TaskOf<#app> for #name {
            fn process(
                &mut self,
                _: &#app,
                source: usize,
                raw: __s::RawRecord<'_>,
                cx: &mut __s::TaskContext,
            ) -> __s::TaskResult {
                match source {
                    #arms
                    other => __s::Err(__s::unknown_source(other)),
                }
            }
            fn flushed(
                &mut self,
                _: &#app,
                store: usize,
                _: __s::Flushed<'_>,
                _: &mut __s::TaskContext,
            ) -> __s::TaskResult {
                __s::Err(__s::unknown_store(store))
            }
            fn init(&mut self, _: &#app, cx: &mut __s::TaskContext) -> __s::TaskResult {
                #inits
                __s::Ok(())
            }
            fn close(&mut self) { #closes }
        }
    })
}

/// Its value: behind the last sub-topology's.
pub(super) fn new_task(emit: &Emit<'_>) -> Option<TokenStream> {
    let keepers = keepers(emit);
    if keepers.is_empty() {
        return None;
    }
    let name = task_name(emit);
    let behind = number(emit.plan.subtopologies.len());
    let fields = keepers.iter().map(|keeper| {
        let (field, maker) = (&keeper.node.name, maker(emit, keeper.node));
        let (text, index) = (facts::plain(field), number(keeper.index));
        mixed! {
            #field: __s::ProcessorSlot::new(#text, #index, 0, __Nodes::#maker(&*app)),
        }
    });
    Some(mixed! {
        #behind => {
            let task = #name { #(#fields)* };
            __s::Ok(__s::Box::new(__s::Bound { app, task }))
        }
    })
}

/// Expands to, for each global store:
/// ```text
/// fn new_names_process(&self) -> UpperCase { let mut processor = UpperCase::new(); … processor }
/// ```
pub(super) fn makers(emit: &Emit<'_>) -> (TokenStream, TokenStream) {
    let (mut signatures, mut methods) = (TokenStream::new(), TokenStream::new());
    for keeper in keepers(emit) {
        let Keeper {
            index,
            node,
            made,
            ty,
        } = keeper;
        let name = maker(emit, node);
        let receiver = steps::own_self(&[made]).unwrap_or_else(|| mixed_ident("self"));
        let (key, value) = emit.types(node.id);
        let (store, marker, index) = (store_type(node), emit.marker(node), number(index));
        let span = at(made.span());
        let given = quote_spanned!(at(node.ty.span())=> __s::#store::<#key, #value>::local(#index));
        let bound = quote_spanned!(span=> __s::keep::<#ty, _, #marker>(&mut processor, #given););
        let doc = format!(" The processor that keeps `{}`.", facts::plain(&node.name));
        signatures.extend(mixed!(fn #name(&#receiver) -> #ty;));
        methods.extend(mixed! {
            #[doc = #doc]
            fn #name(&#receiver) -> #ty {
                let mut processor = #made;
                #bound
                processor
            }
        });
    }
    (signatures, methods)
}
