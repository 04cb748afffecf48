//! Layer 2. Compaction and retention: a bounded step after each commit, so that no commit waits long for the cleaning.
//!
//! Compaction works in passes, as Kafka's cleaner does. A pass first reads what came since the last one and notes each key's
//! last offset; then it goes through the partition from the start and drops what has a later record of the same key.
//! Offsets stay. A tombstone stays for `delete.retention.ms` from the pass that met it first, so that a reader who saw the
//! older value sees it too; since passes go upwards, what it deletes is gone before it is. A pass lives in memory: one
//! that a crash ended is begun anew, and what it did until then was right.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use rustc_hash::FxHashMap;

use super::batch::{self, Candidate, Rewriter};
use super::log::{Append, Log, PartitionId, PartitionState, Stored};
use super::storage::Table;
use super::topic::Topic;
use crate::transport::TransportError;

type Result<T> = std::result::Result<T, TransportError>;

/// A pass begins once this much came that was not compacted (or a segment's size, if the topic sets a smaller one), and …
const DIRTY_BYTES: u64 = 16 << 20;
/// … at least this part of the partition is not compacted (Kafka's `min.cleanable.dirty.ratio`).
const DIRTY_RATIO: f64 = 0.5;
/// A step reads about so much.
const STEP_BYTES: usize = 1 << 20;
/// The keys of a pass take about so much memory; the pass ends where they would take more.
const MAX_KEY_BYTES: usize = 64 << 20;
/// What a key takes besides its bytes.
const KEY_OVERHEAD: usize = 48;
/// A step of retention deletes so many batches.
const STEP_BATCHES: usize = 1024;

/// Passes in progress.
#[derive(Debug, Default)]
pub(super) struct Cleaner {
    passes: BTreeMap<PartitionId, Pass>,
}

#[derive(Debug)]
struct Pass {
    /// Each key's last offset in what is being compacted.
    last: FxHashMap<Box<[u8]>, i64>,
    key_bytes: usize,
    phase: Phase,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// Notes keys, from here on.
    Noting(i64),
    /// Drops records, from here to there.
    Dropping(i64, i64),
}

impl Cleaner {
    /// Does a bounded step for a partition that was just written, and is now in `state`.
    pub(super) fn step(
        &mut self,
        log: &Log,
        append: &Append,
        state: PartitionState,
        now: i64,
    ) -> Result<()> {
        let topic = &append.topic;
        if topic.settings.delete {
            retain(log, topic, append.id(), state, now)?;
        }
        if topic.settings.compact {
            self.compact(log, topic, append.id(), state, now)?;
        }
        Ok(())
    }

    fn compact(
        &mut self,
        log: &Log,
        topic: &Topic,
        id: PartitionId,
        state: PartitionState,
        now: i64,
    ) -> Result<()> {
        let pass = match self.passes.get_mut(&id) {
            Some(pass) => pass,
            None => {
                // A topic with small segments wants small passes.
                let enough = topic
                    .settings
                    .segment_bytes
                    .map_or(DIRTY_BYTES, |n| n.min(DIRTY_BYTES));
                if state.dirty_bytes < enough || !is_dirty(state, topic.settings.dirty_ratio) {
                    return Ok(());
                }
                self.passes.entry(id).or_insert(Pass {
                    last: FxHashMap::default(),
                    key_bytes: 0,
                    phase: Phase::Noting(state.compacted_to.max(state.start)),
                })
            }
        };
        let done = match pass.phase {
            Phase::Noting(from) => pass.note(log, topic, id, from, now)?,
            Phase::Dropping(from, to) => pass.drop_superseded(log, topic, id, from, to, now)?,
        };
        if done {
            self.passes.remove(&id);
        }
        Ok(())
    }
}

fn is_dirty(state: PartitionState, ratio: Option<f64>) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "a ratio need not be exact")]
    let part = state.dirty_bytes as f64 / state.bytes.max(1) as f64;
    part >= ratio.unwrap_or(DIRTY_RATIO)
}

impl Pass {
    /// Notes the keys of the next batches. Tells whether the pass is over.
    fn note(
        &mut self,
        log: &Log,
        topic: &Topic,
        id: PartitionId,
        from: i64,
        now: i64,
    ) -> Result<bool> {
        let (state, batches) = log.storage.read(|r| {
            let state = log.state(r, id)?;
            Ok((
                state,
                log.batches_of_size(r, id, from.max(state.start), state.end, STEP_BYTES)?,
            ))
        })?;
        let mut at = if batches.is_empty() { state.end } else { from };
        let mut whole = true;
        for stored in &batches {
            let too_young = topic.settings.min_compaction_lag_ms > 0
                && stored.info.max_timestamp
                    > now.saturating_sub(topic.settings.min_compaction_lag_ms);
            if too_young || self.key_bytes > MAX_KEY_BYTES {
                whole = false;
                break;
            }
            batch::for_each(stored.base, &stored.bytes, |record| {
                if let Some(key) = record.key {
                    match self.last.get_mut(key) {
                        Some(offset) => *offset = record.offset,
                        None => {
                            self.key_bytes += key.len() + KEY_OVERHEAD;
                            self.last.insert(key.into(), record.offset);
                        }
                    }
                }
            })
            .map_err(|e| log.corrupt(&topic.name, id.partition, stored.base, &e))?;
            at = stored.next();
        }
        if whole && at < state.end {
            self.phase = Phase::Noting(at);
            return Ok(false);
        }
        if self.last.is_empty() {
            return Ok(true);
        }
        self.phase = Phase::Dropping(state.start, at);
        // What comes from now on counts for the next pass.
        log.storage.write(|w| {
            let state = log.state(w, id)?;
            log.set_state(
                w,
                id,
                PartitionState {
                    dirty_bytes: 0,
                    ..state
                },
            )
        })?;
        Ok(false)
    }

    /// Rewrites the next batches without what is superseded. Tells whether the pass is over.
    fn drop_superseded(
        &mut self,
        log: &Log,
        topic: &Topic,
        id: PartitionId,
        from: i64,
        to: i64,
        now: i64,
    ) -> Result<bool> {
        let horizon = now.saturating_add(topic.settings.delete_retention_ms);
        let next = log.storage.write(|w| {
            let mut state = log.state(w, id)?;
            let batches = log.batches_of_size(w, id, from.max(state.start), to, STEP_BYTES)?;
            let mut rewriter = Rewriter::default();
            for stored in &batches {
                let expired = stored.info.delete_horizon.is_some_and(|at| at <= now);
                rewriter
                    .copy(stored.base, &stored.bytes, horizon, |record| {
                        self.keeps(record, expired)
                    })
                    .map_err(|e| log.corrupt(&topic.name, id.partition, stored.base, &e))?;
                w.delete(Table::Records, &id.batch_key(stored.base))?;
                state.bytes = state.bytes.saturating_sub(stored.bytes.len() as u64);
            }
            rewriter.finish();
            for (base, batch) in rewriter.finished {
                state.bytes += batch.len() as u64;
                w.put(Table::Records, &id.batch_key(base), batch)?;
            }
            let next = batches.last().map_or(to, Stored::next);
            if next >= to {
                state.compacted_to = to;
            }
            log.set_state(w, id, state)?;
            Ok(next)
        })?;
        self.phase = Phase::Dropping(next, to);
        Ok(next >= to)
    }

    fn keeps(&self, record: Candidate<'_>, expired: bool) -> bool {
        // Kafka refuses records without a key in a compacted topic; here nothing supersedes them.
        let Some(key) = record.key else { return true };
        let superseded = self.last.get(key).is_some_and(|last| *last > record.offset);
        !(superseded || record.is_tombstone && expired)
    }
}

/// Deletes what is too old, or too much, from the front.
fn retain(
    log: &Log,
    topic: &Topic,
    id: PartitionId,
    state: PartitionState,
    now: i64,
) -> Result<()> {
    let settings = &topic.settings;
    let oldest = settings.retention_ms.map(|ms| now.saturating_sub(ms));
    let mut surplus = settings
        .retention_bytes
        .map_or(0, |most| state.bytes.saturating_sub(most));
    if oldest.is_none() && surplus == 0 {
        return Ok(());
    }
    let mut start = state.start;
    let mut doomed = 0;
    log.storage.read(|r| {
        log.visit_batches(r, id, state.start, state.end, &mut |base, info, size| {
            let too_old = oldest.is_some_and(|oldest| info.max_timestamp < oldest);
            let too_much = surplus > 0 && surplus >= size;
            if !(too_old || too_much) || doomed == STEP_BATCHES {
                return ControlFlow::Break(());
            }
            doomed += 1;
            surplus = surplus.saturating_sub(size);
            start = base.saturating_add(i64::from(info.span));
            ControlFlow::Continue(())
        })
    })?;
    if start <= state.start {
        return Ok(());
    }
    log.storage.write(|w| {
        let state = log.state(w, id)?;
        if start > state.start {
            log.truncate(w, id, state, start)
        } else {
            Ok(())
        }
    })
}
