//! The latencies of two servers that were compared.

use hdrhistogram::Histogram;

use super::figure::Figure;
use super::percentiles::{self, Series};
use super::run::{explain, messages, pace};
use super::saved::warning;
use crate::load::outcome::Outcome;
use crate::load::record::host::Host;
use crate::load::record::watch::Tag;
use crate::load::report::document::{LoopKind, Settings};
use crate::load::report::words::{host, started};

/// A server and its latencies in all of its runs that are valid.
pub struct Compared<'a> {
    /// In the legend.
    pub name: &'static str,
    /// The words that start it.
    pub command: &'a str,
    /// In nanoseconds.
    pub latency: &'a Histogram<u64>,
}

/// The picture of servers that were measured alike, as SVG.
pub fn comparison_picture(
    servers: &[Compared<'_>; 2],
    (config, place): (&Settings, &Host),
    (outcome, reasons): (Outcome, &[String]),
) -> String {
    let latency = match config.loop_kind {
        LoopKind::Open => Tag::Response,
        LoopKind::Closed => Tag::Service,
    };
    let commands = servers.iter().map(|server| format!("{}: {}", server.name, server.command));
    let (name, moments) = explain(latency.name());
    let latency = format!("{name}: {moments}");
    let facts = commands.chain([latency, pace(config), messages(config), host(place)]).collect();
    let series = servers.each_ref().map(|server| Series::of(server.name, server.latency));
    let figure = Figure {
        title: format!("Latency of {} and {}", servers[0].name, servers[1].name),
        date: started(place),
        facts,
        warnings: warning(outcome, reasons).into_iter().collect(),
        charts: vec![percentiles::chart(&series)],
    };
    figure.svg()
}
