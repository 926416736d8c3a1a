//! Metrics in the exposition format of OpenMetrics.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::super::version::REVISION;
use super::process::Process;
use super::stage::{Stage, Stages};
use crate::log;
use crate::metrics::{Counters, Snapshot};
use crate::protocol::ErrorCode;
use crate::server::DriverKind;

/// The media type of what [`Exposition::render`] writes.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Facts about a server that do not change while it serves.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// How bytes are moved.
    pub driver: DriverKind,
    /// Name of the protocol.
    pub protocol: &'static str,
    /// Number of workers.
    pub workers: usize,
    /// Connections there may be at the same time.
    pub max_connections: usize,
    /// The most memory that the server takes, in bytes.
    pub memory_bound: usize,
}

/// Writes the metrics of a server.
pub(super) struct Exposition {
    registry: Registry,
}

impl Exposition {
    pub(super) fn new(facts: Facts, stages: Stages) -> Self {
        let mut registry = Registry::default();
        let source = Source { facts, stages, process: Process::open() };
        registry.register_collector(Box::new(source));
        Self { registry }
    }

    pub(super) fn render(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a string takes all");
        text
    }
}

#[derive(Debug)]
struct Source {
    facts: Facts,
    stages: Stages,
    process: Process,
}

type Labels = Vec<(&'static str, String)>;

#[derive(Debug, Clone, Copy)]
enum Value {
    Count(u64),
    Real(f64),
}

/// A metric with all its series. The name of a counter lacks its `_total`, which the encoder adds.
struct Metric {
    name: &'static str,
    help: &'static str,
    kind: MetricType,
    series: Vec<(Labels, Value)>,
}

impl Collector for Source {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let snapshots = self.snapshots();
        self.encode_build(&mut encoder)?;
        let of_workers = of_workers(&snapshots, &self.stages.cpu_seconds());
        for metric in self.of_server().into_iter().chain(of_workers).chain(self.of_process()) {
            metric.encode(&mut encoder)?;
        }
        Ok(())
    }
}

impl Source {
    /// Those of workers that have not started count nothing.
    fn snapshots(&self) -> Vec<Snapshot> {
        let none = || vec![Snapshot::default(); self.facts.workers];
        self.stages.snapshots().unwrap_or_else(none)
    }

    fn encode_build(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let driver = self.stages.driver().unwrap_or(self.facts.driver);
        let labels = vec![
            ("version", env!("CARGO_PKG_VERSION")),
            ("revision", REVISION.unwrap_or("unknown")),
            ("driver", driver.name()),
            ("protocol", self.facts.protocol),
        ];
        let help = "The program and how it serves";
        encoder
            .encode_descriptor("ringback_build", help, None, MetricType::Info)?
            .encode_info(&labels)
    }

    fn of_server(&self) -> [Metric; 4] {
        let stage = self.stages.stage();
        let states = Stage::ALL.map(|state| {
            let labels = vec![("state", state.name().to_owned())];
            (labels, Value::Count(u64::from(state == stage)))
        });
        [
            Metric {
                name: "ringback_state",
                help: "1 for the state that the server is in",
                kind: MetricType::Gauge,
                series: states.into(),
            },
            gauge(
                "ringback_connections_limit",
                "Connections there may be at the same time",
                Value::Count(self.facts.max_connections as u64),
            ),
            gauge(
                "ringback_memory_bound_bytes",
                "The most memory that the server takes",
                Value::Count(self.facts.memory_bound as u64),
            ),
            Metric {
                name: "ringback_log_lines_dropped",
                help: "Log lines that nobody read",
                kind: MetricType::Counter,
                series: vec![(Labels::new(), Value::Count(log::dropped()))],
            },
        ]
    }

    fn of_process(&self) -> [Metric; 5] {
        [
            Metric {
                name: "process_cpu_seconds",
                help: "CPU time of all threads",
                kind: MetricType::Counter,
                series: vec![(Labels::new(), Value::Real(self.process.cpu_seconds()))],
            },
            gauge(
                "process_resident_memory_bytes",
                "Memory in RAM",
                Value::Count(self.process.resident_bytes()),
            ),
            gauge(
                "process_open_fds",
                "Open descriptors; 0 before Linux 6.2",
                Value::Count(self.process.open_descriptors()),
            ),
            gauge(
                "process_max_fds",
                "Descriptors that may be open",
                Value::Count(self.process.max_descriptors()),
            ),
            gauge(
                "process_start_time_seconds",
                "Start of the process, in seconds since 1970",
                Value::Real(self.process.start_time),
            ),
        ]
    }
}

/// A number of each worker, for each value of a label if it has one.
#[derive(Clone, Copy)]
struct PerWorker {
    name: &'static str,
    help: &'static str,
    kind: MetricType,
    label: Option<&'static str>,
    values: fn(&Snapshot) -> Vec<(&'static str, u64)>,
}

const fn counter(
    name: &'static str,
    help: &'static str,
    values: fn(&Snapshot) -> Vec<(&'static str, u64)>,
) -> PerWorker {
    PerWorker { name, help, kind: MetricType::Counter, label: None, values }
}

const fn by(label: &'static str, metric: PerWorker) -> PerWorker {
    PerWorker { label: Some(label), ..metric }
}

const fn falling(metric: PerWorker) -> PerWorker {
    PerWorker { kind: MetricType::Gauge, ..metric }
}

fn one(value: u64) -> Vec<(&'static str, u64)> {
    vec![("", value)]
}

/// Metrics of each worker.
const PER_WORKER: [PerWorker; 20] = [
    counter("ringback_connections_accepted", "Connections accepted", |s| one(s.counters.accepted)),
    falling(counter("ringback_connections_active", "Connections that are open", |s| {
        one(s.active())
    })),
    by("reason", counter("ringback_connections_closed", "Connections closed", closed)),
    by(
        "limit",
        counter("ringback_connections_refused", "Connections for which there was no room", |s| {
            let Counters { refused_in_all, refused_of_address, .. } = s.counters;
            vec![("total", refused_in_all), ("address", refused_of_address)]
        }),
    ),
    counter("ringback_received_bytes", "Bytes received from peers", |s| {
        one(s.counters.bytes_received)
    }),
    counter("ringback_sent_bytes", "Bytes handed to the kernel for peers", |s| {
        one(s.counters.bytes_sent)
    }),
    by(
        "reason",
        counter("ringback_discarded_bytes", "Bytes received and never sent back", |s| {
            let Counters { partial_bytes, late_bytes, lost_bytes, .. } = s.counters;
            vec![("partial", partial_bytes), ("late", late_bytes), ("lost", lost_bytes)]
        }),
    ),
    by(
        "kind",
        counter("ringback_frames", "Frames answered", |s| {
            vec![("echo", s.counters.echo_frames), ("ping", s.counters.ping_frames)]
        }),
    ),
    by(
        "code",
        counter("ringback_protocol_errors", "Errors of peers", |s| {
            let of_peers = ErrorCode::ALL.into_iter().filter(|code| *code != ErrorCode::Busy);
            let counts = s.counters.protocol_errors_by_code;
            of_peers.zip(counts).map(|(code, count)| (code.name(), count)).collect()
        }),
    ),
    counter(
        "ringback_accept_pauses",
        "Pauses of accepting for want of descriptors or memory",
        |s| one(s.counters.accept_pauses),
    ),
    counter("ringback_buffer_waits", "Receives that waited for a free buffer", |s| {
        one(s.counters.buffer_waits)
    }),
    falling(counter("ringback_spilled_bytes", "Bytes that wait outside of receive buffers", |s| {
        one(s.spilled_bytes)
    })),
    falling(counter("ringback_buffers_free", "Receive buffers that hold nothing", |s| {
        one(s.buffers_free)
    })),
    counter("ringback_pipes", "Times that a connection in bulk was given a pipe", |s| {
        one(s.counters.pipes)
    }),
    counter("ringback_splices", "Calls of splice(2) that moved bytes", |s| one(s.counters.splices)),
    counter("ringback_turns", "Turns of the worker's loop, at least one a second", |s| {
        one(s.counters.turns)
    }),
    counter("ringback_ring_submissions", "Entries submitted to the ring", |s| {
        one(s.counters.ring_submissions)
    }),
    counter("ringback_ring_completions", "Completions of the ring", |s| {
        one(s.counters.ring_completions)
    }),
    counter("ringback_ring_enters", "Calls of io_uring_enter(2)", |s| one(s.counters.ring_enters)),
    counter("ringback_ring_cq_overflows", "Times that completions found their queue full", |s| {
        one(s.counters.ring_overflows)
    }),
];

fn closed(snapshot: &Snapshot) -> Vec<(&'static str, u64)> {
    let counters = &snapshot.counters;
    vec![
        ("finished", counters.finished),
        ("probe", counters.probes),
        ("reset", counters.resets),
        ("failed", counters.failures),
        ("protocol_error", counters.protocol_errors),
        ("idle_timeout", counters.idle_timeouts),
        ("stall_timeout", counters.stall_timeouts),
        ("evicted", counters.evicted),
        ("keepalive", counters.keepalive_timeouts),
        ("refused", counters.refused),
        ("shutdown", counters.ended_by_shutdown),
    ]
}

fn of_workers(snapshots: &[Snapshot], cpu_seconds: &[f64]) -> Vec<Metric> {
    let counted = PER_WORKER.iter().map(|metric| metric.of(snapshots));
    let cpu = (0..snapshots.len()).map(|worker| {
        let seconds = cpu_seconds.get(worker).copied().unwrap_or(0.0);
        (vec![("worker", worker.to_string())], Value::Real(seconds))
    });
    let cpu = Metric {
        name: "ringback_worker_cpu_seconds",
        help: "CPU time of the worker",
        kind: MetricType::Counter,
        series: cpu.collect(),
    };
    counted.chain([cpu]).collect()
}

impl PerWorker {
    fn of(&self, snapshots: &[Snapshot]) -> Metric {
        let of_worker = |(worker, snapshot): (usize, &Snapshot)| {
            let values = (self.values)(snapshot).into_iter();
            values
                .map(|(value_of_label, count)| {
                    let mut labels = vec![("worker", worker.to_string())];
                    labels.extend(self.label.map(|label| (label, value_of_label.to_owned())));
                    (labels, Value::Count(count))
                })
                .collect::<Vec<_>>()
        };
        let series = snapshots.iter().enumerate().flat_map(of_worker).collect();
        Metric { name: self.name, help: self.help, kind: self.kind, series }
    }
}

fn gauge(name: &'static str, help: &'static str, value: Value) -> Metric {
    Metric { name, help, kind: MetricType::Gauge, series: vec![(Labels::new(), value)] }
}

impl Metric {
    fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut family = encoder.encode_descriptor(self.name, self.help, None, self.kind)?;
        for (labels, value) in &self.series {
            let mut series = family.encode_family(labels)?;
            match (self.kind, value) {
                (MetricType::Counter, Value::Count(count)) => {
                    series.encode_counter::<NoLabelSet, u64, u64>(count, None)?;
                }
                (MetricType::Counter, Value::Real(real)) => {
                    series.encode_counter::<NoLabelSet, f64, u64>(real, None)?;
                }
                (_, Value::Count(count)) => series.encode_gauge(count)?,
                (_, Value::Real(real)) => series.encode_gauge(real)?,
            }
        }
        Ok(())
    }
}
