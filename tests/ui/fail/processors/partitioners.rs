//! Partitioners that return no partitions, take other records, or cannot know how many partitions there are.
use kstreams::prelude::*;

fn by_total(_: &str, _: &String, total: &i64, partitions: u32) -> i64 {
    *total % i64::from(partitions)
}

struct ByRegion;

struct OfRegions;

impl StreamPartitioner<String, i64> for OfRegions {
    fn partitions(&self, _: &str, _: &String, _: &i64, _: u32) -> Partitions {
        Partitions::One(0)
    }
}

#[topology(application_id = "app")]
struct App {
    #[source(topic = "orders", partitions = 6)]
    orders: KStream<String, u64>,
    #[from(orders.filter(|_, _| true))]
    #[sink(topic = "a", partitioner = |_, key, _, _| key.len())]
    a: KStream<String, u64>,
    #[from(orders.filter(|_, _| true))]
    #[sink(topic = "b", partitioner = by_total)]
    b: KStream<String, u64>,
    #[from(orders.repartition(partitioner = ByRegion))]
    #[sink(topic = "c")]
    c: KStream<String, u64>,
    // A subscription has no value.
    #[source(topic = "people", partitions = 6)]
    people: KTable<u64, String>,
    #[source(topic = "regions", partitions = 6, partitioner = OfRegions)]
    regions: KTable<String, i64>,
    #[from(people.join_on(regions, |_, p| p.clone(), |p, _| p.clone(), other_partitioner = OfRegions))]
    d: KTable<u64, String>,
}

fn main() {}
