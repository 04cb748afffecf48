//! Nexmark's events as records, and where they come from: an auction site's people, auctions and bids, made by the `nexmark`
//! crate. The same numbers give the same events.

use kstreams::Json;
use nexmark::EventGenerator;
use nexmark::config::NexmarkConfig;
use nexmark::event::Event;
use serde::{Deserialize, Serialize};

/// When the first event happens, in milliseconds.
const FIRST: u64 = 1_700_000_000_000;
/// How many happen in a second: few, so that a small number of events fills several windows.
const RATE: usize = 200;

/// Somebody who registered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Json)]
pub(crate) struct Person {
    /// Who it is.
    pub id: u64,
    /// The person's name.
    pub name: String,
    /// Where the person lives.
    pub city: String,
    /// The state, in two letters.
    pub state: String,
    /// When the person registered, in milliseconds.
    pub date_time: i64,
}

/// Something that is sold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Json)]
pub(crate) struct Auction {
    /// Which auction it is.
    pub id: u64,
    /// What is sold.
    pub item_name: String,
    /// Who sells it: a person's id.
    pub seller: u64,
    /// The kind of item.
    pub category: u64,
    /// When the auction began, in milliseconds.
    pub date_time: i64,
}

/// An offer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Json)]
pub(crate) struct Bid {
    /// For which auction.
    pub auction: u64,
    /// Whose offer: a person's id.
    pub bidder: u64,
    /// How much, in cents.
    pub price: u64,
    /// When it was made, in milliseconds.
    pub date_time: i64,
}

/// The first events of the generator, by kind, each in the order of time.
#[derive(Debug, Default, Clone)]
pub(crate) struct Events {
    /// People.
    pub people: Vec<Person>,
    /// Auctions.
    pub auctions: Vec<Auction>,
    /// Bids.
    pub bids: Vec<Bid>,
}

impl Events {
    /// That many events of all kinds.
    #[must_use]
    pub(crate) fn generate(count: usize) -> Events {
        let config = NexmarkConfig {
            base_time: FIRST,
            first_rate: RATE,
            next_rate: RATE,
            ..NexmarkConfig::default()
        };
        let mut events = Events::default();
        for event in EventGenerator::new(config).take(count) {
            match event {
                Event::Person(person) => events.people.push(Person {
                    id: person.id as u64,
                    name: person.name,
                    city: person.city,
                    state: person.state,
                    date_time: person.date_time as i64,
                }),
                Event::Auction(auction) => events.auctions.push(Auction {
                    id: auction.id as u64,
                    item_name: auction.item_name,
                    seller: auction.seller as u64,
                    category: auction.category as u64,
                    date_time: auction.date_time as i64,
                }),
                Event::Bid(bid) => events.bids.push(Bid {
                    auction: bid.auction as u64,
                    bidder: bid.bidder as u64,
                    price: bid.price as u64,
                    date_time: bid.date_time as i64,
                }),
            }
        }
        events
    }
}
