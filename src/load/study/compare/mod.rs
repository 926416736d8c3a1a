//! Which of two servers is better: both measured in turn, many times, with an interval.
//!
//! Two runs of one and the same server differ, by how its memory came to lie, by what else the
//! machine did. So the run is the sample, not the message: a thousand messages of one run share
//! its luck. Each run has a server of its own, started for it and stopped after it, and only one
//! of the servers exists at a time. The runs come in blocks (`block`) whose order lets steady drift
//! fall out. The result is the median over the blocks of the ratio B/A with an interval,
//! beside a control that is made of the same runs and knows no difference between the servers:
//! see `block`.
//!
//! A run that is not valid makes its block invalid. An invalid block is left out and counted, not
//! repeated: whoever repeats until it fits selects. When more than half of the blocks are
//! invalid, the comparison is.

mod asserted;
mod block;
mod gate;
mod judgement;
mod metric;
mod report;
mod series;
mod statistics;
mod text;

use std::time::Duration;

pub use self::asserted::Asserted;
pub use self::block::{Block, Order, Side};
pub use self::gate::{Gate, GateResult};
pub use self::metric::Metric;
pub use self::report::CompareReport;
use self::series::Series;
pub use self::statistics::Estimate;
pub use self::text::{head, row};
use crate::load::config::Config;
use crate::load::error::RunError;
use crate::load::record::host::Host;
use crate::load::record::watch::Progress;
use crate::load::study::probe_time;
use crate::load::study::supervise::Terms;
pub use crate::load::study::supervise::{ServerCommand, ServerError, kill_servers};

/// Time that a run takes beside its measurement: its server starts and stops.
const SERVER_TIME: Duration = Duration::from_millis(100);

/// Two servers to compare, and how.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Comparison {
    /// How to start server A.
    pub a: ServerCommand,
    /// How to start server B.
    pub b: ServerCommand,
    /// Blocks of four runs, at least 1.
    pub blocks: usize,
    /// The metric.
    pub metric: Metric,
    /// A smaller difference, as a share, is none: 0.01 for one per cent.
    pub min_effect: f64,
    /// Bounds of the ratio whose crossing fails the comparison.
    pub gates: Vec<Gate>,
    /// True if a comparison that decides nothing fails: about the gates, or where there is none
    /// about which server is better.
    pub must_conclude: bool,
    /// CPUs of the servers; any if there are none.
    pub server_cpus: Vec<usize>,
    /// How long a server may take until it listens.
    pub start_timeout: Duration,
    /// How long a server may take to end when it is told to.
    pub stop_timeout: Duration,
    /// The load of each run and its length; its target and its server are not used.
    pub config: Config,
}

/// Why there is nothing to report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// A server cannot be started, and no block was complete yet.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// A run cannot be made.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// How far a comparison is.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// The block under way, counted from 1.
    pub block: usize,
    /// Blocks that there will be.
    pub blocks: usize,
    /// The server whose turn it is.
    pub side: Side,
    /// Time that is left, as the runs so far went.
    pub remaining: Duration,
    /// How the run is going; `None` while its server starts.
    pub progress: Option<Progress>,
}

/// Something that a comparison reports while it goes on.
#[derive(Debug)]
pub enum Event<'a> {
    /// A step that is made next, and how it goes.
    Step(Step),
    /// A block that was measured.
    Block(&'a Block),
}

impl CompareError {
    /// Returns whether it is the user who ended it.
    fn is_interruption(&self) -> bool {
        match self {
            Self::Server(error) => error.is_interruption(),
            Self::Run(error) => matches!(error, RunError::Interrupted { .. }),
        }
    }
}

impl Comparison {
    /// Ten blocks, compared by their throughput, of servers that may run on any CPU.
    pub fn new(a: ServerCommand, b: ServerCommand, config: Config) -> Self {
        Self {
            a,
            b,
            blocks: 10,
            metric: Metric::Throughput,
            min_effect: 0.01,
            gates: Vec::new(),
            must_conclude: false,
            server_cpus: Vec::new(),
            start_timeout: Duration::from_secs(10),
            stop_timeout: Duration::from_secs(15),
            config,
        }
    }

    /// About how long it will take.
    pub fn estimated_time(&self) -> Duration {
        self.run_time() * self.runs() as u32
    }

    /// Runs that there will be.
    pub fn runs(&self) -> usize {
        self.blocks * block::RUNS
    }

    fn run_time(&self) -> Duration {
        probe_time(&self.config) + SERVER_TIME
    }

    fn terms(&self, side: Side) -> Terms<'_> {
        Terms {
            name: side.name(),
            command: match side {
                Side::A => &self.a,
                Side::B => &self.b,
            },
            cpus: &self.server_cpus,
            start_timeout: self.start_timeout,
            interrupt: &self.config.interrupt,
            stop_timeout: self.stop_timeout,
        }
    }
}

/// Runs the comparison from its first server to its last. Reports each step before it is made, and
/// each block.
///
/// # Errors
///
/// When there is nothing to report: a server that cannot be started in the first block.
/// Whatever else goes wrong is in the report.
///
/// # Panics
///
/// When there are no blocks, or a number of the configuration is outside its bounds.
pub fn compare(
    comparison: &Comparison,
    on_event: &mut dyn FnMut(Event<'_>),
) -> Result<CompareReport, CompareError> {
    assert!(comparison.blocks >= 1, "at least one block");
    let host = Host::detect();
    let series = Series::make(comparison, on_event)?;
    Ok(CompareReport::new(comparison, host, series))
}
