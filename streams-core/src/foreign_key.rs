//! Layer 4. Foreign-key joins of two tables. A left row subscribes to the key of a right row, over one internal topic; the right
//! side keeps the subscriptions, looks its row up, and answers over another one, now and whenever the right row changes; the
//! left side joins what comes back with its own row, if that is still the one that asked.
//!
//! Semantics and bytes are Kafka Streams' (4.3.1): `SubscriptionSendProcessorSupplier`, `SubscriptionReceiveProcessorSupplier`,
//! `SubscriptionJoinProcessorSupplier`, `ForeignTableJoinProcessorSupplier`, `ResponseJoinProcessorSupplier`.

mod join;
mod murmur3;
mod subscribe;
mod wire;

pub use join::{Answer, Asked, Foreign, Responded};
pub use subscribe::Subscribing;
pub use wire::{CombinedKey, Instruction, Response, Subscription};
