//! Layer 4. The Processor API: what users write where the operators do not reach. A processor is a struct with typed stores;
//! `#[processor]` writes its constructor and what the runtime has to know of it.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use crate::context::{NewSchedule, PunctuationType, ScheduleId, TaskContext};
use crate::error::{BoxError, TaskError, TaskFailure, TaskResult};
use crate::exceptions::ProcessingException;
pub use crate::record::FixedKeyRecord;
use crate::record::{NegativeTimestamp, Record, TaskId, Timestamp};

mod declared;
mod global;
mod read_only;
mod shared;
mod slot;
mod stores;
mod testing;
mod windows;

pub use declared::{
    Declared, Named, ProcessorStore, StorePlace, joined, numbered, output_named, outputs_are_read,
    stateful_is_partitioned, stores_differ,
};
pub use global::{
    ForwardsNothing, keep, keeps_one_store, keys_taken, process_global, values_taken,
};
pub use read_only::{ReadOnlySessionStore, ReadOnlyVersionedStore, ReadOnlyWindowStore};
pub use shared::{SharedAs, SharesStore, shared_stores_are_given, shared_with};
pub use slot::{
    IntoOutput, KeyOf, NamedOutput, OldValue, ProcessorSlot, ValueOf, process, process_values,
    punctuate, transform_values,
};
pub use stores::{
    Entries, KeyValueStore, ReadOnlyKeyValueStore, TimestampedKeyValueStore, ValueAndTimestamp,
};
pub use testing::ProcessorTest;
pub use windows::{SessionStore, VersionedStore, WindowEntry, WindowStore};

/// What processing a record may fail with: any error, by `?`.
///
/// It is no error itself, so that every error can become one. [`ProcessingError::new`] takes text and boxed errors.
pub struct ProcessingError {
    type_name: &'static str,
    reason: BoxError,
}

impl ProcessingError {
    /// An error of text, or of a boxed error.
    pub fn new<E: Into<BoxError>>(reason: E) -> Self {
        ProcessingError {
            type_name: std::any::type_name::<E>(),
            reason: reason.into(),
        }
    }

    /// What the runtime makes of it: a failure that came from below stays what it is, unless a store did not take what the
    /// processor gave it; everything else is the processor's.
    ///
    /// # Errors
    /// What came from below.
    #[cold]
    pub(crate) fn into_exception(self) -> Result<ProcessingException, TaskError> {
        self.reason.downcast::<TaskError>().map_or_else(
            |error| {
                Ok(ProcessingException::Returned {
                    type_name: self.type_name,
                    error,
                })
            },
            |failure| failure.into_exception(),
        )
    }
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for ProcessingError {
    fn from(reason: E) -> Self {
        ProcessingError::new(reason)
    }
}

impl fmt::Debug for ProcessingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.reason, f)
    }
}

impl fmt::Display for ProcessingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.reason, f)
    }
}

/// The result of a processor's functions.
pub type ProcessingResult<T = ()> = Result<T, ProcessingError>;

/// What `#[processor]` implements: everything that is the same for each kind of processor.
pub trait ProcessorDefinition: Sized + Send + 'static {
    /// What it forwards: `Record<K, V>`, or an enum of its outputs; [`NoOutput`] where it forwards nothing.
    type Out;
    /// The struct's name.
    const NAME: &'static str;
    /// Its own stores, in the order of their fields.
    const STORES: &'static [ProcessorStore];
    /// The stores that it shares with others, in the order of their fields.
    const SHARED: &'static [ProcessorStore];
    /// The names of its outputs; none where it has one without a name, or none at all.
    const OUTPUTS: &'static [&'static str];
    /// How many punctuators its attributes declare.
    const PUNCTUATORS: usize = 0;
    /// The timestamp of what it forwards.
    fn timestamp_of(forwarded: &Self::Out) -> Timestamp;
    /// Says where its own stores are: the first one's index in the sub-topology; the others follow.
    fn bind(&mut self, first: usize);
    /// The same of shared ones, for a processor that runs alone.
    fn bind_shared(&mut self, first: usize);
    /// Schedules the punctuators that its attributes declare.
    ///
    /// # Errors
    /// When an interval is shorter than a millisecond.
    fn schedule(&mut self, cx: &mut InitContext<'_, Self>) -> ProcessingResult;
}

/// A processor: gets each record of a stream, forwards any number of records with any keys.
///
/// The struct carries `#[processor(out = (K, V))]`. There is one implementation for each struct. The guide `docs/processors.md` has
/// examples that run.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no `Processor<{K}, {V}>`: it cannot take the records of this stream [KS0250]",
    label = "the records here have keys of type `{K}` and values of type `{V}`",
    note = "write `impl Processor<{K}, {V}> for {Self}`, or bring the stream to the types that it takes, by `.map(…)`; a \
            `FixedKeyProcessor` is called by `process_values`"
)]
pub trait Processor<K, V>: ProcessorDefinition {
    /// The task begins, with its stores as they were left. Punctuators that no attribute declares are scheduled here.
    ///
    /// # Errors
    /// Whatever stops the task.
    fn init(&mut self, cx: &mut InitContext<'_, Self>) -> ProcessingResult {
        let _ = cx;
        Ok(())
    }
    /// A record came.
    ///
    /// # Errors
    /// Whatever the processing error handler is to decide about.
    fn process(&mut self, record: Record<K, V>, cx: &mut Context<'_, Self>) -> ProcessingResult;
    /// The task ends.
    fn close(&mut self) {}
}

/// A processor that cannot change keys: what it forwards is made of a record that it got, so no repartition follows.
///
/// The struct carries `#[processor(fixed_key, out = (K, V))]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no `FixedKeyProcessor<{K}, {V}>`: `process_values` cannot call it with the records of this stream [KS0250]",
    label = "the records here have keys of type `{K}` and values of type `{V}`",
    note = "write `impl FixedKeyProcessor<{K}, {V}> for {Self}`; a `Processor`, which may change keys, is called by `process`"
)]
pub trait FixedKeyProcessor<K, V>: ProcessorDefinition {
    /// The task begins. See [`Processor::init`].
    ///
    /// # Errors
    /// Whatever stops the task.
    fn init(&mut self, cx: &mut InitContext<'_, Self>) -> ProcessingResult {
        let _ = cx;
        Ok(())
    }
    /// A record came.
    ///
    /// # Errors
    /// Whatever the processing error handler is to decide about.
    fn process(
        &mut self,
        record: FixedKeyRecord<K, V>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult;
    /// The task ends.
    fn close(&mut self) {}
}

/// Makes a table's values anew, with a look at stores: `transform_values`. It forwards nothing itself.
///
/// The struct carries `#[processor]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no `ValueTransformer<{K}, {V}>`: it cannot take the rows of this table [KS0250]",
    label = "the rows here have keys of type `{K}` and values of type `{V}`",
    note = "write `impl ValueTransformer<{K}, {V}> for {Self}`"
)]
pub trait ValueTransformer<K, V>: ProcessorDefinition {
    /// The new value's type.
    type Value;
    /// The task begins. See [`Processor::init`].
    ///
    /// # Errors
    /// Whatever stops the task.
    fn init(&mut self, cx: &mut InitContext<'_, Self>) -> ProcessingResult {
        let _ = cx;
        Ok(())
    }
    /// A row changed. `None` is a row that is no more, and `None` deletes the row.
    ///
    /// # Errors
    /// Whatever the processing error handler is to decide about.
    fn transform(
        &mut self,
        key: &K,
        value: Option<V>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult<Option<Self::Value>>;
    /// The task ends.
    fn close(&mut self) {}
}

/// What a processor forwards that forwards nothing. There is no value of it.
#[derive(Debug, Clone, Copy)]
pub enum NoOutput {}

/// Where the record that is being processed came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceMetadata<'a> {
    /// The topic's full name.
    pub topic: &'a str,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

/// What a processor may ask at any time, and what its stores are read and written through.
#[derive(Debug)]
pub struct ProcessorContext<'a> {
    pub(crate) task: &'a mut TaskContext,
    node: &'static str,
    /// That of the record or punctuation that is being processed: changelog records have it.
    pub(crate) timestamp: Timestamp,
    /// It makes a row that is looked up.
    of_rows: bool,
}

impl ProcessorContext<'_> {
    /// The task: sub-topology and partition.
    #[must_use]
    pub fn task(&self) -> TaskId {
        self.task.task()
    }

    /// `application.id`.
    #[must_use]
    pub fn application_id(&self) -> &'static str {
        self.task.application_id()
    }

    /// The node's name: the field's.
    #[must_use]
    pub fn node(&self) -> &'static str {
        self.node
    }

    /// Topic, partition and offset of the record that is being processed; `None` in `init` and in punctuators, and for a row that
    /// a join looks up, which no record brings.
    #[must_use]
    pub fn metadata(&self) -> Option<SourceMetadata<'_>> {
        if self.of_rows {
            return None;
        }
        let metadata = self.task.metadata();
        Some(SourceMetadata {
            topic: self.task.source_topic()?,
            partition: metadata.partition,
            offset: metadata.offset,
        })
    }

    /// Kafka Streams' `currentStreamTimeMs`: the highest timestamp of the task's records so far, this one included, in
    /// milliseconds; -1 before the first.
    #[must_use]
    pub fn stream_time(&self) -> Timestamp {
        self.task.stream_time()
    }

    /// Kafka Streams' `currentSystemTimeMs`: the wall clock, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn system_time(&self) -> Timestamp {
        self.task.system_time_ms()
    }

    /// Asks for a commit as soon as this record is processed, before `commit.interval.ms` is over.
    pub fn commit(&mut self) {
        self.task.request_commit();
    }
}

/// A processor's function that is called when its time has come.
pub type PunctuateFn<P> =
    for<'a, 'b> fn(&'a mut P, Timestamp, &'a mut Context<'b, P>) -> ProcessingResult;

/// The functions that a processor has scheduled; schedules name them by their position.
pub(crate) type Functions<P> = Vec<PunctuateFn<P>>;

/// The context of `process` and of punctuators: [`ProcessorContext`], and what only they may do.
pub struct Context<'a, P: ProcessorDefinition> {
    common: ProcessorContext<'a>,
    functions: &'a mut Functions<P>,
    processor: usize,
    forward: Forward<'a, P>,
}

/// Hands a record to the nodes behind this one, which are done with it when it returns.
pub(crate) type Forward<'a, P> =
    &'a mut dyn FnMut(<P as ProcessorDefinition>::Out, &mut TaskContext) -> TaskResult;

impl<P: ProcessorDefinition> Context<'_, P> {
    /// Passes a record on. What reads this node is done with it when `forward` returns, as in Kafka Streams.
    ///
    /// # Errors
    /// What the nodes behind this one fail with, and when the record's timestamp is negative; to be handed on with `?`.
    #[inline]
    pub fn forward(&mut self, record: P::Out) -> ProcessingResult {
        let timestamp = P::timestamp_of(&record);
        if timestamp < 0 {
            return Err(NegativeTimestamp(timestamp).into());
        }
        Ok((self.forward)(record, self.common.task)?)
    }

    /// Passes a record on to those that read this output.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    #[inline]
    pub fn forward_to<R>(&mut self, output: Output<P, R>, record: R) -> ProcessingResult {
        self.forward((output.wrap)(record))
    }

    /// Schedules a punctuator: from now on `call` is called at these times, until it is cancelled or the task ends.
    ///
    /// # Errors
    /// When the interval is shorter than a millisecond.
    pub fn schedule(
        &mut self,
        when: Punctuation,
        call: PunctuateFn<P>,
    ) -> ProcessingResult<Punctuator> {
        schedule(&mut self.common, self.functions, self.processor, when, call)
    }
}

impl<'a, P: ProcessorDefinition> Deref for Context<'a, P> {
    type Target = ProcessorContext<'a>;
    fn deref(&self) -> &ProcessorContext<'a> {
        &self.common
    }
}

impl<P: ProcessorDefinition> DerefMut for Context<'_, P> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.common
    }
}

impl<P: ProcessorDefinition> fmt::Debug for Context<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Context").field(&self.common.node).finish()
    }
}

/// The context of `init`: [`ProcessorContext`] and schedules. Nothing can be forwarded yet.
pub struct InitContext<'a, P: ProcessorDefinition> {
    common: ProcessorContext<'a>,
    functions: &'a mut Functions<P>,
    processor: usize,
}

impl<P: ProcessorDefinition> InitContext<'_, P> {
    /// Schedules a punctuator. See [`Context::schedule`].
    ///
    /// # Errors
    /// When the interval is shorter than a millisecond.
    pub fn schedule(
        &mut self,
        when: Punctuation,
        call: PunctuateFn<P>,
    ) -> ProcessingResult<Punctuator> {
        schedule(&mut self.common, self.functions, self.processor, when, call)
    }
}

impl<'a, P: ProcessorDefinition> Deref for InitContext<'a, P> {
    type Target = ProcessorContext<'a>;
    fn deref(&self) -> &ProcessorContext<'a> {
        &self.common
    }
}

impl<P: ProcessorDefinition> DerefMut for InitContext<'_, P> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.common
    }
}

impl<P: ProcessorDefinition> fmt::Debug for InitContext<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("InitContext")
            .field(&self.common.node)
            .finish()
    }
}

fn schedule<P: ProcessorDefinition>(
    cx: &mut ProcessorContext<'_>,
    functions: &mut Functions<P>,
    processor: usize,
    when: Punctuation,
    call: PunctuateFn<P>,
) -> ProcessingResult<Punctuator> {
    let interval = i64::try_from(when.every.as_millis()).unwrap_or(i64::MAX);
    if interval < 1 {
        return Err(ProcessingError::new(format!(
            "a punctuator's interval is at least a millisecond, not {:?}",
            when.every
        )));
    }
    let known = functions
        .iter()
        .position(|f| std::ptr::fn_addr_eq(*f, call));
    let function = known.unwrap_or_else(|| {
        functions.push(call);
        functions.len() - 1
    });
    let now = match when.of {
        PunctuationType::StreamTime => cx.task.stream_time(),
        PunctuationType::WallClockTime => cx.task.system_time_ms(),
    };
    let new = NewSchedule {
        processor,
        function,
        interval,
        start: when.start,
    };
    let id = cx.task.punctuations.schedule(when.of, new, now);
    Ok(Punctuator(id))
}

/// When a punctuator is called. An interval of less than a millisecond is an error of `schedule`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Punctuation {
    of: PunctuationType,
    every: Duration,
    start: Option<Timestamp>,
}

impl Punctuation {
    /// Whenever the stream's time reaches a multiple of `every` since 0, and with the first record. A jump over several calls once.
    #[must_use]
    pub const fn stream_time(every: Duration) -> Self {
        Punctuation {
            of: PunctuationType::StreamTime,
            every,
            start: None,
        }
    }

    /// Every so long on the machine's clock, whether or not records come. A delay of several intervals calls once.
    #[must_use]
    pub const fn wall_clock(every: Duration) -> Self {
        Punctuation {
            of: PunctuationType::WallClockTime,
            every,
            start: None,
        }
    }

    /// The same, first at this time (milliseconds since the Unix epoch), and from then on in its rhythm; a time that is past already
    /// only gives the rhythm.
    #[must_use]
    pub const fn starting_at(self, start: Timestamp) -> Self {
        Punctuation {
            start: Some(start),
            ..self
        }
    }
}

/// An interval of an attribute: a `Duration`, or milliseconds.
pub trait Interval {
    /// As a duration; what is negative is none.
    fn interval(self) -> Duration;
}

impl Interval for Duration {
    fn interval(self) -> Duration {
        self
    }
}

impl Interval for i64 {
    fn interval(self) -> Duration {
        Duration::from_millis(u64::try_from(self).unwrap_or(0))
    }
}

/// A schedule, to be cancelled. A field of this type is no parameter of its processor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Punctuator(ScheduleId);

impl Punctuator {
    /// Ends the schedule; it is not called again, not even if it is due. May be called from within it.
    pub fn cancel(self, cx: &mut ProcessorContext<'_>) {
        cx.task.punctuations.cancel(self.0);
    }

    /// Whether it is scheduled and not cancelled.
    #[must_use]
    pub fn is_scheduled(self, cx: &ProcessorContext<'_>) -> bool {
        cx.task.punctuations.is_live(self.0)
    }
}

/// One of a processor's outputs that have names: `Self::LARGE` for `out(large = (K, V), …)`. `R` is its record.
pub struct Output<P: ProcessorDefinition, R> {
    wrap: fn(R) -> P::Out,
}

impl<P: ProcessorDefinition, R> Output<P, R> {
    /// The output whose records are wrapped so, for generated code.
    #[doc(hidden)]
    #[must_use]
    pub const fn of(wrap: fn(R) -> P::Out) -> Self {
        Output { wrap }
    }
}

impl<P: ProcessorDefinition, R> Clone for Output<P, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P: ProcessorDefinition, R> Copy for Output<P, R> {}

impl<P: ProcessorDefinition, R> fmt::Debug for Output<P, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Output")
    }
}

/// The error of a store that is bound to no task: its processor was not made by a topology.
#[cold]
pub(crate) fn unbound() -> ProcessingError {
    let text = "a store was used that belongs to no task: a topology or a `ProcessorTest` has to run its processor";
    TaskError::from(TaskFailure::Internal(text.to_owned())).into()
}
