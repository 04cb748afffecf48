//! `query`: what a table holds as of the last commit, read from the state directory, whether the application runs or not.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::path::{Path, PathBuf};

use serde_json::json;
use streams_core::config::{Log, StreamsConfig};
use streams_core::query::ByteReader;
use streams_core::record::Timestamp;
use streams_core::store::{ExternalStore, History, VersionedReader};
use streams_core::topology::{
    StoreBackend, StoreDescriptor, StoreKind, TopologyDescriptor, TypeDescriptor,
};

use super::args::QueryArgs;
use super::error::ProgramError;
use super::log;
use super::output::Output;
use super::topics;

/// Entries by the bytes of their keys: the order in which every partition has them.
type Entries = BTreeMap<Box<[u8]>, Box<[u8]>>;

pub(super) fn query(
    topology: &'static TopologyDescriptor,
    args: &QueryArgs,
) -> Result<(), ProgramError> {
    let store = find(topology, &args.store)?;
    let (from, to) = bounds(args, &store.key)?;
    let dir = state_dir(args)?;
    let entries = read(topology, store, &dir, &from, &to)?;
    let mut output = Output::new();
    for (key, value) in &entries {
        print(&mut output, store, args.json, key, value)?;
    }
    output.flush()?;
    match &args.key {
        Some(key) if entries.is_empty() => Err(ProgramError::Failed(format!(
            "`{}` has no `{key}`",
            args.store
        ))),
        _ => Ok(()),
    }
}

/// A store by its own name or its field's.
fn find(
    topology: &'static TopologyDescriptor,
    name: &str,
) -> Result<&'static StoreDescriptor, ProgramError> {
    let found = topology
        .stores
        .iter()
        .find(|s| s.name == name || s.node == name);
    let store = found.ok_or_else(|| {
        let names = topology.stores.iter().flat_map(|s| [s.name, s.node]);
        topics::unknown("table", name, names)
    })?;
    if matches!(
        store.kind,
        StoreKind::JoinBuffer { .. } | StoreKind::SuppressBuffer
    ) {
        return Err(ProgramError::Failed(format!(
            "`{name}` holds records that wait to be joined or sent: it is no table"
        )));
    }
    if store.kind.retention_ms().is_some() {
        return Err(ProgramError::Failed(format!(
            "`{name}` is kept by windows, which `query` cannot read yet: give the table a `#[sink]` and `consume` its updates"
        )));
    }
    match store.backend {
        StoreBackend::Lmdb => Ok(store),
        StoreBackend::Memory => Err(ProgramError::Failed(format!(
            "`{name}` lies in memory (`#[store(kind = memory)]`): only the running application can read it"
        ))),
    }
}

fn state_dir(args: &QueryArgs) -> Result<PathBuf, ProgramError> {
    match &args.state_dir {
        Some(dir) => Ok(dir.clone()),
        None => {
            let config = args.log.configuration()?;
            match config.log() {
                // With a `state.dir` of its own it does not matter which log.
                Log::Unset if config.state_path() == StreamsConfig::new().state_path() => {
                    Err(log::unknown_log("query"))
                }
                _ => Ok(config.state_path()),
            }
        }
    }
}

type KeyBounds = (Bound<Vec<u8>>, Bound<Vec<u8>>);

fn bounds(args: &QueryArgs, key_type: &TypeDescriptor) -> Result<KeyBounds, ProgramError> {
    let bound = |text: &Option<String>| match text {
        None => Ok(Bound::Unbounded),
        Some(text) => match (key_type.from_text)(text) {
            Ok(Some(key)) => Ok(Bound::Included(key)),
            Ok(None) => Err(ProgramError::Usage(format!(
                "`{text}`: a table has no null keys"
            ))),
            Err(error) => Err(ProgramError::Usage(format!("`{text}`: {error}"))),
        },
    };
    match &args.key {
        Some(_) => Ok((bound(&args.key)?, bound(&args.key)?)),
        None => Ok((bound(&args.from)?, bound(&args.to)?)),
    }
}

fn read(
    topology: &'static TopologyDescriptor,
    store: &StoreDescriptor,
    dir: &Path,
    from: &Bound<Vec<u8>>,
    to: &Bound<Vec<u8>>,
) -> Result<Entries, ProgramError> {
    let failed = |error: &dyn std::error::Error| ProgramError::Failed(ProgramError::chain(error));
    let tasks = ExternalStore::open(dir, topology.application_id, store.name);
    let mut entries = Entries::new();
    for task in tasks.map_err(|e| failed(&e))? {
        let from = from.as_ref().map(Vec::as_slice);
        let to = to.as_ref().map(Vec::as_slice);
        let reader: &dyn ByteReader = match store.kind {
            StoreKind::Versioned { retention } => {
                &VersionedReader::new(task.reader.clone(), History { retention })
            }
            _ => &task.reader,
        };
        let read = reader.range(from, to, &mut |key, value| {
            entries.insert(key.into(), value.into());
            ControlFlow::Continue(())
        });
        read.map_err(|e| failed(&*e))?;
    }
    Ok(entries)
}

fn print(
    output: &mut Output,
    store: &StoreDescriptor,
    as_json: bool,
    key: &[u8],
    stored: &[u8],
) -> Result<(), ProgramError> {
    let unreadable = |what: &str, error: &dyn std::fmt::Display| {
        ProgramError::Failed(format!(
            "`{}` has {what} that cannot be read: {error}",
            store.name
        ))
    };
    let (timestamp, value): (Option<Timestamp>, &[u8]) = match store.kind {
        kind if kind.has_timestamps() => match stored.split_first_chunk() {
            Some((timestamp, value)) => (Some(Timestamp::from_be_bytes(*timestamp)), value),
            None => return Err(unreadable("an entry", &"it is shorter than a timestamp")),
        },
        _ => (None, stored),
    };
    let key = (store.key.to_json)(Some(key)).map_err(|e| unreadable("a key", &e))?;
    let value = (store.value.to_json)(Some(value)).map_err(|e| unreadable("a value", &e))?;
    if as_json {
        output.json(&json!({"key": key, "value": value, "timestamp": timestamp}))
    } else {
        output.entry(&key, &value)
    }
}
