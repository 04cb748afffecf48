//! Attributes and options that do not exist, with the nearest name.
use kstreams::prelude::*;

#[topology(application_id = "app", optimisation = "all")]
struct App {
    #[source(topc = "orders")]
    orders: KStream<String, u64>,
    #[source(topic = "payments", partition = 6)]
    payments: KStream<String, u64>,
    #[from(payments.filter(|_, p| *p > 100))]
    #[sink(topic = "a", partitons = 6)]
    a: KStream<String, u64>,
    #[from(payments.group_by_key().count())]
    #[store(chache = false)]
    b: KTable<String, i64>,
    #[form(payments.filter(|_, p| *p > 100))]
    #[snik(topic = "c")]
    c: KStream<String, u64>,
}

fn main() {}
