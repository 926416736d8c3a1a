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
use std::time::Duration;

use ringback_peers::{
    BUFFER_BYTES, Client, EVENTS, Load, Meter, exit_code, parse_address, pin,
    raise_descriptor_limit, usage,
};
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

/// No connection has this number.
const TIMER: u64 = u64::MAX;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [address, connections, size, seconds] => {
            exit_code(measure(address, [connections, size, seconds]))
        }
        [address, connections, size, seconds, cpu] => {
            exit_code(pin(cpu).and_then(|()| measure(address, [connections, size, seconds])))
        }
        _ => usage("epoll-client ADDR CONNECTIONS SIZE SECONDS [CPU]"),
    }
}

fn measure(address: &str, load: [&str; 3]) -> Result<(), Box<dyn Error>> {
    let (address, load) = (parse_address(address)?, Load::parse(load)?);
    raise_descriptor_limit()?;

    let mut generator = Generator::connect(address, load)?;
    generator.start()?;
    generator.run(Load::WARMUP)?;
    let meter = Meter::start(generator.messages);
    generator.run(load.duration)?;
    let (messages, seconds, cpu_ns) = meter.read(generator.messages)?;
    let rate = messages as f64 / seconds;
    println!("{messages} messages, {rate:.0} messages/s, {cpu_ns:.0} ns of CPU a message");
    Ok(())
}

struct Generator {
    epoll: OwnedFd,
    clients: Vec<Client>,
    /// Sent as every message.
    message: Vec<u8>,
    buffer: Vec<u8>,
    /// Complete replies so far.
    messages: u64,
}

impl Generator {
    fn connect(address: SocketAddr, load: Load) -> Result<Self, Box<dyn Error>> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut clients = Vec::new();
        for number in 0..load.connections {
            let socket = TcpStream::connect(address)
                .map_err(|error| format!("cannot connect to {address}: {error}"))?;
            epoll::add(&epoll, &socket, EventData::new_u64(number as u64), EventFlags::IN)?;
            clients.push(Client::new(socket)?);
        }
        let (message, buffer) = (vec![b'x'; load.size], vec![0; BUFFER_BYTES]);
        Ok(Self { epoll, clients, message, buffer, messages: 0 })
    }

    /// Sends every connection's first message.
    fn start(&mut self) -> Result<(), Errno> {
        (0..self.clients.len()).try_for_each(|number| self.send_next(number))
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
        if self.clients[number].receive(&mut self.buffer)? {
            self.messages += 1;
            self.send_next(number)?;
        }
        Ok(())
    }

    fn send_next(&mut self, number: usize) -> Result<(), Errno> {
        self.clients[number].send_next(&self.message)?;
        if self.clients[number].is_sending() {
            self.watch(number, EventFlags::IN | EventFlags::OUT)?;
        }
        Ok(())
    }

    fn flush(&mut self, number: usize) -> Result<(), Errno> {
        self.clients[number].flush(&self.message)?;
        if !self.clients[number].is_sending() {
            self.watch(number, EventFlags::IN)?;
        }
        Ok(())
    }

    fn watch(&self, number: usize, interest: EventFlags) -> Result<(), Errno> {
        let data = EventData::new_u64(number as u64);
        epoll::modify(&self.epoll, self.clients[number].socket(), data, interest)
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
