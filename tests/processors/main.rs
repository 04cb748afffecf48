//! The Processor API: processors alone, then in topologies.

mod alone;
mod global;
mod look_ups;
mod shared;
