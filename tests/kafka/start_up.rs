//! What does not fit is an error before the first record, and says what to do.

use kafka_broker::{Client, Cluster, temp_dir};
use kstreams::Error;
use kstreams::error::TopologyError;

use crate::apps::{Start, Uneven};
use crate::instances::{config, here, settings};
use crate::records::fresh;
use crate::{Cases, shared};

pub(crate) fn cases() -> Cases {
    shared![
        topics_that_do_not_fit_are_refused,
        joined_topics_with_different_counts_are_refused,
        a_broker_that_does_not_answer_is_named,
        wrong_credentials_are_named,
        missing_rights_are_named,
    ]
    .into()
}

/// How starting fails.
fn refusal(cluster: &Cluster, more: &[(&str, &str)]) -> Error {
    let dir = temp_dir().expect("a directory");
    let config = here(cluster, dir.path(), more);
    Start::builder().start(config).expect_err("it is refused")
}

fn topics_that_do_not_fit_are_refused(cluster: &Cluster) {
    let client = Client::new(cluster.bootstrap());
    fresh(&client, "start", &[("start-out", 3)]);
    let error = refusal(cluster, &[]);
    assert!(
        matches!(&error, Error::Topology(TopologyError::MissingSourceTopic { topic, .. }) if topic == "start-in"),
        "{error:?}"
    );
    client.create_topic("start-in", 2).expect("it can be made");
    let error = refusal(cluster, &[]);
    let expected = TopologyError::PartitionCount {
        topic: "start-in".to_owned(),
        declared: 3,
        actual: 2,
    };
    assert!(
        matches!(&error, Error::Topology(e) if *e == expected),
        "{error:?}"
    );
}

fn joined_topics_with_different_counts_are_refused(cluster: &Cluster) {
    let client = Client::new(cluster.bootstrap());
    let topics = [("uneven-left", 3), ("uneven-right", 2), ("uneven-out", 1)];
    fresh(&client, "uneven", &topics);
    let dir = temp_dir().expect("a directory");
    let started = Uneven::builder().start(here(cluster, dir.path(), &[]));
    let error = started.expect_err("it is refused");
    let expected = TopologyError::NotCopartitioned {
        topics: vec![
            ("uneven-left".to_owned(), 3),
            ("uneven-right".to_owned(), 2),
        ],
    };
    assert!(
        matches!(&error, Error::Topology(e) if *e == expected),
        "{error:?}"
    );
}

fn a_broker_that_does_not_answer_is_named(_: &Cluster) {
    let dir = temp_dir().expect("a directory");
    let settings = settings("127.0.0.1:9", dir.path(), &[]);
    let started = Start::builder().start(config(&settings));
    let error = started.expect_err("nobody is there");
    assert!(matches!(error, Error::Transport(_)), "{error:?}");
    assert!(error.to_string().contains("127.0.0.1:9"), "{error}");
}

const SASL: [(&str, &str); 2] = [
    ("security.protocol", "SASL_PLAINTEXT"),
    ("sasl.mechanism", "PLAIN"),
];

fn as_user<'a>(bootstrap: &'a str, user: &'a str, password: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut settings = vec![
        ("bootstrap.servers", bootstrap),
        ("sasl.username", user),
        ("sasl.password", password),
    ];
    settings.extend(SASL);
    settings
}

fn wrong_credentials_are_named(cluster: &Cluster) {
    let Some(bootstrap) = cluster.sasl_bootstrap() else {
        println!("the cluster of KAFKA_BOOTSTRAP has no users of ours");
        return;
    };
    let error = refusal(cluster, &as_user(&bootstrap, "alice", "guessed"));
    let text = error.to_string();
    assert!(text.contains("uthentication"), "{text}");
    assert!(!text.contains("guessed"), "{text}");
}

fn missing_rights_are_named(cluster: &Cluster) {
    let Some(bootstrap) = cluster.sasl_bootstrap() else {
        println!("the cluster of KAFKA_BOOTSTRAP has no users of ours");
        return;
    };
    let error = refusal(cluster, &as_user(&bootstrap, "eve", "secret"));
    let text = error.to_string();
    assert!(
        text.contains("start-in") && text.contains("uthoriz"),
        "{text}"
    );
}
