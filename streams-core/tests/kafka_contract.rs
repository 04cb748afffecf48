//! The transport contract, on a real Kafka broker. With the feature `ssl` everything goes over TLS, and as a user with a password;
//! with the feature `zstd` that codec is tried beside the others.

mod contract;

use std::process::ExitCode;
use std::sync::Arc;

use contract::Harness;
use kafka_broker::{Case, Cluster, Options};
use streams_core::config::StreamsConfig;
use streams_core::transport::Transport;
use streams_core::transport::kafka::KafkaTransport;

struct Kafka {
    bootstrap: String,
    /// How it is spoken to.
    settings: Vec<(&'static str, String)>,
}

impl Harness for Kafka {
    fn transport(&self) -> Arc<dyn Transport> {
        // A member that vanishes is missed soon.
        let mut config = StreamsConfig::kafka(&self.bootstrap)
            .with("consumer.session.timeout.ms", "6000")
            .and_then(|c| c.with("consumer.heartbeat.interval.ms", "300"))
            .expect("settings of consumers");
        for (key, value) in &self.settings {
            config.set(key, value).expect("settings of Kafka's clients");
        }
        Arc::new(KafkaTransport::new(&config).expect("settings that librdkafka takes"))
    }

    /// New clients to a broker that goes on: that it keeps what it has is its own promise.
    fn reopened(self: Box<Self>) -> Option<Box<dyn Harness>> {
        Some(self)
    }

    /// A broker cleans when it likes.
    fn clean_up(&self, _: &str) -> bool {
        false
    }

    fn segment_bytes(&self) -> &'static str {
        "1048576"
    }
}

macro_rules! cases {
    ($make:path; $($module:ident: $case:ident,)*) => {
        vec![$(
            Case::new(
                concat!(stringify!($module), "::", stringify!($case)),
                |cluster: &Cluster| contract::$module::$case(Box::new($make(cluster))),
            ),
        )*]
    };
}

#[cfg(not(feature = "ssl"))]
fn kafka(cluster: &Cluster) -> Kafka {
    Kafka {
        bootstrap: cluster.bootstrap(),
        settings: Vec::new(),
    }
}

/// A cluster that others started is spoken to as they say.
#[cfg(feature = "ssl")]
fn kafka(cluster: &Cluster) -> Kafka {
    match (cluster.sasl_bootstrap(), cluster.authority()) {
        (Some(bootstrap), Some(authority)) => Kafka {
            bootstrap,
            settings: encrypted(&authority),
        },
        _ => kafka_broker::ignore("the cluster of KAFKA_BOOTSTRAP has no authority of ours"),
    }
}

#[cfg(feature = "ssl")]
fn encrypted(authority: &std::path::Path) -> Vec<(&'static str, String)> {
    vec![
        ("security.protocol", "SASL_SSL".to_owned()),
        ("ssl.ca.location", authority.display().to_string()),
        ("sasl.mechanism", "PLAIN".to_owned()),
        ("sasl.username", "alice".to_owned()),
        ("sasl.password", "secret".to_owned()),
    ]
}

/// A broker that shows a certificate of somebody else is not spoken to, and the error says why.
#[cfg(feature = "ssl")]
fn an_unknown_authority(cluster: &Cluster) {
    let other = Options::default()
        .user("alice", "secret")
        .encrypted()
        .start();
    let other = other.unwrap_or_else(|error| panic!("{error}"));
    let authority = other.authority().expect("it encrypts");
    let kafka = Kafka {
        settings: encrypted(&authority),
        ..kafka(cluster)
    };
    let asked = kafka
        .transport()
        .admin()
        .and_then(|mut admin| admin.describe_topics(&["any"]));
    let error = asked.expect_err("it is somebody else").to_string();
    assert!(error.contains("certificate verify failed"), "{error}");
}

/// Each codec that was built makes a record small enough for its topic, which only the broker can measure.
fn what_is_compressed_is_smaller(cluster: &Cluster) {
    let mut codecs = vec!["gzip", "snappy", "lz4"];
    codecs.extend(cfg!(feature = "zstd").then_some("zstd"));
    for codec in codecs {
        let mut kafka = kafka(cluster);
        let setting = ("producer.compression.type", codec.to_owned());
        kafka.settings.push(setting);
        let transport = kafka.transport();
        let name = contract::unique(codec);
        let limited = contract::topic(&name, 1, &[("max.message.bytes", "1000")]);
        let mut admin = contract::admin(&*transport);
        admin.create_topic(&limited).expect("a topic is made");
        let name = name.into();
        let large = "x".repeat(2000);
        let mut producer = contract::plain_producer(&*transport);
        let record = contract::outbox(0, &[("a", &large)]);
        let sent = producer.send(&record, std::slice::from_ref(&name));
        sent.and_then(|()| producer.flush())
            .unwrap_or_else(|error| panic!("{codec}: {error}"));
        let read = contract::values(&*transport, &name, 0);
        assert_eq!(read, [large], "{codec}");
    }
}

fn main() -> ExitCode {
    let mut cases = contract_cases!(cases: kafka);
    cases.push(Case::new(
        "what_is_compressed_is_smaller",
        what_is_compressed_is_smaller,
    ));
    #[cfg(not(feature = "ssl"))]
    return kafka_broker::main_with(Options::default(), cases);
    #[cfg(feature = "ssl")]
    {
        cases.push(Case::new("an_unknown_authority", an_unknown_authority));
        let options = Options::default().user("alice", "secret").encrypted();
        kafka_broker::main_with(options, cases)
    }
}
