//! Records of a run: histograms and counters, second by second, and what its host did.

mod attribution;
pub(crate) mod counters;
pub(crate) mod cpu;
pub(crate) mod ending;
pub(crate) mod evidence;
pub(crate) mod failure;
pub(crate) mod host;
pub(crate) mod host_stall;
pub(crate) mod intervals;
pub(crate) mod latencies;
pub(crate) mod process_table;
pub(crate) mod quotas;
pub(crate) mod recorder;
pub(crate) mod seconds;
pub(crate) mod server_view;
pub(crate) mod transport;
pub(crate) mod usage;
pub(crate) mod waits;
pub(crate) mod watch;
