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
//! Its folders import downwards only: `study` (many runs), `run`, `draw`, `report`, `judge`,
//! `engine` (makes the load), `record` (what it leaves behind), `config`.
//!
//! ```no_run
//! use ringback::load::{Config, Target};
//!
//! let config = Config::new(Target::at("127.0.0.1:65432".parse().unwrap()));
//! let report = ringback::load::run(&config, &mut |_| {})?;
//! print!("{report}");
//! # Ok::<(), ringback::load::RunError>(())
//! ```

mod clock;
mod config;
mod control;
pub mod draw;
mod engine;
mod error;
pub(crate) mod format;
mod interrupt;
mod judge;
mod limits;
mod outcome;
mod random;
mod record;
pub mod report;
mod run;
pub mod study;

pub use config::assertion::{Assertion, AssertionResult, Comparison, Measured, Metric};
pub use config::part::Part;
pub use config::quantile::Quantile;
pub use config::sizes::Sizes;
pub use config::{Arrival, Config, Load, MAX_MESSAGE_SIZE, MAX_RATE, Protocol, Server, Target};
pub use engine::dial::check_sources;
pub use error::{ConfigError, RunError};
pub use interrupt::Interrupt;
pub use limits::{DescriptorLimitError, allow_descriptors};
pub use outcome::Outcome;
pub use record::host::{ClockState, Host};
pub use record::latencies::Latencies;
pub use record::recorder::{CarriedOver, Totals};
pub(crate) use record::recorder::{Recorder, Sent, Window};
pub use record::server_view::server_cpus;
pub use record::transport::Transport;
pub use record::watch::{Interval, Phase, Progress, Tag, Watch};
pub use report::Report;
pub use run::{run, run_watched};
