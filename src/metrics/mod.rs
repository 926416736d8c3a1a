//! Counts of a worker's work, and how another thread reads them while it goes on.

mod counters;
mod published;

pub use counters::Counters;
pub(crate) use published::{Gauges, Published};
pub use published::{Metrics, Snapshot};
