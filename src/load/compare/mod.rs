//! Which of two servers is better: both measured in turn, many times, with an interval.
//!
//! Two runs of one and the same server differ, by how its memory came to lie, by what else the
//! machine did. So the run is the sample, not the message: a thousand messages of one run share
//! its luck. Each run has a server of its own, started for it and stopped after it, and only one
//! of the servers exists at a time. The runs come in [blocks](Block) whose order lets steady drift
//! fall out. The result is the median over the blocks of the ratio B/A with a bootstrap interval,
//! beside a control that is made of the same runs and knows no difference between the servers:
//! see [`Block::control`].
//!
//! A run that is not valid makes its block invalid. An invalid block is left out and counted, not
//! repeated: whoever repeats until it fits selects. When more than half of the blocks are
//! invalid, the comparison is.

mod block;
mod claim;
mod gate;
mod judgement;
mod metric;
pub mod report;
mod series;
mod statistics;

use std::io;
use std::time::Duration;

pub use self::block::{Block, Order, Run, Side};
pub use self::claim::Claim;
pub use self::gate::{Gate, GateFinding};
pub use self::judgement::Judgement;
pub use self::metric::Metric;
use self::series::Series;
pub use self::statistics::{CONFIDENCE, Estimate, Interval, RESAMPLES};
use super::config::Config;
use super::host::Host;
use super::outcome::{Evidence, Outcome};
use super::probe::probe_time;
use super::run::RunError;
use super::supervise::Terms;
pub use super::supervise::{CommandError, Fault, ServerCommand, ServerError, kill_servers};
use super::watch::Progress;

/// Time that a run takes beside its measurement: its server starts and stops.
const SERVER_TIME: Duration = Duration::from_millis(100);

/// What to compare, and how.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// How to start server A.
    pub a: ServerCommand,
    /// How to start server B.
    pub b: ServerCommand,
    /// Blocks of four runs, at least 1.
    pub blocks: usize,
    /// What they are compared by.
    pub metric: Metric,
    /// A smaller difference, as a share, is none: 0.01 for one per cent.
    pub min_effect: f64,
    /// What must not be.
    pub gates: Vec<Gate>,
    /// Whether a comparison that decides nothing fails: about the gates, or where there is none about
    /// which server is better.
    pub must_conclude: bool,
    /// CPUs of the servers; any if there are none.
    pub server_cpus: Vec<usize>,
    /// How long a server may take until it listens.
    pub start_timeout: Duration,
    /// How long a server may take to end when it is told to.
    pub stop_timeout: Duration,
    /// What each run sends, how fast and for how long; its target and its server are not used.
    pub config: Config,
}

/// What a comparison found.
#[derive(Debug)]
pub struct Findings {
    /// What was compared, and how.
    pub comparison: Comparison,
    /// The machine.
    pub host: Host,
    /// All blocks that were begun and not cut short by the user.
    pub blocks: Vec<Block>,
    /// The ratio B/A over the valid blocks; `None` if there are none.
    pub ratio: Option<Estimate>,
    /// The same of the control.
    pub control: Option<Estimate>,
    /// Which server is better.
    pub judgement: Judgement,
    /// What became of the assertions.
    pub claims: Vec<Claim>,
    /// What became of the gates, in their order.
    pub gates: Vec<GateFinding>,
    /// Why the comparison is not valid; none if it is.
    pub invalid: Vec<String>,
    /// What a reader should know beside that.
    pub notes: Vec<String>,
    /// Whether the user ended it before its time.
    pub was_interrupted: bool,
}

/// Why there is nothing to report.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// A server cannot be started, and no block was complete yet.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// A run cannot be made.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The kernel refused what is needed to run servers.
    #[error("cannot run servers: {0}")]
    System(#[from] io::Error),
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

impl Comparison {
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
            stop_timeout: self.stop_timeout,
        }
    }
}

impl Findings {
    /// Whether the comparison is what it claims to be.
    pub fn is_valid(&self) -> bool {
        self.invalid.is_empty()
    }

    /// How the comparison came out.
    pub fn outcome(&self) -> Outcome {
        Outcome::of(Evidence {
            was_interrupted: self.was_interrupted,
            is_invalid: !self.is_valid(),
            is_missed: self.is_missed(),
            is_inconclusive: self.comparison.must_conclude && self.is_inconclusive(),
        })
    }

    /// Whether a server missed an assertion in a valid run, or something is that must not be.
    fn is_missed(&self) -> bool {
        let is_gate_met = self.gates.iter().any(|gate| gate.is_met == Some(true));
        is_gate_met || !self.claims.iter().all(Claim::is_met)
    }

    fn is_inconclusive(&self) -> bool {
        match self.gates.as_slice() {
            [] => matches!(self.judgement, Judgement::Inconclusive(_)),
            gates => gates.iter().any(|gate| gate.is_met.is_none()),
        }
    }

    fn new(comparison: &Comparison, host: Host, series: Series) -> Self {
        let valid = |of: fn(&Block) -> Option<f64>| -> Vec<f64> {
            series.blocks.iter().filter_map(of).collect()
        };
        let seed = comparison.config.seed;
        let ratios = valid(Block::ratio);
        let ratio = Estimate::of(&ratios, seed);
        let control = Estimate::of(&valid(Block::control), seed);
        let invalid = series.invalidity(comparison.blocks);
        let judgement = match (&ratio, &control) {
            (Some(ratio), Some(control)) if invalid.is_empty() => Judgement::of(
                ratio,
                control,
                ratios.len(),
                comparison.metric.better(),
                comparison.min_effect,
            ),
            _ => Judgement::Inconclusive(vec!["the comparison is not valid".to_owned()]),
        };
        let check = |gate: &Gate| gate.check(ratio.as_ref(), control.as_ref());
        Self {
            gates: comparison.gates.iter().map(check).collect(),
            comparison: comparison.clone(),
            host,
            ratio,
            control,
            judgement,
            claims: Claim::all(comparison.config.assertions.len(), &series.blocks),
            invalid,
            notes: notes(comparison, &series, ratios.len()),
            was_interrupted: series.was_interrupted,
            blocks: series.blocks,
        }
    }
}

/// Runs the comparison from its first server to its last. Tells each step before it is made.
///
/// # Errors
///
/// When there is nothing to report: a server that cannot be started in the first block.
/// Whatever else goes wrong is in the findings.
///
/// # Panics
///
/// When there are no blocks, or a number of the configuration is outside its bounds.
pub fn compare(
    comparison: &Comparison,
    on_step: &mut dyn FnMut(Step),
) -> Result<Findings, CompareError> {
    assert!(comparison.blocks >= 1, "at least one block");
    let host = Host::detect();
    let series = Series::make(comparison, on_step)?;
    Ok(Findings::new(comparison, host, series))
}

fn notes(comparison: &Comparison, series: &Series, valid: usize) -> Vec<String> {
    /// With fewer, ratios that all lie on one side do so by chance in more than 5 % of cases.
    const BLOCKS_FOR_CONFIDENCE: usize = 6;
    let mut notes = Vec::new();
    if series.invalid_blocks() > 0 {
        notes.push(format!(
            "blocks that are not valid and left out: {} of {}",
            series.invalid_blocks(),
            series.blocks.len(),
        ));
    }
    if (1..BLOCKS_FOR_CONFIDENCE).contains(&valid) {
        notes.push(format!(
            "{valid} block{} tell{} little of chance: use --blocks {BLOCKS_FOR_CONFIDENCE} or more",
            if valid == 1 { "" } else { "s" },
            if valid == 1 { "s" } else { "" },
        ));
    }
    let shared: Vec<usize> = comparison
        .server_cpus
        .iter()
        .copied()
        .filter(|cpu| comparison.config.cpus.contains(cpu))
        .collect();
    if !shared.is_empty() {
        notes.push(format!(
            "the servers and the generator share CPU {}: each waits for the other",
            super::report::format::list(&shared),
        ));
    }
    notes
}
