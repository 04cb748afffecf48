//! Layer 2. A member of a classic consumer group with assignor `range`. Speaks of tasks: a task is whose partition of its
//! sub-topology's driver topic it is, the first of its source topics with the most partitions.
//!
//! It fetches nothing. Rebalances are told by [`Membership::poll`] and answered by [`Membership::released`], so that the group
//! waits for the commit. With one driver topic, a sub-topology's task cannot tear, whatever its other topics' counts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::errors::{Code, Failure, first_unknown};
use super::handle::millis;
use super::joining::{Identity, Joiner, Told};
use super::settings::{Role, Settings};
use crate::record::{TaskId, TopicPartition};
use crate::time::{Clock, SystemClock};
use crate::transport::{
    CommittedOffset, GroupMetadata, Membership, MembershipEvent, MembershipSpec, TransportError,
};

type Result<T> = std::result::Result<T, TransportError>;

/// How long a call waits for brokers before it says "try again".
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a subscribed topic may be one that brokers do not know yet.
const NEW_TOPIC: Duration = Duration::from_secs(5);

/// A member of a Kafka group. Dropping it is vanishing: its place is kept until its session ends, and taken over by a
/// successor of the same name.
#[derive(Debug)]
pub(super) struct KafkaMembership {
    joiner: Joiner,
    clock: SystemClock,
    spec: MembershipSpec,
    joined: bool,
    /// Whether its first assignment was told.
    welcomed: bool,
    /// As whom it commits: what it was when its tasks were told to it.
    identity: Identity,
    tasks: BTreeSet<TaskId>,
    /// What the group gave and the caller was not told, as brokers could not be asked about topics.
    given: Option<Vec<(String, i32)>>,
    /// What the group waits for. `None`: it waits for nothing.
    revoking: Option<BTreeSet<TaskId>>,
    /// Topics that brokers do not know, and since when.
    missing: BTreeMap<String, Duration>,
    /// Why it is no member any more, and never will be with this client.
    fenced: Option<String>,
}

impl KafkaMembership {
    /// A member that has not joined.
    pub(super) fn new(settings: &Arc<Settings>, spec: &MembershipSpec) -> Result<Self> {
        let client_id = format!("{}-{}-member", spec.group, spec.member);
        let mut config = settings.client_config(Role::Member, &client_id);
        config
            .set("group.id", &spec.group)
            .set("group.instance.id", &spec.member)
            .set("group.protocol", "classic");
        Ok(KafkaMembership {
            joiner: Joiner::new(&config)?,
            clock: SystemClock::new(),
            spec: spec.clone(),
            joined: false,
            welcomed: false,
            identity: nobody(),
            tasks: BTreeSet::new(),
            given: None,
            revoking: None,
            missing: BTreeMap::new(),
            fenced: None,
        })
    }

    fn join(&mut self) -> Result<()> {
        let topics: BTreeSet<&str> = self
            .spec
            .subtopologies
            .iter()
            .flat_map(|s| s.topics.iter().map(|(topic, _)| &**topic))
            .collect();
        let topics: Vec<&str> = topics.into_iter().collect();
        self.joiner
            .subscribe(&topics)
            .map_err(|e| self.failed("joining", &e))?;
        self.joined = true;
        Ok(())
    }

    /// What has to be done about a failure of a call.
    fn failed(&self, what: &str, failure: &Failure) -> TransportError {
        let group = &self.spec.group;
        let what = format!("{what} in group `{group}`");
        if failure.is(Code::FencedInstanceId) {
            TransportError::Fenced(format!(
                "another `{}` has joined group `{group}`: {}",
                self.spec.member, failure.text
            ))
        } else if failure.is_refusal() {
            failure.class(&what)
        } else if failure.is(Code::InconsistentGroupProtocol) {
            TransportError::Fatal(format!(
                "{what}: {}: members of another kind are in the group; give the application another id, or stop them",
                failure.text
            ))
        } else {
            match failure.class(&what) {
                // The group goes on without this member, which may come back.
                lost @ TransportError::Abortable(_) => lost,
                _ if failure.fatal => TransportError::Fenced(failure.report(&what)),
                class => class,
            }
        }
    }

    /// A topic that is not there any more, if offsets were not committed for that. librdkafka tries again for long.
    fn vanished<'a>(
        &self,
        offsets: &'a [(TopicPartition, CommittedOffset)],
        failure: &Failure,
    ) -> Option<&'a str> {
        if !failure.is(Code::OperationTimedOut) && !failure.is_unknown_topic() {
            return None;
        }
        let topics: BTreeSet<&str> = offsets.iter().map(|(at, _)| &*at.topic).collect();
        first_unknown(topics, |topic| {
            let count = self.joiner.partitions(topic, millis(PATIENCE));
            count.map(drop)
        })
    }

    /// An error event. Most are about connections, which librdkafka mends by itself.
    fn heard(&mut self, failure: Failure) -> Result<()> {
        if failure.fatal {
            return Err(self.end(&failure));
        }
        if failure.is_unknown_topic() {
            // The text says which, but not in a way to rely on.
            let now = self.clock.elapsed();
            for (topic, _) in self.spec.subtopologies.iter().flat_map(|s| &s.topics) {
                if failure.text.contains(&**topic) {
                    self.missing.entry(topic.to_string()).or_insert(now);
                }
            }
            return Ok(());
        }
        if failure.is_refusal() || failure.is(Code::InconsistentGroupProtocol) {
            return Err(self.failed("being a member", &failure));
        }
        if failure.is(Code::PollExceeded) {
            tracing::warn!(
                group = self.spec.group,
                member = self.spec.member,
                "one step took longer than max.poll.interval.ms, and the group gave the tasks to others: {}",
                failure.text
            );
        } else {
            tracing::debug!(group = self.spec.group, "{}", failure.text);
        }
        self.joiner.handle().note(failure);
        Ok(())
    }

    /// The client is of no more use.
    fn end(&mut self, failure: &Failure) -> TransportError {
        let error = self.failed("being a member", failure);
        if let TransportError::Fenced(why) = &error {
            self.fenced = Some(why.clone());
        }
        self.identity = nobody();
        error
    }

    /// Topics that stay unknown are gone, or never were there.
    fn look_for_missing(&mut self) -> Result<()> {
        let now = self.clock.elapsed();
        let overdue = self
            .missing
            .iter()
            .find(|(_, since)| now.saturating_sub(**since) >= NEW_TOPIC)
            .map(|(topic, _)| topic.clone());
        let Some(topic) = overdue else { return Ok(()) };
        match self.joiner.partitions(&topic, millis(PATIENCE)) {
            Ok(_) => {
                self.missing.remove(&topic);
                Ok(())
            }
            Err(e) if e.is_unknown_topic() => Err(TransportError::UnknownTopic(topic)),
            Err(e) => Err(self.failed("asking about a topic", &e)),
        }
    }

    /// The topic whose partitions decide who has a sub-topology's tasks: the first with the most partitions.
    fn driver(&self, topics: &[&str]) -> Result<String> {
        if let [only] = topics {
            return Ok((*only).to_owned());
        }
        let mut driver = ("", 0);
        for topic in topics {
            let count = self
                .joiner
                .partitions(topic, millis(PATIENCE))
                .map_err(|e| {
                    if e.is_unknown_topic() {
                        TransportError::UnknownTopic((*topic).to_owned())
                    } else {
                        self.failed("asking about a topic", &e)
                    }
                })?;
            if count > driver.1 {
                driver = (topic, count);
            }
        }
        Ok(driver.0.to_owned())
    }

    /// The tasks of partitions.
    fn tasks_of(&self, partitions: &[(String, i32)]) -> Result<BTreeSet<TaskId>> {
        let mut tasks = BTreeSet::new();
        for sources in &self.spec.subtopologies {
            let topics: Vec<&str> = sources.topics.iter().map(|(topic, _)| &**topic).collect();
            if !partitions.iter().any(|(t, _)| topics.contains(&t.as_str())) {
                continue;
            }
            let driver = self.driver(&topics)?;
            tasks.extend(partitions.iter().filter(|(topic, _)| *topic == driver).map(
                |(_, partition)| TaskId {
                    subtopology: sources.subtopology,
                    partition: *partition,
                },
            ));
        }
        Ok(tasks)
    }

    /// Takes what the group gave, if anything is still to be taken.
    fn take(&mut self, events: &mut Vec<MembershipEvent>) -> Result<()> {
        let Some(given) = &self.given else {
            return Ok(());
        };
        let tasks = self.tasks_of(given)?;
        self.joiner
            .accept()
            .map_err(|e| self.failed("taking tasks", &e))?;
        self.given = None;
        self.identity = self.joiner.identity();
        if !tasks.is_empty() || !self.welcomed {
            events.push(MembershipEvent::Assigned(tasks.iter().copied().collect()));
        }
        self.welcomed = true;
        self.tasks = tasks;
        Ok(())
    }

    fn give_back(&mut self) -> Result<()> {
        self.revoking = None;
        self.joiner
            .give_back()
            .map_err(|e| self.failed("giving tasks back", &e))
    }

    fn told(&mut self, told: Told, events: &mut Vec<MembershipEvent>) -> Result<()> {
        match told {
            Told::Assigned(partitions) => {
                self.given = Some(partitions);
                self.take(events)
            }
            Told::Revoked { lost } => {
                self.given = None;
                let tasks = std::mem::take(&mut self.tasks);
                if lost {
                    // They are others' already, or nobody's: with them goes the right to commit.
                    self.identity = nobody();
                    if !tasks.is_empty() {
                        events.push(MembershipEvent::Lost(tasks.into_iter().collect()));
                    }
                    return self.give_back();
                }
                if tasks.is_empty() {
                    return self.give_back();
                }
                events.push(MembershipEvent::Revoked(tasks.iter().copied().collect()));
                self.revoking = Some(tasks);
                Ok(())
            }
            Told::Failed(failed) => self.heard(*failed),
        }
    }

    /// Serves the group until something is true, at most for a while.
    fn wait_until(&mut self, done: impl Fn(&Joiner) -> bool) -> bool {
        let begin = self.clock.elapsed();
        while !done(&self.joiner) {
            if self.clock.elapsed().saturating_sub(begin) >= PATIENCE {
                return false;
            }
            match self.joiner.next(10) {
                // Whatever it still gives is not wanted any more.
                Some(Told::Assigned(_)) => drop(self.joiner.accept()),
                Some(Told::Revoked { .. }) => drop(self.joiner.give_back()),
                Some(Told::Failed(failed)) if failed.fatal => return false,
                Some(Told::Failed(_)) | None => {}
            }
        }
        true
    }
}

impl Membership for KafkaMembership {
    fn poll(&mut self) -> Result<Vec<MembershipEvent>> {
        if let Some(why) = &self.fenced {
            return Err(TransportError::Fenced(why.clone()));
        }
        if !self.joined {
            self.join()?;
        }
        let mut events = Vec::new();
        self.take(&mut events)?;
        while let Some(told) = self.joiner.next(0) {
            if let Err(e) = self.told(told, &mut events) {
                if events.is_empty() || self.fenced.is_some() {
                    return Err(e);
                }
                // What was told must not be lost; the error comes again, or was about something that passes.
                tracing::debug!(group = self.spec.group, "{e}");
                return Ok(events);
            }
        }
        if let Some(failure) = self.joiner.handle().fatal() {
            return Err(self.end(&failure));
        }
        if events.is_empty() && !self.missing.is_empty() {
            self.look_for_missing()?;
        }
        Ok(events)
    }

    fn released(&mut self, tasks: &[TaskId]) -> Result<()> {
        let Some(revoking) = &mut self.revoking else {
            return Ok(());
        };
        for task in tasks {
            revoking.remove(task);
        }
        if revoking.is_empty() {
            self.give_back()?;
        }
        Ok(())
    }

    fn group_metadata(&self) -> GroupMetadata {
        GroupMetadata {
            group: self.spec.group.clone(),
            member: if self.identity.member.is_empty() {
                // A name that no member has: who lost its place must not pass for somebody outside.
                self.spec.member.clone()
            } else {
                self.identity.member.clone()
            },
            // Never -1, which a group without members takes from anybody.
            generation: i64::from(self.identity.generation.max(0)),
            instance: Some(self.spec.member.clone()),
        }
    }

    fn commit(&mut self, offsets: &[(TopicPartition, CommittedOffset)]) -> Result<()> {
        if offsets.is_empty() {
            return Ok(());
        }
        // The client commits as whoever it is now.
        let now = self.joiner.identity();
        if now != self.identity || now.member.is_empty() {
            return Err(TransportError::Abortable(format!(
                "generation {} of `{}` in group `{}` is over",
                self.identity.generation, self.spec.member, self.spec.group
            )));
        }
        let committed = self.joiner.commit(offsets, millis(PATIENCE))?;
        committed.map_err(|e| match self.vanished(offsets, &e) {
            Some(topic) => TransportError::UnknownTopic(topic.to_owned()),
            None => self.failed("committing offsets", &e),
        })
    }

    fn leave(&mut self) -> Result<()> {
        if !self.joined || self.fenced.is_some() {
            return Ok(());
        }
        self.joined = false;
        self.identity = nobody();
        self.tasks.clear();
        self.given = None;
        self.revoking = None;
        self.joiner
            .unsubscribe()
            .map_err(|e| self.failed("leaving", &e))?;
        // What is unanswered is given back, here and while waiting; then the request to leave goes out, which takes the member's
        // id away; closing waits for its answer. Closing alone would leave a static member in the group.
        drop(self.joiner.give_back());
        let sent = self.wait_until(|j| j.identity().member.is_empty());
        self.joiner.begin_closing();
        let closed = self.wait_until(Joiner::is_closed);
        if sent && closed {
            return Ok(());
        }
        Err(TransportError::Retriable(format!(
            "leaving group `{}` took longer than {PATIENCE:?}; its place is free when its session ends",
            self.spec.group
        )))
    }
}

fn nobody() -> Identity {
    Identity {
        member: String::new(),
        generation: -1,
    }
}
