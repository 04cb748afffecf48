//! Stand-ins for the generated items of a topology with mistakes: same names, same signatures, no content.

use proc_macro2::TokenStream;
use quote::ToTokens as _;

use super::super::check::names::GENERATED;
use super::super::model::Topology;
use super::{builder, sinks};
use crate::paths;

/// Expands to the builder, the test driver and the trait's implementation, all of which refuse to run.
pub(crate) fn items(topology: &Topology) -> TokenStream {
    let facade = paths::facade(topology.args.krate.as_ref()).to_token_stream();
    let (app, vis) = (&topology.item.ident, &topology.item.vis);
    let structs = builder::stand_in_structs(topology, &facade);
    let (builder, driver) = (builder::builder_name(app), builder::driver_name(app));
    let (names, types): (Vec<_>, Vec<_>) = topology
        .params
        .iter()
        .filter(|param| !GENERATED.contains(&param.name.to_string().as_str()))
        .map(|param| (&param.name, &param.ty))
        .unzip();
    let main = if names.is_empty() {
        mixed!(#vis fn main() -> __s::Result<(), __s::Error> { ::core::unimplemented!() })
    } else {
        TokenStream::new()
    };
    let sets = sinks::topic_sets(topology, &facade);
    mixed! {
        #structs
        #sets
        const _: () = {
            use #facade::__private as __s;
            #[automatically_derived]
            #[allow(missing_docs, dead_code, clippy::unimplemented, clippy::missing_errors_doc)]
            impl #app {
                #vis fn builder() -> #builder { ::core::unimplemented!() }
                #main
            }
            #[automatically_derived]
            #[allow(missing_docs, dead_code, unused_variables, clippy::unimplemented, clippy::missing_errors_doc)]
            impl #builder {
                #( #vis fn #names(self, value: #types) -> Self { self } )*
                #vis fn start(
                    self,
                    config: impl __s::Into<__s::StreamsConfig>,
                ) -> __s::Result<__s::Running<#app>, __s::Error> { ::core::unimplemented!() }
                #vis fn test_driver(self) -> __s::Result<#driver, __s::Error> { ::core::unimplemented!() }
                #vis fn test_driver_with(
                    self,
                    options: __s::TestDriverOptions,
                ) -> __s::Result<#driver, __s::Error> { ::core::unimplemented!() }
                #vis fn main(self) -> __s::Result<(), __s::Error> { ::core::unimplemented!() }
            }
            #[automatically_derived]
            impl ::core::ops::Deref for #driver {
                type Target = __s::TestDriver;
                fn deref(&self) -> &__s::TestDriver { &self.__driver }
            }
            static TOPOLOGY: __s::TopologyDescriptor = __s::TopologyDescriptor {
                name: "", application_id: "", topics: &[], stores: &[], subtopologies: &[], globals: &[],
            };
            #[automatically_derived]
            impl __s::Topology for #app {
                const TOPOLOGY: &'static __s::TopologyDescriptor = &TOPOLOGY;
                type TestDriver = #driver;
                fn subtopology(
                    _: &__s::Arc<Self>,
                    index: usize,
                ) -> __s::TaskResult<__s::Box<dyn __s::SubTopology>> {
                    __s::Err(__s::unknown_subtopology(index))
                }
            }
        };
    }
}
