//! Layer 2. Requests to brokers for which rdkafka has no call: offsets, groups, rights. Each waits for its answer.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CString, c_char};
use std::marker::PhantomData;
use std::time::Duration;

use rdkafka::bindings as sys;
use rdkafka::types::{RDKafka, RDKafkaAdminOptions, RDKafkaQueue};
use rdkafka::{Offset, TopicPartitionList};

use super::codes::{self, text as owned};
use super::errors::{Code, Failure, checked};
use super::handle::{Event, Queue};
use super::settings::Context;
use crate::transport::Operation;

type Result<T> = std::result::Result<T, Failure>;

/// Milliseconds from one look at what goes wrong meanwhile to the next.
const SLICE: i32 = 100;

/// A partition in an answer.
#[derive(Debug)]
pub(super) struct PartitionAnswer {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) metadata: String,
    pub(super) error: Option<Failure>,
}

/// A group in an answer.
#[derive(Debug)]
pub(super) struct GroupAnswer {
    pub(super) state: String,
    pub(super) members: Vec<MemberAnswer>,
    pub(super) allowed: Option<BTreeSet<Operation>>,
}

/// A member in an answer.
#[derive(Debug)]
pub(super) struct MemberAnswer {
    pub(super) id: String,
    pub(super) instance: Option<String>,
    pub(super) client_id: String,
    pub(super) host: String,
}

/// The cluster in an answer.
#[derive(Debug)]
pub(super) struct ClusterAnswer {
    pub(super) id: String,
    pub(super) brokers: Vec<String>,
    pub(super) allowed: Option<BTreeSet<Operation>>,
}

/// A topic in an answer.
#[derive(Debug)]
pub(super) struct TopicAnswer {
    pub(super) partitions: usize,
    /// Partitions that have a leader.
    pub(super) led: usize,
    /// Where the broker tells rights.
    pub(super) allowed: Option<BTreeSet<Operation>>,
}

/// Where a partition's records begin, or where they end, those counted that are not yet committed.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    First,
    Last,
}

/// A client that requests are sent with, and how long one may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Requests<'a> {
    client: *mut RDKafka,
    context: &'a Context,
    timeout: Duration,
}

#[expect(
    unsafe_code,
    reason = "every function calls librdkafka; each block says why it may"
)]
impl<'a> Requests<'a> {
    /// # Safety
    /// The client must be alive as long as this is used.
    pub(super) unsafe fn new(
        client: *mut RDKafka,
        context: &'a Context,
        timeout: Duration,
    ) -> Self {
        Requests {
            client,
            context,
            timeout,
        }
    }

    /// Hears what goes wrong with the client as a whole, which nobody polls for it, and tells what shows that it will never be
    /// let in.
    pub(super) fn listen(self) -> Option<Failure> {
        // SAFETY: the client is valid; the queue is given back.
        let queue = Queue(
            unsafe { sys::rd_kafka_queue_get_main(self.client) },
            PhantomData,
        );
        let mut last = None;
        while let Some(event) = queue.poll(0) {
            // What is logged meanwhile has no error.
            if let Some(told) = event.failure() {
                self.context.remember(told.clone());
                if told.shuts_out() {
                    last = Some(told);
                }
            }
        }
        last
    }

    /// Creates a topic; a replication of -1 is the broker's.
    pub(super) fn create(
        self,
        topic: &str,
        partitions: i32,
        replication: i32,
        config: &BTreeMap<String, String>,
    ) -> Result<()> {
        let name = text(topic)?;
        let settings = config
            .iter()
            .map(|(key, value)| Ok((text(key)?, text(value)?)))
            .collect::<Result<Vec<(CString, CString)>>>()?;
        let options = Options::new(
            self.client,
            sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_CREATETOPICS,
            self.timeout,
        );
        let mut reason: [c_char; 256] = [0; 256];
        // SAFETY: the name is copied; the place for a reason is as long as told.
        let new = unsafe {
            sys::rd_kafka_NewTopic_new(
                name.as_ptr(),
                partitions,
                replication,
                reason.as_mut_ptr(),
                reason.len(),
            )
        };
        if new.is_null() {
            // SAFETY: the reason ends with a zero.
            let reason = unsafe { owned(reason.as_ptr()) };
            return Err(Failure::told(Code::InvalidPartitions as i32, reason));
        }
        for (key, value) in &settings {
            // SAFETY: the topic is valid, key and value are copied.
            unsafe { sys::rd_kafka_NewTopic_set_config(new, key.as_ptr(), value.as_ptr()) };
        }
        let event = self.ask(|queue| {
            let mut topics = [new];
            // SAFETY: one topic, valid until it is destroyed below.
            unsafe {
                sys::rd_kafka_CreateTopics(self.client, topics.as_mut_ptr(), 1, options.0, queue);
            }
        });
        // SAFETY: made above, and not used afterwards.
        unsafe { sys::rd_kafka_NewTopic_destroy(new) };
        let event = event?;
        // SAFETY: the event is of this kind and outlives what is read of it.
        unsafe {
            let result = sys::rd_kafka_event_CreateTopics_result(event.ptr());
            let mut count = 0;
            if result.is_null() {
                return Err(Failure::of(Code::Fail));
            }
            let topics = sys::rd_kafka_CreateTopics_result_topics(result, &raw mut count);
            if count == 0 {
                return Err(Failure::of(Code::Fail));
            }
            match codes::rd_kafka_topic_result_error(*topics) {
                0 => Ok(()),
                code => Err(Failure::told(
                    code,
                    owned(sys::rd_kafka_topic_result_error_string(*topics)),
                )),
            }
        }
    }

    /// Offsets of partitions, read uncommitted.
    pub(super) fn offsets(
        self,
        partitions: &[(&str, i32)],
        end: End,
    ) -> Result<Vec<PartitionAnswer>> {
        let spec = match end {
            End::First => sys::rd_kafka_OffsetSpec_t::RD_KAFKA_OFFSET_SPEC_EARLIEST,
            End::Last => sys::rd_kafka_OffsetSpec_t::RD_KAFKA_OFFSET_SPEC_LATEST,
        };
        let list = list(partitions.iter().map(|(t, p)| (*t, *p, None)));
        for index in 0..partitions.len() {
            // SAFETY: the list has as many elements as there are partitions; the offset stands for a specification here.
            unsafe { (*(*list.ptr()).elems.add(index)).offset = i64::from(spec as i32) };
        }
        let options = Options::new(
            self.client,
            sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTOFFSETS,
            self.timeout,
        );
        // SAFETY: options are valid for this request; an error in setting them is impossible and would be freed below.
        unsafe {
            let level = sys::rd_kafka_IsolationLevel_t::RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED;
            free(sys::rd_kafka_AdminOptions_set_isolation_level(
                options.0, level,
            ));
        }
        let event = self.ask(|queue| {
            // SAFETY: all four are valid for the time of the call, which copies the list.
            unsafe { sys::rd_kafka_ListOffsets(self.client, list.ptr(), options.0, queue) };
        })?;
        let mut answers = Vec::new();
        // SAFETY: the event is of this kind, as `ask` has checked that it is no error; all is copied before it goes.
        unsafe {
            let result = sys::rd_kafka_event_ListOffsets_result(event.ptr());
            if result.is_null() {
                return Err(Failure::of(Code::Fail));
            }
            let mut count = 0;
            let infos = sys::rd_kafka_ListOffsets_result_infos(result, &raw mut count);
            for index in 0..count {
                let info = *infos.add(index);
                answers.push(partition(
                    &*sys::rd_kafka_ListOffsetsResultInfo_topic_partition(info),
                ));
            }
        }
        Ok(answers)
    }

    /// Sets what a group without members has committed.
    pub(super) fn alter_committed(
        self,
        group: &str,
        offsets: &[(&str, i32, i64)],
    ) -> Result<Vec<PartitionAnswer>> {
        let name = text(group)?;
        let list = list(offsets.iter().map(|(t, p, o)| (*t, *p, Some(*o))));
        let options = Options::new(
            self.client,
            sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS,
            self.timeout,
        );
        // SAFETY: name and list are valid and copied.
        let request =
            unsafe { sys::rd_kafka_AlterConsumerGroupOffsets_new(name.as_ptr(), list.ptr()) };
        let event = self.ask(|queue| {
            let mut requests = [request];
            // SAFETY: one request, valid until it is destroyed below.
            unsafe {
                sys::rd_kafka_AlterConsumerGroupOffsets(
                    self.client,
                    requests.as_mut_ptr(),
                    1,
                    options.0,
                    queue,
                );
            }
        });
        // SAFETY: made above, and not used afterwards.
        unsafe { sys::rd_kafka_AlterConsumerGroupOffsets_destroy(request) };
        let event = event?;
        // SAFETY: the event is of this kind and outlives what is read of it.
        unsafe {
            let result = sys::rd_kafka_event_AlterConsumerGroupOffsets_result(event.ptr());
            if result.is_null() {
                return Err(Failure::of(Code::Fail));
            }
            let mut count = 0;
            let groups =
                sys::rd_kafka_AlterConsumerGroupOffsets_result_groups(result, &raw mut count);
            group_partitions(groups, count)
        }
    }

    /// Who is in a group, and what this client may do with it.
    pub(super) fn group(self, group: &str) -> Result<GroupAnswer> {
        let name = text(group)?;
        let options = Options::new(
            self.client,
            sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS,
            self.timeout,
        );
        options.with_rights();
        let event = self.ask(|queue| {
            let mut names = [name.as_ptr()];
            // SAFETY: one name, valid for the time of the call, which copies it.
            unsafe {
                sys::rd_kafka_DescribeConsumerGroups(
                    self.client,
                    names.as_mut_ptr(),
                    1,
                    options.0,
                    queue,
                );
            }
        })?;
        // SAFETY: the event is of this kind and outlives what is read of it; everything is copied.
        unsafe {
            let result = sys::rd_kafka_event_DescribeConsumerGroups_result(event.ptr());
            let mut count = 0;
            if result.is_null() {
                return Err(Failure::of(Code::Fail));
            }
            let groups = sys::rd_kafka_DescribeConsumerGroups_result_groups(result, &raw mut count);
            if count == 0 {
                return Err(Failure::of(Code::GroupIdNotFound));
            }
            let found = *groups;
            error(sys::rd_kafka_ConsumerGroupDescription_error(found))?;
            let state = sys::rd_kafka_ConsumerGroupDescription_state(found);
            let members = (0..sys::rd_kafka_ConsumerGroupDescription_member_count(found))
                .map(|index| {
                    let member = sys::rd_kafka_ConsumerGroupDescription_member(found, index);
                    let instance = sys::rd_kafka_MemberDescription_group_instance_id(member);
                    MemberAnswer {
                        id: owned(sys::rd_kafka_MemberDescription_consumer_id(member)),
                        instance: (!instance.is_null()).then(|| owned(instance)),
                        client_id: owned(sys::rd_kafka_MemberDescription_client_id(member)),
                        host: owned(sys::rd_kafka_MemberDescription_host(member)),
                    }
                })
                .collect();
            let mut count = 0;
            let rights =
                sys::rd_kafka_ConsumerGroupDescription_authorized_operations(found, &raw mut count);
            Ok(GroupAnswer {
                state: owned(sys::rd_kafka_consumer_group_state_name(state)),
                members,
                allowed: operations(rights, count),
            })
        }
    }

    /// Topics in the order asked, or why a broker tells nothing of one. Unlike a look-up of metadata this never creates a
    /// topic, whatever the broker's `auto.create.topics.enable` is.
    pub(super) fn topics(self, topics: &[&str]) -> Result<Vec<Result<TopicAnswer>>> {
        let names = topics
            .iter()
            .map(|t| text(t))
            .collect::<Result<Vec<CString>>>()?;
        let mut pointers: Vec<*const c_char> = names.iter().map(|n| n.as_ptr()).collect();
        let options = Options::new(
            self.client,
            sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
            self.timeout,
        );
        options.with_rights();
        // SAFETY: as many names as pointers, copied by the call.
        let collection = unsafe {
            sys::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len())
        };
        let event = self.ask(|queue| {
            // SAFETY: the collection is valid until it is destroyed below.
            unsafe { sys::rd_kafka_DescribeTopics(self.client, collection, options.0, queue) };
        });
        // SAFETY: made above, and not used afterwards.
        unsafe { sys::rd_kafka_TopicCollection_destroy(collection) };
        let event = event?;
        let mut answers = BTreeMap::new();
        // SAFETY: the event is of this kind and outlives what is read of it.
        unsafe {
            let result = sys::rd_kafka_event_DescribeTopics_result(event.ptr());
            if result.is_null() {
                return Err(Failure::of(Code::Fail));
            }
            let mut count = 0;
            let found = sys::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
            for index in 0..count {
                let topic = *found.add(index);
                let mut count = 0;
                let rights =
                    sys::rd_kafka_TopicDescription_authorized_operations(topic, &raw mut count);
                let allowed = operations(rights, count);
                let mut count = 0;
                let partitions = sys::rd_kafka_TopicDescription_partitions(topic, &raw mut count);
                let led = (0..count).filter(|index| {
                    let leader = sys::rd_kafka_TopicPartitionInfo_leader(*partitions.add(*index));
                    !leader.is_null() && sys::rd_kafka_Node_id(leader) >= 0
                });
                let answer = TopicAnswer {
                    partitions: count,
                    led: led.count(),
                    allowed,
                };
                let refused = error(sys::rd_kafka_TopicDescription_error(topic));
                let name = owned(sys::rd_kafka_TopicDescription_name(topic));
                answers.insert(name, refused.map(|()| answer));
            }
        }
        let unknown = || Err(Failure::of(Code::UnknownTopicOrPartition));
        let in_order = topics
            .iter()
            .map(|name| answers.remove(*name).unwrap_or_else(unknown));
        Ok(in_order.collect())
    }

    /// The cluster, and what this client may do with it.
    pub(super) fn cluster(self) -> Result<ClusterAnswer> {
        let options = Options::new(
            self.client,
            sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECLUSTER,
            self.timeout,
        );
        options.with_rights();
        let event = self.ask(|queue| {
            // SAFETY: client, options and queue are valid.
            unsafe { sys::rd_kafka_DescribeCluster(self.client, options.0, queue) };
        })?;
        // SAFETY: the event is of this kind and outlives what is read of it.
        unsafe {
            let result = sys::rd_kafka_event_DescribeCluster_result(event.ptr());
            if result.is_null() {
                return Err(Failure::of(Code::Fail));
            }
            let mut count = 0;
            let nodes = sys::rd_kafka_DescribeCluster_result_nodes(result, &raw mut count);
            let brokers = (0..count)
                .map(|index| {
                    let node = *nodes.add(index);
                    format!(
                        "{} {}:{}",
                        sys::rd_kafka_Node_id(node),
                        owned(sys::rd_kafka_Node_host(node)),
                        sys::rd_kafka_Node_port(node)
                    )
                })
                .collect();
            let mut count = 0;
            let rights =
                sys::rd_kafka_DescribeCluster_result_authorized_operations(result, &raw mut count);
            Ok(ClusterAnswer {
                id: owned(sys::rd_kafka_DescribeCluster_result_cluster_id(result)),
                brokers,
                allowed: operations(rights, count),
            })
        }
    }

    /// Sends a request and waits for its answer.
    fn ask(self, send: impl FnOnce(*mut RDKafkaQueue)) -> Result<Event<'a>> {
        // SAFETY: the client is alive, as `new` was promised.
        let queue = Queue(unsafe { sys::rd_kafka_queue_new(self.client) }, PhantomData);
        send(queue.0);
        // The request has its own time-out; this end is only for an answer that never comes.
        let patience = self.timeout + Duration::from_secs(5);
        for _ in 0..patience.as_millis() / u128::from(SLICE.unsigned_abs()) {
            let answer = queue.poll(SLICE);
            let never = self.listen();
            match (answer.map(|event| (event.failure(), event)), never) {
                (Some((Some(failure), _)), _) => return Err(failure),
                (Some((None, event)), _) => {
                    self.context.forget_error();
                    return Ok(event);
                }
                // The request would wait for a connection all its time.
                (None, Some(told)) => return Err(told),
                (None, None) => {}
            }
        }
        Err(Failure::of(Code::OperationTimedOut))
    }
}

struct Options(*mut RDKafkaAdminOptions);

#[expect(unsafe_code, reason = "options of a request; see SAFETY")]
impl Options {
    fn new(client: *mut RDKafka, operation: sys::rd_kafka_admin_op_t, timeout: Duration) -> Self {
        let millis = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        let mut reason: [c_char; 256] = [0; 256];
        // SAFETY: the client is alive; the place for a reason is as long as told.
        unsafe {
            let options = sys::rd_kafka_AdminOptions_new(client, operation);
            sys::rd_kafka_AdminOptions_set_request_timeout(
                options,
                millis,
                reason.as_mut_ptr(),
                reason.len(),
            );
            Options(options)
        }
    }

    fn with_rights(&self) {
        // SAFETY: the options are valid; a refusal is given back.
        unsafe {
            free(sys::rd_kafka_AdminOptions_set_include_authorized_operations(self.0, 1));
        }
    }
}

impl Drop for Options {
    #[expect(unsafe_code, reason = "gives back what `new` made; see SAFETY")]
    fn drop(&mut self) {
        // SAFETY: made by `new`, used by nobody else.
        unsafe { sys::rd_kafka_AdminOptions_destroy(self.0) };
    }
}

fn list<'a>(partitions: impl Iterator<Item = (&'a str, i32, Option<i64>)>) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for (topic, partition, offset) in partitions {
        let mut added = list.add_partition(topic, partition);
        if let Some(offset) = offset {
            // Only an offset out of librdkafka's range is refused, and stays what it was: invalid, which the broker refuses.
            let _ = added.set_offset(Offset::Offset(offset));
        }
    }
    list
}

fn text(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Failure::of(Code::InvalidArgument))
}

/// # Safety
/// An error that belongs to an answer, or null.
#[expect(unsafe_code, reason = "reads an error")]
unsafe fn error(error: *const sys::rd_kafka_error_t) -> Result<()> {
    // SAFETY: as promised; the calls take null as no error.
    unsafe {
        match codes::rd_kafka_error_code(error) {
            0 => Ok(()),
            code => Err(Failure::told(
                code,
                owned(sys::rd_kafka_error_string(error)),
            )),
        }
    }
}

/// # Safety
/// An error that is ours to give back, or null.
#[expect(unsafe_code, reason = "gives back an error")]
unsafe fn free(error: *mut sys::rd_kafka_error_t) {
    if !error.is_null() {
        // SAFETY: as promised.
        unsafe { sys::rd_kafka_error_destroy(error) };
    }
}

/// # Safety
/// `count` groups of an answer.
#[expect(unsafe_code, reason = "reads an answer")]
unsafe fn group_partitions(
    groups: *mut *const sys::rd_kafka_group_result_t,
    count: usize,
) -> Result<Vec<PartitionAnswer>> {
    let mut answers = Vec::new();
    for index in 0..count {
        // SAFETY: as promised; list and elements live as long as the answer.
        unsafe {
            let group = *groups.add(index);
            error(sys::rd_kafka_group_result_error(group))?;
            let list = sys::rd_kafka_group_result_partitions(group);
            if list.is_null() {
                continue;
            }
            for index in 0..usize::try_from((*list).cnt).unwrap_or_default() {
                answers.push(partition(&*(*list).elems.add(index)));
            }
        }
    }
    Ok(answers)
}

#[expect(unsafe_code, reason = "reads an answer; see SAFETY")]
fn partition(native: &sys::rd_kafka_topic_partition_t) -> PartitionAnswer {
    let metadata = if native.metadata.is_null() {
        String::new()
    } else {
        // SAFETY: `metadata_size` bytes that belong to the element.
        let bytes = unsafe {
            std::slice::from_raw_parts(native.metadata.cast::<u8>(), native.metadata_size)
        };
        String::from_utf8_lossy(bytes).into_owned()
    };
    PartitionAnswer {
        // SAFETY: the element's topic ends with a zero.
        topic: unsafe { owned(native.topic) },
        partition: native.partition,
        offset: native.offset,
        metadata,
        // SAFETY: a field of the element.
        error: checked(unsafe { codes::read(&raw const native.err) }).err(),
    }
}

/// # Safety
/// `count` operations, or null where rights are not told.
#[expect(unsafe_code, reason = "reads an answer")]
unsafe fn operations(
    rights: *const sys::rd_kafka_AclOperation_t,
    count: usize,
) -> Option<BTreeSet<Operation>> {
    use sys::rd_kafka_AclOperation_t as Acl;
    if rights.is_null() {
        return None;
    }
    // SAFETY: as promised.
    let rights = unsafe { std::slice::from_raw_parts(rights, count) };
    let known = rights.iter().filter_map(|right| match right {
        Acl::RD_KAFKA_ACL_OPERATION_READ => Some(Operation::Read),
        Acl::RD_KAFKA_ACL_OPERATION_WRITE => Some(Operation::Write),
        Acl::RD_KAFKA_ACL_OPERATION_CREATE => Some(Operation::Create),
        Acl::RD_KAFKA_ACL_OPERATION_DELETE => Some(Operation::Delete),
        Acl::RD_KAFKA_ACL_OPERATION_ALTER => Some(Operation::Alter),
        Acl::RD_KAFKA_ACL_OPERATION_DESCRIBE => Some(Operation::Describe),
        Acl::RD_KAFKA_ACL_OPERATION_DESCRIBE_CONFIGS => Some(Operation::DescribeConfigs),
        Acl::RD_KAFKA_ACL_OPERATION_ALTER_CONFIGS => Some(Operation::AlterConfigs),
        _ => None,
    });
    Some(known.collect())
}
