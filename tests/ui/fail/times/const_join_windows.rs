//! Times behind consts: the macro cannot see them, an item-level const looks at them.
use kstreams::prelude::*;
use std::time::Duration;

const EARLIEST: i64 = -600_000;
const LATEST: Duration = Duration::from_secs(300);
const NONE: Duration = Duration::ZERO;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "shown", partitions = 6)]
    shown: KStream<String, u64>,
    #[source(topic = "clicks", partitions = 6)]
    clicks: KStream<String, u64>,
    #[from(shown.join(clicks, |s, c| s + c, before(EARLIEST), after(LATEST)))]
    #[sink(topic = "clicked")]
    clicked: KStream<String, u64>,
    #[from(shown.join(clicks, |s, c| s + c, within(NONE)))]
    #[sink(topic = "at-once")]
    at_once: KStream<String, u64>,
}

fn main() {}
