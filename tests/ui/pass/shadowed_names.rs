//! The user's module shadows every name that careless generated code would use.
#![deny(warnings)]
#![allow(dead_code, non_camel_case_types)]

mod core {}
mod alloc {}
struct Option;
struct Result;
struct Vec;
struct Box;
struct String2;
struct Arc;
struct Some;
struct None;
struct Ok;
struct Err;
struct Clone;
struct Default;
struct Iterator;
struct Record;
struct TaskContext;
mod ops {}
mod kstreams_private {}

mod shadow_std {
    #[allow(unused_imports)]
    use super::{Err, None, Ok, Option, Result, Some, Vec};
    use ::kstreams::{KStream, KTable, topology};

    mod std {}
    mod kstreams {}

    /// All of it within reach of the shadows.
    #[topology(application_id = "app")]
    pub struct App {
        limit: u64,
        #[source(topic = "orders", partitions = 6)]
        orders: KStream<::std::string::String, u64>,
        #[source(topic = "customers", partitions = 6)]
        customers: KTable<::std::string::String, u64>,
        #[from(orders.filter(|_, o| *o > self.limit).join(customers, |o, c| o + c))]
        #[sink(topic = "joined")]
        joined: KStream<::std::string::String, u64>,
        #[from(orders.group_by(|_, o| *o).count())]
        counts: KTable<u64, i64>,
    }
}

fn main() {
    let _ = shadow_std::App::builder().limit(1);
}
