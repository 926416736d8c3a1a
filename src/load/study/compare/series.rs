//! The runs of a comparison, one after the other: each with a server of its own.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::block::{Block, Order, Run, Side};
use super::{CompareError, Comparison, Event, Step};
use crate::load::config::assertion::AssertionResult;
use crate::load::config::{Config, Server, Target};
use crate::load::error::RunError;
use crate::load::format::part;
use crate::load::record::latencies::histogram;
use crate::load::record::watch::Progress;
use crate::load::run::run;
use crate::load::study::supervise::RunningServer;

/// The blocks that were made, and why there are not more.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) blocks: Vec<Block>,
    /// The results of the assertions in each run that is valid.
    pub(super) results: Vec<(Side, Vec<AssertionResult>)>,
    /// The warnings of each run that is valid.
    pub(super) warnings: Vec<Vec<String>>,
    /// The latencies of A and B in all runs that are valid.
    pub(super) latencies: [Histogram<u64>; 2],
    pub(super) was_interrupted: bool,
    /// A server that ended the comparison.
    fault: Option<String>,
}

impl Series {
    fn new() -> Self {
        Self {
            blocks: Vec::new(),
            results: Vec::new(),
            warnings: Vec::new(),
            latencies: [histogram(), histogram()],
            was_interrupted: false,
            fault: None,
        }
    }

    /// Makes all runs of a comparison. Reports each step before it is made, and how it goes.
    pub(super) fn make(
        comparison: &Comparison,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<Self, CompareError> {
        let mut comparing =
            Comparing { comparison, started: Instant::now(), runs_made: 0, on_event };
        comparing.all_blocks()
    }

    fn add(&mut self, order: Order, runs: Vec<Run>) {
        self.blocks.push(Block::new(order, &runs));
        for (side, run) in order.sides().into_iter().zip(runs) {
            if !run.results.is_empty() {
                self.results.push((side, run.results));
            }
            if let Some(latency) = run.latency {
                self.latencies[side as usize] += latency;
                self.warnings.push(run.warnings);
            }
        }
    }

    fn valid_blocks(&self) -> usize {
        self.blocks.iter().filter(|block| block.valid).count()
    }

    pub(super) fn invalid_blocks(&self) -> usize {
        self.blocks.len() - self.valid_blocks()
    }

    /// Why nothing can be concluded from them.
    pub(super) fn invalidity(&self, planned: usize) -> Vec<String> {
        let mut reasons: Vec<String> = self.fault.iter().cloned().collect();
        let (all, invalid) = (self.blocks.len(), self.invalid_blocks());
        if self.was_interrupted {
            reasons.push(format!(
                "interrupted after {}: who stops when the result pleases them finds differences \
                 that are not there",
                part(all as u64, planned as u64, "block"),
            ));
        } else if self.fault.is_none()
            && (self.valid_blocks() == 0 || is_majority(invalid, planned))
        {
            reasons.push(match planned {
                1 => "the only block is not valid".to_owned(),
                _ => format!("{invalid} of {planned} blocks are not valid, at most half may be"),
            });
        }
        reasons
    }
}

fn is_majority(part: usize, whole: usize) -> bool {
    part * 2 > whole
}

struct Comparing<'a> {
    comparison: &'a Comparison,
    started: Instant,
    runs_made: usize,
    on_event: &'a mut dyn FnMut(Event<'_>),
}

impl Comparing<'_> {
    fn all_blocks(&mut self) -> Result<Series, CompareError> {
        let mut series = Series::new();
        for number in 0..self.comparison.blocks {
            let (order, mut runs) = (Order::of_block(number), Vec::new());
            let is_first = series.blocks.is_empty();
            match self.fill(&mut runs, order, number) {
                Ok(()) => self.add(&mut series, order, runs),
                Err(error) if error.is_interruption() && is_first => {
                    return Err(RunError::Interrupted { doing: "in the first block" }.into());
                }
                Err(error) if error.is_interruption() => {
                    series.was_interrupted = true;
                    return Ok(series);
                }
                Err(CompareError::Server(error)) if !(error.is_start() && is_first) => {
                    series.fault = Some(format!("block {}: {error}", number + 1));
                    self.add(&mut series, order, runs);
                    return Ok(series);
                }
                Err(error) => return Err(error),
            }
            if is_majority(series.invalid_blocks(), self.comparison.blocks) {
                return Ok(series);
            }
        }
        Ok(series)
    }

    fn add(&mut self, series: &mut Series, order: Order, runs: Vec<Run>) {
        series.add(order, runs);
        series.blocks.last().into_iter().for_each(|block| (self.on_event)(Event::Block(block)));
    }

    fn fill(
        &mut self,
        runs: &mut Vec<Run>,
        order: Order,
        number: usize,
    ) -> Result<(), CompareError> {
        for side in order.sides() {
            let step = Step {
                block: number + 1,
                blocks: self.comparison.blocks,
                side,
                remaining: self.remaining(),
                progress: None,
            };
            (self.on_event)(Event::Step(step));
            runs.push(self.one_run(step)?);
            self.runs_made += 1;
        }
        Ok(())
    }

    fn one_run(&mut self, step: Step) -> Result<Run, CompareError> {
        let comparison = self.comparison;
        self.check_interrupt()?;
        let mut server = comparison.terms(step.side).start()?;
        let measured = self.measure(&server, step);
        server.check()?;
        server.stop()?;
        self.check_interrupt()?;
        measured
    }

    fn check_interrupt(&self) -> Result<(), RunError> {
        match self.comparison.config.interrupt.is_raised() {
            true => Err(RunError::Interrupted { doing: "comparing" }),
            false => Ok(()),
        }
    }

    fn measure(&mut self, server: &RunningServer<'_>, step: Step) -> Result<Run, CompareError> {
        let comparison = self.comparison;
        let config = Config {
            target: Target {
                name: comparison.terms(step.side).title(),
                addresses: vec![server.address()],
            },
            server: Server::Started { id: server.id(), cpus: comparison.server_cpus.clone() },
            ..comparison.config.clone()
        };
        let mut on_progress = |progress: Progress| {
            let remaining = step.remaining.saturating_sub(progress.elapsed);
            (self.on_event)(Event::Step(Step { remaining, progress: Some(progress), ..step }));
        };
        match run(&config, &mut on_progress) {
            Ok(report) => {
                let metric = comparison.metric.of(&report);
                Ok(match report.verdict.valid {
                    true => Run {
                        metric,
                        latency: Some(report.main_latency().clone()),
                        results: report.verdict.assertions,
                        warnings: report.verdict.warnings,
                    },
                    false => Run::without_results(metric),
                })
            }
            // In the first run of A or B: the command runs something else.
            Err(error @ RunError::NoEcho { .. }) if self.runs_made < 2 => Err(error.into()),
            Err(
                error @ (RunError::Connect { .. }
                | RunError::NoEcho { .. }
                | RunError::NothingReceived { .. }),
            ) => Ok(Run::without_results(Err(error.to_string()))),
            Err(error) => Err(error.into()),
        }
    }

    fn remaining(&self) -> Duration {
        let to_make = self.comparison.runs() - self.runs_made;
        let run_time = match u32::try_from(self.runs_made) {
            Ok(made @ 1..) => self.started.elapsed() / made,
            _ => self.comparison.run_time(),
        };
        run_time * to_make as u32
    }
}
