//! Times in chains and attributes: durations, the windows of `windowed_by`, and when results are sent. Literals become
//! milliseconds here; consts are compared by rustc, in items of their own.

use proc_macro2::Ident;
use quote::ToTokens;
use syn::{Expr, Lit, UnOp};

use super::model::{Chain, Node, Op};
use super::parse::{Opt, OptValue, list, nearest, ungrouped};
use crate::ctxt::Ctxt;

/// A duration, or a point in time.
#[derive(Debug, Clone)]
pub(crate) enum Time {
    /// Milliseconds, and as it was written.
    Literal(i64, Expr),
    /// Any other const expression: a `Duration`, or milliseconds as `i64`.
    Const(Expr),
}

impl Time {
    /// The milliseconds, where the macro knows them.
    pub(crate) fn ms(&self) -> Option<i64> {
        match self {
            Time::Literal(ms, _) => Some(*ms),
            Time::Const(_) => None,
        }
    }
}

impl ToTokens for Time {
    fn to_tokens(&self, tokens: &mut proc_macro2::TokenStream) {
        match self {
            Time::Literal(_, expr) | Time::Const(expr) => expr.to_tokens(tokens),
        }
    }
}

const UNITS: &[(&str, i64)] = &[
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

/// Reads a duration: `"10m"`, `"1h 30m"`, whole milliseconds, or a const.
pub(crate) fn time(cx: &Ctxt, expr: &Expr) -> Option<Time> {
    let (negative, inner) = match ungrouped(expr) {
        Expr::Unary(unary) if matches!(unary.op, UnOp::Neg(_)) => (true, ungrouped(&unary.expr)),
        inner => (false, inner),
    };
    let Expr::Lit(lit) = inner else {
        return Some(Time::Const(expr.clone()));
    };
    let ms = match &lit.lit {
        Lit::Str(text) if !negative => duration(&text.value()),
        Lit::Int(int) => int.base10_parse::<i64>().ok(),
        _ => None,
    };
    match ms {
        Some(ms) => Some(Time::Literal(if negative { -ms } else { ms }, expr.clone())),
        None => {
            cx.error(
                "KS0410",
                expr,
                "this is no duration: write whole numbers with units, `\"10m\"`, `\"1h 30m\"`, `\"500ms\"` (`ms`, `s`, `m`, \
                 `h`, `d`), whole milliseconds, or a const of type `Duration` or `i64`",
            );
            None
        }
    }
}

/// Reads the time of an operator's option: `grace("1m")`, `within("5m")`.
pub(crate) fn time_of_option(cx: &Ctxt, opt: &Opt) -> Option<Time> {
    match &opt.value {
        OptValue::Is(expr) => time(cx, expr),
        OptValue::List(list) => match list.as_slice() {
            [one] => time(cx, one),
            _ => not_a_time(cx, opt),
        },
        OptValue::Enum(_) | OptValue::Flag => not_a_time(cx, opt),
    }
}

fn not_a_time(cx: &Ctxt, opt: &Opt) -> Option<Time> {
    let name = &opt.name;
    cx.error(
        "KS0113",
        name,
        format!("`{name}` takes a time: it is written `{name}(\"1m\")`"),
    );
    None
}

/// The milliseconds of `1h 30m`.
fn duration(text: &str) -> Option<i64> {
    let text = text.trim();
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest.trim_start()),
        None => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut sum = 0_i64;
    let mut last_unit = i64::MAX;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: i64 = rest[..digits].parse().ok()?;
        rest = rest[digits..].trim_start();
        let end = rest
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(rest.len());
        let (_, unit) = UNITS.iter().find(|(name, _)| *name == &rest[..end])?;
        if *unit >= last_unit {
            return None;
        }
        last_unit = *unit;
        sum = sum.checked_add(number.checked_mul(*unit)?)?;
        rest = rest[end..].trim_start();
    }
    (last_unit < i64::MAX).then_some(if negative { -sum } else { sum })
}

/// What `windowed_by` takes.
#[derive(Debug, Clone)]
pub(crate) struct Windows {
    pub(crate) kind: WindowsKind,
    /// `tumbling`, as written.
    pub(crate) name: Ident,
    /// The size, the time difference of sliding windows, the gap of sessions; unlimited windows have none.
    pub(crate) size: Option<Time>,
    pub(crate) advance: Option<Time>,
    pub(crate) grace: Option<Time>,
    /// Where unlimited windows start.
    pub(crate) start: Option<Time>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WindowsKind {
    Tumbling,
    Hopping,
    Sliding,
    Session,
    Unlimited,
}

impl WindowsKind {
    /// Its function, and what follows in parentheses and behind.
    const ALL: &'static [(&'static str, WindowsKind)] = &[
        ("tumbling", WindowsKind::Tumbling),
        ("hopping", WindowsKind::Hopping),
        ("sliding", WindowsKind::Sliding),
        ("session", WindowsKind::Session),
        ("unlimited", WindowsKind::Unlimited),
    ];

    fn settings(self) -> &'static [&'static str] {
        match self {
            WindowsKind::Tumbling | WindowsKind::Sliding | WindowsKind::Session => &["grace"],
            WindowsKind::Hopping => &["advance_by", "grace"],
            WindowsKind::Unlimited => &["start_on"],
        }
    }

    fn example(self) -> &'static str {
        match self {
            WindowsKind::Tumbling => "`tumbling(\"10m\")`",
            WindowsKind::Hopping => "`hopping(\"10m\").advance_by(\"1m\")`",
            WindowsKind::Sliding => "`sliding(\"10m\")`",
            WindowsKind::Session => "`session(\"10m\")`",
            WindowsKind::Unlimited => "`unlimited()`",
        }
    }

    /// Whether both ends of a window belong to it.
    pub(crate) fn is_session(self) -> bool {
        self == WindowsKind::Session
    }
}

/// Reads the windows of `windowed_by`: `tumbling("10m").grace("1m")`.
pub(crate) fn windows(cx: &Ctxt, expr: &Expr) -> Option<Windows> {
    let errors = cx.count();
    let mut calls = Vec::new();
    let mut inner = ungrouped(expr);
    while let Expr::MethodCall(call) = inner {
        calls.push((&call.method, &call.args));
        inner = ungrouped(&call.receiver);
    }
    calls.reverse();
    let function = match inner {
        Expr::Call(call) => match ungrouped(&call.func) {
            Expr::Path(path) => path.path.get_ident().map(|name| (name, &call.args)),
            _ => None,
        },
        _ => None,
    };
    let names: Vec<_> = WindowsKind::ALL.iter().map(|(name, _)| *name).collect();
    let Some((name, args)) = function else {
        let kinds: Vec<_> = WindowsKind::ALL.iter().map(|(_, k)| k.example()).collect();
        cx.error(
            "KS0411",
            expr,
            format!("windows are written as one of {}", kinds.join(", ")),
        );
        return None;
    };
    let written = name.to_string();
    let Some((_, kind)) = WindowsKind::ALL.iter().find(|(n, _)| *n == written) else {
        let hint = match nearest(&written, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", list(&names)),
        };
        cx.error(
            "KS0411",
            name,
            format!("there are no windows `{written}`; {hint}"),
        );
        return None;
    };
    let mut out = Windows {
        kind: *kind,
        name: name.clone(),
        size: None,
        advance: None,
        grace: None,
        start: None,
    };
    let wanted = usize::from(*kind != WindowsKind::Unlimited);
    if args.len() != wanted {
        let what = match kind {
            WindowsKind::Unlimited => "no argument",
            WindowsKind::Session => "one argument, the gap",
            WindowsKind::Sliding => "one argument, the time difference",
            WindowsKind::Tumbling | WindowsKind::Hopping => "one argument, the size",
        };
        cx.error(
            "KS0411",
            name,
            format!("`{written}` takes {what}: {}", kind.example()),
        );
    } else if let Some(size) = args.first() {
        out.size = time(cx, size);
    }
    for (method, args) in calls {
        let setting = method.to_string();
        if !kind.settings().contains(&setting.as_str()) {
            cx.error(
                "KS0411",
                method,
                format!(
                    "`{written}` has no `{setting}`; it has {}",
                    list(kind.settings())
                ),
            );
            continue;
        }
        let (1, Some(value)) = (args.len(), args.first()) else {
            cx.error("KS0411", method, format!("`{setting}` takes one argument"));
            continue;
        };
        let slot = match setting.as_str() {
            "advance_by" => &mut out.advance,
            "grace" => &mut out.grace,
            _ => &mut out.start,
        };
        if slot.is_some() {
            cx.error("KS0411", method, format!("`{setting}` is given twice"));
            continue;
        }
        *slot = time(cx, value);
    }
    if *kind == WindowsKind::Hopping && out.advance.is_none() && cx.count() == errors {
        cx.error(
            "KS0411",
            name,
            "hopping windows have to say how far one begins after the other: `hopping(\"10m\").advance_by(\"1m\")`; where they \
             shall not overlap, write `tumbling(\"10m\")`",
        );
    }
    (cx.count() == errors).then_some(out)
}

/// When a windowed aggregation sends its results: the argument of `emit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Emits {
    OnWindowUpdate,
    OnWindowClose,
}

/// Reads the argument of `emit`.
pub(crate) fn emits(cx: &Ctxt, expr: &Expr) -> Option<Emits> {
    let word = match ungrouped(expr) {
        Expr::Path(path) => path.path.get_ident().map(ToString::to_string),
        _ => None,
    };
    match word.as_deref() {
        Some("on_window_update") => Some(Emits::OnWindowUpdate),
        Some("on_window_close") => Some(Emits::OnWindowClose),
        _ => {
            cx.error(
                "KS0418",
                expr,
                "results are sent `emit(on_window_update)`, which is so without `emit` too, or `emit(on_window_close)`",
            );
            None
        }
    }
}

/// The windows that an aggregation of this chain aggregates by.
pub(crate) fn of_chain(chain: &Chain) -> Option<&Windows> {
    chain.ops.iter().find_map(|op| op.windows.as_ref())
}

/// The windows that a node's own store is aggregated by.
pub(crate) fn of_node(node: &Node) -> Option<&Windows> {
    let chain = node.chain()?;
    chain.stateful()?;
    of_chain(chain)
}

impl Windows {
    fn times(&self) -> impl Iterator<Item = &Time> {
        let all = [&self.size, &self.advance, &self.grace, &self.start];
        all.into_iter().flatten()
    }

    /// Whether rustc has to look at a time of theirs.
    pub(crate) fn has_const(&self) -> bool {
        self.times().any(|time| time.ms().is_none())
    }

    /// How long windows have to be kept, where the macro knows it.
    pub(crate) fn needed_ms(&self) -> Option<i64> {
        if self.has_const() {
            return None;
        }
        let ms = |time: &Option<Time>| time.as_ref().and_then(Time::ms).unwrap_or(0);
        let (size, grace) = (ms(&self.size), ms(&self.grace));
        Some(match self.kind {
            WindowsKind::Unlimited => i64::MAX,
            WindowsKind::Sliding => size.saturating_mul(2).saturating_add(grace),
            _ => size.saturating_add(grace),
        })
    }
}

/// Whether the chain's windowed aggregation sends only windows that are closed.
pub(crate) fn emits_on_close(chain: &Chain) -> bool {
    let last = |op: &Op| op.emits;
    chain.ops.iter().rev().find_map(last) == Some(Emits::OnWindowClose)
}

/// Whether a node keeps windows that are sent when they close, and has no record cache before them: as in Kafka Streams, which
/// makes no cache for sliding windows and sessions then, and one for tumbling and hopping windows that holds back what is logged.
pub(crate) fn are_sent_uncached(node: &Node) -> bool {
    let cached = |of: &Windows| matches!(of.kind, WindowsKind::Tumbling | WindowsKind::Hopping);
    node.chain().is_some_and(emits_on_close) && !of_node(node).is_some_and(cached)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_whole_numbers_with_units() {
        for (text, ms) in [
            ("10m", 600_000),
            ("1h 30m", 5_400_000),
            ("1d2h3m4s5ms", 93_784_005),
            ("500ms", 500),
            ("0", 0),
            ("0s", 0),
            ("-1m", -60_000),
            (" 7 s ", 7_000),
        ] {
            assert_eq!(duration(text), Some(ms), "{text}");
        }
        for text in [
            "",
            "10",
            "m",
            "1.5h",
            "5m 1h",
            "1m 1m",
            "3w",
            "-",
            "99999999999999999999s",
            "106751991168d",
            "1µs",
        ] {
            assert_eq!(duration(text), None, "{text}");
        }
    }
}
