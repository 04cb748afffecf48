//! Layer 4. The traits that generated code implements, and the runtime calls: one virtual call per record, at a task's edge.

use std::fmt;
use std::sync::Arc;

use crate::context::TaskContext;
use crate::error::{TaskError, TaskFailure, TaskResult};
use crate::record::{Headers, RawRecord, RecordMetadata, Timestamp};
use crate::topology::TopologyDescriptor;

/// What `#[topology]` implements for the user's struct.
pub trait Topology: Sized + Send + Sync + 'static {
    /// The description that everything but processing reads.
    const TOPOLOGY: &'static TopologyDescriptor;
    /// The test driver, with a typed field for each source and each sink.
    type TestDriver;
    /// A new instance of a sub-topology, for one task.
    ///
    /// # Errors
    /// When there is no sub-topology of that index.
    fn subtopology(app: &Arc<Self>, index: usize) -> TaskResult<Box<dyn SubTopology>>;
}

/// A sub-topology's generated code, bound to the application that it belongs to.
pub trait SubTopology: Send {
    /// Processes a record of a source, by its index in [`SubtopologyDescriptor::sources`](crate::topology::SubtopologyDescriptor).
    ///
    /// # Errors
    /// What stops the task.
    fn process(&mut self, source: usize, raw: RawRecord<'_>, cx: &mut TaskContext) -> TaskResult;
    /// The timestamp of a record of a source that has an extractor of its own; `None` where the record cannot be read.
    ///
    /// # Errors
    /// The extractor's.
    fn timestamp(
        &mut self,
        source: usize,
        raw: RawRecord<'_>,
        partition_time: Timestamp,
        cx: &mut TaskContext,
    ) -> TaskResult<Option<Timestamp>> {
        let _ = (source, partition_time, cx);
        Ok(Some(raw.timestamp))
    }
    /// An update leaves the record cache: forwards it downstream. `store` is the store's index in the sub-topology.
    ///
    /// # Errors
    /// What stops the task.
    fn flushed(&mut self, store: usize, entry: Flushed<'_>, cx: &mut TaskContext) -> TaskResult;
    /// The task's state is restored: its processors get ready.
    ///
    /// # Errors
    /// What stops the task.
    fn init(&mut self, _cx: &mut TaskContext) -> TaskResult {
        Ok(())
    }
    /// A punctuator is due: `processor` counts the sub-topology's processors, `function` what this one has scheduled.
    ///
    /// # Errors
    /// What stops the task.
    fn punctuate(
        &mut self,
        processor: usize,
        _function: usize,
        _now: Timestamp,
        _cx: &mut TaskContext,
    ) -> TaskResult {
        Err(unknown_processor(processor))
    }
    /// The task ends: so do its processors.
    fn close(&mut self) {}
}

/// What generated code implements for a sub-topology's task struct.
pub trait TaskOf<A>: Send {
    /// As [`SubTopology::process`].
    ///
    /// # Errors
    /// What stops the task.
    fn process(
        &mut self,
        app: &A,
        source: usize,
        raw: RawRecord<'_>,
        cx: &mut TaskContext,
    ) -> TaskResult;
    /// As [`SubTopology::timestamp`].
    ///
    /// # Errors
    /// The extractor's.
    fn timestamp(
        &mut self,
        app: &A,
        source: usize,
        raw: RawRecord<'_>,
        partition_time: Timestamp,
        cx: &mut TaskContext,
    ) -> TaskResult<Option<Timestamp>> {
        let _ = (app, source, partition_time, cx);
        Ok(Some(raw.timestamp))
    }
    /// As [`SubTopology::flushed`].
    ///
    /// # Errors
    /// What stops the task.
    fn flushed(
        &mut self,
        app: &A,
        store: usize,
        entry: Flushed<'_>,
        cx: &mut TaskContext,
    ) -> TaskResult;
    /// As [`SubTopology::init`].
    ///
    /// # Errors
    /// What stops the task.
    fn init(&mut self, _app: &A, _cx: &mut TaskContext) -> TaskResult {
        Ok(())
    }
    /// As [`SubTopology::punctuate`].
    ///
    /// # Errors
    /// What stops the task.
    fn punctuate(
        &mut self,
        _app: &A,
        processor: usize,
        _function: usize,
        _now: Timestamp,
        _cx: &mut TaskContext,
    ) -> TaskResult {
        Err(unknown_processor(processor))
    }
    /// As [`SubTopology::close`].
    fn close(&mut self) {}
}

/// A task struct together with the application that its closures see as `self`; so no record costs a clone of the `Arc`.
pub struct Bound<A, T> {
    /// The application.
    pub app: Arc<A>,
    /// The sub-topology's stores.
    pub task: T,
}

impl<A, T> fmt::Debug for Bound<A, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::any::type_name::<T>())
    }
}

impl<A: Send + Sync, T: TaskOf<A>> SubTopology for Bound<A, T> {
    fn process(&mut self, source: usize, raw: RawRecord<'_>, cx: &mut TaskContext) -> TaskResult {
        self.task.process(&self.app, source, raw, cx)
    }
    fn timestamp(
        &mut self,
        source: usize,
        raw: RawRecord<'_>,
        partition_time: Timestamp,
        cx: &mut TaskContext,
    ) -> TaskResult<Option<Timestamp>> {
        self.task
            .timestamp(&self.app, source, raw, partition_time, cx)
    }
    fn flushed(&mut self, store: usize, entry: Flushed<'_>, cx: &mut TaskContext) -> TaskResult {
        self.task.flushed(&self.app, store, entry, cx)
    }
    fn init(&mut self, cx: &mut TaskContext) -> TaskResult {
        self.task.init(&self.app, cx)
    }
    fn punctuate(
        &mut self,
        processor: usize,
        function: usize,
        now: Timestamp,
        cx: &mut TaskContext,
    ) -> TaskResult {
        self.task.punctuate(&self.app, processor, function, now, cx)
    }
    fn close(&mut self) {
        self.task.close();
    }
}

/// An update that leaves the record cache: only the last one of its key.
#[derive(Debug, Clone, Copy)]
pub struct Flushed<'a> {
    /// The key's bytes.
    pub key: &'a [u8],
    /// The value's bytes, without the timestamp that the store puts before them; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// What the store had until now, likewise without timestamp; `None` where it had nothing.
    pub old: Option<&'a [u8]>,
    /// The value's timestamp; a tombstone's is that of the record that caused it.
    pub timestamp: Timestamp,
    /// The headers of the record that caused it.
    pub headers: &'a Headers,
    /// Where the record that caused it came from.
    pub metadata: RecordMetadata,
}

/// The error of generated code that was asked for a source that it does not have.
#[cold]
#[must_use]
pub fn unknown_source(source: usize) -> TaskError {
    TaskFailure::Internal(format!("the sub-topology has no source {source}")).into()
}

/// The error of generated code that was asked for a store that it does not have.
#[cold]
#[must_use]
pub fn unknown_store(store: usize) -> TaskError {
    TaskFailure::Internal(format!("the sub-topology has no store {store}")).into()
}

/// The error of generated code that was asked for a processor that it does not have.
#[cold]
#[must_use]
pub fn unknown_processor(processor: usize) -> TaskError {
    TaskFailure::Internal(format!("the sub-topology has no processor {processor}")).into()
}

/// The error of generated code that was asked for a sub-topology that it does not have.
#[cold]
#[must_use]
pub fn unknown_subtopology(index: usize) -> TaskError {
    TaskFailure::Internal(format!("the topology has no sub-topology {index}")).into()
}
