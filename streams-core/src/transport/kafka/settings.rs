//! Layer 2. The settings of librdkafka's clients: what the runtime needs, under what the user sets, under what a guarantee
//! forbids to change.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;

use super::errors::{self, Failure};
use crate::config::{Log, StreamsConfig};
use crate::transport::TransportError;

/// What a setting's name begins with if it is not for every client.
const PREFIXES: &[&str] = &[
    "admin.",
    "consumer.",
    "main.consumer.",
    "restore.consumer.",
    "global.consumer.",
    "producer.",
];

/// What a client is for. Decides its defaults, and which prefixes of the configuration it listens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Admin,
    /// Subscribes, and fetches nothing.
    Member,
    /// Reads what a task is given.
    MainConsumer,
    RestoreConsumer,
    GlobalConsumer,
    Producer,
}

impl Role {
    /// A consumer's role by its client id, whose ends are Kafka Streams' own.
    pub(super) fn of_consumer(client_id: &str) -> Self {
        if client_id.ends_with("-restore-consumer") {
            Role::RestoreConsumer
        } else if client_id.ends_with("-global-consumer") {
            Role::GlobalConsumer
        } else {
            Role::MainConsumer
        }
    }

    /// The prefixes of its settings; later ones win.
    fn prefixes(self) -> &'static [&'static str] {
        match self {
            Role::Admin => &["admin."],
            Role::Member | Role::MainConsumer => &["consumer.", "main.consumer."],
            Role::RestoreConsumer => &["consumer.", "restore.consumer."],
            Role::GlobalConsumer => &["consumer.", "global.consumer."],
            Role::Producer => &["producer."],
        }
    }

    fn defaults(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Role::Admin => &[],
            Role::Member => &[
                ("partition.assignment.strategy", "range"),
                ("enable.auto.commit", "false"),
                ("enable.auto.offset.store", "false"),
                ("allow.auto.create.topics", "false"),
                ("auto.offset.reset", "earliest"),
                // It reads nothing, so only this tells it that a topic was deleted; the default is five minutes.
                ("topic.metadata.refresh.interval.ms", "10000"),
            ],
            Role::MainConsumer | Role::RestoreConsumer | Role::GlobalConsumer => &[
                ("enable.auto.commit", "false"),
                ("enable.auto.offset.store", "false"),
                ("enable.partition.eof", "true"),
                ("auto.offset.reset", "error"),
                ("isolation.level", "read_committed"),
                ("allow.auto.create.topics", "false"),
                // The default, a second, is how long fetching stops once the queue is full.
                ("fetch.queue.backoff.ms", "5"),
                ("fetch.wait.max.ms", "50"),
                // A queue for each partition may hold as much, and a full one costs nothing: fetching goes on soon enough.
                ("queued.min.messages", "10000"),
                ("queued.max.messages.kbytes", "4096"),
            ],
            Role::Producer => &[
                ("enable.idempotence", "true"),
                ("linger.ms", "5"),
                ("queue.buffering.max.messages", "1000000"),
                ("batch.num.messages", "10000"),
                // Back-to-back transactions pay this once each: the broker is still writing the last one's markers.
                ("retry.backoff.ms", "5"),
                ("retry.backoff.max.ms", "20"),
                ("allow.auto.create.topics", "false"),
            ],
        }
    }
}

/// What all clients of an application share.
#[derive(Debug)]
pub(super) struct Settings {
    bootstrap_servers: String,
    /// `client.id`, if it is set.
    client_id: Option<String>,
    /// With their prefixes; those without one are for every client.
    clients: BTreeMap<String, String>,
}

impl Settings {
    pub(super) fn new(config: &StreamsConfig) -> Result<Self, TransportError> {
        let Log::Kafka(bootstrap_servers) = config.log() else {
            return Err(TransportError::Fatal(
                "`bootstrap.servers` is not set: it names the Kafka cluster".to_owned(),
            ));
        };
        let settings = Settings {
            bootstrap_servers: bootstrap_servers.clone(),
            client_id: config.client_id.as_ref().map(|id| format!("{id}-admin")),
            clients: config.clients.clone(),
        };
        // A setting that librdkafka refuses is told at once, not by the first client that needs it.
        for role in [
            Role::Admin,
            Role::Member,
            Role::MainConsumer,
            Role::RestoreConsumer,
            Role::GlobalConsumer,
            Role::Producer,
        ] {
            let checked = settings.client_config(role, "check").create_native_config();
            checked.map_err(|e| errors::client("a client's settings", &e))?;
        }
        Ok(settings)
    }

    pub(super) fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }

    /// A client's settings: defaults, then the user's.
    pub(super) fn client_config(&self, role: Role, client_id: &str) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.bootstrap_servers)
            .set("client.id", client_id)
            // Kafka Streams' own; librdkafka would leave a broker that is back alone for up to 10 s.
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "1000")
            .set_log_level(RDKafkaLogLevel::Info);
        for (key, value) in role.defaults() {
            config.set(*key, *value);
        }
        let prefixed = |key: &str| PREFIXES.iter().any(|prefix| key.starts_with(prefix));
        for (key, value) in self.clients.iter().filter(|(key, _)| !prefixed(key)) {
            config.set(key, value);
        }
        for prefix in role.prefixes() {
            for (key, value) in &self.clients {
                if let Some(key) = key.strip_prefix(prefix) {
                    config.set(key, value);
                }
            }
        }
        config
    }

    /// The client id of an admin client; `client.id` may name another.
    pub(super) fn admin_client_id(&self) -> String {
        self.client_id
            .clone()
            .unwrap_or_else(|| "kstreams-admin".to_owned())
    }

    /// How long a request that somebody waits for may take.
    pub(super) fn request_timeout(&self) -> Duration {
        Duration::from_secs(10)
    }
}

/// What librdkafka tells besides the answers to calls: its log, and errors of the client as a whole.
#[derive(Debug, Default)]
pub(super) struct Context {
    told: Mutex<Option<Failure>>,
    doubted: AtomicBool,
}

impl Context {
    /// The last error of the client as a whole, for the text of one that says only that time ran out.
    pub(super) fn last_error(&self) -> Option<Failure> {
        let told = self.told.lock();
        told.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps it, unless what was told before says more.
    pub(super) fn remember(&self, now: Failure) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        *told = Some(now.after(told.take()));
    }

    /// Forgets it, as all is well again.
    pub(super) fn forget_error(&self) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether a topic or partition seems to have gone since this was asked last. librdkafka tells a reader without a group
    /// nothing of it, but its log.
    pub(super) fn doubts(&self) -> bool {
        self.doubted.swap(false, Ordering::Relaxed)
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error => {
                tracing::warn!(target: "librdkafka", "{fac}: {message}");
                let gone = ["Unknown topic", "Unknown partition", "does not exist"];
                if gone.iter().any(|words| message.contains(words)) {
                    self.doubted.store(true, Ordering::Relaxed);
                }
            }
            RDKafkaLogLevel::Warning | RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                tracing::info!(target: "librdkafka", "{fac}: {message}");
            }
            RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", "{fac}: {message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::info!(target: "librdkafka", "{error}: {reason}");
        self.remember(Failure {
            text: reason.to_owned(),
            ..Failure::of_rdkafka(&error)
        });
    }
}
