//! The instrument: makes load, verifies every reply, and says what the numbers are worth.
//!
//! Speaks through the protocol core and its own sockets, never through the server or its drivers:
//! an instrument must not share the bugs of what it measures. It sees an address; whether the
//! server behind it lives in this process is told to it only for the report.
//!
//! - *Closed loop*: each connection keeps a fixed number of messages in flight. Shows capacity. A
//!   slow server is asked less, so its latency says little about what users of a fixed rate see.
//! - *Open loop*: messages are due at times fixed before the run. Latency counts from those times
//!   (`response`), so a server that stalls is charged for everything that it kept waiting.
//!
//! ```no_run
//! use ringback::load::{Config, Target, report};
//!
//! let config = Config::new(Target::at("127.0.0.1:65432".parse().unwrap()));
//! let report = ringback::load::run(&config, &mut |_| {})?;
//! print!("{}", report::text(&report));
//! # Ok::<(), ringback::load::RunError>(())
//! ```

mod assertion;
pub mod chart;
mod clock;
pub mod compare;
mod config;
mod connect;
mod connection;
mod content;
mod cpu;
mod crew;
mod deadlines;
mod dial;
mod drift;
pub mod find_max;
mod hiccup;
pub mod hlog;
mod host;
mod interrupt;
mod intervals;
mod lane;
mod latencies;
mod limits;
mod observer;
mod orders;
mod outcome;
mod pattern;
pub mod picture;
mod poller;
mod preflight;
mod probe;
mod probe_table;
mod process_table;
mod random;
mod recorder;
pub mod report;
mod run;
mod schedule;
mod seconds;
mod server_view;
mod sizes;
mod supervise;
pub mod sweep;
mod verdict;
mod waits;
mod watch;
mod wire;
mod worker;

pub use assertion::{Assertion, Comparison, Finding, Measured, Metric};
pub use config::{Arrival, Config, Load, MAX_MESSAGE_SIZE, Protocol, Server, Target};
pub use dial::{SourceError, check_sources};
pub use host::Host;
pub use interrupt::Interrupt;
pub use limits::{DescriptorLimitError, allow_descriptors};
pub use outcome::Outcome;
pub use probe::{Probe, Step, probe_time};
pub use recorder::{CarriedOver, Totals};
pub use report::{Quantile, Report};
pub use run::{RunError, run, run_watched};
pub use server_view::server_cpus;
pub use sizes::{Sizes, SizesError};
pub use verdict::Verdict;
pub use watch::{Interval, Phase, Progress, Tag, Watch};
