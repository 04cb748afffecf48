//! The facade under another name: `crate = path` tells the macro.
#![deny(warnings)]

mod vendored {
    pub use ::kstreams as streaming;
}

use vendored::streaming::prelude::*;

/// Finds everything through `vendored::streaming`.
#[topology(application_id = "app", crate = crate::vendored::streaming)]
pub struct App {
    #[source(topic = "orders")]
    orders: KStream<String, u64>,
    #[from(orders.group_by(|_, o| *o % 10).count())]
    #[sink(topic = "counts")]
    counts: KTable<u64, i64>,
}

fn main() {
    let _ = App::builder();
}
