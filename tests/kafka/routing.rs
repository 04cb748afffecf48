//! Where records go: topics that closures name, partitions that partitioners choose, global stores that every instance keeps.

use kafka_broker::{Client, Cluster, temp_dir};
use kstreams::prelude::*;

use crate::instances::{error_of, eventually, here, wait_until_running};
use crate::records::fresh;
use crate::{Cases, shared};

pub(crate) fn cases() -> Cases {
    shared![
        a_topic_that_is_not_there_stops_the_application_or_is_for_the_handler,
        partitioners_and_global_stores_do_on_a_broker_what_they_do_in_the_driver,
        a_partitioner_is_told_the_count_of_a_topic_that_is_chosen_freely,
    ]
    .into()
}

#[topology(application_id = "routes")]
pub(crate) struct Routes {
    #[source(topic = "routes-in", partitions = 2)]
    input: KStream<String, String>,
    #[from(input.filter(|_, _| true))]
    #[sink(topic = |_, value| format!("routes-to-{value}"))]
    routed: KStream<String, String>,
}

fn a_topic_that_is_not_there_stops_the_application_or_is_for_the_handler(cluster: &Cluster) {
    let client = Client::new(cluster.bootstrap());
    for guarantee in ["at_least_once", "exactly_once_v2"] {
        let topics = [("routes-in", 2), ("routes-to-known", 2), ("routes-dead", 1)];
        fresh(&client, "routes", &topics);
        let dir = temp_dir().expect("a directory");
        let produce = |value: &str| {
            client
                .produce("routes-in", [("k", value)])
                .expect("it can be written");
        };
        let more = [("processing.guarantee", guarantee)];
        let app = Routes::builder()
            .start(here(cluster, dir.path(), &more))
            .expect("it starts");
        wait_until_running(&app);
        produce("known");
        let read = |topic: &str| client.read(topic).expect("it can be read").len();
        eventually("the first record", || read("routes-to-known") == 1);
        // At least once, it would be there again if it was written and not committed.
        eventually("it is committed", || {
            let committed = client.committed("routes", "routes-in");
            let committed = committed.expect("it can be read").into_iter().flatten();
            committed.sum::<i64>() == 1
        });
        produce("unknown");
        let error = error_of(app);
        assert!(
            error.contains("topic `routes-to-unknown` does not exist"),
            "{error}"
        );

        let more = [
            ("processing.guarantee", guarantee),
            ("production.exception.handler", "continue"),
            ("errors.dead.letter.queue.topic.name", "routes-dead"),
        ];
        let app = Routes::builder()
            .start(here(cluster, dir.path(), &more))
            .expect("it starts");
        produce("known");
        eventually("the dead letter", || read("routes-dead") == 1);
        eventually("the last record", || read("routes-to-known") == 2);
        app.close().expect("it ends in order");

        let more = [
            ("processing.guarantee", guarantee),
            ("create.topics", "true"),
        ];
        let app = Routes::builder()
            .start(here(cluster, dir.path(), &more))
            .expect("it starts");
        produce("new");
        let made = || {
            let topics = client.topics().expect("they can be listed");
            topics.iter().any(|topic| topic == "routes-to-new") && read("routes-to-new") == 1
        };
        eventually("the topic that is made", made);
        app.close().expect("it ends in order");
    }
}

#[processor]
struct Sum {
    #[store(shared)]
    sums: KeyValueStore<String, String>,
}

/// Not idempotent: a record that were processed twice would be seen.
impl Processor<String, String> for Sum {
    fn process(
        &mut self,
        record: Record<String, String>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        let sum = self.sums.get(&record.key, cx)?.unwrap_or_default();
        self.sums
            .put(&record.key, &format!("{sum}{}", record.value), cx)
    }
}

#[processor(fixed_key, out = (String, String))]
struct Look {
    #[store]
    sums: ReadOnlyKeyValueStore<String, String>,
}

impl FixedKeyProcessor<String, String> for Look {
    fn process(
        &mut self,
        record: FixedKeyRecord<String, String>,
        cx: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        let sum = self.sums.get(&"sum".to_owned(), cx)?.unwrap_or_default();
        let value = format!("{} {sum}", record.value);
        cx.forward(record.with_value(value))
    }
}

#[topology(application_id = "lanes")]
pub(crate) struct Lanes {
    #[source(topic = "lanes-sums", partitions = 2, global, process = Sum::new())]
    sums: KeyValueStore<String, String>,
    #[source(topic = "lanes-in", partitions = 2)]
    input: KStream<String, String>,
    #[from(input.process_values(Look::new(), stores(sums)))]
    looked: KStream<String, String>,
    #[from(looked.repartition(3, partitioner = |_, _, value: &String, _| lanes(value)))]
    #[sink(topic = "lanes-out", partitions = 4, partitioner = |_, _, value: &String, _| lanes(value))]
    out: KStream<String, String>,
}

/// `0 …`, `all …`, `none …`, and otherwise Kafka's own choice.
fn lanes(value: &str) -> Option<Vec<i32>> {
    match value.split(' ').next().unwrap_or_default() {
        "all" => Some(vec![0, 1, 2]),
        "none" => Some(Vec::new()),
        number => number.parse().ok().map(|lane| vec![lane]),
    }
}

fn partitioners_and_global_stores_do_on_a_broker_what_they_do_in_the_driver(cluster: &Cluster) {
    let client = Client::new(cluster.bootstrap());
    let topics = [("lanes-sums", 2), ("lanes-in", 2), ("lanes-out", 4)];
    fresh(&client, "lanes", &topics);
    client
        .produce("lanes-sums", [("sum", "a"), ("sum", "b")])
        .expect("it can be written");
    let dir = temp_dir().expect("a directory");
    let start = || {
        let app = Lanes::builder()
            .start(here(cluster, dir.path(), &[]))
            .expect("it starts");
        wait_until_running(&app);
        app
    };
    let read = || -> Vec<(i32, String)> {
        let messages = client.read("lanes-out").expect("it can be read");
        let text = |value: Option<Vec<u8>>| String::from_utf8(value.unwrap_or_default());
        messages
            .into_iter()
            .map(|m| (m.partition, text(m.value).expect("it is text")))
            .collect()
    };
    let app = start();
    client
        .produce(
            "lanes-in",
            [("k", "2"), ("k", "none"), ("k", "else"), ("k", "all")],
        )
        .expect("it can be written");
    // Three copies of a record each become three.
    let mut expected = vec![(2, "2 ab".to_owned())];
    expected.push((
        kstreams::partitioner::partition_for_key(b"k", 4),
        "else ab".to_owned(),
    ));
    for lane in 0..3 {
        expected.extend(vec![(lane, "all ab".to_owned()); 3]);
    }
    expected.sort();
    let sorted = || {
        let mut all = read();
        all.sort();
        all
    };
    eventually("what is written", || sorted() == expected);
    app.close().expect("it ends in order");

    // The store goes on where it was: nothing is processed twice.
    client
        .produce("lanes-sums", [("sum", "c")])
        .expect("it can be written");
    let app = start();
    let sums = app.sums.snapshot().expect("it can be read");
    let sum = sums.get(&"sum".to_owned()).expect("it can be read");
    assert_eq!(sum, Some("abc".to_owned()));
    drop(sums);
    app.close().expect("it ends in order");
}

#[topology(application_id = "spread")]
pub(crate) struct Spread {
    #[source(topic = "spread-in", partitions = 1)]
    input: KStream<String, String>,
    #[from(input.filter(|_, _| true))]
    #[sink(topic = |_, value| format!("spread-to-{value}"), partitioner = |_, _, _, count| last(count))]
    spread: KStream<String, String>,
}

fn last(count: u32) -> i32 {
    i32::try_from(count).map_or(i32::MAX, |count| count - 1)
}

fn a_partitioner_is_told_the_count_of_a_topic_that_is_chosen_freely(cluster: &Cluster) {
    let client = Client::new(cluster.bootstrap());
    for guarantee in ["at_least_once", "exactly_once_v2"] {
        let topics = [("spread-in", 1), ("spread-to-three", 3), ("spread-dead", 1)];
        fresh(&client, "spread", &topics);
        let dir = temp_dir().expect("a directory");
        let produce = |value: &str| {
            client
                .produce("spread-in", [("k", value)])
                .expect("it can be written");
        };
        let partitions = |topic: &str| -> Vec<i32> {
            let messages = client.read(topic).expect("it can be read");
            messages.into_iter().map(|m| m.partition).collect()
        };
        let more = [
            ("processing.guarantee", guarantee),
            ("production.exception.handler", "continue"),
            ("errors.dead.letter.queue.topic.name", "spread-dead"),
        ];
        let app = Spread::builder()
            .start(here(cluster, dir.path(), &more))
            .expect("it starts");
        wait_until_running(&app);
        for value in ["three", "nobody", "no topic's name", "three"] {
            produce(value);
        }
        eventually("what has a topic", || {
            partitions("spread-to-three") == [2, 2]
        });
        eventually("the others", || partitions("spread-dead").len() == 2);
        app.close().expect("it ends in order");
    }
}
