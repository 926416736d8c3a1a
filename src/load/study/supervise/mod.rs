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

pub use self::command::{CommandError, ServerCommand};
pub use self::error::ServerError;
use self::error::{Failure, Fault};
use self::group::{Group, POLL_INTERVAL};
use self::output::Output;
use crate::load::interrupt::Interrupt;
use crate::sockets::Listeners;
use crate::sys;

/// How long children may outlive a server that ended: it told them so, and they need a moment.
const CHILDREN_TIMEOUT: Duration = Duration::from_secs(1);
/// A port that was free when it was chosen may be taken when the server comes.
const MAX_PORTS: usize = 5;

/// The server that runs, for the panic hook: where a panic aborts the process, nothing is dropped.
static RUNNING: Mutex<Option<Group>> = Mutex::new(None);

/// Starts and ends servers.
#[derive(Debug)]
pub(crate) struct Supervisor {
    interrupt: Interrupt,
}

/// How a server is started and stopped.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms<'a> {
    /// The user's name for it.
    pub(crate) name: &'a str,
    pub(crate) command: &'a ServerCommand,
    /// Where it may run.
    pub(crate) cpus: &'a [usize],
    /// How long it may take until it listens.
    pub(crate) start_timeout: Duration,
    /// How long it may take to end when it is told to.
    pub(crate) stop_timeout: Duration,
}

impl Supervisor {
    /// From now on a panic kills the server that runs.
    pub(crate) fn new(interrupt: Interrupt) -> Self {
        static HOOKED: Once = Once::new();
        HOOKED.call_once(|| {
            let report_panic = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                report_panic(info);
                kill_servers();
            }));
        });
        Self { interrupt }
    }

    /// Starts a server on a free port of the loopback interface and waits until it takes
    /// connections.
    pub(crate) fn start<'a>(&self, terms: Terms<'a>) -> Result<RunningServer<'a>, ServerError> {
        let mut tried = 1;
        loop {
            let address =
                port::free_address().map_err(|source| terms.fails(Fault::Port(source)))?;
            match self.start_at(terms, address) {
                Err(error) if tried < MAX_PORTS && error.is_port_taken() => tried += 1,
                other => return other,
            }
        }
    }

    fn start_at<'a>(
        &self,
        terms: Terms<'a>,
        address: SocketAddr,
    ) -> Result<RunningServer<'a>, ServerError> {
        let mut server = RunningServer::spawn(terms, address)
            .map_err(|source| terms.fails(Fault::Spawn(source)))?;
        let deadline = Instant::now() + terms.start_timeout;
        loop {
            if server.has_ended() {
                let is_port_taken = port::is_taken(address);
                let status = server.end();
                return Err(server.fails(Fault::EndedEarly { status, is_port_taken }));
            }
            // Somebody else may have been faster: then the server will say so and end.
            let is_served = port::takes_connections(address);
            if is_served && server.owns_port() {
                return Ok(server);
            }
            if self.interrupt.is_raised() {
                return Err(server.fails(Fault::Interrupted));
            }
            if Instant::now() >= deadline {
                let timeout = terms.start_timeout;
                return Err(server.fails(Fault::NeverListened { timeout }));
            }
            thread::sleep(POLL_INTERVAL);
        }
    }
}

impl Terms<'_> {
    fn fails(&self, fault: Fault) -> ServerError {
        ServerError(Box::new(self.failure(fault)))
    }

    fn failure(&self, fault: Fault) -> Failure {
        let (name, command) = (self.name.to_owned(), self.command.to_string());
        Failure { name, command, fault, address: None, port_owner: None, last_lines: Vec::new() }
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

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The number of the process that was started.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Makes sure that it is still there, as it must be when its measurement is over.
    pub(crate) fn check(&mut self) -> Result<(), ServerError> {
        if !self.has_ended() {
            return Ok(());
        }
        let status = self.end();
        Err(self.fails(Fault::Died { status }))
    }

    /// Tells it to end, and kills what does not.
    pub(crate) fn stop(mut self) -> Result<(), ServerError> {
        self.group.signal(Signal::TERM);
        let timeout = self.terms.stop_timeout;
        if !self.ends_within(timeout) {
            return Err(self.fails(Fault::IgnoredTerm { timeout }));
        }
        self.group.wait_until_gone(CHILDREN_TIMEOUT);
        let left: Vec<String> = self.group.living().iter().map(ToString::to_string).collect();
        let status = self.end();
        if !left.is_empty() {
            return Err(self.fails(Fault::LeftBehind { status, left }));
        }
        if port::takes_connections(self.address) {
            return Err(self.fails(Fault::PortOpen));
        }
        Ok(())
    }

    fn ends_within(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        while !self.has_ended() {
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

    /// Ends it, if that is not done yet.
    fn fails(&mut self, fault: Fault) -> ServerError {
        self.end();
        ServerError(Box::new(Failure {
            address: Some(self.address),
            port_owner: port::owner(self.address),
            last_lines: self.output.last_lines(),
            ..self.terms.failure(fault)
        }))
    }
}

impl Drop for RunningServer<'_> {
    fn drop(&mut self) {
        self.end();
    }
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
