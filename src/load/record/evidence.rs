//! Evidence for the verdict beside the messages.

use super::recorder::Window;
use super::server_view::ServerView;
use super::usage::Usage;
use super::waits::Waited;

/// Evidence for the verdict beside the messages.
pub(crate) struct Evidence {
    /// The measured window: shorter than planned if the run was interrupted.
    pub(crate) window: Window,
    pub(crate) was_interrupted: bool,
    /// When no connection was left, since the run started, if that was before the window's end.
    pub(crate) gone_after_ns: Option<u64>,
    /// Open loop: messages that were due and not answered, at the beginning of the window, at times
    /// evenly spread over it, and at its end.
    pub(crate) backlogs: Vec<u64>,
    /// Share of the window in which the busiest generator thread was not waiting. A thread that
    /// waits for its CPU is not busy.
    pub(crate) busiest: f64,
    pub(crate) usage: Usage,
    pub(crate) server: ServerView,
    /// How long the server's threads waited for a CPU in the window, where that can be seen.
    pub(crate) server_waited: Option<Waited>,
    /// How many CPUs server and generator use together.
    pub(crate) cpus_in_use: u64,
    pub(crate) shared_cpus: Vec<usize>,
    pub(crate) cpu_quota: Option<String>,
}

impl Evidence {
    pub(crate) fn measured_ns(&self) -> u64 {
        self.window.length_ns()
    }

    /// Share of the window that the server waited for CPUs that others had.
    pub(crate) fn server_waited_share(&self) -> Option<f64> {
        let cpus_ns = self.measured_ns() as f64 * self.server.cpus.len().max(1) as f64;
        let idle_ns = self.usage.server_idle_ns.unwrap_or(0);
        Some(self.server_waited?.share_for_others(cpus_ns, idle_ns))
    }

    /// Time that a hypervisor kept the CPUs in use from running, each for so long on average.
    pub(crate) fn stolen_ns(&self) -> Option<u64> {
        self.usage.stolen_in_use_ns.map(|ns| ns / self.cpus_in_use)
    }
}
