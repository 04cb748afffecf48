//! The front of a buffer whose rows lie in the order in which they leave: found without passing what left before.

use std::ops::Bound;

use super::{Direction, StoreError, TaskStores};

/// Where the first row of a buffer can be. Everything taken since the last commit is still in the write buffer, as deleted; a scan
/// from the beginning would go over all of it, for each row again.
#[derive(Debug, Default)]
pub(super) struct Front {
    from: Vec<u8>,
}

impl Front {
    /// A row was put.
    pub(super) fn put(&mut self, key: &[u8]) {
        if key < self.from.as_slice() {
            self.set(key);
        }
    }

    /// Nothing is known of the rows.
    pub(super) fn forget(&mut self) {
        self.from.clear();
    }

    fn set(&mut self, key: &[u8]) {
        self.from.clear();
        self.from.extend_from_slice(key);
    }

    /// Reads the first row before `end` into the buffers; tells whether there is one.
    pub(super) fn first(
        &mut self,
        stores: &mut TaskStores,
        store: usize,
        end: &[u8],
        key: &mut Vec<u8>,
        value: &mut Vec<u8>,
    ) -> Result<bool, StoreError> {
        let (from, to) = (Bound::Included(self.from.as_slice()), Bound::Excluded(end));
        let mut range = stores.range(store, from, to, Direction::Forward)?;
        let Some(row) = range.next() else {
            self.set(end);
            return Ok(false);
        };
        let (found, stored) = row?;
        key.clear();
        key.extend_from_slice(found);
        value.clear();
        value.extend_from_slice(stored);
        self.set(key);
        Ok(true)
    }
}
