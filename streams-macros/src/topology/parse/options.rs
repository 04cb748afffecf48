//! `name = value` options of attributes and operators: their syntax, which of them exist, and their values.

use proc_macro2::Ident;
use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ItemEnum, LitBool, LitStr, Token, Visibility};

use super::super::kinds::{ATTRIBUTE_OPTIONS, Status};
use crate::ctxt::Ctxt;

/// `name = value`, `name(values…)`, `name(enum …)` or `name`.
#[derive(Debug, Clone)]
pub(crate) struct Opt {
    pub(crate) name: Ident,
    pub(crate) value: OptValue,
}

#[derive(Debug, Clone)]
pub(crate) enum OptValue {
    Is(Expr),
    List(Vec<Expr>),
    Enum(ItemEnum),
    Flag,
}

impl Parse for Opt {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let name = input.call(Ident::parse_any).map_err(|error| {
            syn::Error::new(
                error.span(),
                "options are given by name, as in `topic = \"…\"`",
            )
        })?;
        let value = if input.peek(Token![=]) {
            input.parse::<Token![=]>()?;
            OptValue::Is(input.parse()?)
        } else if input.peek(syn::token::Paren) {
            let content;
            syn::parenthesized!(content in input);
            if begins_enum(&content) {
                let item = content.parse()?;
                content.parse::<Option<Token![,]>>()?;
                OptValue::Enum(item)
            } else {
                let list = Punctuated::<Expr, Token![,]>::parse_terminated(&content)?;
                OptValue::List(list.into_iter().collect())
            }
        } else {
            OptValue::Flag
        };
        Ok(Opt { name, value })
    }
}

/// Whether an `enum` comes next, behind its attributes and visibility.
fn begins_enum(input: ParseStream<'_>) -> bool {
    let ahead = input.fork();
    Attribute::parse_outer(&ahead).is_ok()
        && ahead.parse::<Visibility>().is_ok()
        && ahead.peek(Token![enum])
}

/// The known, built options of an attribute; complains about the others.
pub(super) fn attribute_options(
    cx: &Ctxt,
    attribute: &'static str,
    syntax: &Attribute,
) -> Option<Vec<Opt>> {
    if matches!(syntax.meta, syn::Meta::Path(_)) {
        return Some(Vec::new());
    }
    options_of(cx, attribute, |parser| syntax.parse_args_with(parser))
}

type OptionParser = fn(ParseStream<'_>) -> syn::Result<Punctuated<Opt, Token![,]>>;

pub(super) fn options_of(
    cx: &Ctxt,
    attribute: &'static str,
    parse: impl FnOnce(OptionParser) -> syn::Result<Punctuated<Opt, Token![,]>>,
) -> Option<Vec<Opt>> {
    let all = match parse(Punctuated::parse_terminated) {
        Ok(all) => all,
        Err(error) => {
            cx.syntax(&error);
            return None;
        }
    };
    let mut kept: Vec<Opt> = Vec::new();
    for opt in all {
        let name = opt.name.to_string();
        let row = ATTRIBUTE_OPTIONS
            .iter()
            .find(|row| row.attribute == attribute && row.name == name);
        match row {
            None => unknown_option(cx, attribute, &opt.name),
            Some(row) if row.status == Status::Later => cx.error(
                "KS0190",
                &opt.name,
                format!("`{name}` of `#[{attribute}]` is an option that this version of kstreams does not have yet"),
            ),
            Some(_) if kept.iter().any(|other| other.name == opt.name) => {
                cx.error("KS0112", &opt.name, format!("`{name}` is given twice"));
            }
            Some(_) => kept.push(opt),
        }
    }
    Some(kept)
}

fn unknown_option(cx: &Ctxt, attribute: &str, name: &Ident) {
    let known: Vec<_> = ATTRIBUTE_OPTIONS
        .iter()
        .filter(|row| row.attribute == attribute)
        .map(|row| row.name)
        .collect();
    let hint = match nearest(&name.to_string(), known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("it takes {}", list(&known)),
    };
    cx.error(
        "KS0110",
        name,
        format!("`#[{attribute}]` has no option `{name}`; {hint}"),
    );
}

pub(super) fn malformed(cx: &Ctxt, opt: &Opt, expected: &str) {
    cx.error(
        "KS0113",
        &opt.name,
        format!("`{}` is written {expected}", opt.name),
    );
}

pub(super) fn text(cx: &Ctxt, opt: &Opt) -> Option<LitStr> {
    let found = match &opt.value {
        OptValue::Is(expr) => literal_text(expr),
        _ => None,
    };
    if found.is_none() {
        malformed(
            cx,
            opt,
            &format!("`{} = \"…\"`, with a string literal", opt.name),
        );
    }
    found
}

pub(super) fn texts(cx: &Ctxt, opt: &Opt) -> Option<Vec<LitStr>> {
    let found = match &opt.value {
        OptValue::List(list) => list.iter().map(literal_text).collect(),
        _ => None,
    };
    if found.is_none() {
        malformed(
            cx,
            opt,
            &format!("`{}(\"…\", \"…\")`, with string literals", opt.name),
        );
    }
    found
}

/// `changelog_config("retention.ms" = "…")`: names and values.
pub(super) fn settings(cx: &Ctxt, opt: &Opt) -> Option<Vec<(LitStr, LitStr)>> {
    let setting = |expr: &Expr| match ungrouped(expr) {
        Expr::Assign(assign) => Some((literal_text(&assign.left)?, literal_text(&assign.right)?)),
        _ => None,
    };
    let found: Option<Vec<_>> = match &opt.value {
        OptValue::List(list) if !list.is_empty() => list.iter().map(setting).collect(),
        _ => None,
    };
    if found.is_none() {
        malformed(
            cx,
            opt,
            &format!(
                "`{}(\"retention.ms\" = \"…\")`, with string literals",
                opt.name
            ),
        );
    }
    found
}

pub(super) fn boolean(cx: &Ctxt, opt: &Opt) -> Option<LitBool> {
    if let OptValue::Is(expr) = &opt.value
        && let Expr::Lit(lit) = ungrouped(expr)
        && let syn::Lit::Bool(value) = &lit.lit
    {
        return Some(value.clone());
    }
    malformed(cx, opt, &format!("`{} = true` or `{0} = false`", opt.name));
    None
}

pub(super) fn expression(cx: &Ctxt, opt: &Opt) -> Option<Expr> {
    match &opt.value {
        OptValue::Is(expr) => Some(expr.clone()),
        _ => {
            malformed(cx, opt, &format!("`{} = …`", opt.name));
            None
        }
    }
}

pub(super) fn word(value: &OptValue) -> Option<Ident> {
    match value {
        OptValue::Is(expr) => match ungrouped(expr) {
            Expr::Path(path) => path.path.get_ident().cloned(),
            _ => None,
        },
        _ => None,
    }
}

pub(super) fn is_word(expr: &Expr, word: &str) -> bool {
    matches!(expr, Expr::Path(path) if path.path.is_ident(word))
}

/// A string literal, also one that came through a `macro_rules!` argument.
pub(crate) fn literal_text(expr: &Expr) -> Option<LitStr> {
    match ungrouped(expr) {
        Expr::Lit(lit) => match &lit.lit {
            syn::Lit::Str(text) => Some(text.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// The expression inside invisible groups and parentheses.
pub(crate) fn ungrouped(expr: &Expr) -> &Expr {
    match expr {
        Expr::Group(group) => ungrouped(&group.expr),
        Expr::Paren(paren) => ungrouped(&paren.expr),
        other => other,
    }
}

/// The name nearest to a misspelt one, if one is near.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let limit = 1 + name.chars().count() / 3;
    known
        .into_iter()
        .map(|candidate| (strsim::osa_distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate.to_owned())
}

/// "`a`, `b` and `c`".
pub(crate) fn list(names: &[&str]) -> String {
    match names {
        [] => "nothing".to_owned(),
        [one] => format!("`{one}`"),
        [rest @ .., last] => {
            let rest: Vec<_> = rest.iter().map(|name| format!("`{name}`")).collect();
            format!("{} and `{last}`", rest.join(", "))
        }
    }
}
