//! The error sink: collects every mistake of a topology, so that one compile shows them all.

use std::cell::RefCell;
use std::fmt::Display;

use quote::ToTokens;

/// Collects errors. Panics when it is dropped unchecked, because a forgotten error is a bug of ours.
#[derive(Debug)]
pub(crate) struct Ctxt {
    errors: RefCell<Option<Vec<syn::Error>>>,
}

impl Ctxt {
    pub(crate) fn new() -> Self {
        Ctxt {
            errors: RefCell::new(Some(Vec::new())),
        }
    }

    /// One mistake, at the narrowest tokens that show it. `code` is the page in `docs/errors.md`.
    pub(crate) fn error(&self, code: &str, at: impl ToTokens, message: impl Display) {
        self.push(syn::Error::new_spanned(at, coded(code, message)));
    }

    /// One mistake with both ends of an edge: the first place says what is wrong, the others what is declared there.
    pub(crate) fn error_with(
        &self,
        code: &str,
        at: impl ToTokens,
        message: impl Display,
        ends: impl IntoIterator<Item = (proc_macro2::TokenStream, String)>,
    ) {
        let mut error = syn::Error::new_spanned(at, coded(code, message));
        for (place, text) in ends {
            error.combine(syn::Error::new_spanned(place, coded(code, text)));
        }
        self.push(error);
    }

    /// How many mistakes there are so far: a stage that sees the number grow knows that what it has read is incomplete.
    pub(crate) fn count(&self) -> usize {
        self.errors.borrow().as_ref().map_or(0, Vec::len)
    }

    /// An error of the parser, which does not know our codes: a malformed attribute.
    pub(crate) fn syntax(&self, error: &syn::Error) {
        for one in error {
            self.push(syn::Error::new(one.span(), coded("KS0113", &one)));
        }
    }

    fn push(&self, error: syn::Error) {
        if let Some(errors) = self.errors.borrow_mut().as_mut() {
            errors.push(error);
        }
    }

    /// Ends the collection: nothing, or everything that was wrong.
    pub(crate) fn check(self) -> Result<(), Vec<syn::Error>> {
        match self.errors.take() {
            Some(errors) if !errors.is_empty() => Err(errors),
            _ => Ok(()),
        }
    }
}

/// Every message's first line ends with its code. What follows the first line is to be pasted.
fn coded(code: &str, message: impl Display) -> String {
    let message = message.to_string();
    match message.split_once('\n') {
        Some((first, rest)) => format!("{first} [{code}]\n{rest}"),
        None => format!("{message} [{code}]"),
    }
}

impl Drop for Ctxt {
    fn drop(&mut self) {
        if !std::thread::panicking() && self.errors.borrow().is_some() {
            panic!("the errors of a topology were collected but never checked");
        }
    }
}
