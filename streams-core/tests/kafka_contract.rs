//! The transport contract, on a real Kafka broker.

mod contract;

use std::process::ExitCode;
use std::sync::Arc;

use contract::Harness;
use kafka_broker::{Case, Cluster};
use streams_core::config::StreamsConfig;
use streams_core::transport::Transport;
use streams_core::transport::kafka::KafkaTransport;

struct Kafka {
    bootstrap: String,
}

impl Harness for Kafka {
    fn transport(&self) -> Arc<dyn Transport> {
        // A member that vanishes is missed soon.
        let config = StreamsConfig::kafka(&self.bootstrap)
            .with("consumer.session.timeout.ms", "6000")
            .and_then(|c| c.with("consumer.heartbeat.interval.ms", "300"))
            .expect("settings of consumers");
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

fn kafka(cluster: &Cluster) -> Kafka {
    Kafka {
        bootstrap: cluster.bootstrap(),
    }
}

fn main() -> ExitCode {
    kafka_broker::main(contract_cases!(cases: kafka))
}
