//! What a topology with mistakes expands to: the errors, the user's struct, and stand-ins for all that is generated, so that
//! one mistake gives one error.

use proc_macro2::TokenStream;
use quote::ToTokens as _;

use super::emit::stand_in;
use super::model::Topology;

/// The errors beside the stand-ins.
pub(crate) fn topology(topology: &Topology, errors: &[syn::Error]) -> TokenStream {
    let mut out: TokenStream = errors.iter().map(syn::Error::to_compile_error).collect();
    topology.item.to_tokens(&mut out);
    out.extend(stand_in::items(topology));
    out
}
