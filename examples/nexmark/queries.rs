//! Queries of the Nexmark benchmark as one topology: a field for each.

use std::collections::BTreeMap;

use kstreams::Json;
use kstreams::prelude::*;
use serde::{Deserialize, Serialize};

use crate::events::{Auction, Bid, Person};

/// How long the windows of queries 5 and 8 are.
pub(crate) const WINDOW_MS: i64 = 10_000;
/// From when to when query 5 begins a window.
pub(crate) const ADVANCE_MS: i64 = 2_000;

/// The topology. Bids are keyed by their auction, people and auctions by their own numbers.
#[topology(application_id = "nexmark")]
#[derive(Debug)]
pub(crate) struct Nexmark {
    /// All offers.
    #[source(topic = "bids", partitions = 4)]
    pub bids: KStream<u64, Bid>,

    /// Query 0, pass through: what it costs to read and write a record.
    #[from(bids)]
    #[sink(topic = "q0", partitions = 4)]
    pub q0: KStream<u64, Bid>,

    /// Query 1, currency conversion: what was offered, in euros.
    #[from(bids.map_values(in_euros))]
    #[sink(topic = "q1", partitions = 4)]
    pub q1: KStream<u64, Bid>,

    /// Query 2, selection: the offers for some auctions.
    #[from(bids.filter(|auction, _| auction % 123 == 0).map_values(|bid| Offer {
        auction: bid.auction,
        price: bid.price,
    }))]
    #[sink(topic = "q2", partitions = 4)]
    pub q2: KStream<u64, Offer>,

    /// How many bids each auction had in each ten seconds. Topics are not read in step, so late ones are waited for, here and below.
    #[from(bids.group_by_key().windowed_by(hopping(WINDOW_MS).advance_by(ADVANCE_MS).grace("1d")).count())]
    pub bids_per_auction: KTable<Windowed<u64>, i64>,

    /// The same by window, with its start as the key: each count that changes leaves its place and enters another.
    #[from(bids_per_auction
        .group_by(|window, bids| (window.start(), Counted { auction: window.key, bids: *bids }))
        .aggregate(Counts::default, |_, counted, counts| counts.with(counted), |_, counted, counts| counts.without(&counted)))]
    pub bids_per_window: KTable<i64, Counts>,

    /// Query 5, hot items: the auctions with the most bids of each window.
    #[from(bids_per_window.map_values(Counts::hottest))]
    #[sink(topic = "q5", partitions = 4)]
    pub q5: KTable<i64, Hottest>,

    /// People who register, by number.
    #[source(topic = "people", partitions = 4)]
    pub people: KStream<u64, Person>,

    /// Auctions that begin.
    #[source(topic = "auctions", partitions = 4)]
    pub auctions: KStream<u64, Auction>,

    /// The same by seller.
    #[from(auctions.select_key(|_, auction| auction.seller))]
    pub by_seller: KStream<u64, Auction>,

    /// Who began an auction in the window of ten seconds in which he or she registered.
    #[from(people
        .join(by_seller, |person, auction| same_window(person, auction).then(|| person.name.clone()), within(WINDOW_MS).grace("1d"))
        .flat_map_values(|name| name.clone()))]
    pub new_sellers: KStream<u64, String>,

    /// Query 8, new users: each of them once in a window.
    #[from(new_sellers.group_by_key().windowed_by(tumbling(WINDOW_MS).grace("1d")).reduce(|name, _| name))]
    #[sink(topic = "q8", partitions = 4)]
    pub q8: KTable<Windowed<u64>, String>,
}

/// An auction's bids in a window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Json)]
pub(crate) struct Counted {
    auction: u64,
    bids: i64,
}

/// How many bids each auction of a window has.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Json)]
pub(crate) struct Counts(BTreeMap<u64, i64>);

impl Counts {
    fn with(mut self, counted: Counted) -> Self {
        self.0.insert(counted.auction, counted.bids);
        self
    }

    fn without(mut self, counted: &Counted) -> Self {
        self.0.remove(&counted.auction);
        self
    }

    fn hottest(self) -> Hottest {
        let bids = self.0.values().copied().max().unwrap_or(0);
        let auctions = self.0.into_iter().filter(|(_, n)| *n == bids);
        Hottest {
            bids,
            auctions: auctions.map(|(auction, _)| auction).collect(),
        }
    }
}

/// A row of query 5.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Json)]
pub(crate) struct Hottest {
    /// The most bids that an auction of the window has.
    pub bids: i64,
    /// Which ones have as many, the oldest first.
    pub auctions: Vec<u64>,
}

fn same_window(person: &Person, auction: &Auction) -> bool {
    person.date_time / WINDOW_MS == auction.date_time / WINDOW_MS
}

/// A row of query 2.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Json)]
pub(crate) struct Offer {
    /// For which auction.
    pub auction: u64,
    /// How much, in cents.
    pub price: u64,
}

/// A bid at Nexmark's rate, 0.908 euros for a dollar.
#[must_use]
pub(crate) fn in_euros(bid: Bid) -> Bid {
    Bid {
        price: bid.price * 908 / 1_000,
        ..bid
    }
}
