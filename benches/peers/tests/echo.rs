//! Every peer echoes as it should: what is measured beside ringback must do the same work.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

/// Long enough for any machine: reaching it means that something hangs.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);
const HEADER_BYTES: usize = 20;
/// Of the frames that are sent: more than a peer reads at once.
const FRAME_BYTES: usize = 100_000;
/// Below the usual soft limit of descriptors, 1024.
const MANY: usize = 500;

macro_rules! peers {
    ($($module:ident $program:literal)*) => {
        $(mod $module {
            const PROGRAM: &str = env!(concat!("CARGO_BIN_EXE_", $program));

            #[test]
            fn a_half_closed_stream_comes_back_whole() {
                super::a_half_closed_stream_comes_back_whole(PROGRAM);
            }

            #[test]
            fn a_reset_ends_its_connection_alone() {
                super::a_reset_ends_its_connection_alone(PROGRAM);
            }

            #[test]
            fn a_peer_that_does_not_read_is_not_read_from() {
                super::a_peer_that_does_not_read_is_not_read_from(PROGRAM);
            }

            #[test]
            fn many_connections_are_served_at_once() {
                super::many_connections_are_served_at_once(PROGRAM);
            }

            #[test]
            fn wrong_command_lines_are_explained() {
                super::wrong_command_lines_are_explained(PROGRAM);
            }
        })*
    };
}

peers! {
    blocking "blocking-echo"
    nonblocking "nonblocking-echo"
    poll "poll-echo"
    epoll "epoll-echo"
    tokio "tokio-echo"
    monoio "monoio-echo"
    tokio_uring "tokio-uring-echo"
    ring "ring-echo"
    splice "splice-echo"
    framed "framed-echo"
}

fn a_half_closed_stream_comes_back_whole(program: &str) {
    let peer = Peer::start(program);
    let stream = peer.connect();
    let request = peer.encode(&noise(5 << 20, 1));
    let reply = thread::scope(|scope| {
        scope.spawn(|| {
            (&stream).write_all(&request).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
        });
        read_to_end(&stream)
    });
    assert!(reply == request, "{} of {} bytes came back", reply.len(), request.len());
}

fn a_reset_ends_its_connection_alone(program: &str) {
    let peer = Peer::start(program);
    let survivor = peer.connect();
    peer.exchange(&survivor, b"before");
    for _ in 0..20 {
        let doomed = peer.connect();
        (&doomed).write_all(&peer.encode(&noise(100_000, 2))).unwrap();
        // Closing with a linger of nothing sends a reset.
        SockRef::from(&doomed).set_linger(Some(Duration::ZERO)).unwrap();
    }
    peer.exchange(&survivor, b"after");
    peer.exchange(&peer.connect(), b"a newcomer");
}

fn a_peer_that_does_not_read_is_not_read_from(program: &str) {
    let peer = Peer::start(program);
    let stream = peer.connect();
    peer.exchange(&stream, b"so that what a connection needs is there");
    let before = peer.resident_bytes();
    // More than the kernel's buffers of both sides hold.
    let request = peer.encode(&noise(64 << 20, 3));
    let taken = write_until_stuck(&stream, &request);
    assert!(taken < request.len(), "all was taken though nothing was read");
    let grown = peer.resident_bytes().saturating_sub(before);
    assert!(grown < 4 << 20, "{grown} bytes of memory for one slow reader");

    peer.exchange(&peer.connect(), b"others do not notice");
    stream.shutdown(Shutdown::Write).unwrap();
    let due = if peer.is_framed { taken - taken % FRAME_BYTES } else { taken };
    assert!(read_to_end(&stream) == request[..due], "what was taken did not come back");
}

fn many_connections_are_served_at_once(program: &str) {
    let peer = Peer::start(program);
    let connections: Vec<TcpStream> = (0..MANY).map(|_| peer.connect()).collect();
    let message = |index: usize| peer.encode(&noise(100, 1 + index as u64));
    for (index, mut connection) in connections.iter().enumerate() {
        connection.write_all(&message(index)).unwrap();
    }
    for (index, mut connection) in connections.iter().enumerate() {
        let mut reply = vec![0; message(index).len()];
        connection.read_exact(&mut reply).unwrap();
        assert_eq!(reply, message(index), "connection {index}");
    }
}

fn wrong_command_lines_are_explained(program: &str) {
    let cases: [(&[&str], i32, &str); 7] = [
        (&[], 64, "usage"),
        (&["127.0.0.1:0", "0", "surplus"], 64, "usage"),
        (&["localhost"], 1, "\"localhost\" is not IP:PORT"),
        (&["127.0.0.1:0", "first"], 1, "\"first\" is not the number of a CPU"),
        (&["127.0.0.1:0", "0,"], 1, "\"\" is not the number of a CPU"),
        (&["127.0.0.1:0", "1000000"], 1, "there is no CPU 1000000"),
        (&["192.0.2.1:0"], 1, "cannot listen on 192.0.2.1:0"),
    ];
    for (arguments, code, word) in cases {
        assert_explained(&Command::new(program).args(arguments).output().unwrap(), code, word);
    }
}

fn assert_explained(output: &Output, code: i32, word: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(word), "not {word:?} but {said}");
}

/// Two threads on one CPU: not every machine has a second.
#[test]
fn a_peer_with_two_threads_serves_on_both() {
    let peer = Peer::start_on(env!("CARGO_BIN_EXE_epoll-echo"), &["0,0"]);
    let tasks = fs::read_dir(format!("/proc/{}/task", peer.process.id())).unwrap();
    assert_eq!(tasks.count(), 2);
    // The kernel chooses a listener by a hash of the addresses: each has some of so many.
    let connections: Vec<TcpStream> = (0..MANY).map(|_| peer.connect()).collect();
    for connection in &connections {
        peer.exchange(connection, b"on either");
    }
    let served = epoll_sets(&peer);
    assert!(served.len() == 2 && served.iter().all(|count| *count > 1), "{served:?}");
}

/// How many descriptors each epoll set of a process watches (`proc_pid_fdinfo(5)`).
fn epoll_sets(peer: &Peer) -> Vec<usize> {
    let directory = fs::read_dir(format!("/proc/{}/fdinfo", peer.process.id())).unwrap();
    let watched = |path| fs::read_to_string(path).unwrap_or_default().matches("tfd:").count();
    directory.map(|entry| watched(entry.unwrap().path())).filter(|count| *count > 0).collect()
}

#[test]
fn frames_come_back_whatever_their_cuts_and_lengths() {
    let peer = Peer::start(env!("CARGO_BIN_EXE_framed-echo"));
    let stream = peer.connect();
    let lengths = [0, 1, 64, 65_516, 65_517, 1 << 20, 3];
    let frames: Vec<u8> = lengths.iter().flat_map(|length| frame(&noise(*length, 4))).collect();
    for cut in [1, 19, 20, 21, 104, 65_536, 65_600, frames.len() - 1] {
        let mut reply = vec![0; frames.len()];
        thread::scope(|scope| {
            scope.spawn(|| {
                (&stream).write_all(&frames[..cut]).unwrap();
                thread::sleep(Duration::from_millis(5));
                (&stream).write_all(&frames[cut..]).unwrap();
            });
            (&stream).read_exact(&mut reply).unwrap();
        });
        assert!(reply == frames, "cut at {cut}");
    }
}

#[test]
fn a_frame_that_is_not_as_it_was_sent_does_not_come_back() {
    let peer = Peer::start(env!("CARGO_BIN_EXE_framed-echo"));
    let good = frame(b"Hello, world");
    for place in [0, 2, 3, 4, 8, 16, 20, good.len() - 1] {
        let mut bad = good.clone();
        bad[place] ^= 1;
        let mut stream = peer.connect();
        peer.exchange(&stream, b"good");
        stream.write_all(&bad).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        // The peer may not have read all there was, and then a reset says so.
        stream.read_to_end(&mut rest).ok();
        assert!(rest.is_empty(), "byte {place}");
    }
}

#[test]
fn the_client_counts_its_messages() {
    let peer = Peer::start(env!("CARGO_BIN_EXE_epoll-echo"));
    let address = peer.address.to_string();
    for (connections, size) in [("1", "1"), ("10", "64"), ("2", "1048576")] {
        assert_counts(&client(&[&address, connections, size, "0.2"]));
    }
}

#[test]
fn the_floor_counts_its_messages() {
    for (connections, size) in [("1", "1"), ("10", "64"), ("2", "1048576")] {
        assert_counts(&floor(&[connections, size, "0.2"]));
    }
}

/// What a measurement prints: messages, their rate, their cost.
fn assert_counts(output: &Output) {
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let numbers: Vec<f64> = said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    assert!(numbers.len() == 3 && numbers.iter().all(|number| *number >= 1.0), "{said}");
}

#[test]
fn the_floor_explains_what_is_wrong() {
    let cases: [(&[&str], i32, &str); 3] = [
        (&["1", "64"], 64, "usage"),
        (&["1", "64", "soon"], 1, "seconds"),
        (&["1", "64", "1", "1000000"], 1, "there is no CPU"),
    ];
    for (arguments, code, word) in cases {
        assert_explained(&floor(arguments), code, word);
    }
}

#[test]
fn the_client_explains_what_is_wrong() {
    // Bound, so that no other test can have its port, and not listening.
    let deaf = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    deaf.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let nobody = deaf.local_addr().unwrap().as_socket().unwrap().to_string();
    let cases: [(&[&str], i32, &str); 7] = [
        (&[], 64, "usage"),
        (&[&nobody, "1", "64", "1"], 1, "cannot connect"),
        (&[&nobody, "0", "64", "1"], 1, "connections"),
        (&[&nobody, "1", "0", "1"], 1, "size"),
        (&[&nobody, "1", "64", "soon"], 1, "seconds"),
        (&[&nobody, "1", "64", "0"], 1, "seconds"),
        (&[&nobody, "1", "64", "nan"], 1, "seconds"),
    ];
    for (arguments, code, word) in cases {
        assert_explained(&client(arguments), code, word);
    }
}

#[test]
fn the_client_does_not_measure_a_server_that_left() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let leaver = thread::spawn(move || drop(listener.accept().unwrap()));
    let output = client(&[&address, "1", "64", "1"]);
    leaver.join().unwrap();
    assert_eq!(output.status.code(), Some(1));
}

fn client(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_epoll-client")).args(arguments).output().unwrap()
}

fn floor(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_floor")).args(arguments).output().unwrap()
}

/// A peer on a free port, ended when dropped.
struct Peer {
    process: Child,
    address: SocketAddr,
    is_framed: bool,
}

impl Peer {
    fn start(program: &str) -> Self {
        Self::start_on(program, &[])
    }

    fn start_on(program: &str, cpus: &[&str]) -> Self {
        let mut process = Command::new(program)
            .arg("127.0.0.1:0")
            .args(cpus)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stderr.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.strip_prefix("listening on ").expect(&line).trim().parse().unwrap();
        Self { process, address, is_framed: program.ends_with("framed-echo") }
    }

    /// The bytes as this peer echoes them: in frames of [`FRAME_BYTES`], if it wants frames.
    fn encode(&self, bytes: &[u8]) -> Vec<u8> {
        if self.is_framed {
            bytes.chunks(FRAME_BYTES - HEADER_BYTES).flat_map(frame).collect()
        } else {
            bytes.to_vec()
        }
    }

    fn exchange(&self, mut stream: &TcpStream, bytes: &[u8]) {
        let message = self.encode(bytes);
        stream.write_all(&message).unwrap();
        let mut reply = vec![0; message.len()];
        stream.read_exact(&mut reply).unwrap();
        assert_eq!(reply, message);
    }

    /// A connection that fails instead of hanging.
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(TEST_TIMEOUT)).unwrap();
        stream.set_write_timeout(Some(TEST_TIMEOUT)).unwrap();
        stream
    }

    fn resident_bytes(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        1024 * line.trim().trim_end_matches(" kB").parse::<usize>().unwrap()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// An ECHO of ringback's framed protocol, which tests/vectors of ringback describes.
fn frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = b"RB\x01\x01".to_vec();
    frame.extend((payload.len() as u32).to_be_bytes());
    frame.extend(7_u64.to_be_bytes());
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&frame), payload);
    frame.extend(checksum.to_be_bytes());
    frame.extend(payload);
    frame
}

fn read_to_end(mut stream: &TcpStream) -> Vec<u8> {
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).unwrap();
    reply
}

/// Writes until nothing was taken for a while; returns how much was.
fn write_until_stuck(mut stream: &TcpStream, bytes: &[u8]) -> usize {
    stream.set_nonblocking(true).unwrap();
    let (mut taken, mut refusals) = (0, 0);
    while taken < bytes.len() && refusals < 20 {
        match stream.write(&bytes[taken..]) {
            Ok(length) => (taken, refusals) = (taken + length, 0),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                refusals += 1;
                thread::sleep(Duration::from_millis(20));
            }
            Err(error) => panic!("after {taken} bytes: {error}"),
        }
    }
    stream.set_nonblocking(false).unwrap();
    taken
}

/// Bytes without a pattern that a shifted or repeated copy would share.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        // xorshift64 (Marsaglia 2003)
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
