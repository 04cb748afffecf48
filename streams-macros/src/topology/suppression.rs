//! What `suppress` takes: `until_window_closes()` or `until_time_limit("10s")`, and how much may be held back meanwhile.

use proc_macro2::Ident;
use syn::Expr;

use super::parse::{list, nearest, ungrouped};
use super::windows::{self, Time};
use crate::ctxt::Ctxt;

/// The argument of `suppress`.
#[derive(Debug, Clone)]
pub(crate) struct Suppression {
    pub(crate) until: Until,
    /// `until_time_limit`, as written.
    pub(crate) name: Ident,
    pub(crate) max_records: Option<Expr>,
    pub(crate) max_bytes: Option<Expr>,
    /// What happens when more is held back, and where that is said.
    pub(crate) when_full: Option<(WhenFull, Ident)>,
}

/// How long updates are held back.
#[derive(Debug, Clone)]
pub(crate) enum Until {
    /// As long as their window is open.
    WindowCloses,
    /// For a time after the key's first update.
    TimeLimit(Time),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WhenFull {
    EmitEarly,
    ShutDown,
}

const KINDS: &[&str] = &["until_window_closes", "until_time_limit"];
const SETTINGS: &[&str] = &[
    "max_records",
    "max_bytes",
    "unbounded",
    "emit_early_when_full",
    "shut_down_when_full",
];

impl Suppression {
    /// Whether more than may be held back is an error. Results of windows are never sent early.
    pub(crate) fn is_strict(&self) -> bool {
        match &self.when_full {
            Some((when_full, _)) => *when_full == WhenFull::ShutDown,
            None => self.waits_for_windows(),
        }
    }

    pub(crate) fn waits_for_windows(&self) -> bool {
        matches!(self.until, Until::WindowCloses)
    }

    pub(crate) fn is_bounded(&self) -> bool {
        self.max_records.is_some() || self.max_bytes.is_some()
    }
}

/// Reads `until_time_limit("10s").max_records(1000).emit_early_when_full()`.
pub(crate) fn suppression(cx: &Ctxt, expr: &Expr) -> Option<Suppression> {
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
    let Some((name, args)) = function else {
        cx.error(
            "KS0434",
            expr,
            "a suppression is written `until_window_closes()` or `until_time_limit(\"10s\")`",
        );
        return None;
    };
    let written = name.to_string();
    if !KINDS.contains(&written.as_str()) {
        let hint = match nearest(&written, KINDS.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", list(KINDS)),
        };
        cx.error(
            "KS0434",
            name,
            format!("there is no suppression `{written}`; {hint}"),
        );
        return None;
    }
    let until = match (written.as_str(), args.len(), args.first()) {
        ("until_window_closes", 0, _) => Until::WindowCloses,
        ("until_time_limit", 1, Some(limit)) => Until::TimeLimit(windows::time(cx, limit)?),
        ("until_window_closes", ..) => {
            let message =
                "`until_window_closes()` takes no argument: the window says when it closes";
            cx.error("KS0434", name, message);
            return None;
        }
        _ => {
            let message =
                "`until_time_limit(\"10s\")` takes one argument, how long updates are held back";
            cx.error("KS0434", name, message);
            return None;
        }
    };
    let mut out = Suppression {
        until,
        name: name.clone(),
        max_records: None,
        max_bytes: None,
        when_full: None,
    };
    let mut unbounded = None;
    for (method, args) in calls {
        let setting = method.to_string();
        let takes = usize::from(setting.starts_with("max_"));
        if !SETTINGS.contains(&setting.as_str()) {
            let hint = match nearest(&setting, SETTINGS.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("it has {}", list(SETTINGS)),
            };
            cx.error(
                "KS0434",
                method,
                format!("`{written}` has no `{setting}`; {hint}"),
            );
        } else if args.len() != takes {
            let takes = ["no argument", "one argument, how many"][takes];
            cx.error("KS0434", method, format!("`{setting}` takes {takes}"));
        } else {
            let twice = match setting.as_str() {
                "max_records" => out.max_records.replace(args[0].clone()).is_some(),
                "max_bytes" => out.max_bytes.replace(args[0].clone()).is_some(),
                "unbounded" => unbounded.replace(method.clone()).is_some(),
                other => {
                    let when_full = if other == "emit_early_when_full" {
                        WhenFull::EmitEarly
                    } else {
                        WhenFull::ShutDown
                    };
                    out.when_full.replace((when_full, method.clone())).is_some()
                }
            };
            if twice {
                let message =
                    format!("`{setting}` says again, or the opposite of, what was said before it");
                cx.error("KS0434", method, message);
            }
        }
    }
    if let Some(unbounded) = unbounded.filter(|_| out.is_bounded() || out.when_full.is_some()) {
        let message = "`unbounded()` says that any number may be held back: leave out the bounds, and what happens at them";
        cx.error("KS0434", unbounded, message);
    }
    (cx.count() == errors).then_some(out)
}
