//! A struct per sub-topology that holds its stores' handles, and where its records enter.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens as _, format_ident};
use syn::Type;
use syn::spanned::Spanned as _;

use super::super::kinds::Shape;
use super::super::plan::{Arm, Entry, Kind, Role, Store, facts, old_values};
use super::{Emit, globals, ident_at, methods, number, processors, windows};

/// Expands to:
/// ```text
/// /// Sub-topology 0: orders, customers -> enriched
/// struct ShopTask0 { customers: __s::TableStore<…>, products: __s::GlobalTable<…> }
/// impl __s::TaskOf<Shop> for ShopTask0 { fn process(…) fn flushed(…) }
/// ```
pub(super) fn task(emit: &Emit<'_>, sub: usize) -> TokenStream {
    let (app, name) = (emit.app, emit.task_name(sub));
    let plan = emit.plan;
    let described = &plan.subtopologies[sub];
    let doc = format!(" Sub-topology {sub}: {}", plan.summary(sub));
    let fields = described.stores.iter().filter_map(|store| {
        let store = &plan.stores[*store];
        if matches!(store.kind, Kind::Joined(_)) || store.field.shape == Shape::Store {
            return None;
        }
        let (field, (key, value)) = (handle(store), store.types.as_ref()?);
        if let Some(of) = windows::of_store(store) {
            let of = windows::type_of(of);
            return Some(mixed!(#field: __s::WindowedTable<#key, #value, #of>,));
        }
        Some(mixed!(#field: __s::TableStore<#key, #value>,))
    });
    let globals = described.globals.iter().map(|id| {
        let field = &plan.topology.node(*id).name;
        let (key, value) = emit.types(*id);
        mixed!(#field: __s::GlobalTable<#key, #value>,)
    });
    let entries = described
        .sources
        .iter()
        .enumerate()
        .map(|(index, source)| entry(emit, index, source));
    let timestamps = timestamps(emit, sub);
    let flushed = flushed(emit, sub);
    let slots = processors::task_fields(emit, sub);
    let processor_methods = processors::task_methods(emit, sub);
    mixed! {
        #[doc = #doc]
        #[derive(Debug)]
        struct #name { #(#fields)* #(#globals)* #slots }
        #[automatically_derived]
        impl __s::TaskOf<#app> for #name {
            fn process(
                &mut self,
                app: &#app,
                source: usize,
                raw: __s::RawRecord<'_>,
                cx: &mut __s::TaskContext,
            ) -> __s::TaskResult {
                match source {
                    #(#entries)*
                    other => __s::Err(__s::unknown_source(other)),
                }
            }
            #timestamps
            #flushed
            #processor_methods
        }
    }
}

/// Where sources have timestamp extractors of their own.
fn timestamps(emit: &Emit<'_>, sub: usize) -> Option<TokenStream> {
    let app = emit.app;
    let sources = emit.plan.subtopologies[sub].sources.iter().enumerate();
    let arms: Vec<_> = sources
        .filter(|(_, source)| source.received_by.is_none())
        .filter_map(|(index, source)| {
            let node = emit.plan.topology.node(source.node);
            facts::own_extractor(node)?;
            let (index, name) = (number(index), emit.extractor_name(node));
            Some(mixed!(#index => __Nodes::#name(app, raw, partition_time, cx),))
        })
        .collect();
    (!arms.is_empty()).then(|| {
        mixed! {
            fn timestamp(
                &mut self,
                app: &#app,
                source: usize,
                raw: __s::RawRecord<'_>,
                partition_time: __s::Timestamp,
                cx: &mut __s::TaskContext,
            ) -> __s::TaskResult<__s::Option<__s::Timestamp>> {
                match source {
                    #(#arms)*
                    other => __s::Err(__s::unknown_source(other)),
                }
            }
        }
    })
}

/// The name of a store's handle: the field's, or `<field>_<role>`.
pub(super) fn handle(store: &Store<'_>) -> Ident {
    let field = &store.field.name;
    match store.role {
        Role::Primary => field.clone(),
        Role::Inner(role) => format_ident!("{field}_{role}"),
    }
}

fn entry(emit: &Emit<'_>, index: usize, source: &Entry) -> TokenStream {
    let node = emit.plan.topology.node(source.node);
    let index = number(index);
    if let Some((segment, arm)) = source.received_by {
        let method = emit.method_name(source.node, segment);
        if arm == Arm::Head && !emit.is_split(source.node, segment) {
            return mixed!(#index => __Nodes::#method(app, self, raw, cx),);
        }
        let (at, variant) = (emit.at_name(source.node, segment), methods::arm(arm));
        return mixed!(#index => __Nodes::#method(app, #at::#variant(self, raw), cx),);
    }
    let method = &node.name;
    let (key, value) = emit.types(source.node);
    let table = node.shape == Shape::Table;
    let decode = ident_at(
        if table { "decode_table" } else { "decode" },
        node.ty.span(),
    );
    mixed! {
        #index => {
            let __s::Some(r) = cx.#decode::<#key, #value>(raw)? else { return __s::Ok(()); };
            __Nodes::#method(app, self, r, cx)
        }
    }
}

/// What the record cache lets go: on to those who listen to the table.
fn flushed(emit: &Emit<'_>, sub: usize) -> TokenStream {
    let (plan, app) = (emit.plan, emit.app);
    let mut listening = false;
    let mut arms = TokenStream::new();
    for (local, store) in plan.subtopologies[sub].stores.iter().enumerate() {
        let node = plan.stores[*store].node;
        let local = number(local);
        if plan.stores[*store].role != Role::Primary {
            arms.extend(mixed!(#local => __s::Ok(()),));
            continue;
        }
        if let Some(segment) = plan.updating_segment(node) {
            listening = true;
            let (method, at) = (emit.method_name(node, segment), emit.at_name(node, segment));
            arms.extend(mixed!(#local => __Nodes::#method(app, #at::Flushed(self, entry), cx),));
            continue;
        }
        let Some(segment) = plan.changed_segment(node) else {
            arms.extend(mixed!(#local => __s::Ok(()),));
            continue;
        };
        listening = true;
        let field = &plan.topology.node(node).name;
        let method = emit.method_name(node, segment);
        let call = if emit.is_split(node, segment) {
            let at = emit.at_name(node, segment);
            mixed!(__Nodes::#method(app, #at::Head(self, r), cx))
        } else {
            mixed!(__Nodes::#method(app, self, r, cx))
        };
        arms.extend(mixed! {
            #local => {
                let r = self.#field.flushed(entry, cx)?;
                #call
            }
        });
    }
    let (app_name, entry, cx) = if listening {
        (mixed!(app), mixed!(entry), mixed!(cx))
    } else {
        (mixed!(_), mixed!(_), mixed!(_))
    };
    mixed! {
        fn flushed(
            &mut self,
            #app_name: &#app,
            store: usize,
            #entry: __s::Flushed<'_>,
            #cx: &mut __s::TaskContext,
        ) -> __s::TaskResult {
            match store {
                #arms
                other => __s::Err(__s::unknown_store(other)),
            }
        }
    }
}

/// What the runtime asks of the user's struct.
pub(super) fn topology(emit: &Emit<'_>) -> TokenStream {
    let app = emit.app;
    let driver = super::builder::driver_name(app);
    let tasks = (0..emit.plan.subtopologies.len()).map(|sub| new_task(emit, sub));
    let globals = globals::new_task(emit);
    let app_value = if emit.plan.subtopologies.is_empty() && globals.is_none() {
        TokenStream::new()
    } else {
        mixed!(let app = __s::Clone::clone(app);)
    };
    mixed! {
        #[automatically_derived]
        impl __s::Topology for #app {
            const TOPOLOGY: &'static __s::TopologyDescriptor = &TOPOLOGY;
            type TestDriver = #driver;
            fn subtopology(
                app: &__s::Arc<Self>,
                index: usize,
            ) -> __s::TaskResult<__s::Box<dyn __s::SubTopology>> {
                #app_value
                match index {
                    #(#tasks)*
                    #globals
                    other => __s::Err(__s::unknown_subtopology(other)),
                }
            }
        }
    }
}

fn new_task(emit: &Emit<'_>, sub: usize) -> TokenStream {
    let plan = emit.plan;
    let name = emit.task_name(sub);
    let stores = plan.subtopologies[sub]
        .stores
        .iter()
        .enumerate()
        .filter(|(_, store)| {
            let store = &plan.stores[**store];
            store.types.is_some()
                && !matches!(store.kind, Kind::Joined(_))
                && store.field.shape != Shape::Store
        })
        .map(|(local, store)| {
            let node = plan.topology.node(plan.stores[*store].node);
            let field = handle(&plan.stores[*store]);
            if let Some(of) = windows::of_store(&plan.stores[*store]) {
                let handle = windows::handle(emit, node, of, local, &TokenStream::new());
                return mixed!(#field: #handle,);
            }
            let old = if old_values::is_asked(plan.topology, node) {
                mixed!(.sending_old_values())
            } else {
                TokenStream::new()
            };
            let local = number(local);
            mixed!(#field: __s::TableStore::new(#local)#old,)
        });
    let globals = plan.subtopologies[sub].globals.iter().map(|id| {
        let field = &plan.topology.node(*id).name;
        let index = plan
            .globals
            .iter()
            .position(|global| global.node == *id)
            .unwrap_or_default();
        let index = number(index);
        mixed!(#field: __s::GlobalTable::new(#index),)
    });
    let slots = processors::new_fields(emit, sub);
    let sub = number(sub);
    if !slots.is_empty() {
        return mixed! {
            #sub => {
                let task = #name { #(#stores)* #(#globals)* #slots };
                __s::Ok(__s::Box::new(__s::Bound { app, task }))
            }
        };
    }
    mixed! {
        #sub => __s::Ok(__s::Box::new(__s::Bound { app, task: #name { #(#stores)* #(#globals)* } })),
    }
}

/// A type's tokens, for `TypeDescriptor`.
pub(super) fn type_descriptor(types: Option<&Type>) -> TokenStream {
    match types {
        Some(ty) => {
            let (tokens, text) = (ty.to_token_stream(), super::type_text(ty));
            mixed!(__s::TypeDescriptor { name: #text, ..__s::Described::<#tokens>::TYPE })
        }
        None => mixed!(__s::TypeDescriptor::inferred()),
    }
}
