//! Why connections end before a run does.

use rustix::io::Errno;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ending {
    /// The server sent FIN.
    Closed,
    /// The server sent RST.
    Reset,
    /// The server said that it is draining (GOAWAY); what is in flight may still be answered.
    GoAway,
    /// The server sent an ERROR frame with this code.
    Error(u16),
    /// A reply was malformed, altered or out of order, and the frames after it cannot be trusted.
    BadReply,
    /// The server sent more than it was sent.
    Surplus,
    /// The server left a FIN unanswered.
    Unclosed,
    /// The socket failed with this error number.
    Socket(i32),
}

impl Ending {
    /// One of each kind but [`Ending::Error`].
    pub(crate) const KINDS: [Self; 7] = [
        Self::Closed,
        Self::Reset,
        Self::GoAway,
        Self::BadReply,
        Self::Surplus,
        Self::Unclosed,
        Self::Socket(0),
    ];

    pub(crate) fn name(self) -> String {
        match self {
            Self::Closed => "closed",
            Self::Reset => "reset",
            Self::GoAway => "goaway",
            Self::BadReply => "bad_reply",
            Self::Surplus => "surplus",
            Self::Unclosed => "unclosed",
            Self::Socket(_) => "socket",
            Self::Error(code) => return format!("error_{code}"),
        }
        .to_owned()
    }

    pub(crate) fn of_socket(error: Errno) -> Self {
        match error {
            Errno::CONNRESET | Errno::PIPE => Self::Reset,
            other => Self::Socket(other.raw_os_error()),
        }
    }
}
