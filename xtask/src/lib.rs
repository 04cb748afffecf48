//! Tasks of this repository: what they do, for `cargo run -p xtask` and for the short versions that run as tests.

pub mod torture;
