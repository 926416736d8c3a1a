//! The facts and the curves of a run, by its report.

use hdrhistogram::Histogram;

use super::History;
use super::label;
use super::percentiles::{Point, Series};
use super::saved::{Curves, RunCurves, Saved, warning};
use super::together::picture_of;
use crate::load::format::count;
use crate::load::record::watch::Tag;
use crate::load::report::Report;
use crate::load::report::document::{Percentiles, Settings};
use crate::load::report::words::{host_facts, sizes};

/// The picture of a run that has just ended, as SVG.
pub fn run_picture(report: &Report, history: History) -> String {
    let run = Saved::from(report).with_history(history);
    picture_of("a run", run)
}

impl Saved {
    pub(super) fn with_history(mut self, history: History) -> Self {
        let (seconds, per_point) = history.into_timeline();
        if let Some(per_point) = per_point {
            let per_point = label::latency(per_point.as_nanos() as f64);
            self.facts.push(format!("over time: the worst interval of every {per_point}"));
        }
        if let Curves::Run(run) = &mut self.curves {
            run.timeline = seconds;
        }
        self
    }
}

impl From<&Report> for Saved {
    fn from(report: &Report) -> Self {
        let latency = &report.latency_ns;
        let of_open_loop = latency.response.as_ref();
        let response =
            of_open_loop.map(|known| series(Tag::Response, known, &report.latency.response));
        let service = series(Tag::Service, &latency.service, &report.latency.service);
        let per_s = count(report.throughput.messages_per_s.round() as u64);
        let facts = [pace(&report.config), messages(&report.config), format!("{per_s}/s answered")];
        Self {
            kind: "a run",
            target: Some(report.target.title().to_owned()),
            facts: facts.into_iter().chain(host_facts(&report.host.host)).collect(),
            warning: warning(report.verdict.outcome, &report.verdict.reasons),
            curves: Curves::Run(RunCurves {
                latencies: response.into_iter().chain([service]).collect(),
                timeline: None,
            }),
        }
    }
}

/// The whole distribution where it is there, or the percentiles that are known of it.
fn series(tag: Tag, known: &Percentiles, histogram: &Histogram<u64>) -> Series {
    if !histogram.is_empty() {
        return Series::of(explain(tag.name()), histogram);
    }
    let firm = known.quantiles().map(|(quantile, ns)| (quantile.share(), ns));
    let firm = [(0.0, known.min)]
        .into_iter()
        .chain(firm)
        .filter_map(|(quantile, ns)| Some(Point { quantile, latency_ns: ns?, is_firm: true }));
    let slowest = known.max.filter(|_| known.count > 0);
    let slowest = slowest.map(|latency_ns| Point::slowest(known.count, latency_ns));
    Series { name: explain(tag.name()), points: firm.chain(slowest).collect() }
}

pub(super) fn pace(config: &Settings) -> String {
    match config.rate_per_s {
        Some(rate) => format!("open loop at {}/s", count(rate)),
        None => format!("closed loop, {} in flight each", config.depth),
    }
}

pub(super) fn messages(config: &Settings) -> String {
    format!("{}, {}", sizes(config), config.protocol.name())
}

/// The moments that a latency lies between, by its tag; an unknown tag stands for itself.
pub(super) fn explain(tag: &str) -> String {
    match Tag::of_name(tag) {
        Some(Tag::Response) => format!("{tag}, from the intended send to the reply"),
        Some(Tag::Service) => format!("{tag}, from the send to the reply"),
        _ => tag.to_owned(),
    }
}
