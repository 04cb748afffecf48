//! `consume`: records become lines.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use streams_core::record::TopicPartition;
use streams_core::topology::{TopologyDescriptor, TypeDescriptor};
use streams_core::transport::ConsumedRecord;

use super::args::ConsumeArgs;
use super::error::ProgramError;
use super::log;
use super::output::Output;
use super::topics::{self, Topic};

/// How long to wait for records before looking again.
const WAIT: Duration = Duration::from_millis(100);
const BATCH: usize = 1_000;

pub(super) fn consume(
    topology: &'static TopologyDescriptor,
    args: &ConsumeArgs,
) -> Result<(), ProgramError> {
    let topic = Topic::of(topology, &args.topic);
    let config = args.log.configuration()?;
    let transport = log::open_existing(&config, "consume")?;
    let mut admin = transport.admin().map_err(ProgramError::failed)?;
    let found = admin.describe_topics(&[&topic.name]);
    let found = found.map_err(ProgramError::failed)?.into_iter().flatten();
    let Some(info) = found.last() else {
        if topic.descriptor.is_some() {
            let makes = if config.creates_topics() {
                "`run` creates it, and so does `produce`"
            } else {
                "`topics create` makes every declared topic, and `run` the internal ones"
            };
            return Err(ProgramError::Failed(format!(
                "topic `{}` does not exist yet: {makes}",
                topic.name
            )));
        }
        let there = admin.list_topics().map_err(ProgramError::failed)?;
        return Err(topics::unknown(
            "topic",
            &args.topic,
            there.iter().map(|t| t.name.as_str()),
        ));
    };
    let partitions = i32::try_from(info.partitions).unwrap_or(i32::MAX);
    let partitions: Vec<TopicPartition> = (0..partitions)
        .map(|p| TopicPartition::new(topic.name.as_str(), p))
        .collect();
    let ranges = admin.offsets(&partitions).map_err(ProgramError::failed)?;
    // What is there: to here, or to where a transaction is still open.
    let mut unread: BTreeMap<TopicPartition, i64> = partitions
        .iter()
        .zip(&ranges)
        .filter(|(_, range)| range.start < range.end)
        .map(|(p, range)| (p.clone(), range.end))
        .collect();
    let from: Vec<(TopicPartition, i64)> = partitions
        .into_iter()
        .zip(ranges)
        .map(|(p, range)| {
            (
                p,
                if args.from_beginning {
                    range.start
                } else {
                    range.end
                },
            )
        })
        .collect();
    let mut consumer = transport
        .consumer(&format!("{}-consume", topology.application_id))
        .map_err(ProgramError::failed)?;
    consumer.assign(&from).map_err(ProgramError::failed)?;

    let mut printer = Printer {
        key: topic.key(),
        value: topic.value(),
        json: args.json,
        output: Output::new(),
        unreadable: 0,
    };
    let follow = args.follow || !args.from_beginning;
    let mut left = args.max.unwrap_or(u64::MAX);
    let mut fetched = Vec::new();
    while left > 0 && (follow || !unread.is_empty()) {
        consumer
            .poll(WAIT, BATCH, &mut fetched)
            .map_err(ProgramError::failed)?;
        for batch in fetched.drain(..) {
            let end = unread.get(&batch.partition).copied();
            if batch.at_end || end.is_some_and(|end| batch.next_offset >= end) {
                unread.remove(&batch.partition);
            }
            for record in &batch.records {
                if left > 0 {
                    left -= 1;
                    printer.print(&batch.partition, record)?;
                }
            }
        }
        printer.output.flush()?;
    }
    printer.finish(&topic.name)
}

struct Printer {
    key: TypeDescriptor,
    value: TypeDescriptor,
    json: bool,
    output: Output,
    unreadable: u64,
}

impl Printer {
    fn print(
        &mut self,
        partition: &TopicPartition,
        record: &ConsumedRecord,
    ) -> Result<(), ProgramError> {
        // A null is shown as such, whatever the type: a tombstone, or no key.
        let read = |of: &TypeDescriptor, bytes: Option<&[u8]>| match bytes {
            Some(_) => (of.to_json)(bytes),
            None => Ok(Value::Null),
        };
        let key = read(&self.key, record.key.as_deref());
        let value = read(&self.value, record.value.as_deref());
        if let Some(error) = key.as_ref().err().or(value.as_ref().err()) {
            self.unreadable += 1;
            eprintln!("{partition}, offset {}: {error}", record.offset);
        }
        let text = |bytes: Option<&[u8]>| match bytes {
            Some(bytes) => Value::String(String::from_utf8_lossy(bytes).into_owned()),
            None => Value::Null,
        };
        // What has no value of its type is shown as the text that its bytes would be.
        let key = key.unwrap_or_else(|_| text(record.key.as_deref()));
        let value = value.unwrap_or_else(|_| text(record.value.as_deref()));
        if !self.json {
            return self.output.entry(&key, &value);
        }
        let headers: Vec<Value> = record
            .headers
            .iter()
            .map(|h| json!({"key": h.key, "value": text(h.value.as_deref())}))
            .collect();
        self.output.json(&json!({
            "topic": &*partition.topic,
            "partition": partition.partition,
            "offset": record.offset,
            "timestamp": record.timestamp,
            "key": key,
            "value": value,
            "headers": headers,
        }))
    }

    fn finish(mut self, topic: &str) -> Result<(), ProgramError> {
        self.output.flush()?;
        match self.unreadable {
            0 => Ok(()),
            n => Err(ProgramError::Failed(format!(
                "{n} records of `{topic}` are no `{}` and `{}`; they are shown as text",
                self.key.name, self.value.name
            ))),
        }
    }
}
