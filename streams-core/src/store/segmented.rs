//! Window and session stores of a task, by their store keys: reads that leave out what has expired, puts that advance the store's own
//! time, and what a changelog brings back.

use std::ops::Bound;

use super::buffer::is_empty;
use super::segments::{SEGMENT, SegmentKey, Segments};
use super::{Store, StoreError, TaskStores};
use crate::lmdb::Direction;
use crate::query::{Keys, Scan, Visit};
use crate::record::Timestamp;

/// What became of a put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// It is in the store.
    Kept,
    /// Its window had expired: it is not.
    Expired,
}

impl Store {
    /// Whether a key lies below what was cut off.
    #[inline]
    pub(super) fn is_cut_off(&self, key: &[u8]) -> bool {
        self.bound
            .as_ref()
            .is_some_and(|bound| key < bound.as_slice())
    }

    /// The beginning of a range, not below what was cut off.
    pub(super) fn not_cut_off<'b>(&'b self, from: Bound<&'b [u8]>) -> Bound<&'b [u8]> {
        match (&self.bound, from) {
            (Some(bound), Bound::Unbounded) => Bound::Included(bound.as_slice()),
            (Some(bound), Bound::Included(key) | Bound::Excluded(key))
                if key < bound.as_slice() =>
            {
                Bound::Included(bound.as_slice())
            }
            _ => from,
        }
    }

    /// The key below which the next commit deletes.
    pub(super) fn cut_off(&self) -> Option<&[u8]> {
        self.bound.as_deref().filter(|_| self.truncates)
    }

    pub(super) fn truncate(&mut self, before: &[u8]) {
        let bound = self.bound.get_or_insert_default();
        if bound.as_slice() < before {
            bound.clear();
            bound.extend_from_slice(before);
            self.truncates = true;
        }
    }

    /// The puts that a commit writes.
    pub(super) fn to_write(&self) -> Vec<(&[u8], Option<&[u8]>)> {
        match &self.bound {
            Some(bound) => self.buffer.sorted_from(bound),
            None => self.buffer.sorted(),
        }
    }

    /// Advances the store's own time; what expires by that is cut off.
    fn observe(&mut self, segments: Segments, time: Timestamp) {
        if time > self.mark.observed {
            self.mark.observed = time;
            self.expire(segments);
        }
    }

    fn expire(&mut self, segments: Segments) {
        if let Some(bound) = segments.bound(self.mark.observed, self.held) {
            self.truncate(&bound);
        }
    }

    /// What a changelog's records are in the store: by local keys, without those that have expired. `None` if the store has no
    /// windows and takes them as they are.
    pub(super) fn take_from_changelog(
        &mut self,
        entries: &mut [(&[u8], Option<&[u8]>)],
    ) -> Option<LocalEntries> {
        let segments = self.segments?;
        let times = entries
            .iter()
            .filter(|(_, value)| value.is_some() || !segments.ignores_nulls())
            .map(|(key, _)| segments.time(key));
        if let Some(latest) = times.max() {
            self.observe(segments, latest);
        }
        if let (SegmentKey::Window, Some((key, _))) = (segments.key(), entries.last()) {
            self.mark.sequence = sequence(key);
        }
        let mut all = LocalEntries::default();
        let mut local = Vec::new();
        for (key, value) in entries {
            segments.local(key, &mut local);
            let time = segments.time(key);
            if time >= self.held || segments.keeps(time, self.mark.observed) {
                all.0.push((local.as_slice().into(), value.map(Into::into)));
            }
        }
        Some(all)
    }
}

/// A window's sequence number.
fn sequence(store_key: &[u8]) -> i32 {
    let last = store_key.last_chunk().copied();
    last.map_or(0, i32::from_be_bytes)
}

/// A changelog's records by local keys.
#[derive(Debug, Default)]
pub(super) struct LocalEntries(Vec<LocalEntry>);

/// A key and its value; `None` deletes it.
type LocalEntry = (Box<[u8]>, Option<Box<[u8]>>);

impl LocalEntries {
    pub(super) fn entries(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.0.iter().map(|(key, value)| (&**key, value.as_deref()))
    }
}

impl TaskStores {
    /// How a store keeps its entries, if it is a window or session store.
    #[must_use]
    pub fn segments(&self, store: usize) -> Option<Segments> {
        self.stores.get(store)?.segments
    }

    /// The largest timestamp that was written to a window or session store; -1 before the first.
    #[must_use]
    pub fn observed(&self, store: usize) -> Timestamp {
        self.stores.get(store).map_or(-1, |s| s.mark.observed)
    }

    /// Keeps windows of this time and later, expired or not, until told a later time: they are still to be emitted.
    ///
    /// # Errors
    /// When there is no such store.
    pub fn hold(&mut self, store: usize, from: Timestamp) -> Result<(), StoreError> {
        let Some(of) = self.stores.get_mut(store) else {
            return Err(StoreError::UnknownStore { store });
        };
        of.held = from;
        if let Some(segments) = of.segments {
            of.expire(segments);
        }
        Ok(())
    }

    /// The next sequence number of a store that keeps duplicates.
    ///
    /// # Errors
    /// When there is no such store.
    pub fn next_sequence(&mut self, store: usize) -> Result<i32, StoreError> {
        let Some(of) = self.stores.get_mut(store) else {
            return Err(StoreError::UnknownStore { store });
        };
        of.mark.sequence = of.mark.sequence.wrapping_add(1) & i32::MAX;
        Ok(of.mark.sequence)
    }

    /// The value under a local key, unless it has expired.
    ///
    /// # Errors
    /// As [`TaskStores::get`].
    #[inline]
    pub fn get_unexpired(
        &mut self,
        store: usize,
        local: &[u8],
    ) -> Result<Option<&[u8]>, StoreError> {
        let (segments, observed) = self.of_segments(store)?;
        let time = segments.time(local.get(SEGMENT..).unwrap_or_default());
        if time < segments.visible_from(observed) {
            return Ok(None);
        }
        self.get(store, local)
    }

    /// Puts an entry under its local key; `None` deletes it. Advances the store's own time.
    ///
    /// # Errors
    /// As [`TaskStores::put`].
    #[inline]
    pub fn put_segmented(
        &mut self,
        store: usize,
        local: &[u8],
        value: Option<&[u8]>,
    ) -> Result<Stored, StoreError> {
        let (segments, _) = self.of_segments(store)?;
        // A key that is refused moves no time.
        self.check_key(store, local)?;
        let Some(of) = self.stores.get_mut(store) else {
            return Err(StoreError::UnknownStore { store });
        };
        let time = segments.time(local.get(SEGMENT..).unwrap_or_default());
        of.observe(segments, time);
        if !segments.keeps(time, of.mark.observed) {
            return Ok(Stored::Expired);
        }
        self.put(store, local, value).map(|()| Stored::Kept)
    }

    /// What a null does to a store that keeps duplicates: it deletes nothing, but where the store lies in memory it advances the
    /// store's own time, and may have expired.
    ///
    /// # Errors
    /// When there is no such store.
    pub fn observe_null(&mut self, store: usize, time: Timestamp) -> Result<Stored, StoreError> {
        let (segments, _) = self.of_segments(store)?;
        let Some(of) = self
            .stores
            .get_mut(store)
            .filter(|_| segments.forgets_singly())
        else {
            return Ok(Stored::Kept);
        };
        of.observe(segments, time);
        Ok(if segments.keeps(time, of.mark.observed) {
            Stored::Kept
        } else {
            Stored::Expired
        })
    }

    /// Shows what is asked for of a window or session store, as of the last put, with its store keys.
    ///
    /// # Errors
    /// When it is none, or its file is damaged.
    pub fn scan(
        &mut self,
        store: usize,
        scan: &Scan<'_>,
        visit: Visit<'_>,
    ) -> Result<(), StoreError> {
        let (segments, observed) = self.of_segments(store)?;
        let visible_from = segments.visible_from(observed);
        self.scan_from(store, segments, &scan.until(observed), visible_from, visit)
    }

    /// As [`TaskStores::scan`], with what has expired and is still held.
    ///
    /// # Errors
    /// As [`TaskStores::scan`].
    pub fn scan_held(
        &mut self,
        store: usize,
        scan: &Scan<'_>,
        visit: Visit<'_>,
    ) -> Result<(), StoreError> {
        let (segments, observed) = self.of_segments(store)?;
        let held = self.stores.get(store).map_or(Timestamp::MAX, |s| s.held);
        let visible_from = segments.visible_from(observed).min(held);
        self.scan_from(store, segments, &scan.until(observed), visible_from, visit)
    }

    fn scan_from(
        &mut self,
        store: usize,
        segments: Segments,
        scan: &Scan<'_>,
        visible_from: Timestamp,
        visit: Visit<'_>,
    ) -> Result<(), StoreError> {
        let times = (scan.from.max(visible_from), scan.to);
        if let Keys::One(key) = scan.keys
            && let Some(of) = self.stores.get(store)
            // Of later times nothing is committed.
            && times.0.max(0) > of.committed.observed
        {
            let buffered = of.buffer.times_of_key(key, times, scan.direction);
            for (local, value) in buffered {
                let store_key = local.get(SEGMENT..).unwrap_or_default();
                if let Some(value) = value
                    && !of.is_cut_off(local)
                    && segments.wants(scan, visible_from, store_key)
                    && visit(store_key, value).is_break()
                {
                    break;
                }
            }
            return Ok(());
        }
        let read = &mut |from: Bound<&[u8]>, to: Bound<&[u8]>, direction, visit: Visit<'_>| {
            if is_empty(from, to) {
                return Ok(());
            }
            // Ranges are short, and often empty: one look at the next entry costs less than a search for the range's end.
            let end = match direction {
                Direction::Forward => Bound::Unbounded,
                Direction::Backward => to,
            };
            let range = match scan.keys {
                Keys::One(key) => self.range_of_key(store, key, from, end, direction)?,
                _ => self.range(store, from, end, direction)?,
            };
            for entry in range {
                let (key, value) = entry?;
                let is_behind = match to {
                    Bound::Included(to) => key > to,
                    Bound::Excluded(to) => key >= to,
                    Bound::Unbounded => false,
                };
                if is_behind || visit(key, value).is_break() {
                    break;
                }
            }
            Ok(())
        };
        segments.scan(scan, visible_from, read, visit)
    }

    fn of_segments(&self, store: usize) -> Result<(Segments, Timestamp), StoreError> {
        match self.stores.get(store) {
            Some(Store {
                segments: Some(segments),
                mark,
                ..
            }) => Ok((*segments, mark.observed)),
            _ => Err(StoreError::UnknownStore { store }),
        }
    }
}

#[cfg(test)]
mod tests;
