//! Common parts of tests, fuzz targets and benchmarks: slow, obvious oracles, operation models and
//! checkers, the simulation, and the hot paths alone.
//!
//! Not part of the API. It is compiled in ordinary builds so that it cannot rot. The oracles never
//! call the code that reads or writes the wire: they must not share the bugs of what they judge.
//! Everything here panics when something is wrong, which is how a property test and a fuzzer see it.

pub mod client_model;
pub mod client_oracle;
pub mod either;
pub mod fuzz;
pub mod hot_paths;
pub mod lifecycle_model;
pub mod model;
pub mod mutator;
pub mod oracle;
mod rng;
#[cfg(feature = "load")]
pub mod saved;
pub mod simulation;
pub mod wire;
