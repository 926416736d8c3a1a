//! The report of a run for people: the answer, what it is worth, and in full everything behind it.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::document::{LatencyNs, Percentiles, Report, Settings, Throughput};
use super::page::{Detail, Finding, In, Page, Text, View};
use super::probes::name_of;
use super::table::{self, Kind};
use super::words::{
    Subject, clock, headline, host, measured, moments, nanos_or_dash, on_cpus, per_s, started,
    window,
};
use super::{histogram, strip};
use crate::load::config::Config;
use crate::load::config::assertion::{AssertionResult, Measured};
use crate::load::config::quantile::Quantile;
use crate::load::format::{bytes, count, counted, nanos, percent};
use crate::load::outcome::Outcome;
use crate::load::record::host::Host;
use crate::load::record::recorder::Totals;
use crate::load::record::transport::Transport;
use crate::load::record::watch::Tag;

/// The line that says what is about to be run, and with which its report begins.
pub fn announcement(config: &Config) -> String {
    let subject = Subject { command: None, target: Some(name_of(config)) };
    headline(subject, Outcome::Passed, &Settings::from(config), "")
}

/// This line as the head of a report, whose rest comes when the run is over.
pub fn head(config: &Config, view: &View) -> String {
    let mut page = Page::default();
    page.line(In::USUAL, announcement(config), HEADLINE_INDENT);
    page.render(view)
}

/// Where a headline goes on that is longer than a line.
const HEADLINE_INDENT: usize = 15;

/// The usual detail.
impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text(&View::default()))
    }
}

impl Text for Report {
    fn text(&self, view: &View) -> String {
        self.page(view, true)
    }

    /// The head knows nothing of the verdict: where the numbers may not be used, the first line of
    /// the report says so.
    fn rest(&self, view: &View) -> String {
        self.page(view, !self.verdict.outcome.is_valid())
    }
}

impl Report {
    fn page(&self, view: &View, has_headline: bool) -> String {
        let mut page = Page::new(self.verdict.valid);
        let latencies = latencies(self.latency_ns.main(), self.main_latency(), view);
        page.brief(rate(&self.throughput).0, &format!("{} msg/s  {latencies}", self.rate()));
        let outcome = self.verdict.outcome;
        if has_headline {
            let subject = Subject { command: None, target: Some(self.target.shown_name()) };
            let headline = headline(subject, outcome, &self.config, "");
            page.line(In::USUAL, headline, HEADLINE_INDENT);
        }
        page.blank(In::USUAL);
        self.add_rate(&mut page);
        page.measured(In::USUAL, "Latency", latencies);
        self.add_distribution(&mut page);
        self.add_parts(&mut page);
        self.add_server_cpu(&mut page);
        self.add_errors(&mut page);
        page.row(In::USUAL, "Assertions", assertions(&self.verdict.assertions));
        self.add_setting(&mut page);
        self.add_tables(&mut page, view);
        page.blank(In::USUAL);
        add_verdict(
            &mut page,
            view,
            &Conclusion {
                outcome,
                aside: &missed(&self.verdict.assertions),
                findings: findings(&self.verdict.reasons, &self.verdict.warnings),
            },
        );
        page.render(view)
    }

    fn rate(&self) -> String {
        per_s(self.throughput.messages_per_s)
    }

    fn add_rate(&self, page: &mut Page) {
        let (label, text) = rate(&self.throughput);
        page.measured(In::USUAL, label, text);
    }

    /// In full a table of numbers takes its place.
    fn add_distribution(&self, page: &mut Page) {
        if !self.verdict.valid {
            return;
        }
        let moments = moments(self.main_tag());
        page.row(In::USUAL_ONLY, "", format!("{}  {moments}", strip::draw(self.main_latency())));
    }

    /// Times that are parts of the latency, and what a connection takes.
    fn add_parts(&self, page: &mut Page) {
        let LatencyNs { send_lag, connect, close, .. } = &self.latency_ns;
        let p99 = |known: &Percentiles| nanos_or_dash(known.p99);
        if let Some(connect) = connect {
            let p50 = nanos_or_dash(connect.p50);
            let closing = close.as_ref().map(|close| format!("  closing p99 {}", p99(close)));
            page.measured(
                In::USUAL_ONLY,
                "Connecting",
                format!("p50 {p50}  p99 {}{}", p99(connect), closing.unwrap_or_default()),
            );
        }
        if !self.verdict.valid {
            return;
        }
        let parts =
            [("send delay", send_lag.as_ref()), ("host stalls", Some(&self.host.hiccup_ns))];
        let parts = parts.into_iter().filter_map(|(name, known)| {
            let Percentiles { p99, max, .. } = known?;
            let p99 = p99.map(|p99| format!("p99 {}, ", nanos(p99))).unwrap_or_default();
            Some(format!("{name} {p99}max {}", nanos((*max)?)))
        });
        page.row(In::USUAL_ONLY, "of which", parts.collect::<Vec<_>>().join("  "));
    }

    fn add_server_cpu(&self, page: &mut Page) {
        let Some(cpu) = self.server_cpu else {
            page.row(In::FULL, "Server CPU", "unknown: its threads cannot be seen");
            return;
        };
        let spent = nanos(cpu.cpu_ns_per_message.round() as u64);
        let place = on_cpus(self.config.server_cpus.as_deref().unwrap_or_default());
        let waited = cpu
            .waited_share
            .map(|share| format!(", waiting for a CPU {} of the time", percent(share)));
        let text = format!("{spent}/msg{place}{}", waited.unwrap_or_default());
        page.measured(In::USUAL, "Server CPU", text);
    }

    fn add_errors(&self, page: &mut Page) {
        let errors = self.errors();
        if !errors.is_empty() {
            page.row(In::USUAL, "Errors", errors.join("  "));
        } else if self.verdict.valid {
            let sent = count(self.totals.sent);
            page.row(
                In::USUAL_ONLY,
                "Errors",
                format!("none: {sent} sent, all answered and verified"),
            );
        }
    }

    /// Everything that went wrong, each a few words.
    fn errors(&self) -> Vec<String> {
        let Totals { sent, received, lost, corrupted, unsent, connect_errors, .. } = self.totals;
        let totals = [
            (lost, format!("{} of {} sent lost", count(lost), count(sent))),
            (corrupted, format!("{} of {} replies corrupted", count(corrupted), count(received))),
            (unsent, format!("{} never sent", count(unsent))),
            (connect_errors, format!("{} not made", counted(connect_errors, "connection"))),
        ];
        let totals = totals.into_iter().filter(|(number, _)| *number > 0).map(|(_, text)| text);
        let endings = self.verdict.endings.iter().filter(|(_, connections)| **connections > 0);
        let endings = endings
            .map(|(kind, number)| (counted(*number, "connection"), kind.replace('_', " ")))
            .map(|(connections, kind)| format!("{connections} ended ({kind})"));
        totals.chain(endings).collect()
    }

    fn add_setting(&self, page: &mut Page) {
        let settings = Settings { duration_ns: self.verdict.measured_ns, ..self.config.clone() };
        let host_use = &self.host;
        let spent = host_use
            .generator_cpu_ns_per_message
            .map_or("unknown".to_owned(), |ns| format!("{}/msg", nanos(ns.round() as u64)));
        let used = match (host_use.generator_busy_share, host_use.generator_cpu_share) {
            (Some(busy), _) => format!(", polling included, busy {} of the time", percent(busy)),
            (None, Some(used)) => format!(", {} of its threads' time", percent(used)),
            (None, None) => String::new(),
        };
        page.row(In::FULL, "Generator", format!("{spent}{used}"));
        page.row(In::FULL, "Totals", totals(&self.totals));
        if self.config.reconnect.is_some() {
            let (made, failed) = (self.totals.connections, self.totals.connect_errors);
            let text = format!("{} made  {} attempts failed", count(made), count(failed));
            page.row(In::FULL, "Connections", text);
        }
        if !self.transport.is_clean() {
            page.row(In::USUAL, "TCP", transport(&self.transport));
        }
        page.blank(In::FULL);
        let cpus = on_cpus(self.config.server_cpus.as_deref().unwrap_or_default());
        let embedded = if self.target.embedded { ", in this process" } else { "" };
        page.row(In::FULL, "Target", format!("{}{embedded}{cpus}", self.target.address));
        add_host(page, &settings, &host_use.host, "", &self.stolen());
    }

    /// The share of time that the hypervisor took, if it took anything.
    fn stolen(&self) -> String {
        match self.host.stolen_ns {
            Some(ns @ 1..) => {
                let all_ns = self.verdict.measured_ns as f64 * self.host.host.cpus as f64;
                format!(", {} of their time stolen", percent(ns as f64 / all_ns))
            }
            _ => String::new(),
        }
    }

    fn add_tables(&self, page: &mut Page, view: &View) {
        let (known, latency) = (&self.latency_ns, &self.latency);
        let kinds = [
            (Tag::Response, known.response.as_ref(), &latency.response),
            (Tag::Service, Some(&known.service), &latency.service),
            (Tag::SendLag, known.send_lag.as_ref(), &latency.send_lag),
            (Tag::Connect, known.connect.as_ref(), &latency.connect),
            (Tag::Close, known.close.as_ref(), &latency.close),
            (Tag::Hiccup, Some(&self.host.hiccup_ns), &latency.hiccup),
        ];
        let kinds: Vec<Kind<'_>> = kinds
            .into_iter()
            .filter_map(|(tag, known, histogram)| {
                Some(Kind { name: tag.label().to_owned(), known: known?, histogram })
            })
            .collect();
        table::add(page, In::FULL, &kinds, view);
        let title = self.main_tag().title();
        page.blank(In::FULL);
        page.table(In::FULL, format!("{title}\n{}", histogram::draw(self.main_latency())));
    }

    /// The kind of the latency that users feel.
    fn main_tag(&self) -> Tag {
        if self.latency_ns.response.is_some() { Tag::Response } else { Tag::Service }
    }
}

/// The rate and the latencies of a part of a run, in one line.
pub fn pace(length: Duration, latencies: &Histogram<u64>, view: &View) -> String {
    let rate = per_s(latencies.len() as f64 / length.as_secs_f64());
    let known = Percentiles::from(latencies);
    format!("{rate:>9} msg/s  {}", self::latencies(&known, latencies, view))
}

/// Messages by what became of them.
pub(super) fn totals(totals: &Totals) -> String {
    let Totals { sent, received, lost, corrupted, unsent, .. } = *totals;
    let [sent, received, lost, corrupted, unsent] =
        [sent, received, lost, corrupted, unsent].map(count);
    format!(
        "{sent} sent  {received} received  {lost} lost  {corrupted} corrupted  {unsent} never sent"
    )
}

/// The rate, of what was offered where that was a rate, and its label.
pub(super) fn rate(throughput: &Throughput) -> (&'static str, String) {
    let rate = per_s(throughput.messages_per_s);
    let bytes = format!("{}/s in each direction", bytes(throughput.bytes_per_s));
    match throughput.offered_per_s {
        Some(offered) => {
            let share = percent(throughput.messages_per_s / offered);
            let offered = per_s(offered);
            ("Rate", format!("{rate} of {offered} msg/s ({share})  {bytes}"))
        }
        None => ("Throughput", format!("{rate} msg/s  {bytes}")),
    }
}

/// Percentiles and the largest in one line.
pub(super) fn latencies(known: &Percentiles, histogram: &Histogram<u64>, view: &View) -> String {
    let chosen = view.percentiles.as_slice();
    // One that was not asked for is not missed where too few samples tell it.
    let main: Vec<Quantile>;
    let shown = if chosen.is_empty() {
        // Beside the rate a line has room for one less.
        let has_room = |main: &Quantile| view.detail != Detail::Brief || *main != Quantile::P90;
        let is_told = |main: &Quantile| main.of(histogram).is_some();
        main = Quantile::MAIN.into_iter().filter(has_room).filter(is_told).collect();
        &main
    } else {
        chosen
    };
    let quantiles = shown
        .iter()
        .map(|quantile| format!("{} {}", quantile.name(), nanos_or_dash(quantile.of(histogram))));
    let max = format!("max {}", nanos_or_dash(known.max));
    quantiles.chain([max]).collect::<Vec<_>>().join("  ")
}

/// From where it was measured, in full; `each` names what there are several of, and `beside` is
/// said of the host.
pub(in crate::load) fn add_host(
    page: &mut Page,
    settings: &Settings,
    host: &Host,
    each: &str,
    beside: &str,
) {
    page.row(In::FULL, "Measured", window(settings, each));
    page.row(In::FULL, "Host", format!("{}{beside}", self::host(host)));
    host.clock.iter().for_each(|kept| page.row(In::FULL, "Clock", clock(kept)));
    started(host).into_iter().for_each(|started| page.row(In::FULL, "Started", started));
}

fn transport(transport: &Transport) -> String {
    let parts = [
        (transport.redialed_syns, "SYN", "sent anew"),
        (transport.retransmitted_segments, "segment", "retransmitted"),
        (transport.listen_drops.unwrap_or(0), "handshake", "dropped by listeners of this host"),
    ];
    let parts = parts.into_iter().filter(|(number, ..)| *number > 0);
    let parts = parts.map(|(number, thing, done)| format!("{} {done}", counted(number, thing)));
    parts.collect::<Vec<_>>().join("  ")
}

fn assertions(results: &[AssertionResult]) -> String {
    let one = |AssertionResult { assertion, measured, met }: &AssertionResult| {
        let mark = match (met, measured) {
            (true, _) => "✓",
            (false, Measured::Withheld) => "?",
            (false, _) => "✗",
        };
        format!("{mark} {assertion} ({})", self::measured(*measured))
    };
    results.iter().map(one).collect::<Vec<_>>().join("  ")
}

/// How many assertions were missed, where some were.
fn missed(results: &[AssertionResult]) -> String {
    let missed = results.iter().filter(|result| !result.met).count() as u64;
    if missed == 0 { String::new() } else { format!(", {} missed", counted(missed, "assertion")) }
}

pub(in crate::load) fn findings(reasons: &[String], notes: &[String]) -> Vec<Finding> {
    let reasons = reasons.iter().map(|reason| Finding::reason(reason));
    reasons.chain(notes.iter().map(|note| Finding::note(note))).collect()
}

/// The end of a report.
pub(in crate::load) struct Conclusion<'a> {
    pub(in crate::load) outcome: Outcome,
    /// Words that go on behind that of the verdict, if there are any.
    pub(in crate::load) aside: &'a str,
    pub(in crate::load) findings: Vec<Finding>,
}

/// The word of the verdict with the exit code where that is not 0, and what led to it.
pub(in crate::load) fn add_verdict(page: &mut Page, view: &View, conclusion: &Conclusion<'_>) {
    let Conclusion { outcome, aside, findings } = conclusion;
    /// Of numbers that are worth it, where the blanks do not part.
    const SAVE_HINT: &str = "details: -v\u{a0}\u{a0}save: -o run.json";
    let advice = match outcome.verdict() {
        "INVALID" => ": do not use these numbers",
        _ => "",
    };
    let code = match outcome.exit_code() {
        0 => String::new(),
        code => format!(" (exit code {code})"),
    };
    let verdict = format!("{}{advice}{aside}{code}", outcome.verdict());
    let first = findings.first().filter(|_| !outcome.is_valid());
    let why = first.map(|finding| format!(": {}", finding.fact())).unwrap_or_default();
    page.brief("Verdict", &format!("{}{aside}{code}{why}", outcome.verdict()));
    match (view.has_hints, outcome.is_valid()) {
        (true, true) => page.spread(In::USUAL_ONLY, &verdict, SAVE_HINT),
        (true, false) => page.spread(In::USUAL_ONLY, &verdict, "details: -v"),
        (false, _) => page.line(In::USUAL_ONLY, verdict.as_str(), 2),
    }
    page.line(In::FULL, verdict, 2);
    page.findings(In::USUAL, findings.clone());
}
