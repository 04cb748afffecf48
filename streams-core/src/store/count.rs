//! How many entries a store has.

use super::{Disk, Place, StoreError, TaskStores, disk};

impl TaskStores {
    /// How many entries a store has, as of the last put. Costs a look-up for each uncommitted one.
    ///
    /// # Errors
    /// When there is no such store or its file is damaged.
    pub fn count(&mut self, store: usize) -> Result<u64, StoreError> {
        let Some(of) = self.stores.get(store) else {
            return Err(StoreError::UnknownStore { store });
        };
        let map = self.memory.map(store);
        let mut count = match (of.place, &mut self.disk) {
            (Place::Disk(database), Some(disk)) => disk.snapshot()?.view()?.len(database)?,
            _ => map.map_or(0, |map| map.len() as u64),
        };
        for (key, value) in of.buffer.sorted() {
            let committed = match (of.place, &mut self.disk) {
                (
                    Place::Disk(database),
                    Some(Disk {
                        snapshot: Some(of), ..
                    }),
                ) => of.get(database, &disk::encode(key))?.is_some(),
                _ => map.is_some_and(|map| map.contains_key(key)),
            };
            match (committed, value) {
                (false, Some(_)) => count += 1,
                (true, None) => count = count.saturating_sub(1),
                _ => {}
            }
        }
        Ok(count)
    }
}
