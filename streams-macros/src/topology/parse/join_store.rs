//! `left_store(name = "…", kind = memory, changelog = false)`: where a join of streams keeps one of its sides.

use proc_macro2::Ident;
use syn::{Expr, LitBool, LitStr};

use super::options::{Opt, OptValue, boolean, list, malformed, nearest, settings, text, ungrouped};
use super::{StoreKind, store_kind};
use crate::ctxt::Ctxt;

/// What is said of a store of a join.
#[derive(Debug)]
pub(crate) struct JoinStore {
    /// `left_store`, `right_store`, `outer_store`.
    pub(crate) word: Ident,
    pub(crate) name: Option<LitStr>,
    pub(crate) kind: Option<StoreKind>,
    pub(crate) changelog: Option<LitBool>,
    pub(crate) changelog_config: Vec<(LitStr, LitStr)>,
}

const OPTIONS: &[&str] = &["name", "kind", "changelog", "changelog_config"];

/// Reads one of these options.
pub(crate) fn join_store(cx: &Ctxt, opt: &Opt) -> Option<JoinStore> {
    let OptValue::List(all) = &opt.value else {
        malformed(
            cx,
            opt,
            &format!("`{}(name = \"…\", kind = memory)`", opt.name),
        );
        return None;
    };
    let mut out = JoinStore {
        word: opt.name.clone(),
        name: None,
        kind: None,
        changelog: None,
        changelog_config: Vec::new(),
    };
    for expr in all {
        let Some(inner) = option(expr) else {
            cx.error(
                "KS0113",
                expr,
                format!(
                    "`{}` takes options by name: `{0}(name = \"…\", kind = memory)`",
                    opt.name
                ),
            );
            continue;
        };
        let name = inner.name.to_string();
        match name.as_str() {
            "name" => out.name = text(cx, &inner),
            "kind" => out.kind = store_kind(cx, &inner).map(|(kind, _)| kind),
            "changelog" => out.changelog = boolean(cx, &inner),
            "changelog_config" => {
                out.changelog_config = settings(cx, &inner).unwrap_or_default();
            }
            _ => {
                let hint = match nearest(&name, OPTIONS.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("it takes {}", list(OPTIONS)),
                };
                cx.error(
                    "KS0110",
                    &inner.name,
                    format!("`{}` has no option `{name}`; {hint}", opt.name),
                );
            }
        }
    }
    if let (Some(changelog), Some((key, _))) = (&out.changelog, out.changelog_config.first())
        && !changelog.value
    {
        let message = "`changelog = false` leaves no topic that these settings could be for: remove one of them";
        cx.error("KS0113", key, message);
    }
    Some(out)
}

fn option(expr: &Expr) -> Option<Opt> {
    match ungrouped(expr) {
        Expr::Assign(assign) => {
            let Expr::Path(path) = &*assign.left else {
                return None;
            };
            Some(Opt {
                name: path.path.get_ident()?.clone(),
                value: OptValue::Is((*assign.right).clone()),
            })
        }
        Expr::Call(call) => {
            let Expr::Path(path) = &*call.func else {
                return None;
            };
            Some(Opt {
                name: path.path.get_ident()?.clone(),
                value: OptValue::List(call.args.iter().cloned().collect()),
            })
        }
        _ => None,
    }
}
