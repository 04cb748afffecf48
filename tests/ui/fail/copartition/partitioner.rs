//! Equal counts and different partitioners.
use kstreams::prelude::*;

struct ByRegion;

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders", partitions = 6)]
    orders: KStream<String, u64>,
    #[source(topic = "customers", partitions = 6, partitioner = ByRegion)]
    customers: KTable<String, u64>,
    #[from(orders.join(customers, |o, c| o + c))]
    #[sink(topic = "a")]
    a: KStream<String, u64>,
    #[source(topic = "employees", partitions = 3)]
    employees: KTable<u64, String>,
    #[from(employees.left_join_on(customers, |_, of| Some(of.clone()), |of, c| format!("{of}{c:?}")))]
    #[sink(topic = "b")]
    b: KTable<u64, String>,
    // Named, but not the table's.
    #[from(employees.left_join_on(
        employees,
        |_, of| of.parse().ok(),
        |of, boss| format!("{of}{boss:?}"),
        other_partitioner = ByRegion,
    ))]
    #[sink(topic = "c")]
    c: KTable<u64, String>,
}

fn main() {}
