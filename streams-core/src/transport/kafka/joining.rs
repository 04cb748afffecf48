//! Layer 2. What a member asks of librdkafka: rebalances as events that are answered when the caller is ready, and commits.
#![expect(
    unsafe_code,
    reason = "librdkafka is a C library; what is unsafe about it stays in these helper files"
)]

use std::cell::Cell;
use std::ffi::CStr;
use std::marker::PhantomData;

use rdkafka::bindings as sys;
use rdkafka::{ClientConfig, TopicPartitionList};

use super::counts;
use super::errors::{Code, Failure, checked};
use super::handle::{Handle, Kind, Queue, offsets_list};
use crate::record::TopicPartition;
use crate::transport::{CommittedOffset, TransportError};

/// What the group told its member.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// These partitions are its own from now on. To be answered by [`Joiner::accept`].
    Assigned(Vec<(String, i32)>),
    /// The group wants all of them back. To be answered by [`Joiner::give_back`].
    Revoked {
        /// Others may have them already.
        lost: bool,
    },
    /// Something is wrong.
    Failed(Box<Failure>),
}

/// As whom a member commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    /// Empty while it is no member.
    pub(super) member: String,
    pub(super) generation: i32,
}

/// A member's client.
///
/// What it asks of librdkafka's group is done by a thread of that, without a time-out, and is never answered when the group ends
/// just then. So nothing is asked that need not be: while an answer is owed the group cannot end.
#[derive(Debug)]
pub(super) struct Joiner {
    handle: Handle,
    /// Whether the group waits for the answer to what it told.
    owes: Cell<bool>,
}

impl Joiner {
    pub(super) fn new(config: &ClientConfig) -> Result<Self, TransportError> {
        let handle = Handle::new(Kind::Member, config)?;
        // SAFETY: the client lives.
        checked(unsafe { sys::rd_kafka_poll_set_consumer(handle.rk()) } as i32).map_err(|e| {
            TransportError::Fatal(format!("Kafka client for the group: {}", e.text))
        })?;
        Ok(Joiner {
            handle,
            owes: Cell::new(false),
        })
    }

    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Begins to join.
    pub(super) fn subscribe(&self, topics: &[&str]) -> Result<(), Failure> {
        let mut list = TopicPartitionList::with_capacity(topics.len());
        for topic in topics {
            list.add_partition(topic, -1);
        }
        // SAFETY: client and list live; the list is copied.
        checked(unsafe { sys::rd_kafka_subscribe(self.handle.rk(), list.ptr()) } as i32)
    }

    /// Begins to leave, static member or not: goes on when what it has is given back.
    pub(super) fn unsubscribe(&self) -> Result<(), Failure> {
        // SAFETY: the client lives.
        checked(unsafe { sys::rd_kafka_unsubscribe(self.handle.rk()) } as i32)
    }

    /// The next thing that the group told, waiting up to that long. Each call also tells the group that the member is alive.
    pub(super) fn next(&self, ms: i32) -> Option<Told> {
        // SAFETY: the client lives as long as the queue.
        let queue = Queue(
            unsafe { sys::rd_kafka_queue_get_consumer(self.handle.rk()) },
            PhantomData,
        );
        loop {
            let event = queue.poll(ms)?;
            match event.kind() {
                sys::RD_KAFKA_EVENT_REBALANCE => {
                    let failure = event.failure()?;
                    self.owes.set(true);
                    return Some(if failure.is(Code::AssignPartitions) {
                        Told::Assigned(event.partitions())
                    } else {
                        Told::Revoked {
                            lost: self.is_lost(),
                        }
                    });
                }
                sys::RD_KAFKA_EVENT_ERROR => {
                    let failure = event.failure()?;
                    return Some(Told::Failed(Box::new(failure)));
                }
                _ => {}
            }
        }
    }

    fn is_lost(&self) -> bool {
        // SAFETY: the client lives.
        unsafe { sys::rd_kafka_assignment_lost(self.handle.rk()) != 0 }
    }

    /// Answers an assignment. Nothing is fetched here: the data has a consumer of its own.
    pub(super) fn accept(&self) -> Result<(), Failure> {
        let nothing = TopicPartitionList::new();
        self.answer(nothing.ptr())
    }

    /// Answers a revocation, or declines an assignment; the group goes on.
    pub(super) fn give_back(&self) -> Result<(), Failure> {
        // Null is "unassign".
        self.answer(std::ptr::null())
    }

    /// Answers what was told, once.
    fn answer(
        &self,
        partitions: *const sys::rd_kafka_topic_partition_list_t,
    ) -> Result<(), Failure> {
        if !self.owes.replace(false) {
            return Ok(());
        }
        // SAFETY: the client lives; so does the list of the caller, if there is one.
        checked(unsafe { sys::rd_kafka_assign(self.handle.rk(), partitions) } as i32)
    }

    /// As whom it may commit now.
    pub(super) fn identity(&self) -> Identity {
        // SAFETY: the client lives; what is told lives until it is destroyed here.
        unsafe {
            let metadata = sys::rd_kafka_consumer_group_metadata(self.handle.rk());
            if metadata.is_null() {
                return Identity {
                    member: String::new(),
                    generation: -1,
                };
            }
            let member = sys::rd_kafka_consumer_group_metadata_member_id(metadata);
            let identity = Identity {
                member: if member.is_null() {
                    String::new()
                } else {
                    CStr::from_ptr(member).to_string_lossy().into_owned()
                },
                generation: sys::rd_kafka_consumer_group_metadata_generation_id(metadata),
            };
            sys::rd_kafka_consumer_group_metadata_destroy(metadata);
            identity
        }
    }

    /// Commits offsets as the member that this client is, waiting up to that long.
    pub(super) fn commit(
        &self,
        offsets: &[(TopicPartition, CommittedOffset)],
        ms: i32,
    ) -> Result<Result<(), Failure>, TransportError> {
        let list = offsets_list(offsets)?;
        let queue = self.handle.queue();
        // SAFETY: client, list and queue live; without a callback the answer is an event of the queue.
        let asked = checked(unsafe {
            sys::rd_kafka_commit_queue(
                self.handle.rk(),
                list.ptr(),
                queue.0,
                None,
                std::ptr::null_mut(),
            )
        } as i32);
        if asked.is_err() {
            return Ok(asked);
        }
        Ok(match queue.poll(ms) {
            Some(event) => event.failure().map_or(Ok(()), Err),
            None => Err(Failure::of(Code::OperationTimedOut)),
        })
    }

    /// Begins to close, without leaving.
    pub(super) fn begin_closing(&self) {
        // SAFETY: the client lives, and so does its own queue; the error is taken over.
        unsafe {
            let queue = Queue(
                sys::rd_kafka_queue_get_consumer(self.handle.rk()),
                PhantomData,
            );
            let _ = Failure::take(sys::rd_kafka_consumer_close_queue(
                self.handle.rk(),
                queue.0,
            ));
        }
    }

    /// Whether it has closed, and what it had sent is answered.
    pub(super) fn is_closed(&self) -> bool {
        // SAFETY: the client lives.
        unsafe { sys::rd_kafka_consumer_closed(self.handle.rk()) != 0 }
    }

    /// How many partitions a topic has, asked of a broker.
    pub(super) fn partitions(&self, topic: &str, ms: i32) -> Result<i32, Failure> {
        // SAFETY: the client lives.
        unsafe { counts::partitions(self.handle.rk(), topic, ms) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::aside::Aside;
    use super::*;

    /// A member that lost its tasks just when it was to end answered twice, the second time to a group that was ending, and waited
    /// for ever. Whether librdkafka forgets the question is a matter of microseconds, so there are many, and no broker.
    #[test]
    fn an_ending_group_is_not_asked_what_it_need_not_answer() {
        for n in 0..400 {
            let member = move || {
                let mut config = ClientConfig::new();
                config
                    .set("bootstrap.servers", "127.0.0.1:9")
                    .set("group.id", "ending")
                    .set("group.instance.id", n.to_string());
                let member = Joiner::new(&config).unwrap();
                member.subscribe(&["any"]).unwrap();
                member.begin_closing();
                while !member.is_closed() {
                    // Refused or not: what matters is that it comes back.
                    let _ = member.give_back();
                }
            };
            let ended = Aside::start("member")
                .unwrap()
                .call(member, Duration::from_secs(60));
            assert!(ended.is_some(), "an answer does not come back");
        }
    }
}
