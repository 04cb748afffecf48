//! Stores whose rows are not their changelog's records: what the records say is done again, one after the other.

use crate::record::TopicPartition;
use crate::store::{
    BufferedContext, History, JoinBuffer, Logged, StoreError, SuppressBuffer, TaskStores,
    VersionedRows,
};
use crate::topology::StoreKind;
use crate::transport::ConsumedRecord;

/// What went wrong, and at which record's offset, if it is the record's fault.
pub(super) type Refused = (Option<i64>, StoreError);

/// Whether the records of a store's changelog are replayed, and not written as they are.
pub(super) fn is_replayed(kind: StoreKind) -> bool {
    matches!(
        kind,
        StoreKind::Versioned { .. } | StoreKind::JoinBuffer { .. } | StoreKind::SuppressBuffer
    )
}

/// Replays records of a changelog, and commits what becomes of them with the offset after them.
pub(super) fn replay(
    stores: &mut TaskStores,
    store: usize,
    kind: StoreKind,
    topic: &TopicPartition,
    records: &[ConsumedRecord],
    next_offset: i64,
) -> Result<(), Refused> {
    let replayed = match kind {
        StoreKind::Versioned { retention } => {
            versioned(stores, store, History { retention }, records)
        }
        StoreKind::JoinBuffer { grace } => join_buffer(stores, store, grace, records),
        StoreKind::SuppressBuffer => suppress_buffer(stores, store, topic, records),
        _ => Ok(()),
    };
    if let Err(refused) = replayed {
        stores.abort();
        return Err(refused);
    }
    let mut checkpoint = stores.checkpoint().clone();
    checkpoint.set_changelog_offset(store, Some(next_offset));
    stores.commit(checkpoint).map_err(|e| (None, e))
}

fn versioned(
    stores: &mut TaskStores,
    store: usize,
    history: History,
    records: &[ConsumedRecord],
) -> Result<(), Refused> {
    let mut rows = VersionedRows::new(history);
    for record in records {
        let Some(key) = record.key.as_deref() else {
            continue;
        };
        let put = rows.put(
            stores,
            store,
            key,
            record.value.as_deref(),
            record.timestamp,
        );
        put.map_err(|e| at(record, e))?;
    }
    Ok(())
}

fn join_buffer(
    stores: &mut TaskStores,
    store: usize,
    grace: i64,
    records: &[ConsumedRecord],
) -> Result<(), Refused> {
    let mut buffer = JoinBuffer::new(grace);
    for record in records {
        if let Some(row) = record.key.as_deref() {
            let restored = buffer.restore(stores, store, row, record.value.as_deref());
            restored.map_err(|e| at(record, e))?;
        }
    }
    Ok(())
}

fn suppress_buffer(
    stores: &mut TaskStores,
    store: usize,
    topic: &TopicPartition,
    records: &[ConsumedRecord],
) -> Result<(), Refused> {
    let mut buffer = SuppressBuffer::default();
    for record in records {
        let Some(key) = record.key.as_deref() else {
            continue;
        };
        let version = record.headers.last("v").and_then(|v| v.value.as_deref());
        let logged = Logged {
            version,
            value: record.value.as_deref(),
            record: BufferedContext {
                timestamp: record.timestamp,
                offset: record.offset,
                topic: &topic.topic,
                partition: topic.partition,
                headers: record.headers.clone(),
            },
        };
        let restored = buffer.restore(stores, store, key, logged);
        restored.map_err(|e| at(record, e))?;
    }
    Ok(())
}

/// A key that does not fit, or a value of no known format, is the record's fault, all else is not.
fn at(record: &ConsumedRecord, e: StoreError) -> Refused {
    let is_the_records = matches!(
        e,
        StoreError::KeyTooLong { .. } | StoreError::Malformed { .. }
    );
    let offset = is_the_records.then_some(record.offset);
    (offset, e)
}
