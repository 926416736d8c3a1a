//! The report for people: what was measured, rates, latencies, a picture, and what it is worth.

use std::fmt::{self, Write};

use super::document::{LoopKind, Report, Settings, Target};
use super::table::{write_head, write_picture, write_row};
use crate::cpus::format_list;
use crate::load::config::assertion::{AssertionResult, Measured};
use crate::load::format::{bytes, count, counted, minute, nanos, percent};
use crate::load::outcome::Outcome;
use crate::load::record::host::Host;
use crate::load::record::transport::Transport;
use crate::load::record::watch::Tag;

/// Lines of at most 100 columns, except where a name or a reason is longer.
impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_setting(out, self)?;
        write_rates(out, self)?;
        write_latencies(out, self)?;
        write_totals(out, self)?;
        write_results(out, self)?;
        write_verdict(out, self.verdict.outcome, &self.verdict.reasons, &self.verdict.warnings)
    }
}

fn write_setting(out: &mut impl Write, report: &Report) -> fmt::Result {
    writeln!(out, "ringback-load: {}", load(&report.config))?;
    write_target(out, Some(&report.target), &report.config)?;
    // An interrupted run measured for less time than was planned.
    let measured = Settings { duration_ns: report.verdict.measured_ns, ..report.config.clone() };
    write_generator(out, &measured, "")?;
    write_host(out, &report.host.host, &stolen(report))
}

/// The load in words; an open loop without a rate is measured at several.
pub(in crate::load) fn load(config: &Settings) -> String {
    let depth = config.depth;
    let pace = match (config.loop_kind, config.arrival) {
        (LoopKind::Closed, _) => format!("closed loop, {depth} in flight each"),
        (LoopKind::Open, arrival) => {
            let rate = config.rate_per_s.map(|rate| format!("{}/s", count(rate)));
            let rate = rate.as_deref().unwrap_or("each rate");
            let arrival = arrival.unwrap_or_default().name();
            format!("open loop at {rate} ({arrival}), at most {depth} in flight each")
        }
    };
    format!("{} messages, {}, {pace}", sizes(config), config.protocol.name())
}

pub(in crate::load) fn sizes(config: &Settings) -> String {
    let size = match config.size_bytes {
        Some(only) => bytes(only as f64),
        None => format!("{} B", config.sizes),
    };
    format!("{} connections × {size}", count(config.connections as u64))
}

/// The line of a report's head that says where the server is; none where it never answered.
pub(in crate::load) fn write_target(
    out: &mut impl Write,
    target: Option<&Target>,
    config: &Settings,
) -> fmt::Result {
    let Some(Target { name, address, embedded }) = target else { return Ok(()) };
    let resolved = if name == address { String::new() } else { format!(" ({address})") };
    let place = if *embedded { ", embedded in this process" } else { "" };
    let cpus = on_cpus(config.server_cpus.as_deref().unwrap_or_default());
    writeln!(out, "  target     {name}{resolved}{place}{cpus}")
}

/// The lines that say from where it is sent, for how long, and how long connections are kept
/// unless that is for the whole run; `each` names what there are several of.
pub(in crate::load) fn write_generator(
    out: &mut impl Write,
    config: &Settings,
    each: &str,
) -> fmt::Result {
    writeln!(
        out,
        "  generator  {}{}, {} measured after {} of warm-up{each}",
        counted(config.threads as u64, "thread"),
        on_cpus(&config.cpus),
        nanos(config.duration_ns),
        nanos(config.warmup_ns),
    )?;
    match config.reconnect {
        Some(messages) => {
            let messages = counted(messages, "message");
            writeln!(out, "  reconnect  each connection carries {messages}, then a new one")
        }
        None => Ok(()),
    }
}

/// The lines of a report's head that say where it was measured, with what is to be said beside
/// that, and when.
pub(in crate::load) fn write_host(out: &mut impl Write, host: &Host, beside: &str) -> fmt::Result {
    writeln!(out, "  host       {}{beside}", self::host(host))?;
    started(host).map_or(Ok(()), |started| writeln!(out, "  started    {started}"))
}

pub(in crate::load) fn host_facts(host: &Host) -> impl Iterator<Item = String> {
    [self::host(host)].into_iter().chain(started(host))
}

fn host(host: &Host) -> String {
    let model = host.cpu_model.as_deref().unwrap_or("CPU of unknown model");
    format!("Linux {}, {} × {model}", host.kernel, host.cpus)
}

fn started(host: &Host) -> Option<String> {
    minute(host.began.as_deref()?)
}

/// The share of time that the hypervisor took, if it took anything.
fn stolen(report: &Report) -> String {
    match report.host.stolen_ns {
        Some(ns @ 1..) => {
            let cpus = report.host.host.cpus as f64;
            let share = ns as f64 / report.verdict.measured_ns as f64 / cpus;
            format!(", {} of their time stolen", percent(share))
        }
        _ => String::new(),
    }
}

/// Where something runs: nothing if it is not known or anywhere.
pub(in crate::load) fn on_cpus(cpus: &[usize]) -> String {
    match cpus {
        [] => String::new(),
        [cpu] => format!(" on CPU {cpu}"),
        several => format!(" on CPUs {}", format_list(several)),
    }
}

fn write_rates(out: &mut impl Write, report: &Report) -> fmt::Result {
    let throughput = &report.throughput;
    write!(
        out,
        "\nThroughput   {} messages/s, {}/s each way",
        count(throughput.messages_per_s.round() as u64),
        bytes(throughput.bytes_per_s),
    )?;
    if let Some(offered_per_s) = throughput.offered_per_s {
        write!(out, " ({} offered)", count(offered_per_s.round() as u64))?;
    }
    let per_message = |ns: Option<f64>| {
        ns.map_or("unknown".to_owned(), |ns| format!("{} a message", nanos(ns.round() as u64)))
    };
    write!(
        out,
        "\nCPU          server {}{}, generator {}",
        per_message(report.server_cpu.map(|cpu| cpu.cpu_ns_per_message)),
        report.server_cpu.and_then(|cpu| cpu.waited_share).map_or_else(String::new, |share| {
            format!(" (waited {} of the time)", percent(share))
        }),
        per_message(report.host.generator_cpu_ns_per_message),
    )?;
    match (report.host.generator_busy_share, report.host.generator_cpu_share) {
        (Some(busy), _) => {
            write!(out, ", polling included (busy {} of the time)", percent(busy))?;
        }
        (None, Some(used)) => write!(out, " ({} of its threads' time)", percent(used))?,
        (None, None) => {}
    }
    writeln!(out)
}

fn write_latencies(out: &mut impl Write, report: &Report) -> fmt::Result {
    let latency = &report.latency_ns;
    let rows = [
        (Tag::Response, latency.response.as_ref()),
        (Tag::Service, Some(&latency.service)),
        (Tag::SendLag, latency.send_lag.as_ref()),
        (Tag::Connect, latency.connect.as_ref()),
        (Tag::Close, latency.close.as_ref()),
        (Tag::Hiccup, Some(&report.host.hiccup_ns)),
    ];
    write_head(out)?;
    for (tag, row) in rows {
        row.map_or(Ok(()), |row| write_row(out, tag.label(), row))?;
    }
    let main = if latency.response.is_some() { Tag::Response } else { Tag::Service };
    write_picture(out, main.title(), report.main_latency())
}

fn write_totals(out: &mut impl Write, report: &Report) -> fmt::Result {
    let totals = &report.totals;
    if report.config.reconnect.is_some() {
        let (made, failed) = (count(totals.connections), count(totals.connect_errors));
        write!(out, "\nConnections  {made} made, {failed} attempts failed")?;
    }
    writeln!(
        out,
        "\nTotals       {} sent, {} received, {} lost, {} corrupted, {} never sent",
        count(totals.sent),
        count(totals.received),
        count(totals.lost),
        count(totals.corrupted),
        count(totals.unsent),
    )?;
    write_transport(out, &report.transport)
}

/// A line where TCP had to do something again.
fn write_transport(out: &mut impl Write, transport: &Transport) -> fmt::Result {
    if transport.is_clean() {
        return Ok(());
    }
    write!(
        out,
        "TCP          {} sent anew, {} retransmitted",
        counted(transport.redialed_syns, "SYN"),
        counted(transport.retransmitted_segments, "segment"),
    )?;
    match transport.listen_drops {
        Some(drops @ 1..) => {
            writeln!(out, ", {} dropped by listeners of this host", counted(drops, "handshake"))
        }
        _ => writeln!(out),
    }
}

fn write_results(out: &mut impl Write, report: &Report) -> fmt::Result {
    let results = &report.verdict.assertions;
    let width = results.iter().map(|result| result.assertion.chars().count()).max();
    for (place, AssertionResult { assertion, measured, met }) in results.iter().enumerate() {
        let title = if place == 0 { "Assertions" } else { "" };
        let result = if *met { "met" } else { "MISSED" };
        let measured = self::measured(*measured);
        let width = width.unwrap_or_default();
        writeln!(out, "{title:<12} {assertion:<width$}  {result:<6}  {measured}")?;
    }
    Ok(())
}

/// The value that an assertion was compared with, in words.
pub(in crate::load) fn measured(measured: Measured) -> String {
    match measured {
        Measured::Ns(ns) => nanos(ns),
        Measured::PerSecond(rate) => format!("{}/s", count(rate.round() as u64)),
        Measured::Withheld => "too few samples to say".to_owned(),
    }
}

pub(in crate::load) fn write_verdict(
    out: &mut impl Write,
    outcome: Outcome,
    reasons: &[String],
    warnings: &[String],
) -> fmt::Result {
    writeln!(out, "Verdict      {}", outcome.verdict())?;
    reasons.iter().try_for_each(|reason| writeln!(out, "  - {reason}"))?;
    warnings.iter().try_for_each(|warning| writeln!(out, "  ! {warning}"))
}
