//! Stores that processors share: whose records have to lie in the same partitions.

use super::super::kinds::Shape;
use super::super::model::{Edge, NodeId, Reads, Topology};
use super::facts::{self, Origin};

/// A store with those who use it.
#[derive(Debug)]
pub(crate) struct Sharing<'t> {
    pub(crate) store: NodeId,
    /// Where the rows of a table come from; empty of a store field.
    pub(crate) own: Vec<Origin>,
    pub(crate) users: Vec<User<'t>>,
}

/// A processor that is given a store.
#[derive(Debug)]
pub(crate) struct User<'t> {
    /// The store's name where it is given.
    pub(crate) edge: &'t Edge,
    /// The operator that calls it.
    pub(crate) op: usize,
    /// Where its records were last partitioned.
    pub(crate) origins: Vec<Origin>,
}

/// The stores of tasks that processors are given. A global store is no matter: every task has all of it.
pub(crate) fn sharings(topology: &Topology) -> Vec<Sharing<'_>> {
    let stores = topology
        .nodes
        .iter()
        .filter(|node| matches!(node.shape, Shape::Store | Shape::Table) && !node.is_global());
    stores
        .filter_map(|node| {
            let users: Vec<User<'_>> = topology
                .readers(node.id)
                .filter(|edge| edge.reads == Reads::Store)
                .filter_map(|edge| {
                    let op = edge.op?;
                    Some(User {
                        edge,
                        op,
                        origins: facts::arriving(topology, edge.to, op),
                    })
                })
                .collect();
            let own = match node.shape {
                Shape::Table => facts::origins_before(topology, node.id, usize::MAX),
                _ => Vec::new(),
            };
            (!users.is_empty()).then_some(Sharing {
                store: node.id,
                own,
                users,
            })
        })
        .collect()
}

impl Sharing<'_> {
    /// Everything that has to be partitioned alike.
    pub(crate) fn origins(&self) -> Vec<Origin> {
        let users = self.users.iter().flat_map(|user| &user.origins);
        let mut all: Vec<Origin> = self.own.iter().chain(users).copied().collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}
