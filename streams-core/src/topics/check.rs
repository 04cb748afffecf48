//! Layer 4. What a topology needs of a log, beside what is there: for the start of an application, `topics check` and `doctor`.

use std::collections::{BTreeMap, BTreeSet};

use super::{counts, full_name, internal};
use crate::config::StreamsConfig;
use crate::error::{Error, TopologyError};
use crate::topology::{TopicRole, TopologyDescriptor};
use crate::transport::{Admin, Operation, Resource, TopicInfo, TransportError};

/// A topic of a topology, beside what the log has under its name.
#[derive(Debug, Clone)]
pub struct TopicCheck {
    /// Its full name.
    pub name: String,
    /// What it is for.
    pub role: TopicRole,
    /// The partition count that the topology declares, or that follows for an internal topic; `None` where any will do, or
    /// it follows from a topic that is not there.
    pub declared: Option<u32>,
    /// What is there.
    pub found: Option<TopicInfo>,
    /// The settings with which an internal topic is created.
    pub settings: BTreeMap<String, String>,
    /// What does not fit.
    pub problems: Vec<TopologyError>,
}

impl TopicCheck {
    /// The topic as it would be created: undeclared ones with one partition. `None` for an internal topic whose count is not
    /// known.
    #[must_use]
    pub fn wanted(&self) -> Option<TopicInfo> {
        let partitions = match (self.declared, self.role.is_internal()) {
            (Some(n), _) => n,
            (None, false) => 1,
            (None, true) => return None,
        };
        Some(TopicInfo {
            name: self.name.clone(),
            partitions,
            config: self.settings.clone(),
        })
    }

    /// How many partitions it has, or will have.
    pub(super) fn count(&self) -> u32 {
        match (&self.found, self.wanted()) {
            (Some(found), _) => found.partitions,
            (None, Some(wanted)) => wanted.partitions,
            (None, None) => 0,
        }
    }
}

/// All topics of a topology, beside those of a log.
#[derive(Debug, Clone)]
pub struct TopicsCheck {
    /// Each topic, in the topology's order.
    pub topics: Vec<TopicCheck>,
    /// What does not fit between topics, and what is not allowed.
    pub problems: Vec<TopologyError>,
}

impl TopicsCheck {
    /// Everything that does not fit, topic by topic.
    pub fn problems(&self) -> impl Iterator<Item = &TopologyError> {
        let of_topics = self.topics.iter().flat_map(|t| &t.problems);
        of_topics.chain(&self.problems)
    }
}

/// `overrides` replaces declared partition counts, by topic name.
pub(super) fn check(
    descriptor: &'static TopologyDescriptor,
    config: &StreamsConfig,
    overrides: &BTreeMap<String, u32>,
    admin: &mut dyn Admin,
) -> Result<TopicsCheck, Error> {
    let names: Vec<String> = descriptor
        .topics
        .iter()
        .map(|t| full_name(descriptor.application_id, t))
        .collect();
    let (found, mut problems) = find(&names, admin)?;
    let mut topics = Vec::with_capacity(names.len());
    for (index, ((topic, name), found)) in
        descriptor.topics.iter().zip(names).zip(found).enumerate()
    {
        let declared = overrides.get(topic.name).copied().or(topic.partitions);
        let mut check = TopicCheck {
            name,
            role: topic.role,
            declared,
            settings: internal::settings(descriptor, index, config),
            problems: Vec::new(),
            found: None,
        };
        match found {
            Found::There(info) => check.found = Some(info),
            // That it may not be seen was said; whether it is there nobody knows.
            Found::Hidden => {}
            Found::Missing if topic.role.is_internal() => {}
            Found::Missing => check.problems.push(missing(descriptor, index, declared)),
        }
        topics.push(check);
    }
    let mut counts: Vec<u32> = topics
        .iter()
        .map(|t| match (&t.found, t.role.is_internal()) {
            (_, true) => 0,
            (Some(found), false) => found.partitions,
            (None, false) => t
                .declared
                .unwrap_or(u32::from(config.create_topics && t.found.is_none())),
        })
        .collect();
    counts::fill_in(descriptor, &mut counts);
    for (topic, count) in topics.iter_mut().zip(&counts) {
        if topic.role.is_internal() {
            topic.declared = Some(*count).filter(|n| *n > 0);
        }
        let Some(found) = &topic.found else { continue };
        if topic.role.is_internal() {
            let wanted = TopicInfo {
                name: topic.name.clone(),
                partitions: *count,
                config: topic.settings.clone(),
            };
            topic.problems = internal::problems(topic.role, &wanted, found);
        } else if let Some(declared) = topic.declared.filter(|d| *d != found.partitions) {
            topic.problems.push(TopologyError::PartitionCount {
                topic: topic.name.clone(),
                declared,
                actual: found.partitions,
            });
        }
    }
    problems.extend(counts::not_copartitioned(descriptor, &counts));
    topics.extend(dead_letter_queue(config, &topics, &mut problems, admin)?);
    problems.extend(missing_rights(descriptor.application_id, &topics, admin)?);
    Ok(TopicsCheck { topics, problems })
}

/// The topic of dead letters, behind those of the topology, unless it is one of them.
fn dead_letter_queue(
    config: &StreamsConfig,
    topics: &[TopicCheck],
    problems: &mut Vec<TopologyError>,
    admin: &mut dyn Admin,
) -> Result<Option<TopicCheck>, TransportError> {
    let Some(queue) = &config.errors.dead_letter_queue else {
        return Ok(None);
    };
    if topics.iter().any(|topic| *topic.name == **queue) {
        return Ok(None);
    }
    let (found, hidden) = find(&[queue.to_string()], admin)?;
    problems.extend(hidden);
    let mut check = TopicCheck {
        name: queue.to_string(),
        role: TopicRole::Sink,
        declared: None,
        found: None,
        settings: BTreeMap::new(),
        problems: Vec::new(),
    };
    match found.into_iter().next() {
        Some(Found::There(info)) => check.found = Some(info),
        Some(Found::Missing) => check.problems.push(TopologyError::MissingDeadLetterQueue {
            topic: queue.to_string(),
        }),
        Some(Found::Hidden) | None => {}
    }
    Ok(Some(check))
}

/// What there is of a name.
enum Found {
    There(TopicInfo),
    Missing,
    Hidden,
}

/// Asks for all topics at once, or, where one of them is not to be seen, for each.
fn find(
    names: &[String],
    admin: &mut dyn Admin,
) -> Result<(Vec<Found>, Vec<TopologyError>), TransportError> {
    let known = |info: Option<TopicInfo>| info.map_or(Found::Missing, Found::There);
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    if all.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    match admin.describe_topics(&all) {
        Err(TransportError::Unauthorized(_)) => {}
        other => return Ok((other?.into_iter().map(known).collect(), Vec::new())),
    }
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    for name in all {
        match admin.describe_topics(&[name]) {
            Err(TransportError::Unauthorized(_)) => {
                found.push(Found::Hidden);
                problems.push(TopologyError::MissingRights {
                    resource: Resource::Topic(name).to_string(),
                    operations: vec![Operation::Describe],
                });
            }
            other => found.push(known(other?.into_iter().flatten().next())),
        }
    }
    Ok((found, problems))
}

fn missing(
    descriptor: &'static TopologyDescriptor,
    index: usize,
    declared: Option<u32>,
) -> TopologyError {
    let topic = descriptor.topics.get(index);
    let name = topic.map(|t| t.name.to_owned()).unwrap_or_default();
    match topic.map(|t| t.role) {
        Some(TopicRole::Sink) => TopologyError::MissingSinkTopic {
            topic: name,
            declared,
        },
        _ => TopologyError::MissingSourceTopic {
            topic: name,
            node: reader_of(descriptor, index).to_owned(),
            declared,
        },
    }
}

fn reader_of(descriptor: &'static TopologyDescriptor, topic: usize) -> &'static str {
    let sources = descriptor.subtopologies.iter().flat_map(|s| s.sources);
    let source = sources.filter(|s| s.topic == topic).map(|s| s.node).next();
    let global = || {
        descriptor
            .globals
            .iter()
            .find(|g| g.topic == topic)
            .map(|g| g.node)
    };
    source.or_else(global).unwrap_or(descriptor.name)
}

/// What the application will do and may not. Says nothing where the log says nothing.
fn missing_rights(
    application_id: &str,
    topics: &[TopicCheck],
    admin: &mut dyn Admin,
) -> Result<Vec<TopologyError>, TransportError> {
    let there = topics.iter().filter(|t| t.found.is_some());
    let mut needed: Vec<(Resource<'_>, &[Operation])> = there
        .map(|t| (Resource::Topic(t.name.as_str()), operations(t.role)))
        .collect();
    needed.push((Resource::Group(application_id), &[Operation::Read]));
    let resources: Vec<Resource<'_>> = needed.iter().map(|(r, _)| *r).collect();
    let allowed = match admin.allowed(&resources) {
        // A group's coordinator may not be there yet: whoever has no rights will hear of it then.
        Err(TransportError::Retriable(_)) => return Ok(Vec::new()),
        other => other?,
    };
    let each = needed.into_iter().zip(allowed);
    Ok(each
        .filter_map(|((resource, needed), allowed)| {
            let allowed: BTreeSet<Operation> = allowed?;
            let operations: Vec<Operation> = needed
                .iter()
                .filter(|o| !allowed.contains(o))
                .copied()
                .collect();
            (!operations.is_empty()).then(|| TopologyError::MissingRights {
                resource: resource.to_string(),
                operations,
            })
        })
        .collect())
}

fn operations(role: TopicRole) -> &'static [Operation] {
    match role {
        TopicRole::Source => &[Operation::Read],
        TopicRole::Sink => &[Operation::Write],
        TopicRole::SourceAndSink | TopicRole::Changelog => &[Operation::Read, Operation::Write],
        // What was processed is deleted from it.
        TopicRole::Repartition => &[Operation::Read, Operation::Write, Operation::Delete],
    }
}
