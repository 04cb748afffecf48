//! `#[processor]`: a struct becomes a processor of the Processor API. Syntax here, code in `processor/emit.rs`.

mod emit;

use proc_macro2::{Ident, TokenStream};
use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream, Parser as _};
use syn::punctuated::Punctuated;
use syn::{
    Attribute, Expr, Field, Fields, ItemStruct, LitBool, LitStr, Path, Token, Type, parenthesized,
};

use crate::ctxt::Ctxt;
use crate::topology::parse::{literal_text, nearest};
use crate::topology::windows::{Time, time};

/// Expands the attribute. What is wrong becomes errors beside the struct and what can be made of the rest.
pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    let cx = Ctxt::new();
    let (processor, struct_item) = match processor(&cx, args, item.clone()) {
        Ok(both) => both,
        Err(error) => {
            let _ = cx.check();
            return [item, error.into_compile_error()].into_iter().collect();
        }
    };
    let errors = cx.check().err().unwrap_or_default();
    let errors: TokenStream = errors.iter().map(syn::Error::to_compile_error).collect();
    let code = emit::processor(&processor, &struct_item);
    [errors, code].into_iter().collect()
}

/// The processor, without syntax that is the user's own.
#[derive(Debug)]
pub(crate) struct Processor {
    krate: Option<Path>,
    fixed_key: bool,
    outputs: Outputs,
    /// Those of the struct's attribute.
    punctuators: Vec<Punctuate>,
    fields: Vec<FieldSyntax>,
}

/// What it forwards.
#[derive(Debug)]
enum Outputs {
    None,
    /// `out = (K, V)`.
    One(Type, Type),
    /// `out(large = (K, V), …)`.
    Named(Vec<NamedOutput>),
}

#[derive(Debug)]
struct NamedOutput {
    name: Ident,
    key: Type,
    value: Type,
}

/// `punctuate(wall_clock = "30s", call = flush)`.
#[derive(Debug)]
struct Punctuate {
    is_wall_clock: bool,
    every: Time,
    start: Option<Expr>,
    call: Ident,
}

#[derive(Debug)]
struct FieldSyntax {
    name: Ident,
    ty: Type,
    role: Role,
}

#[derive(Debug)]
enum Role {
    /// A parameter of `new`.
    Parameter,
    /// `#[default]`: begins as `Default::default()`.
    Default,
    Store(Box<Store>),
    /// A `Punctuator`, and what `#[punctuate(…)]` on it schedules.
    Punctuator(Option<Box<Punctuate>>),
}

#[derive(Debug)]
struct Store {
    kind: Kind,
    is_shared: bool,
    key: Type,
    value: Type,
    name: Option<LitStr>,
    in_memory: bool,
    changelog: bool,
    changelog_config: Vec<(LitStr, LitStr)>,
    window_size: Option<Time>,
    retention: Option<Time>,
}

impl Store {
    /// As `#[store]` alone says.
    fn new(kind: Kind, key: Type, value: Type) -> Self {
        Store {
            kind,
            is_shared: kind.is_read_only(),
            key,
            value,
            name: None,
            in_memory: false,
            changelog: true,
            changelog_config: Vec::new(),
            window_size: None,
            retention: None,
        }
    }
}

/// The store types, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    KeyValue,
    TimestampedKeyValue,
    ReadOnly,
    Window,
    ReadOnlyWindow,
    Session,
    ReadOnlySession,
    Versioned,
    ReadOnlyVersioned,
}

impl Kind {
    fn of(name: &str) -> Option<Kind> {
        Some(match name {
            "KeyValueStore" => Kind::KeyValue,
            "TimestampedKeyValueStore" => Kind::TimestampedKeyValue,
            "ReadOnlyKeyValueStore" => Kind::ReadOnly,
            "WindowStore" => Kind::Window,
            "ReadOnlyWindowStore" => Kind::ReadOnlyWindow,
            "SessionStore" => Kind::Session,
            "ReadOnlySessionStore" => Kind::ReadOnlySession,
            "VersionedStore" => Kind::Versioned,
            "ReadOnlyVersionedStore" => Kind::ReadOnlyVersioned,
            _ => return None,
        })
    }

    fn is_read_only(self) -> bool {
        matches!(
            self,
            Kind::ReadOnly | Kind::ReadOnlyWindow | Kind::ReadOnlySession | Kind::ReadOnlyVersioned
        )
    }
}

fn processor(
    cx: &Ctxt,
    args: TokenStream,
    item: TokenStream,
) -> syn::Result<(Processor, ItemStruct)> {
    let mut item: ItemStruct = syn::parse2(item).map_err(|error| {
        syn::Error::new(
            error.span(),
            "`#[processor]` goes on a struct: its fields are parameters, stores and state [KS0100]",
        )
    })?;
    let mut out = Processor {
        krate: None,
        fixed_key: false,
        outputs: Outputs::None,
        punctuators: Vec::new(),
        fields: Vec::new(),
    };
    match Punctuated::<Arg, Token![,]>::parse_terminated.parse2(args) {
        Ok(args) => {
            for arg in args {
                argument(cx, &mut out, arg);
            }
        }
        Err(error) => cx.syntax(&error),
    }
    match &mut item.fields {
        Fields::Named(named) => {
            for field in &mut named.named {
                out.fields.extend(field_syntax(cx, field));
            }
        }
        Fields::Unit => {}
        Fields::Unnamed(_) => cx.error(
            "KS0100",
            &item.ident,
            "a processor is a struct with named fields: each is a parameter, a store, or state",
        ),
    }
    if matches!(out.outputs, Outputs::Named(_)) && !item.generics.params.is_empty() {
        cx.error(
            "KS0100",
            &item.generics,
            "a processor whose outputs have names cannot be generic",
        );
        out.outputs = Outputs::None;
    }
    Ok((out, item))
}

/// An argument of `#[processor(…)]`.
enum Arg {
    Out(Ident, Type, Type),
    Outs(Ident, Vec<NamedOutput>),
    FixedKey,
    Punctuate(Ident, Vec<(Ident, Expr)>),
    Crate(Path),
    Unknown(Ident),
}

impl Parse for Arg {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let name = input.call(Ident::parse_any)?;
        Ok(match name.to_string().as_str() {
            "out" if input.peek(Token![=]) => {
                input.parse::<Token![=]>()?;
                let (key, value) = pair(input)?;
                Arg::Out(name, key, value)
            }
            "out" => {
                let content;
                parenthesized!(content in input);
                let list = Punctuated::<NamedOutput, Token![,]>::parse_terminated(&content)?;
                Arg::Outs(name, list.into_iter().collect())
            }
            "fixed_key" => Arg::FixedKey,
            "punctuate" => {
                let content;
                parenthesized!(content in input);
                Arg::Punctuate(name, settings(&content)?)
            }
            "crate" => {
                input.parse::<Token![=]>()?;
                Arg::Crate(input.call(Path::parse_mod_style)?)
            }
            _ => {
                // The rest of the argument is of no use; it is read so that one mistake gives one error.
                if input.peek(Token![=]) {
                    input.parse::<Token![=]>()?;
                    input.parse::<Expr>()?;
                } else if input.peek(syn::token::Paren) {
                    let content;
                    parenthesized!(content in input);
                    content.parse::<TokenStream>()?;
                }
                Arg::Unknown(name)
            }
        })
    }
}

impl Parse for NamedOutput {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let name = input.parse()?;
        input.parse::<Token![=]>()?;
        let (key, value) = pair(input)?;
        Ok(NamedOutput { name, key, value })
    }
}

/// `(K, V)`.
fn pair(input: ParseStream<'_>) -> syn::Result<(Type, Type)> {
    let ty: Type = input.parse()?;
    if let Type::Tuple(tuple) = &ty
        && tuple.elems.len() == 2
    {
        let mut types = tuple.elems.iter().cloned();
        if let (Some(key), Some(value)) = (types.next(), types.next()) {
            return Ok((key, value));
        }
    }
    Err(syn::Error::new_spanned(
        ty,
        "an output is the types of its records' keys and values: `(K, V)`",
    ))
}

/// `name = expression, …`.
fn settings(input: ParseStream<'_>) -> syn::Result<Vec<(Ident, Expr)>> {
    let one = |input: ParseStream<'_>| {
        let name = input.call(Ident::parse_any)?;
        input.parse::<Token![=]>()?;
        Ok((name, input.parse()?))
    };
    let list = Punctuated::<(Ident, Expr), Token![,]>::parse_terminated_with(input, one)?;
    Ok(list.into_iter().collect())
}

fn argument(cx: &Ctxt, out: &mut Processor, arg: Arg) {
    match arg {
        Arg::Out(name, ..) | Arg::Outs(name, _) if !matches!(out.outputs, Outputs::None) => {
            cx.error("KS0112", name, "`out` is given twice");
        }
        Arg::Out(_, key, value) => out.outputs = Outputs::One(key, value),
        Arg::Outs(_, list) => {
            for (at, output) in list.iter().enumerate() {
                if list.iter().take(at).any(|other| other.name == output.name) {
                    let message = format!("there are two outputs `{}`", output.name);
                    cx.error("KS0112", &output.name, message);
                }
            }
            out.outputs = Outputs::Named(list);
        }
        Arg::FixedKey => out.fixed_key = true,
        Arg::Punctuate(name, settings) => out.punctuators.extend(punctuate(cx, &name, settings)),
        Arg::Crate(path) => out.krate = Some(path),
        Arg::Unknown(name) => {
            let known = ["out", "fixed_key", "punctuate", "crate"];
            unknown(cx, "processor", &name, &known);
        }
    }
}

fn unknown(cx: &Ctxt, attribute: &str, name: &Ident, known: &[&str]) {
    let hint = match nearest(&name.to_string(), known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("it takes {}", crate::topology::parse::list(known)),
    };
    let message = format!("`#[{attribute}]` has no option `{name}`; {hint}");
    cx.error("KS0110", name, message);
}

fn punctuate(cx: &Ctxt, place: &Ident, settings: Vec<(Ident, Expr)>) -> Option<Punctuate> {
    let (mut when, mut start, mut call) = (None, None, None);
    let errors = cx.count();
    for (name, value) in settings {
        match name.to_string().as_str() {
            kind @ ("wall_clock" | "stream_time") => {
                if when.is_some() {
                    cx.error("KS0112", &name, "a punctuator follows one time");
                }
                let every = time(cx, &value);
                if every.as_ref().and_then(Time::ms).is_some_and(|ms| ms < 1) {
                    cx.error(
                        "KS0258",
                        &value,
                        "a punctuator's interval is at least a millisecond",
                    );
                }
                when = every.map(|every| (kind == "wall_clock", every));
            }
            "start" => start = Some(value),
            "call" => match &value {
                Expr::Path(path) if path.path.get_ident().is_some() => {
                    call = path.path.get_ident().cloned();
                }
                _ => cx.error(
                    "KS0113",
                    &value,
                    "`call` is the name of a function of the processor: `call = flush`",
                ),
            },
            _ => unknown(
                cx,
                "punctuate",
                &name,
                &["wall_clock", "stream_time", "start", "call"],
            ),
        }
    }
    if let (Some((is_wall_clock, every)), Some(call)) = (when, call) {
        return Some(Punctuate {
            is_wall_clock,
            every,
            start,
            call,
        });
    }
    if cx.count() == errors {
        cx.error(
            "KS0111",
            place,
            "a punctuator needs its time and its function: `punctuate(wall_clock = \"30s\", call = flush)` or \
             `punctuate(stream_time = \"30s\", call = flush)`",
        );
    }
    None
}

/// Reads a field and takes our attributes off it.
fn field_syntax(cx: &Ctxt, field: &mut Field) -> Option<FieldSyntax> {
    let name = field.ident.clone()?;
    let (mut store, mut scheduled, mut default) = (None, None, None);
    for attribute in std::mem::take(&mut field.attrs) {
        if attribute.path().is_ident("store") {
            store = Some(attribute);
        } else if attribute.path().is_ident("punctuate") {
            scheduled = Some(attribute);
        } else if attribute.path().is_ident("default") {
            default = Some(attribute);
        } else {
            field.attrs.push(attribute);
        }
    }
    let (type_name, types) = type_name(&field.ty);
    let kind = Kind::of(&type_name);
    let role = match (kind, store, scheduled, default) {
        (Some(kind), Some(attribute), ..) => match types {
            Some((key, value)) => store_role(cx, &attribute, kind, key, value),
            None => {
                let message = format!("`{type_name}` takes two types: `{type_name}<String, i64>`");
                cx.error("KS0102", &field.ty, message);
                Role::Default
            }
        },
        (Some(kind), None, ..) => {
            let message = format!(
                "`{name}` is a store that nothing binds: put `#[store]` on it, or `#[store(shared)]` where a topology gives it"
            );
            cx.error("KS0257", &field.ty, message);
            match types {
                Some((key, value)) => Role::Store(Box::new(Store::new(kind, key, value))),
                None => Role::Default,
            }
        }
        (None, Some(attribute), ..) => {
            cx.error(
                "KS0102",
                attribute.path(),
                format!(
                    "`{name}` cannot be a store: stores are `KeyValueStore`, `TimestampedKeyValueStore`, \
                     `WindowStore`, `SessionStore` and `VersionedStore` fields, and those of them with `ReadOnly` before the name"
                ),
            );
            Role::Default
        }
        (None, None, scheduled, _) if type_name == "Punctuator" => {
            let place = Ident::new("punctuate", proc_macro2::Span::call_site());
            let scheduled =
                scheduled.and_then(|attribute| match attribute.parse_args_with(settings) {
                    Ok(list) => punctuate(cx, attribute.path().get_ident().unwrap_or(&place), list),
                    Err(error) => {
                        cx.syntax(&error);
                        None
                    }
                });
            Role::Punctuator(scheduled.map(Box::new))
        }
        (None, None, Some(attribute), _) => {
            let message = format!(
                "`{name}` cannot be scheduled: `#[punctuate(…)]` goes on a `Punctuator` field"
            );
            cx.error("KS0102", attribute.path(), message);
            Role::Default
        }
        (None, None, None, Some(_)) => Role::Default,
        (None, None, None, None) => Role::Parameter,
    };
    Some(FieldSyntax {
        name,
        ty: field.ty.clone(),
        role,
    })
}

/// The last word of a type, and its two arguments.
fn type_name(ty: &Type) -> (String, Option<(Type, Type)>) {
    match ty {
        Type::Group(group) => type_name(&group.elem),
        Type::Paren(paren) => type_name(&paren.elem),
        Type::Path(path) => match path.path.segments.last() {
            Some(segment) => (
                segment.ident.to_string(),
                crate::topology::parse::two_types(&segment.arguments),
            ),
            None => (String::new(), None),
        },
        _ => (String::new(), None),
    }
}

fn store_role(cx: &Ctxt, attribute: &Attribute, kind: Kind, key: Type, value: Type) -> Role {
    let mut store = Store::new(kind, key, value);
    if !matches!(attribute.meta, syn::Meta::Path(_)) {
        match attribute.parse_args_with(Punctuated::<StoreArg, Token![,]>::parse_terminated) {
            Ok(args) => {
                for arg in args {
                    store_argument(cx, &mut store, arg);
                }
            }
            Err(error) => cx.syntax(&error),
        }
    }
    times_fit(cx, &store, attribute);
    if store.is_shared
        && (store.name.is_some()
            || store.in_memory
            || !store.changelog
            || !store.changelog_config.is_empty())
    {
        cx.error(
            "KS0405",
            &attribute.meta,
            "a shared store is set up where it is declared: on the topology's field",
        );
    }
    Role::Store(Box::new(store))
}

/// Windows have a size and, as sessions and versions, a time for which they are kept; other stores have neither.
fn times_fit(cx: &Ctxt, store: &Store, attribute: &Attribute) {
    let keeps_times = !matches!(
        store.kind,
        Kind::KeyValue | Kind::TimestampedKeyValue | Kind::ReadOnly
    );
    let missing = match store.kind {
        Kind::Window if store.window_size.is_none() || store.retention.is_none() => {
            "a `WindowStore` needs its windows' size and for how long they are kept: `#[store(window_size = \"10m\", retention = \"1h\")]`"
        }
        Kind::Session | Kind::Versioned if store.retention.is_none() => {
            "this store needs the time for which it keeps what is past: `#[store(retention = \"1h\")]`"
        }
        _ => "",
    };
    if !missing.is_empty() && !store.is_shared {
        cx.error("KS0111", attribute, missing);
    }
    let misplaced = match (&store.window_size, &store.retention) {
        (Some(time), _) if !matches!(store.kind, Kind::Window | Kind::ReadOnlyWindow) => {
            Some(("window_size", time))
        }
        (_, Some(time)) if !keeps_times => Some(("retention", time)),
        _ => None,
    };
    if let Some((option, time)) = misplaced {
        cx.error(
            "KS0114",
            time,
            format!("`{option}` says nothing about this store: remove it"),
        );
    }
}

/// An argument of `#[store(…)]` on a processor's field.
enum StoreArg {
    Flag(Ident),
    Is(Ident, Expr),
    List(Ident, Vec<Expr>),
}

impl Parse for StoreArg {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let name = input.call(Ident::parse_any)?;
        Ok(if input.peek(Token![=]) {
            input.parse::<Token![=]>()?;
            StoreArg::Is(name, input.parse()?)
        } else if input.peek(syn::token::Paren) {
            let content;
            parenthesized!(content in input);
            let list = Punctuated::<Expr, Token![,]>::parse_terminated(&content)?;
            StoreArg::List(name, list.into_iter().collect())
        } else {
            StoreArg::Flag(name)
        })
    }
}

fn store_argument(cx: &Ctxt, store: &mut Store, arg: StoreArg) {
    let malformed = |name: &Ident, expected: &str| {
        cx.error("KS0113", name, format!("`{name}` is written {expected}"));
    };
    match arg {
        StoreArg::Flag(name) if name == "shared" => store.is_shared = true,
        StoreArg::Is(name, value) if name == "name" => match literal_text(&value) {
            Some(text) => store.name = Some(text),
            None => malformed(&name, "`name = \"…\"`, with a string literal"),
        },
        StoreArg::Is(name, value) if name == "kind" => match &value {
            Expr::Path(path) if path.path.is_ident("memory") => store.in_memory = true,
            Expr::Path(path) if path.path.is_ident("lmdb") => store.in_memory = false,
            _ => malformed(&name, "`kind = lmdb` or `kind = memory`"),
        },
        StoreArg::Is(name, value) if name == "retention" => store.retention = time(cx, &value),
        StoreArg::Is(name, value) if name == "window_size" => {
            store.window_size = time(cx, &value);
        }
        StoreArg::Is(name, value) if name == "changelog" => {
            match syn::parse2::<LitBool>(quote::ToTokens::to_token_stream(&value)) {
                Ok(logged) => store.changelog = logged.value,
                Err(_) => malformed(&name, "`changelog = true` or `changelog = false`"),
            }
        }
        StoreArg::List(name, list) if name == "changelog_config" => {
            let setting = |expr: &Expr| match expr {
                Expr::Assign(assign) => {
                    Some((literal_text(&assign.left)?, literal_text(&assign.right)?))
                }
                _ => None,
            };
            match list.iter().map(setting).collect() {
                Some(all) => store.changelog_config = all,
                None => malformed(
                    &name,
                    "`changelog_config(\"retention.ms\" = \"…\")`, with string literals",
                ),
            }
        }
        StoreArg::Flag(name) | StoreArg::Is(name, _) | StoreArg::List(name, _) => unknown(
            cx,
            "store",
            &name,
            &[
                "kind",
                "name",
                "changelog",
                "changelog_config",
                "window_size",
                "retention",
                "shared",
            ],
        ),
    }
}
