//! A processor in its task. While it works it is out of its slot, so that the nodes behind it may have the task.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{
    Context, FixedKeyProcessor, FixedKeyRecord, Functions, InitContext, NoOutput, ProcessingResult,
    Processor, ProcessorContext, ProcessorDefinition, ValueTransformer,
};
use crate::context::{InNode, TaskContext};
use crate::error::{TaskError, TaskFailure, TaskResult};
use crate::exceptions::panic_text;
use crate::record::{Change, Record, Timestamp};

/// A processor of a task.
pub struct ProcessorSlot<P: ProcessorDefinition> {
    node: &'static str,
    /// Its place among the sub-topology's processors.
    index: usize,
    /// It makes rows that are looked up, which no record of a topic brings.
    of_rows: bool,
    /// `None` while it works. Boxed, as it is moved for each record.
    working: Option<Box<Working<P>>>,
}

struct Working<P: ProcessorDefinition> {
    processor: P,
    functions: Functions<P>,
}

impl<P: ProcessorDefinition> fmt::Debug for ProcessorSlot<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ProcessorSlot").field(&self.node).finish()
    }
}

impl<P: ProcessorDefinition> ProcessorSlot<P> {
    /// The processor of a node. `index` counts the sub-topology's processors, `stores` is the index of its first own store there.
    #[must_use]
    pub fn new(node: &'static str, index: usize, stores: usize, mut processor: P) -> Self {
        processor.bind(stores);
        let functions = Vec::new();
        ProcessorSlot {
            node,
            index,
            of_rows: false,
            working: Some(Box::new(Working {
                processor,
                functions,
            })),
        }
    }

    /// The same, for rows of a table without a store, which are made when somebody looks them up.
    #[must_use]
    pub fn of_rows(mut self) -> Self {
        self.of_rows = true;
        self
    }

    /// The task begins.
    ///
    /// # Errors
    /// What its `init` returns.
    pub fn init<K, V>(&mut self, cx: &mut TaskContext) -> TaskResult
    where
        P: Processor<K, V>,
    {
        self.begin(cx, Processor::init)
    }

    /// The task begins, for a processor that keeps keys.
    ///
    /// # Errors
    /// What its `init` returns.
    pub fn init_values<K, V>(&mut self, cx: &mut TaskContext) -> TaskResult
    where
        P: FixedKeyProcessor<K, V>,
    {
        self.begin(cx, FixedKeyProcessor::init)
    }

    /// The task begins, for a transformer of a table's values.
    ///
    /// # Errors
    /// What its `init` returns.
    pub fn init_transformer<K, V>(&mut self, cx: &mut TaskContext) -> TaskResult
    where
        P: ValueTransformer<K, V>,
    {
        self.begin(cx, ValueTransformer::init)
    }

    fn begin(
        &mut self,
        cx: &mut TaskContext,
        init: impl FnOnce(&mut P, &mut InitContext<'_, P>) -> ProcessingResult,
    ) -> TaskResult {
        let node = self.node;
        let _in_node = InNode(node);
        let Some(working) = &mut self.working else {
            return Err(missing(node));
        };
        // What was scheduled by an attempt that failed is gone with the task that it was for.
        working.functions.clear();
        let timestamp = cx.system_time_ms();
        let mut cx = InitContext {
            common: ProcessorContext {
                task: cx,
                node,
                timestamp,
                of_rows: false,
            },
            functions: &mut working.functions,
            processor: self.index,
        };
        let processor = &mut working.processor;
        processor
            .schedule(&mut cx)
            .and_then(|()| init(processor, &mut cx))
            .map_err(|e| cx.common.task.failed_init(node, e.into_exception()))
    }

    /// The task ends.
    pub fn close<K, V>(&mut self)
    where
        P: Processor<K, V>,
    {
        self.end(P::close);
    }

    /// The task ends, for a processor that keeps keys.
    pub fn close_values<K, V>(&mut self)
    where
        P: FixedKeyProcessor<K, V>,
    {
        self.end(P::close);
    }

    /// The task ends, for a transformer of a table's values.
    pub fn close_transformer<K, V>(&mut self)
    where
        P: ValueTransformer<K, V>,
    {
        self.end(P::close);
    }

    /// One that panics then has done its work; the others of the task end all the same.
    fn end(&mut self, close: impl FnOnce(&mut P)) {
        let Some(working) = &mut self.working else {
            return;
        };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| close(&mut working.processor))) {
            tracing::error!(
                node = self.node,
                "a processor panicked in `close`: {}",
                panic_text(&*panic)
            );
        }
    }

    /// The processor itself, to look at.
    pub(super) fn processor(&mut self) -> Option<&mut P> {
        self.working.as_mut().map(|working| &mut working.processor)
    }
}

#[cold]
fn missing(node: &'static str) -> TaskError {
    let text = format!("the processor `{node}` is at work already");
    TaskFailure::Internal(text).into()
}

/// Lets a processor work: out of its slot, which `slot` finds in the task, and back. `None` where it failed and the handler says
/// to go on.
#[inline]
fn work<T, P: ProcessorDefinition, O>(
    task: &mut T,
    slot: fn(&mut T) -> &mut ProcessorSlot<P>,
    timestamp: Timestamp,
    cx: &mut TaskContext,
    mut forward: impl FnMut(&mut T, P::Out, &mut TaskContext) -> TaskResult,
    call: impl FnOnce(&mut P, &mut Context<'_, P>) -> ProcessingResult<O>,
) -> TaskResult<Option<O>> {
    let ProcessorSlot {
        node,
        index,
        of_rows,
        working,
    } = slot(task);
    let (node, processor, of_rows) = (*node, *index, *of_rows);
    let Some(mut working) = working.take() else {
        return Err(missing(node));
    };
    // What fails behind the processor is no failure of the processor.
    let mut forward =
        |record, cx: &mut TaskContext| cx.guarded(node, |cx| forward(task, record, cx));
    let Working {
        processor: own,
        functions,
    } = &mut *working;
    let result = catch_unwind(AssertUnwindSafe(|| {
        let mut cx = Context {
            common: ProcessorContext {
                task: cx,
                node,
                timestamp,
                of_rows,
            },
            functions,
            processor,
            forward: &mut forward,
        };
        call(own, &mut cx)
    }));
    slot(task).working = Some(working);
    match result {
        Ok(Ok(done)) => Ok(Some(done)),
        Ok(Err(error)) => cx.failed(node, error.into_exception()?).map(|()| None),
        Err(panic) => cx.panicked(node, &*panic).map(|()| None),
    }
}

/// Hands a record to a processor.
///
/// # Errors
/// What it returns.
#[inline]
pub fn process<T, P, K, V>(
    task: &mut T,
    slot: fn(&mut T) -> &mut ProcessorSlot<P>,
    record: Record<K, V>,
    cx: &mut TaskContext,
    forward: impl FnMut(&mut T, P::Out, &mut TaskContext) -> TaskResult,
) -> TaskResult
where
    P: Processor<K, V>,
{
    let timestamp = record.timestamp;
    work(task, slot, timestamp, cx, forward, |processor, cx| {
        processor.process(record, cx)
    })
    .map(|_| ())
}

/// Hands a record to a processor that keeps keys.
///
/// # Errors
/// What it returns.
#[inline]
pub fn process_values<T, P, K, V>(
    task: &mut T,
    slot: fn(&mut T) -> &mut ProcessorSlot<P>,
    record: Record<K, V>,
    cx: &mut TaskContext,
    forward: impl FnMut(&mut T, P::Out, &mut TaskContext) -> TaskResult,
) -> TaskResult
where
    P: FixedKeyProcessor<K, V>,
{
    let timestamp = record.timestamp;
    work(task, slot, timestamp, cx, forward, |processor, cx| {
        processor.process(FixedKeyRecord::of(record), cx)
    })
    .map(|_| ())
}

/// Hands a table's update to a transformer of its values; the old value, too, where there is one to tell.
///
/// # Errors
/// What it returns.
#[inline]
pub fn transform_values<T, P, K, V>(
    task: &mut T,
    slot: fn(&mut T) -> &mut ProcessorSlot<P>,
    record: Record<K, Change<V>>,
    tells_old: OldValue,
    cx: &mut TaskContext,
) -> TaskResult<Option<Record<K, Change<P::Value>>>>
where
    P: ValueTransformer<K, V>,
{
    let Record {
        key,
        value: Change {
            new,
            old,
            is_latest,
        },
        timestamp,
        headers,
    } = record;
    let value = work(
        task,
        slot,
        timestamp,
        cx,
        nothing_behind::<T, P>,
        |processor, cx| {
            let new = processor.transform(&key, new, cx)?;
            let old = match tells_old {
                OldValue::Told => processor.transform(&key, old, cx)?,
                OldValue::Unasked => None,
            };
            Ok(Change {
                new,
                old,
                is_latest,
            })
        },
    )?;
    Ok(value.map(|value| Record {
        key,
        value,
        timestamp,
        headers,
    }))
}

/// Whether a transformed update says the old value: it is transformed anew then, even where there is none, as in Kafka Streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OldValue {
    /// Somebody after it asks, and the table before it knows.
    Told,
    /// Nobody asks.
    Unasked,
}

fn nothing_behind<T, P: ProcessorDefinition>(
    _: &mut T,
    _: P::Out,
    _: &mut TaskContext,
) -> TaskResult {
    Ok(())
}

/// Calls a function that a processor has scheduled.
///
/// # Errors
/// What it returns.
pub fn punctuate<T, P: ProcessorDefinition>(
    task: &mut T,
    slot: fn(&mut T) -> &mut ProcessorSlot<P>,
    function: usize,
    now: Timestamp,
    cx: &mut TaskContext,
    forward: impl FnMut(&mut T, P::Out, &mut TaskContext) -> TaskResult,
) -> TaskResult {
    work(task, slot, now, cx, forward, |processor, cx| {
        match cx.functions.get(function).copied() {
            Some(call) => call(processor, now, cx),
            None => Ok(()),
        }
    })
    .map(|_| ())
}

/// What a processor forwards, as the record that the chain goes on with.
pub trait IntoOutput {
    /// The record's key.
    type Key;
    /// The record's value.
    type Value;
    /// The record.
    fn into_output(self) -> Record<Self::Key, Self::Value>;
    /// The record's timestamp.
    fn timestamp(&self) -> Timestamp;
}

/// The keys of what a processor forwards.
pub type KeyOf<P> = <<P as ProcessorDefinition>::Out as IntoOutput>::Key;

/// The values of what a processor forwards.
pub type ValueOf<P> = <<P as ProcessorDefinition>::Out as IntoOutput>::Value;

/// A processor's output number `N`, in the order of `out(…)`. `#[processor]` implements it.
pub trait NamedOutput<const N: usize>: ProcessorDefinition {
    /// The keys of its records.
    type Key;
    /// The values of its records.
    type Value;
    /// The record, if it is for this output.
    ///
    /// # Errors
    /// What was forwarded, if it is for another.
    fn take(forwarded: Self::Out) -> Result<Record<Self::Key, Self::Value>, Self::Out>;
}

impl<K, V> IntoOutput for Record<K, V> {
    type Key = K;
    type Value = V;
    #[inline(always)]
    fn into_output(self) -> Record<K, V> {
        self
    }
    #[inline(always)]
    fn timestamp(&self) -> Timestamp {
        self.timestamp
    }
}

impl<K, V> IntoOutput for FixedKeyRecord<K, V> {
    type Key = K;
    type Value = V;
    #[inline(always)]
    fn into_output(self) -> Record<K, V> {
        self.into_record()
    }
    #[inline(always)]
    fn timestamp(&self) -> Timestamp {
        self.timestamp
    }
}

impl IntoOutput for NoOutput {
    type Key = ();
    type Value = ();
    fn into_output(self) -> Record<(), ()> {
        match self {}
    }
    fn timestamp(&self) -> Timestamp {
        match *self {}
    }
}
