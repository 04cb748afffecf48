//! Records that wait in a task's stores: those of a stream for a table (a join with a grace), and updates that a suppression
//! holds back. A record that leaves is forwarded first and removed afterwards, and until then the context is its own.

use std::ops::Range;

use super::State;
use crate::context::TaskContext;
use crate::error::{TaskError, TaskFailure, TaskResult};
use crate::generated::unknown_store;
use crate::outbox::Outgoing;
use crate::record::{Header, Headers, RecordMetadata, Timestamp, TopicPartition};
use crate::store::{
    BufferValue, Buffered, BufferedContext, JoinBuffer, StoreError, SuppressBuffer, Totals,
    logged_key,
};
use crate::topology::StoreKind;

/// A buffer's rows, and the record that is leaving.
#[derive(Debug)]
pub(super) struct Slot {
    rows: Rows,
    leaving: Option<RecordMetadata>,
    /// The key of the row of what is leaving.
    row: Vec<u8>,
}

#[derive(Debug)]
enum Rows {
    Join(JoinBuffer),
    Suppress(SuppressBuffer),
}

impl Slot {
    pub(super) fn of(kind: StoreKind) -> Option<Slot> {
        let rows = match kind {
            StoreKind::JoinBuffer { grace } => Rows::Join(JoinBuffer::new(grace)),
            StoreKind::SuppressBuffer => Rows::Suppress(SuppressBuffer::default()),
            _ => return None,
        };
        Some(Slot {
            rows,
            leaving: None,
            row: Vec::new(),
        })
    }

    pub(super) fn forget(&mut self) {
        self.leaving = None;
        match &mut self.rows {
            Rows::Join(buffer) => buffer.forget(),
            Rows::Suppress(buffer) => buffer.forget(),
        }
    }
}

/// A record that leaves a buffer: its key is in `scratch.key`, its values are these parts of `scratch.value`.
#[derive(Debug, Clone)]
pub(crate) struct Leaving {
    pub(crate) timestamp: Timestamp,
    pub(crate) headers: Headers,
    pub(crate) old: Option<Range<usize>>,
    pub(crate) new: Option<Range<usize>>,
}

/// What may stay in a suppression's buffer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Updates up to this buffer time leave.
    pub(crate) until: Timestamp,
    pub(crate) max_records: u64,
    pub(crate) max_bytes: u64,
    /// Whether a buffer beyond its bounds is an error; otherwise updates leave early.
    pub(crate) strict: bool,
    /// Whether a tombstone leaves without being forwarded: nobody knows of the key.
    pub(crate) drops_tombstones: bool,
}

impl TaskContext {
    /// Puts the record whose bytes are in `scratch` into a join's buffer; `false` if it is so late that it waits for nothing.
    pub(crate) fn join_buffer_put(
        &mut self,
        store: usize,
        timestamp: Timestamp,
        headers: &Headers,
    ) -> TaskResult<bool> {
        let topic = topic_name(&self.topics, &self.dynamic_topics, self.metadata.topic);
        let context = BufferedContext {
            timestamp,
            offset: self.metadata.offset,
            topic,
            partition: self.metadata.partition,
            headers: headers.clone(),
        };
        let value = BufferValue {
            context,
            prior: None,
            old: None,
            new: Some(&self.scratch.value),
        };
        let State { slots, stores, .. } = &mut self.state;
        let Some(slot) = slots.get_mut(store) else {
            return Err(unknown_store(store));
        };
        let Some(Slot {
            rows: Rows::Join(buffer),
            ..
        }) = slot.buffer.as_deref_mut()
        else {
            return Err(no_buffer(slot.name));
        };
        match buffer.put(stores, store, &self.scratch.key, &value) {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(e) => return Err(failed(slot.name, e)),
        }
        if let Some(topic) = slot.changelog {
            let value = buffer.logged_value().len();
            self.outbox.push(Outgoing {
                topic,
                partition: Some(self.task.partition),
                key: Some(buffer.row_key()),
                value: buffer.row_value().get(..value),
                timestamp: None,
                headers: super::NO_HEADERS,
            });
        }
        Ok(true)
    }

    /// Removes what left a join's buffer last, and finds what leaves next.
    pub(crate) fn join_buffer_next(&mut self, store: usize) -> TaskResult<Option<Leaving>> {
        let State { slots, stores, .. } = &mut self.state;
        let Some(slot) = slots.get_mut(store) else {
            return Err(unknown_store(store));
        };
        let name = slot.name;
        let Some(Slot {
            rows: Rows::Join(buffer),
            leaving,
            row,
        }) = slot.buffer.as_deref_mut()
        else {
            return Err(no_buffer(name));
        };
        if let Some(before) = leaving.take() {
            self.metadata = before;
            buffer
                .remove(stores, store, row)
                .map_err(|e| failed(name, e))?;
            if let Some(topic) = slot.changelog {
                self.outbox.push(Outgoing {
                    topic,
                    partition: Some(self.task.partition),
                    key: Some(row),
                    value: None,
                    timestamp: None,
                    headers: super::NO_HEADERS,
                });
            }
        }
        if !buffer
            .find_due(stores, store)
            .map_err(|e| failed(name, e))?
        {
            return Ok(None);
        }
        row.clear();
        row.extend_from_slice(buffer.row_key());
        let (key, value) = buffer.record().map_err(|e| failed(name, e))?;
        *leaving = Some(self.metadata);
        self.metadata = metadata(&self.topics, &self.dynamic_topics, &value.context);
        Ok(Some(load(&mut self.scratch, key, &value)))
    }

    /// Puts the update whose bytes are in `scratch` into a suppression's buffer.
    pub(crate) fn suppress_put(
        &mut self,
        store: usize,
        time: Timestamp,
        update: &Leaving,
    ) -> TaskResult {
        let topic = topic_name(&self.topics, &self.dynamic_topics, self.metadata.topic);
        let part = |range: &Option<Range<usize>>| self.scratch.value.get(range.clone()?);
        let buffered = Buffered {
            context: BufferedContext {
                timestamp: update.timestamp,
                offset: self.metadata.offset,
                topic,
                partition: self.metadata.partition,
                headers: update.headers.clone(),
            },
            old: part(&update.old),
            new: part(&update.new),
        };
        let State { slots, stores, .. } = &mut self.state;
        let Some(slot) = slots.get_mut(store) else {
            return Err(unknown_store(store));
        };
        let Some(Slot {
            rows: Rows::Suppress(buffer),
            ..
        }) = slot.buffer.as_deref_mut()
        else {
            return Err(no_buffer(slot.name));
        };
        buffer
            .put(stores, store, time, &self.scratch.key, buffered)
            .map_err(|e| failed(slot.name, e))
    }

    /// What the key in `scratch.key` had before an update of it began to wait in a suppression; the outer `None` where none waits.
    pub(crate) fn suppress_prior(&mut self, store: usize) -> TaskResult<Option<Option<&[u8]>>> {
        let State { slots, stores, .. } = &mut self.state;
        let Some(slot) = slots.get_mut(store) else {
            return Err(unknown_store(store));
        };
        let Some(Slot {
            rows: Rows::Suppress(buffer),
            ..
        }) = slot.buffer.as_deref_mut()
        else {
            return Err(no_buffer(slot.name));
        };
        buffer
            .prior(stores, store, &self.scratch.key)
            .map_err(|e| failed(slot.name, e))
    }

    /// Removes what left a suppression's buffer last, and finds what leaves next.
    pub(crate) fn suppress_next(
        &mut self,
        store: usize,
        node: &'static str,
        limits: Limits,
    ) -> TaskResult<Option<Leaving>> {
        let State { slots, stores, .. } = &mut self.state;
        let Some(slot) = slots.get_mut(store) else {
            return Err(unknown_store(store));
        };
        let name = slot.name;
        let Some(Slot {
            rows: Rows::Suppress(buffer),
            leaving,
            row,
        }) = slot.buffer.as_deref_mut()
        else {
            return Err(no_buffer(name));
        };
        loop {
            if let Some(before) = leaving.take() {
                self.metadata = before;
                buffer
                    .remove(stores, store, row)
                    .map_err(|e| failed(name, e))?;
            }
            let totals = buffer.totals(stores, store).map_err(|e| failed(name, e))?;
            let full = totals.records > limits.max_records || totals.bytes > limits.max_bytes;
            if totals.first > limits.until && full && limits.strict {
                let record = self.metadata;
                let topic = topic_name(&self.topics, &self.dynamic_topics, record.topic);
                let partition = TopicPartition::new(topic, record.partition);
                return Err(overfull(node, totals, limits, partition, record.offset));
            }
            if totals.records == 0 || totals.first > limits.until && !full {
                return Ok(None);
            }
            let Some((key, value)) = buffer.first(stores, store).map_err(|e| failed(name, e))?
            else {
                return Ok(None);
            };
            row.clear();
            row.extend_from_slice(key);
            *leaving = Some(self.metadata);
            if value.new.is_none() && limits.drops_tombstones {
                continue;
            }
            self.metadata = metadata(&self.topics, &self.dynamic_topics, &value.context);
            return Ok(Some(load(&mut self.scratch, key, &value)));
        }
    }

    /// Before a commit: each key that a suppression touched since the last one is logged, once, as it is now.
    pub(super) fn log_buffers(&mut self) -> TaskResult {
        let State { slots, stores, .. } = &self.state;
        for (store, slot) in slots.iter().enumerate() {
            let suppresses = matches!(
                slot.buffer.as_deref(),
                Some(Slot {
                    rows: Rows::Suppress(_),
                    ..
                })
            );
            let (true, Some(topic)) = (suppresses, slot.changelog) else {
                continue;
            };
            let format = format_3();
            for (row, value) in stores.uncommitted(store) {
                let Some(key) = logged_key(row) else { continue };
                self.outbox.push(Outgoing {
                    topic,
                    partition: Some(self.task.partition),
                    key: Some(key),
                    value,
                    timestamp: None,
                    headers: match value {
                        Some(_) => &format,
                        None => super::NO_HEADERS,
                    },
                });
            }
        }
        Ok(())
    }

    /// How many records wait in a buffer, and before which time there are none.
    pub(crate) fn buffer_content(&mut self, store: usize) -> TaskResult<Option<(u64, Timestamp)>> {
        let State { slots, stores, .. } = &mut self.state;
        let Some(slot) = slots.get_mut(store) else {
            return Err(unknown_store(store));
        };
        let name = slot.name;
        let content = match slot.buffer.as_deref_mut().map(|buffer| &mut buffer.rows) {
            None => return Ok(None),
            Some(Rows::Join(buffer)) => buffer.content(stores, store),
            Some(Rows::Suppress(buffer)) => buffer
                .totals(stores, store)
                .map(|totals| (totals.records, totals.first)),
        };
        content.map(Some).map_err(|e| failed(name, e))
    }
}

/// The header of what a suppression logs: the third format of its values.
fn format_3() -> Headers {
    let header = Header {
        key: "v".to_owned(),
        value: Some(bytes::Bytes::from_static(&[3])),
    };
    std::iter::once(header).collect()
}

fn load(scratch: &mut crate::context::Scratch, key: &[u8], value: &BufferValue<'_>) -> Leaving {
    scratch.key.clear();
    scratch.key.extend_from_slice(key);
    scratch.value.clear();
    let mut part = |bytes: Option<&[u8]>| {
        let bytes = bytes?;
        let start = scratch.value.len();
        scratch.value.extend_from_slice(bytes);
        Some(start..scratch.value.len())
    };
    Leaving {
        timestamp: value.context.timestamp,
        headers: value.context.headers.clone(),
        old: part(value.old),
        new: part(value.new),
    }
}

type Names = [std::sync::Arc<str>];

fn topic_name<'n>(listed: &'n Names, chosen: &'n Names, topic: usize) -> &'n str {
    let name = listed
        .get(topic)
        .or_else(|| chosen.get(topic.checked_sub(listed.len())?));
    name.map_or("", |name| name)
}

fn metadata(listed: &Names, chosen: &Names, context: &BufferedContext<'_>) -> RecordMetadata {
    let mut names = listed.iter().chain(chosen);
    let topic = names.position(|name| **name == *context.topic);
    RecordMetadata {
        // One that an earlier version of the topology read.
        topic: topic.unwrap_or(usize::MAX),
        partition: context.partition,
        offset: context.offset,
    }
}

#[cold]
fn no_buffer(store: &str) -> TaskError {
    TaskFailure::Internal(format!("store {store} is no such buffer")).into()
}

#[cold]
fn overfull(
    node: &'static str,
    totals: Totals,
    limits: Limits,
    partition: TopicPartition,
    offset: i64,
) -> TaskError {
    TaskFailure::SuppressBufferFull {
        node,
        partition,
        offset,
        records: totals.records,
        max_records: limits.max_records,
        bytes: totals.bytes,
        max_bytes: limits.max_bytes,
    }
    .into()
}

#[cold]
fn failed(store: &str, reason: StoreError) -> TaskError {
    TaskFailure::Store {
        store: store.to_owned(),
        reason: Box::new(reason),
    }
    .into()
}
