//! What the kernel tells of a TCP connection and no safe wrapper asks for.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// `tcpi_bytes_acked` in `struct tcp_info` (`linux/tcp.h`, since 4.1); the layout is ABI.
const BYTES_ACKED_AT: usize = 120;
const TCP_INFO_LEN: usize = BYTES_ACKED_AT + size_of::<u64>();

/// Bytes that the peer has acknowledged since the connection began (RFC 4898
/// tcpEStatsAppHCThruOctetsAcked).
pub(crate) fn bytes_acknowledged(socket: BorrowedFd<'_>) -> io::Result<u64> {
    let mut info = [0_u8; TCP_INFO_LEN];
    let mut length = TCP_INFO_LEN as libc::socklen_t;
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
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    let bytes = info[BYTES_ACKED_AT..].first_chunk().expect("the array ends with the field");
    Ok(u64::from_ne_bytes(*bytes))
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
