//! A topology that a `macro_rules!` writes: its name, a type and a closure come from the caller.
#![deny(warnings)]

use kstreams::prelude::*;

macro_rules! app {
    ($name:ident, $value:ty, $topic:literal, $f:expr) => {
        /// From a macro.
        #[topology(application_id = "app")]
        pub struct $name {
            minimum: u64,
            #[source(topic = "orders")]
            orders: KStream<String, $value>,
            #[from(orders.map_values($f).filter(|_, n| *n > self.minimum))]
            #[sink(topic = $topic)]
            lengths: KStream<String, u64>,
        }
    };
}

app!(Lengths, String, "lengths", |v| v.len() as u64);
app!(Doubled, u64, "doubled", |v| v * 2);

fn main() {
    let _ = Lengths::builder().minimum(1);
    let _ = Doubled::builder().minimum(1);
}
