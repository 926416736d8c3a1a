//! The thread beside the workers: it answers HTTP, looks whether workers are alive, and sums up for
//! the log what they count.
//!
//! It opens what it needs when it starts, and never waits for a worker.

mod admin;
mod exposition;
mod notices;
mod process;
mod stage;
mod summary;
mod watchdog;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime;
use tokio::task::LocalSet;
use tokio::time::{MissedTickBehavior, interval};

use self::admin::Admin;
use self::exposition::Exposition;
pub use self::exposition::Facts;
use self::notices::Notices;
pub use self::stage::{Ending, Stages};
use self::summary::Summary;
use self::watchdog::Watchdog;
use super::systemd::Notifier;
use crate::log;
use crate::server::Server;

/// How often the supervisor looks at the workers, as a part of a second.
const TICK: Duration = Duration::from_millis(250);
/// Visitors of the admin endpoint at the same time; one more takes the place of who came first.
const MAX_VISITORS: usize = 16;

/// Descriptors that a supervisor takes: its runtime's three, those of what it reads about the
/// process and its workers, and with an endpoint those of the listener and of visitors, among them the
/// one that takes another's place.
pub(super) fn descriptors(has_admin: bool, workers: usize) -> usize {
    const RUNTIME: usize = 3;
    const PROCESS: usize = 2;
    const WORKER: usize = 2;
    const LISTENER: usize = 1;
    let endpoint = if has_admin { LISTENER + MAX_VISITORS + 1 } else { 0 };
    RUNTIME + PROCESS + WORKER * workers + endpoint
}

/// A supervisor that has started, and goes on until the process ends.
#[derive(Debug)]
pub struct Supervisor {
    stages: Stages,
    admin: Option<SocketAddr>,
    notifier: Option<Arc<Notifier>>,
}

/// Why there is no supervisor.
#[derive(Debug, thiserror::Error)]
pub enum SuperviseError {
    /// The admin address cannot be listened on.
    #[error("--admin {address}: {source}: give another address, or port 0 for a free one")]
    Listen {
        /// The address as asked for.
        address: SocketAddr,
        /// The kernel's error.
        source: io::Error,
    },
    /// The kernel refuses a descriptor or a thread.
    #[error("the supervisor cannot start: {0}")]
    System(#[from] io::Error),
}

/// How to supervise.
#[derive(Debug)]
pub struct Options {
    /// Whom to notify.
    pub notifier: Option<Notifier>,
    /// How long the server may take from the first signal to its end.
    pub patience: Duration,
    /// Where to answer HTTP.
    pub admin: Option<SocketAddr>,
    /// How long a worker may stay away from its loop.
    pub hang_timeout: Option<Duration>,
    /// Facts about the server that metrics carry.
    pub facts: Facts,
}

impl Supervisor {
    /// Starts the thread. It answers that the server is starting until one is
    /// [watched](Supervisor::watch).
    ///
    /// # Errors
    ///
    /// When the admin address cannot be had, or there can be no thread.
    pub fn start(options: Options, stages: Stages) -> Result<Self, SuperviseError> {
        let admin = options.admin.map(Admin::bind).transpose()?;
        let address = admin.as_ref().map(Admin::local_address).transpose()?;
        let notifier = options.notifier.map(Arc::new);
        let notices = notifier.clone().map(|notifier| Notices::new(notifier, options.patience));
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let shared = stages.clone();
        // Its files are opened here, before a sandbox could forbid it.
        let exposition = Exposition::new(options.facts, stages.clone());
        thread::Builder::new().name("supervisor".to_owned()).spawn(move || {
            let local = LocalSet::new();
            if let Some(admin) = admin {
                local.spawn_local(admin.serve(shared.clone(), Arc::new(exposition)));
            }
            let watchdog = options.hang_timeout.map(Watchdog::new);
            local.block_on(&runtime, supervise(shared, watchdog, notices));
        })?;
        Ok(Self { stages, admin: address, notifier })
    }

    /// Where it answers HTTP, the port resolved.
    pub fn admin(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// The server serves: opens what is needed to watch its workers.
    pub fn watch(&self, server: &Server) {
        self.stages.serve(server);
    }

    /// Tells the service manager that the server is ready.
    pub fn announce(&self) {
        if let Some(notifier) = &self.notifier {
            notifier.send_once("READY=1");
        }
    }
}

async fn supervise(stages: Stages, mut watchdog: Option<Watchdog>, mut notices: Option<Notices>) {
    let mut summary = Summary::default();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let now = Instant::now();
        stages.act(now);
        let Some(snapshots) = stages.snapshots() else { continue };
        stages.observe(now, &snapshots);
        summary.log(now, &snapshots);
        if let Some(notices) = &mut notices {
            notices.send(now, &stages, &snapshots);
        }
        let is_starved = |worker| stages.is_starved(worker);
        if let Some(hang) = watchdog.as_mut().and_then(|dog| dog.look(now, &snapshots, is_starved))
        {
            abort(&hang.describe(stages.cpu_of(hang.worker)));
        }
    }
}

/// Ends the process as a panic of a worker does: whoever restarts it does so at once.
fn abort(why: &str) -> ! {
    tracing::error!("{why}");
    log::flush();
    std::process::abort()
}
