//! Times that only rustc knows.
use std::time::Duration;

use kstreams::prelude::*;

const NOTHING: i64 = 0;
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: i64 = 3_600_000;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders")]
    orders: KStream<String, u64>,
    #[from(orders.group_by_key().windowed_by(tumbling(NOTHING)).count())]
    empty: KTable<Windowed<String>, i64>,
    #[from(orders.group_by_key().windowed_by(hopping(MINUTE).advance_by(HOUR)).count())]
    gaps: KTable<Windowed<String>, i64>,
    #[from(orders.group_by_key().windowed_by(tumbling(HOUR).grace(-1)).count())]
    negative: KTable<Windowed<String>, i64>,
    #[from(orders.group_by_key().windowed_by(sliding(HOUR)).count())]
    #[store(retention = MINUTE)]
    forgetful: KTable<Windowed<String>, i64>,
    #[from(orders.group_by_key().windowed_by(tumbling("10m")).count())]
    another_size: KTable<Windowed<String, TimeWindow<1000>>, i64>,
}

fn main() {}
