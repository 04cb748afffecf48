//! A type that says the size of windows says theirs.

use kstreams::prelude::*;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders", partitions = 6)]
    orders: KStream<String, u64>,
    #[from(orders.group_by_key().windowed_by(tumbling("10m")).count())]
    counts: KTable<Windowed<String, TimeWindow<1000>>, i64>,
}

fn main() -> kstreams::Result<()> {
    App::main()
}
