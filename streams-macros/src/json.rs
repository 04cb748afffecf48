//! `#[derive(Json)]`: the wire format of a user's type is its JSON.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, Path, parse_quote};

/// Expands to:
///
/// ```text
/// const _: () = {
///     use ::kstreams::__private as __s;
///     impl __s::Serde for Order where Self: __s::AsJson { … calls of __s::json … }
/// };
/// ```
pub(crate) fn expand(input: TokenStream) -> TokenStream {
    match syn::parse2::<DeriveInput>(input) {
        Ok(input) => match crate_path(&input) {
            Ok(path) => emit(&path, input),
            Err(error) => {
                // The impl is there all the same, so that one mistake gives one error.
                let error = error.into_compile_error();
                let harmless = emit(&parse_quote!(::kstreams), input);
                quote! { #error #harmless }
            }
        },
        Err(error) => error.into_compile_error(),
    }
}

/// `#[kstreams(crate = path)]`, for a crate that has another name.
fn crate_path(input: &DeriveInput) -> syn::Result<Path> {
    let mut path = parse_quote!(::kstreams);
    for attribute in input.attrs.iter().filter(|a| a.path().is_ident("kstreams")) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("crate") {
                path = meta.value()?.call(Path::parse_mod_style)?;
                Ok(())
            } else {
                Err(meta.error("only `crate = path::to::kstreams` can be said here [KS0113]"))
            }
        })?;
    }
    Ok(path)
}

fn emit(path: &Path, mut input: DeriveInput) -> TokenStream {
    // Which of a generic type's parameters have to be (de)serializable is serde's business; here it is asked for the whole.
    input
        .generics
        .make_where_clause()
        .predicates
        .push(parse_quote!(Self: __s::AsJson));
    let name = &input.ident;
    let (params, arguments, bounds) = input.generics.split_for_impl();
    quote! {
        const _: () = {
            use #path::__private as __s;

            #[automatically_derived]
            impl #params __s::Serde for #name #arguments #bounds {
                fn serialize(&self, out: &mut __s::Vec<u8>) -> __s::Result<(), __s::SerdeError> {
                    __s::json::write(self, out)
                }
                fn deserialize(bytes: &[u8]) -> __s::Result<Self, __s::SerdeError> {
                    __s::json::read(bytes)
                }
                fn to_json(&self) -> __s::serde_json::Value {
                    __s::json::value(self)
                }
            }
        };
    }
}
