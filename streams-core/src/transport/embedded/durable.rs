//! Layer 2. The embedded log's tables in LMDB: one directory, any number of processes.

use std::fs;
use std::io::ErrorKind;
use std::ops::Bound;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::batch::sealed;
use super::storage::{Read, Table, Value, Visit, Write};
use crate::lmdb::{
    Access, Database, Direction, Durability, Environment, EnvironmentOptions, LmdbError, Snapshot,
    View, Writer,
};
use crate::transport::TransportError;

type Result<T> = std::result::Result<T, TransportError>;

/// Says whose environment this is, and in which version of the tables' format.
const FORMAT: &[u8] = b"format";
const SIGNATURE: &[u8; 12] = b"kstreams-log";
const VERSION: u32 = 1;
/// The file that every LMDB environment has.
const DATA: &str = "data.mdb";

impl From<LmdbError> for TransportError {
    fn from(error: LmdbError) -> Self {
        TransportError::Fatal(error.to_string())
    }
}

/// Why a directory was not opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    #[error(transparent)]
    Lmdb(#[from] LmdbError),
    #[error("{} holds {what} and no embedded log; choose an empty or a new directory", path.display())]
    Foreign { path: PathBuf, what: String },
    #[error(
        "the embedded log in {} has format {found}, this program knows {VERSION}; use the newer program that wrote it, or another directory",
        path.display()
    )]
    Newer { path: PathBuf, found: u32 },
}

impl From<OpenError> for TransportError {
    fn from(error: OpenError) -> Self {
        TransportError::Fatal(error.to_string())
    }
}

/// The tables on disk.
#[derive(Debug)]
pub(super) struct DiskTables {
    environment: Environment,
    databases: [Database; Table::ALL.len()],
}

fn name(table: Table) -> &'static str {
    match table {
        Table::Meta => "log-meta",
        Table::Topics => "log-topics",
        Table::Partitions => "log-partitions",
        Table::Records => "log-records",
        Table::Offsets => "log-offsets",
        Table::Producers => "log-producers",
    }
}

impl DiskTables {
    /// Opens the log in a directory; makes one where there is none yet.
    pub(super) fn open(
        dir: &Path,
        durability: Durability,
        map_size: usize,
    ) -> std::result::Result<DiskTables, OpenError> {
        refuse_foreign_files(dir)?;
        let options = EnvironmentOptions {
            map_size,
            max_databases: 16,
            durability,
            access: Access::ReadWrite,
        };
        let environment = Environment::open(dir, &options)?;
        let names = environment.database_names()?;
        if let Some(foreign) = names
            .iter()
            .find(|n| !Table::ALL.iter().any(|t| name(*t) == **n))
        {
            return Err(OpenError::Foreign {
                path: dir.to_path_buf(),
                what: format!("something else (a database `{foreign}`)"),
            });
        }
        if let Some(meta) = environment.database(name(Table::Meta))?
            && let Some(format) = environment.snapshot()?.get(meta, FORMAT)?
        {
            check_format(dir, format)?;
        }
        let database = |table| environment.create_database(name(table));
        let databases = [
            database(Table::Meta)?,
            database(Table::Topics)?,
            database(Table::Partitions)?,
            database(Table::Records)?,
            database(Table::Offsets)?,
            database(Table::Producers)?,
        ];
        let tables = DiskTables {
            environment,
            databases,
        };
        tables.sign()?;
        Ok(tables)
    }

    /// Writes what this is, if nobody has yet.
    fn sign(&self) -> std::result::Result<(), LmdbError> {
        let meta = self.database(Table::Meta);
        if self.environment.snapshot()?.get(meta, FORMAT)?.is_some() {
            return Ok(());
        }
        let mut format = SIGNATURE.to_vec();
        format.extend_from_slice(&VERSION.to_be_bytes());
        self.environment.write(|w| w.put(meta, FORMAT, &format))
    }

    fn database(&self, table: Table) -> Database {
        let [meta, topics, partitions, records, offsets, producers] = self.databases;
        match table {
            Table::Meta => meta,
            Table::Topics => topics,
            Table::Partitions => partitions,
            Table::Records => records,
            Table::Offsets => offsets,
            Table::Producers => producers,
        }
    }

    pub(super) fn read<R>(&self, f: impl FnOnce(&dyn Read) -> Result<R>) -> Result<R> {
        f(&DiskRead {
            tables: self,
            snapshot: self.environment.snapshot()?,
        })
    }

    pub(super) fn write<R>(&self, mut f: impl FnMut(&mut dyn Write) -> Result<R>) -> Result<R> {
        self.environment.write(|writer| {
            f(&mut DiskWrite {
                tables: self,
                writer,
            })
        })
    }
}

/// A directory with files of others is a mistake, not a place for a log. Directories in it, such as one for state, are fine.
fn refuse_foreign_files(dir: &Path) -> std::result::Result<(), OpenError> {
    let unreadable = |e| LmdbError::from_io(dir, e);
    if dir.join(DATA).exists() {
        return Ok(());
    }
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(unreadable(e).into()),
    };
    for entry in entries {
        let entry = entry.map_err(unreadable)?;
        let file = entry.file_name();
        let file = file.to_string_lossy();
        if file == DATA {
            // Another process is making the log at this very moment: what it is, its tables will say.
            return Ok(());
        }
        let ours = file == "lock.mdb" || (file.starts_with("run-") && file.ends_with(".lock"));
        if !ours && !file.starts_with('.') && !entry.file_type().map_err(unreadable)?.is_dir() {
            return Err(OpenError::Foreign {
                path: dir.to_path_buf(),
                what: format!("other files (`{file}`)"),
            });
        }
    }
    Ok(())
}

fn check_format(dir: &Path, format: &[u8]) -> std::result::Result<(), OpenError> {
    let path = dir.to_path_buf();
    let version = format
        .strip_prefix(SIGNATURE)
        .and_then(|rest| <[u8; 4]>::try_from(rest).ok())
        .map(u32::from_be_bytes);
    match version {
        Some(VERSION) => Ok(()),
        Some(found) if found > VERSION => Err(OpenError::Newer { path, found }),
        _ => Err(LmdbError::Damaged {
            path,
            detail: "its format cannot be read".to_owned(),
        }
        .into()),
    }
}

struct DiskRead<'a> {
    tables: &'a DiskTables,
    snapshot: Snapshot,
}

struct DiskWrite<'a, 'w> {
    tables: &'a DiskTables,
    writer: &'a mut Writer<'w>,
}

fn get(view: View<'_>, database: Database, key: &[u8]) -> Result<Option<Bytes>> {
    Ok(view.get(database, key)?.map(Bytes::copy_from_slice))
}

fn at_or_before(view: View<'_>, database: Database, key: &[u8]) -> Result<Option<Vec<u8>>> {
    let mut range = view.range(
        database,
        Bound::Unbounded,
        Bound::Included(key),
        Direction::Backward,
    )?;
    Ok(range.next().transpose()?.map(|(key, _)| key.to_vec()))
}

fn scan(
    view: View<'_>,
    database: Database,
    from: &[u8],
    to: &[u8],
    visit: &mut Visit<'_>,
) -> Result<()> {
    let range = view.range(
        database,
        Bound::Included(from),
        Bound::Excluded(to),
        Direction::Forward,
    )?;
    for entry in range {
        let (key, value) = entry?;
        if visit(key, Value::Mapped(value))?.is_break() {
            break;
        }
    }
    Ok(())
}

impl Read for DiskRead<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>> {
        get(self.snapshot.view()?, self.tables.database(table), key)
    }

    fn at_or_before(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        at_or_before(self.snapshot.view()?, self.tables.database(table), key)
    }

    fn scan(&self, table: Table, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        scan(
            self.snapshot.view()?,
            self.tables.database(table),
            from,
            to,
            visit,
        )
    }
}

impl Read for DiskWrite<'_, '_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>> {
        get(self.writer.view(), self.tables.database(table), key)
    }

    fn at_or_before(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>> {
        at_or_before(self.writer.view(), self.tables.database(table), key)
    }

    fn scan(&self, table: Table, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        scan(
            self.writer.view(),
            self.tables.database(table),
            from,
            to,
            visit,
        )
    }
}

impl Write for DiskWrite<'_, '_> {
    fn put(&mut self, table: Table, key: &[u8], value: Bytes) -> Result<()> {
        let database = self.tables.database(table);
        if table == Table::Records {
            // Only here a batch meets a medium that can damage it.
            return Ok(self.writer.put(database, key, &sealed(&value))?);
        }
        Ok(self.writer.put(database, key, &value)?)
    }

    fn delete(&mut self, table: Table, key: &[u8]) -> Result<()> {
        self.writer.delete(self.tables.database(table), key)?;
        Ok(())
    }
}
