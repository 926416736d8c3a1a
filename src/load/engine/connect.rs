//! Makes the run's connections before the clock starts, many at a time.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use socket2::Socket;

use super::dial::{Dialer, finish, is_unanswered};
use crate::address::Address;
use crate::load::config::Config;
use crate::load::interrupt::Interrupt;
use crate::load::record::failure::{Failure, Failures, HANDSHAKE_LIMIT_S};

/// How long no connection may succeed before the rest are given up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(HANDSHAKE_LIMIT_S);
/// How long to wait before looking whether the run was interrupted.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// Handshakes under way at once, below the shortest usual listen backlog (128).
const MAX_IN_PROGRESS: usize = 64;
/// A handshake that takes so many times as long as the first did is started anew: its SYN was
/// dropped because the server's backlog is full, and the kernel waits a second before it repeats
/// one.
const REDIAL_FACTOR: u32 = 4;
/// Bounds of that time: a server's pause on a busy machine, and the kernel's own patience.
const MIN_REDIAL_TIMEOUT: Duration = Duration::from_millis(20);
const MAX_REDIAL_TIMEOUT: Duration = Duration::from_secs(1);

pub(crate) struct Connected {
    pub(crate) dialer: Dialer,
    /// Non-blocking, without Nagle's delay.
    pub(crate) sockets: Vec<TcpStream>,
    pub(crate) failures: Failures,
    /// SYNs that were sent anew, since the first was not answered.
    pub(crate) redialed_syns: u64,
}

/// Makes the run's connections to the first of its target's addresses that takes one, evenly over
/// the ramp-up. It fails where none takes one; later failures are counted, an interrupt's too.
pub(crate) fn connect_all(config: &Config) -> io::Result<Connected> {
    let mut connecting = Connecting::begin(config)?;
    while !connecting.is_done() {
        connecting.start_due();
        if connecting.is_hopeless() || config.interrupt.is_raised() {
            connecting.give_up();
            break;
        }
        connecting.take_decided()?;
        connecting.repeat_unanswered();
    }
    Ok(connecting.connected)
}

/// The making of all connections but the first.
struct Connecting {
    connected: Connected,
    in_progress: Vec<Attempt>,
    count: usize,
    started: usize,
    interval: Duration,
    start: Instant,
    last_success: Instant,
    /// How long a SYN may stay unanswered before there is another.
    redial_timeout: Duration,
}

struct Attempt {
    number: usize,
    socket: Socket,
    start: Instant,
    /// When the last SYN was sent by us.
    dialed: Instant,
}

impl Connecting {
    fn begin(config: &Config) -> io::Result<Self> {
        let (dialer, first, took) =
            connect_first(&config.target.addresses, &config.sources, &config.interrupt)?;
        let count = config.own_connections();
        Ok(Self {
            connected: Connected {
                dialer,
                sockets: vec![first],
                failures: Failures::new(),
                redialed_syns: 0,
            },
            in_progress: Vec::new(),
            count,
            started: 1,
            interval: Duration::from_nanos(
                u64::try_from(config.ramp_up.as_nanos() / count as u128).unwrap_or(u64::MAX),
            ),
            start: Instant::now(),
            last_success: Instant::now(),
            redial_timeout: (took * REDIAL_FACTOR).clamp(MIN_REDIAL_TIMEOUT, MAX_REDIAL_TIMEOUT),
        })
    }

    fn is_done(&self) -> bool {
        self.started == self.count && self.in_progress.is_empty()
    }

    fn start_due(&mut self) {
        while self.started < self.count
            && self.in_progress.len() < MAX_IN_PROGRESS
            && self.start.elapsed() >= self.next_due()
        {
            match Attempt::begin(&self.connected.dialer, self.started) {
                Ok(attempt) => self.in_progress.push(attempt),
                Err(failure) => self.fail(1, failure),
            }
            self.started += 1;
        }
    }

    /// When the next attempt is due, since the beginning.
    fn next_due(&self) -> Duration {
        self.interval.saturating_mul(u32::try_from(self.started).unwrap_or(u32::MAX))
    }

    /// A slow server gets all the time it wants while any handshake succeeds.
    fn is_hopeless(&self) -> bool {
        self.in_progress
            .first()
            .is_some_and(|oldest| oldest.start.max(self.last_success).elapsed() >= CONNECT_TIMEOUT)
    }

    fn give_up(&mut self) {
        self.fail(self.in_progress.len() + self.count - self.started, Failure::TimedOut);
    }

    fn take_decided(&mut self) -> io::Result<()> {
        let until_next = if self.started < self.count && self.in_progress.len() < MAX_IN_PROGRESS {
            self.next_due().saturating_sub(self.start.elapsed())
        } else {
            self.redial_timeout
        };
        for attempt in take_decided(
            &mut self.in_progress,
            until_next.min(self.redial_timeout).min(POLL_INTERVAL),
        )? {
            match finish(attempt.socket) {
                Ok(socket) => {
                    self.connected.sockets.push(socket);
                    self.last_success = Instant::now();
                }
                Err(failure) => self.fail(1, failure),
            }
        }
        Ok(())
    }

    /// Sends another SYN where there was no answer.
    fn repeat_unanswered(&mut self) {
        let mut failed = Vec::new();
        let mut redialed = 0;
        self.in_progress.retain_mut(|attempt| {
            if attempt.dialed.elapsed() < self.redial_timeout || !is_unanswered(&attempt.socket) {
                return true;
            }
            redialed += 1;
            attempt.dial(&self.connected.dialer).map_err(|failure| failed.push(failure)).is_ok()
        });
        self.connected.redialed_syns += redialed;
        failed.into_iter().for_each(|failure| self.fail(1, failure));
    }

    fn fail(&mut self, attempts: usize, failure: Failure) {
        *self.connected.failures.entry(failure).or_default() += attempts as u64;
    }
}

impl Attempt {
    fn begin(dialer: &Dialer, number: usize) -> Result<Self, Failure> {
        let now = Instant::now();
        Ok(Self { number, socket: dialer.begin(number)?, start: now, dialed: now })
    }

    /// Begins anew. A late answer to the first SYN is answered by a reset, before the server
    /// accepts anything.
    fn dial(&mut self, dialer: &Dialer) -> Result<(), Failure> {
        self.socket = dialer.begin(self.number)?;
        self.dialed = Instant::now();
        Ok(())
    }
}

pub(super) fn connect_first(
    addresses: &[SocketAddr],
    sources: &[Address],
    interrupt: &Interrupt,
) -> io::Result<(Dialer, TcpStream, Duration)> {
    let mut last_error = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let dialers = addresses.iter().filter_map(|address| Dialer::new(*address, sources));
    for dialer in dialers {
        match connect_one(&dialer, interrupt) {
            Ok((socket, took)) => return Ok((dialer, socket, took)),
            Err(error) => last_error = error,
        }
    }
    Err(last_error)
}

fn connect_one(dialer: &Dialer, interrupt: &Interrupt) -> io::Result<(TcpStream, Duration)> {
    let mut in_progress = vec![Attempt::begin(dialer, 0)?];
    let start = in_progress[0].start;
    while start.elapsed() < CONNECT_TIMEOUT && !interrupt.is_raised() {
        if let Some(attempt) = take_decided(&mut in_progress, POLL_INTERVAL)?.pop() {
            return Ok((finish(attempt.socket)?, start.elapsed()));
        }
    }
    Err(Failure::TimedOut.into())
}

/// Waits for handshakes to be decided, either way, and takes those out that are.
fn take_decided(in_progress: &mut Vec<Attempt>, timeout: Duration) -> io::Result<Vec<Attempt>> {
    let mut polled: Vec<PollFd<'_>> =
        in_progress.iter().map(|attempt| PollFd::new(&attempt.socket, PollFlags::OUT)).collect();
    wait_for(&mut polled, timeout)?;
    let mut is_decided =
        polled.iter().map(|entry| !entry.revents().is_empty()).collect::<Vec<_>>().into_iter();
    Ok(in_progress.extract_if(.., |_| is_decided.next().unwrap_or(false)).collect())
}

pub(super) fn wait_for(sockets: &mut [PollFd<'_>], timeout: Duration) -> Result<(), Errno> {
    let timeout = Timespec::try_from(timeout).expect("nobody waits for 292 billion years");
    match poll(sockets, Some(&timeout)) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error),
    }
}
