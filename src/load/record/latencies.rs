//! The histograms of a stretch of a run: of one thread for a second, or of everything.

use hdrhistogram::Histogram;

use super::watch::Tag;

/// Bounds of histograms: 1 ns to 60 s at three significant digits. Longer is recorded
/// as 60 s.
const LONGEST_NS: u64 = 60_000_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;

/// Latencies in nanoseconds.
#[derive(Debug)]
pub struct Latencies {
    /// From the actual send to the reply.
    pub service: Histogram<u64>,
    /// Open loop: from the intended send to the reply.
    pub response: Histogram<u64>,
    /// Open loop: from the intended send to the actual one.
    pub send_lag: Histogram<u64>,
    /// Open loop: what the response would be had the generator never been late. It is late where a
    /// slot was free; waiting for room is the server's doing.
    pub(crate) without_lag: Histogram<u64>,
    /// The machine's own stalls.
    pub hiccup: Histogram<u64>,
    /// Of connections that replaced others: from the SYN, in the window, until it is known to be
    /// taken, whenever that was.
    pub connect: Histogram<u64>,
    /// Of connections that were replaced: from the generator's FIN, in the window, to the server's.
    pub close: Histogram<u64>,
}

impl Default for Latencies {
    fn default() -> Self {
        let [service, response, send_lag, without_lag, hiccup, connect, close] =
            std::array::from_fn(|_| histogram());
        Self { service, response, send_lag, without_lag, hiccup, connect, close }
    }
}

impl Latencies {
    fn all(&self) -> [&Histogram<u64>; 7] {
        let Self { service, response, send_lag, without_lag, hiccup, connect, close } = self;
        [service, response, send_lag, without_lag, hiccup, connect, close]
    }

    fn all_mut(&mut self) -> [&mut Histogram<u64>; 7] {
        let Self { service, response, send_lag, without_lag, hiccup, connect, close } = self;
        [service, response, send_lag, without_lag, hiccup, connect, close]
    }

    pub(crate) fn of(&self, tag: Tag) -> &Histogram<u64> {
        match tag {
            Tag::Response => &self.response,
            Tag::Service => &self.service,
            Tag::SendLag => &self.send_lag,
            Tag::Hiccup => &self.hiccup,
            Tag::Connect => &self.connect,
            Tag::Close => &self.close,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all().into_iter().all(Histogram::is_empty)
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (own, others) in self.all_mut().into_iter().zip(other.all()) {
            // Adding touches every counter: not for nothing.
            if !others.is_empty() {
                own.add(others).expect("all histograms have the same bounds");
            }
        }
    }

    pub(crate) fn clear(&mut self) {
        let used = self.all_mut().into_iter().filter(|histogram| !histogram.is_empty());
        used.for_each(Histogram::reset);
    }
}

pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_NS, SIGNIFICANT_DIGITS)
        .expect("the bounds are constants that the crate allows")
}
