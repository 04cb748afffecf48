//! A join of two streams: its parts, its two sides, and the loop over what they give.

use proc_macro2::TokenStream;

use super::super::model::Op;
use super::super::plan::{Joined, Role, Step, Store, TimeRole, facts};
use super::super::stream_join::{self, JoinKind};
use super::super::windows::Time;
use super::steps::{Flow, Method};
use super::task::type_descriptor;
use super::{ident_at, milliseconds, number};

/// The milliseconds of a time; none where it is not given.
pub(in super::super) fn ms(time: Option<&Time>) -> TokenStream {
    time.map_or_else(|| mixed!(0), milliseconds)
}

/// Expands to `__s::JoinWindows { before: 300000i64, after: 300000i64, grace: 0i64 }`.
pub(super) fn windows(op: &Op) -> TokenStream {
    let given = |time: Option<&stream_join::Given>| ms(time.map(|given| &given.time));
    let join = op.stream_join.as_ref();
    let before = given(join.and_then(|join| join.before()));
    let after = given(join.and_then(|join| join.after()));
    let grace = given(join.and_then(|join| join.grace()));
    mixed!(__s::JoinWindows { before: #before, after: #after, grace: #grace })
}

/// Expands to the descriptor of a store of a join of two streams.
pub(super) fn store(
    store: &Store<'_>,
    joined: &Joined,
    backend: &TokenStream,
    changelog: &TokenStream,
) -> TokenStream {
    let (name, node) = (&store.name, facts::plain(&store.field.name));
    let op = stream_join::of_node(store.field).map(|(_, op)| op);
    let (kind, key, value) = match joined {
        Joined::Window => {
            let windows = op.map(windows).unwrap_or_default();
            let kind = mixed! {
                Window {
                    retention_ms: #windows.retention(),
                    size_ms: #windows.size(),
                    duplicates: true,
                }
            };
            let types = store.types.as_ref();
            (
                kind,
                own(types.map(|(key, _)| mixed!(__s::Windowed<#key>))),
                type_descriptor(types.map(|(_, value)| value)),
            )
        }
        Joined::Unmatched(types) => (
            mixed!(KeyValue),
            own(types
                .as_ref()
                .map(|(key, ..)| mixed!(__s::UnmatchedKey<#key>))),
            own(types
                .as_ref()
                .map(|(_, left, right)| mixed!(__s::UnmatchedValues<#left, #right>))),
        ),
    };
    let Role::Inner(role) = store.role else {
        return TokenStream::new();
    };
    let given = op.and_then(|op| op.stream_join.as_ref()?.store(role));
    // As in Kafka Streams: what it makes itself is deleted by time alone, a store that the user chose is compacted too.
    let policy = match (joined, given.and_then(|given| given.name.as_ref())) {
        (Joined::Unmatched(_), _) => None,
        (Joined::Window, None) => Some("delete"),
        (Joined::Window, Some(_)) => Some("compact,delete"),
    };
    let policy = policy.map(|policy| mixed!(("cleanup.policy", #policy),));
    let of_field = store.field.store.iter().flat_map(|o| &o.changelog_config);
    let settings = of_field.chain(given.iter().flat_map(|given| &given.changelog_config));
    let settings = settings.map(|(key, value)| mixed!((#key, #value)));
    mixed! {
        __s::StoreDescriptor {
            name: #name,
            node: #node,
            kind: __s::StoreKind::#kind,
            backend: __s::StoreBackend::#backend,
            format: __s::StoreFormat::Default,
            cache: false,
            changelog: __s::Changelog::#changelog,
            changelog_config: &[#policy #(#settings),*],
            key: #key,
            value: #value,
        }
    }
}

/// The descriptor of a type of ours, where its parts are known.
fn own(ty: Option<TokenStream>) -> TokenStream {
    match ty {
        None => type_descriptor(None),
        Some(ty) => {
            let text = ty.to_string().replace(' ', "").replace("__s::", "");
            mixed!(__s::TypeDescriptor { name: #text, ..__s::Described::<#ty>::TYPE })
        }
    }
}

impl Method<'_> {
    /// Expands to, where `r` is the record of either side:
    /// ```text
    /// let join = __s::stream_join(const { &__s::JoinParts { … } }).without_null_keys();
    /// let mut pairs = match r {
    ///     __s::Sided::This(r) => join.left(__s::Keyed(__s::Valued(r).nullable()).nullable_key(), cx)?,
    ///     __s::Sided::Other(r) => join.right::<…>(__s::Keyed(__s::Valued(r).nullable()).nullable_key(), cx)?,
    /// };
    /// while let __s::Some(pair) = pairs.next(cx)? { let __s::Some(r) = pair.join(|l, r| …) else { continue; }; … }
    /// __s::Ok(())
    /// ```
    pub(super) fn stream_join(
        &self,
        op: &Op,
        position: usize,
        rest: &[Step],
        flow: Flow,
    ) -> TokenStream {
        let topology = self.emit.plan.topology;
        let Some((place, Some(other))) = &op.other else {
            return self.steps(rest, flow, false);
        };
        let other_node = topology.node(*other);
        let one_store = stream_join::is_over_one_store(topology, self.node, position);
        let kind = stream_join::kind(op);
        let cx = self.context();
        let parts = self.join_parts(op, kind, one_store);
        let function = ident_at(
            if one_store {
                "stream_self_join"
            } else {
                "stream_join"
            },
            op.name.span(),
        );
        let (left, right) = (
            ident_at("left", op.name.span()),
            ident_at("right", place.span()),
        );
        let right_is_nullable = other_node
            .key()
            .is_some_and(|key| facts::option_of(key).is_some());
        // An outer join yields null keys if either side has them, a left join if the left has.
        let (keys, of_left) = match kind {
            JoinKind::Inner => (mixed!(.without_null_keys()), TokenStream::new()),
            _ if one_store => (mixed!(.without_null_keys()), TokenStream::new()),
            JoinKind::Outer if right_is_nullable => (mixed!(.with_null_keys()), TokenStream::new()),
            JoinKind::Left | JoinKind::Outer => {
                (TokenStream::new(), mixed!(let r = join.yielding_key_of(r);))
            }
        };
        let nullable = mixed!(__s::Keyed(__s::Valued(r).nullable()).nullable_key());
        let pairs = if one_store {
            mixed!(join.#left(#nullable, #cx)?)
        } else {
            let (node, marker) = (self.emit.marker(self.node), self.emit.marker(other_node));
            mixed! {
                match r {
                    __s::Sided::This(r) => {
                        #of_left
                        join.#left(#nullable, #cx)?
                    }
                    __s::Sided::Other(r) => join.#right::<#node, #marker, _>(#nullable, #cx)?,
                }
            }
        };
        let f = ident_at(&op.base_name(), op.name.span());
        let joined = self.joined(op, "tried", &mixed!(pairs.leave(); continue;));
        let args = op.args.get(1..).unwrap_or_default();
        let looped = Flow {
            looped: true,
            ..flow
        };
        let inner = self.steps(rest, looped, kind == JoinKind::Inner);
        let done = flow.done();
        mixed! {
            let join = __s::#function(#parts)#keys;
            let mut pairs = #pairs;
            while let __s::Some(pair) = pairs.next(#cx)? {
                let __s::Some(r) = pair.#f(#(#args),*) else { continue; };
                #joined
                #inner
            }
            #done
        }
    }

    /// Expands to `const { &__s::JoinParts { … } }`.
    fn join_parts(&self, op: &Op, kind: JoinKind, one_store: bool) -> TokenStream {
        let plan = self.emit.plan;
        let store = |role: &str| {
            let inner = &plan.node(self.node.id).inner;
            let index = inner
                .iter()
                .find(|index| matches!(plan.stores[**index].role, Role::Inner(r) if r == role))?;
            plan.local_store(*index).map(|(_, local)| number(local))
        };
        let slot = |role| plan.time(self.node.id, role).map(number);
        let left = store("left").unwrap_or_else(|| number(0));
        let right = store("right").unwrap_or_else(|| left.clone());
        let optional = |value: Option<_>| match value {
            Some(value) => mixed!(__s::Some(#value)),
            None => mixed!(__s::None),
        };
        let (unmatched, least) = (optional(store("outer")), optional(slot(TimeRole::Least)));
        let next_search = optional(slot(TimeRole::NextSearch));
        let time = slot(TimeRole::Stream).unwrap_or_else(|| number(0));
        let windows = windows(op);
        let kind = match kind {
            _ if one_store => mixed!(Itself),
            JoinKind::Inner => mixed!(Inner),
            JoinKind::Left => mixed!(Left),
            JoinKind::Outer => mixed!(Outer),
        };
        mixed! {
            const {
                &__s::JoinParts {
                    kind: __s::JoinKind::#kind,
                    windows: #windows,
                    left: #left,
                    right: #right,
                    unmatched: #unmatched,
                    time: #time,
                    least: #least,
                    next_search: #next_search,
                }
            }
        }
    }
}
