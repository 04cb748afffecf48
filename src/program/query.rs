//! `query`: what a table holds as of the last commit, read from the state directory, whether the application runs or not.

use std::ops::Bound;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use streams_core::config::{Log, StreamsConfig};
use streams_core::query::{
    ByteReader as _, ByteSnapshot, Keys, Partitions, Scan, split, topic_key,
};
use streams_core::record::{Timestamp, Validity};
use streams_core::store::ExternalStore;
use streams_core::topology::{
    StoreBackend, StoreDescriptor, StoreKind, TopologyDescriptor, TypeDescriptor,
};

use super::args::QueryArgs;
use super::error::ProgramError;
use super::log;
use super::output::Output;
use super::topics;

pub(super) fn query(
    topology: &'static TopologyDescriptor,
    args: &QueryArgs,
) -> Result<(), ProgramError> {
    let store = find(topology, &args.store)?;
    fits(store, args)?;
    let asked = Asked::of(args, store)?;
    let dir = state_dir(args)?;
    // They close when they are dropped, and then nobody may be reading: before the snapshots.
    let tasks = open(topology, store, &dir)?;
    let snapshots = snapshots(store, &tasks)?;
    let mut output = Output::new();
    let mut found = 0_u64;
    if matches!(
        args,
        QueryArgs { versions: true, .. } | QueryArgs { as_of: Some(_), .. }
    ) {
        for (validity, value) in versions(args, store, &asked, &snapshots)? {
            found += 1;
            print_version(&mut output, store, args, (validity, &value))?;
        }
    } else {
        let partitions = Partitions::new(store.node, snapshots, None);
        let mut entries = match &asked {
            Asked::Keys(from, to) => partitions.range(
                from.as_ref().map(Vec::as_slice),
                to.as_ref().map(Vec::as_slice),
            ),
            Asked::Windows { keys, .. } => partitions.scan(&scan(args, store.kind, keys)),
        }
        .map_err(|e| failed(&e))?;
        while let Some(entry) = match args.reverse {
            false => entries.next(),
            true => entries.next_back(),
        } {
            let (key, stored) = entry.map_err(|e| failed(&*e))?;
            let key = topic_key(store.kind, key);
            if asked.is_other(key) {
                continue;
            }
            found += 1;
            print(&mut output, store, args.json, key, stored)?;
        }
    }
    output.flush()?;
    match &args.key {
        Some(key) if found == 0 => Err(ProgramError::Failed(format!(
            "`{}` has no `{key}`{}",
            args.store,
            if args.time_from.or(args.time_to).or(args.as_of).is_some() {
                " at that time"
            } else {
                ""
            }
        ))),
        _ => Ok(()),
    }
}

fn failed(error: &dyn std::error::Error) -> ProgramError {
    ProgramError::Failed(ProgramError::chain(error))
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
    match store.backend {
        StoreBackend::Lmdb => Ok(store),
        StoreBackend::Memory => Err(ProgramError::Failed(format!(
            "`{name}` lies in memory (`#[store(kind = memory)]`): only the running application can read it"
        ))),
    }
}

/// Whether what is asked fits the kind of store.
fn fits(store: &StoreDescriptor, args: &QueryArgs) -> Result<(), ProgramError> {
    let versioned = matches!(store.kind, StoreKind::Versioned { .. });
    let windowed = store.kind.retention_ms().is_some();
    let refused = |what: &str, why: &str| {
        Err(ProgramError::Usage(format!(
            "`{what}`: `{}` {why}",
            args.store
        )))
    };
    if args.as_of.is_some() && !versioned {
        return refused("--as-of", "is not versioned and has latest values only");
    }
    if args.versions && !versioned {
        return refused("--versions", "is not versioned and has latest values only");
    }
    if args.prefix.is_some() && windowed {
        return refused(
            "--prefix",
            "is kept by windows: give a key, or `--from` and `--to`",
        );
    }
    let timed = args.time_from.or(args.time_to).is_some();
    match (timed, windowed, versioned) {
        (true, false, false) => refused("--time-from", "has no times to ask for"),
        (true, false, true) if !args.versions => refused(
            "--time-from",
            "is versioned: add `--versions`, or ask with `--as-of`",
        ),
        _ => Ok(()),
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

/// What is asked for, as bytes.
enum Asked {
    /// Keys between two.
    Keys(Bound<Vec<u8>>, Bound<Vec<u8>>),
    /// Windows or sessions of keys, and perhaps exactly this one.
    Windows {
        keys: (Bound<Vec<u8>>, Bound<Vec<u8>>),
        exactly: Option<Vec<u8>>,
    },
}

impl Asked {
    fn of(args: &QueryArgs, store: &StoreDescriptor) -> Result<Self, ProgramError> {
        if store.kind.retention_ms().is_some() {
            let mut exactly = None;
            let mut bound = |text: &Option<String>| {
                let Some(text) = text else {
                    return Ok(Bound::Unbounded);
                };
                let (key, window) = window_key(text, store)?;
                exactly = window;
                Ok::<_, ProgramError>(Bound::Included(key))
            };
            let keys = match &args.key {
                Some(_) => (bound(&args.key)?, bound(&args.key)?),
                None => (bound(&args.from)?, bound(&args.to)?),
            };
            let exactly = exactly.filter(|_| args.key.is_some());
            return Ok(Asked::Windows { keys, exactly });
        }
        if let Some(prefix) = &args.prefix {
            let prefix = key_bytes(prefix, &store.key)?;
            let to = streams_core::lmdb::prefix_end(&prefix);
            let to = to.map_or(Bound::Unbounded, Bound::Excluded);
            return Ok(Asked::Keys(Bound::Included(prefix), to));
        }
        let bound = |text: &Option<String>| match text {
            None => Ok(Bound::Unbounded),
            Some(text) => key_bytes(text, &store.key).map(Bound::Included),
        };
        Ok(match &args.key {
            Some(_) => Asked::Keys(bound(&args.key)?, bound(&args.key)?),
            None => Asked::Keys(bound(&args.from)?, bound(&args.to)?),
        })
    }

    /// Whether a window is not the one that is asked for.
    fn is_other(&self, key: &[u8]) -> bool {
        match self {
            Asked::Windows {
                exactly: Some(exactly),
                ..
            } => key != exactly,
            _ => false,
        }
    }
}

fn key_bytes(text: &str, key_type: &TypeDescriptor) -> Result<Vec<u8>, ProgramError> {
    match (key_type.from_text)(text) {
        Ok(Some(key)) => Ok(key),
        Ok(None) => Err(ProgramError::Usage(format!(
            "`{text}`: a table has no null keys"
        ))),
        Err(error) => Err(ProgramError::Usage(format!("`{text}`: {error}"))),
    }
}

/// A key without its window, and with it, if it was given as it is printed: `{"key": …, "start": …}`.
fn window_key(
    text: &str,
    store: &StoreDescriptor,
) -> Result<(Vec<u8>, Option<Vec<u8>>), ProgramError> {
    let length = match store.kind {
        StoreKind::Session { .. } => 16,
        _ => 8,
    };
    let without = |key: &[u8]| {
        let length = key.len().saturating_sub(length);
        key.get(..length).unwrap_or_default().to_vec()
    };
    let printed = serde_json::from_str::<Value>(text);
    if printed.is_ok_and(|json| json.get("key").is_some() && json.get("start").is_some()) {
        let key = key_bytes(text, &store.key)?;
        return Ok((without(&key), Some(key)));
    }
    let some_window = json!({"key": text, "start": 0, "end": 0}).to_string();
    Ok((without(&key_bytes(&some_window, &store.key)?), None))
}

fn scan<'k>(
    args: &QueryArgs,
    kind: StoreKind,
    keys: &'k (Bound<Vec<u8>>, Bound<Vec<u8>>),
) -> Scan<'k> {
    let keys = match keys {
        (Bound::Unbounded, Bound::Unbounded) => Keys::All,
        (Bound::Included(from), Bound::Included(to)) if from == to => Keys::One(from),
        (from, to) => Keys::Range(
            from.as_ref().map(Vec::as_slice),
            to.as_ref().map(Vec::as_slice),
        ),
    };
    let from = args.time_from.unwrap_or(0);
    let to = args.time_to.unwrap_or(Timestamp::MAX);
    match kind {
        StoreKind::Session { .. } => Scan::sessions(keys, from, to),
        _ => Scan::between(keys, from, to),
    }
}

fn open(
    topology: &'static TopologyDescriptor,
    store: &StoreDescriptor,
    dir: &Path,
) -> Result<Vec<ExternalStore>, ProgramError> {
    ExternalStore::open(dir, topology.application_id, store.name).map_err(|e| failed(&e))
}

type Snapshots = Vec<(i32, Box<dyn ByteSnapshot>)>;

fn snapshots(store: &StoreDescriptor, tasks: &[ExternalStore]) -> Result<Snapshots, ProgramError> {
    let each = tasks.iter().map(|task| {
        let reader = task.reader.clone().of_kind(store.kind);
        let partition = task.task.map_or(0, |id| id.partition);
        reader.snapshot().map(|snapshot| (partition, snapshot))
    });
    each.collect::<Result<_, _>>().map_err(|e| failed(&*e))
}

/// What a key of a versioned store was, the latest first.
fn versions(
    args: &QueryArgs,
    store: &StoreDescriptor,
    asked: &Asked,
    snapshots: &Snapshots,
) -> Result<Vec<(Validity, Vec<u8>)>, ProgramError> {
    let Asked::Keys(Bound::Included(key), _) = asked else {
        return Err(ProgramError::Usage(format!(
            "`{}`: versions are those of one key",
            store.node
        )));
    };
    let mut all = Vec::new();
    for (_, snapshot) in snapshots {
        let mut value = Vec::new();
        match args.as_of {
            Some(time) => {
                let found = snapshot.as_of(key, time, &mut value);
                let found = found.map_err(|e| failed(&*e))?;
                all.extend(found.map(|validity| (validity, value)));
            }
            None => {
                let from = args.time_from.unwrap_or(Timestamp::MIN);
                let to = args.time_to.unwrap_or(Timestamp::MAX);
                let read = snapshot.versions(key, from, to, &mut |validity, value| {
                    all.push((validity, value.to_vec()));
                });
                read.map_err(|e| failed(&*e))?;
            }
        }
    }
    if args.reverse {
        all.reverse();
    }
    Ok(all)
}

fn unreadable(store: &StoreDescriptor, what: &str, error: &dyn std::fmt::Display) -> ProgramError {
    ProgramError::Failed(format!(
        "`{}` has {what} that cannot be read: {error}",
        store.name
    ))
}

fn print(
    output: &mut Output,
    store: &StoreDescriptor,
    as_json: bool,
    key: &[u8],
    stored: &[u8],
) -> Result<(), ProgramError> {
    let (timestamp, value) =
        split(store.kind, stored).map_err(|e| unreadable(store, "an entry", &e))?;
    let mut key = (store.key.to_json)(Some(key)).map_err(|e| unreadable(store, "a key", &e))?;
    let value = (store.value.to_json)(Some(value)).map_err(|e| unreadable(store, "a value", &e))?;
    // The bytes of a window's key have no end.
    if let (1.., Some(start)) = (store.kind.size_ms(), key["start"].as_i64()) {
        key["end"] = start.saturating_add(store.kind.size_ms()).into();
    }
    if as_json {
        let timestamp = store.kind.has_timestamps().then_some(timestamp);
        output.json(&json!({"key": key, "value": value, "timestamp": timestamp}))
    } else {
        output.entry(&key, &value)
    }
}

/// A version of the key that was asked for.
fn print_version(
    output: &mut Output,
    store: &StoreDescriptor,
    args: &QueryArgs,
    (validity, value): (Validity, &[u8]),
) -> Result<(), ProgramError> {
    let key = args.key.as_deref().unwrap_or_default();
    let bytes = key_bytes(key, &store.key)?;
    let key = (store.key.to_json)(Some(&bytes)).map_err(|e| unreadable(store, "a key", &e))?;
    let value = (store.value.to_json)(Some(value)).map_err(|e| unreadable(store, "a value", &e))?;
    let valid = json!({"valid_from": validity.from, "valid_to": validity.to});
    if args.json {
        output.json(&json!({
            "key": key, "value": value, "valid_from": validity.from, "valid_to": validity.to,
        }))
    } else {
        output.entry(&valid, &value)
    }
}
