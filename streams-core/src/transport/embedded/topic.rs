//! Layer 2. Topics of the embedded log: names, settings, and how both lie in the `topics` table.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{BufMut, Bytes};

use crate::transport::{TopicInfo, TransportError};

/// Kafka's `max.message.bytes` where a topic sets none; 1 MiB here, Kafka's is a little more.
const DEFAULT_MAX_MESSAGE_BYTES: usize = 1024 * 1024;
/// Kafka's `delete.retention.ms` where a topic sets none.
const DEFAULT_DELETE_RETENTION_MS: i64 = 24 * 60 * 60 * 1000;
/// Kafka's longest topic name.
const MAX_NAME: usize = 249;
/// More partitions than this are taken for a mistake.
const MAX_PARTITIONS: u32 = 100_000;
const VERSION: u8 = 1;

/// A topic, as clients share it. It never changes once it is made; another one of its name has another id.
#[derive(Debug, PartialEq)]
pub(super) struct Topic {
    pub(super) id: u32,
    pub(super) name: Arc<str>,
    pub(super) partitions: u32,
    pub(super) config: BTreeMap<String, String>,
    pub(super) settings: Settings,
}

/// The settings that the embedded log acts on. Others are kept and shown, nothing more.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Settings {
    pub(super) compact: bool,
    pub(super) delete: bool,
    pub(super) retention_ms: Option<i64>,
    pub(super) retention_bytes: Option<u64>,
    pub(super) delete_retention_ms: i64,
    pub(super) min_compaction_lag_ms: i64,
    pub(super) dirty_ratio: Option<f64>,
    pub(super) segment_bytes: Option<u64>,
    pub(super) max_message_bytes: usize,
}

impl Settings {
    fn parse(config: &BTreeMap<String, String>) -> Result<Settings, String> {
        let number = |key: &str| -> Result<Option<i64>, String> {
            config
                .get(key)
                .map(|text| {
                    text.trim()
                        .parse()
                        .map_err(|_| format!("`{key}` is `{text}`, not a whole number"))
                })
                .transpose()
        };
        let policy = config
            .get("cleanup.policy")
            .map_or("delete", String::as_str);
        let (mut compact, mut delete) = (false, false);
        for word in policy.split(',').map(str::trim) {
            match word {
                "compact" => compact = true,
                "delete" => delete = true,
                _ => {
                    return Err(format!(
                        "`cleanup.policy` is `{policy}`; use `delete`, `compact` or `compact,delete`"
                    ));
                }
            }
        }
        let limit = number("max.message.bytes")?;
        Ok(Settings {
            compact,
            delete,
            // Unlike Kafka's seven days: what nobody limited is kept.
            retention_ms: number("retention.ms")?.filter(|ms| *ms >= 0),
            retention_bytes: number("retention.bytes")?.and_then(|n| u64::try_from(n).ok()),
            delete_retention_ms: number("delete.retention.ms")?
                .unwrap_or(DEFAULT_DELETE_RETENTION_MS)
                .max(0),
            min_compaction_lag_ms: number("min.compaction.lag.ms")?.unwrap_or(0).max(0),
            dirty_ratio: config
                .get("min.cleanable.dirty.ratio")
                .map(|text| {
                    text.trim()
                        .parse()
                        .ok()
                        .filter(|ratio| (0.0..=1.0).contains(ratio))
                        .ok_or_else(|| {
                            format!("`min.cleanable.dirty.ratio` is `{text}`, not between 0 and 1")
                        })
                })
                .transpose()?,
            segment_bytes: number("segment.bytes")?.and_then(|n| u64::try_from(n).ok()),
            max_message_bytes: match limit {
                None => DEFAULT_MAX_MESSAGE_BYTES,
                Some(n) => usize::try_from(n)
                    .ok()
                    .filter(|n| *n <= super::batch::MAX_RECORD_SIZE)
                    .ok_or_else(|| format!("`max.message.bytes` is {n}, out of range"))?,
            },
        })
    }
}

impl Topic {
    /// A new topic, if it is described well.
    pub(super) fn new(id: u32, info: &TopicInfo) -> Result<Topic, TransportError> {
        let invalid = |reason: String| TransportError::InvalidTopic {
            topic: info.name.clone(),
            reason,
        };
        check_name(&info.name).map_err(invalid)?;
        if info.partitions == 0 || info.partitions > MAX_PARTITIONS {
            return Err(invalid(format!(
                "{} partitions; a topic has between 1 and {MAX_PARTITIONS}",
                info.partitions
            )));
        }
        let settings = Settings::parse(&info.config).map_err(invalid)?;
        Ok(Topic {
            id,
            name: info.name.as_str().into(),
            partitions: info.partitions,
            config: info.config.clone(),
            settings,
        })
    }

    pub(super) fn info(&self) -> TopicInfo {
        TopicInfo {
            name: self.name.as_ref().to_owned(),
            partitions: self.partitions,
            config: self.config.clone(),
        }
    }

    pub(super) fn has_partition(&self, partition: i32) -> bool {
        u32::try_from(partition).is_ok_and(|p| p < self.partitions)
    }

    /// Whether these are the bytes of this very topic.
    pub(super) fn is(&self, bytes: &[u8]) -> bool {
        bytes.get(1..5) == Some(&self.id.to_be_bytes()[..])
    }

    pub(super) fn encode(&self) -> Bytes {
        let mut bytes = vec![VERSION];
        bytes.put_u32(self.id);
        bytes.put_u32(self.partitions);
        bytes.put_u32(u32::try_from(self.config.len()).unwrap_or(u32::MAX));
        for (key, value) in &self.config {
            put_text(&mut bytes, key);
            put_text(&mut bytes, value);
        }
        bytes.into()
    }

    /// Reads a topic; `None` if the bytes are none.
    pub(super) fn decode(name: &str, bytes: &[u8]) -> Option<Topic> {
        let mut rest = bytes;
        if take(&mut rest, 1)? != [VERSION] {
            return None;
        }
        let id = take_u32(&mut rest)?;
        let partitions = take_u32(&mut rest)?;
        let settings = take_u32(&mut rest)?;
        let mut config = BTreeMap::new();
        for _ in 0..settings {
            let key = take_text(&mut rest)?;
            config.insert(key, take_text(&mut rest)?);
        }
        Topic::new(
            id,
            &TopicInfo {
                name: name.to_owned(),
                partitions,
                config,
            },
        )
        .ok()
    }
}

/// Kafka's rule for topic names.
fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > MAX_NAME {
        return Err(format!(
            "the name has {} bytes; between 1 and {MAX_NAME} are allowed",
            name.len()
        ));
    }
    if name == "." || name == ".." {
        return Err("the name may not be `.` or `..`".to_owned());
    }
    match name
        .chars()
        .find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')))
    {
        None => Ok(()),
        Some(c) => Err(format!(
            "`{c}` in the name; letters, digits, `.`, `_` and `-` are allowed"
        )),
    }
}

/// Takes bytes off the front.
pub(super) fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (front, back) = rest.split_at_checked(length)?;
    *rest = back;
    Some(front)
}

pub(super) fn take_u32(rest: &mut &[u8]) -> Option<u32> {
    take(rest, 4)?.first_chunk().map(|b| u32::from_be_bytes(*b))
}

pub(super) fn take_i64(rest: &mut &[u8]) -> Option<i64> {
    take(rest, 8)?.first_chunk().map(|b| i64::from_be_bytes(*b))
}

fn take_text(rest: &mut &[u8]) -> Option<String> {
    let length = take_u32(rest)?;
    String::from_utf8(take(rest, length as usize)?.to_vec()).ok()
}

/// Appends a text behind its length.
pub(super) fn put_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.put_u32(u32::try_from(text.len()).unwrap_or(u32::MAX));
    bytes.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(name: &str, partitions: u32, config: &[(&str, &str)]) -> TopicInfo {
        TopicInfo {
            name: name.to_owned(),
            partitions,
            config: config
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
        }
    }

    #[test]
    fn topics_come_back_as_they_were() {
        let info = info(
            "a.b_c-D",
            3,
            &[("cleanup.policy", "compact,delete"), ("retention.ms", "5")],
        );
        let topic = Topic::new(7, &info).unwrap();
        assert!(topic.settings.compact && topic.settings.delete);
        let bytes = topic.encode();
        assert_eq!(Topic::decode("a.b_c-D", &bytes), Some(topic));
        for end in 0..bytes.len() {
            assert_eq!(Topic::decode("a.b_c-D", &bytes[..end]), None);
        }
    }

    #[test]
    fn bad_descriptions_say_what_is_wrong() {
        for (bad, word) in [
            (info("", 1, &[]), "between 1 and 249"),
            (info("a b", 1, &[]), "` ` in the name"),
            (info("..", 1, &[]), "may not be"),
            (info("a", 0, &[]), "0 partitions"),
            (info("a", 1, &[("cleanup.policy", "shred")]), "shred"),
            (
                info("a", 1, &[("retention.ms", "long")]),
                "not a whole number",
            ),
            (info("a", 1, &[("max.message.bytes", "-3")]), "out of range"),
        ] {
            let error = Topic::new(0, &bad).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
