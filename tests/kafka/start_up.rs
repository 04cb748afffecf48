//! What does not fit is an error before the first record, and says what to do.

use std::time::Duration;

use kafka_broker::{Client, Cluster, Right, ignore, temp_dir};
use kstreams::Error;
use kstreams::error::TopologyError;

use crate::apps::{Forbidden, Start, Uneven};
use crate::instances::{config, here, settings, wait_until_running};
use crate::records::{Feed, counted_exactly_once, fresh};
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
    assert!(
        matches!(error, Error::Topology(TopologyError::Unreachable { .. })),
        "{error:?}"
    );
    assert!(error.to_string().contains("127.0.0.1:9"), "{error}");
}

const SASL: [(&str, &str); 2] = [
    ("security.protocol", "SASL_PLAINTEXT"),
    ("sasl.mechanism", "PLAIN"),
];

/// Everything that an application needs.
pub(crate) fn allow_all(cluster: &Cluster, user: &str) {
    for right in [
        Right::ReadTopics,
        Right::WriteTopics,
        Right::CreateTopics,
        Right::ReadGroups,
        Right::WriteTransactions,
    ] {
        cluster.allow(user, right).expect("it is ours");
    }
}

pub(crate) fn as_user<'a>(
    bootstrap: &'a str,
    user: &'a str,
    password: &'a str,
) -> Vec<(&'a str, &'a str)> {
    let mut settings = vec![
        ("bootstrap.servers", bootstrap),
        ("sasl.username", user),
        ("sasl.password", password),
    ];
    settings.extend(SASL);
    settings
}

/// The listener that asks who comes.
pub(crate) fn users_of(cluster: &Cluster) -> String {
    let bootstrap = cluster.sasl_bootstrap();
    bootstrap.unwrap_or_else(|| ignore("the cluster of KAFKA_BOOTSTRAP has no users of ours"))
}

fn wrong_credentials_are_named(cluster: &Cluster) {
    let bootstrap = users_of(cluster);
    let error = refusal(cluster, &as_user(&bootstrap, "alice", "guessed"));
    let text = error.to_string();
    assert!(text.contains("uthentication"), "{text}");
    assert!(!text.contains("guessed"), "{text}");
}

fn missing_rights_are_named(cluster: &Cluster) {
    let bootstrap = users_of(cluster);
    let client = Client::new(cluster.bootstrap());
    fresh(
        &client,
        "forbidden",
        &[("forbidden-in", 3), ("forbidden-out", 3)],
    );
    let dir = temp_dir().expect("a directory");
    let refusal = |user: &str| {
        let config = here(cluster, dir.path(), &as_user(&bootstrap, user, "secret"));
        let started = Forbidden::builder().start(config);
        started.expect_err("it is refused").to_string()
    };
    // Who may not even see a topic is told that it is not there, or that he may not.
    let text = refusal("eve");
    assert!(text.contains("forbidden-in"), "{text}");
    // Who may see it is told what else he needs.
    cluster
        .allow("bob", Right::DescribeTopics)
        .expect("it is ours");
    let text = refusal("bob");
    for named in ["forbidden-in", "forbidden-out", "Read", "Write", "KS0309"] {
        assert!(text.contains(named), "`{named}` is missing: {text}");
    }
    allow_all(cluster, "bob");
    let config = here(cluster, dir.path(), &as_user(&bootstrap, "bob", "secret"));
    let app = Forbidden::builder().start(config).expect("it starts");
    wait_until_running(&app);
    let counts = Feed::start(&client, "forbidden-in").stop_after(Duration::from_millis(200));
    counted_exactly_once(&client, "forbidden-out", &counts);
    app.close().expect("it ends in order");
}
