//! Reports from a run under way.

use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;

/// Follows a run. It is called between measurements, on a thread that does not generate load.
pub trait Watch {
    /// A few times a second: how it is going.
    fn progress(&mut self, progress: Progress);

    /// Once for each second of the measured window and each tag, in the order of time, and for
    /// each second after it in which replies still came. All intervals of a tag together hold
    /// every latency of the report exactly once.
    fn interval(&mut self, interval: &Interval<'_>);
}

/// How a run is going.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Its phase.
    pub phase: Phase,
    /// Time since it started.
    pub elapsed: Duration,
    /// Warm-up and measured window together.
    pub planned: Duration,
    /// Replies a second since the last progress.
    pub messages_per_s: f64,
    /// The 99th percentile of the last whole second in nanoseconds, if it had enough samples: of
    /// the response in open loop, of the service in closed loop.
    pub p99_ns: Option<u64>,
}

/// A phase of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Under load, not yet measuring.
    Warmup,
    /// In the measured window.
    Measuring,
    /// Waiting for the last replies.
    Draining,
}

/// The latencies of about a second.
#[derive(Debug, Clone, Copy)]
pub struct Interval<'a> {
    /// The kind of the values.
    pub tag: Tag,
    /// When it started.
    pub start: SystemTime,
    /// How long it was.
    pub duration: Duration,
    /// Latencies in nanoseconds, of the replies that came in it and the connections made in it.
    pub latencies: &'a Histogram<u64>,
}

/// The kind of an interval's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tag {
    /// From the intended send to the reply; open loop only.
    Response,
    /// From the actual send to the reply.
    Service,
    /// From the intended send to the actual one; open loop only.
    SendLag,
    /// The machine's own stalls: by how much a thread overslept that slept for a millisecond again
    /// and again, each weighed by its length.
    Hiccup,
    /// From the SYN until it is known to be taken; only where connections are replaced.
    Connect,
    /// From the generator's FIN to the server's; only where connections are replaced.
    Close,
}

impl Tag {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Response, Self::Service, Self::SendLag, Self::Hiccup, Self::Connect, Self::Close];

    /// The tag of this name, if there is one.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tag| tag.name() == name)
    }

    /// The name as in logs and for programs, as in tables, and the kind in words.
    fn words(self) -> [&'static str; 3] {
        match self {
            Self::Response => [
                "response",
                "response",
                "Latency (response time): from the intended send to the reply",
            ],
            Self::Service => ["service", "service", "Service time: from the send to the reply"],
            Self::SendLag => {
                ["send_lag", "send delay", "Send delay: from the intended send to the actual one"]
            }
            Self::Hiccup => {
                ["hiccup", "host stall", "Host stalls: times in which a ready thread did not run"]
            }
            Self::Connect => ["connect", "connect", "Connect: from the SYN until it is taken"],
            Self::Close => ["close", "close", "Close: from the generator's FIN to the server's"],
        }
    }

    /// The name as in logs and in reports for programs.
    pub fn name(self) -> &'static str {
        self.words()[0]
    }

    /// The name as in reports for people.
    pub fn label(self) -> &'static str {
        self.words()[1]
    }

    /// The kind in words.
    pub fn title(self) -> &'static str {
        self.words()[2]
    }
}

pub(crate) struct ProgressOnly<'a>(pub(crate) &'a mut dyn FnMut(Progress));

impl Watch for ProgressOnly<'_> {
    fn progress(&mut self, progress: Progress) {
        (self.0)(progress);
    }

    fn interval(&mut self, _: &Interval<'_>) {}
}
