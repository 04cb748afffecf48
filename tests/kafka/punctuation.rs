//! Wall-clock punctuators: they fire while nothing comes, and while everything does.

use std::collections::BTreeSet;
use std::time::Duration;

use kafka_broker::{Client, Cluster, temp_dir};
use kstreams::prelude::*;

use crate::instances::{eventually, here, wait_until_running};
use crate::records::{Feed, fresh, wait_for_records};
use crate::{Cases, shared};

pub(crate) fn cases() -> Cases {
    shared![a_wall_clock_punctuator_fires_while_nothing_comes_and_under_load].into()
}

/// Tells every so often how often it has told, and how many records it has seen.
#[processor(out = (String, String), punctuate(wall_clock = "50ms", call = tell))]
struct Ticker {
    #[default]
    ticks: u64,
    #[default]
    seen: u64,
}

impl Processor<String, String> for Ticker {
    fn process(
        &mut self,
        _: Record<String, String>,
        _: &mut Context<'_, Self>,
    ) -> ProcessingResult {
        self.seen += 1;
        Ok(())
    }
}

impl Ticker {
    fn tell(&mut self, now: Timestamp, cx: &mut Context<'_, Self>) -> ProcessingResult {
        self.ticks += 1;
        let text = format!("{} {}", self.ticks, self.seen);
        cx.forward(Record::new("tick".to_owned(), text, now))
    }
}

#[topology(application_id = "ticking")]
struct Ticking {
    #[source(topic = "ticking-in", partitions = 1)]
    input: KStream<String, String>,
    #[from(input.process(Ticker::new()))]
    #[sink(topic = "ticking-out", partitions = 1)]
    ticks: KStream<String, String>,
}

/// What has been told: each tick's number, and the records seen before it.
fn told(client: &Client) -> Vec<(u64, u64)> {
    let messages = client.read("ticking-out").expect("it can be read");
    let parsed = messages.iter().map(|message| {
        let text = message.value_text();
        let (tick, seen) = text.split_once(' ').expect("two numbers");
        let number = |text: &str| text.parse().expect("a number");
        (number(tick), number(seen))
    });
    parsed.collect()
}

fn a_wall_clock_punctuator_fires_while_nothing_comes_and_under_load(cluster: &Cluster) {
    let client = Client::new(cluster.bootstrap());
    fresh(&client, "ticking", &[("ticking-in", 1), ("ticking-out", 1)]);
    let dir = temp_dir().expect("a directory");
    let config = here(cluster, dir.path(), &[]);
    let app = Ticking::builder().start(config).expect("it starts");
    wait_until_running(&app);
    wait_for_records(&client, "ticking-out", 10);
    assert!(told(&client).iter().all(|(_, seen)| *seen == 0));

    let feed = Feed::start(&client, "ticking-in");
    eventually("ten ticks between records", || {
        let seen: BTreeSet<u64> = told(&client).into_iter().map(|(_, seen)| seen).collect();
        seen.len() > 10
    });
    let written: i64 = feed.stop_after(Duration::ZERO).values().sum();
    let written = u64::try_from(written).expect("a count is positive");
    eventually("a tick after the last record", || {
        told(&client)
            .last()
            .is_some_and(|(_, seen)| *seen == written)
    });
    wait_until_running(&app);
    app.close().expect("it ends in order");
    // Exactly once holds for what punctuators forward, too.
    let told = told(&client);
    assert!(told.iter().map(|(tick, _)| *tick).eq(1..=told.len() as u64));
    assert!(told.is_sorted_by_key(|(_, seen)| *seen));
}
