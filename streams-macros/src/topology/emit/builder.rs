//! The builder, which knows by its type which parameters were given, and the test driver with a typed field per node.

use proc_macro2::{Ident, Span, TokenStream};
use quote::format_ident;
use syn::ext::IdentExt as _;

use super::super::kinds::Shape;
use super::super::model::{Node, Origin, Topology};
use super::super::plan::facts;
use super::{Emit, mixed_ident, number};

pub(super) fn driver_name(app: &Ident) -> Ident {
    format_ident!("{}TestDriver", app.unraw(), span = Span::mixed_site())
}

pub(super) fn builder_name(app: &Ident) -> Ident {
    format_ident!("{}Builder", app.unraw(), span = Span::mixed_site())
}

/// What a field of the test driver is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Handle {
    Input,
    InputTable,
    GlobalStore,
    Output,
    Table,
    Store,
}

fn handle(node: &Node) -> Option<Handle> {
    match (&node.origin, node.shape) {
        (Origin::Source(_), Shape::Stream) => Some(Handle::Input),
        (Origin::Source(_), Shape::Table | Shape::GlobalTable) => Some(Handle::InputTable),
        (Origin::Source(_), Shape::Store) => node.keeper().map(|_| Handle::GlobalStore),
        (Origin::Derived(_), Shape::Stream) if !node.sinks.is_empty() => Some(Handle::Output),
        (Origin::Derived(_), Shape::Table) => Some(Handle::Table),
        (_, Shape::Store) => Some(Handle::Store),
        _ => None,
    }
}

/// The two structs, outside of the `const` block: users name them.
fn structs(topology: &Topology, facade: &TokenStream) -> TokenStream {
    let (params, slots) = slots(topology);
    both(
        topology,
        facade,
        &mixed!(<#(#slots = ()),*>),
        &mixed!(#(#params: #slots,)*),
    )
}

/// The same for a topology with mistakes: the builder takes parameters without remembering them.
pub(super) fn stand_in_structs(topology: &Topology, facade: &TokenStream) -> TokenStream {
    both(topology, facade, &TokenStream::new(), &TokenStream::new())
}

fn both(
    topology: &Topology,
    facade: &TokenStream,
    generics: &TokenStream,
    given: &TokenStream,
) -> TokenStream {
    let (app, vis) = (&topology.item.ident, &topology.item.vis);
    let (builder, driver) = (builder_name(app), driver_name(app));
    let fields = topology.nodes.iter().filter_map(|node| {
        let handle = handle(node)?;
        let (key, value) = node.types.as_ref()?;
        let (name, vis) = (&node.name, &node.vis);
        let doc = format!(" The node `{name}`.");
        let ty = match handle {
            Handle::GlobalStore => mixed!(TestGlobalStore),
            Handle::Input => mixed!(TestInput),
            Handle::InputTable => mixed!(TestInputTable),
            Handle::Output => mixed!(TestOutput),
            Handle::Table => mixed!(TestTable),
            Handle::Store => mixed!(TestStore),
        };
        let key = match node.type_name.as_str() {
            "WindowStore" => mixed!(#facade::__private::Windowed<#key>),
            "SessionStore" => {
                mixed!(#facade::__private::Windowed<#key, #facade::__private::SessionWindow>)
            }
            _ => mixed!(#key),
        };
        let ty = mixed!(#facade::__private::#ty);
        Some(match node.keeper() {
            Some((_, processor)) => mixed! {
                #[doc = #doc]
                #[allow(private_interfaces)]
                #vis #name: #ty<#processor, #key, #value>,
            },
            None => mixed!(#[doc = #doc] #vis #name: #ty<#key, #value>,),
        })
    });
    let doc = format!(
        " Builds [`{app}`]: takes its parameters, then starts it, tests it, or makes it a program."
    );
    let driver_doc =
        format!(" [`{app}`] under test: a field for each node that is written or read.");
    let allowed: Vec<_> = topology
        .item
        .attrs
        .iter()
        .filter(|attribute| attribute.path().is_ident("allow"))
        .collect();
    mixed! {
        #[doc = #doc]
        #[must_use]
        #(#allowed)*
        #[allow(missing_debug_implementations, dead_code)]
        #vis struct #builder #generics { #given __given: () }
        #[doc = #driver_doc]
        #[derive(Debug)]
        #(#allowed)*
        #[allow(dead_code)]
        #vis struct #driver { #(#fields)* __driver: #facade::__private::TestDriver }
    }
}

/// The parameters' names, and a type parameter for each.
fn slots(topology: &Topology) -> (Vec<&Ident>, Vec<Ident>) {
    let names: Vec<_> = topology.params.iter().map(|param| &param.name).collect();
    let slots = (0..names.len())
        .map(|n| mixed_ident(&format!("__P{n}")))
        .collect();
    (names, slots)
}

/// Outside the `const` block, and inside.
///
/// Expands to:
/// ```text
/// impl Shop { pub fn builder() -> ShopBuilder { … } pub fn main() -> Result<()> { … } }  // main only without parameters
/// pub trait __MinGiven { fn given(self) -> u64; }  impl __MinGiven for (u64,) { … }
/// impl<P0> ShopBuilder<P0> { pub fn min(self, min: u64) -> ShopBuilder<(u64,)> { … } }
/// impl<P0: __MinGiven> ShopBuilder<P0> { pub fn start(…) pub fn test_driver(…) pub fn main(…) }
/// ```
pub(super) fn builder(emit: &Emit<'_>) -> (TokenStream, TokenStream) {
    let topology = emit.plan.topology;
    let (app, vis) = (emit.app, &topology.item.vis);
    let builder = builder_name(app);
    let (names, slots) = slots(topology);
    let (traits, bounds) = given(topology);
    let setters = setters(topology);
    let entry = entry(topology);
    let (build, driver) = (build(emit), driver(emit));
    let inside = mixed! {
        #entry
        #traits
        #setters
        #build
        #driver
        #[automatically_derived]
        #[allow(dead_code)]
        impl<#(#slots),*> #builder<#(#slots),*> {
            /// Starts the application.
            ///
            /// # Errors
            /// When the configuration contradicts itself, the log cannot be opened, or the topology does not fit its topics.
            #vis fn start(
                self,
                config: impl __s::Into<__s::StreamsConfig>,
            ) -> __s::Result<__s::Running<#app>, __s::Error>
            where #(#slots: #bounds,)*
            {
                let (app, registry) = build(#(#bounds::given(self.#names)),*);
                __s::start(app, registry, __s::Into::into(config))
            }

            /// The topology on a log in memory and a clock that stands still.
            ///
            /// # Errors
            /// When the topology does not fit its partition counts.
            #vis fn test_driver(self) -> __s::Result<<#app as __s::Topology>::TestDriver, __s::Error>
            where #(#slots: #bounds,)*
            {
                self.test_driver_with(__s::Default::default())
            }

            /// The same, set up otherwise.
            ///
            /// # Errors
            /// When the topology does not fit its partition counts, or a state directory cannot be made.
            #vis fn test_driver_with(
                self,
                options: __s::TestDriverOptions,
            ) -> __s::Result<<#app as __s::Topology>::TestDriver, __s::Error>
            where #(#slots: #bounds,)*
            {
                let (app, _) = build(#(#bounds::given(self.#names)),*);
                driver(&app, options)
            }

            /// The whole program: run, describe, produce, consume, query and so on, as the command line says.
            ///
            /// # Errors
            /// None that it returns: it prints an error and exits.
            #vis fn main(self) -> __s::Result<(), __s::Error>
            where #(#slots: #bounds,)*
            {
                __s::program::<#app>(|config| self.start(config))
            }
        }
    };
    (structs(topology, &emit.facade), inside)
}

/// `builder()`, and `main()` where there is nothing to give.
fn entry(topology: &Topology) -> TokenStream {
    let (app, vis) = (&topology.item.ident, &topology.item.vis);
    let builder = builder_name(app);
    let (names, _) = slots(topology);
    let main = if names.is_empty() {
        mixed! {
            /// The whole program: run, describe, produce, consume, query and so on, as the command line says.
            ///
            /// # Errors
            /// None that it returns: it prints an error and exits.
            #vis fn main() -> __s::Result<(), __s::Error> { Self::builder().main() }
        }
    } else {
        TokenStream::new()
    };
    mixed! {
        #[automatically_derived]
        #[allow(dead_code)]
        impl #app {
            /// Begins to build the application: its parameters first.
            #vis fn builder() -> #builder { #builder { #(#names: (),)* __given: () } }
            #main
        }
    }
}

/// A trait per parameter, whose only message is in the user's words; and their names.
fn given(topology: &Topology) -> (TokenStream, Vec<Ident>) {
    let app = &topology.item.ident;
    let mut out = TokenStream::new();
    let mut names = Vec::new();
    for param in &topology.params {
        let name = facts::plain(&param.name);
        let message = format!("`{app}` needs its parameter `{name}` before it can start [KS0220]");
        let label = format!("`{name}` was not given");
        let note = format!("call `.{name}(…)` on the builder first");
        let bound = mixed_ident(&format!("__{}Given", super::camel(&name)));
        let ty = &param.ty;
        out.extend(mixed! {
            #[diagnostic::on_unimplemented(message = #message, label = #label, note = #note)]
            pub trait #bound { fn given(self) -> #ty; }
            #[diagnostic::do_not_recommend]
            impl #bound for (#ty,) { fn given(self) -> #ty { self.0 } }
        });
        names.push(bound);
    }
    (out, names)
}

/// A method per parameter.
fn setters(topology: &Topology) -> TokenStream {
    let (app, vis) = (&topology.item.ident, &topology.item.vis);
    let builder = builder_name(app);
    let (names, slots) = slots(topology);
    let mut methods = TokenStream::new();
    for (index, param) in topology.params.iter().enumerate() {
        let (name, ty) = (&param.name, &param.ty);
        let doc = format!(" Gives the parameter `{name}`.");
        let out = slots.iter().enumerate().map(|(n, slot)| {
            if n == index {
                mixed!((#ty,))
            } else {
                mixed!(#slot)
            }
        });
        let fields = names.iter().enumerate().map(|(n, field)| {
            if n == index {
                mixed!(#field: (value,))
            } else {
                mixed!(#field: self.#field)
            }
        });
        methods.extend(mixed! {
            #[doc = #doc]
            #vis fn #name(self, value: #ty) -> #builder<#(#out),*> {
                #builder { #(#fields,)* __given: self.__given }
            }
        });
    }
    mixed! {
        #[automatically_derived]
        #[allow(dead_code)]
        impl<#(#slots),*> #builder<#(#slots),*> { #methods }
    }
}

/// The app itself, with its nodes' handles.
fn build(emit: &Emit<'_>) -> TokenStream {
    let plan = emit.plan;
    let app = emit.app;
    let params: Vec<_> = plan
        .topology
        .params
        .iter()
        .map(|param| &param.name)
        .collect();
    let types = plan.topology.params.iter().map(|param| &param.ty);
    let nodes = plan.topology.nodes.iter().map(|node| {
        let (field, name) = (&node.name, facts::plain(&node.name));
        let store = match plan
            .node(node.id)
            .store
            .filter(|store| plan.stores[*store].queryable)
        {
            Some(store) => {
                let store = number(store);
                mixed!(__s::Some(#store))
            }
            None => mixed!(__s::None),
        };
        match node.shape {
            Shape::Stream => mixed!(#field: __s::KStream::of_node(#name)),
            Shape::Table => mixed!(#field: __s::KTable::of_node(#name, #store, &registry)),
            Shape::GlobalTable => {
                mixed!(#field: __s::GlobalKTable::of_node(#name, #store, &registry))
            }
            Shape::Store => {
                let ty = super::store_type(node);
                mixed!(#field: __s::#ty::of_node(#name, #store, &registry))
            }
            _ => mixed!(#field: ()),
        }
    });
    mixed! {
        #[allow(clippy::too_many_arguments)]
        fn build(#(#params: #types),*) -> (__s::Arc<#app>, __s::QueryRegistry) {
            let registry = __s::QueryRegistry::new(TOPOLOGY.stores.len());
            let app = #app { #(#params,)* #(#nodes,)* };
            (__s::Arc::new(app), registry)
        }
    }
}

/// The test driver with its fields.
fn driver(emit: &Emit<'_>) -> TokenStream {
    let plan = emit.plan;
    let app = emit.app;
    let name = driver_name(app);
    let fields = plan.topology.nodes.iter().filter_map(|node| {
        let handle = handle(node)?;
        let field = &node.name;
        let planned = plan.node(node.id);
        let store = match planned.store.filter(|store| plan.stores[*store].queryable) {
            Some(store) => {
                let store = number(store);
                mixed!(__s::Some(#store))
            }
            None => mixed!(__s::None),
        };
        let read = plan
            .subtopologies
            .iter()
            .flat_map(|sub| &sub.sources)
            .find(|s| s.node == node.id);
        let topic = read.map(|source| source.topic).or_else(|| {
            plan.globals
                .iter()
                .find(|global| global.node == node.id)
                .map(|global| global.topic)
        });
        let topic = number(topic.unwrap_or_default());
        let written = planned
            .sinks
            .iter()
            .flat_map(|sink| &sink.topics)
            .map(|topic| number(*topic));
        Some(match handle {
            Handle::Input => mixed!(#field: driver.input(#topic)),
            Handle::InputTable => mixed!(#field: driver.input_table(#topic, #store)),
            Handle::GlobalStore => mixed!(#field: driver.global_store(#topic, #store)),
            Handle::Output => mixed!(#field: driver.output(&[#(#written),*])),
            Handle::Table => mixed!(#field: driver.table(#store, &[#(#written),*])),
            Handle::Store => mixed!(#field: driver.store(#store)),
        })
    });
    mixed! {
        fn driver(
            app: &__s::Arc<#app>,
            options: __s::TestDriverOptions,
        ) -> __s::Result<#name, __s::Error> {
            let driver = __s::TestDriver::new(app, options)?;
            __s::Ok(#name { #(#fields,)* __driver: driver })
        }
        #[automatically_derived]
        impl ::core::ops::Deref for #name {
            type Target = __s::TestDriver;
            fn deref(&self) -> &__s::TestDriver { &self.__driver }
        }
    }
}
