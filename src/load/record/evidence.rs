//! Evidence for the verdict beside the messages.

use super::host::ClockState;
use super::quotas::UsedUp;
use super::recorder::Window;
use super::server_view::{Hidden, ServerView, shared_cpus};
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
    /// Share of the window that one of the generator's threads waited for foreign processes.
    pub(crate) generator_foreign_share: f64,
    pub(crate) generator_cpus: Vec<usize>,
    /// How the host's time of day is kept, where that is known.
    pub(crate) clock: Option<ClockState>,
    /// The quota that kept the generator from running in the window, if one did.
    pub(crate) used_up: Option<UsedUp>,
}

impl Evidence {
    /// Before the run, whose generator may use these CPUs.
    pub(crate) fn new(window: Window, server: ServerView, generator_cpus: &[usize]) -> Self {
        Self {
            window,
            was_interrupted: false,
            gone_after_ns: None,
            backlogs: Vec::new(),
            busiest: 0.0,
            usage: Usage::default(),
            server_waited: None,
            generator_foreign_share: 0.0,
            generator_cpus: generator_cpus.to_vec(),
            clock: None,
            used_up: None,
            server,
        }
    }

    /// The window is over: the server's threads waited so long, and by what each of them did it is
    /// known which CPUs are the server's.
    pub(crate) fn see_server(&mut self, waited: Option<Waited>) {
        let used_cpus = waited.as_ref().map(|waited| &waited.used_cpus);
        if let Some(used_cpus) = used_cpus.filter(|cpus| !cpus.is_empty()) {
            self.server.cpus.clone_from(used_cpus);
        }
        self.server_waited = waited;
    }

    pub(crate) fn shared_cpus(&self) -> Vec<usize> {
        shared_cpus(&self.server.cpus, &self.generator_cpus)
    }

    /// The server's account is not complete: nothing is said of its CPU.
    pub(crate) fn hide_server(&mut self) {
        self.hide_waits(Hidden::Transient);
        self.usage.server_ns_per_message = None;
    }

    /// Nobody saw how long those waited who did the server's work.
    pub(crate) fn hide_waits(&mut self, why: Hidden) {
        self.server.threads = Err(why);
        self.server_waited = None;
    }

    pub(crate) fn measured_ns(&self) -> u64 {
        self.window.length_ns()
    }
}
