//! The Nexmark example: each query equals a plain batch computation over the same events, and the program runs them all.

#[path = "../examples/nexmark/events.rs"]
#[allow(dead_code, reason = "the example uses the rest")]
mod events;
#[path = "support/programs.rs"]
mod programs;
#[path = "../examples/nexmark/queries.rs"]
mod queries;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use events::{Bid, Events};
use kstreams::Record;
use programs::{example, run};
use queries::{ADVANCE_MS, Hottest, Nexmark, Offer, WINDOW_MS, in_euros};

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

/// Query 5 in a batch: of each window of ten seconds, one every two, the auctions with the most bids.
fn hot_items(events: &Events) -> BTreeMap<i64, Hottest> {
    let mut windows: BTreeMap<i64, BTreeMap<u64, i64>> = BTreeMap::new();
    for bid in &events.bids {
        let last = bid.date_time / ADVANCE_MS;
        for start in (last - WINDOW_MS / ADVANCE_MS + 1)..=last {
            let counts = windows.entry(start * ADVANCE_MS).or_default();
            *counts.entry(bid.auction).or_default() += 1;
        }
    }
    let hottest = |counts: BTreeMap<u64, i64>| {
        let bids = *counts.values().max().expect("a window has a bid");
        let auctions = counts.into_iter().filter(|(_, n)| *n == bids);
        let auctions = auctions.map(|(auction, _)| auction).collect();
        Hottest { bids, auctions }
    };
    let each = windows.into_iter();
    each.map(|(start, counts)| (start, hottest(counts)))
        .collect()
}

/// Query 8 in a batch: who sells in the ten seconds in which he or she registered.
fn new_users(events: &Events) -> BTreeMap<(u64, i64), String> {
    let window = |at: i64| at - at % WINDOW_MS;
    let sellers = events.auctions.iter();
    let sellers: BTreeSet<_> = sellers.map(|a| (a.seller, window(a.date_time))).collect();
    let people = events.people.iter();
    people
        .map(|person| ((person.id, window(person.date_time)), person.name.clone()))
        .filter(|(place, _)| sellers.contains(place))
        .collect()
}

#[test]
fn hot_items_and_new_users_equal_a_batch_over_the_same_events() -> kstreams::Result<()> {
    let events = Events::generate(EVENTS);
    let t = Nexmark::builder().test_driver()?;
    // A topic after the other: the results do not depend on how they are interleaved.
    for auction in &events.auctions {
        let send = t.auctions.send(auction.id, auction.clone());
        send.at(auction.date_time).pipe()?;
    }
    for person in &events.people {
        let send = t.people.send(person.id, person.clone());
        send.at(person.date_time).pipe()?;
    }
    for bid in &events.bids {
        let send = t.bids.send(bid.auction, bid.clone());
        send.at(bid.date_time).pipe()?;
    }
    let updates = t.q5.read().into_iter();
    let q5: BTreeMap<i64, Option<Hottest>> = updates.map(|r| (r.key, r.value)).collect();
    let expected = hot_items(&events);
    assert!(expected.len() > 10, "{}", expected.len());
    let expected: BTreeMap<_, _> = expected.into_iter().map(|(k, v)| (k, Some(v))).collect();
    assert_eq!(q5, expected);

    let updates = t.q8.read().into_iter();
    let q8: BTreeMap<_, _> = updates
        .map(|r| ((r.key.key, r.key.start()), r.value))
        .collect();
    let expected = new_users(&events);
    assert!(expected.len() > 10 && expected.len() < events.people.len());
    let expected: BTreeMap<_, _> = expected.into_iter().map(|(k, v)| (k, Some(v))).collect();
    assert_eq!(q8, expected);
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
    let (hot, new) = (hot_items(&events).len(), new_users(&events).len());
    let expected =
        format!("{bids} bids\nq0\t{bids}\nq1\t{bids}\nq2\t{selected}\nq5\t{hot}\nq8\t{new}\n");
    assert_eq!(stdout, expected);
}
