//! Code of a processor: its constructor, its outputs, and what the runtime has to know of it.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens as _, format_ident, quote_spanned};
use syn::ItemStruct;
use syn::ext::IdentExt as _;

use super::{Kind, Outputs, Processor, Punctuate, Role, Store};
use crate::paths;
use crate::topology::emit::{at, type_text};
use crate::topology::windows::Time;

macro_rules! mixed {
    ($($tokens:tt)*) => {
        ::quote::quote_spanned!(::proc_macro2::Span::mixed_site()=> $($tokens)*)
    };
}

/// Expands to:
/// ```text
/// struct FraudAlerts { … }                                 // the user's, without our attributes
/// enum FraudAlertsOutput { large(Record<…>), … }           // where outputs have names
/// impl FraudAlerts { fn new(limit: u64) -> Self { … } }    // and `const LARGE: Output<…>` for each name
/// impl ProcessorDefinition for FraudAlerts { … }
/// impl SharesStore<0> for FraudAlerts { … }                // for each shared store
/// ```
pub(super) fn processor(processor: &Processor, item: &ItemStruct) -> TokenStream {
    let facade = paths::facade(processor.krate.as_ref());
    let name = &item.ident;
    let (generics, arguments, bounds) = item.generics.split_for_impl();
    let text = name.unraw().to_string();
    let (output_enum, output_consts, out, output_names) = outputs(processor, item, &facade);
    let constructor = constructor(processor, item);
    let stores: Vec<_> = stores(processor, false).collect();
    let shared: Vec<_> = stores_of(processor, true);
    let own_descriptions = stores.iter().map(|(name, store)| description(name, store));
    let shared_descriptions = shared.iter().map(|(name, store)| description(name, store));
    let bind = binding(&stores);
    let bind_shared = binding(&shared);
    let schedules = schedules(processor);
    let punctuators = punctuators(processor);
    let shares = shared.iter().enumerate().map(|(number, (field, store))| {
        let ty = handle(store);
        mixed! {
            #[automatically_derived]
            impl #generics __s::SharesStore<#number> for #name #arguments #bounds {
                type Store = #ty;
                fn share(&mut self, store: #ty) {
                    self.#field = store;
                }
            }
        }
    });
    let context = if schedules.is_empty() {
        format_ident!("_cx", span = Span::mixed_site())
    } else {
        format_ident!("cx", span = Span::mixed_site())
    };
    let first = |list: &[(&Ident, &Store)]| {
        let name = if list.is_empty() { "_first" } else { "first" };
        Ident::new(name, Span::mixed_site())
    };
    let (first_own, first_shared) = (first(&stores), first(&shared));
    let timestamp = timestamp(processor, item);
    mixed! {
        #item
        #output_enum
        const _: () = {
            use #facade::__private as __s;
            #constructor
            #output_consts
            #[automatically_derived]
            impl #generics __s::ProcessorDefinition for #name #arguments #bounds {
                type Out = #out;
                const NAME: &'static str = #text;
                const STORES: &'static [__s::ProcessorStore] = &[#(#own_descriptions),*];
                const SHARED: &'static [__s::ProcessorStore] = &[#(#shared_descriptions),*];
                const OUTPUTS: &'static [&'static str] = &[#(#output_names),*];
                #punctuators
                #[inline]
                fn timestamp_of(forwarded: &Self::Out) -> __s::Timestamp { #timestamp }
                fn bind(&mut self, #first_own: usize) { #bind }
                fn bind_shared(&mut self, #first_shared: usize) { #bind_shared }
                fn schedule(&mut self, #context: &mut __s::InitContext<'_, Self>) -> __s::ProcessingResult {
                    #schedules
                    __s::Ok(())
                }
            }
            #(#shares)*
        };
    }
}

fn stores(processor: &Processor, shared: bool) -> impl Iterator<Item = (&Ident, &Store)> {
    processor
        .fields
        .iter()
        .filter_map(move |field| match &field.role {
            Role::Store(store) if store.is_shared == shared => Some((&field.name, &**store)),
            _ => None,
        })
}

fn stores_of(processor: &Processor, shared: bool) -> Vec<(&Ident, &Store)> {
    stores(processor, shared).collect()
}

/// The type of a store's field, by our own path: the user may have renamed theirs.
fn handle(store: &Store) -> TokenStream {
    let name = match store.kind {
        Kind::KeyValue => "KeyValueStore",
        Kind::TimestampedKeyValue => "TimestampedKeyValueStore",
        Kind::ReadOnly => "ReadOnlyKeyValueStore",
        Kind::Window => "WindowStore",
        Kind::ReadOnlyWindow => "ReadOnlyWindowStore",
        Kind::Session => "SessionStore",
        Kind::ReadOnlySession => "ReadOnlySessionStore",
        Kind::Versioned => "VersionedStore",
        Kind::ReadOnlyVersioned => "ReadOnlyVersionedStore",
    };
    let name = Ident::new(name, Span::mixed_site());
    let (key, value) = (&store.key, &store.value);
    mixed!(__s::#name<#key, #value>)
}

fn description(field: &Ident, store: &Store) -> TokenStream {
    let field = field.unraw().to_string();
    let name = match &store.name {
        Some(name) => mixed!(__s::Some(#name)),
        None => mixed!(__s::None),
    };
    let kind = match store.kind {
        Kind::KeyValue | Kind::ReadOnly => mixed!(__s::StoreKind::KeyValue),
        Kind::TimestampedKeyValue => mixed!(__s::StoreKind::TimestampedKeyValue),
        Kind::Window | Kind::ReadOnlyWindow => {
            let (retention, size) = (retention(store), ms(store.window_size.as_ref()));
            mixed! {
                __s::StoreKind::Window {
                    retention_ms: #retention,
                    size_ms: #size,
                    duplicates: false,
                }
            }
        }
        Kind::Session | Kind::ReadOnlySession => {
            let retention = retention(store);
            mixed!(__s::StoreKind::Session { retention_ms: #retention, emitted: __s::None })
        }
        Kind::Versioned | Kind::ReadOnlyVersioned => {
            let retention = retention(store);
            mixed!(__s::StoreKind::Versioned { retention: #retention })
        }
    };
    let backend = if store.in_memory {
        mixed!(__s::StoreBackend::Memory)
    } else {
        mixed!(__s::StoreBackend::Lmdb)
    };
    let changelog = store.changelog;
    let (keys, values): (Vec<_>, Vec<_>) = store.changelog_config.iter().cloned().unzip();
    let described = |ty: &syn::Type| {
        let text = type_text(ty);
        mixed!(__s::TypeDescriptor::of::<#ty>(#text))
    };
    let of_key = |window: &str| {
        let (ty, window) = (&store.key, Ident::new(window, Span::mixed_site()));
        let text = type_text(&store.key);
        mixed!(__s::TypeDescriptor::of::<__s::Windowed<#ty, __s::#window>>(#text))
    };
    let key = match store.kind {
        Kind::Window | Kind::ReadOnlyWindow => of_key("TimeWindow"),
        Kind::Session | Kind::ReadOnlySession => of_key("SessionWindow"),
        _ => described(&store.key),
    };
    let value = described(&store.value);
    mixed! {
        __s::ProcessorStore {
            field: #field,
            name: #name,
            kind: #kind,
            backend: #backend,
            changelog: #changelog,
            changelog_config: &[#((#keys, #values)),*],
            key: #key,
            value: #value,
        }
    }
}

/// How long a store keeps its entries. What is shared is set up elsewhere: for a processor that runs alone, a hundred years.
fn retention(store: &Store) -> TokenStream {
    match &store.retention {
        None if store.is_shared => mixed!(3_155_760_000_000),
        retention => ms(retention.as_ref()),
    }
}

/// A time in milliseconds, in a const.
fn ms(time: Option<&Time>) -> TokenStream {
    match time {
        Some(Time::Literal(ms, _)) => {
            let ms = proc_macro2::Literal::i64_unsuffixed(*ms);
            mixed!(#ms)
        }
        Some(Time::Const(expr)) => mixed!(#expr),
        None => mixed!(0),
    }
}

fn binding(stores: &[(&Ident, &Store)]) -> TokenStream {
    let lines = stores.iter().enumerate().map(|(number, (field, store))| {
        let ty = handle(store);
        match number {
            0 => mixed!(self.#field = <#ty>::local(first);),
            number => {
                let number = proc_macro2::Literal::usize_unsuffixed(number);
                mixed!(self.#field = <#ty>::local(first + #number);)
            }
        }
    });
    mixed!(#(#lines)*)
}

/// `new`, with the plain fields as parameters.
fn constructor(processor: &Processor, item: &ItemStruct) -> TokenStream {
    let (name, vis) = (&item.ident, &item.vis);
    let (generics, arguments, bounds) = item.generics.split_for_impl();
    let (mut parameters, mut fields) = (Vec::new(), Vec::new());
    for field in &processor.fields {
        let (name, ty) = (&field.name, &field.ty);
        match &field.role {
            Role::Parameter => {
                parameters.push(mixed!(#name: #ty));
                fields.push(mixed!(#name));
            }
            Role::Default | Role::Punctuator(_) => {
                fields.push(mixed!(#name: __s::Default::default()));
            }
            Role::Store(store) => {
                let ty = handle(store);
                fields.push(mixed!(#name: <#ty>::unbound()));
            }
        }
    }
    let value = match item.fields {
        syn::Fields::Unit => mixed!(#name),
        _ => mixed!(#name { #(#fields),* }),
    };
    let doc = format!(
        " A new [`{}`]: its stores and punctuators are bound by the task that it runs in.",
        name.unraw()
    );
    mixed! {
        #[automatically_derived]
        impl #generics #name #arguments #bounds {
            #[doc = #doc]
            #[must_use]
            #[allow(dead_code, clippy::new_without_default, clippy::too_many_arguments)]
            #vis fn new(#(#parameters),*) -> Self {
                #value
            }
        }
    }
}

/// The timestamp of what is forwarded.
fn timestamp(processor: &Processor, item: &ItemStruct) -> TokenStream {
    match &processor.outputs {
        Outputs::None | Outputs::One(..) => mixed!(__s::IntoOutput::timestamp(forwarded)),
        Outputs::Named(list) => {
            let name = output_enum(item);
            let variants = list.iter().map(|output| &output.name);
            mixed! {
                match forwarded {
                    #( #name::#variants(r) => __s::IntoOutput::timestamp(r), )*
                }
            }
        }
    }
}

fn output_enum(item: &ItemStruct) -> Ident {
    format_ident!("{}Output", item.ident.unraw(), span = Span::mixed_site())
}

/// The enum of named outputs, a const for each, the type that is forwarded, and their names.
fn outputs(
    processor: &Processor,
    item: &ItemStruct,
    facade: &syn::Path,
) -> (TokenStream, TokenStream, TokenStream, Vec<String>) {
    let record = if processor.fixed_key {
        mixed!(FixedKeyRecord)
    } else {
        mixed!(Record)
    };
    let nothing = TokenStream::new;
    match &processor.outputs {
        Outputs::None => (nothing(), nothing(), mixed!(__s::NoOutput), Vec::new()),
        Outputs::One(key, value) => {
            let out = mixed!(__s::#record<#key, #value>);
            (nothing(), nothing(), out, Vec::new())
        }
        Outputs::Named(list) => {
            let (struct_name, vis) = (&item.ident, &item.vis);
            let name = output_enum(item);
            let doc = format!(" What [`{}`] forwards, by output.", struct_name.unraw());
            let variants: Vec<_> = list.iter().map(|output| &output.name).collect();
            let keys: Vec<_> = list.iter().map(|output| &output.key).collect();
            let values: Vec<_> = list.iter().map(|output| &output.value).collect();
            let docs: Vec<_> = list
                .iter()
                .map(|output| format!(" The output `{}`.", output.name))
                .collect();
            let consts = list.iter().map(|output| {
                let name = output.name.unraw().to_string().to_uppercase();
                Ident::new(&name, output.name.span())
            });
            let declared = mixed! {
                #[doc = #doc]
                #[derive(Debug, Clone, PartialEq)]
                #[allow(non_camel_case_types)]
                #vis enum #name {
                    #( #[doc = #docs] #variants(#facade::__private::#record<#keys, #values>), )*
                }
            };
            let consts = mixed! {
                #[automatically_derived]
                #[allow(dead_code)]
                impl #struct_name {
                    #(
                        #[doc = #docs]
                        #vis const #consts: __s::Output<Self, __s::#record<#keys, #values>> =
                            __s::Output::of(#name::#variants);
                    )*
                }
            };
            let numbers = 0..list.len();
            let others = (list.len() > 1).then(|| mixed!(other => __s::Err(other),));
            let takes = numbers.zip(list).map(|(number, output)| {
                let (variant, key, value) = (&output.name, &output.key, &output.value);
                mixed! {
                    #[automatically_derived]
                    impl __s::NamedOutput<#number> for #struct_name {
                        type Key = #key;
                        type Value = #value;
                        fn take(forwarded: #name) -> __s::Result<__s::Record<#key, #value>, #name> {
                            match forwarded {
                                #name::#variant(r) => __s::Ok(__s::IntoOutput::into_output(r)),
                                #others
                            }
                        }
                    }
                }
            });
            let consts = mixed!(#consts #(#takes)*);
            let names = list
                .iter()
                .map(|output| output.name.unraw().to_string())
                .collect();
            (declared, consts, mixed!(#name), names)
        }
    }
}

/// How many there are, where there are any.
fn punctuators(processor: &Processor) -> Option<TokenStream> {
    let kept = processor
        .fields
        .iter()
        .filter(|field| matches!(field.role, Role::Punctuator(Some(_))));
    let count = processor.punctuators.len() + kept.count();
    let number = proc_macro2::Literal::usize_unsuffixed(count);
    (count > 0).then(|| mixed!(const PUNCTUATORS: usize = #number;))
}

fn schedules(processor: &Processor) -> TokenStream {
    let plain = processor.punctuators.iter().map(|punctuate| {
        let scheduled = scheduled(punctuate);
        mixed!(#scheduled;)
    });
    let kept = processor
        .fields
        .iter()
        .filter_map(|field| match &field.role {
            Role::Punctuator(Some(punctuate)) => {
                let (name, scheduled) = (&field.name, scheduled(punctuate));
                Some(mixed!(self.#name = #scheduled;))
            }
            _ => None,
        });
    mixed!(#(#plain)* #(#kept)*)
}

fn scheduled(punctuate: &Punctuate) -> TokenStream {
    let when = if punctuate.is_wall_clock {
        mixed!(wall_clock)
    } else {
        mixed!(stream_time)
    };
    let every = match &punctuate.every {
        Time::Literal(ms, _) => {
            let ms = proc_macro2::Literal::u64_unsuffixed(u64::try_from(*ms).unwrap_or(0));
            mixed!(::core::time::Duration::from_millis(#ms))
        }
        Time::Const(expr) => {
            let expr = expr.to_token_stream();
            mixed!(__s::Interval::interval(#expr))
        }
    };
    let start = punctuate
        .start
        .as_ref()
        .map(|start| mixed!(.starting_at(#start)));
    let call = &punctuate.call;
    let call = quote_spanned!(at(call.span())=> Self::#call);
    mixed!(cx.schedule(__s::Punctuation::#when(#every)#start, #call)?)
}
