//! Stores whose rows are not their changelog's records: what the records say is done again, one after the other.

use crate::store::{History, StoreError, TaskStores, VersionedRows};
use crate::topology::StoreKind;
use crate::transport::ConsumedRecord;

/// What went wrong, and at which record's offset, if it is the record's fault.
pub(super) type Refused = (Option<i64>, StoreError);

/// Whether the records of a store's changelog are replayed, and not written as they are.
pub(super) fn is_replayed(kind: StoreKind) -> bool {
    matches!(kind, StoreKind::Versioned { .. })
}

/// Replays records of a changelog, and commits what becomes of them with the offset after them.
pub(super) fn replay(
    stores: &mut TaskStores,
    store: usize,
    kind: StoreKind,
    records: &[ConsumedRecord],
    next_offset: i64,
) -> Result<(), Refused> {
    let replayed = match kind {
        StoreKind::Versioned { retention } => {
            versioned(stores, store, History { retention }, records)
        }
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

/// A key that does not fit is the record's fault, all else is not.
fn at(record: &ConsumedRecord, e: StoreError) -> Refused {
    let offset = matches!(e, StoreError::KeyTooLong { .. }).then_some(record.offset);
    (offset, e)
}
