//! The raw result of a run, for the report.

use std::net::SocketAddr;

use super::cpu::CpuTime;
use super::failure::Failures;
use super::latencies::Latencies;
use super::recorder::{Recorder, Window};
use super::server_view::ServerView;
use super::transport::Transport;
use super::waits::Waited;

/// The raw result of a run, for the report.
pub(crate) struct Measurement {
    pub(crate) address: SocketAddr,
    pub(crate) connections: u64,
    pub(crate) connect_failures: Failures,
    /// One of each thread.
    pub(crate) recorders: Vec<Recorder>,
    /// Of all threads.
    pub(crate) latencies: Latencies,
    /// The measured window: shorter than planned if the run was interrupted.
    pub(crate) window: Window,
    pub(crate) was_interrupted: bool,
    /// When no connection was left, if that was before the window's end.
    pub(crate) gone_after_ns: Option<u64>,
    /// Messages that were due and not answered: at the beginning of the measured window, and at the
    /// end of each of its parts.
    pub(crate) backlogs: Vec<u64>,
    /// Without what the threads count.
    pub(crate) transport: Transport,
    pub(crate) server: ServerView,
    /// How long its threads waited for a CPU in the window, where that can be seen.
    pub(crate) server_waited: Option<Waited>,
    /// How many CPUs server and generator use together.
    pub(crate) cpus_in_use: u64,
    /// CPUs that they both use.
    pub(crate) shared_cpus: Vec<usize>,
    /// At the beginning and at the end of the measured window.
    pub(crate) before: Samples,
    pub(crate) after: Samples,
}

/// A sample from outside the generator.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Samples {
    pub(crate) at_ns: u64,
    pub(crate) received: u64,
    pub(crate) server_ns: Option<u64>,
    pub(crate) generator: Option<CpuTime>,
    pub(crate) stolen_ns: Option<u64>,
    /// Stolen time of the CPUs in use alone.
    pub(crate) stolen_in_use_ns: Option<u64>,
    /// Time that the server's CPUs had nothing to run, added up.
    pub(crate) server_idle_ns: Option<u64>,
}
