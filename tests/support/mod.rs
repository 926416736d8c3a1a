//! Common parts of the end-to-end tests: a server in this process, the program in its own, and
//! clients.

#![allow(dead_code, unreachable_pub, reason = "each test program uses its own part")]

pub mod busy;
pub mod framed;
pub mod host;
pub mod http;
mod noise;
pub mod peers;
pub mod process;
pub mod refusal;
pub mod tools;

pub use self::noise::noise;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use ringback::protocol::Protocol;
use ringback::server::{Config, DriverKind, Server};
use rustix::process::{Pid, Signal, kill_process};

/// Long enough for any machine: reaching it means that something hangs.
pub const TEST_TIMEOUT: Duration = Duration::from_secs(60);

/// How much of a thing a test does: a little, or with `RBTEST_SOAK=1` (scripts/soak.sh) all.
pub fn scale(little: usize, all: usize) -> usize {
    if std::env::var_os("RBTEST_SOAK").is_some_and(|value| value == "1") { all } else { little }
}

/// A server on a free loopback port with two workers.
pub fn start_server(driver: DriverKind, protocol: impl Protocol) -> (Server, SocketAddr) {
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut config = Config::with_protocol(vec![address], protocol);
    config.driver = driver;
    config.cpus = ringback::server::workers_on(&config.cpus, 2);
    config.drain_quiet = Duration::from_millis(100);
    let server = Server::start(&config).expect("the server starts");
    let address = server.local_addresses()[0];
    (server, address)
}

/// A connection that fails instead of hanging.
pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the server accepts");
    stream.set_read_timeout(Some(TEST_TIMEOUT)).expect("a timeout can be set");
    stream.set_write_timeout(Some(TEST_TIMEOUT)).expect("a timeout can be set");
    stream.set_nodelay(true).expect("an option can be set");
    stream
}

/// Sends everything, half-closes, and returns everything that comes back.
pub fn exchange(stream: TcpStream, request: &[u8]) -> Vec<u8> {
    let mut reader = stream.try_clone().expect("a descriptor can be had");
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut writer = &stream;
            // A server that refuses the rest answers with an error and closes.
            if writer.write_all(request).is_ok() {
                let _ = stream.shutdown(Shutdown::Write);
            }
        });
        let mut reply = Vec::new();
        reader.read_to_end(&mut reply).expect("the reply ends with a FIN");
        reply
    })
}

/// The `ringback` program, killed when dropped.
pub struct Program {
    child: Child,
    stderr: BufReader<ChildStderr>,
    /// Addresses from the `listening on` lines.
    pub addresses: Vec<SocketAddr>,
    /// Lines of standard error read so far.
    pub lines: Vec<String>,
}

impl Program {
    /// Starts `ringback` with these arguments and waits for this many `listening on` lines.
    pub fn start(arguments: &[&str], listening: usize) -> Self {
        Self::spawn(Command::new(env!("CARGO_BIN_EXE_ringback")).args(arguments), listening)
    }

    /// Starts a command that becomes or wraps `ringback`.
    pub fn spawn(command: &mut Command, listening: usize) -> Self {
        // For its peers, of which a test may have thousands: the usual soft limit is 1024.
        let _ = rlimit::increase_nofile_limit(u64::MAX);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stderr = BufReader::new(child.stderr.take().expect("it is piped"));
        let mut program = Self { child, stderr, addresses: Vec::new(), lines: Vec::new() };
        while program.addresses.len() < listening {
            let line = program.next_line().expect("the program listens before it ends");
            if let Some(address) = line.strip_prefix("listening on ") {
                program.addresses.push(address.parse().expect("an address follows"));
            }
        }
        program
    }

    /// The next line of standard error, unless it ended.
    pub fn next_line(&mut self) -> Option<String> {
        let mut line = String::new();
        let length = self.stderr.read_line(&mut line).expect("lines are UTF-8");
        let line = line.trim_end().to_owned();
        self.lines.push(line.clone());
        (length > 0).then_some(line)
    }

    /// The number of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Closes the reading end of standard error.
    pub fn stop_listening(mut self) -> Self {
        let (reader, _writer) = std::io::pipe().expect("a pipe can be had");
        self.stderr = BufReader::new(ChildStderr::from(std::os::fd::OwnedFd::from(reader)));
        self
    }

    /// Waits for the end without reading what is said.
    pub fn exit_code(&mut self) -> Option<i32> {
        self.child.wait().expect("a child can be waited for").code()
    }

    pub fn signal(&self, signal: Signal) {
        let process = Pid::from_child(&self.child);
        kill_process(process, signal).expect("the program runs");
    }

    /// Waits for the end; returns how it ended and everything it said.
    pub fn wait(mut self) -> (ExitStatus, String) {
        while self.next_line().is_some() {}
        let status = self.child.wait().expect("a child can be waited for");
        (status, self.lines.join("\n"))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let status = self.child.wait();
        if thread::panicking() {
            while self.next_line().is_some() {}
            eprintln!("the program ended with {status:?} and said:\n{}", self.lines.join("\n"));
        }
    }
}

/// Runs `ringback` to its end: exit code and standard error.
pub fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_ringback"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the program starts");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}
