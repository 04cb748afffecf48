//! The Processor API: processors alone, then in topologies.

mod alone;
mod shared;
