//! One run of several that differ only in their rate, and the series of them.

use std::time::Duration;

use crate::load::config::{Config, Load};
use crate::load::error::RunError;
use crate::load::record::watch::Progress;
use crate::load::report::document::Settings;
use crate::load::report::probes::Probe;
use crate::load::run::run;

impl Probe {
    /// Measures at this rate. The run drains before it ends, so that nothing of it is left for
    /// the next one. A server that was there before and takes no connections now is a result.
    fn measure(
        config: &Config,
        rate: u64,
        is_first: bool,
        on_progress: &mut dyn FnMut(Progress),
    ) -> Result<Self, RunError> {
        match run(&at_rate(config, rate), on_progress) {
            Ok(run) => Ok(Self {
                rate_per_s: rate,
                valid: run.verdict.valid,
                reasons: run.verdict.reasons.clone(),
                run: Some(run),
            }),
            Err(error @ RunError::NothingReceived { .. }) => Ok(Self::without_reply(rate, &error)),
            Err(error @ (RunError::Connect { .. } | RunError::NoEcho { .. })) if !is_first => {
                Ok(Self::without_reply(rate, &error))
            }
            Err(error) => Err(error),
        }
    }

    fn without_reply(rate_per_s: u64, error: &RunError) -> Self {
        Self { rate_per_s, valid: false, reasons: vec![error.to_string()], run: None }
    }
}

fn at_rate(config: &Config, rate: u64) -> Config {
    let load = match config.load {
        Load::Closed => Load::at_rate(rate),
        Load::Open { arrival, .. } => Load::Open { rate, arrival },
    };
    Config { load, ..config.clone() }
}

/// How far a series of probes is.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// The probe under way, counted from 1.
    pub number: usize,
    /// How many there will be, where that is known.
    pub of: Option<usize>,
    /// Its rate.
    pub rate: u64,
    /// How it is going; `None` before it started.
    pub progress: Option<Progress>,
}

/// Something that a series reports while it goes on.
#[derive(Debug)]
pub enum Event<'a, P> {
    /// A step that is made next, and how it goes.
    Step(Step),
    /// A probe that was measured.
    Probe(&'a P),
}

/// The next rate after a probe was measured; it reports the probe.
pub(super) type Next<'a, P> =
    &'a mut dyn FnMut(Option<Probe>, &mut dyn FnMut(Event<'_, P>)) -> Option<u64>;

/// Measures at the rates that `next` asks for, each after it was given the probe before, until it
/// asks for none or the user ends the series: half a run is no probe. Reports each step before it
/// is made, and how it goes. Returns whether the user ended it.
pub(super) fn measure_series<P>(
    config: &Config,
    of: Option<usize>,
    on_event: &mut dyn FnMut(Event<'_, P>),
    next: Next<'_, P>,
) -> Result<bool, RunError> {
    let (mut number, mut is_first) = (1, true);
    let mut rate = next(None, on_event);
    while let Some(rate_per_s) = rate {
        let step = Step { number, of, rate: rate_per_s, progress: None };
        on_event(Event::Step(step));
        let mut on_progress =
            |progress| on_event(Event::Step(Step { progress: Some(progress), ..step }));
        let probe = Probe::measure(config, rate_per_s, is_first, &mut on_progress);
        if config.interrupt.is_raised() {
            return match is_first {
                true => Err(RunError::Interrupted { doing: "measuring the first rate" }),
                false => Ok(true),
            };
        }
        rate = next(Some(probe?), on_event);
        is_first = false;
        // Of so many, one that is made again is the same.
        number += usize::from(of.is_none() || rate != Some(rate_per_s));
    }
    Ok(false)
}

/// About how long a probe takes.
pub fn probe_time(config: &Config) -> Duration {
    const OVERHEAD: Duration = Duration::from_millis(100);
    config.ramp_up + config.warmup + config.duration + OVERHEAD
}

pub(super) fn settings(config: &Config) -> Settings {
    Settings { rate_per_s: None, ..Settings::from(config) }
}
