//! The runtime of kstreams: records, wire formats, stores, transports, tasks. Users reach it through the `kstreams` crate.
//!
//! The modules are the layers of ARCHITECTURE.md; start with [`topology`], which describes what is run, and [`transport`], the port to a log.

pub mod chain;
pub mod config;
pub mod context;
pub mod describe;
pub mod edge;
pub mod error;
pub mod exceptions;
pub mod foreign_key;
pub mod generated;
mod global;
pub mod global_table;
pub mod handles;
pub mod lmdb;
pub mod obligations;
pub mod ops;
pub mod outbox;
pub mod partitioner;
pub mod processor;
pub mod query;
pub mod record;
mod restore;
pub mod routing;
pub mod runtime;
pub mod serde;
pub mod state_dir;
pub mod store;
pub mod stream_join;
pub mod table;
mod task;
pub mod test_driver;
pub mod time;
pub mod timestamps;
pub mod topics;
pub mod topology;
pub mod transport;
pub mod window;
pub mod windowed;

#[doc(hidden)]
pub mod __private;
