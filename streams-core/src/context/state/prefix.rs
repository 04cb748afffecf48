//! Entries of a store by a prefix of their keys, for foreign-key joins.

use super::State;
use crate::context::TaskContext;
use crate::error::{TaskError, TaskFailure, TaskResult};
use crate::outbox::Outbox;
use crate::serde::SerdeError;
use crate::store::Direction;

impl TaskContext {
    /// Shows the entries of a store without a cache whose keys begin with `prefix`, in the order of the keys, and lets each be
    /// answered.
    pub(crate) fn for_each_with_prefix(
        &mut self,
        store: usize,
        prefix: &[u8],
        mut each: impl FnMut(&[u8], &[u8], &mut Outbox) -> Result<(), SerdeError>,
    ) -> TaskResult {
        let State { stores, slots, .. } = &mut self.state;
        let failed = |reason: Box<dyn std::error::Error + Send + Sync>| {
            let store = slots.get(store).map_or("?", |s| s.name).to_owned();
            TaskError::from(TaskFailure::Store { store, reason })
        };
        let entries = stores.prefix(store, prefix, Direction::Forward);
        for entry in entries.map_err(|e| failed(e.into()))? {
            let (key, value) = entry.map_err(|e| failed(e.into()))?;
            each(key, value, &mut self.outbox).map_err(|e| failed(e.into()))?;
        }
        Ok(())
    }

    /// The error of a store whose content cannot be read.
    #[cold]
    pub(crate) fn corrupt_store(&self, store: usize, reason: SerdeError) -> TaskError {
        let store = self.store_name(store).to_owned();
        TaskFailure::Store {
            store,
            reason: reason.into(),
        }
        .into()
    }
}
