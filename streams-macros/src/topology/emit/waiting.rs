//! Records that wait: a join of a stream with a table and a grace, and suppressions. What leaves is taken on in a loop.

use proc_macro2::TokenStream;
use quote::ToTokens as _;

use super::super::model::{NodeId, Op};
use super::super::plan::{Step, TimeRole, facts, old_values, suppression};
use super::super::suppression::Until;
use super::super::windows::{Windows, WindowsKind};
use super::steps::{Flow, Method};
use super::{Emit, milliseconds, number};

impl<'e> Method<'e> {
    /// A join with a grace: the record goes into the buffer, and what waited long enough is joined.
    pub(super) fn waiting_join(
        &self,
        op: &'e Op,
        position: usize,
        rest: &[Step],
        flow: Flow,
        fresh: bool,
    ) -> TokenStream {
        let inner = op.is("join") || op.is("join_with_key");
        let keys = if inner {
            self.not_null_keys(fresh, flow)
        } else {
            TokenStream::new()
        };
        let values = self.not_null_values(flow);
        let looped = Flow {
            looped: true,
            ..flow
        };
        let joined = self.join(op, looped, fresh || inner, &|fresh| {
            self.steps(rest, looped, fresh)
        });
        let cx = self.context();
        let (store, time) = self.waiting_at(position);
        let done = flow.done();
        mixed! {
            #keys
            #values
            let waiting = __s::Waiting::new(#store, #time);
            let mut arrived = waiting.arrive(r, #cx)?;
            while let __s::Some(r) = waiting.next(&mut arrived, #cx)? { #joined }
            #done
        }
    }

    /// A suppression: the update goes into the buffer, and what has waited long enough, or must leave to make room, goes on.
    pub(super) fn suppress(
        &self,
        op: &'e Op,
        position: usize,
        rest: &[Step],
        flow: Flow,
    ) -> TokenStream {
        let Some(wanted) = &op.suppression else {
            return self.steps(rest, flow, false);
        };
        let topology = self.emit.plan.topology;
        let windows = suppression::windows_before(topology, self.node, position);
        let looped = Flow {
            looped: true,
            ..flow
        };
        let tail = self.steps(rest, looped, false);
        let new_only = if old_values::is_asked_at(topology, self.node, position + 1) {
            TokenStream::new()
        } else {
            mixed!(let r = __s::ops::new_only(r);)
        };
        let (store, time) = self.waiting_at(position);
        let name = facts::plain(&self.node.name);
        let (wait, since) = match &wanted.until {
            Until::TimeLimit(limit) => (milliseconds(limit), mixed!(r.timestamp)),
            Until::WindowCloses => (
                closing(windows.as_deref().unwrap_or_default()),
                mixed!(__s::WindowedKey::bounds(&r.key).1),
            ),
        };
        let mut settings = TokenStream::new();
        if let Some(records) = &wanted.max_records {
            settings.extend(mixed!(.max_records(#records)));
        }
        if let Some(bytes) = &wanted.max_bytes {
            settings.extend(mixed!(.max_bytes(#bytes)));
        }
        if wanted.is_strict() {
            settings.extend(mixed!(.shut_down_when_full()));
        }
        if wanted.waits_for_windows() {
            settings.extend(mixed!(.final_results()));
        }
        let sized = windows.as_deref().and_then(<[_]>::first).map(|windows| {
            let size = size(windows);
            mixed!(let r = __s::Suppress::sized(r, #size);)
        });
        let cx = self.context();
        let done = flow.done();
        let arrive = mixed!(suppress.arrive(&r, #since, #cx)?);
        let leave = match self.is_row_before(position) {
            Some(is_row) => {
                mixed!(if #is_row { suppress.look_up(r, #cx)? } else { #arrive })
            }
            None => arrive,
        };
        mixed! {
            let suppress = __s::Suppress::new(#name, #store, #time, #wait)#settings;
            let mut leave = #leave;
            while let __s::Some(r) = suppress.next(&mut leave, #cx)? { #sized #new_only #tail }
            #done
        }
    }

    /// The local indexes of an operator's buffer and time.
    fn waiting_at(&self, position: usize) -> (proc_macro2::Literal, proc_macro2::Literal) {
        let plan = self.emit.plan;
        let store = plan.local_inner(self.node, position).unwrap_or_default();
        let time = plan.time(self.node.id, TimeRole::Waiting(position));
        (number(store), number(time.unwrap_or_default()))
    }
}

/// How long after its end a window may still change: its grace, and the gap that a session stays open.
fn closing(windows: &[&Windows]) -> TokenStream {
    let times = windows.iter().map(|windows| {
        let grace = windows
            .grace
            .as_ref()
            .map_or_else(|| mixed!(0), milliseconds);
        match &windows.size {
            Some(gap) if windows.kind.is_session() => {
                let gap = milliseconds(gap);
                mixed!(i64::saturating_add(#gap, #grace))
            }
            _ => grace,
        }
    });
    let mut times: Vec<TokenStream> = times.collect();
    match (times.pop(), times.is_empty()) {
        (Some(only), true) => only,
        (Some(last), false) => mixed!(__s::Suppress::longest(&[#(#times,)* #last])),
        (None, _) => mixed!(0),
    }
}

impl Emit<'_> {
    /// The size of the windows that a table is by, however it is derived.
    pub(super) fn window_size(&self, table: NodeId) -> Option<TokenStream> {
        let topology = self.plan.topology;
        let windows = suppression::windows_before(topology, topology.node(table), usize::MAX)?;
        windows.first().map(|windows| size(windows))
    }
}

/// The size of windows, which their bytes do not say.
fn size(windows: &Windows) -> TokenStream {
    match &windows.size {
        Some(size) if windows.kind != WindowsKind::Unlimited => milliseconds(size),
        _ => i64::MAX.to_token_stream(),
    }
}
