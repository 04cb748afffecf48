//! Layer 1. The table of configuration keys: how each is read, its default, and for the rest of Kafka Streams' names where
//! they belong or why they are refused.

#![allow(
    clippy::unit_arg,
    reason = "a setter's result is its assignment's, `Ok(())`"
)]

use std::time::Duration;

use super::handlers::handler;
use super::{ConfigError, KeyDescription, Log, ProcessingGuarantee, StreamsConfig};
use crate::timestamps::TimestampExtractor;

/// A key that is read.
struct Key {
    name: &'static str,
    default: &'static str,
    help: &'static str,
    /// On an error, what the key expects.
    set: fn(&mut StreamsConfig, &str) -> Result<(), String>,
    get: fn(&StreamsConfig) -> String,
}

const KEYS: &[Key] = &[
    Key {
        name: "bootstrap.servers",
        default: "",
        help: "the Kafka cluster, host:port[,host:port]",
        set: |c, v| {
            non_empty(v)?;
            c.log = Log::Kafka(v.to_owned());
            Ok(())
        },
        get: |c| {
            if let Log::Kafka(servers) = &c.log {
                servers.clone()
            } else {
                String::new()
            }
        },
    },
    Key {
        name: "embedded.dir",
        default: "",
        help: "the embedded log's directory, instead of a Kafka cluster",
        set: |c, v| {
            non_empty(v)?;
            c.log = Log::Embedded(v.into());
            Ok(())
        },
        get: |c| {
            if let Log::Embedded(dir) = &c.log {
                dir.display().to_string()
            } else {
                String::new()
            }
        },
    },
    Key {
        name: "create.topics",
        default: "false",
        help: "create topics that are missing, those that the topology declares and those that a sink's closure names",
        set: |c, v| Ok(c.create_topics = boolean(v)?),
        get: |c| c.create_topics.to_string(),
    },
    Key {
        name: "processing.guarantee",
        default: "at_least_once",
        help: "at_least_once or exactly_once_v2",
        set: |c, v| {
            c.processing_guarantee = match v {
                "at_least_once" => ProcessingGuarantee::AtLeastOnce,
                "exactly_once_v2" => ProcessingGuarantee::ExactlyOnceV2,
                _ => return Err("either `at_least_once` or `exactly_once_v2`".to_owned()),
            };
            Ok(())
        },
        get: |c| {
            match c.processing_guarantee {
                ProcessingGuarantee::AtLeastOnce => "at_least_once",
                ProcessingGuarantee::ExactlyOnceV2 => "exactly_once_v2",
            }
            .to_owned()
        },
    },
    Key {
        name: "commit.interval.ms",
        default: "30000; 100 under exactly_once_v2",
        help: "how often to commit",
        set: |c, v| Ok(c.commit_interval = Some(millis(v)?)),
        get: |c| ms(c.commit_interval()),
    },
    Key {
        name: "num.stream.threads",
        default: "1",
        help: "threads that process",
        set: |c, v| Ok(c.num_stream_threads = at_least_one(v)?),
        get: |c| c.num_stream_threads.to_string(),
    },
    Key {
        name: "state.dir",
        default: "`state` in embedded.dir, else `kafka-streams` among the temporary files",
        help: "where state lies",
        set: |c, v| {
            non_empty(v)?;
            c.state_dir = Some(v.into());
            Ok(())
        },
        get: |c| c.state_path().display().to_string(),
    },
    Key {
        name: "state.cleanup.delay.ms",
        default: "600000",
        help: "how long the state of a task that left is kept for its return",
        set: |c, v| Ok(c.state_cleanup_delay = millis(v)?),
        get: |c| ms(c.state_cleanup_delay),
    },
    Key {
        name: "state.cleanup.dir.max.age.ms",
        default: "-1",
        help: "state that was last written longer ago is removed at start; -1 keeps it whatever its age",
        set: |c, v| Ok(c.state_cleanup_max_age = if v == "-1" { None } else { Some(millis(v)?) }),
        get: |c| c.state_cleanup_max_age.map_or_else(|| "-1".to_owned(), ms),
    },
    Key {
        name: "statestore.cache.max.bytes",
        default: "10485760",
        help: "record cache of all threads together; 0 forwards and logs every update",
        set: |c, v| Ok(c.cache_max_bytes = bytes(v)?),
        get: |c| c.cache_max_bytes.to_string(),
    },
    Key {
        name: "write.buffer.max.bytes",
        default: "33554432",
        help: "uncommitted writes of a task; beyond it the task commits early",
        set: |c, v| Ok(c.write_buffer_max_bytes = bytes(v)?),
        get: |c| c.write_buffer_max_bytes.to_string(),
    },
    Key {
        name: "poll.ms",
        default: "100",
        help: "how long a thread without work waits for records",
        set: |c, v| Ok(c.poll = millis(v)?),
        get: |c| ms(c.poll),
    },
    Key {
        name: "buffered.records.per.partition",
        default: "1000",
        help: "records held per partition before fetching pauses",
        set: |c, v| Ok(c.buffered_records_per_partition = at_least_one(v)?),
        get: |c| c.buffered_records_per_partition.to_string(),
    },
    Key {
        name: "max.task.idle.ms",
        default: "0",
        help: "how long to wait for records of a partition that is not known to be caught up; -1 never waits",
        set: |c, v| Ok(c.max_task_idle = if v == "-1" { None } else { Some(millis(v)?) }),
        get: |c| c.max_task_idle.map_or_else(|| "-1".to_owned(), ms),
    },
    Key {
        name: "__emit.interval.ms.kstreams.outer.join.spurious.results.fix__",
        default: "1000",
        help: "how often left and outer joins of streams look for records whose window closed without a partner",
        set: |c, v| Ok(c.join_emit_interval = Some(millis(v)?)),
        get: |c| ms(c.join_emit_interval()),
    },
    Key {
        name: "task.timeout.ms",
        default: "300000",
        help: "how long transient failures are retried",
        set: |c, v| Ok(c.task_timeout = millis(v)?),
        get: |c| ms(c.task_timeout),
    },
    Key {
        name: "deserialization.exception.handler",
        default: "fail",
        help: "fail or continue (skip and count) when a record's bytes cannot be read",
        set: |c, v| Ok(c.errors.deserialization = handler(v)?),
        get: |c| c.errors.deserialization.word().to_owned(),
    },
    Key {
        name: "processing.exception.handler",
        default: "fail",
        help: "fail or continue (skip and count) when a closure or a processor returns an error or panics",
        set: |c, v| Ok(c.errors.processing = handler(v)?),
        get: |c| c.errors.processing.word().to_owned(),
    },
    Key {
        name: "processing.exception.handler.global.enabled",
        default: "false",
        help: "whether it decides about processors of global stores too; otherwise these always fail",
        set: |c, v| Ok(c.errors.processing_global = boolean(v)?),
        get: |c| c.errors.processing_global.to_string(),
    },
    Key {
        name: "production.exception.handler",
        default: "fail",
        help: "fail or continue (skip and count) when a record cannot be written",
        set: |c, v| Ok(c.errors.production = handler(v)?),
        get: |c| c.errors.production.word().to_owned(),
    },
    Key {
        name: "errors.dead.letter.queue.topic.name",
        default: "",
        help: "the topic that records go to when one of these handlers took them",
        set: |c, v| {
            non_empty(v)?;
            c.errors.dead_letter_queue = Some(v.into());
            Ok(())
        },
        get: |c| {
            c.errors
                .dead_letter_queue
                .as_deref()
                .unwrap_or_default()
                .to_owned()
        },
    },
    Key {
        name: "default.timestamp.extractor",
        default: "fail_on_invalid_timestamp",
        help: "where timestamps come from: fail_on_invalid_timestamp, log_and_skip_on_invalid_timestamp, \
               use_partition_time_on_invalid_timestamp or wallclock_timestamp_extractor",
        set: |c, v| {
            let words: Vec<_> = TimestampExtractor::ALL
                .iter()
                .map(|(word, _)| format!("`{word}`"))
                .collect();
            let expected = || {
                format!(
                    "one of {}; one of your own is `#[source(timestamp = …)]`",
                    words.join(", ")
                )
            };
            c.timestamp_extractor = TimestampExtractor::from_name(v).ok_or_else(expected)?;
            Ok(())
        },
        get: |c| c.timestamp_extractor.to_string(),
    },
    Key {
        name: "client.id",
        default: "<application.id>-<process id>",
        help: "prefix of thread and client names",
        set: |c, v| {
            non_empty(v)?;
            c.client_id = Some(v.to_owned());
            Ok(())
        },
        get: |c| c.client_id.clone().unwrap_or_default(),
    },
    Key {
        name: "group.protocol",
        default: "classic",
        help: "classic: the streams protocol is not in this version",
        set: |_, v| match v {
            "classic" => Ok(()),
            _ => Err("`classic`; the streams protocol is not in this version".to_owned()),
        },
        get: |_| "classic".to_owned(),
    },
    Key {
        name: "replication.factor",
        default: "-1",
        help: "copies of the topics that are created; -1 is the broker's default",
        set: |c, v| {
            c.replication_factor = match v.parse() {
                Ok(n) if n == -1 || (1..=i32::from(i16::MAX)).contains(&n) => n,
                _ => return Err("-1 or a number between 1 and 32767".to_owned()),
            };
            Ok(())
        },
        get: |c| c.replication_factor.to_string(),
    },
    Key {
        name: "repartition.purge.interval.ms",
        default: "30000",
        help: "how often processed records are deleted from repartition topics",
        set: |c, v| Ok(c.repartition_purge_interval = millis(v)?),
        get: |c| ms(c.repartition_purge_interval),
    },
    Key {
        name: "windowstore.changelog.additional.retention.ms",
        default: "86400000",
        help: "how long changelogs of window and session stores keep records beyond the stores' retention",
        set: |c, v| Ok(c.window_changelog_additional_retention = millis(v)?),
        get: |c| ms(c.window_changelog_additional_retention),
    },
    Key {
        name: "__emit.interval.ms.kstreams.windowed.aggregation__",
        default: "1000",
        help: "how often, by the wall clock, windows that have closed are looked for (Kafka Streams' own, internal name)",
        set: |c, v| Ok(c.window_emit_interval = Some(millis(v)?)),
        get: |c| ms(c.window_emit_interval()),
    },
    Key {
        name: "log.summary.interval.ms",
        default: "120000",
        help: "how often a line tells what was done; 0 never",
        set: |c, v| Ok(c.log_summary_interval = millis(v)?),
        get: |c| ms(c.log_summary_interval),
    },
];

/// Names that Kafka Streams still reads, for keys of another name.
const OLD_NAMES: &[(&str, &str)] = &[
    ("cache.max.bytes.buffering", "statestore.cache.max.bytes"),
    (
        "default.deserialization.exception.handler",
        "deserialization.exception.handler",
    ),
    (
        "default.production.exception.handler",
        "production.exception.handler",
    ),
];

/// Keys that the topology decides, and where.
const IN_TOPOLOGY: &[(&str, &str)] = &[
    ("application.id", "in `#[topology(application_id = \"…\")]`"),
    (
        "topology.optimization",
        "in `#[topology(optimization = \"…\")]`",
    ),
    ("dsl.store.format", "in `#[topology(store_format = \"…\")]`"),
    (
        "dsl.store.suppliers.class",
        "per store, in `#[store(kind = lmdb | memory)]`",
    ),
    (
        "default.dsl.store",
        "per store, in `#[store(kind = lmdb | memory)]`",
    ),
    (
        "default.key.serde",
        "by the key's type: a type carries its wire format",
    ),
    (
        "default.value.serde",
        "by the value's type: a type carries its wire format",
    ),
    (
        "default.list.key.serde.inner",
        "by the key's type: a type carries its wire format",
    ),
    (
        "default.list.value.serde.inner",
        "by the value's type: a type carries its wire format",
    ),
    (
        "default.list.key.serde.type",
        "by the key's type: a type carries its wire format",
    ),
    (
        "default.list.value.serde.type",
        "by the value's type: a type carries its wire format",
    ),
    (
        "windowed.inner.class.serde",
        "by the key's type: a type carries its wire format",
    ),
    ("window.size.ms", "in `windowed_by(…)`"),
    (
        "ensure.explicit.internal.resource.naming",
        "which has no generated names: it is always so",
    ),
];

/// Keys of Kafka Streams that would do nothing here yet, and what would be missing.
const LATER: &[(&str, &str)] = &[
    ("num.standby.replicas", "there are no standby tasks yet"),
    (
        "acceptable.recovery.lag",
        "there are no standby and warm-up tasks yet",
    ),
    ("max.warmup.replicas", "there are no warm-up tasks yet"),
    (
        "probing.rebalance.interval.ms",
        "there are no warm-up tasks yet",
    ),
    (
        "group.instance.id",
        "membership is static anyway, by the process id in the state directory and the thread's number",
    ),
    ("application.server", "queries reach this process only"),
    ("metrics.recording.level", "there are no metrics yet"),
    ("metrics.num.samples", "there are no metrics yet"),
    ("metrics.sample.window.ms", "there are no metrics yet"),
    ("metric.reporters", "there are no metrics yet"),
    ("built.in.metrics.version", "there are no metrics yet"),
    ("enable.metrics.push", "there are no metrics yet"),
    (
        "rack.aware.assignment.strategy",
        "tasks are not assigned by rack",
    ),
    (
        "rack.aware.assignment.tags",
        "tasks are not assigned by rack",
    ),
    (
        "rack.aware.assignment.traffic_cost",
        "tasks are not assigned by rack",
    ),
    (
        "rack.aware.assignment.non_overlap_cost",
        "tasks are not assigned by rack",
    ),
    ("task.assignor.class", "there is one assignor"),
    ("processor.wrapper.class", "processors are not wrapped"),
    ("default.client.supplier", "there is one client"),
    ("upgrade.from", "there is no earlier version"),
    (
        "allow.os.group.write.access",
        "state directories are the owner's",
    ),
    (
        "rocksdb.config.setter",
        "state lies in LMDB, which has nothing to tune",
    ),
    (
        "sasl.jaas.config",
        "the client is librdkafka, which has no JAAS: give `sasl.username` and `sasl.password`, or `sasl.kerberos.…`",
    ),
    (
        "sasl.login.callback.handler.class",
        "the client is librdkafka: give `sasl.oauthbearer.…`",
    ),
    (
        "sasl.client.callback.handler.class",
        "the client is librdkafka: give `sasl.oauthbearer.…`",
    ),
    (
        "ssl.truststore.location",
        "the client is librdkafka: give `ssl.ca.location`, a file of PEM certificates",
    ),
    (
        "ssl.truststore.certificates",
        "the client is librdkafka: give `ssl.ca.pem`",
    ),
    (
        "ssl.truststore.password",
        "the client is librdkafka: `ssl.ca.location` needs none",
    ),
    (
        "ssl.truststore.type",
        "the client is librdkafka: `ssl.ca.location` is a file of PEM certificates",
    ),
    (
        "ssl.keystore.type",
        "the client is librdkafka: `ssl.keystore.location` is PKCS#12, or give `ssl.certificate.location` and `ssl.key.location`",
    ),
    (
        "ssl.keystore.certificate.chain",
        "the client is librdkafka: give `ssl.certificate.pem`",
    ),
    (
        "ssl.keystore.key",
        "the client is librdkafka: give `ssl.key.pem`",
    ),
    (
        "ssl.protocol",
        "the client is librdkafka, which takes the best that both sides have",
    ),
    (
        "ssl.enabled.protocols",
        "the client is librdkafka, which takes the best that both sides have",
    ),
];

/// Prefixes whose keys go to a client as they are.
const CLIENTS: &[&str] = &[
    "consumer.",
    "main.consumer.",
    "restore.consumer.",
    "global.consumer.",
    "producer.",
    "admin.",
];

/// Keys of every client that need no prefix; those that end in a dot begin such keys.
const COMMON: &[&str] = &[
    "security.protocol",
    "sasl.",
    "ssl.",
    "enable.ssl.certificate.verification",
    "enable.sasl.oauthbearer.unsecure.jwt",
    "https.",
    "socket.",
    "broker.address.",
    "client.rack",
    "client.dns.lookup",
    "retry.backoff.ms",
    "retry.backoff.max.ms",
    "reconnect.backoff.ms",
    "reconnect.backoff.max.ms",
    "metadata.max.age.ms",
    "topic.metadata.refresh.interval.ms",
    "connections.max.idle.ms",
    "debug",
];

/// Names of Kafka's Java clients, and what librdkafka calls the same; some have no prefix but are every client's too.
const LIBRDKAFKA_NAMES: &[(&str, &str)] = &[
    ("request.timeout.ms", "socket.timeout.ms"),
    ("receive.buffer.bytes", "socket.receive.buffer.bytes"),
    ("send.buffer.bytes", "socket.send.buffer.bytes"),
];

/// What the runtime itself must decide about its clients, or a guarantee breaks.
const OWNED: &[(&str, &str)] = &[
    ("enable.auto.commit", "offsets are committed with the state"),
    (
        "allow.auto.create.topics",
        "a misspelt topic would be created instead of reported",
    ),
    ("group.id", "it is the application's id"),
    (
        "group.instance.id",
        "it is made of process id and thread, so that a restart takes its place",
    ),
    (
        "partition.assignment.strategy",
        "only `range` keeps the partitions of joined topics together",
    ),
    (
        "auto.offset.reset",
        "each source has its own, `#[source(offset_reset = …)]`",
    ),
    (
        "enable.auto.offset.store",
        "offsets are committed with the state",
    ),
    ("enable.partition.eof", "the runtime needs to know the end"),
    (
        "bootstrap.servers",
        "all clients are of one cluster; docs/kafka.md says how to copy from another",
    ),
    ("group.protocol", "the runtime chooses it"),
    (
        "isolation.level",
        "what a transaction took back, or may still take back, is never read",
    ),
    ("enable.idempotence", "it is always on"),
    (
        "transactional.id",
        "it is made of application id, process id and thread",
    ),
];

/// The name under which a key's value is kept.
pub(super) fn name(key: &str) -> &str {
    OLD_NAMES
        .iter()
        .chain(LIBRDKAFKA_NAMES)
        .find(|(old, _)| *old == key)
        .map_or(key, |(_, new)| *new)
}

pub(super) fn set(config: &mut StreamsConfig, key: &str, value: &str) -> Result<(), ConfigError> {
    let value = value.trim();
    let name = name(key);
    if let Some(known) = KEYS.iter().find(|k| k.name == name) {
        return (known.set)(config, value).map_err(|expected| invalid(key, value, expected));
    }
    if let Some((_, place)) = IN_TOPOLOGY.iter().find(|(k, _)| *k == key) {
        return Err(ConfigError::InTopology {
            key: key.to_owned(),
            place,
            origin: None,
        });
    }
    if let Some((_, effect)) = LATER.iter().find(|(k, _)| *k == key) {
        return Err(ConfigError::NotSupported {
            key: key.to_owned(),
            effect,
            origin: None,
        });
    }
    if let Some(rest) = CLIENTS.iter().find_map(|prefix| key.strip_prefix(prefix)) {
        if let Some((_, why)) = OWNED.iter().find(|(k, _)| *k == rest) {
            return Err(invalid(key, value, format!("cannot be set: {why}")));
        }
        config.clients.insert(key.to_owned(), value.to_owned());
        return Ok(());
    }
    if is_common(name) {
        config.clients.insert(name.to_owned(), value.to_owned());
        return Ok(());
    }
    if let Some(rest) = key.strip_prefix("topic.") {
        if rest == "cleanup.policy" {
            let why = "cannot be set for all internal topics: changelogs are compacted, repartition topics are not";
            return Err(invalid(key, value, why.to_owned()));
        }
        config
            .topic_config
            .insert(rest.to_owned(), value.to_owned());
        return Ok(());
    }
    Err(ConfigError::Unknown {
        key: key.to_owned(),
        nearest: nearest(key),
        origin: None,
    })
}

fn is_common(key: &str) -> bool {
    COMMON.iter().any(|common| match common.strip_suffix('.') {
        Some(_) => key
            .strip_prefix(common)
            .is_some_and(|rest| !rest.is_empty()),
        None => key == *common,
    })
}

/// Whether a value is nobody's business.
pub(super) fn is_secret(key: &str) -> bool {
    const SECRET: &[&str] = &[
        "password",
        "secret",
        "key.pem",
        "jaas",
        "token",
        "credential",
    ];
    SECRET.iter().any(|part| key.contains(part))
}

/// The nearest name among all that mean something, if it is near enough to be meant.
fn nearest(key: &str) -> Option<String> {
    let names = KEYS
        .iter()
        .map(|k| k.name)
        .chain(IN_TOPOLOGY.iter().map(|k| k.0))
        .chain(LATER.iter().map(|k| k.0))
        .chain(COMMON.iter().copied().filter(|k| !k.ends_with('.')));
    names
        .map(|name| (strsim::normalized_damerau_levenshtein(key, name), name))
        .filter(|(likeness, _)| *likeness > 0.6)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name.to_owned())
}

pub(super) fn describe() -> Vec<KeyDescription> {
    KEYS.iter()
        .map(|k| KeyDescription {
            name: k.name,
            default: k.default,
            help: k.help,
        })
        .collect()
}

pub(super) fn entries(config: &StreamsConfig) -> Vec<(&'static str, String)> {
    KEYS.iter().map(|k| (k.name, (k.get)(config))).collect()
}

pub(super) fn validate(config: &StreamsConfig) -> Result<(), ConfigError> {
    if config.num_stream_threads == 0 {
        return Err(invalid(
            "num.stream.threads",
            "0",
            "a number above 0".to_owned(),
        ));
    }
    if config.buffered_records_per_partition == 0 {
        return Err(invalid(
            "buffered.records.per.partition",
            "0",
            "a number above 0".to_owned(),
        ));
    }
    // As in Kafka Streams: otherwise the broker would abort what is about to be committed.
    let key = "producer.transaction.timeout.ms";
    let expiry = config.clients.get(key).and_then(|ms| ms.parse().ok());
    let expiry = Duration::from_millis(expiry.unwrap_or(TRANSACTION_TIMEOUT_MS));
    if config.guarantee() == ProcessingGuarantee::ExactlyOnceV2
        && matches!(config.log, Log::Kafka(_))
        && expiry < config.commit_interval()
    {
        let expected = format!(
            "at least `commit.interval.ms = {}`: a transaction is open between two commits",
            ms(config.commit_interval())
        );
        return Err(invalid(key, &ms(expiry), expected));
    }
    Ok(())
}

/// Kafka Streams' `transaction.timeout.ms`.
const TRANSACTION_TIMEOUT_MS: u64 = 10_000;

fn invalid(key: &str, value: &str, expected: String) -> ConfigError {
    ConfigError::Invalid {
        key: key.to_owned(),
        value: value.to_owned(),
        expected,
        origin: None,
    }
}

fn non_empty(text: &str) -> Result<(), String> {
    if text.is_empty() {
        Err("must not be empty".to_owned())
    } else {
        Ok(())
    }
}

fn boolean(text: &str) -> Result<bool, String> {
    text.parse()
        .map_err(|_| "either `true` or `false`".to_owned())
}

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|n| *n > 0)
        .ok_or_else(|| "a number above 0".to_owned())
}

/// Milliseconds as in Kafka, or with a unit: `30s`, `5m`.
fn millis(text: &str) -> Result<Duration, String> {
    let units: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
    let (number, factor) = units
        .iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)))
        .unwrap_or((text, 1));
    number
        .trim()
        .parse()
        .ok()
        .and_then(|n: u64| n.checked_mul(factor))
        .filter(|ms| *ms <= i64::MAX as u64)
        .map(Duration::from_millis)
        .ok_or_else(|| {
            "a number of milliseconds (or with a unit: `30s`, `5m`), not negative".to_owned()
        })
}

/// Bytes as in Kafka, or with a unit: `64MiB`.
fn bytes(text: &str) -> Result<usize, String> {
    let units: [(&str, usize); 4] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("B", 1),
    ];
    let (number, factor) = units
        .iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)))
        .unwrap_or((text, 1));
    number
        .trim()
        .parse()
        .ok()
        .and_then(|n: usize| n.checked_mul(factor))
        .ok_or_else(|| "a number of bytes (or with a unit: `64MiB`), not negative".to_owned())
}

fn ms(duration: Duration) -> String {
    duration.as_millis().to_string()
}
