//! `doctor`: everything that a run needs, looked at from outside, and what is not as it should be.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use streams_core::config::{ConfigEntry, Log, StreamsConfig};
use streams_core::record::TopicPartition;
use streams_core::state_dir::{self, StateDirectoryError};
use streams_core::topics::{self, TopicsCheck};
use streams_core::topology::TopologyDescriptor;
use streams_core::transport::{Admin, GroupDescription, LogDescription, TransportError};

use super::args::DoctorArgs;
use super::error::ProgramError;
use super::log;
use super::output::{Output, table, thousands};
use super::topics_command;

pub(super) fn doctor(
    topology: &'static TopologyDescriptor,
    args: &DoctorArgs,
) -> Result<(), ProgramError> {
    let (config, mistakes) = args.log.configuration_and_mistakes();
    if let (Log::Unset, true) = (config.log(), mistakes.is_empty()) {
        return Err(log::unknown_log("doctor"));
    }
    let report = Report::new(topology, &config, mistakes);
    let mut output = Output::new();
    if args.json {
        output.json(&report.as_json(topology, &config))?;
    } else {
        output.text(&report.as_text(topology, &config, args.all))?;
    }
    output.flush()?;
    match report.problems.len() {
        0 => Ok(()),
        1 => Err(ProgramError::Failed("there is 1 problem".to_owned())),
        n => Err(ProgramError::Failed(format!("there are {n} problems"))),
    }
}

/// What was found. What could not be asked is missing, and the problem says why.
struct Report {
    config: Vec<ConfigEntry>,
    log: Option<LogDescription>,
    topics: Option<TopicsCheck>,
    group: Option<GroupDescription>,
    lag: Vec<Lag>,
    state: State,
    problems: Vec<String>,
}

/// A source partition: what the group has committed of what is there.
struct Lag {
    partition: TopicPartition,
    start: i64,
    end: i64,
    committed: Option<i64>,
}

impl Lag {
    fn behind(&self) -> i64 {
        let position = self.committed.unwrap_or(self.start).max(self.start);
        (self.end - position).max(0)
    }
}

/// The state in this machine's directory.
#[derive(Default)]
struct State {
    /// Directory and bytes of each task and of the global tables.
    tasks: Vec<(String, u64)>,
}

impl Report {
    fn new(
        topology: &'static TopologyDescriptor,
        config: &StreamsConfig,
        mut problems: Vec<String>,
    ) -> Self {
        if let Err(error) = config.validate() {
            problems.push(error.to_string());
        }
        let mut report = Report {
            config: config.all_entries(),
            log: None,
            topics: None,
            group: None,
            lag: Vec::new(),
            state: State::default(),
            problems,
        };
        report.look_at_state(topology, config);
        if matches!(config.log(), Log::Unset) {
            return report;
        }
        match log::open_existing(config, "doctor") {
            Err(error) => report.problems.push(error.to_string()),
            Ok(transport) => match transport.admin() {
                Err(error) => report.problems.push(told(&error)),
                Ok(mut admin) => report.look_at_log(topology, config, admin.as_mut()),
            },
        }
        report
    }

    fn look_at_log(
        &mut self,
        topology: &'static TopologyDescriptor,
        config: &StreamsConfig,
        admin: &mut dyn Admin,
    ) {
        match admin.describe_log() {
            Ok(log) => self.log = Some(log),
            Err(error) => {
                // Nothing else would be answered either.
                self.problems.push(told(&error));
                return;
            }
        }
        match topics::check(topology, config, admin) {
            Ok(checked) => {
                let wrong = topics_command::problems(config, &checked);
                self.problems.extend(wrong.iter().map(ToString::to_string));
                self.topics = Some(checked);
            }
            Err(error) => self.problems.push(ProgramError::failed(error).to_string()),
        }
        match admin.describe_group(topology.application_id) {
            Ok(group) => self.group = Some(group),
            Err(error) => self.problems.push(told(&error)),
        }
        match lag(topology, self.topics.as_ref(), admin) {
            Ok(lag) => self.lag = lag,
            Err(error) => self.problems.push(told(&error)),
        }
        for lag in &self.lag {
            if let Some(committed) = lag.committed.filter(|c| *c < lag.start || *c > lag.end) {
                self.problems.push(format!(
                    "{}: offset {committed} is committed, but only {} to {} are there: records were deleted before they were \
                     processed, or the topic was made anew. The source's `offset_reset` decides where to go on",
                    lag.partition, lag.start, lag.end
                ));
            }
        }
    }

    fn look_at_state(&mut self, topology: &TopologyDescriptor, config: &StreamsConfig) {
        let root = config.state_path();
        let id = topology.application_id;
        match state_dir::readable_tasks(&root, id) {
            Ok(tasks) => {
                let each = tasks.into_iter().map(|t| {
                    let name = t
                        .task
                        .map_or_else(|| "global".to_owned(), |t| t.to_string());
                    (name, size(&t.path))
                });
                self.state.tasks = each.collect();
            }
            Err(StateDirectoryError::Missing { .. }) => {}
            Err(error) => self.problems.push(error.to_string()),
        }
    }

    fn as_text(&self, topology: &TopologyDescriptor, config: &StreamsConfig, all: bool) -> String {
        let mut text = format!("{}\n\nconfiguration\n", topology.application_id);
        let shown = self.config.iter().filter(|e| all || e.origin != "default");
        let rows = shown.map(|e| {
            [
                format!("  {}", e.key),
                e.value.clone(),
                format!("({})", e.origin),
            ]
        });
        text.push_str(&table(rows));
        let _ = writeln!(text, "\nlog: {}", log::place(config));
        if let Some(log) = &self.log {
            let version = log.version.as_deref().unwrap_or("unknown");
            let _ = writeln!(text, "  id {}, version {version}", log.id);
            for broker in &log.brokers {
                let _ = writeln!(text, "  broker {broker}");
            }
        }
        if let Some(checked) = &self.topics {
            text.push_str("\ntopics\n");
            for line in topics_command::as_text(config, checked).lines() {
                let _ = writeln!(text, "  {line}");
            }
        }
        if let Some(group) = &self.group {
            let _ = writeln!(text, "\ngroup: {}", group.state);
            for member in &group.members {
                let _ = writeln!(text, "  {} ({})", member.client_id, member.host);
            }
            let heads = ["  partition", "committed", "end", "behind"].map(str::to_owned);
            let rows = self.lag.iter().map(|lag| {
                [
                    format!("  {}", lag.partition),
                    lag.committed
                        .map_or_else(|| "-".to_owned(), |c| c.to_string()),
                    lag.end.to_string(),
                    lag.behind().to_string(),
                ]
            });
            text.push_str(&table(std::iter::once(heads).chain(rows)));
        }
        let directory = config.state_path().join(topology.application_id);
        let _ = writeln!(text, "\nstate: {}", directory.display());
        for (task, bytes) in &self.state.tasks {
            let _ = writeln!(text, "  {task}: {} bytes", thousands(*bytes));
        }
        if self.state.tasks.is_empty() {
            text.push_str("  none\n");
        }
        text.push_str("\nproblems\n");
        for problem in &self.problems {
            let _ = writeln!(text, "  - {}", problem.replace('\n', "\n    "));
        }
        if self.problems.is_empty() {
            text.push_str("  none\n");
        }
        text
    }

    fn as_json(&self, topology: &TopologyDescriptor, config: &StreamsConfig) -> Value {
        let entries = self
            .config
            .iter()
            .map(|e| json!({"key": e.key, "value": e.value, "origin": e.origin}));
        let log = self
            .log
            .as_ref()
            .map(|log| json!({"id": log.id, "version": log.version, "brokers": log.brokers}));
        let topics = self.topics.as_ref();
        let group = self.group.as_ref().map(|group| {
            let members = group
                .members
                .iter()
                .map(|m| json!({"member": m.member, "client_id": m.client_id, "host": m.host}));
            json!({"state": group.state, "members": members.collect::<Vec<_>>()})
        });
        let lag = self.lag.iter().map(|lag| {
            json!({
                "topic": &*lag.partition.topic,
                "partition": lag.partition.partition,
                "committed": lag.committed,
                "start": lag.start,
                "end": lag.end,
                "behind": lag.behind(),
            })
        });
        let tasks = self.state.tasks.iter();
        let tasks = tasks.map(|(task, bytes)| json!({"task": task, "bytes": bytes}));
        let directory = config.state_path().join(topology.application_id);
        json!({
            "application_id": topology.application_id,
            "config": entries.collect::<Vec<_>>(),
            "log": log,
            "topics": topics.map(|t| topics_command::as_json(config, t)),
            "group": group,
            "lag": lag.collect::<Vec<_>>(),
            "state": {"dir": directory.display().to_string(), "tasks": tasks.collect::<Vec<_>>()},
            "problems": self.problems,
            "ok": self.problems.is_empty(),
        })
    }
}

fn told(error: &TransportError) -> String {
    match error {
        // Nobody tries again here.
        TransportError::Retriable(why) => format!("the log cannot be reached: {why}"),
        other => ProgramError::chain(other),
    }
}

fn lag(
    topology: &TopologyDescriptor,
    checked: Option<&TopicsCheck>,
    admin: &mut dyn Admin,
) -> Result<Vec<Lag>, TransportError> {
    let mut sources: Vec<usize> = topology
        .subtopologies
        .iter()
        .flat_map(|s| s.sources)
        .map(|s| s.topic)
        .collect();
    sources.sort_unstable();
    sources.dedup();
    let topics = checked.map_or(&[][..], |c| &c.topics);
    let found = sources
        .iter()
        .filter_map(|s| topics.get(*s)?.found.as_ref());
    let partitions: Vec<TopicPartition> = found
        .flat_map(|t| {
            let count = i32::try_from(t.partitions).unwrap_or(i32::MAX);
            (0..count).map(|p| TopicPartition::new(t.name.as_str(), p))
        })
        .collect();
    if partitions.is_empty() {
        return Ok(Vec::new());
    }
    let committed = admin.committed(topology.application_id, &partitions)?;
    let ranges = admin.offsets(&partitions)?;
    let each = partitions.into_iter().zip(ranges).zip(committed);
    Ok(each
        .map(|((partition, range), committed)| Lag {
            partition,
            start: range.start,
            end: range.end,
            committed: committed.map(|c| c.offset),
        })
        .collect())
}

/// The bytes of a directory's files; what cannot be read counts nothing.
fn size(path: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(path) else {
        return 0;
    };
    let files = entries.flatten().filter_map(|e| e.metadata().ok());
    files.filter(fs::Metadata::is_file).map(|m| m.len()).sum()
}
