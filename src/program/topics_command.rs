//! `topics create` and `topics check`: the topics of a topology, beside those that are there.

use serde_json::{Value, json};
use streams_core::config::StreamsConfig;
use streams_core::error::TopologyError;
use streams_core::topics::{self, TopicCheck, TopicsCheck};
use streams_core::topology::{TopicRole, TopologyDescriptor};
use streams_core::transport::TopicInfo;

use super::args::{TopicsCheckArgs, TopicsCreateArgs};
use super::error::ProgramError;
use super::log;
use super::output::{Output, table};

pub(super) fn create(
    topology: &'static TopologyDescriptor,
    args: &TopicsCreateArgs,
) -> Result<(), ProgramError> {
    let config = args.log.configuration()?;
    let copies = args.replication_factor.or(config.replication());
    let transport = log::open(&config, "topics create")?;
    let mut admin = transport.admin().map_err(ProgramError::failed)?;
    let checked = topics::check(topology, &config, admin.as_mut()).map_err(ProgramError::failed)?;
    // Nothing is made beside what does not fit.
    let external = checked.topics.iter().filter(|t| !t.role.is_internal());
    let of_topics = external.clone().flat_map(|t| &t.problems);
    let wrong = of_topics
        .chain(&checked.problems)
        .filter(|p| !p.is_missing_topic() && !matches!(p, TopologyError::MissingRights { .. }));
    refuse(wrong)?;
    let mut output = Output::new();
    for topic in external {
        let name = topic.name.as_str();
        let partitions = match &topic.found {
            Some(found) => found.partitions,
            None => {
                let partitions = topic.declared.unwrap_or(args.partitions);
                let wanted = TopicInfo {
                    name: name.to_owned(),
                    partitions,
                    config: topic.settings.clone(),
                };
                admin
                    .create_replicated(&wanted, copies)
                    .map_err(ProgramError::failed)?;
                partitions
            }
        };
        let created = topic.found.is_none();
        if args.json {
            let line = json!({"topic": name, "partitions": partitions, "created": created});
            output.json(&line)?;
        } else {
            let what = if created { "created" } else { "is there" };
            output.text(&format!("{name}: {what}, {}\n", counted(partitions)))?;
        }
    }
    output.flush()
}

pub(super) fn check(
    topology: &'static TopologyDescriptor,
    args: &TopicsCheckArgs,
) -> Result<(), ProgramError> {
    let config = args.log.configuration()?;
    let transport = log::open_existing(&config, "topics check")?;
    let mut admin = transport.admin().map_err(ProgramError::failed)?;
    let checked = topics::check(topology, &config, admin.as_mut()).map_err(ProgramError::failed)?;
    let mut output = Output::new();
    if args.json {
        output.json(&as_json(&config, &checked))?;
    } else {
        output.text(&as_text(&config, &checked))?;
    }
    output.flush()?;
    refuse(problems(&config, &checked).into_iter())
}

/// What would keep a run from starting: a missing topic does not where `run` creates it.
pub(super) fn problems<'c>(
    config: &StreamsConfig,
    checked: &'c TopicsCheck,
) -> Vec<&'c TopologyError> {
    let created = |p: &TopologyError| config.creates_topics() && p.is_missing_topic();
    checked.problems().filter(|p| !created(p)).collect()
}

fn refuse<'p>(problems: impl Iterator<Item = &'p TopologyError>) -> Result<(), ProgramError> {
    let mut problems: Vec<TopologyError> = problems.cloned().collect();
    match problems.len() {
        0 => Ok(()),
        1 => Err(ProgramError::failed(problems.remove(0))),
        _ => Err(ProgramError::failed(TopologyError::Several { problems })),
    }
}

/// A line for each topic.
pub(super) fn as_text(config: &StreamsConfig, checked: &TopicsCheck) -> String {
    let heads = ["topic", "is", "needed", "there", ""].map(str::to_owned);
    let rows = checked.topics.iter().map(|t| {
        let count = |n: Option<u32>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
        [
            t.name.clone(),
            role(t.role).to_owned(),
            t.declared
                .map_or_else(|| "any".to_owned(), |n| n.to_string()),
            count(t.found.as_ref().map(|f| f.partitions)),
            status(config, t).to_owned(),
        ]
    });
    table(std::iter::once(heads).chain(rows))
}

pub(super) fn as_json(config: &StreamsConfig, checked: &TopicsCheck) -> Value {
    let texts = |problems: &[TopologyError]| -> Vec<String> {
        problems.iter().map(ToString::to_string).collect()
    };
    let topics = checked.topics.iter().map(|t| {
        json!({
            "topic": t.name,
            "role": role(t.role),
            "declared_partitions": t.declared,
            "partitions": t.found.as_ref().map(|f| f.partitions),
            "config": t.found.as_ref().map(|f| &f.config),
            "status": status(config, t),
            "problems": texts(&t.problems),
        })
    });
    json!({
        "topics": topics.collect::<Vec<_>>(),
        "problems": texts(&checked.problems),
        "ok": problems(config, checked).is_empty(),
    })
}

fn status(config: &StreamsConfig, topic: &TopicCheck) -> &'static str {
    let missing = topic.problems.iter().any(TopologyError::is_missing_topic);
    match (&topic.found, topic.problems.is_empty()) {
        (Some(_), true) => "ok",
        (Some(_), false) => "does not fit",
        (None, _) if topic.role.is_internal() => "`run` creates it",
        (None, _) if missing && config.creates_topics() => "`run` creates it",
        (None, _) if missing => "missing",
        (None, _) => "not to be seen",
    }
}

fn role(role: TopicRole) -> &'static str {
    match role {
        TopicRole::Source => "source",
        TopicRole::Sink => "sink",
        TopicRole::SourceAndSink => "source and sink",
        TopicRole::Repartition => "repartition",
        TopicRole::Changelog => "changelog",
    }
}

/// `1 partition`, `2 partitions`.
pub(super) fn counted(partitions: u32) -> String {
    match partitions {
        1 => "1 partition".to_owned(),
        n => format!("{n} partitions"),
    }
}
