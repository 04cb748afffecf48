//! Layer 2. A transport with faults: errors and crashes that a seed decides, or a test, over any other transport.
//!
//! For simulations: each worker gets its own [`FaultTransport`] over one shared log. When it has "crashed", every call of
//! its clients fails; the simulation drops the worker without closing it, calls [`Faults::revive`] and starts another.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{
    Admin, CommittedOffset, Consumer, Fetched, GroupDescription, GroupMetadata, LogDescription,
    Membership, MembershipEvent, MembershipSpec, OffsetRange, Operation, Producer, ProducerSpec,
    Resource, TopicInfo, Transport, TransportError,
};
use crate::outbox::Outbox;
use crate::record::{TaskId, TopicPartition};

type Result<T> = std::result::Result<T, TransportError>;

/// What can be made to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// The call fails and did nothing; it may be tried again.
    Retriable,
    /// The transaction must be aborted.
    Abortable,
    /// The producer, or the member, has lost its place for good.
    Fenced,
    /// The producer is of no more use, though nobody took its place; nothing was committed.
    Unusable,
    /// The same, after a commit that went through.
    UnusableAfterCommit,
    /// The process dies before the commit.
    CrashBeforeCommit,
    /// The process dies after the commit, before it hears of it.
    CrashAfterCommit,
}

/// How often which fault happens, in ten thousand calls where it can.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FaultRates {
    /// Of any call but those that only look.
    pub retriable: u32,
    /// Of commits and sent offsets in transactions.
    pub abortable: u32,
    /// Of commits, sent offsets and polls of a member.
    pub fenced: u32,
    /// Of commits and sent offsets in transactions.
    pub unusable: u32,
    /// Of commits in transactions.
    pub unusable_after_commit: u32,
    /// Of commits and flushes.
    pub crash_before_commit: u32,
    /// Of commits and flushes.
    pub crash_after_commit: u32,
}

/// Where the calls come from, as far as it decides which faults are possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    /// May be tried again, nothing else.
    Plain,
    /// A member's poll.
    Join,
    /// Offsets of a transaction.
    SendOffsets,
    /// The commit of a transaction.
    Commit,
    /// A write outside a transaction.
    Write,
}

impl Call {
    fn allows(self, fault: Fault) -> bool {
        match fault {
            Fault::Retriable => true,
            Fault::Abortable | Fault::Unusable => {
                matches!(self, Call::SendOffsets | Call::Commit)
            }
            Fault::UnusableAfterCommit => self == Call::Commit,
            Fault::Fenced => matches!(self, Call::Join | Call::SendOffsets | Call::Commit),
            Fault::CrashBeforeCommit | Fault::CrashAfterCommit => {
                matches!(self, Call::Commit | Call::Write)
            }
        }
    }
}

/// The faults of one transport: what comes, what came. Clones are the same.
#[derive(Debug, Clone)]
pub struct Faults {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    rates: FaultRates,
    random: u64,
    /// At the next commits or flushes, before any rate.
    planned: VecDeque<Fault>,
    crashed: bool,
    /// Where readers see an end, because markers of transactions are late.
    held: BTreeMap<TopicPartition, i64>,
    injected: BTreeMap<Fault, u64>,
}

impl Faults {
    /// Faults at these rates, decided by the seed and the order of the calls.
    #[must_use]
    pub fn seeded(seed: u64, rates: FaultRates) -> Self {
        let state = State {
            rates,
            random: seed,
            planned: VecDeque::new(),
            crashed: false,
            held: BTreeMap::new(),
            injected: BTreeMap::new(),
        };
        Faults {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// None but those that [`at_next_commit`](Self::at_next_commit) plans.
    #[must_use]
    pub fn none() -> Self {
        Self::seeded(0, FaultRates::default())
    }

    /// Makes it happen at the next commit or flush; several queue up. What cannot happen there is passed over.
    pub fn at_next_commit(&self, fault: Fault) {
        self.lock().planned.push_back(fault);
    }

    /// Changes how often faults happen from now on, for instance to let a simulation run out in peace.
    pub fn set_rates(&self, rates: FaultRates) {
        self.lock().rates = rates;
    }

    /// Lets consumers see nothing of a partition from an offset on until [`release`](Self::release), as where the marker of a
    /// transaction that was committed is still on its way. [`Admin::offsets`] counts it all the same.
    pub fn hold(&self, partition: TopicPartition, offset: i64) {
        self.lock().held.insert(partition, offset);
    }

    /// The markers have come.
    pub fn release(&self) {
        self.lock().held.clear();
    }

    /// Dies now: every call fails from here on.
    pub fn crash(&self) {
        self.lock().crashed = true;
    }

    /// Whether it has died.
    #[must_use]
    pub fn crashed(&self) -> bool {
        self.lock().crashed
    }

    /// Lets new clients work again, after the old ones were dropped.
    pub fn revive(&self) {
        self.lock().crashed = false;
    }

    /// How often each fault happened.
    #[must_use]
    pub fn injected(&self) -> BTreeMap<Fault, u64> {
        self.lock().injected.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fault of a call, if it is to have one.
    fn draw(&self, call: Call) -> Result<Option<Fault>> {
        let mut state = self.lock();
        if state.crashed {
            return Err(crashed());
        }
        let mut fault = None;
        if matches!(call, Call::Commit | Call::Write) {
            fault = state
                .planned
                .pop_front()
                .filter(|fault| call.allows(*fault));
        }
        if fault.is_none() {
            let rates = state.rates;
            for (possible, rate) in [
                (Fault::Retriable, rates.retriable),
                (Fault::Abortable, rates.abortable),
                (Fault::Fenced, rates.fenced),
                (Fault::Unusable, rates.unusable),
                (Fault::UnusableAfterCommit, rates.unusable_after_commit),
                (Fault::CrashBeforeCommit, rates.crash_before_commit),
                (Fault::CrashAfterCommit, rates.crash_after_commit),
            ] {
                if rate > 0 && call.allows(possible) && state.below(10_000) < u64::from(rate) {
                    fault = Some(possible);
                    break;
                }
            }
        }
        if let Some(fault) = fault {
            *state.injected.entry(fault).or_default() += 1;
            state.crashed |= matches!(fault, Fault::CrashBeforeCommit | Fault::CrashAfterCommit);
        }
        Ok(fault)
    }

    /// Lets a call through that has no fault but a retriable one.
    fn plain(&self) -> Result<()> {
        match self.draw(Call::Plain)? {
            None => Ok(()),
            Some(fault) => Err(error_of(fault)),
        }
    }

    /// Lets a write through, or one of its faults happen.
    fn around<T>(&self, call: Call, write: impl FnOnce() -> Result<T>) -> Result<T> {
        match self.draw(call)? {
            None => write(),
            Some(Fault::CrashAfterCommit) => {
                write()?;
                Err(crashed())
            }
            Some(Fault::UnusableAfterCommit) => {
                write()?;
                Err(error_of(Fault::UnusableAfterCommit))
            }
            Some(fault) => Err(error_of(fault)),
        }
    }
}

impl State {
    /// SplitMix64: small, seeded, the same everywhere.
    fn below(&mut self, limit: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % limit
    }
}

fn crashed() -> TransportError {
    TransportError::Fatal("simulated crash".to_owned())
}

fn error_of(fault: Fault) -> TransportError {
    match fault {
        Fault::Retriable => TransportError::Retriable("simulated fault".to_owned()),
        Fault::Abortable => TransportError::Abortable("simulated fault".to_owned()),
        Fault::Fenced => TransportError::Fenced("simulated fault".to_owned()),
        Fault::Unusable | Fault::UnusableAfterCommit => {
            TransportError::Unusable("simulated fault".to_owned())
        }
        Fault::CrashBeforeCommit | Fault::CrashAfterCommit => crashed(),
    }
}

/// A transport whose calls fail now and then.
#[derive(Clone)]
pub struct FaultTransport {
    inner: Arc<dyn Transport>,
    faults: Faults,
}

impl fmt::Debug for FaultTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaultTransport({:?})", self.inner)
    }
}

impl FaultTransport {
    /// Puts faults before a transport.
    #[must_use]
    pub fn new(inner: Arc<dyn Transport>, faults: Faults) -> Self {
        FaultTransport { inner, faults }
    }

    /// Its faults.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.faults
    }
}

struct Faulty<C: ?Sized> {
    faults: Faults,
    /// Set for good by what ends a client.
    ended: Option<Fault>,
    inner: Box<C>,
}

impl<C: ?Sized> Faulty<C> {
    fn boxed(faults: &Faults, inner: Box<C>) -> Result<Box<Self>> {
        faults.plain()?;
        Ok(Box::new(Faulty {
            faults: faults.clone(),
            ended: None,
            inner,
        }))
    }

    fn usable(&self) -> Result<()> {
        self.ended.map_or(Ok(()), |fault| Err(error_of(fault)))
    }

    fn noted<T>(&mut self, result: Result<T>) -> Result<T> {
        match result {
            Err(TransportError::Fenced(_)) => self.ended = Some(Fault::Fenced),
            Err(TransportError::Unusable(_)) => self.ended = Some(Fault::Unusable),
            _ => {}
        }
        result
    }
}

impl Transport for FaultTransport {
    fn admin(&self) -> Result<Box<dyn Admin>> {
        Ok(Faulty::boxed(&self.faults, self.inner.admin()?)?)
    }

    fn consumer(&self, client_id: &str) -> Result<Box<dyn Consumer>> {
        Ok(Faulty::boxed(
            &self.faults,
            self.inner.consumer(client_id)?,
        )?)
    }

    fn producer(&self, spec: &ProducerSpec) -> Result<Box<dyn Producer>> {
        Ok(Faulty::boxed(&self.faults, self.inner.producer(spec)?)?)
    }

    fn membership(&self, spec: &MembershipSpec) -> Result<Box<dyn Membership>> {
        Ok(Faulty::boxed(&self.faults, self.inner.membership(spec)?)?)
    }
}

impl Admin for Faulty<dyn Admin> {
    fn describe_topics(&mut self, names: &[&str]) -> Result<Vec<Option<TopicInfo>>> {
        self.faults.plain()?;
        self.inner.describe_topics(names)
    }

    fn list_topics(&mut self) -> Result<Vec<TopicInfo>> {
        self.faults.plain()?;
        self.inner.list_topics()
    }

    fn create_replicated(
        &mut self,
        topic: &TopicInfo,
        replication_factor: Option<u16>,
    ) -> Result<()> {
        self.faults.plain()?;
        self.inner.create_replicated(topic, replication_factor)
    }

    fn delete_topics(&mut self, names: &[&str]) -> Result<()> {
        self.faults.plain()?;
        self.inner.delete_topics(names)
    }

    fn delete_records(&mut self, before: &[(TopicPartition, i64)]) -> Result<()> {
        self.faults.plain()?;
        self.inner.delete_records(before)
    }

    fn offsets(&mut self, partitions: &[TopicPartition]) -> Result<Vec<OffsetRange>> {
        self.faults.plain()?;
        self.inner.offsets(partitions)
    }

    fn committed(
        &mut self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Option<CommittedOffset>>> {
        self.faults.plain()?;
        self.inner.committed(group, partitions)
    }

    fn alter_committed(&mut self, group: &str, offsets: &[(TopicPartition, i64)]) -> Result<()> {
        self.faults.plain()?;
        self.inner.alter_committed(group, offsets)
    }

    fn describe_group(&mut self, group: &str) -> Result<GroupDescription> {
        self.faults.plain()?;
        self.inner.describe_group(group)
    }

    fn describe_log(&mut self) -> Result<LogDescription> {
        self.faults.plain()?;
        self.inner.describe_log()
    }

    fn allowed(&mut self, resources: &[Resource<'_>]) -> Result<Vec<Option<BTreeSet<Operation>>>> {
        self.faults.plain()?;
        self.inner.allowed(resources)
    }
}

impl Consumer for Faulty<dyn Consumer> {
    fn assign(&mut self, partitions: &[(TopicPartition, i64)]) -> Result<()> {
        self.faults.plain()?;
        self.inner.assign(partitions)
    }

    fn unassign(&mut self, partitions: &[TopicPartition]) {
        self.inner.unassign(partitions);
    }

    fn pause(&mut self, partitions: &[TopicPartition]) {
        self.inner.pause(partitions);
    }

    fn resume(&mut self, partitions: &[TopicPartition]) {
        self.inner.resume(partitions);
    }

    fn poll(
        &mut self,
        timeout: Duration,
        max_records: usize,
        into: &mut Vec<Fetched>,
    ) -> Result<()> {
        self.faults.plain()?;
        let before = into.len();
        let polled = self.inner.poll(timeout, max_records, into);
        let held = self.faults.lock().held.clone();
        for fetched in into.iter_mut().skip(before) {
            let Some(end) = held.get(&fetched.partition).copied() else {
                continue;
            };
            if fetched.next_offset > end {
                fetched.records.retain(|record| record.offset < end);
                fetched.next_offset = end;
                fetched.at_end = true;
                self.inner.assign(&[(fetched.partition.clone(), end)])?;
            }
        }
        polled
    }
}

impl Producer for Faulty<dyn Producer> {
    fn init(&mut self) -> Result<()> {
        self.usable()?;
        self.faults.plain()?;
        self.inner.init()
    }

    fn begin(&mut self) -> Result<()> {
        self.usable()?;
        self.faults.plain()?;
        self.inner.begin()
    }

    fn send(&mut self, outbox: &Outbox, topics: &[Arc<str>]) -> Result<()> {
        self.usable()?;
        self.faults.plain()?;
        self.inner.send(outbox, topics)
    }

    fn send_offsets(
        &mut self,
        group: &GroupMetadata,
        offsets: &[(TopicPartition, CommittedOffset)],
    ) -> Result<()> {
        self.usable()?;
        let result = self.faults.around(Call::SendOffsets, || {
            self.inner.send_offsets(group, offsets)
        });
        self.noted(result)
    }

    fn commit(&mut self) -> Result<Vec<(TopicPartition, i64)>> {
        self.usable()?;
        let result = self.faults.around(Call::Commit, || self.inner.commit());
        self.noted(result)
    }

    fn abort(&mut self) -> Result<()> {
        self.usable()?;
        self.faults.plain()?;
        self.inner.abort()
    }

    fn flush(&mut self) -> Result<Vec<(TopicPartition, i64)>> {
        self.usable()?;
        self.faults.around(Call::Write, || self.inner.flush())
    }
}

impl Membership for Faulty<dyn Membership> {
    fn poll(&mut self) -> Result<Vec<MembershipEvent>> {
        match self.faults.draw(Call::Join)? {
            None => self.inner.poll(),
            Some(Fault::Fenced) => {
                // As if its place had been given away: it joins anew with its next poll.
                self.inner.leave()?;
                Err(error_of(Fault::Fenced))
            }
            Some(fault) => Err(error_of(fault)),
        }
    }

    fn released(&mut self, tasks: &[TaskId]) -> Result<()> {
        self.faults.plain()?;
        self.inner.released(tasks)
    }

    fn group_metadata(&self) -> GroupMetadata {
        self.inner.group_metadata()
    }

    fn commit(&mut self, offsets: &[(TopicPartition, CommittedOffset)]) -> Result<()> {
        self.faults
            .around(Call::Write, || self.inner.commit(offsets))
    }

    fn leave(&mut self) -> Result<()> {
        self.faults.plain()?;
        self.inner.leave()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::Outgoing;
    use crate::record::Headers;
    use crate::transport::embedded::EmbeddedLog;

    fn log_with_topic() -> (Arc<dyn Transport>, Arc<str>) {
        let log = EmbeddedLog::in_memory();
        let topic = TopicInfo {
            name: "t".to_owned(),
            partitions: 1,
            config: BTreeMap::new(),
        };
        log.admin().unwrap().create_topic(&topic).unwrap();
        (Arc::new(log), "t".into())
    }

    fn one() -> Outbox {
        let mut out = Outbox::default();
        out.push(Outgoing {
            topic: 0,
            partition: Some(0),
            key: None,
            value: Some(b"v"),
            timestamp: Some(0),
            headers: &Headers::new(),
        });
        out
    }

    fn end(log: &Arc<dyn Transport>, topic: &Arc<str>) -> i64 {
        log.admin()
            .unwrap()
            .offsets(&[TopicPartition::new(topic.clone(), 0)])
            .unwrap()[0]
            .end
    }

    fn transact(faulty: &FaultTransport, topic: &Arc<str>) -> Result<()> {
        let id = Some("id".to_owned());
        let mut producer = faulty.producer(&ProducerSpec {
            client_id: String::new(),
            transactional_id: id,
        })?;
        producer.init()?;
        producer.begin()?;
        producer.send(&one(), std::slice::from_ref(topic))?;
        producer.commit().map(drop)
    }

    #[test]
    fn crashes_happen_on_the_side_of_the_commit_that_was_asked_for() {
        let (log, topic) = log_with_topic();
        let faulty = FaultTransport::new(log.clone(), Faults::none());
        faulty.faults().at_next_commit(Fault::CrashBeforeCommit);
        assert!(transact(&faulty, &topic).is_err() && faulty.faults().crashed());
        assert_eq!(end(&log, &topic), 0);
        assert!(transact(&faulty, &topic).is_err(), "the dead stay dead");
        faulty.faults().revive();
        faulty.faults().at_next_commit(Fault::CrashAfterCommit);
        assert!(transact(&faulty, &topic).is_err() && faulty.faults().crashed());
        assert_eq!(end(&log, &topic), 1);
        faulty.faults().revive();
        transact(&faulty, &topic).unwrap();
        assert_eq!(end(&log, &topic), 2);
    }

    #[test]
    fn an_abortable_commit_can_be_aborted_and_a_fenced_one_ends_the_producer() {
        let (log, topic) = log_with_topic();
        let faulty = FaultTransport::new(log.clone(), Faults::none());
        let id = Some("id".to_owned());
        let spec = ProducerSpec {
            client_id: String::new(),
            transactional_id: id,
        };
        let mut producer = faulty.producer(&spec).unwrap();
        producer.init().unwrap();
        for fault in [
            Fault::Retriable,
            Fault::Abortable,
            Fault::Unusable,
            Fault::UnusableAfterCommit,
            Fault::Fenced,
        ] {
            producer.begin().unwrap();
            producer.send(&one(), std::slice::from_ref(&topic)).unwrap();
            faulty.faults().at_next_commit(fault);
            let error = producer.commit().unwrap_err();
            match fault {
                Fault::Retriable => {
                    assert!(matches!(error, TransportError::Retriable(_)));
                    producer.commit().unwrap();
                }
                Fault::Abortable => {
                    assert!(matches!(error, TransportError::Abortable(_)));
                    producer.abort().unwrap();
                }
                Fault::Unusable | Fault::UnusableAfterCommit => {
                    assert!(matches!(error, TransportError::Unusable(_)));
                    assert!(matches!(producer.abort(), Err(TransportError::Unusable(_))));
                    producer = faulty.producer(&spec).unwrap();
                    producer.init().unwrap();
                }
                _ => {
                    assert!(matches!(error, TransportError::Fenced(_)));
                    assert!(matches!(producer.abort(), Err(TransportError::Fenced(_))));
                }
            }
        }
        assert_eq!(
            end(&log, &topic),
            2,
            "of five transactions the retried one is there, and the one of which nobody heard"
        );
    }

    #[test]
    fn the_seed_decides() {
        let run = |seed| {
            let (log, topic) = log_with_topic();
            let rates = FaultRates {
                retriable: 300,
                abortable: 300,
                fenced: 100,
                ..FaultRates::default()
            };
            let faulty = FaultTransport::new(log, Faults::seeded(seed, rates));
            let outcome: Vec<bool> = (0..300)
                .map(|_| transact(&faulty, &topic).is_ok())
                .collect();
            (outcome, faulty.faults().injected())
        };
        let (outcome, injected) = run(7);
        assert_eq!((outcome, injected.clone()), run(7));
        assert_ne!(run(7), run(8));
        assert_eq!(injected.len(), 3, "{injected:?}");
    }
}
