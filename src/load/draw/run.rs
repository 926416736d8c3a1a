//! The facts and the curves of a run, by its report.

use hdrhistogram::Histogram;

use super::History;
use super::label;
use super::percentiles::{Point, Series};
use super::saved::{Curves, RunCurves, Saved, warning};
use super::timeline::Timeline;
use super::together::picture_of;
use crate::load::format::count;
use crate::load::record::watch::Tag;
use crate::load::report::Report;
use crate::load::report::document::{Percentiles, Settings};
use crate::load::report::words::{host, moments, sizes, started};

/// The picture of a run that has just ended, as SVG.
pub fn run_picture(report: &Report, history: History) -> String {
    let offered_per_s = report.throughput.offered_per_s;
    picture_of("a run", Saved::from(report).with_history(history, offered_per_s))
}

impl Saved {
    /// With what was seen over time, of messages of which so many a second were to be sent.
    pub(super) fn with_history(mut self, history: History, offered_per_s: Option<f64>) -> Self {
        let (timeline, per_point) = history.into_timeline();
        if let Some(per_point) = per_point {
            let per_point = label::latency(per_point.as_nanos() as f64);
            self.facts.push(format!("over time: the worst interval of every {per_point}"));
        }
        if let Curves::Run(run) = &mut self.curves {
            run.timeline = timeline.map(|timeline| Timeline { offered_per_s, ..timeline });
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
            facts: facts.into_iter().chain([host(&report.host.host)]).collect(),
            date: started(&report.host.host),
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
        return named(tag.name(), histogram);
    }
    let firm = known.quantiles().map(|(quantile, ns)| (quantile.share(), ns));
    let firm = firm
        .into_iter()
        .filter_map(|(quantile, ns)| Some(Point { quantile, latency_ns: ns?, is_firm: true }));
    let slowest = known.max.filter(|_| known.count > 0);
    let slowest = slowest.map(|latency_ns| Point::slowest(known.count, latency_ns));
    let (name, moments) = explain(tag.name());
    Series { name, moments, points: firm.chain(slowest).collect() }
}

/// The latencies of a tag.
pub(super) fn named(tag: &str, histogram: &Histogram<u64>) -> Series {
    let (name, moments) = explain(tag);
    Series { moments, ..Series::of(name, histogram) }
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

/// A latency's name and the moments that it lies between, by its tag; an unknown tag stands for
/// itself.
pub(super) fn explain(tag: &str) -> (String, &'static str) {
    match Tag::of_name(tag) {
        Some(known @ Tag::Response) => ("response time".to_owned(), moments(known)),
        Some(known @ Tag::Service) => ("service time".to_owned(), moments(known)),
        _ => (tag.to_owned(), ""),
    }
}
