//! What a broker of a test is told: little memory, few partitions, short time-outs.

use std::fmt::Write as _;
use std::path::Path;

use crate::certificates::Certificates;
use crate::cluster::{Options, Ports};

/// The listener without and the one with authentication, and the controllers' own.
pub(crate) const CONTROLLER: &str = "CONTROLLER";

/// The text of a broker's `server.properties`.
pub(crate) fn of(
    options: &Options,
    index: usize,
    ports: &[Ports],
    data: &Path,
    certificates: Option<&Certificates>,
) -> String {
    let brokers = ports.len();
    let host = &options.host;
    let own = &ports[index];
    let sasl = !options.users.is_empty();
    let mut clients = format!("PLAINTEXT://{host}:{}", own.client);
    if sasl {
        let _ = write!(clients, ",SASL://{host}:{}", own.sasl);
    }
    let mut advertised = clients.clone();
    let mut listeners = clients;
    if let Some(proxy) = own.proxy {
        let _ = write!(listeners, ",BROKERS://{host}:{}", own.brokers);
        let _ = write!(advertised, ",BROKERS://{host}:{proxy}");
    }
    let voters: Vec<String> = ports
        .iter()
        .enumerate()
        .map(|(i, p)| format!("{}@{host}:{}", i + 1, p.controller))
        .collect();
    let replicas = brokers.min(3);
    let in_sync = if replicas == 3 { 2 } else { 1 };
    let mut text = String::new();
    let mut set = |key: &str, value: &dyn std::fmt::Display| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{key}={value}");
    };
    // Each is broker and controller: of three, any one may be killed.
    set("process.roles", &"broker,controller");
    set("node.id", &(index + 1));
    set("controller.quorum.voters", &voters.join(","));
    set("controller.listener.names", &CONTROLLER);
    set(
        "listeners",
        &format!("{listeners},{CONTROLLER}://{host}:{}", own.controller),
    );
    set("advertised.listeners", &advertised);
    let users = certificates.map_or("SASL_PLAINTEXT", |_| "SASL_SSL");
    set(
        "listener.security.protocol.map",
        &format!("PLAINTEXT:PLAINTEXT,SASL:{users},BROKERS:PLAINTEXT,CONTROLLER:PLAINTEXT"),
    );
    if let Some(certificates) = certificates {
        set("listener.name.sasl.ssl.keystore.type", &"PEM");
        set(
            "listener.name.sasl.ssl.keystore.location",
            &certificates.broker.display(),
        );
    }
    let between = own.proxy.map_or("PLAINTEXT", |_| "BROKERS");
    set("inter.broker.listener.name", &between);
    if sasl {
        set("sasl.enabled.mechanisms", &"PLAIN");
        let mut jaas =
            "org.apache.kafka.common.security.plain.PlainLoginModule required".to_owned();
        for (user, password) in &options.users {
            let _ = write!(jaas, " user_{user}=\"{password}\"");
        }
        set(
            "listener.name.sasl.plain.sasl.jaas.config",
            &format!("{jaas};"),
        );
    }
    set("log.dirs", &data.display());
    // Kafka's default, so that a client that makes topics by asking for them is found out.
    set("auto.create.topics.enable", &true);
    set("default.replication.factor", &replicas);
    set("min.insync.replicas", &in_sync);
    for topic in [
        "offsets.topic",
        "transaction.state.log",
        "share.coordinator.state.topic",
    ] {
        set(&format!("{topic}.num.partitions"), &2);
        set(&format!("{topic}.replication.factor"), &replicas);
        if topic != "offsets.topic" {
            set(&format!("{topic}.min.isr"), &in_sync);
        }
    }
    for (key, value) in QUICK {
        set(key, value);
    }
    for (key, value) in &options.properties {
        set(key, value);
    }
    text
}

const QUICK: &[(&str, &str)] = &[
    // Groups: no waiting for more members, and short sessions for those that ask for them.
    ("group.initial.rebalance.delay.ms", "0"),
    ("group.min.session.timeout.ms", "500"),
    ("group.consumer.min.session.timeout.ms", "500"),
    ("group.consumer.min.heartbeat.interval.ms", "100"),
    // An expired transaction is aborted when it expires, not up to ten seconds later.
    (
        "transaction.abort.timed.out.transaction.cleanup.interval.ms",
        "200",
    ),
    // Records of tests may be of 1970: from half a minute after its start a broker would delete them.
    ("log.retention.ms", "-1"),
    // A dead broker is noticed soon, by the controllers and by the leaders of its followers.
    ("broker.session.timeout.ms", "3000"),
    ("broker.heartbeat.interval.ms", "500"),
    ("replica.lag.time.max.ms", "5000"),
    // A machine with other things to do.
    ("num.network.threads", "2"),
    ("num.io.threads", "3"),
    ("background.threads", "2"),
    ("log.cleaner.dedupe.buffer.size", "4194304"),
    ("log.cleaner.io.buffer.size", "131072"),
    ("log.index.size.max.bytes", "1048576"),
];
