//! Runs the servers that are to be measured, one at a time, and leaves nothing of them behind.
//!
//! A server is a process group of its own on CPUs of its own. It is ready when a connection to
//! its address succeeds; nothing that it prints is interpreted. It is stopped by SIGTERM, and
//! killed when that does not end it, with everything that came of it: processes that leave the
//! group, too, see [`family`]. The same happens when this process panics, and when it is killed
//! the kernel kills the server.
//!
//! A server that does not behave is a [`ServerError`]: it says what happened and quotes the last
//! lines that the server wrote.

mod command;
mod error;
mod family;
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
use self::error::Failure;
pub use self::error::{Fault, ServerError};
use self::family::{Family, Strangers, adopt_orphans};
use self::output::Output;
use super::interrupt::Interrupt;
use super::process_table::Process;
use crate::sockets::Listeners;
use crate::sys;

/// How often a server that starts or stops is looked at.
const LOOK: Duration = Duration::from_millis(2);
/// How long children may outlive a server that ended: it told them so, and they need a moment.
const CHILDREN_TIMEOUT: Duration = Duration::from_secs(1);
/// A port that was free when it was chosen may be taken when the server comes.
const PORTS_TRIED: usize = 5;

/// The family of the server that runs, for the panic hook: where a panic aborts the process,
/// nothing is dropped.
static RUNNING: Mutex<Option<Family>> = Mutex::new(None);

/// Starts and ends servers.
#[derive(Debug)]
pub(super) struct Supervisor {
    strangers: Strangers,
    interrupt: Interrupt,
}

/// How a server is started and stopped.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms<'a> {
    /// What the user calls it.
    pub(super) name: &'a str,
    pub(super) command: &'a ServerCommand,
    /// Where it may run.
    pub(super) cpus: &'a [usize],
    /// How long it may take until it listens.
    pub(super) start_timeout: Duration,
    /// How long it may take to end when it is told to.
    pub(super) stop_timeout: Duration,
}

impl Supervisor {
    /// From now on orphans of this process's descendants become its children, and a panic kills
    /// the server that runs. There can be one in a process.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub(super) fn new(interrupt: Interrupt) -> io::Result<Self> {
        static HOOKED: Once = Once::new();
        let strangers = adopt_orphans()?;
        HOOKED.call_once(|| {
            let report_panic = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                report_panic(info);
                kill_servers();
            }));
        });
        Ok(Self { strangers, interrupt })
    }

    /// Starts a server on a free port of the loopback interface and waits until it takes
    /// connections.
    pub(super) fn start<'a>(&self, terms: Terms<'a>) -> Result<RunningServer<'a>, ServerError> {
        let mut tried = 1;
        loop {
            let address =
                port::free_address().map_err(|source| terms.fails(Fault::Port(source)))?;
            match self.start_at(terms, address) {
                Err(error) if tried < PORTS_TRIED && error.is_about_the_port() => tried += 1,
                other => return other,
            }
        }
    }

    fn start_at<'a>(
        &self,
        terms: Terms<'a>,
        address: SocketAddr,
    ) -> Result<RunningServer<'a>, ServerError> {
        let mut server = self.spawn(terms, address)?;
        let deadline = Instant::now() + terms.start_timeout;
        loop {
            if server.has_ended() {
                let was_taken = port::is_taken(address);
                let status = server.end();
                return Err(server.fails(Fault::EndedEarly { status, address, was_taken }));
            }
            if port::takes_connections(address) {
                if server.owns(address) {
                    return Ok(server);
                }
                return Err(server.fails(Fault::ForeignPort(address)));
            }
            if self.interrupt.is_raised() {
                return Err(server.fails(Fault::Interrupted));
            }
            if Instant::now() >= deadline {
                return Err(
                    server.fails(Fault::NeverListened { address, timeout: terms.start_timeout })
                );
            }
            thread::sleep(LOOK);
        }
    }

    fn spawn<'a>(
        &self,
        terms: Terms<'a>,
        address: SocketAddr,
    ) -> Result<RunningServer<'a>, ServerError> {
        let spawn = || {
            let mut command = terms.command.at(address);
            sys::process::bind(&mut command, terms.cpus);
            let output = Output::of(&mut command)?;
            Ok((command.spawn()?, output))
        };
        let (child, output) = spawn().map_err(|source| terms.fails(Fault::Spawn(source)))?;
        let family = Family {
            leader: Pid::from_child(&child),
            strangers: Strangers::clone(&self.strangers),
        };
        *running() = Some(family.clone());
        Ok(RunningServer {
            terms,
            address,
            child,
            family,
            output,
            is_over: false,
            survivors: Vec::new(),
        })
    }
}

impl Terms<'_> {
    fn fails(&self, fault: Fault) -> ServerError {
        ServerError(Box::new(self.failure(fault)))
    }

    fn failure(&self, fault: Fault) -> Failure {
        Failure {
            name: self.name.to_owned(),
            command: self.command.to_string(),
            fault,
            last_lines: Vec::new(),
            survivors: Vec::new(),
        }
    }
}

/// A server that takes connections. Dropped, it is killed.
#[derive(Debug)]
pub(super) struct RunningServer<'a> {
    terms: Terms<'a>,
    address: SocketAddr,
    child: Child,
    family: Family,
    output: Output,
    is_over: bool,
    /// What could not be killed when it was over.
    survivors: Vec<Process>,
}

impl RunningServer<'_> {
    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The number of the process that was started.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Makes sure that it is still there, as it must be when its measurement is over.
    pub(super) fn check(&mut self) -> Result<(), ServerError> {
        if !self.has_ended() {
            return Ok(());
        }
        let status = self.end();
        Err(self.fails(Fault::Died { status }))
    }

    /// Tells it to end, and sees to it that nothing of it remains.
    pub(super) fn stop(mut self) -> Result<(), ServerError> {
        self.family.signal(Signal::TERM);
        let timeout = self.terms.stop_timeout;
        let has_obeyed = self.wait_for_end(Instant::now() + timeout);
        let left = if has_obeyed { self.outlived_by() } else { Vec::new() };
        let status = self.end();
        if !has_obeyed {
            return Err(self.fails(Fault::IgnoredTerm { timeout }));
        }
        if !left.is_empty() {
            return Err(self.fails(Fault::LeftBehind { status, left }));
        }
        if port::takes_connections(self.address) {
            return Err(self.fails(Fault::PortOpen(self.address)));
        }
        Ok(())
    }

    /// The processes that are still there after the server that brought them has ended.
    fn outlived_by(&self) -> Vec<String> {
        if self.family.wait_until_gone(Instant::now() + CHILDREN_TIMEOUT) {
            return Vec::new();
        }
        let listeners = Listeners::at(self.address);
        let describe = |process: &Process| {
            let number = process.number();
            let holds_port = listeners.are_held_by(number);
            let what = if holds_port { "still listens on the port" } else { "still runs" };
            format!("process {number} ({}) {what}", process.name)
        };
        self.family.living().iter().map(describe).collect()
    }

    fn wait_for_end(&self, deadline: Instant) -> bool {
        while !self.has_ended() {
            if Instant::now() >= deadline {
                return false;
            }
            thread::sleep(LOOK);
        }
        true
    }

    /// Whether the process that was started has ended. It is left on the table: see [`Family`].
    fn has_ended(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let leader = WaitId::Pid(self.family.leader);
        // An error would mean that it is no longer our child: then it has ended.
        waitid(leader, options).map_or(true, |status| status.is_some())
    }

    /// Whether one of its processes listens there, as far as we may see.
    fn owns(&self, address: SocketAddr) -> bool {
        let listeners = Listeners::at(address);
        let mut family = self.family.living().into_iter();
        !listeners.are_seen() || family.any(|process| listeners.may_be_held_by(process.number()))
    }

    /// Kills whatever there is of it; says how the process ended that was started. The second
    /// time there is nothing to do.
    fn end(&mut self) -> Option<ExitStatus> {
        if !self.is_over {
            self.is_over = true;
            if !self.family.kill() {
                self.survivors = self.family.living();
            }
            *running() = None;
        }
        // From here on its number may be another's.
        self.child.try_wait().ok().flatten()
    }

    /// Ends it, if that is not done yet.
    fn fails(&mut self, fault: Fault) -> ServerError {
        self.end();
        let describe =
            |process: &Process| format!("process {} ({})", process.number(), process.name);
        ServerError(Box::new(Failure {
            last_lines: self.output.last_lines(),
            survivors: self.survivors.iter().map(describe).collect(),
            ..self.terms.failure(fault)
        }))
    }
}

impl Drop for RunningServer<'_> {
    fn drop(&mut self) {
        self.end();
    }
}

fn running() -> std::sync::MutexGuard<'static, Option<Family>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Kills the server that this process runs, if there is one: for those who end the process
/// without dropping anything.
pub fn kill_servers() {
    // Whoever holds the lock is at starting or ending it, and may be who panics.
    if let Ok(family) = RUNNING.try_lock()
        && let Some(family) = &*family
    {
        family.kill();
    }
}
