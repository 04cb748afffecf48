//! The only place that knows where the facade crate is.

use syn::{Path, parse_quote};

/// `::kstreams`, or what `crate = …` says.
pub(crate) fn facade(krate: Option<&Path>) -> Path {
    krate.cloned().unwrap_or_else(|| parse_quote!(::kstreams))
}
