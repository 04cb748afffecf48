//! Windowed tables: their windows and handles as code.

use proc_macro2::{Literal, TokenStream};
use quote::quote_spanned;

use super::super::model::Node;
use super::super::plan::{Role, Store, TimeRole, old_values};
use super::super::windows::{self, Time, Windows, WindowsKind};
use super::{Emit, at, number};

/// The windows of a store, if it is a windowed aggregation's.
pub(super) fn of_store<'p>(store: &Store<'p>) -> Option<&'p Windows> {
    match store.role {
        Role::Primary => windows::of_node(store.field),
        Role::Inner(_) => None,
    }
}

/// `__s::TimeWindows`.
pub(super) fn type_of(windows: &Windows) -> TokenStream {
    match windows.kind {
        WindowsKind::Tumbling | WindowsKind::Hopping => mixed!(__s::TimeWindows),
        WindowsKind::Sliding => mixed!(__s::SlidingWindows),
        WindowsKind::Session => mixed!(__s::SessionWindows),
        WindowsKind::Unlimited => mixed!(__s::UnlimitedWindows),
    }
}

/// `600_000`, or what a const is in milliseconds.
pub(super) fn ms(time: &Time) -> TokenStream {
    match time {
        Time::Literal(ms, _) => {
            let ms = Literal::i64_unsuffixed(*ms);
            mixed!(#ms)
        }
        Time::Const(expr) => mixed!(__s::ms(#expr).get()),
    }
}

fn or_zero(time: Option<&Time>) -> TokenStream {
    time.map_or_else(|| mixed!(0), ms)
}

/// `__s::TimeWindows { size: 600_000, advance: 600_000, grace: 0 }`.
pub(super) fn value_of(windows: &Windows) -> TokenStream {
    let ty = type_of(windows);
    let (size, grace) = (
        or_zero(windows.size.as_ref()),
        or_zero(windows.grace.as_ref()),
    );
    match windows.kind {
        WindowsKind::Tumbling => mixed!(#ty { size: #size, advance: #size, grace: #grace }),
        WindowsKind::Hopping => {
            let advance = or_zero(windows.advance.as_ref());
            mixed!(#ty { size: #size, advance: #advance, grace: #grace })
        }
        WindowsKind::Sliding => mixed!(#ty { difference: #size, grace: #grace }),
        WindowsKind::Session => mixed!(#ty { gap: #size, grace: #grace }),
        WindowsKind::Unlimited => {
            let start = or_zero(windows.start.as_ref());
            mixed!(#ty { start: #start })
        }
    }
}

/// How long a windowed table's store keeps its entries.
pub(super) fn retention(node: &Node, windows: &Windows) -> TokenStream {
    let given = node
        .store
        .as_ref()
        .and_then(|store| store.retention.as_ref());
    match (given, windows.needed_ms()) {
        (Some(retention), _) => ms(retention),
        (None, Some(needed)) => {
            let needed = Literal::i64_unsuffixed(needed);
            mixed!(#needed)
        }
        (None, None) => {
            let windows = value_of(windows);
            mixed!(#windows.retention())
        }
    }
}

/// `TimestampedWindow { … }`.
pub(super) fn kind(emit: &Emit<'_>, node: &Node, windows: &Windows) -> TokenStream {
    let retention = retention(node, windows);
    let emitted = match emit.plan.time(node.id, TimeRole::Emitted) {
        Some(slot) => {
            let slot = number(slot);
            mixed!(__s::Some(#slot))
        }
        None => mixed!(__s::None),
    };
    if windows.kind.is_session() {
        return mixed!(Session { retention_ms: #retention, emitted: #emitted });
    }
    let size = match windows.kind {
        WindowsKind::Unlimited => mixed!(i64::MAX),
        _ => or_zero(windows.size.as_ref()),
    };
    let by_time = emit.plan.time(node.id, TimeRole::Emitted).is_some()
        && windows.kind != WindowsKind::Sliding;
    mixed! {
        TimestampedWindow {
            retention_ms: #retention,
            size_ms: #size,
            emitted: #emitted,
            emits_by_time: #by_time,
        }
    }
}

/// `__s::WindowedTable::new(0, 0, __s::TimeWindows { … })`, with what it has to know.
pub(super) fn handle(
    emit: &Emit<'_>,
    node: &Node,
    windows: &Windows,
    local: usize,
    types: &TokenStream,
) -> TokenStream {
    let plan = emit.plan;
    let slot = number(plan.time(node.id, TimeRole::Stream).unwrap_or_default());
    let (local, value) = (number(local), value_of(windows));
    let slots = [TimeRole::Emitted, TimeRole::NextEmission].map(|role| plan.time(node.id, role));
    let emitting = match slots {
        [Some(emitted), Some(next)] => {
            let (emitted, next) = (number(emitted), number(next));
            mixed!(.emitting_on_close(#emitted, #next))
        }
        _ => TokenStream::new(),
    };
    let old = if old_values::is_asked(plan.topology, node) {
        mixed!(.sending_old_values())
    } else {
        TokenStream::new()
    };
    mixed!(__s::WindowedTable #types::new(#local, #slot, #value) #emitting #old)
}

/// The key's type of a windowed table whose store rustc infers, as far as it is known.
pub(super) fn inferred_types(windows: &Windows, value: &TokenStream) -> TokenStream {
    let window = if windows.kind.is_session() {
        mixed!(__s::SessionWindow)
    } else {
        mixed!(__s::TimeWindow)
    };
    mixed!(::<__s::Windowed<_, #window>, #value, _>)
}

/// What rustc has to check of windows: times that are consts, and sizes in types.
pub(in super::super) fn obligations(emit: &Emit<'_>) -> TokenStream {
    let mut out = TokenStream::new();
    for store in &emit.plan.stores {
        let Some(windows) = of_store(store) else {
            continue;
        };
        let (value, ty) = (value_of(windows), type_of(windows));
        let place = at(windows.name.span());
        if windows.has_const() {
            out.extend(quote_spanned!(place=> const _: #ty = #value.checked();));
        }
        let retention = store.field.store.as_ref();
        let retention = retention.and_then(|store| store.retention.as_ref());
        if let Some(retention) = retention
            && (retention.ms().is_none() || windows.needed_ms().is_none())
        {
            let kept = ms(retention);
            out.extend(quote_spanned! {place=>
                const _: () = __s::retention_fits(#kept, #value.retention());
            });
        }
        if let Some((key, _)) = &store.types
            && matches!(
                windows.kind,
                WindowsKind::Tumbling | WindowsKind::Hopping | WindowsKind::Sliding
            )
        {
            let size = or_zero(windows.size.as_ref());
            let place = at(syn::spanned::Spanned::span(&store.field.ty));
            out.extend(quote_spanned! {place=>
                const _: () = __s::window_size_fits::<#key>(#size);
            });
        }
    }
    out
}
