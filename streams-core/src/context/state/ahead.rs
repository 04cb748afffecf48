//! Looks ahead: what the stores of a task will need for records that come soon is brought close, so that the records' waits for memory
//! overlap. A look-up by itself waits at each step: hash table, entry, value, the cache's lists.

use crate::context::TaskContext;
use crate::record::Timestamp;
use crate::store::AHEAD;
use crate::topology::StoreKind;

/// Of more stores, a record hardly asks each.
const FEW: usize = 4;

impl TaskContext {
    /// Records of these keys and times come soon; of more than [`AHEAD`] only the first count. Changes nothing: a guess about what is
    /// asked for, which may be wrong.
    pub(crate) fn look_ahead(&mut self, coming: &[(&[u8], Timestamp)]) {
        let mut keys = [&[][..]; AHEAD];
        for (to, (key, _)) in keys.iter_mut().zip(coming) {
            *to = key;
        }
        let keys = keys.get(..coming.len()).unwrap_or(&keys);
        let (stores, cache) = (&self.state.stores, &self.state.cache);
        for (store, slot) in self.state.slots.iter().enumerate().take(FEW) {
            if slot.versions.is_some() || slot.buffer.is_some() {
                continue;
            }
            let are_cached = match (slot.segments, slot.kind) {
                _ if !slot.cached || !cache.is_far(store) => [false; AHEAD],
                (None, _) => cache.look_ahead(store, keys),
                (Some(segments), StoreKind::TimestampedWindow { size_ms, .. }) => {
                    let bytes = &mut self.scratch.ahead;
                    bytes.clear();
                    let mut ends = [0; AHEAD];
                    for (end, (key, time)) in ends.iter_mut().zip(coming) {
                        segments.append_tumbling(key, *time, size_ms, bytes);
                        *end = bytes.len();
                    }
                    let mut windows = [&[][..]; AHEAD];
                    let mut start = 0;
                    for (to, end) in windows.iter_mut().zip(ends) {
                        *to = bytes.get(start..end).unwrap_or_default();
                        start = end;
                    }
                    cache.look_ahead(store, windows.get(..keys.len()).unwrap_or(&windows))
                }
                (Some(_), _) => [false; AHEAD],
            };
            let mut others = [&[][..]; AHEAD];
            let mut count = 0;
            let not_cached = keys.iter().zip(are_cached).filter(|(_, cached)| !cached);
            for (to, (key, _)) in others.iter_mut().zip(not_cached) {
                *to = key;
                count += 1;
            }
            stores.look_ahead(store, others.get(..count).unwrap_or_default());
        }
    }
}
