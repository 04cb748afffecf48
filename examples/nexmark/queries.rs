//! Queries of the Nexmark benchmark as one topology: a field for each.

use kstreams::Json;
use kstreams::prelude::*;
use serde::{Deserialize, Serialize};

use crate::events::Bid;

/// The topology. Bids are keyed by their auction.
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
