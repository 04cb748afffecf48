//! Applications against real brokers: shared by threads, processes and machines, killed, cut off, and lied to.
//!
//! Run with `KAFKA_TEST_APP` set, this is one of the applications instead, for the cases that need more than one process.

#[path = "kafka/apps.rs"]
mod apps;
#[path = "kafka/failures.rs"]
mod failures;
#[path = "kafka/instances.rs"]
mod instances;
#[path = "kafka/network.rs"]
mod network;
#[path = "kafka/poison.rs"]
mod poison;
#[path = "kafka/punctuation.rs"]
mod punctuation;
#[path = "kafka/records.rs"]
mod records;
#[path = "kafka/recovery.rs"]
mod recovery;
#[path = "kafka/restarts.rs"]
mod restarts;
#[path = "kafka/restores.rs"]
mod restores;
#[path = "kafka/routing.rs"]
mod routing;
#[path = "kafka/scale.rs"]
mod scale;
#[path = "kafka/start_up.rs"]
mod start_up;
#[path = "kafka/uncaught.rs"]
mod uncaught;

use std::process::ExitCode;

use kafka_broker::{Case, Options};

fn main() -> ExitCode {
    if let Some(app) = std::env::var_os(instances::APP) {
        return instances::run(&app.to_string_lossy());
    }
    if std::env::var_os(network::INSIDE).is_some() {
        return network::inside();
    }
    if std::env::var_os("KSTREAMS_LOG").is_some() {
        instances::show_log();
    }
    let mut cases = Vec::new();
    cases.extend(scale::cases());
    cases.extend(restarts::cases());
    cases.extend(restores::cases());
    cases.extend(start_up::cases());
    cases.extend(failures::cases());
    cases.extend(recovery::cases());
    cases.extend(network::cases());
    cases.extend(poison::cases());
    cases.extend(routing::cases());
    cases.extend(punctuation::cases());
    cases.extend(uncaught::cases());
    kafka_broker::main_with(broker(), cases)
}

/// One broker, with users: `alice` may do everything, `eve` nothing, `bob`, `carol` and `dave` what they are given. Who comes
/// without a name is the test itself.
fn broker() -> Options {
    Options::brokers(1)
        .user("alice", "secret")
        .user("bob", "secret")
        .user("carol", "secret")
        .user("dave", "secret")
        .user("eve", "secret")
        .property(
            "authorizer.class.name",
            "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        )
        .property("super.users", "User:ANONYMOUS;User:alice")
}

/// The cases of a module, by the names of their functions.
macro_rules! shared {
    ($($case:ident),+ $(,)?) => {
        [$(kafka_broker::Case::new($crate::named(module_path!(), stringify!($case)), $case)),+]
    };
}
/// The same for those that start brokers of their own.
macro_rules! own {
    ($($case:ident),+ $(,)?) => {
        [$(kafka_broker::Case::own($crate::named(module_path!(), stringify!($case)), $case)),+]
    };
}
pub(crate) use {own, shared};

type Cases = Vec<Case>;

/// As the built-in harness names tests: without the crate.
fn named(module: &str, case: &str) -> String {
    let module = module.split_once("::").map_or(module, |(_, rest)| rest);
    format!("{module}::{case}")
}
