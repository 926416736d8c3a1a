//! The report for people: what was measured, rates, latencies, a picture, and what it is worth.

use std::fmt::{self, Write};

use super::Report;
use super::format::{bytes, count, list, minute, nanos, percent};
use super::table::{write_head, write_picture, write_row};
use crate::load::config::{Arrival, Config, Load, Server};
use crate::load::host::Host;
use crate::load::sizes::Sizes;
use crate::load::watch::Tag;
use crate::load::{Finding, Measured, clock};

/// The report in lines of at most 100 columns, except where a name or a reason is longer.
pub fn text(report: &Report) -> String {
    let mut out = String::new();
    write_report(&mut out, report).expect("writing to a string does not fail");
    out
}

fn write_report(out: &mut String, report: &Report) -> fmt::Result {
    write_setting(out, report)?;
    write_rates(out, report)?;
    write_latencies(out, report)?;
    write_totals(out, report)?;
    write_findings(out, report)?;
    write_verdict(out, report)
}

fn write_setting(out: &mut String, report: &Report) -> fmt::Result {
    writeln!(out, "ringback-load: {}", load(&report.config))?;
    writeln!(out, "  target     {}", target(report))?;
    // An interrupted run measured for less time than was planned.
    let measured = Config { duration: report.measured, ..report.config.clone() };
    writeln!(out, "  generator  {}", generator(&measured))?;
    if let Some(reconnect) = reconnect(&report.config) {
        writeln!(out, "  reconnect  {reconnect}")?;
    }
    write_host(out, &report.host, &stolen(report))
}

/// What is sent, and how.
pub(in crate::load) fn load(config: &Config) -> String {
    match config.load {
        Load::Closed => messages(config, &format!("closed loop, {} in flight each", config.depth)),
        Load::Open { rate, .. } => load_at(config, &format!("{}/s", count(rate))),
    }
}

/// The same of an open loop, whose rate is told in words.
pub(in crate::load) fn load_at(config: &Config, rate: &str) -> String {
    let arrival = match config.load {
        Load::Open { arrival, .. } => arrival,
        Load::Closed => Arrival::Uniform,
    };
    let depth = config.depth;
    let name = arrival.name();
    messages(config, &format!("open loop at {rate} ({name}), at most {depth} in flight each"))
}

fn messages(config: &Config, pace: &str) -> String {
    format!(
        "{} connections × {} messages, {}, {pace}",
        count(config.connections as u64),
        sizes(&config.sizes),
        config.protocol.name(),
    )
}

/// From where it is sent, and for how long.
pub(in crate::load) fn generator(config: &Config) -> String {
    format!(
        "{} thread{}{}, {} measured after {} of warm-up",
        config.threads,
        if config.threads == 1 { "" } else { "s" },
        on_cpus(&config.cpus),
        nanos(clock::nanos(config.duration)),
        nanos(clock::nanos(config.warmup)),
    )
}

/// How long connections are kept, unless it is for the whole run.
pub(in crate::load) fn reconnect(config: &Config) -> Option<String> {
    let messages = config.reconnect?;
    let plural = if messages == 1 { "" } else { "s" };
    let messages = count(messages);
    Some(format!("each connection carries {messages} message{plural}, then a new one"))
}

/// The lines of a report's head that say where it was measured, with what is to be said beside
/// that, and when, if the machine's clock makes sense.
pub(in crate::load) fn write_host(out: &mut String, host: &Host, beside: &str) -> fmt::Result {
    writeln!(out, "  host       {}{beside}", self::host(host))?;
    minute(host.began).map_or(Ok(()), |began| writeln!(out, "  began      {began}"))
}

/// The same for a picture.
pub(in crate::load) fn host_facts(host: &Host) -> impl Iterator<Item = String> {
    [self::host(host)].into_iter().chain(minute(host.began))
}

fn host(host: &Host) -> String {
    format!(
        "Linux {}, {} × {}",
        host.kernel,
        host.cpus.len(),
        host.cpu_model.as_deref().unwrap_or("CPU of unknown model"),
    )
}

fn sizes(sizes: &Sizes) -> String {
    sizes.only().map_or_else(|| format!("{sizes} B"), |only| bytes(only as f64))
}

/// What the hypervisor took, if it took anything.
fn stolen(report: &Report) -> String {
    match report.machine.stolen_ns {
        Some(ns @ 1..) => {
            let cpus = report.host.cpus.len() as f64;
            let share = ns as f64 / clock::nanos(report.measured) as f64 / cpus;
            format!(", {} of their time stolen", percent(share))
        }
        _ => String::new(),
    }
}

/// The server's name, for a title.
pub(in crate::load) fn server(config: &Config) -> &str {
    match &config.server {
        Server::Embedded { .. } => "the embedded server",
        Server::External | Server::Started { .. } => &config.target.name,
    }
}

/// Where the server is.
pub(in crate::load) fn target(report: &Report) -> String {
    let (name, address) = (&report.config.target.name, report.address.to_string());
    let resolved = if *name == address { String::new() } else { format!(" ({address})") };
    match &report.config.server {
        Server::External => format!("{name}{resolved}"),
        Server::Started { id, cpus } => {
            format!("{name}{resolved}, process {id}{}", on_cpus(cpus))
        }
        Server::Embedded { cpus, .. } => {
            format!("{name}{resolved}, embedded in this process{}", on_cpus(cpus))
        }
    }
}

/// Where something runs: nothing if it is not known or anywhere.
pub(in crate::load) fn on_cpus(cpus: &[usize]) -> String {
    match cpus {
        [] => String::new(),
        [cpu] => format!(" on CPU {cpu}"),
        several => format!(" on CPUs {}", list(several)),
    }
}

fn write_rates(out: &mut String, report: &Report) -> fmt::Result {
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
        per_message(report.server_cpu_ns_per_message),
        report.server_waited_share.map_or_else(String::new, |share| {
            format!(" (waited {} of the time)", percent(share))
        }),
        per_message(report.generator_cpu_ns_per_message),
    )?;
    match (report.generator_busy_share, report.generator_cpu_share) {
        (Some(busy), _) => {
            write!(out, ", polling included (busy {} of the time)", percent(busy))?;
        }
        (None, Some(used)) => write!(out, " ({} of its threads' time)", percent(used))?,
        (None, None) => {}
    }
    writeln!(out)
}

fn write_latencies(out: &mut String, report: &Report) -> fmt::Result {
    let latency = &report.latency;
    write_head(out)?;
    if let Some(open_loop) = &latency.open_loop {
        write_row(out, "response", &open_loop.response)?;
    }
    write_row(out, "service", &latency.service)?;
    if let Some(open_loop) = &latency.open_loop {
        write_row(out, "send lag", &open_loop.send_lag)?;
    }
    if let Some(connect) = &latency.connect {
        write_row(out, "connect", connect)?;
    }
    write_row(out, "hiccup", &report.machine.hiccup)?;
    let main = if latency.open_loop.is_some() { Tag::Response } else { Tag::Service };
    write_picture(out, main.title(), latency.main())
}

fn write_totals(out: &mut String, report: &Report) -> fmt::Result {
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
    )
}

fn write_findings(out: &mut String, report: &Report) -> fmt::Result {
    let width = report.findings.iter().map(|finding| finding.assertion.chars().count()).max();
    for (place, Finding { assertion, measured, met }) in report.findings.iter().enumerate() {
        let title = if place == 0 { "Assertions" } else { "" };
        let outcome = if *met { "met" } else { "MISSED" };
        let measured = self::measured(*measured);
        let width = width.unwrap_or_default();
        writeln!(out, "{title:<12} {assertion:<width$}  {outcome:<6}  {measured}")?;
    }
    Ok(())
}

/// What an assertion was compared with.
pub(in crate::load) fn measured(measured: Measured) -> String {
    match measured {
        Measured::Ns(ns) => nanos(ns),
        Measured::PerSecond(rate) => format!("{}/s", count(rate.round() as u64)),
        Measured::Withheld => "too few samples to say".to_owned(),
    }
}

fn write_verdict(out: &mut String, report: &Report) -> fmt::Result {
    let verdict = &report.verdict;
    writeln!(out, "Verdict      {}", report.outcome().verdict())?;
    verdict.reasons.iter().try_for_each(|reason| writeln!(out, "  - {reason}"))?;
    verdict.warnings.iter().try_for_each(|warning| writeln!(out, "  ! {warning}"))
}
