//! Fields with the names of what generated code uses, and of what closures use: none of them meet.
#![deny(warnings)]

use kstreams::prelude::*;

/// A function with a node's name.
fn large(order: &u64) -> bool {
    *order > 100
}

/// The word for every local, method and parameter of generated code.
#[topology(application_id = "app")]
pub struct App {
    r: u64,
    cx: u64,
    t: u64,
    key: u64,
    value: u64,
    record: u64,
    app: u64,
    task: u64,
    #[source(topic = "orders", partitions = 6)]
    order: KStream<String, u64>,
    #[source(topic = "customers", partitions = 6)]
    process: KTable<String, u64>,
    #[source(topic = "products")]
    subtopology: GlobalKTable<u64, u64>,
    /// Closure parameters are called like nodes, and so is a function.
    #[from(order.filter(|key, order| large(order) && key.len() as u64 > self.key).map_values(|order| order + self.r + self.cx + self.t))]
    #[sink(topic = "large")]
    large: KStream<String, u64>,
    #[from(order.join(process, |order, process| order + process).left_join(subtopology, |_, order| *order, |order, subtopology| order + subtopology.copied().unwrap_or(self.value)))]
    #[sink(topic = "flushed")]
    flushed: KStream<String, u64>,
    #[from(flushed.map_values(|v| v + self.record + self.app + self.task))]
    #[sink(topic = "type")]
    r#type: KStream<String, u64>,
    #[from(r#type.group_by(|_, r#type| *r#type).count())]
    #[sink(topic = "match")]
    r#match: KTable<u64, i64>,
    #[from(r#match.to_stream().flat_map_values(|n| [*n, Self::helper()]).for_each(|_, n| {
        let r = n;
        let cx = r;
        let _ = cx;
    }))]
    topology: (),
}

impl App {
    fn helper() -> i64 {
        3
    }

    /// A method with a node's name.
    #[must_use]
    pub fn order(&self) -> u64 {
        self.r
    }
}

fn main() -> kstreams::Result<()> {
    let t = App::builder().r(1).cx(1).t(1).key(0).value(1).record(1).app(1).task(1).test_driver()?;
    t.order.send("a", 200u64).at(1);
    assert_eq!(t.large.read().len(), 1);
    Ok(())
}
