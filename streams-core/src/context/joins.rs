//! What joins of streams need of the context: when they may look for records whose window closed without a partner, the store of
//! those records, and the window stores that keep several records of one key and time. All as bytes.

use std::ops::{Bound, ControlFlow};
use std::time::Duration;

use crate::context::TaskContext;
use crate::context::state::NO_HEADERS;
use crate::error::TaskResult;
use crate::generated::unknown_store;
use crate::outbox::Outgoing;
use crate::query::{Keys, Scan};
use crate::record::{Headers, Timestamp};
use crate::store::{Direction, SEGMENT, Stored};

impl TaskContext {
    /// How often joins look for records whose window closed without a partner, by the wall clock.
    pub fn set_join_emit_interval(&mut self, interval: Duration) {
        self.join_emit_interval_ms = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX);
    }

    /// Whether a join may look for such records now; if so, not again before the interval has passed.
    pub(crate) fn may_search(&mut self, slot: usize) -> bool {
        self.is_due(slot, self.join_emit_interval_ms)
    }

    /// The records without partner of a time, side and key.
    pub(crate) fn unmatched_get(&mut self, store: usize, key: &[u8]) -> TaskResult<Option<&[u8]>> {
        // Twice, because the first answer must not borrow what the error needs.
        match self.state.stores.get(store, key) {
            Ok(None) => return Ok(None),
            Err(e) => return Err(self.state.error(store, e)),
            Ok(Some(_)) => {}
        }
        Ok(self.state.stores.get(store, key).unwrap_or_default())
    }

    /// Puts records without partner, or deletes them, and logs that with the time of the record that caused it.
    pub(crate) fn unmatched_put(
        &mut self,
        store: usize,
        key: &[u8],
        list: Option<&[u8]>,
        timestamp: Timestamp,
    ) -> TaskResult {
        let logged = (timestamp, NO_HEADERS);
        self.state
            .write(store, key, list, logged, self.task, &mut self.outbox)
            .map(drop)
    }

    /// Shows records without partner, in the order of their times, until `look` has seen enough.
    pub(crate) fn unmatched_scan(
        &mut self,
        store: usize,
        from: Bound<&[u8]>,
        mut look: impl FnMut(&[u8], &[u8]) -> bool,
    ) -> TaskResult {
        let range = self
            .state
            .stores
            .range(store, from, Bound::Unbounded, Direction::Forward);
        let shown = range.and_then(|range| {
            for entry in range {
                let (key, list) = entry?;
                if !look(key, list) {
                    break;
                }
            }
            Ok(())
        });
        shown.map_err(|e| self.state.error(store, e))
    }

    /// Puts a record into a window store that keeps several of one key and time. A null value is logged, and stored nowhere.
    pub(crate) fn window_put(
        &mut self,
        store: usize,
        key: &[u8],
        timestamp: Timestamp,
        value: Option<&[u8]>,
        headers: &Headers,
    ) -> TaskResult {
        let Some(slot) = self.state.slots.get(store) else {
            return Err(unknown_store(store));
        };
        let (Some(segments), changelog) = (slot.segments, self.state.changelog(store)) else {
            return Err(unknown_store(store));
        };
        let sequence = match self.state.stores.next_sequence(store) {
            Ok(sequence) => sequence,
            Err(e) => return Err(self.state.error(store, e)),
        };
        let local = &mut self.scratch.key;
        local.clear();
        local.extend_from_slice(&[0; SEGMENT]);
        local.extend_from_slice(key);
        local.extend_from_slice(&timestamp.to_be_bytes());
        local.extend_from_slice(&sequence.to_be_bytes());
        let prefix = segments.prefix_of(local.get(SEGMENT..).unwrap_or_default());
        if let Some(to) = local.first_chunk_mut::<SEGMENT>() {
            *to = prefix;
        }
        let put = match value {
            Some(_) => self.state.stores.put_segmented(store, local, value),
            // As Kafka Streams' stores in memory do, and those on disk do not, a null moves the store's time.
            None => self.state.stores.observe_null(store, timestamp),
        };
        let put = match put {
            Ok(put) => put,
            Err(e) => return Err(self.state.error(store, e)),
        };
        if let Some(topic) = changelog {
            self.outbox.push(Outgoing {
                topic,
                partition: Some(self.task.partition),
                key: self.scratch.key.get(SEGMENT..),
                value,
                timestamp: Some(timestamp),
                headers,
            });
        }
        if put == Stored::Expired {
            self.drop_record("its window has expired in the store");
        }
        Ok(())
    }

    /// Shows the records of a key between two times, with their times: in the order of time, then of arrival.
    pub(crate) fn window_fetch(
        &mut self,
        store: usize,
        key: &[u8],
        from: Timestamp,
        to: Timestamp,
        mut found: impl FnMut(Timestamp, &[u8]),
    ) -> TaskResult {
        let scan = Scan::between(Keys::One(key), from, to);
        let suffix = key.len();
        let fetched = self
            .state
            .stores
            .scan(store, &scan, &mut |store_key, value| {
                let time = store_key.get(suffix..).and_then(<[u8]>::first_chunk);
                found(
                    time.map_or(0, |time| Timestamp::from_be_bytes(*time)),
                    value,
                );
                ControlFlow::Continue(())
            });
        fetched.map_err(|e| self.state.error(store, e))
    }
}
