//! The stores of joins of two streams: a window store for each side, and one for records without partner.

use syn::Type;

use super::super::model::{Node, Op};
use super::super::parse::StoreKind;
use super::super::stream_join;
use super::{Changelog, Kind, Plan, Role, Store, TopicRole, add_topic, facts};

/// What a store of a join of two streams holds.
#[derive(Debug, Clone)]
pub(crate) enum Joined {
    /// The records of a side, as long as their windows last.
    Window,
    /// Records without partner: the types of the left and right values.
    Unmatched(Option<(Type, Type, Type)>),
}

/// Adds an inner store, if it is one of a join of two streams; tells whether it is.
pub(super) fn store<'a>(plan: &mut Plan<'a>, node: &'a Node, inner: &facts::Inner) -> bool {
    let Some((position, op)) = stream_join::of_node(node) else {
        return false;
    };
    if position != inner.op {
        return false;
    }
    let [key, left, right] = facts::joined_types(plan.topology, node);
    let given = op
        .stream_join
        .as_ref()
        .and_then(|join| join.store(inner.role));
    let logged = given
        .and_then(|store| store.changelog.as_ref())
        .map_or_else(|| super::logs(node), |changelog| changelog.value);
    let (joined, types) = match inner.role {
        "outer" => {
            let types = match (key, left, right) {
                (Some(key), Some(left), Some(right)) => Some((key, left, right)),
                _ => None,
            };
            (Joined::Unmatched(types), None)
        }
        side => {
            let value = if side == "left" { left } else { right };
            (Joined::Window, key.zip(value))
        }
    };
    let changelog = if logged {
        let name = format!("{}-changelog", inner.name);
        let types = types.clone();
        Changelog::Internal(add_topic(plan, name, TopicRole::Changelog, None, types))
    } else {
        Changelog::None
    };
    plan.stores.push(Store {
        name: inner.name.clone(),
        node: node.id,
        role: Role::Inner(inner.role),
        backend: backend(node, op, inner.role),
        kind: Kind::Joined(joined),
        cache: false,
        changelog,
        types,
        queryable: false,
        field: node,
    });
    true
}

/// As Kafka Streams does, the store of records without partner is where the left side's is, unless something else is said.
fn backend(node: &Node, op: &Op, role: &str) -> StoreKind {
    let given = |role| op.stream_join.as_ref()?.store(role)?.kind;
    given(role)
        .or_else(|| given("left").filter(|_| role == "outer"))
        .unwrap_or_else(|| super::backend(node))
}
