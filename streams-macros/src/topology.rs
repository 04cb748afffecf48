//! `#[topology]`: the pipeline in one function.

pub(crate) mod check;
pub(crate) mod emit;
mod fallback;
#[cfg(test)]
mod generated;
pub(crate) mod kinds;
pub(crate) mod model;
mod obligations;
pub(crate) mod parse;
pub(crate) mod plan;
pub(crate) mod stream_join;
mod suppression;
pub(crate) mod windows;

use proc_macro2::TokenStream;

use crate::ctxt::Ctxt;

/// Expands the attribute. Never fails: what is wrong becomes errors beside a harmless stand-in.
pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    let cx = Ctxt::new();
    let syntax = match parse::topology(&cx, args, item.clone()) {
        Ok(syntax) => syntax,
        Err(error) => {
            let _ = cx.check();
            return [item, error.into_compile_error()].into_iter().collect();
        }
    };
    let topology = model::build(&cx, syntax);
    check::all(&cx, &topology);
    match cx.check() {
        Ok(()) => emit::topology(&plan::lower(&topology)),
        Err(errors) => fallback::topology(&topology, &errors),
    }
}

#[cfg(test)]
mod tests;
