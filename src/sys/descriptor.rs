//! Descriptors as other crates want them, where their types leave the proof to the caller.

use std::io;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio_uring::net::TcpStream;

/// The descriptor of a stream, which does not implement `AsFd`.
pub(crate) fn descriptor_of(stream: &TcpStream) -> BorrowedFd<'_> {
    // SAFETY: the stream owns its descriptor and closes it when it is dropped, so it is open as
    // long as the stream is borrowed.
    unsafe { BorrowedFd::borrow_raw(stream.as_raw_fd()) }
}

/// A descriptor that this process was started with.
///
/// # Panics
///
/// When it is one of the standard streams, which have owners.
pub(crate) fn take_inherited(descriptor: RawFd) -> OwnedFd {
    assert!(descriptor > 2, "standard streams have owners");
    // SAFETY: whoever started the process opened it for us (`sd_listen_fds(3)`), and this is called
    // once, before anything else could take or close it; were it not open, it could only be mistaken
    // for one of ours that is opened later, and none was yet.
    unsafe { OwnedFd::from_raw_fd(descriptor) }
}

/// Something that owns a descriptor, and the runtime's watch on whether it can be read.
#[derive(Debug)]
pub(crate) struct Watched<T: AsRawFd>(AsyncFd<T>);

impl Watched<TcpListener> {
    /// Watches a listener; to be called inside a tokio runtime.
    pub(crate) fn listener(listener: TcpListener) -> io::Result<Self> {
        // SAFETY: a listener keeps its one descriptor open until it is dropped, which happens when
        // the watch is: nothing here lends it mutably.
        let watch = unsafe { AsyncFd::register_with_interest(listener, Interest::READABLE) };
        Ok(Self(watch?))
    }
}

impl Watched<OwnedFd> {
    /// Watches a descriptor; to be called inside a tokio runtime.
    pub(crate) fn descriptor(descriptor: OwnedFd) -> io::Result<Self> {
        // SAFETY: as above.
        let watch = unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) };
        Ok(Self(watch?))
    }
}

impl Watched<Rc<TcpStream>> {
    /// Watches whether a stream can be written; to be called inside a tokio runtime.
    pub(crate) fn writable(stream: Rc<TcpStream>) -> io::Result<Self> {
        // SAFETY: a stream keeps its one descriptor open until it is dropped, which does not
        // happen before this share of it is.
        let watch = unsafe { AsyncFd::register_with_interest(stream, Interest::WRITABLE) };
        Ok(Self(watch?))
    }

    /// Ready once for each time that there may be room to write into.
    pub(crate) fn poll_writable(&self, context: &mut Context<'_>) -> io::Result<Poll<()>> {
        match self.0.poll_write_ready(context) {
            Poll::Ready(ready) => ready?.clear_ready(),
            Poll::Pending => return Ok(Poll::Pending),
        }
        Ok(Poll::Ready(()))
    }
}

impl<T: AsRawFd> Watched<T> {
    pub(crate) fn get(&self) -> &T {
        self.0.get_ref()
    }

    /// Ready once for each time that there is something new to read.
    pub(crate) fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.0.poll_read_ready(context))?.clear_ready();
        Poll::Ready(Ok(()))
    }
}
