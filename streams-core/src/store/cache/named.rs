//! The cached entries of one store (Kafka Streams' `NamedCache`).

use std::collections::BTreeMap;
use std::hint::black_box;
use std::ops::Bound;

use hashbrown::HashTable;

use super::list::List;
use super::{CacheContext, CacheEntry, ENTRY_OVERHEAD, VisitCached};
use crate::store::arena::touch;
use crate::store::buffer::{AHEAD, FAR, hash, is_empty};
use crate::store::short_bytes::ShortBytes;

#[derive(Debug)]
pub(super) struct NamedCache {
    nodes: Vec<Node>,
    /// Positions in `nodes` without an entry.
    free: Vec<u32>,
    /// Positions in `nodes` by key.
    index: HashTable<u32>,
    /// Positions in key order; built by the first range, and kept from then on.
    ordered: Option<BTreeMap<ShortBytes, u32>>,
    /// All entries, the most recently used first.
    used: List,
    /// Dirty entries, the least recently updated first.
    dirty: List,
    /// Flushed deletions. They have to be seen until the store has them, so they go with the next change.
    deleted: Vec<u32>,
    bytes: usize,
}

#[derive(Debug)]
struct Node {
    key: ShortBytes,
    value: Option<ShortBytes>,
    context: CacheContext,
}

impl Node {
    fn size(&self) -> usize {
        let value = self.value.as_ref().map_or(0, ShortBytes::len);
        self.key.len() + value + self.context.size() + ENTRY_OVERHEAD
    }
}

impl NamedCache {
    pub(super) fn new() -> Self {
        NamedCache {
            nodes: Vec::new(),
            free: Vec::new(),
            index: HashTable::new(),
            ordered: None,
            used: List::new(),
            dirty: List::new(),
            deleted: Vec::new(),
            bytes: 0,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    pub(super) fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    #[inline]
    pub(super) fn get(&mut self, key: &[u8]) -> Option<Option<&[u8]>> {
        let at = self.find_used(key)?;
        Some(self.value(at))
    }

    pub(super) fn put(&mut self, key: &[u8], value: Option<&[u8]>, context: &CacheContext) {
        self.purge();
        let at = match self.find(key) {
            Some(at) => {
                if let Some(node) = self.nodes.get_mut(at as usize) {
                    self.bytes -= node.size();
                    match (&mut node.value, value) {
                        (Some(old), Some(new)) => old.set(new),
                        (old, new) => *old = new.map(ShortBytes::from),
                    }
                    node.context.clone_from(context);
                    self.bytes += node.size();
                }
                self.used.move_to_first(at);
                at
            }
            None => self.insert(key, value, context.clone()),
        };
        self.dirty.move_to_last(at);
    }

    #[inline]
    pub(super) fn find_used(&mut self, key: &[u8]) -> Option<u32> {
        let at = self.find(key)?;
        self.used.move_to_first(at);
        Some(at)
    }

    #[inline]
    pub(super) fn is_far(&self) -> bool {
        self.nodes.len() >= FAR
    }

    pub(super) fn look_ahead(&self, keys: &[&[u8]]) -> [bool; AHEAD] {
        let mut found = [None; AHEAD];
        for (at, key) in found.iter_mut().zip(keys) {
            *at = self.find(key);
        }
        let positions = || found.into_iter().flatten();
        for at in positions() {
            if let Some(value) = self.value(at) {
                touch(value);
            }
            black_box((self.used.contains(at), self.dirty.contains(at)));
        }
        for at in positions() {
            self.used.look_around(at);
            self.dirty.look_around(at);
        }
        found.map(|at| at.is_some())
    }

    pub(super) fn put_clean(&mut self, key: &[u8], value: &[u8]) {
        if self.find(key).is_none() {
            self.purge();
            self.insert(key, Some(value), CacheContext::default());
        }
    }

    #[inline]
    pub(super) fn value(&self, at: u32) -> Option<&[u8]> {
        let node = self.nodes.get(at as usize)?;
        node.value.as_ref().map(ShortBytes::as_slice)
    }

    /// Removes the least recently used entry, and flushes if it was dirty; `false` if there is none.
    pub(super) fn evict(&mut self, flushed: &mut Vec<CacheEntry>) -> bool {
        self.purge();
        let Some(at) = self.used.last() else {
            return false;
        };
        let was_dirty = self.dirty.contains(at);
        if let Some(entry) = self.remove(at).filter(|_| was_dirty) {
            flushed.push(entry);
            self.flush(flushed);
        }
        true
    }

    pub(super) fn flush(&mut self, flushed: &mut Vec<CacheEntry>) {
        self.purge();
        while let Some(at) = self.dirty.first() {
            self.dirty.remove(at);
            if let Some(node) = self.nodes.get(at as usize) {
                flushed.push(CacheEntry {
                    key: node.key.clone(),
                    value: node.value.clone(),
                    context: node.context.clone(),
                });
                if node.value.is_none() {
                    self.deleted.push(at);
                }
            }
        }
    }

    pub(super) fn dirty(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        std::iter::successors(self.dirty.first(), |at| self.dirty.after(*at))
            .filter_map(|at| self.nodes.get(at as usize))
            .map(|n| (n.key.as_slice(), n.value.as_ref().map(ShortBytes::as_slice)))
    }

    /// Shows the entries between two keys in the order of the keys.
    pub(super) fn range(&mut self, from: Bound<&[u8]>, to: Bound<&[u8]>, visit: VisitCached<'_>) {
        if is_empty(from, to) {
            return;
        }
        let nodes = &self.nodes;
        let ordered = self.ordered.get_or_insert_with(|| {
            let all = self.index.iter().filter_map(|at| {
                let node = nodes.get(*at as usize)?;
                Some((node.key.clone(), *at))
            });
            all.collect()
        });
        for (key, at) in ordered.range::<[u8], _>((from, to)) {
            if let Some(node) = nodes.get(*at as usize) {
                visit(
                    key.as_slice(),
                    node.value.as_ref().map(ShortBytes::as_slice),
                );
            }
        }
    }

    /// Removes deletions that have been flushed.
    #[inline]
    fn purge(&mut self) {
        while let Some(at) = self.deleted.pop() {
            let is_deletion = self
                .nodes
                .get(at as usize)
                .is_some_and(|n| n.value.is_none());
            if is_deletion && self.used.contains(at) && !self.dirty.contains(at) {
                self.remove(at);
            }
        }
    }

    #[inline]
    fn find(&self, key: &[u8]) -> Option<u32> {
        let is = |at: &u32| {
            self.nodes
                .get(*at as usize)
                .is_some_and(|n| n.key.as_slice() == key)
        };
        self.index.find(hash(key), is).copied()
    }

    fn insert(&mut self, key: &[u8], value: Option<&[u8]>, context: CacheContext) -> u32 {
        let node = Node {
            key: key.into(),
            value: value.map(ShortBytes::from),
            context,
        };
        self.bytes += node.size();
        let at = match self.free.pop() {
            Some(at) => {
                if let Some(slot) = self.nodes.get_mut(at as usize) {
                    *slot = node;
                }
                at
            }
            None => {
                // Each takes some 100 bytes: far more than fits into memory.
                let at = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
                self.nodes.push(node);
                at
            }
        };
        if let Some(ordered) = &mut self.ordered {
            ordered.insert(key.into(), at);
        }
        let nodes = &self.nodes;
        let rehash = |at: &u32| {
            nodes
                .get(*at as usize)
                .map_or(0, |n| hash(n.key.as_slice()))
        };
        self.index.insert_unique(hash(key), at, rehash);
        self.used.move_to_first(at);
        at
    }

    fn remove(&mut self, at: u32) -> Option<CacheEntry> {
        let node = self.nodes.get_mut(at as usize)?;
        if let Ok(found) = self
            .index
            .find_entry(hash(node.key.as_slice()), |other| *other == at)
        {
            found.remove();
        }
        if let Some(ordered) = &mut self.ordered {
            ordered.remove(node.key.as_slice());
        }
        self.used.remove(at);
        self.dirty.remove(at);
        self.bytes -= node.size();
        self.free.push(at);
        Some(CacheEntry {
            key: std::mem::replace(&mut node.key, ShortBytes::from(&[][..])),
            value: node.value.take(),
            context: std::mem::take(&mut node.context),
        })
    }
}
