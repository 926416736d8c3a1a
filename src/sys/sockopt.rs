//! Facts the kernel knows of a TCP connection and no safe wrapper asks for.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Fields of `struct tcp_info` (`linux/tcp.h`); the layout is ABI.
mod field {
    /// `tcpi_state`.
    pub(super) const STATE: usize = 0;
    /// `tcpi_unacked`: of a listener, connections that wait to be accepted.
    pub(super) const UNACKED: usize = 24;
    /// `tcpi_total_retrans`.
    pub(super) const TOTAL_RETRANS: usize = 100;
    /// `tcpi_bytes_acked`, since 4.1.
    pub(super) const BYTES_ACKED: usize = 120;
    /// Length to ask for: the request ends with the last field used.
    pub(super) const END: usize = BYTES_ACKED + 8;
}

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Bytes that the peer has acknowledged since the connection started (RFC 4898
    /// tcpEStatsAppHCThruOctetsAcked).
    pub(crate) acknowledged: u64,
    /// The connection is over for the kernel: it was reset, or both sides have finished and
    /// everything is acknowledged.
    pub(crate) is_over: bool,
}

/// Asks how far a connection has come.
pub(crate) fn progress(socket: BorrowedFd<'_>) -> io::Result<Progress> {
    /// `TCP_CLOSE` of `net/tcp_states.h`.
    const CLOSE: u8 = 7;
    let info = tcp_info(socket)?;
    let bytes = info[field::BYTES_ACKED..].first_chunk().expect("the array ends with the field");
    Ok(Progress { acknowledged: u64::from_ne_bytes(*bytes), is_over: info[field::STATE] == CLOSE })
}

/// Segments that the kernel has sent again on a connection, SYNs included; 0 if it does not say.
pub(crate) fn retransmitted_segments(socket: BorrowedFd<'_>) -> u32 {
    let Ok(info) = tcp_info(socket) else { return 0 };
    let bytes = info[field::TOTAL_RETRANS..].first_chunk().expect("the field lies inside");
    u32::from_ne_bytes(*bytes)
}

/// Connections that wait to be accepted; 0 if the kernel does not report it.
pub(crate) fn accept_queue_length(listener: BorrowedFd<'_>) -> usize {
    let Ok(info) = tcp_info(listener) else { return 0 };
    let bytes = info[field::UNACKED..].first_chunk().expect("the field lies inside");
    u32::from_ne_bytes(*bytes) as usize
}

fn tcp_info(socket: BorrowedFd<'_>) -> io::Result<[u8; field::END]> {
    let mut info = [0_u8; field::END];
    let mut length = field::END as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes into `info`, which has as many.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if result == 0 { Ok(info) } else { Err(io::Error::last_os_error()) }
}

/// Bytes in the send queue that the peer has not acknowledged (`SIOCOUTQ`, `tcp(7)`).
pub(crate) fn bytes_queued(socket: BorrowedFd<'_>) -> io::Result<usize> {
    let mut queued: libc::c_int = 0;
    // SAFETY: the kernel writes one int, which `queued` is.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut queued) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(usize::try_from(queued).unwrap_or(0))
}

/// Asks whether the urgent byte is next (`sockatmark(3)`; `asm-generic/sockios.h`).
pub(super) const SIOCATMARK: u64 = 0x8905;

/// Returns whether the next byte to receive is an urgent one (`tcp(7)`).
pub(crate) fn is_at_urgent_byte(socket: BorrowedFd<'_>) -> bool {
    let mut is_at_mark: libc::c_int = 0;
    // SAFETY: the kernel writes one int, which `is_at_mark` is.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCATMARK as _, &raw mut is_at_mark) };
    result == 0 && is_at_mark != 0
}

/// Gives new connections to the first `sockets` of the listeners that share this one's port
/// (SO_REUSEPORT), to each as often: whoever joins them later gets none
/// (`SO_ATTACH_REUSEPORT_CBPF`, `socket(7)`, since 4.5).
pub(crate) fn distribute_over_first(listener: BorrowedFd<'_>, sockets: u32) -> io::Result<()> {
    let instruction = |code: u32, k| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let random = (libc::SKF_AD_OFF + libc::SKF_AD_RANDOM) as u32;
    let mut program = [
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, random),
        instruction(libc::BPF_ALU | libc::BPF_MOD | libc::BPF_K, sockets),
        instruction(libc::BPF_RET | libc::BPF_A, 0),
    ];
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the kernel reads a `sock_fprog`, and as many instructions as it says from where it
    // points, which is an array that lives until the end of this function.
    unsafe { set(listener, libc::SOL_SOCKET, libc::SO_ATTACH_REUSEPORT_CBPF, &program) }
}

/// Gives new connections to all listeners that share this one's port, as the kernel does where
/// nobody says otherwise (`SO_DETACH_REUSEPORT_BPF`, `socket(7)`, since 5.3).
///
/// # Errors
///
/// ENOENT where nobody did.
pub(crate) fn distribute_over_all(listener: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the kernel wants an int, and does not look at it.
    unsafe { set::<libc::c_int>(listener, libc::SOL_SOCKET, libc::SO_DETACH_REUSEPORT_BPF, &0) }
}

/// Lets `bind` to port 0 choose an address alone: the port comes with `connect`
/// (`IP_BIND_ADDRESS_NO_PORT`, `ip(7)`, since 4.2). Of IPv6 sockets too.
pub(crate) fn bind_address_without_port(socket: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the kernel reads one int.
    unsafe { set::<libc::c_int>(socket, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, &1) }
}

/// # Safety
///
/// The option takes a `T`, and whatever that points to may be read.
unsafe fn set<T>(
    socket: BorrowedFd<'_>,
    level: libc::c_int,
    option: libc::c_int,
    value: &T,
) -> io::Result<()> {
    let length = size_of::<T>() as libc::socklen_t;
    // SAFETY: the kernel reads `length` bytes from `value`, which has as many; the caller answers
    // for what they mean.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            std::ptr::from_ref(value).cast(),
            length,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::fd::AsFd;
    use std::thread;
    use std::time::{Duration, Instant};

    use socket2::{Domain, Socket, Type};

    use super::*;

    #[test]
    fn a_syn_that_is_dropped_is_a_segment_sent_again() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let address = listener.local_addr().unwrap().into();
        let dial = || {
            let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), None).unwrap();
            // It is under way, as long as nobody accepts.
            let _ = socket.connect(&address);
            socket
        };
        let sockets: Vec<Socket> = (0..4).map(|_| dial()).collect();
        let again = |socket: &Socket| retransmitted_segments(socket.as_fd());
        assert_eq!(again(&sockets[0]), 0, "there was room for the first");
        let started = Instant::now();
        while again(&sockets[3]) == 0 {
            assert!(started.elapsed() < Duration::from_secs(60), "Linux repeats a SYN after 1 s");
            thread::sleep(Duration::from_millis(20));
        }
    }
}
