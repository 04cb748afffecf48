//! The transport contract, on a real Kafka broker. With the feature `ssl` everything goes over TLS, and as a user with a password.

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
    security: Vec<(&'static str, String)>,
}

impl Harness for Kafka {
    fn transport(&self) -> Arc<dyn Transport> {
        // A member that vanishes is missed soon.
        let mut config = StreamsConfig::kafka(&self.bootstrap)
            .with("consumer.session.timeout.ms", "6000")
            .and_then(|c| c.with("consumer.heartbeat.interval.ms", "300"))
            .expect("settings of consumers");
        for (key, value) in &self.security {
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
        security: Vec::new(),
    }
}

/// A cluster that others started is spoken to as they say.
#[cfg(feature = "ssl")]
fn kafka(cluster: &Cluster) -> Kafka {
    match (cluster.sasl_bootstrap(), cluster.authority()) {
        (Some(bootstrap), Some(authority)) => Kafka {
            bootstrap,
            security: encrypted(&authority),
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
        security: encrypted(&authority),
        ..kafka(cluster)
    };
    let asked = kafka
        .transport()
        .admin()
        .and_then(|mut admin| admin.describe_topics(&["any"]));
    let error = asked.expect_err("it is somebody else").to_string();
    assert!(error.contains("certificate verify failed"), "{error}");
}

fn main() -> ExitCode {
    let cases = contract_cases!(cases: kafka);
    #[cfg(not(feature = "ssl"))]
    return kafka_broker::main_with(Options::default(), cases);
    #[cfg(feature = "ssl")]
    {
        let mut cases = cases;
        cases.push(Case::new("an_unknown_authority", an_unknown_authority));
        let options = Options::default().user("alice", "secret").encrypted();
        kafka_broker::main_with(options, cases)
    }
}
