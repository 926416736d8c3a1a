//! Words that reports and pictures share: the load, its place, the host.

use super::document::{LoopKind, Settings};
use crate::cpus::format_list;
use crate::load::config::assertion::Measured;
use crate::load::config::{Arrival, Config, Protocol};
use crate::load::format::{bytes, count, counted, minute, nanos};
use crate::load::outcome::Outcome;
use crate::load::record::host::{ClockState, Host};
use crate::load::record::watch::Tag;

/// The command that a report is of, and its server.
#[derive(Debug, Clone, Copy)]
pub(in crate::load) struct Subject<'a> {
    /// The subcommand; none of a run.
    pub(in crate::load) command: Option<&'a str>,
    /// The server's name; none where there are several or it never answered.
    pub(in crate::load) target: Option<&'a str>,
}

/// The first line of a report, which is the line that announces it as well, but for the word of a
/// verdict that is not VALID.
pub(in crate::load) fn headline(
    subject: Subject<'_>,
    outcome: Outcome,
    settings: &Settings,
    each: &str,
) -> String {
    let program = match subject.command {
        Some(command) => format!("ringback-load {command}"),
        None => "ringback-load".to_owned(),
    };
    let word = (!outcome.is_valid()).then(|| outcome.verdict().to_owned());
    let duration = nanos_short(settings.duration_ns);
    let load = format!("{}, {duration}{each}", load(settings));
    [Some(program), word, subject.target.map(str::to_owned), Some(load)]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join("  ")
}

/// A duration that somebody chose: `10 s`, not `10.0 s`.
pub(in crate::load) fn nanos_short(ns: u64) -> String {
    let text = nanos(ns);
    match text.split_once(' ') {
        Some((number, unit)) if number.contains('.') => {
            format!("{} {unit}", number.trim_end_matches('0').trim_end_matches('.'))
        }
        _ => text,
    }
}

/// The name of a server that is about to be measured.
pub(in crate::load) fn target_name(name: &str, is_embedded: bool) -> &str {
    if is_embedded { "embedded server" } else { name }
}

/// The load in words, without what is as it is by default; an open loop without a rate is measured
/// at several.
pub(in crate::load) fn load(config: &Settings) -> String {
    let (pace, default_depth) = match config.loop_kind {
        LoopKind::Closed => ("closed loop".to_owned(), Config::CLOSED_LOOP_DEPTH),
        LoopKind::Open => {
            let rate = config.rate_per_s.map(|rate| format!(" {}/s", count(rate)));
            (format!("open loop{}", rate.unwrap_or_default()), Config::OPEN_LOOP_DEPTH)
        }
    };
    let arrival = config.arrival.filter(|arrival| *arrival != Arrival::Uniform);
    let arrival = arrival.map(|arrival| format!(" ({})", arrival.name())).unwrap_or_default();
    let protocol = match config.protocol {
        Protocol::Raw => String::new(),
        other => format!(" {}", other.name()),
    };
    let depth = (config.depth != default_depth)
        .then(|| format!(", {} in flight each", count(config.depth as u64)));
    let reconnect = config
        .reconnect
        .map(|messages| format!(", reconnecting after {}", counted(messages, "message")));
    let beside = depth.into_iter().chain(reconnect).collect::<String>();
    let part = config.part.map(|part| format!("part {part} of ")).unwrap_or_default();
    format!("{part}{pace}{arrival}, {}{protocol}{beside}", sizes(config))
}

pub(in crate::load) fn sizes(config: &Settings) -> String {
    let size = match config.size_bytes {
        Some(only) => bytes(only as f64),
        None => format!("{} B", config.sizes),
    };
    let connections = counted(config.connections as u64, "connection");
    format!("{connections} × {size}")
}

/// For how long it is measured, and from where; `each` names what there are several of.
pub(in crate::load) fn window(config: &Settings, each: &str) -> String {
    format!(
        "{}{each} after {} of warm-up, by {}{}",
        nanos(config.duration_ns),
        nanos(config.warmup_ns),
        counted(config.threads as u64, "thread"),
        on_cpus(&config.cpus),
    )
}

/// The moments that a latency lies between, for a line that has little room; none of other tags.
pub(in crate::load) fn moments(tag: Tag) -> &'static str {
    match tag {
        Tag::Response => "due → reply",
        Tag::Service => "send → reply",
        Tag::SendLag | Tag::Hiccup | Tag::Connect | Tag::Close => "",
    }
}

/// The host, as a fact. Its CPUs are counted as CPUs, lest they be taken for sockets.
pub(in crate::load) fn host(host: &Host) -> String {
    let model = host.cpu_model.as_deref().unwrap_or("unknown model");
    format!("Linux {}, {}, {model}", host.kernel, counted(host.cpus as u64, "CPU"))
}

/// How a host keeps the time of day.
pub(in crate::load) fn clock(clock: &ClockState) -> String {
    match clock.synchronised {
        true => format!("synchronised, wrong by at most {}", nanos(clock.max_error_ns)),
        false => "not synchronised".to_owned(),
    }
}

pub(in crate::load) fn started(host: &Host) -> Option<String> {
    minute(host.began.as_deref()?)
}

/// Where something runs: nothing if it is not known or anywhere.
pub(in crate::load) fn on_cpus(cpus: &[usize]) -> String {
    match cpus {
        [] => String::new(),
        [cpu] => format!(" on CPU {cpu}"),
        several => format!(" on CPUs {}", format_list(several)),
    }
}

/// The value that an assertion was compared with, in words.
pub(in crate::load) fn measured(measured: Measured) -> String {
    match measured {
        Measured::Ns(ns) => nanos(ns),
        Measured::PerSecond(rate) => format!("{}/s", per_s(rate)),
        Measured::Withheld => "too few samples".to_owned(),
    }
}

/// A rate without its decimals.
pub(in crate::load) fn per_s(rate: f64) -> String {
    count(rate.round() as u64)
}

/// A time, or a dash where too few samples tell it.
pub(in crate::load) fn nanos_or_dash(ns: Option<u64>) -> String {
    ns.map_or_else(|| "-".to_owned(), nanos)
}
