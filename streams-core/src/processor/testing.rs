//! A processor alone: with stores in memory, a clock that stands still, and what it forwards in a list.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{
    FixedKeyProcessor, ProcessingResult, Processor, ProcessorContext, ProcessorDefinition,
    ProcessorSlot,
};
use crate::context::{PunctuationType, TaskContext, TaskContextParts};
use crate::error::TaskResult;
use crate::exceptions::ErrorHandlers;
use crate::record::{Record, TaskId, Timestamp};
use crate::serde::Serde;
use crate::store::{Segments, StoreSettings, StoreSpec, TaskStores};
use crate::time::{Clock as _, ManualClock};
use crate::timestamps::TimestampExtractor;
use crate::topology::{Changelog, StoreDescriptor, SubtopologyDescriptor, TopologyDescriptor};

/// A processor under test, without a topology: records go in, and what it forwards comes out.
///
/// Its stores, shared ones too, lie in memory and are empty at first. Punctuators are called as in a task: those of stream time
/// behind the record that moved it, those of the wall clock by [`advance`](Self::advance). The clock begins at 0.
/// The guide `docs/processors.md` has an example that runs.
pub struct ProcessorTest<P: ProcessorDefinition> {
    task: Alone<P>,
    cx: TaskContext,
    clock: ManualClock,
    offset: i64,
}

/// The task of a processor that is alone.
struct Alone<P: ProcessorDefinition> {
    slot: ProcessorSlot<P>,
    forwarded: Vec<P::Out>,
}

impl<P: ProcessorDefinition> fmt::Debug for ProcessorTest<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ProcessorTest").field(&P::NAME).finish()
    }
}

impl<P: ProcessorDefinition> ProcessorTest<P> {
    /// A processor whose `init` was called.
    ///
    /// # Errors
    /// What its `init` returns.
    pub fn new<K, V>(processor: P) -> ProcessingResult<Self>
    where
        P: Processor<K, V>,
    {
        let mut test = Self::uninitialized(processor)?;
        test.task.slot.init(&mut test.cx)?;
        Ok(test)
    }

    /// The same for a processor that keeps keys.
    ///
    /// # Errors
    /// What its `init` returns.
    pub fn new_fixed_key<K, V>(processor: P) -> ProcessingResult<Self>
    where
        P: FixedKeyProcessor<K, V>,
    {
        let mut test = Self::uninitialized(processor)?;
        test.task.slot.init_values(&mut test.cx)?;
        Ok(test)
    }

    fn uninitialized(mut processor: P) -> ProcessingResult<Self> {
        processor.bind_shared(P::STORES.len());
        let clock = ManualClock::new(0);
        let specs: Vec<StoreSpec> = Alone::<P>::TOPOLOGY
            .stores
            .iter()
            .map(|store| StoreSpec {
                name: store.name.into(),
                backend: store.backend,
                segments: Segments::of(store.kind, store.backend),
            })
            .collect();
        let cx = TaskContext::new(TaskContextParts {
            topology: Alone::<P>::TOPOLOGY,
            task: TaskId {
                subtopology: 0,
                partition: 0,
            },
            clock: Arc::new(clock.clone()),
            emit_interval_ms: 0,
            topics: Arc::new([]),
            partitions: Arc::new([]),
            stores: TaskStores::in_memory(&specs, &StoreSettings::default())?,
            cache_max_bytes: 0,
            globals: Vec::new(),
            errors: ErrorHandlers::default(),
            timestamp_extractor: TimestampExtractor::default(),
        })?;
        let slot = ProcessorSlot::new(P::NAME, 0, 0, processor);
        Ok(ProcessorTest {
            task: Alone {
                slot,
                forwarded: Vec::new(),
            },
            cx,
            clock,
            offset: 0,
        })
    }

    /// Hands a record in, then calls the punctuators that stream time has reached.
    ///
    /// # Errors
    /// What the processor returns.
    pub fn process<K, V>(&mut self, record: Record<K, V>) -> ProcessingResult
    where
        P: Processor<K, V>,
    {
        self.begin(record.timestamp);
        super::process(&mut self.task, slot, record, &mut self.cx, keep)?;
        self.punctuate(PunctuationType::StreamTime, self.cx.stream_time())
    }

    /// The same for a processor that keeps keys.
    ///
    /// # Errors
    /// What the processor returns.
    pub fn process_values<K, V>(&mut self, record: Record<K, V>) -> ProcessingResult
    where
        P: FixedKeyProcessor<K, V>,
    {
        self.begin(record.timestamp);
        super::process_values(&mut self.task, slot, record, &mut self.cx, keep)?;
        self.punctuate(PunctuationType::StreamTime, self.cx.stream_time())
    }

    /// Moves the wall clock, and calls the punctuators that it reaches.
    ///
    /// # Errors
    /// What the processor returns.
    pub fn advance(&mut self, by: Duration) -> ProcessingResult {
        self.clock.advance(by);
        self.punctuate(PunctuationType::WallClockTime, self.clock.now_ms())
    }

    /// What was forwarded since the last call.
    pub fn forwarded(&mut self) -> Vec<P::Out> {
        std::mem::take(&mut self.task.forwarded)
    }

    /// Whether a commit was asked for since the last call.
    pub fn take_commit_request(&mut self) -> bool {
        let requested = self.cx.is_commit_requested();
        self.cx.set_committed();
        requested
    }

    /// Lets the test look into the processor and its stores, or put something there.
    ///
    /// # Errors
    /// What `look` returns.
    pub fn inspect<T>(
        &mut self,
        look: impl FnOnce(&mut P, &mut ProcessorContext<'_>) -> ProcessingResult<T>,
    ) -> ProcessingResult<T> {
        let Some(processor) = self.task.slot.processor() else {
            return Err(super::unbound());
        };
        let timestamp = self.clock.now_ms();
        let mut cx = ProcessorContext {
            task: &mut self.cx,
            node: P::NAME,
            timestamp,
            of_rows: false,
        };
        look(processor, &mut cx)
    }

    /// Puts an entry into one of its stores, by the field's name: also into one that the processor only reads.
    ///
    /// # Errors
    /// When there is no such store, or key or value have no bytes.
    pub fn put<K: Serde, V: Serde>(&mut self, store: &str, key: &K, value: &V) -> ProcessingResult {
        let at = self.cx.stores().index_of(store);
        let at = at.ok_or_else(|| {
            super::ProcessingError::new(format!("`{}` has no store `{store}`", P::NAME))
        })?;
        let (mut bytes, mut stored) = (Vec::new(), Vec::new());
        key.serialize(&mut bytes)?;
        value.serialize(&mut stored)?;
        self.cx.stores_mut().put(at, &bytes, Some(&stored))?;
        Ok(())
    }

    fn begin(&mut self, timestamp: Timestamp) {
        self.cx.begin_record(0, self.offset);
        self.offset += 1;
        let time = self.cx.stream_time().max(timestamp);
        self.cx.set_stream_time(time);
    }

    fn punctuate(&mut self, of: PunctuationType, now: Timestamp) -> ProcessingResult {
        while let Some(due) = self.cx.punctuations.pop(of, now) {
            let (task, cx) = (&mut self.task, &mut self.cx);
            super::punctuate(task, slot, due.function, now, cx, keep)?;
            self.cx.punctuations.called(of, due, now);
        }
        Ok(())
    }
}

fn slot<P: ProcessorDefinition>(task: &mut Alone<P>) -> &mut ProcessorSlot<P> {
    &mut task.slot
}

fn keep<P: ProcessorDefinition>(
    task: &mut Alone<P>,
    record: P::Out,
    _: &mut TaskContext,
) -> TaskResult {
    task.forwarded.push(record);
    Ok(())
}

/// How many stores a test's processor may have, own and shared ones.
const MOST: usize = 32;

impl<P: ProcessorDefinition> Alone<P> {
    const ALL_STORES: &'static [StoreDescriptor; MOST] = &{
        let mut out = [StoreDescriptor::NONE; MOST];
        let mut at = 0;
        while at < P::STORES.len() {
            let store = P::STORES[at];
            out[at] = store.described(store.field, P::NAME, Changelog::None);
            at += 1;
        }
        let mut shared = 0;
        while shared < P::SHARED.len() {
            let store = P::SHARED[shared];
            out[at] = store.described(store.field, P::NAME, Changelog::None);
            at += 1;
            shared += 1;
        }
        out
    };

    const INDEXES: &'static [usize; MOST] = &{
        let mut out = [0; MOST];
        let mut at = 0;
        while at < MOST {
            out[at] = at;
            at += 1;
        }
        out
    };

    const COUNT: usize = P::STORES.len() + P::SHARED.len();

    /// A topology of nothing but the processor's stores.
    const TOPOLOGY: &'static TopologyDescriptor = &TopologyDescriptor {
        name: P::NAME,
        application_id: "test",
        topics: &[],
        stores: Self::ALL_STORES.split_at(Self::COUNT).0,
        subtopologies: &[SubtopologyDescriptor {
            sources: &[],
            stores: Self::INDEXES.split_at(Self::COUNT).0,
            nodes: &[],
            copartitioned: &[],
            times: &[],
        }],
        globals: &[],
    };
}
