//! Runs the servers that are to be measured, one at a time.
//!
//! A server is a process group of its own on CPUs of its own. It is ready when a connection to
//! its address succeeds; nothing that it prints is interpreted. It is stopped by SIGTERM to its
//! group, and the group is killed when that does not end it. The same happens when this process
//! panics, and when it is killed the kernel kills the server. A process that leaves the group
//! cannot be followed; a port that is still served afterwards gives it away.
//!
//! A server that does not behave is a [`ServerError`]: it says what happened and quotes the last
//! lines that the server wrote.

mod command;
mod error;
mod group;
mod output;
mod port;

use std::io;
use std::net::SocketAddr;
use std::panic;
use std::process::{Child, ExitStatus};
use std::sync::{Mutex, Once, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, waitid};

pub use self::command::ServerCommand;
pub use self::error::ServerError;
use self::error::{Stage, end, time};
use self::group::{Group, POLL_INTERVAL};
use self::output::Output;
use crate::load::interrupt::Interrupt;
use crate::sockets::Listeners;
use crate::sys;

/// How long children and port may outlive a server that ended. It told its children so, and they need a
/// moment.
const LEFTOVERS_TIMEOUT: Duration = Duration::from_secs(1);
/// A port that was free when it was chosen may be taken when the server comes.
const MAX_PORTS: usize = 5;

/// The server that runs, for the panic hook: where a panic aborts the process, nothing is dropped.
static RUNNING: Mutex<Option<Group>> = Mutex::new(None);

/// How a server is started and stopped.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms<'a> {
    pub(crate) name: &'a str,
    pub(crate) command: &'a ServerCommand,
    pub(crate) cpus: &'a [usize],
    /// How long it may take until it listens, unless this is raised.
    pub(crate) start_timeout: Duration,
    pub(crate) interrupt: &'a Interrupt,
    /// How long it may take to end when it is told to.
    pub(crate) stop_timeout: Duration,
}

impl<'a> Terms<'a> {
    /// Starts a server on a free port of the loopback interface and waits until it takes
    /// connections. From now on a panic kills the server that runs.
    pub(crate) fn start(self) -> Result<RunningServer<'a>, ServerError> {
        hook_panics();
        let mut tried = 1;
        loop {
            let address = port::free_address().map_err(|error| {
                self.fails(Stage::Start, &format!("has no port to listen on: {error}"))
            })?;
            match self.start_at(address) {
                Err(error) if tried < MAX_PORTS && error.stage == Stage::PortTaken => tried += 1,
                other => return other,
            }
        }
    }

    fn start_at(self, address: SocketAddr) -> Result<RunningServer<'a>, ServerError> {
        let mut server = RunningServer::spawn(self, address).map_err(|error| {
            let fault =
                format!("cannot be started: {error}; is the program there, and executable?");
            self.fails(Stage::Start, &fault)
        })?;
        let deadline = Instant::now() + self.start_timeout;
        loop {
            if server.has_ended() {
                return Err(server.ended_early());
            }
            // Somebody else may have been faster: then the server will say so and end.
            let is_served = port::takes_connections(address);
            if is_served && server.owns_port() {
                return Ok(server);
            }
            if self.interrupt.is_raised() {
                let fault = "was stopped while it started: interrupted";
                return Err(server.fails(Stage::Interrupted, fault));
            }
            if Instant::now() >= deadline {
                let fault = format!(
                    "did not take a connection within {}: it must listen where {{addr}} says; if \
                     it is slow to start, raise --start-timeout",
                    time(self.start_timeout),
                );
                return Err(server.fails(Stage::Start, &fault));
            }
            thread::sleep(POLL_INTERVAL);
        }
    }

    /// The server, as it is named to people.
    pub(crate) fn title(&self) -> String {
        format!("server {} ({})", self.name, self.command)
    }

    fn fails(&self, stage: Stage, fault: &str) -> ServerError {
        ServerError { stage, message: format!("{} {fault}", self.title()) }
    }
}

/// A server that takes connections. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct RunningServer<'a> {
    terms: Terms<'a>,
    address: SocketAddr,
    child: Child,
    group: Group,
    output: Output,
    is_over: bool,
}

impl<'a> RunningServer<'a> {
    fn spawn(terms: Terms<'a>, address: SocketAddr) -> io::Result<Self> {
        let mut command = terms.command.at(address);
        sys::process::bind(&mut command, terms.cpus);
        let output = Output::of(&mut command)?;
        let child = command.spawn()?;
        let group = Group(Pid::from_child(&child));
        *running() = Some(group);
        Ok(Self { terms, address, child, group, output, is_over: false })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Makes sure that it is still there, as it must be when its measurement is over.
    pub(crate) fn check(&mut self) -> Result<(), ServerError> {
        if !self.has_ended() {
            return Ok(());
        }
        let fault = format!("died while it was measured ({})", end(self.end()));
        Err(self.fails(Stage::Run, &fault))
    }

    /// Ends it by SIGTERM, and kills what does not end: soon, where the user waits.
    pub(crate) fn stop(mut self) -> Result<(), ServerError> {
        self.group.signal(Signal::TERM);
        let timeout = self.terms.stop_timeout;
        let has_ended = self.ends_within(timeout);
        if !has_ended && self.terms.interrupt.is_raised() {
            return Err(self.fails(Stage::Interrupted, "was killed: interrupted"));
        }
        if !has_ended {
            let fault = format!(
                "did not end within {} of SIGTERM and was killed; if it is slow to stop, raise \
                 --stop-timeout",
                time(timeout),
            );
            return Err(self.fails(Stage::Run, &fault));
        }
        self.group.wait_until_gone(LEFTOVERS_TIMEOUT);
        let left: Vec<String> = self.group.living().iter().map(ToString::to_string).collect();
        let end = end(self.end());
        if !left.is_empty() {
            let left = left.join(", ");
            let fault = format!("ended ({end}) and left behind what had to be killed: {left}");
            return Err(self.fails(Stage::Run, &fault));
        }
        if !self.port_closes() {
            return Err(self.fails(Stage::Run, "ended, but its port is still open"));
        }
        Ok(())
    }

    /// Returns whether nobody listens at its address any more. The kernel takes an io_uring down
    /// after its process has ended, and what that used is open until then.
    fn port_closes(&self) -> bool {
        let deadline = Instant::now() + LEFTOVERS_TIMEOUT;
        while port::takes_connections(self.address) {
            if Instant::now() >= deadline {
                return false;
            }
            thread::sleep(POLL_INTERVAL);
        }
        true
    }

    fn ends_within(&self, timeout: Duration) -> bool {
        /// Enough for a server that obeys SIGTERM.
        const INTERRUPTED_TIMEOUT: Duration = Duration::from_secs(1);
        let mut deadline = Instant::now() + timeout;
        let mut was_interrupted = false;
        while !self.has_ended() {
            if !was_interrupted && self.terms.interrupt.is_raised() {
                was_interrupted = true;
                deadline = deadline.min(Instant::now() + INTERRUPTED_TIMEOUT);
            }
            if Instant::now() >= deadline {
                return false;
            }
            thread::sleep(POLL_INTERVAL);
        }
        true
    }

    /// Returns whether the process that was started has ended. It is left on the table: see
    /// [`Group`].
    fn has_ended(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        // An error would mean that it is no longer our child: then it has ended.
        waitid(WaitId::Pid(self.group.0), options).map_or(true, |status| status.is_some())
    }

    /// Returns whether one of its processes listens at its address, as far as we may see.
    fn owns_port(&self) -> bool {
        let listeners = Listeners::at(self.address);
        let mut group = self.group.living().into_iter();
        !listeners.are_seen() || group.any(|process| listeners.may_be_held_by(process.number()))
    }

    /// Kills whatever there is of it; returns how the process ended that was started. The second
    /// time there is nothing to do.
    fn end(&mut self) -> Option<ExitStatus> {
        if !self.is_over {
            self.is_over = true;
            self.group.kill();
            *running() = None;
        }
        // From here on its number may be another's.
        self.child.try_wait().ok().flatten()
    }

    fn ended_early(&mut self) -> ServerError {
        let is_port_taken = port::is_taken(self.address);
        let status = self.end();
        // A server that went into the background has its port itself, and ends without an error.
        let has_failed = status.is_none_or(|status| !status.success());
        let stage = if is_port_taken && has_failed { Stage::PortTaken } else { Stage::Start };
        let fault = format!(
            "ended before it took a connection ({}): it must listen where {{addr}} says, and stay \
             in the foreground",
            end(status),
        );
        self.fails(stage, &fault)
    }

    /// Ends it, if that is not done yet.
    fn fails(&mut self, stage: Stage, fault: &str) -> ServerError {
        self.end();
        let mut error = self.terms.fails(stage, fault);
        if let Some(owner) = port::owner(self.address) {
            error.message += &format!(
                "; {} is served by {owner}: if the command left it behind, end it, and let the \
                 command run the server in the foreground",
                self.address,
            );
        }
        let last_lines = self.output.last_lines();
        if !last_lines.is_empty() {
            error.message += &format!("; it wrote last:\n  {}", last_lines.join("\n  "));
        }
        error
    }
}

impl Drop for RunningServer<'_> {
    fn drop(&mut self) {
        self.end();
    }
}

fn hook_panics() {
    static HOOKED: Once = Once::new();
    HOOKED.call_once(|| {
        let report_panic = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            report_panic(info);
            kill_servers();
        }));
    });
}

fn running() -> std::sync::MutexGuard<'static, Option<Group>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Kills the server that this process runs, if there is one: for those who end the process
/// without dropping anything.
pub fn kill_servers() {
    // Whoever holds the lock is at starting or ending it, and may be who panics.
    if let Ok(group) = RUNNING.try_lock()
        && let Some(group) = &*group
    {
        group.kill();
    }
}
