//! Reading the state of an application that runs in another process, or in none (`query`).

use std::path::Path;
use std::sync::Arc;

use super::memory::MemoryMaps;
use super::{Place, SingleStoreReader, StoreError, StoreReader, disk, read_meta};
use crate::lmdb::{Access, Environment, EnvironmentOptions, LmdbError};
use crate::record::TaskId;
use crate::state_dir::{ReadableTask, readable_tasks};
use crate::topology::StoreKind;

/// A store of a task, open for reading beside the application that writes it.
#[derive(Debug)]
pub struct ExternalStore {
    /// The task; `None` are the global tables.
    pub task: Option<TaskId>,
    /// Reads the last commit, by the bytes of the store's own keys; see [`SingleStoreReader::of_kind`].
    pub reader: SingleStoreReader,
    environment: Environment,
    _alive: Arc<()>,
}

impl ExternalStore {
    /// Opens the store of that name in every task of an application that has it. Nothing is locked or changed, and the
    /// application may run. State that a power loss may have damaged is left out.
    ///
    /// # Errors
    /// When there is no state of that application, it is of a later version, damaged, or open in this very process.
    pub fn open(
        state_dir: &Path,
        application_id: &str,
        store: &str,
    ) -> Result<Vec<ExternalStore>, StoreError> {
        let mut stores = Vec::new();
        for task in readable_tasks(state_dir, application_id)? {
            stores.extend(open_task(&task, store)?);
        }
        Ok(stores)
    }

    /// The names of all stores that an application's state has.
    ///
    /// # Errors
    /// As [`ExternalStore::open`].
    pub fn names(state_dir: &Path, application_id: &str) -> Result<Vec<String>, StoreError> {
        let mut names = Vec::new();
        for task in readable_tasks(state_dir, application_id)? {
            if let Some(environment) = open_environment(&task.path)? {
                names.extend(
                    environment
                        .database_names()?
                        .into_iter()
                        .filter(|n| n != disk::META),
                );
                environment.close();
            }
        }
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }
}

impl Drop for ExternalStore {
    fn drop(&mut self) {
        self.environment.close();
    }
}

fn open_task(task: &ReadableTask, store: &str) -> Result<Option<ExternalStore>, StoreError> {
    let Some(environment) = open_environment(&task.path)? else {
        return Ok(None);
    };
    let (Some(meta), Some(database)) = (
        environment.database(disk::META)?,
        environment.database(store)?,
    ) else {
        return Ok(None);
    };
    if environment
        .snapshot()?
        .get(meta, disk::LAYOUT_KEY)?
        .is_none()
    {
        // Made this moment: nothing is committed yet, and this is not who writes the layout.
        return Ok(None);
    }
    read_meta(&environment, meta)?;
    let alive = Arc::new(());
    let reader = StoreReader {
        names: Arc::new([store.into()]),
        places: Arc::new([Place::Disk(database)]),
        segments: Arc::new([None]),
        meta: Some(meta),
        environment: Some(environment.clone()),
        published: MemoryMaps::new(1).published(),
        alive: Arc::downgrade(&alive),
    };
    Ok(Some(ExternalStore {
        task: task.task,
        reader: reader.single(0, StoreKind::KeyValue),
        environment,
        _alive: alive,
    }))
}

fn open_environment(path: &Path) -> Result<Option<Environment>, StoreError> {
    let options = EnvironmentOptions {
        access: Access::ReadOnly,
        ..EnvironmentOptions::default()
    };
    match Environment::open(path, &options) {
        // Just being created, or removed.
        Err(LmdbError::Missing { .. }) => Ok(None),
        other => Ok(Some(other?)),
    }
}
