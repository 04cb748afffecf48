//! From what a person types to a topic: its full name, and how its keys and values are read and written.

use streams_core::topology::{TopicDescriptor, TopologyDescriptor, TypeDescriptor};

use super::error::ProgramError;
use crate::progress::full_name;

/// A topic that a command is about.
#[derive(Debug)]
pub(super) struct Topic {
    /// Its name in the log.
    pub(super) name: String,
    /// What the topology says of it; nothing where the topology does not use it.
    pub(super) descriptor: Option<&'static TopicDescriptor>,
}

impl Topic {
    /// A topic of the topology, by its full name or without the application's prefix; any other name as it is.
    pub(super) fn of(topology: &'static TopologyDescriptor, name: &str) -> Self {
        let found = topology
            .topics
            .iter()
            .find(|t| full_name(topology, t) == name);
        let found = found.or_else(|| topology.topics.iter().find(|t| t.name == name));
        match found {
            Some(descriptor) => Topic {
                name: full_name(topology, descriptor),
                descriptor: Some(descriptor),
            },
            None => Topic {
                name: name.to_owned(),
                descriptor: None,
            },
        }
    }

    pub(super) fn key(&self) -> TypeDescriptor {
        self.descriptor
            .map_or(TypeDescriptor::inferred(), |d| d.key)
    }

    pub(super) fn value(&self) -> TypeDescriptor {
        self.descriptor
            .map_or(TypeDescriptor::inferred(), |d| d.value)
    }
}

/// The error for a name that is not among those that are there.
pub(super) fn unknown<'a>(
    what: &str,
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> ProgramError {
    let mut known: Vec<&str> = known.into_iter().collect();
    known.sort_unstable();
    known.dedup();
    let nearest = known.iter().map(|k| (strsim::jaro_winkler(name, k), *k));
    let nearest = nearest
        .filter(|(score, _)| *score > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let hint = match (nearest, known.is_empty()) {
        (Some((_, nearest)), _) => format!("did you mean `{nearest}`?"),
        (None, true) => format!("there is no {what}"),
        (None, false) => format!("there are {}", quoted(&known)),
    };
    ProgramError::Usage(format!("unknown {what} `{name}`: {hint}"))
}

/// A cluster may have thousands of topics, and some of its own.
fn quoted(names: &[&str]) -> String {
    const SHOWN: usize = 20;
    let ours = names.iter().filter(|n| !n.starts_with("__"));
    let mut shown: Vec<String> = ours.map(|n| format!("`{n}`")).collect();
    let more = shown.len().saturating_sub(SHOWN);
    shown.truncate(SHOWN);
    if more > 0 {
        shown.push(format!("and {more} more"));
    }
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_gets_the_nearest_one_or_all() {
        let near = unknown("topic", "linse", ["lines", "counts"]).to_string();
        assert_eq!(near, "unknown topic `linse`: did you mean `lines`?");
        let far = unknown("topic", "qqq", ["lines", "counts"]).to_string();
        assert_eq!(far, "unknown topic `qqq`: there are `counts`, `lines`");
        let many: Vec<String> = (10..40).map(|n| format!("topic-{n}")).collect();
        let many = unknown("topic", "qqq", many.iter().map(String::as_str)).to_string();
        assert!(many.ends_with("`topic-29`, and 10 more"), "{many}");
    }
}
