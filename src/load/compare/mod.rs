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
mod judgement;
mod metric;
pub mod report;
mod statistics;

use std::io;
use std::time::{Duration, Instant};

pub use self::block::{Block, Order, Side};
pub use self::judgement::Judgement;
pub use self::metric::Metric;
pub use self::statistics::{CONFIDENCE, Estimate, RESAMPLES};
use super::config::{Config, Server, Target};
use super::host::Host;
use super::run::{RunError, run};
pub use super::supervise::{CommandError, Fault, ServerCommand, ServerError, kill_servers};
use super::supervise::{RunningServer, Supervisor, Terms};
use super::watch::Progress;

/// Time that a run takes beside warm-up and measurement: connecting, starting and stopping.
const RUN_OVERHEAD: Duration = Duration::from_millis(200);

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
    /// Why the comparison is not valid; none if it is.
    pub invalid: Vec<String>,
    /// What a reader should know beside that.
    pub notes: Vec<String>,
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
        self.config.warmup + self.config.duration + RUN_OVERHEAD
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
        Self {
            comparison: comparison.clone(),
            host,
            ratio,
            control,
            judgement,
            invalid,
            notes: notes(comparison, &series, ratios.len()),
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
    let mut run = Comparing {
        comparison,
        supervisor: Supervisor::new(comparison.config.interrupt.clone())?,
        begun: Instant::now(),
        runs_made: 0,
        on_step,
    };
    let host = Host::detect();
    let series = run.all_blocks()?;
    Ok(Findings::new(comparison, host, series))
}

/// The blocks that were made, and why there are not more.
#[derive(Default)]
struct Series {
    blocks: Vec<Block>,
    was_interrupted: bool,
    /// A server that ended the comparison.
    fault: Option<String>,
}

impl Series {
    fn valid_blocks(&self) -> usize {
        self.blocks.iter().filter(|block| block.is_valid()).count()
    }

    fn invalid_blocks(&self) -> usize {
        self.blocks.len() - self.valid_blocks()
    }

    /// Why nothing can be concluded from them.
    fn invalidity(&self, planned: usize) -> Vec<String> {
        let mut reasons: Vec<String> = self.fault.iter().cloned().collect();
        let (all, invalid) = (self.blocks.len(), self.invalid_blocks());
        if self.fault.is_none() && (self.valid_blocks() == 0 || is_majority(invalid, planned)) {
            reasons.push(format!(
                "{invalid} of {all} blocks are not valid, at most half of {planned} may be",
            ));
        }
        reasons
    }
}

/// More than half.
fn is_majority(part: usize, whole: usize) -> bool {
    part * 2 > whole
}

/// A comparison under way.
struct Comparing<'a> {
    comparison: &'a Comparison,
    supervisor: Supervisor,
    begun: Instant,
    runs_made: usize,
    on_step: &'a mut dyn FnMut(Step),
}

/// Why a run has no result, and there will be no further one.
enum Stop {
    Interrupted,
    Server(ServerError),
    Run(RunError),
}

impl Comparing<'_> {
    fn all_blocks(&mut self) -> Result<Series, CompareError> {
        let mut series = Series::default();
        for number in 0..self.comparison.blocks {
            let mut block = Block::new(Order::of_block(number));
            match self.fill(&mut block, number) {
                Ok(()) => series.blocks.push(block),
                Err(Stop::Interrupted) if series.blocks.is_empty() => {
                    return Err(RunError::Interrupted { doing: "in the first block" }.into());
                }
                Err(Stop::Interrupted) => {
                    series.was_interrupted = true;
                    return Ok(series);
                }
                Err(Stop::Run(error)) => return Err(error.into()),
                Err(Stop::Server(error)) if error.is_start() && series.blocks.is_empty() => {
                    return Err(error.into());
                }
                Err(Stop::Server(error)) => {
                    series.fault = Some(format!("block {}: {error}", number + 1));
                    series.blocks.push(block);
                    return Ok(series);
                }
            }
            if is_majority(series.invalid_blocks(), self.comparison.blocks) {
                return Ok(series);
            }
        }
        Ok(series)
    }

    fn fill(&mut self, block: &mut Block, number: usize) -> Result<(), Stop> {
        for side in block.order.sides() {
            let step = Step {
                block: number + 1,
                blocks: self.comparison.blocks,
                side,
                remaining: self.remaining(),
                progress: None,
            };
            (self.on_step)(step);
            block.runs.push(self.one_run(step)?);
            self.runs_made += 1;
        }
        Ok(())
    }

    /// The metric of one run, or why it is not valid.
    fn one_run(&mut self, step: Step) -> Result<Result<f64, String>, Stop> {
        let comparison = self.comparison;
        if comparison.config.interrupt.is_raised() {
            return Err(Stop::Interrupted);
        }
        let terms = comparison.terms(step.side);
        let mut server = self.supervisor.start(terms).map_err(Stop::server)?;
        let measured = self.measure(&server, step);
        server.check().map_err(Stop::Server)?;
        server.stop().map_err(Stop::Server)?;
        if comparison.config.interrupt.is_raised() {
            return Err(Stop::Interrupted);
        }
        measured
    }

    fn measure(
        &mut self,
        server: &RunningServer<'_>,
        step: Step,
    ) -> Result<Result<f64, String>, Stop> {
        let config = Config {
            target: Target::at(server.address()),
            server: Server::Started { id: server.id(), cpus: self.comparison.server_cpus.clone() },
            ..self.comparison.config.clone()
        };
        let mut on_progress = |progress: Progress| {
            let remaining = step.remaining.saturating_sub(progress.elapsed);
            (self.on_step)(Step { remaining, progress: Some(progress), ..step });
        };
        match run(&config, &mut on_progress) {
            Ok(report) => Ok(self.comparison.metric.of(&report)),
            Err(error @ (RunError::Connect { .. } | RunError::NothingReceived { .. })) => {
                Ok(Err(error.to_string()))
            }
            Err(RunError::Interrupted { .. }) => Err(Stop::Interrupted),
            Err(error) => Err(Stop::Run(error)),
        }
    }

    fn remaining(&self) -> Duration {
        let to_make = self.comparison.runs() - self.runs_made;
        let run_time = match u32::try_from(self.runs_made) {
            Ok(made @ 1..) => self.begun.elapsed() / made,
            _ => self.comparison.run_time(),
        };
        run_time * to_make as u32
    }
}

impl Stop {
    fn server(error: ServerError) -> Self {
        if error.is_interruption() { Self::Interrupted } else { Self::Server(error) }
    }
}

fn notes(comparison: &Comparison, series: &Series, valid: usize) -> Vec<String> {
    /// With fewer, even ratios that all lie on one side do so by chance in more than 5 % of cases.
    const BLOCKS_FOR_CONFIDENCE: usize = 6;
    let mut notes = Vec::new();
    if series.was_interrupted {
        notes.push(format!(
            "interrupted after {} of {} blocks: who stops when the result pleases them finds \
             differences that are not there",
            series.blocks.len(),
            comparison.blocks,
        ));
    }
    if series.invalid_blocks() > 0 {
        notes.push(format!(
            "blocks that are not valid and left out: {} of {}",
            series.invalid_blocks(),
            series.blocks.len(),
        ));
    }
    if (1..BLOCKS_FOR_CONFIDENCE).contains(&valid) {
        notes.push(format!(
            "an interval of {valid} block{} holds the truth less often than {} % of the time: use \
             --blocks {BLOCKS_FOR_CONFIDENCE} or more",
            if valid == 1 { "" } else { "s" },
            CONFIDENCE * 100.0,
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
