//! `produce`: lines become records.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal};
use std::sync::Arc;

use serde_json::json;
use streams_core::outbox::{Outbox, Outgoing};
use streams_core::partitioner::partition_for_key;
use streams_core::record::{Headers, Timestamp};
use streams_core::time::{Clock, SystemClock};
use streams_core::topology::{TopologyDescriptor, TypeDescriptor};
use streams_core::transport::{Producer, ProducerSpec};

use super::args::ProduceArgs;
use super::error::ProgramError;
use super::log;
use super::output::{Output, Progress, thousands};
use super::topics::{self, Topic};

/// Sent at once: a batch costs one write to the disk.
const BATCH: usize = 10_000;

pub(super) fn produce(
    topology: &'static TopologyDescriptor,
    args: &ProduceArgs,
) -> Result<(), ProgramError> {
    let topic = Topic::of(topology, &args.topic);
    let Some(descriptor) = topic.descriptor.filter(|d| !d.role.is_internal()) else {
        let external = topology.topics.iter().filter(|t| !t.role.is_internal());
        return Err(topics::unknown(
            "topic",
            &args.topic,
            external.map(|t| t.name),
        ));
    };
    let parse = Parse::new(&topic, args)?;
    let config = args.log.configuration()?;
    let transport = log::open(&config, "produce")?;
    let mut admin = transport.admin().map_err(ProgramError::failed)?;
    let partitions = log::partitions_or_create(&config, admin.as_mut(), descriptor)?;
    let spec = ProducerSpec {
        client_id: format!("{}-produce", topology.application_id),
        transactional_id: None,
    };
    let producer = transport.producer(&spec).map_err(ProgramError::failed)?;
    let mut batches = Batches {
        producer,
        outbox: Outbox::default(),
        topics: vec![Arc::from(topic.name.as_str())],
        partitions,
        sent: 0,
        progress: Progress::new(!args.json),
    };
    let clock = SystemClock::new();
    let now = || args.timestamp.unwrap_or_else(|| clock.now_ms());
    if args.tombstone {
        batches.add(parse.key.as_deref(), None, now());
    } else {
        send_lines(args, &parse, &mut batches, now)?;
    }
    let sent = batches.finish()?;
    if args.json {
        Output::new().text(&format!(
            "{}\n",
            json!({"topic": topic.name, "records": sent})
        ))
    } else {
        let records = if sent == 1 { "record" } else { "records" };
        eprintln!("{} {records} sent to `{}`", thousands(sent), topic.name);
        Ok(())
    }
}

fn send_lines(
    args: &ProduceArgs,
    parse: &Parse,
    batches: &mut Batches,
    now: impl Fn() -> Timestamp,
) -> Result<(), ProgramError> {
    let (mut input, name): (Box<dyn BufRead>, String) = match &args.file {
        Some(path) => {
            let name = path.display().to_string();
            let file =
                File::open(path).map_err(|e| ProgramError::Failed(format!("{name}: {e}")))?;
            (Box::new(BufReader::new(file)), name)
        }
        None => (Box::new(io::stdin().lock()), "standard input".to_owned()),
    };
    let typed = args.file.is_none() && io::stdin().is_terminal();
    if typed {
        eprintln!("one record a line; end with Ctrl-D");
    }
    let mut line = String::new();
    for number in 1_u64.. {
        line.clear();
        let read = input.read_line(&mut line);
        if read.map_err(|e| ProgramError::Failed(format!("{name}, line {number}: {e}")))? == 0 {
            break;
        }
        let text = line.strip_suffix('\n').unwrap_or(&line);
        let text = text.strip_suffix('\r').unwrap_or(text);
        match parse.line(text) {
            Ok((key, value)) => batches.add(key.as_deref(), value.as_deref(), now()),
            Err(why) => {
                // What came before is sent: say how far it went.
                let sent = batches.send().map(|()| batches.sent)?;
                return Err(ProgramError::Failed(format!(
                    "{name}, line {number}: {why} ({} records before it were sent)",
                    thousands(sent)
                )));
            }
        }
        if typed || batches.outbox.len() >= BATCH {
            batches.send()?;
        }
    }
    Ok(())
}

type KeyAndValue = (Option<Vec<u8>>, Option<Vec<u8>>);

/// How a line becomes a key and a value.
struct Parse {
    key: Option<Vec<u8>>,
    separator: Option<String>,
    key_type: TypeDescriptor,
    value_type: TypeDescriptor,
}

impl Parse {
    fn new(topic: &Topic, args: &ProduceArgs) -> Result<Self, ProgramError> {
        let (key_type, value_type) = (topic.key(), topic.value());
        let key = match &args.key {
            Some(text) => (key_type.from_text)(text)
                .map_err(|e| ProgramError::Usage(format!("--key {text}: {e}")))?,
            None => None,
        };
        let needs_key = (key_type.to_json)(None).is_err();
        if needs_key && args.key.is_none() && args.separator.is_none() {
            return Err(ProgramError::Usage(format!(
                "`{}` is keyed by `{}`: give `--key KEY`, or `--separator TEXT` and lines of key, text and value",
                topic.name, key_type.name
            )));
        }
        let separator = args.separator.as_ref().map(|s| s.replace("\\t", "\t"));
        if separator.as_ref().is_some_and(String::is_empty) {
            return Err(ProgramError::Usage("--separator needs a text".to_owned()));
        }
        Ok(Parse {
            key,
            separator,
            key_type,
            value_type,
        })
    }

    fn line(&self, line: &str) -> Result<KeyAndValue, String> {
        let (key, value) = match &self.separator {
            None => (self.key.clone(), line),
            Some(separator) => {
                let (key, value) = line
                    .split_once(separator.as_str())
                    .ok_or_else(|| format!("no `{separator}` between key and value"))?;
                let bytes = (self.key_type.from_text)(key);
                (
                    bytes.map_err(|e| format!("key `{}`: {e}", shortened(key)))?,
                    value,
                )
            }
        };
        let bytes = (self.value_type.from_text)(value);
        Ok((
            key,
            bytes.map_err(|e| format!("value `{}`: {e}", shortened(value)))?,
        ))
    }
}

/// Enough of a line to find it.
fn shortened(line: &str) -> String {
    match line.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or(line)),
        None => line.to_owned(),
    }
}

struct Batches {
    producer: Box<dyn Producer>,
    outbox: Outbox,
    topics: Vec<Arc<str>>,
    partitions: u32,
    sent: u64,
    progress: Progress,
}

impl Batches {
    fn add(&mut self, key: Option<&[u8]>, value: Option<&[u8]>, timestamp: Timestamp) {
        self.outbox.push(Outgoing {
            topic: 0,
            partition: key.map(|k| partition_for_key(k, self.partitions)),
            key,
            value,
            timestamp: Some(timestamp),
            headers: &Headers::new(),
        });
    }

    fn send(&mut self) -> Result<(), ProgramError> {
        self.producer
            .send(&self.outbox, &self.topics)
            .map_err(ProgramError::failed)?;
        self.producer.flush().map_err(ProgramError::failed)?;
        self.sent += self.outbox.len() as u64;
        self.outbox.clear();
        self.progress
            .show(&format!("{} records sent", thousands(self.sent)));
        Ok(())
    }

    fn finish(mut self) -> Result<u64, ProgramError> {
        if !self.outbox.is_empty() {
            self.send()?;
        }
        Ok(self.sent)
    }
}
