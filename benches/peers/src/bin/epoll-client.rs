//! The least that a closed loop costs: `epoll-client ADDR CONNECTIONS SIZE SECONDS [CPU]`.
//!
//! One thread, level-triggered epoll, one message in flight on each connection; a message is one
//! receive and one send. It looks at no reply, takes no time and keeps no statistics: a generator
//! that does all that is measured against it. After half a second of warm-up it counts for SECONDS
//! and prints the messages, their rate, and its own CPU time for each.

use std::error::Error;
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ringback_peers::{exit_code, parse_address, pin, raise_descriptor_limit, usage};
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};

const WARMUP: Duration = Duration::from_millis(500);
const BUFFER_BYTES: usize = 64 << 10;
const EVENTS: usize = 512;
const LARGEST_MESSAGE_BYTES: usize = 16 << 20;
/// No connection has this number.
const TIMER: u64 = u64::MAX;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [load @ .., cpu] if load.len() == 4 => exit_code(pin(cpu).and_then(|()| measure(load))),
        load if load.len() == 4 => exit_code(measure(load)),
        _ => usage("epoll-client ADDR CONNECTIONS SIZE SECONDS [CPU]"),
    }
}

/// `load` is what the command line says between the program and the CPU.
fn measure(load: &[String]) -> Result<(), Box<dyn Error>> {
    let address = parse_address(&load[0])?;
    let connections = parse_count("connections", &load[1], usize::MAX)?;
    let size = parse_count("size", &load[2], LARGEST_MESSAGE_BYTES)?;
    let duration = parse_seconds(&load[3])?;
    raise_descriptor_limit()?;

    let mut client = Client::connect(address, connections, size)?;
    client.start()?;
    client.run(WARMUP)?;
    let (started, messages, cpu) = (Instant::now(), client.messages, cpu_time());
    client.run(duration)?;
    let messages = client.messages - messages;
    if messages == 0 {
        return Err("no message came back".into());
    }
    let rate = messages as f64 / started.elapsed().as_secs_f64();
    let cpu_ns = (cpu_time() - cpu).as_nanos() as f64 / messages as f64;
    println!("{messages} messages, {rate:.0} messages/s, {cpu_ns:.0} ns of CPU a message");
    Ok(())
}

struct Client {
    epoll: OwnedFd,
    connections: Vec<Connection>,
    /// Sent as every message.
    message: Vec<u8>,
    buffer: Vec<u8>,
    /// Complete replies so far.
    messages: u64,
}

struct Connection {
    socket: TcpStream,
    /// Of the message in flight, bytes that the kernel has not taken.
    unsent: usize,
    /// Of its reply, bytes that have not come.
    awaited: usize,
}

impl Client {
    fn connect(address: SocketAddr, count: usize, size: usize) -> Result<Self, Box<dyn Error>> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut connections = Vec::new();
        for number in 0..count {
            let socket = TcpStream::connect(address)
                .map_err(|error| format!("cannot connect to {address}: {error}"))?;
            socket.set_nodelay(true)?;
            socket.set_nonblocking(true)?;
            epoll::add(&epoll, &socket, EventData::new_u64(number as u64), EventFlags::IN)?;
            connections.push(Connection { socket, unsent: 0, awaited: 0 });
        }
        let (message, buffer) = (vec![b'x'; size], vec![0; BUFFER_BYTES]);
        Ok(Self { epoll, connections, message, buffer, messages: 0 })
    }

    /// Sends every connection's first message.
    fn start(&mut self) -> Result<(), Errno> {
        (0..self.connections.len()).try_for_each(|number| self.send_next(number))
    }

    /// Goes round for so long.
    fn run(&mut self, duration: Duration) -> Result<(), Box<dyn Error>> {
        // It leaves the epoll set by being closed.
        let timer = one_shot(duration)?;
        epoll::add(&self.epoll, &timer, EventData::new_u64(TIMER), EventFlags::IN)?;
        let mut events = [const { MaybeUninit::uninit() }; EVENTS];
        loop {
            let (ready, _) = match epoll::wait(&self.epoll, &mut events, None) {
                Err(Errno::INTR) => continue,
                ready => ready?,
            };
            for event in ready {
                let (number, flags) = (event.data.u64(), event.flags);
                if number == TIMER {
                    return Ok(());
                }
                if flags.contains(EventFlags::OUT) {
                    self.flush(number as usize)?;
                }
                if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
                    self.receive(number as usize)?;
                }
            }
        }
    }

    fn receive(&mut self, number: usize) -> Result<(), Box<dyn Error>> {
        let connection = &mut self.connections[number];
        let length = match recv(&connection.socket, &mut self.buffer[..], RecvFlags::empty()) {
            Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
            Ok((0, _)) => return Err("the server closed a connection".into()),
            received => received?.0,
        };
        connection.awaited = connection
            .awaited
            .checked_sub(length)
            .ok_or("the server sent more than it was asked for")?;
        if connection.awaited == 0 {
            self.messages += 1;
            self.send_next(number)?;
        }
        Ok(())
    }

    fn send_next(&mut self, number: usize) -> Result<(), Errno> {
        let connection = &mut self.connections[number];
        connection.awaited = self.message.len();
        connection.unsent = self.message.len() - connection.send(&self.message)?;
        if connection.unsent > 0 {
            self.watch(number, EventFlags::IN | EventFlags::OUT)?;
        }
        Ok(())
    }

    fn flush(&mut self, number: usize) -> Result<(), Errno> {
        let connection = &mut self.connections[number];
        let rest = &self.message[self.message.len() - connection.unsent..];
        connection.unsent -= connection.send(rest)?;
        if connection.unsent == 0 {
            self.watch(number, EventFlags::IN)?;
        }
        Ok(())
    }

    fn watch(&self, number: usize, interest: EventFlags) -> Result<(), Errno> {
        let data = EventData::new_u64(number as u64);
        epoll::modify(&self.epoll, &self.connections[number].socket, data, interest)
    }
}

impl Connection {
    /// How much of `bytes` the kernel took.
    fn send(&self, bytes: &[u8]) -> Result<usize, Errno> {
        match send(&self.socket, bytes, SendFlags::NOSIGNAL) {
            Err(Errno::AGAIN | Errno::INTR) => Ok(0),
            sent => sent,
        }
    }
}

/// A timer that is readable after so long: no clock is read while messages go round.
fn one_shot(after: Duration) -> Result<OwnedFd, Errno> {
    let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC)?;
    let nothing = Timespec { tv_sec: 0, tv_nsec: 0 };
    let it_value =
        Timespec { tv_sec: after.as_secs() as i64, tv_nsec: after.subsec_nanos().into() };
    let spec = Itimerspec { it_interval: nothing, it_value };
    timerfd_settime(&timer, TimerfdTimerFlags::empty(), &spec)?;
    Ok(timer)
}

/// CPU time of this thread since its start.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn parse_count(what: &str, text: &str, most: usize) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if (1..=most).contains(&count) => Ok(count),
        _ => Err(format!("{what} {text:?} is not a number from 1 to {most}")),
    }
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().unwrap_or(0.0);
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err(format!("seconds {text:?} is not a number above 0")),
    }
}
