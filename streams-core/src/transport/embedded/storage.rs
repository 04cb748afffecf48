//! Layer 2. The embedded log's storage port: six ordered tables, read by snapshot and changed by one atomic write.
//! Memory here, LMDB in `durable`. Everything above it is written once.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use super::durable::DiskTables;
use crate::transport::TransportError;

type Result<T> = std::result::Result<T, TransportError>;

/// The tables. Their keys and values are described in `docs/formats.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    /// What the log is.
    Meta,
    /// Topics by name.
    Topics,
    /// First and next offset and sizes of each partition.
    Partitions,
    /// Batches by topic id, partition and base offset.
    Records,
    /// Committed offsets of groups.
    Offsets,
    /// Epochs of transactional ids.
    Producers,
}

impl Table {
    /// All tables, in the order of their discriminants.
    pub(super) const ALL: [Table; 6] = [
        Table::Meta,
        Table::Topics,
        Table::Partitions,
        Table::Records,
        Table::Offsets,
        Table::Producers,
    ];
}

/// A value as a scan sees it: copied only if it is wanted.
pub(super) enum Value<'a> {
    /// Shared with the table.
    Shared(&'a Bytes),
    /// Lies in a mapped page.
    Mapped(&'a [u8]),
}

impl Value<'_> {
    pub(super) fn slice(&self) -> &[u8] {
        match self {
            Value::Shared(bytes) => bytes,
            Value::Mapped(slice) => slice,
        }
    }

    pub(super) fn to_bytes(&self) -> Bytes {
        match self {
            Value::Shared(bytes) => (*bytes).clone(),
            Value::Mapped(slice) => Bytes::copy_from_slice(slice),
        }
    }
}

/// What a scan calls for each entry.
pub(super) type Visit<'v> = dyn FnMut(&[u8], Value<'_>) -> Result<ControlFlow<()>> + 'v;

/// A consistent view.
pub(super) trait Read {
    /// The value of a key.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>>;
    /// The greatest key at or below this one.
    fn at_or_before(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>>;
    /// Entries in key order, from one key on to before another.
    fn scan(&self, table: Table, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<()>;
}

/// A change that happens wholly or not at all.
pub(super) trait Write: Read {
    fn put(&mut self, table: Table, key: &[u8], value: Bytes) -> Result<()>;
    fn delete(&mut self, table: Table, key: &[u8]) -> Result<()>;
}

/// Where the tables are.
#[derive(Debug)]
pub(super) enum Storage {
    /// In this process.
    Memory(Mutex<Tables>),
    /// In a directory.
    Disk(DiskTables),
}

impl Storage {
    pub(super) fn memory() -> Self {
        Storage::Memory(Mutex::default())
    }

    /// Whether other processes may write it too.
    pub(super) fn is_shared(&self) -> bool {
        match self {
            Storage::Memory(_) => false,
            Storage::Disk(_) => true,
        }
    }

    /// Reads one consistent state.
    pub(super) fn read<R>(&self, f: impl FnOnce(&dyn Read) -> Result<R>) -> Result<R> {
        match self {
            Storage::Memory(tables) => f(&*tables.lock().unwrap_or_else(PoisonError::into_inner)),
            Storage::Disk(tables) => tables.read(f),
        }
    }

    /// Changes the tables; if `f` fails, nothing has changed. `f` may run again from the start.
    pub(super) fn write<R>(&self, mut f: impl FnMut(&mut dyn Write) -> Result<R>) -> Result<R> {
        match self {
            Storage::Memory(tables) => {
                let mut tables = tables.lock().unwrap_or_else(PoisonError::into_inner);
                let mut write = MemoryWrite {
                    tables: &mut tables,
                    undo: Vec::new(),
                };
                let result = f(&mut write)?;
                write.undo.clear();
                Ok(result)
            }
            Storage::Disk(tables) => tables.write(f),
        }
    }
}

/// The tables in memory.
#[derive(Debug, Default)]
pub(super) struct Tables([BTreeMap<Vec<u8>, Bytes>; Table::ALL.len()]);

impl Tables {
    fn table(&self, table: Table) -> &BTreeMap<Vec<u8>, Bytes> {
        let [meta, topics, partitions, records, offsets, producers] = &self.0;
        match table {
            Table::Meta => meta,
            Table::Topics => topics,
            Table::Partitions => partitions,
            Table::Records => records,
            Table::Offsets => offsets,
            Table::Producers => producers,
        }
    }

    fn table_mut(&mut self, table: Table) -> &mut BTreeMap<Vec<u8>, Bytes> {
        let [meta, topics, partitions, records, offsets, producers] = &mut self.0;
        match table {
            Table::Meta => meta,
            Table::Topics => topics,
            Table::Partitions => partitions,
            Table::Records => records,
            Table::Offsets => offsets,
            Table::Producers => producers,
        }
    }
}

impl Read for Tables {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>> {
        Ok(self.table(table).get(key).cloned())
    }

    fn at_or_before(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let until = (Bound::Unbounded, Bound::Included(key));
        Ok(self
            .table(table)
            .range::<[u8], _>(until)
            .next_back()
            .map(|(k, _)| k.clone()))
    }

    fn scan(&self, table: Table, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        if from >= to {
            return Ok(());
        }
        let range = (Bound::Included(from), Bound::Excluded(to));
        for (key, value) in self.table(table).range::<[u8], _>(range) {
            if visit(key, Value::Shared(value))?.is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// A write in memory, which puts back what it changed unless it succeeds.
struct MemoryWrite<'a> {
    tables: &'a mut Tables,
    undo: Vec<(Table, Vec<u8>, Option<Bytes>)>,
}

impl Drop for MemoryWrite<'_> {
    fn drop(&mut self) {
        for (table, key, old) in self.undo.drain(..).rev() {
            match old {
                Some(value) => self.tables.table_mut(table).insert(key, value),
                None => self.tables.table_mut(table).remove(&key),
            };
        }
    }
}

impl Read for MemoryWrite<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>> {
        self.tables.get(table, key)
    }

    fn at_or_before(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.tables.at_or_before(table, key)
    }

    fn scan(&self, table: Table, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        self.tables.scan(table, from, to, visit)
    }
}

impl Write for MemoryWrite<'_> {
    fn put(&mut self, table: Table, key: &[u8], value: Bytes) -> Result<()> {
        let old = self.tables.table_mut(table).insert(key.to_vec(), value);
        self.undo.push((table, key.to_vec(), old));
        Ok(())
    }

    fn delete(&mut self, table: Table, key: &[u8]) -> Result<()> {
        if let Some(old) = self.tables.table_mut(table).remove(key) {
            self.undo.push((table, key.to_vec(), Some(old)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_nothing_behind() {
        let storage = Storage::memory();
        storage
            .write(|w| w.put(Table::Meta, b"a", Bytes::from_static(b"1")))
            .unwrap();
        let failed: Result<()> = storage.write(|w| {
            w.put(Table::Meta, b"a", Bytes::from_static(b"2"))?;
            w.put(Table::Meta, b"b", Bytes::from_static(b"2"))?;
            w.delete(Table::Meta, b"a")?;
            Err(TransportError::Retriable("no".to_owned()))
        });
        assert!(failed.is_err());
        let mut seen = Vec::new();
        storage
            .read(|r| {
                r.scan(Table::Meta, b"", b"z", &mut |k, v| {
                    seen.push((k.to_vec(), v.to_bytes()));
                    Ok(ControlFlow::Continue(()))
                })
            })
            .unwrap();
        assert_eq!(seen, [(b"a".to_vec(), Bytes::from_static(b"1"))]);
    }
}
