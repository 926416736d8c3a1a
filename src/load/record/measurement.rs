//! The raw result of a run, for the report.

use std::net::SocketAddr;

use super::cpu::CpuTime;
use super::failure::Failures;
use super::latencies::Latencies;
use super::recorder::{Recorder, Window};

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
}
