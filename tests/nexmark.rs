//! The Nexmark example: each query equals a plain batch computation over the same events, and the program runs them all.

#[path = "../examples/nexmark/events.rs"]
#[allow(dead_code, reason = "the example uses the rest")]
mod events;
#[path = "support/programs.rs"]
mod programs;
#[path = "../examples/nexmark/queries.rs"]
mod queries;

use std::fmt::Debug;

use events::{Bid, Events};
use kstreams::Record;
use programs::{example, run};
use queries::{Nexmark, Offer, in_euros};

const EVENTS: usize = 5_000;

/// The rows of a query and those of the batch, each with key and timestamp, in no order.
fn assert_same<V: Debug>(query: Vec<Record<u64, V>>, batch: Vec<(u64, V, i64)>) {
    assert!(!batch.is_empty(), "the batch has rows");
    let text = |rows: &mut Vec<String>| {
        rows.sort();
        std::mem::take(rows)
    };
    let mut query: Vec<String> = query
        .iter()
        .map(|r| format!("{} {:?} {}", r.key, r.value, r.timestamp))
        .collect();
    let mut batch: Vec<String> = batch
        .iter()
        .map(|(key, value, timestamp)| format!("{key} {value:?} {timestamp}"))
        .collect();
    assert_eq!(text(&mut query), text(&mut batch));
}

#[test]
fn each_query_equals_a_batch_over_the_same_events() -> kstreams::Result<()> {
    let events = Events::generate(EVENTS);
    let t = Nexmark::builder().test_driver()?;
    for bid in &events.bids {
        t.bids
            .send(bid.auction, bid.clone())
            .at(bid.date_time)
            .pipe()?;
    }
    let rows = |of: fn(Bid) -> Bid| {
        let bids = events.bids.iter().cloned();
        bids.map(|bid| (bid.auction, of(bid.clone()), bid.date_time))
            .collect::<Vec<_>>()
    };
    assert_same(t.q0.read(), rows(|bid| bid));
    assert_same(t.q1.read(), rows(in_euros));
    let offers = events
        .bids
        .iter()
        .filter(|bid| bid.auction % 123 == 0)
        .map(|bid| {
            let Bid { auction, price, .. } = *bid;
            (auction, Offer { auction, price }, bid.date_time)
        });
    assert_same(t.q2.read(), offers.collect());
    Ok(())
}

#[test]
fn the_program_says_how_many_rows_each_query_has() {
    let events = Events::generate(1_000);
    let selected = events
        .bids
        .iter()
        .filter(|bid| bid.auction % 123 == 0)
        .count();
    let bids = events.bids.len();
    let stdout = run(&example("nexmark"), &["--events", "1000"]).stdout();
    let expected = format!("{bids} bids\nq0\t{bids}\nq1\t{bids}\nq2\t{selected}\n");
    assert_eq!(stdout, expected);
}
