//! Layer 2. Topics, offsets, groups and rights on Kafka.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Wake};
use std::thread::Thread;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, ConfigSource, ResourceSpecifier};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{Offset, TopicPartitionList};

use super::errors::{self, Code, Failure};
use super::requests::{End, PartitionAnswer, Requests};
use super::settings::{Context, Role, Settings};
use crate::record::TopicPartition;
use crate::time::{Clock, SystemClock};
use crate::transport::{
    Admin, CommittedOffset, GroupDescription, GroupMember, LogDescription, OffsetRange, Operation,
    Resource, TopicInfo, TransportError,
};

type Result<T = ()> = std::result::Result<T, TransportError>;

/// How often a broker is asked whether a topic has come or gone.
const PATIENCE: usize = 100;
const BETWEEN: Duration = Duration::from_millis(50);
/// How often it is looked at what goes wrong while an answer is waited for.
const LOOK: Duration = Duration::from_millis(100);
/// How long a coordinator that puts off is asked again, before the caller decides.
const COORDINATOR_PATIENCE: Duration = Duration::from_secs(5);

/// Settings that a topic has to have, whether it was given them or inherits them.
const DECIDE_LOSS: &[&str] = &[
    "cleanup.policy",
    "retention.ms",
    "retention.bytes",
    "message.timestamp.type",
];

/// An administrator of a Kafka cluster.
pub(super) struct KafkaAdmin {
    client: AdminClient<Context>,
    /// A client for each group whose offsets were asked for. `ListConsumerGroupOffsets` of librdkafka 2.12 would do with one for
    /// all, but ends the process by a null pointer or an assertion where the group's coordinator dies meanwhile.
    groups: BTreeMap<String, BaseConsumer<Context>>,
    settings: Arc<Settings>,
    clock: SystemClock,
    timeout: Duration,
}

impl KafkaAdmin {
    pub(super) fn new(settings: &Arc<Settings>) -> Result<Self> {
        let config = settings.client_config(Role::Admin, &settings.admin_client_id());
        let client = config.create_with_context(Context::default());
        let client = client.map_err(|e| errors::client("making an admin client", &e))?;
        Ok(KafkaAdmin {
            client,
            groups: BTreeMap::new(),
            settings: Arc::clone(settings),
            clock: SystemClock::new(),
            timeout: settings.request_timeout(),
        })
    }

    fn options(&self) -> AdminOptions {
        AdminOptions::new()
            .request_timeout(Some(self.timeout))
            .operation_timeout(Some(self.timeout))
    }

    #[expect(
        unsafe_code,
        reason = "the requests hold the client's pointer; see SAFETY"
    )]
    fn requests(&self) -> Requests<'_> {
        // SAFETY: used within a call of this value, which has the client.
        unsafe {
            let client = self.client.inner();
            Requests::new(client.native_ptr(), client.context(), self.timeout)
        }
    }

    /// What a group has committed, when no transaction on these offsets is open any more.
    fn committed_of(
        &mut self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> std::result::Result<TopicPartitionList, KafkaError> {
        let mut asked = TopicPartitionList::with_capacity(partitions.len());
        for partition in partitions {
            asked.add_partition(&partition.topic, partition.partition);
        }
        if let Some(client) = self.groups.get(group) {
            // Nobody polls for what the connections say; it must not pile up.
            while client.poll(Duration::ZERO).is_some() {}
            return client.committed_offsets(asked, COORDINATOR_PATIENCE);
        }
        let id = self.settings.admin_client_id();
        let mut config = self.settings.client_config(Role::Admin, &id);
        config
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            // Offsets of open transactions are waited for.
            .set("isolation.level", "read_committed");
        let client: BaseConsumer<Context> = config.create_with_context(Context::default())?;
        let committed = client.committed_offsets(asked, COORDINATOR_PATIENCE);
        self.groups.insert(group.to_owned(), client);
        committed
    }

    /// An error, with what the client was told last: that time ran out says little.
    fn explained(&self, error: TransportError) -> TransportError {
        self.requests().listen();
        errors::because(error, self.client.inner().context().last_error())
    }

    fn failed(&self, what: &str, error: &KafkaError) -> TransportError {
        self.explained(errors::client(what, error))
    }

    fn refused(&self, what: &str, refused: &Failure) -> TransportError {
        self.explained(refused.class(what))
    }

    fn refused_of(&self, what: &str, topic: &str, refused: &Failure) -> TransportError {
        self.explained(refused.class_of_topic(what, topic))
    }

    /// Partition counts of those topics that are there.
    fn partition_counts(&self, names: &[&str]) -> Result<BTreeMap<String, u32>> {
        let answers = self.requests().topics(names);
        let answers = answers.map_err(|e| self.refused("looking up topics", &e))?;
        let mut counts = BTreeMap::new();
        for (name, answer) in names.iter().zip(answers) {
            match answer {
                Ok(topic) => {
                    let count = u32::try_from(topic.partitions).unwrap_or(u32::MAX);
                    counts.insert((*name).to_owned(), count);
                }
                Err(refused) if is_absent(&refused) => {}
                Err(refused) => return Err(self.refused_of("looking it up", name, &refused)),
            }
        }
        Ok(counts)
    }

    /// Partition counts of all topics that this client may see.
    fn all_partition_counts(&self) -> Result<BTreeMap<String, u32>> {
        let metadata = self
            .client
            .inner()
            .fetch_metadata(None, self.timeout)
            .map_err(|e| self.failed("looking up topics", &e))?;
        let there = metadata.topics().iter().filter(|t| t.error().is_none());
        Ok(there
            .map(|t| {
                let count = u32::try_from(t.partitions().len()).unwrap_or(u32::MAX);
                (t.name().to_owned(), count)
            })
            .collect())
    }

    /// Topics with what was set for them, and of what is inherited from the broker that which decides what may get lost.
    fn infos(&self, counts: BTreeMap<String, u32>) -> Result<Vec<TopicInfo>> {
        let resources: Vec<ResourceSpecifier<'_>> =
            counts.keys().map(|n| ResourceSpecifier::Topic(n)).collect();
        if resources.is_empty() {
            return Ok(Vec::new());
        }
        let asked = self
            .client
            .describe_configs(resources.iter(), &self.options());
        let described = self.wait("reading topics' settings", asked)?;
        counts
            .into_iter()
            .zip(described)
            .map(|((name, partitions), described)| {
                let config = match described {
                    Ok(described) => described
                        .entries
                        .into_iter()
                        .filter(|e| {
                            matches!(e.source, ConfigSource::DynamicTopic)
                                || DECIDE_LOSS.contains(&e.name.as_str())
                        })
                        .filter_map(|e| Some((e.name, e.value?)))
                        .collect(),
                    // Who may not see a topic's settings may still use the topic.
                    Err(Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed) => {
                        BTreeMap::new()
                    }
                    Err(code) => {
                        let refused = Failure::of(code);
                        return Err(self.refused_of("reading the settings", &name, &refused));
                    }
                };
                Ok(TopicInfo {
                    name,
                    partitions,
                    config,
                })
            })
            .collect()
    }

    /// Waits until all brokers that answer know, or no longer know, a topic.
    fn until(&self, topic: &str, partitions: Option<u32>) -> Result {
        for _ in 0..PATIENCE {
            let answers = self.requests().topics(&[topic]);
            let mut answers = answers.map_err(|e| self.refused("looking up a topic", &e))?;
            let ready = match answers.pop() {
                Some(Ok(topic)) => topic.led,
                _ => 0,
            };
            match partitions {
                Some(count) if ready >= count as usize => return Ok(()),
                None if ready == 0 => return Ok(()),
                _ => self.clock.sleep(BETWEEN),
            }
        }
        Err(TransportError::Retriable(format!(
            "topic `{topic}` was {}, but the brokers do not all know it yet",
            if partitions.is_some() {
                "created"
            } else {
                "deleted"
            }
        )))
    }

    /// Repeats what a coordinator puts off: on a fresh cluster it is still making the topic that it keeps its groups in.
    fn patiently<T>(&self, ask: impl Fn() -> Result<T>) -> Result<T> {
        let begun = self.clock.elapsed();
        loop {
            match ask() {
                Err(TransportError::Retriable(told))
                    if self.clock.elapsed().saturating_sub(begun) < COORDINATOR_PATIENCE =>
                {
                    tracing::debug!("asking again: {told}");
                    self.clock.sleep(BETWEEN);
                }
                answered => return answered,
            }
        }
    }

    /// A broker tells its version to nobody, and which requests it takes only to librdkafka, which keeps that to itself. Which
    /// settings it has tells as much.
    fn version(&self, broker: i32) -> Option<String> {
        let asked = [ResourceSpecifier::Broker(broker)];
        let described = self.client.describe_configs(&asked, &self.options());
        let described = self.wait("reading a broker's settings", described);
        let settings = described.ok()?.into_iter().next()?.ok()?;
        let setting = |name: &str| settings.entries.iter().find(|e| e.name == name);
        if let Some(protocol) = setting("inter.broker.protocol.version") {
            return protocol
                .value
                .as_ref()
                .map(|v| format!("{v} by its protocol"));
        }
        Some(if setting("group.streams.session.timeout.ms").is_some() {
            "4.1 or later".to_owned()
        } else {
            "4.0".to_owned()
        })
    }

    fn known(&self, what: &str, answers: &[PartitionAnswer]) -> Result {
        for answer in answers {
            if let Some(refused) = &answer.error {
                return Err(self.refused_of(what, &answer.topic, refused));
            }
        }
        Ok(())
    }

    /// That partitions are there: librdkafka would ask for those that are not until time runs out.
    fn check(&self, partitions: &[TopicPartition]) -> Result {
        let names: BTreeSet<&str> = partitions.iter().map(|p| &*p.topic).collect();
        let names: Vec<&str> = names.into_iter().collect();
        if names.is_empty() {
            return Ok(());
        }
        let counts = self.partition_counts(&names)?;
        for partition in partitions {
            let Some(count) = counts.get(&*partition.topic) else {
                return Err(TransportError::UnknownTopic(partition.topic.to_string()));
            };
            if !u32::try_from(partition.partition).is_ok_and(|p| p < *count) {
                return Err(TransportError::UnknownPartition(partition.clone()));
            }
        }
        Ok(())
    }
}

/// That no topic can have the name, too, means that it is not there.
fn is_absent(refused: &Failure) -> bool {
    refused.is_unknown_topic() || refused.is(Code::InvalidTopic)
}

fn pairs(partitions: &[TopicPartition]) -> Vec<(&str, i32)> {
    partitions
        .iter()
        .map(|p| (&*p.topic, p.partition))
        .collect()
}

fn answer_of(element: &TopicPartitionListElem<'_>) -> PartitionAnswer {
    let error = element.error().err().as_ref().map(Failure::of_rdkafka);
    PartitionAnswer {
        topic: element.topic().to_owned(),
        partition: element.partition(),
        offset: match element.offset() {
            Offset::Offset(offset) => offset,
            _ => -1,
        },
        metadata: element.metadata().to_owned(),
        error,
    }
}

/// The answer for each partition, in the order of the question.
fn in_order(
    partitions: &[TopicPartition],
    answers: Vec<PartitionAnswer>,
) -> Vec<Option<PartitionAnswer>> {
    let mut by_partition: BTreeMap<(String, i32), PartitionAnswer> = answers
        .into_iter()
        .map(|a| ((a.topic.clone(), a.partition), a))
        .collect();
    partitions
        .iter()
        .map(|p| by_partition.remove(&(p.topic.to_string(), p.partition)))
        .collect()
}

/// Where a partition's records begin and end, if both were told. Where a leader did not answer, librdkafka may tell no error, and
/// no offset either: taken for one, a store would be thrown away whose changelog seems to end before it.
fn range(start: Option<PartitionAnswer>, end: Option<PartitionAnswer>) -> Option<OffsetRange> {
    let known = |answer: Option<PartitionAnswer>| Some(answer?.offset).filter(|o| *o >= 0);
    Some(OffsetRange {
        start: known(start)?,
        end: known(end)?,
    })
}

impl Admin for KafkaAdmin {
    fn describe_topics(&mut self, names: &[&str]) -> Result<Vec<Option<TopicInfo>>> {
        if names.is_empty() {
            return Ok(self.list_topics()?.into_iter().map(Some).collect());
        }
        let counts = self.partition_counts(names)?;
        let mut infos: BTreeMap<String, TopicInfo> = self
            .infos(counts)?
            .into_iter()
            .map(|info| (info.name.clone(), info))
            .collect();
        Ok(names.iter().map(|name| infos.remove(*name)).collect())
    }

    /// Without the topic's settings, which need a right of their own.
    fn partition_count(&mut self, topic: &str) -> Result<Option<u32>> {
        Ok(self.partition_counts(&[topic])?.remove(topic))
    }

    fn list_topics(&mut self) -> Result<Vec<TopicInfo>> {
        self.infos(self.all_partition_counts()?)
    }

    fn create_replicated(&mut self, topic: &TopicInfo, replication_factor: Option<u16>) -> Result {
        let partitions =
            i32::try_from(topic.partitions).map_err(|_| TransportError::InvalidTopic {
                topic: topic.name.clone(),
                reason: format!("{} partitions are too many", topic.partitions),
            })?;
        let replication = replication_factor.map_or(-1, i32::from);
        let created = self
            .requests()
            .create(&topic.name, partitions, replication, &topic.config);
        match created {
            Err(refused) if refused.is(Code::TopicAlreadyExists) => {
                let there = self.partition_counts(&[&topic.name])?;
                match there.get(&topic.name) {
                    Some(count) if *count != topic.partitions => {
                        Err(TransportError::InvalidTopic {
                            topic: topic.name.clone(),
                            reason: format!(
                                "it is there with {count} partitions, not {}; delete it, or use its count",
                                topic.partitions
                            ),
                        })
                    }
                    _ => self.until(&topic.name, Some(topic.partitions)),
                }
            }
            Err(refused) => Err(self.refused_of("creating it", &topic.name, &refused)),
            Ok(()) => self.until(&topic.name, Some(topic.partitions)),
        }
    }

    fn delete_topics(&mut self, names: &[&str]) -> Result {
        if names.is_empty() {
            return Ok(());
        }
        let asked = self.client.delete_topics(names, &self.options());
        let deleted = self.wait("deleting topics", asked)?;
        for result in deleted {
            match result {
                Ok(_) => {}
                Err((_, code)) if Failure::of(code).is_unknown_topic() => {}
                Err((name, code)) => {
                    return Err(self.refused_of("deleting it", &name, &Failure::of(code)));
                }
            }
        }
        names.iter().try_for_each(|name| self.until(name, None))
    }

    fn delete_records(&mut self, before: &[(TopicPartition, i64)]) -> Result {
        if before.is_empty() {
            return Ok(());
        }
        let partitions: Vec<TopicPartition> = before.iter().map(|(p, _)| p.clone()).collect();
        self.check(&partitions)?;
        let mut list = TopicPartitionList::new();
        for (partition, offset) in before {
            list.add_partition_offset(
                &partition.topic,
                partition.partition,
                Offset::Offset(*offset),
            )
            .map_err(|e| self.failed("deleting records", &e))?;
        }
        let asked = self.client.delete_records(&list, &self.options());
        let deleted = self.wait("deleting records", asked)?;
        for element in deleted.elements() {
            if let Err(error) = element.error() {
                let refused = Failure::of_rdkafka(&error);
                return Err(self.refused_of("deleting records", element.topic(), &refused));
            }
        }
        Ok(())
    }

    fn offsets(&mut self, partitions: &[TopicPartition]) -> Result<Vec<OffsetRange>> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        self.check(partitions)?;
        let ask = |end| -> Result<Vec<Option<PartitionAnswer>>> {
            let answers = self.requests().offsets(&pairs(partitions), end);
            let answers = answers.map_err(|e| self.refused("asking for offsets", &e))?;
            self.known("asking for offsets", &answers)?;
            Ok(in_order(partitions, answers))
        };
        let (starts, ends) = (ask(End::First)?, ask(End::Last)?);
        let ranges = starts.into_iter().zip(ends).map(|(s, e)| range(s, e));
        partitions
            .iter()
            .zip(ranges)
            .map(|(partition, range)| {
                range.ok_or_else(|| {
                    TransportError::Retriable(format!("the brokers told no offsets of {partition}"))
                })
            })
            .collect()
    }

    fn committed(
        &mut self,
        group: &str,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Option<CommittedOffset>>> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let what = format!("asking for the offsets of group `{group}`");
        let begun = self.clock.elapsed();
        let answers = loop {
            let found = self.committed_of(group, partitions);
            let found = found.map_err(|e| self.failed(&what, &e)).and_then(|list| {
                let answers = list.elements().iter().map(answer_of).collect::<Vec<_>>();
                self.known(&what, &answers)?;
                Ok(answers)
            });
            match found {
                Err(TransportError::Retriable(told))
                    if self.clock.elapsed().saturating_sub(begun) < COORDINATOR_PATIENCE =>
                {
                    tracing::debug!("asking again: {told}");
                    self.clock.sleep(BETWEEN);
                }
                answered => break answered?,
            }
        };
        let committed = in_order(partitions, answers).into_iter().map(|answer| {
            answer.filter(|a| a.offset >= 0).map(|a| CommittedOffset {
                offset: a.offset,
                metadata: a.metadata,
            })
        });
        Ok(committed.collect())
    }

    fn alter_committed(&mut self, group: &str, offsets: &[(TopicPartition, i64)]) -> Result {
        if offsets.is_empty() {
            return Ok(());
        }
        let partitions: Vec<TopicPartition> = offsets.iter().map(|(p, _)| p.clone()).collect();
        self.check(&partitions)?;
        let what = format!("setting the offsets of group `{group}`");
        let wanted: Vec<(&str, i32, i64)> = offsets
            .iter()
            .map(|(p, offset)| (&*p.topic, p.partition, *offset))
            .collect();
        self.patiently(|| {
            let answers = self
                .requests()
                .alter_committed(group, &wanted)
                .map_err(|e| self.has_members(group, &what, &e))?;
            match answers.iter().find_map(|a| a.error.as_ref()) {
                Some(refused) => Err(self.has_members(group, &what, refused)),
                None => Ok(()),
            }
        })
    }

    fn describe_group(&mut self, group: &str) -> Result<GroupDescription> {
        let what = format!("describing group `{group}`");
        self.patiently(|| match self.requests().group(group) {
            Ok(answer) => Ok(GroupDescription {
                state: answer.state,
                members: answer
                    .members
                    .into_iter()
                    .map(|m| GroupMember {
                        member: m.instance.unwrap_or(m.id),
                        client_id: m.client_id,
                        host: m.host,
                    })
                    .collect(),
            }),
            Err(refused) if refused.is(Code::GroupIdNotFound) => Ok(GroupDescription {
                state: "Dead".to_owned(),
                members: Vec::new(),
            }),
            Err(refused) => Err(self.refused(&what, &refused)),
        })
    }

    fn describe_log(&mut self) -> Result<LogDescription> {
        let answer = self.requests().cluster();
        let answer = answer.map_err(|e| self.refused("describing the cluster", &e))?;
        let broker = answer.brokers.first();
        let broker = broker.and_then(|b| b.split(' ').next()?.parse().ok());
        Ok(LogDescription {
            id: answer.id,
            version: broker.and_then(|broker| self.version(broker)),
            brokers: answer.brokers,
        })
    }

    fn allowed(&mut self, resources: &[Resource<'_>]) -> Result<Vec<Option<BTreeSet<Operation>>>> {
        resources
            .iter()
            .map(|resource| {
                let what = format!("asking for the rights on {resource}");
                let refused = |e: Failure| match e.known() {
                    _ if is_absent(&e) => Ok(None),
                    Some(
                        Code::GroupIdNotFound | Code::UnsupportedFeature | Code::UnsupportedVersion,
                    ) => Ok(None),
                    Some(
                        Code::TopicAuthorizationFailed
                        | Code::GroupAuthorizationFailed
                        | Code::ClusterAuthorizationFailed,
                    ) => Ok(Some(BTreeSet::new())),
                    _ => Err(self.refused(&what, &e)),
                };
                self.patiently(|| match resource {
                    Resource::Topic(topic) => match self.requests().topics(&[topic]) {
                        Ok(mut answers) => match answers.pop() {
                            Some(answer) => answer.map(|t| t.allowed).or_else(refused),
                            None => Ok(None),
                        },
                        Err(e) => refused(e),
                    },
                    Resource::Group(group) => self
                        .requests()
                        .group(group)
                        .map(|a| a.allowed)
                        .or_else(refused),
                    Resource::Cluster => self
                        .requests()
                        .cluster()
                        .map(|a| a.allowed)
                        .or_else(refused),
                })
            })
            .collect()
    }
}

impl KafkaAdmin {
    /// Brokers refuse to set the offsets of a group with members in several words.
    fn has_members(&self, group: &str, what: &str, refused: &Failure) -> TransportError {
        match refused.known() {
            Some(
                Code::UnknownMemberId
                | Code::NonEmptyGroup
                | Code::IllegalGeneration
                | Code::GroupSubscribedToTopic,
            ) => TransportError::Abortable(format!(
                "{what}: group `{group}` has members; stop the application first"
            )),
            _ => self.refused(what, refused),
        }
    }
}

impl KafkaAdmin {
    /// Waits for an answer that librdkafka's thread will bring. Needs no runtime, so it may be called from within one. A client
    /// that is not let in does not wait for a connection all the request's time.
    fn wait<T>(&self, what: &str, asked: impl Future<Output = KafkaResult<T>>) -> Result<T> {
        let waker = Arc::new(Unpark(std::thread::current())).into();
        let mut context = TaskContext::from_waker(&waker);
        let mut asked = pin!(asked);
        loop {
            if let Poll::Ready(answered) = asked.as_mut().poll(&mut context) {
                if answered.is_ok() {
                    self.client.inner().context().forget_error();
                }
                return answered.map_err(|e| self.failed(what, &e));
            }
            if let Some(never) = self.requests().listen() {
                return Err(self.refused(what, &never));
            }
            std::thread::park_timeout(LOOK);
        }
    }
}

/// Wakes the thread that waits.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The torture's long run had a store wiped by it, and then a start at offset -1001.
    #[test]
    fn an_offset_that_nobody_told_is_none() {
        let told = |offset| {
            Some(PartitionAnswer {
                topic: "t".to_owned(),
                partition: 0,
                offset,
                metadata: String::new(),
                error: None,
            })
        };
        assert_eq!(
            range(told(0), told(5)),
            Some(OffsetRange { start: 0, end: 5 })
        );
        for (start, end) in [
            (told(-1001), told(-1001)),
            (told(0), told(-1)),
            (told(0), None),
        ] {
            assert_eq!(range(start, end), None);
        }
    }
}
