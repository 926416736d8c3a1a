//! Peers that misbehave, and one that watches how it is served meanwhile.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::SendFlags;
use socket2::{Domain, SockRef, Socket, Type};

use super::{TEST_TIMEOUT, connect};

/// A connection whose kernel buffers are small: what is not read soon waits in the server.
pub fn connect_with_small_buffers(address: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None);
    let socket = socket.expect("a descriptor can be had");
    // The kernel's buffer for what is sent grows with the size of segments.
    socket.set_tcp_mss(536).expect("an option can be set");
    socket.set_recv_buffer_size(4096).expect("an option can be set");
    socket.set_send_buffer_size(16 << 10).expect("an option can be set");
    socket.connect(&address.into()).expect("the server accepts");
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(TEST_TIMEOUT)).expect("a timeout can be set");
    stream.set_write_timeout(Some(TEST_TIMEOUT)).expect("a timeout can be set");
    stream.set_nodelay(true).expect("an option can be set");
    stream
}

/// From now on closing it is a reset.
pub fn close_by_reset(stream: &TcpStream) {
    let linger = SockRef::from(stream).set_linger(Some(Duration::ZERO));
    linger.expect("an option can be set");
}

/// Peers that send as much as is taken and read nothing.
pub struct Flood {
    pub peers: Vec<TcpStream>,
    /// Bytes that the kernel took from each.
    pub sent: Vec<usize>,
}

impl Flood {
    /// More than the kernel's buffers between server and peer take, and no more than the server
    /// takes from a peer that does not read, with the kernel's.
    pub const STUCK_REQUEST: usize = 330_000;

    pub fn new(address: SocketAddr, peers: usize) -> Self {
        let peers: Vec<_> = (0..peers).map(|_| connect_with_small_buffers(address)).collect();
        for peer in &peers {
            peer.set_nonblocking(true).expect("an option can be set");
        }
        let sent = vec![0; peers.len()];
        Self { peers, sent }
    }

    /// Peers with an echo of `noise(STUCK_REQUEST, 1)` outstanding that they do not read.
    pub fn stuck(address: SocketAddr, peers: usize) -> Self {
        let mut flood = Self::new(address, peers);
        flood.press_until_sent(&super::noise(Self::STUCK_REQUEST, 1), Self::STUCK_REQUEST);
        flood
    }

    /// Sends `block` again and again, at most `piece` bytes with one call, until every peer has
    /// sent `limit` bytes, was ended, or none could send anything for 300 ms.
    pub fn press(&mut self, block: &[u8], piece: usize, limit: usize) {
        let (started, mut last_progress) = (Instant::now(), Instant::now());
        while last_progress.elapsed() < Duration::from_millis(300)
            && started.elapsed() < TEST_TIMEOUT
        {
            for (mut peer, sent) in self.peers.iter().zip(&mut self.sent) {
                for _ in 0..64 {
                    if *sent >= limit {
                        break;
                    }
                    let rest = &block[*sent % block.len()..];
                    match peer.write(&rest[..rest.len().min(piece)]) {
                        Ok(length) => {
                            *sent += length;
                            last_progress = Instant::now();
                        }
                        Err(_) => break,
                    }
                }
            }
            if self.sent.iter().all(|sent| *sent >= limit) {
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// As [`press`](Self::press), until every peer has sent `limit` bytes: the kernel may take its time
    /// where it dropped segments for want of room.
    pub fn press_until_sent(&mut self, block: &[u8], limit: usize) {
        let started = Instant::now();
        while self.sent.iter().any(|sent| *sent < limit) {
            assert!(started.elapsed() < TEST_TIMEOUT, "they sent {:?}", self.sent);
            self.press(block, block.len(), limit);
        }
    }

    /// Each sends its FIN.
    pub fn half_close(&self) {
        for peer in &self.peers {
            peer.shutdown(Shutdown::Write).expect("it is connected");
        }
    }

    /// Each reads to the server's FIN; returns what it got.
    pub fn read_to_end(&mut self) -> Vec<Vec<u8>> {
        let read = |peer: &mut TcpStream| {
            let mut reply = Vec::new();
            peer.set_nonblocking(false).expect("an option can be set");
            peer.read_to_end(&mut reply).expect("the reply ends with a FIN");
            reply
        };
        thread::scope(|scope| {
            let readers: Vec<_> =
                self.peers.iter_mut().map(|peer| scope.spawn(move || read(peer))).collect();
            readers.into_iter().map(|reader| reader.join().expect("it got its reply")).collect()
        })
    }
}

/// Sends one urgent byte, once the kernel takes it.
pub fn send_urgent(peer: &TcpStream) {
    let started = Instant::now();
    while let Err(error) = rustix::net::send(peer, b"!", SendFlags::OOB) {
        assert_eq!(error, Errno::AGAIN);
        assert!(started.elapsed() < TEST_TIMEOUT, "nothing more is taken");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Runs cases that mostly sleep, so many at a time.
pub fn run_side_by_side<F: FnOnce() + Send>(cases: impl IntoIterator<Item = F>, at_once: usize) {
    let cases = Mutex::new(cases.into_iter().collect::<Vec<_>>());
    let next = || cases.lock().expect("taking one does not panic").pop();
    thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some(case) = next() {
                    case();
                }
            });
        }
    });
}

/// A well-behaved peer that knows how fast it is served.
pub struct Witness {
    stream: TcpStream,
    message: Vec<u8>,
}

impl Witness {
    /// A peer whose message, a frame or any bytes, comes back as it is.
    pub fn new(address: SocketAddr, message: &[u8]) -> Self {
        Self { stream: connect(address), message: message.to_vec() }
    }

    /// One message there and back.
    pub fn echo(&mut self) {
        let mut reply = vec![0; self.message.len()];
        self.stream.write_all(&self.message).expect("it is served");
        self.stream.read_exact(&mut reply).expect("it is served");
        assert!(reply == self.message, "its message comes back unaltered");
    }

    /// Echoes in the best of five spells of 60 ms: what the server can do, whatever else this
    /// machine does now and then.
    pub fn rate(&mut self) -> usize {
        const SPELL: Duration = Duration::from_millis(60);
        let spell = |_| {
            let (started, mut echoes) = (Instant::now(), 0);
            while started.elapsed() < SPELL {
                self.echo();
                echoes += 1;
            }
            echoes
        };
        (0..5).map(spell).max().expect("five spells")
    }
}
