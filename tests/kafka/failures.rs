//! Brokers that go, topics that vanish, records that nobody takes: work goes on when it can, and else stops with the cause.

use std::time::Duration;

use kafka_broker::{Client, Cluster, Right, temp_dir};
use kstreams::State;
use kstreams::prelude::*;

use crate::apps::{Away, Deleted, Dismissed, Gone, Large};
use crate::instances::{error_of, eventually, here, last_transaction, wait_until_running};
use crate::records::{Feed, counted_exactly_once, fresh, wait_for_records};
use crate::start_up::{allow_all, as_user, users_of};
use crate::{Cases, own, shared};

pub(crate) fn cases() -> Cases {
    let mut cases: Cases = shared![
        a_topic_that_is_deleted_stops_the_application,
        an_internal_topic_that_is_deleted_stops_the_application,
        repartition_topics_keep_what_is_not_processed_only,
        a_record_that_the_topic_does_not_take_stops_the_application,
        a_right_that_is_taken_away_stops_the_application,
    ]
    .into();
    cases.extend(own![
        a_broker_that_comes_back_in_time_is_waited_for,
        a_broker_that_stays_away_stops_the_application,
    ]);
    cases
}

fn a_topic_that_is_deleted_stops_the_application(cluster: &Cluster) {
    let client = Client::new(cluster.bootstrap());
    fresh(&client, "deleted", &[("deleted-in", 3), ("deleted-out", 3)]);
    let dir = temp_dir().expect("a directory");
    let config = here(cluster, dir.path(), &[]);
    let app = Deleted::builder().start(config).expect("it starts");
    wait_until_running(&app);
    client
        .produce("deleted-in", [("a", "1")])
        .expect("it can be written");
    wait_for_records(&client, "deleted-out", 1);
    client
        .delete_topic("deleted-in")
        .expect("it can be deleted");
    let error = error_of(app);
    assert!(error.contains("deleted-in"), "{error}");
}

/// With both kinds of internal topics.
macro_rules! rekeying {
    ($app:ident, $id:tt, $input:tt, $output:tt) => {
        #[topology(application_id = $id)]
        struct $app {
            #[source(topic = $input, partitions = 3)]
            input: KStream<String, String>,
            #[from(input.map(|key, _| (format!("new {key}"), key)).group_by_key().count())]
            #[sink(topic = $output, partitions = 3)]
            #[store]
            counts: KTable<String, i64>,
        }
    };
}

rekeying!(Deprived, "deprived", "deprived-in", "deprived-out");
rekeying!(Purged, "purged", "purged-in", "purged-out");

fn an_internal_topic_that_is_deleted_stops_the_application(cluster: &Cluster) {
    let client = Client::new(cluster.bootstrap());
    // One directory, as the members' places in the group are kept for their return.
    let dir = temp_dir().expect("a directory");
    for guarantee in ["exactly_once_v2", "at_least_once"] {
        for deleted in ["deprived-counts-changelog", "deprived-counts-repartition"] {
            fresh(
                &client,
                "deprived",
                &[("deprived-in", 3), ("deprived-out", 3)],
            );
            let more = [("processing.guarantee", guarantee)];
            let config = here(cluster, dir.path(), &more);
            let app = Deprived::builder().start(config).expect("it starts");
            wait_until_running(&app);
            let feed = Feed::start(&client, "deprived-in");
            wait_for_records(&client, "deprived-out", 20);
            client.delete_topic(deleted).expect("it can be deleted");
            let error = error_of(app);
            feed.stop();
            assert!(error.contains(deleted), "{guarantee}: {error}");
        }
    }
}

fn repartition_topics_keep_what_is_not_processed_only(cluster: &Cluster) {
    let client = Client::new(cluster.bootstrap());
    fresh(&client, "purged", &[("purged-in", 3), ("purged-out", 3)]);
    let dir = temp_dir().expect("a directory");
    let more = [("repartition.purge.interval.ms", "200")];
    let app = Purged::builder().start(here(cluster, dir.path(), &more));
    let app = app.expect("it starts");
    wait_until_running(&app);
    let counts = Feed::start(&client, "purged-in").stop_after(Duration::from_secs(1));
    let written: i64 = counts.values().sum();
    let written = usize::try_from(written).expect("it counts");
    wait_for_records(&client, "purged-out", written);
    eventually("what is processed is deleted", || {
        // With a commit at the earliest, for which there must be something to commit.
        client
            .produce("purged-in", [("later", "")])
            .expect("it can be written");
        let left = client.read("purged-counts-repartition");
        let left = left.expect("it can be read");
        left.iter().all(|message| message.key_text() == "new later")
    });
    app.close().expect("it ends in order");
}

fn a_record_that_the_topic_does_not_take_stops_the_application(cluster: &Cluster) {
    let client = Client::new(cluster.bootstrap());
    fresh(&client, "large", &[("large-in", 1)]);
    client
        .create_topic_with("large-out", 1, &[("max.message.bytes", "20000")])
        .expect("it can be made");
    let dir = temp_dir().expect("a directory");
    let config = here(cluster, dir.path(), &[]);
    let app = Large::builder().start(config).expect("it starts");
    wait_until_running(&app);
    client
        .produce("large-in", [("a", "small")])
        .expect("it can be written");
    wait_for_records(&client, "large-out", 1);
    let value = "a thousand times too large".repeat(10);
    client
        .produce("large-in", [("a", value)])
        .expect("it can be written");
    let error = error_of(app);
    assert!(
        error.contains("large-out") && error.contains("max.message.bytes"),
        "{error}"
    );
    let passed = client.read("large-out").expect("it can be read");
    assert_eq!(passed.len(), 1, "what was there before is not repeated");
}

fn a_right_that_is_taken_away_stops_the_application(cluster: &Cluster) {
    let bootstrap = users_of(cluster);
    let client = Client::new(cluster.bootstrap());
    let (input, output) = ("dismissed-in", "dismissed-out");
    fresh(&client, "dismissed", &[(input, 3), (output, 3)]);
    let dir = temp_dir().expect("a directory");
    for (user, right) in [("carol", Right::WriteTopics), ("dave", Right::ReadTopics)] {
        allow_all(cluster, user);
        let config = here(cluster, dir.path(), &as_user(&bootstrap, user, "secret"));
        let app = Dismissed::builder().start(config).expect("it starts");
        wait_until_running(&app);
        let so_far = client.read(output).expect("it can be read").len();
        let feed = Feed::start(&client, input);
        wait_for_records(&client, output, so_far + 50);
        cluster.deny(user, right).expect("it is ours");
        let error = error_of(app);
        feed.stop();
        assert!(error.contains("not authorized"), "{error}");
        assert!(error.contains("TOPIC_AUTHORIZATION_FAILED"), "{error}");
    }
}

fn a_broker_that_comes_back_in_time_is_waited_for() {
    let cluster = Cluster::start(1).expect("a broker starts");
    let client = Client::new(cluster.bootstrap());
    fresh(&client, "away", &[("away-in", 3), ("away-out", 3)]);
    let dir = temp_dir().expect("a directory");
    let config = here(&cluster, dir.path(), &[]);
    let app = Away::builder().start(config).expect("it starts");
    wait_until_running(&app);
    let feed = Feed::start(&client, "away-in");
    wait_for_records(&client, "away-out", 50);
    cluster.kill(0).expect("it can be killed");
    std::thread::sleep(Duration::from_secs(2));
    cluster.restart(0).expect("it comes back");
    let counts = feed.stop_after(Duration::from_secs(1));
    counted_exactly_once(&client, "away-out", &counts);
    wait_until_running(&app);
    app.close().expect("it ends in order");
}

fn a_broker_that_stays_away_stops_the_application() {
    let cluster = Cluster::start(1).expect("a broker starts");
    let client = Client::new(cluster.bootstrap());
    fresh(&client, "gone", &[("gone-in", 3), ("gone-out", 3)]);
    let dir = temp_dir().expect("a directory");
    let config = here(
        &cluster,
        dir.path(),
        &[
            // More than a commit takes on a slow machine.
            ("task.timeout.ms", "15000"),
            ("commit.interval.ms", "2000"),
            ("producer.transaction.timeout.ms", "300000"),
        ],
    );
    let app = Gone::builder().start(config).expect("it starts");
    wait_until_running(&app);
    let mut batches = 0;
    // What is not yet committed cannot be committed: so the broker is killed within a transaction.
    eventually("the broker is killed in a transaction", || {
        client
            .produce("gone-in", (0..1000).map(|n| (format!("key {n}"), "more")))
            .expect("it can be written");
        eventually("a transaction is open", || {
            last_transaction(&cluster, "gone") == "Ongoing"
        });
        cluster.kill(0).expect("it can be killed");
        if app
            .streams()
            .wait_for(State::Error, Duration::from_secs(100))
        {
            return true;
        }
        // It may have committed all of it just before; then it is tried again.
        let commits = app.streams().statistics().commits;
        cluster.restart(0).expect("it comes back");
        batches += 1;
        eventually("all is committed", || {
            let committed = client.committed("gone", "gone-in");
            let committed = committed.expect("it can be read").into_iter().flatten();
            committed.sum::<i64>() == 1_000 * batches
        });
        let now = app.streams().statistics().commits;
        assert_eq!(now, commits, "it had something to commit, and went on");
        false
    });
    let error = error_of(app);
    assert!(error.contains("task.timeout.ms"), "{error}");
}
